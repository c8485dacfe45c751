"""A query of `segmentation sql` reads the published tables and order lines, and reaches nothing else."""

import duckdb
import pytest

from segmentation_assets.store import confinement, database_files
from segmentation_assets.store.database_files import PublishError
from segmentation_assets.store.lake import opened
from segmentation_assets.store.published import reading
from segmentation_assets_tests.builders import D1
from segmentation_assets_tests.store.conftest import make, segment


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A folder with a published snapshot, and a file outside its data folder."""
    folder = tmp_path_factory.mktemp("shop")
    with opened(folder / "data") as lake:
        make(lake, D1, transactions=[{"customer_id": "a"}], segments=[segment("A")])
    (folder / "secret").write_text("x")
    return folder


@pytest.fixture
def confined(shop):
    """A connection as `segmentation sql` opens it."""
    with reading(shop / "data") as connection:
        confinement.confine(connection, shop / "data")
        yield connection


READS = [
    "FROM segments",
    "FROM transactions",
    "EXPLAIN ANALYZE FROM segments",
    "PIVOT segments ON segment_name USING count(*)",
    "CREATE TEMP TABLE mine AS FROM transactions; INSERT INTO mine FROM mine; FROM mine",
]


@pytest.mark.parametrize("query", READS)
def test_a_confined_connection_reads_tables_and_order_lines(confined, query):
    for statement in confinement.statements(confined, query):
        rows = confined.execute(statement.query).fetchall()
    assert rows


REACHES_OUT = [
    "FROM read_text('{secret}')",
    "FROM read_csv('{secret}')",
    "FROM '{lines}/../../../../secret'",
    "FROM glob('/*')",
    "FROM read_csv('http://127.0.0.1:9/x')",
    "ATTACH '{secret}.duckdb'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET enable_external_access = true",
    "EXPORT DATABASE '{lines}/all'",
    "COPY segments TO '{secret}.csv'",
    "COPY segments TO '{lines}/more.csv'",
    "COPY (PIVOT segments ON segment_name USING count(*)) TO '{lines}/more.csv'",
    "EXPLAIN /* quietly */ ANALYZE COPY segments TO '{lines}/more.csv'",
    "PREPARE later AS COPY segments TO '{lines}/more.csv'; EXECUTE later",
    "FROM segments; COPY segments TO '{lines}/more.csv'",
]


@pytest.mark.parametrize("query", REACHES_OUT)
def test_a_confined_connection_reaches_and_writes_nothing_else(confined, shop, query):
    before = sorted(shop.rglob("*"))
    reaching_out = query.format(secret=shop / "secret", lines=shop / "data" / database_files.PRIVATE / "transactions")
    with pytest.raises((PublishError, duckdb.Error)):
        for statement in confinement.statements(confined, reaching_out):
            confined.execute(statement.query)
    assert sorted(shop.rglob("*")) == before
