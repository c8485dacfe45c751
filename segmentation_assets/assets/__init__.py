"""Assets, one file per step of the way from raw rows to published segments. Thin: read, call the core, return a table."""
