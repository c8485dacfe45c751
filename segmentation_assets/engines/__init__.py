"""How an engine connects, scans and writes Parquet. Assets pass it Ibis expressions and do not depend on which engine it is."""
