"""What is kept: the lake, the published database, models, and what snapshots were made from. Nothing here knows Dagster."""
