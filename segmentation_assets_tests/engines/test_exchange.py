"""Files travel between this machine and an engine through a bucket, and nothing is left there."""

import datetime as dt
import importlib.util
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from segmentation_assets.atomic import beside
from segmentation_assets.engines import exchange
from segmentation_assets.engines.base import EngineError
from segmentation_assets.engines.duckdb import DuckDBEngine
from segmentation_assets.engines.exchange import SESSIONS, Bucket
from segmentation_assets.settings.engine import SparkConnect
from segmentation_assets.storage import bucket
from segmentation_assets.store.lake import opened
from segmentation_assets_tests.engines.servers import sail
from segmentation_assets_tests.store import servers

obstore = pytest.importorskip("obstore")
PREFIX = f"s3://{servers.BUCKET}/of-the-engine"

pytestmark = [
    pytest.mark.spark,
    pytest.mark.skipif(
        importlib.util.find_spec("pyspark") is None, reason="the client of Spark Connect is an extra: pip install '.[spark]'"
    ),
]


@pytest.fixture(scope="module", autouse=True)
def address():
    with pytest.MonkeyPatch.context() as environment, servers.s3() as endpoint:
        for name, value in {**servers.KEYS, "AWS_ENDPOINT_URL": endpoint, "AWS_ALLOW_HTTP": "true"}.items():
            environment.setenv(name, value)
        yield PREFIX


@pytest.fixture(scope="module")
def url():
    with sail() as url:
        yield url


def objects() -> list[str]:
    """What is below the prefix."""
    return [one["path"] for page in obstore.list(bucket(PREFIX)) for one in page]


@contextmanager
def connected(url, folder, prefix=PREFIX, known=lambda file: None):
    """An engine whose files go through the bucket."""
    from segmentation_assets.engines.spark_connect import SparkConnectEngine

    driver = DuckDBEngine(threads=1)
    engine = SparkConnectEngine(url, Bucket(prefix, folder, known), driver)
    try:
        yield engine
    finally:
        engine.close()
        driver.close()


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "own").mkdir()
    return tmp_path / "own"


def numbers(file: Path, rows: int) -> Path:
    pq.write_table(pa.table({"n": list(range(rows))}), file)
    return file


@pytest.mark.parametrize("scheme", ["s3", "s3a"])
def test_the_engine_reads_and_writes_the_bucket_alone(url, folder, tmp_path, scheme):
    one, unfinished = numbers(tmp_path / "one.parquet", 20_000), numbers(tmp_path / ".two.unfinished", 3)
    with connected(url, folder, PREFIX.replace("s3", scheme, 1)) as engine:
        before = len(objects())
        table = engine.scan([one, unfinished], hive_partitioning=False)
        one.rename(tmp_path / "moved")  # the engine could read it here, where both are on one machine
        unfinished.rename(tmp_path / "moved too")
        here = ibis.memtable({"n": list(range(5_000))})
        engine.write(table.semi_join(here, "n"), tmp_path / "written", by=["n"])
        assert len(objects()) == before + 3  # both files, and the table of this process; what was written was fetched, and removed
    assert pq.read_table(tmp_path / "written")["n"].to_pylist() == sorted([*range(5_000), 0, 1, 2])
    assert objects() == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["moved", "moved too", "own", "written"]


def test_a_file_is_sent_once_unless_it_changes(url, folder, tmp_path):
    file = numbers(tmp_path / "one.parquet", 1)
    with connected(url, folder) as engine:
        before = len(objects())
        assert engine.rows(engine.scan([file]).agg(n=ibis._.count())) == [{"n": 1}]
        engine.scan([file], hive_partitioning=False)
        assert len(objects()) == before + 1
        numbers(file, 2)
        assert engine.rows(engine.scan([file]).agg(n=ibis._.count())) == [{"n": 2}]


def test_a_file_that_the_shared_lake_has_is_not_sent_again(url, folder, tmp_path):
    file = numbers(tmp_path / "one.parquet", 1)
    obstore.put(bucket(f"s3://{servers.BUCKET}"), "lake/two.parquet", numbers(tmp_path / "two.parquet", 2))
    with connected(url, folder, known={file: f"s3://{servers.BUCKET}/lake/two.parquet"}.get) as engine:
        before = len(objects())
        assert engine.rows(engine.scan([file]).agg(n=ibis._.count())) == [{"n": 2}]  # two rows: it read the lake's
        assert len(objects()) == before


def test_sessions_that_were_killed_are_removed_after_days(folder, monkeypatch):
    left = f"{SESSIONS}/killed/of customers.parquet"
    obstore.put(bucket(PREFIX), left, b"rows")
    obstore.put(bucket(PREFIX), "of others.parquet", b"rows")
    Bucket(PREFIX, folder).close()
    assert left in objects()  # it may be running
    monkeypatch.setattr(exchange, "LEFT_AFTER", dt.timedelta(0))
    Bucket(PREFIX, folder).close()
    assert objects() == ["of others.parquet"]
    obstore.delete(bucket(PREFIX), "of others.parquet")


def test_a_session_of_a_process_that_is_gone_is_removed_by_the_next_on_this_machine(folder):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left = beside(folder).name.removeprefix(".").replace(f".{os.getpid()}.", f".{ended.pid}.")
    obstore.put(bucket(PREFIX), f"{SESSIONS}/{left}/of customers.parquet", b"rows")
    Bucket(PREFIX, folder).close()
    assert objects() == []


def test_a_process_that_ends_early_leaves_nothing(url, folder, tmp_path):
    with connected(url, folder) as engine:
        engine.scan([numbers(tmp_path / "one.parquet", 1)])
        assert objects()
        exchange.close_all()
        assert objects() == []


def test_a_bucket_that_is_not_there_is_named(url, tmp_path):
    asked = SparkConnect(kind="spark_connect", url=url, exchange="s3://nowhere/prefix")
    with pytest.raises(EngineError, match=r"engine\.exchange: s3://nowhere/prefix: has no such bucket\. Create"), opened(tmp_path, asked):
        pass


def test_an_engine_that_does_not_see_the_bucket_is_named(url, tmp_path, monkeypatch):
    monkeypatch.setattr(Bucket, "addresses", lambda *of: [f"s3://{servers.BUCKET}/of-another-server.parquet"])
    asked = SparkConnect(kind="spark_connect", url=url, exchange=PREFIX)
    with (
        pytest.raises(EngineError, match=rf"engine\.exchange: {url} does not read and write {PREFIX} as .* Give its machines the right"),
        opened(tmp_path, asked),
    ):
        pass
