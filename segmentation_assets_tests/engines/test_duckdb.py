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


def test_a_table_is_kept_for_who_asks_for_an_equal_one_until_its_file_is_replaced_or_another_is_kept(tmp_path):
    engine, file, other = DuckDBEngine(threads=1), tmp_path / "rows.parquet", tmp_path / "other.parquet"
    tables = "SELECT count(*) FROM duckdb_tables()"
    try:
        engine.write(ibis.memtable({"n": [1, 2]}), file)
        total = lambda: engine.kept(engine.scan([file]).agg(total=ibis._.n.sum()))  # noqa: E731
        first = total()
        assert total() is first
        engine.write(ibis.memtable({"n": [5]}), other)
        other.replace(file)
        assert engine.rows(total()) == [{"total": 5}]
        assert engine.backend.raw_sql(tables).fetchall() == [(1,)]
        engine.forget()
        assert engine.backend.raw_sql(tables).fetchall() == [(0,)]
    finally:
        engine.close()


def test_batches_keep_the_order_and_the_number_of_rows_asked_for():
    engine, numbers = DuckDBEngine(threads=2), ibis.range(300_000).unnest().name("n").as_table()
    try:
        read = list(engine.batches(numbers.order_by(ibis.desc("n")), 50_000))
        assert max(map(len, read)) == 50_000
        assert [n for batch in read for n in batch["n"].to_pylist()] == list(range(299_999, -1, -1))
    finally:
        engine.close()


def test_batches_that_nobody_reads_to_the_end_are_in_nobody_s_way():
    engine, numbers = DuckDBEngine(threads=2), ibis.range(300_000).unnest().name("n").as_table()
    try:
        batches = engine.batches(numbers, 1_000)
        assert len(next(batches)) == 1_000
        batches.close()
        assert engine.rows(numbers.agg(last=numbers.n.max())) == [{"last": 299_999}]
    finally:
        engine.close()
