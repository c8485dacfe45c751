"""The engine keeps to its bounds, and reads each partition once."""

import ibis

from segmentation_assets.engines.duckdb import DuckDBEngine

IN_FORCE = "SELECT current_setting('threads'), current_setting('memory_limit'), current_setting('temp_directory')"


def test_bounds_are_in_force(tmp_path):
    engine = DuckDBEngine(threads=1, memory="1500MB", temp_folder=tmp_path / "it's spilled")
    try:
        assert engine.backend.raw_sql(IN_FORCE).fetchall() == [(1, "1.3 GiB", str(tmp_path / "it's spilled"))]
    finally:
        engine.close()


def test_a_file_is_scanned_once_until_it_is_replaced(tmp_path):
    engine, file = DuckDBEngine(threads=1), tmp_path / "rows.parquet"
    try:
        engine.write(ibis.memtable({"n": [0]}), file)
        first = engine.scan([file])
        assert engine.scan([file]) is first
        other = tmp_path / "other.parquet"
        engine.write(ibis.memtable({"n": [1]}), other)
        other.replace(file)
        assert engine.rows(engine.scan([file])) == [{"n": 1}]
    finally:
        engine.close()
