"""The data folder: the lake, the published database, models, and what snapshots were made from. Nothing here knows Dagster."""
