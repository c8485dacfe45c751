"""All of Dagster: partitions, assets, checks, automation."""
