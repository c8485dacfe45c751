"""How an engine connects, scans and writes Parquet. Assets hand it Ibis expressions and never name it."""
