"""Features equal those of a plain DuckDB query with the same definitions, on real data and on difficult histories."""

import datetime as dt
from pathlib import Path

import duckdb
import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from segmentation_assets.core.customers.features import declared
from segmentation_assets.tables.cleaned import EVENTS, TRANSACTIONS
from segmentation_assets_tests.core.history import ROLES, History, arrow, back, event, line, lookback, ordered

ORACLE = Path(__file__).with_name("features_oracle.sql").read_text()


def oracle(connection: duckdb.DuckDBPyConnection, as_of: dt.date, windows: int = 3) -> pd.DataFrame:
    """The query's features, from the connection's tables transactions, events and records."""
    span = lookback(as_of, windows)
    values = {
        "as_of": span.as_of,
        "start": span.start,
        "recent_start": span.recent_start,
        "windows": windows,
        "recent_windows": span.recent_windows,
    }
    return connection.execute(ORACLE, values).df().set_index("customer_id")


def assert_agree(found: pd.DataFrame, expected: pd.DataFrame, absolute: float = 1e-13) -> None:
    """Assert that all declared features and the status agree to a relative 1e-9, or to `absolute` for entropies and spreads of zero."""
    assert list(found.index) == list(expected.index)
    for name in ["status", *(feature.name for feature in declared(ROLES))]:
        a, b = found[name], expected[name]
        if pd.api.types.is_numeric_dtype(b) or b.isna().all():
            np.testing.assert_allclose(a.astype("float64"), b.astype("float64"), rtol=1e-9, atol=absolute, err_msg=name)
        else:
            assert a.where(a.notna(), None).tolist() == b.where(b.notna(), None).tolist(), name


# "quiet": a month without an order; "borders": the last instant of a window and the first of the next; "back": returns only.
AWKWARD = [
    line("sunday", "2017-04-02 09:00"), line("sunday", "2017-04-08 23:59:59.999999"), line("sunday", "2017-05-07 00:00:00"),
    line("borders", "2017-04-30 23:59:59.999999", order_id="b1"), line("borders", "2017-05-01 00:00:00", order_id="b1"),
    line("borders", "2017-06-30 23:59:59.999999"), line("borders", "2017-07-01 00:00:00"),
    line("quiet", "2017-04-03 10:00"), line("quiet", "2017-06-20 10:00", "31.4159", category="bakery"),
    line("single", "2017-05-05 12:00", "0.01", quantity=None),
    line("back", "2017-05-05 12:00", "-5.00", quantity="-1"), line("back", "2017-06-05 12:00", "-5.00"),
    line("partly back", "2017-05-05 12:00", "20.00"), line("partly back", "2017-05-09 12:00", "-20.00"), line("partly back", "2017-06-05 12:00"),
    line("free", "2017-05-05 12:00", "0.00", discount="3.00"),
    line("same day", "2017-05-05 08:00"), line("same day", "2017-05-05 20:00", "30.00", coupon_discount="2.00"), line("same day", "2017-05-08 20:00"),
    line("long ago", "2016-01-01 12:00"), line("just before", "2017-03-31 23:59"), line("surcharge", "2017-05-05 12:00", discount="-1.00"),
    line("tie", "2017-05-05 12:00", category="wine"), line("tie", "2017-05-06 22:00", category="bread"), line("new", "2017-06-30 05:59"),
    # Fully returned in a later window, in parts over two windows, only in part, more than bought, and on the same day.
    line("undone", "2017-04-05 11:00", "30.00", order_id="u1"), line("undone", "2017-06-03 12:00", order_id="u2"),
    line("undone", "2017-06-20 12:00", "7.00", order_id="u3"), back("undone", "2017-06-25", "-7.00", "u3"),
    line("in parts", "2017-04-05 11:00", "30.00", order_id="p1"), line("in parts", "2017-04-25 11:00", "5.00", order_id="p2", category="wine"),
    back("in parts", "2017-05-09", "-20.00", "p1"), back("in parts", "2017-06-09", "-10.00", "p1"),
    line("in part", "2017-05-05 11:00", "30.00", order_id="i1"), back("in part", "2017-06-09", "-29.99", "i1"),
    line("and more", "2017-05-05 11:00", "30.00", order_id="m1", coupon_discount="1.00"), back("and more", "2017-05-30", "-31.00", "m1"),
    line("at once", "2017-06-10 11:00", "30.00", order_id="o1"), line("at once", "2017-06-10 11:00", "-30.00", order_id="o1", returned_order_id="o1"),
    # The previous order is from before the lookback, or undone as well; an order id occurs twice, and the later order counts.
    line("far back", "2017-02-05 11:00"), line("far back", "2017-05-20 11:00", "8.00", order_id="f1"), back("far back", "2017-06-02", "-8.00", "f1"),
    line("all gone", "2017-03-30 11:00", order_id="a1"), line("all gone", "2017-04-02 11:00", order_id="a2"),
    back("all gone", "2017-05-02", "-10.00", "a1"), back("all gone", "2017-06-02", "-10.00", "a2"),
    line("same id", "2017-04-10 11:00", "4.00", order_id="s"), line("same id", "2017-05-10 11:00", "6.00", order_id="s"), back("same id", "2017-05-20", "-6.00", "s"),
    line("other's", "2017-05-10 11:00", "6.00", order_id="x1"), back("not theirs", "2017-05-20", "-6.00", "x1"), back("too soon", "2017-05-01", "-6.00", "t1"),
    line("too soon", "2017-05-02", "6.00", order_id="t1"),
    line("tomorrow", "2017-07-02 12:00"), line("même id", "2017-05-05 12:00"), line("no quantity", "2017-05-06 17:59", quantity=None),
]  # fmt: skip
EVENTS_TOO = [
    event("sunday", "2017-04-10"), event("sunday", "2017-06-10", subject="c2"), event("sunday", "2017-06-11", "coupon_redeemed", "c2"),
    event("sunday", "2017-06-12", "coupon_redeemed", "c2"), event("quiet", "2017-03-31", subject="c0"),
    event("quiet", "2017-04-01", "coupon_redeemed", "c0"), event("only events", "2017-06-30 23:59:59", "visit", "page 7"),
    event("single", "2017-05-05", subject=None), event("later", "2017-07-01"), event("single", "2017-05-07", "coupon_redeemed", None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("as_of", "windows"), [(dt.date(2017, 5, 1), 1), (dt.date(2017, 6, 1), 3), (dt.date(2017, 7, 1), 3), (dt.date(2017, 7, 1), 6)]
)
def test_features_of_difficult_histories_agree(as_of: dt.date, windows: int) -> None:
    lines, happened = arrow(TRANSACTIONS, AWKWARD), arrow(EVENTS, EVENTS_TOO)
    records = pa.table({"customer_id": ["single", "never seen"]})
    connection = duckdb.connect()
    for name, table in {"transactions": lines, "events": happened, "records": records}.items():
        connection.register(name, table)
    found = ordered(History(*map(ibis.memtable, (lines, happened, records))).features(as_of, windows))
    assert_agree(found, oracle(connection, as_of, windows))


@pytest.fixture(scope="module")
def shuffled(demo_history: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's clean lines in random order, spread over seven files regardless of time."""
    folder = tmp_path_factory.mktemp("shuffled")
    lines = pq.read_table(demo_history / "transactions.parquet")
    order = np.random.default_rng(4).permutation(len(lines))
    for number, rows in enumerate(np.array_split(order, 7)):
        pq.write_table(lines.take(rows), folder / f"transactions-{number}.parquet")
    return folder


@pytest.mark.parametrize(
    "as_of", [*(pytest.param(date, marks=pytest.mark.full) for date in (dt.date(2017, 4, 1), dt.date(2017, 10, 1))), dt.date(2018, 1, 1)]
)
def test_features_of_shuffled_demo_data_agree(demo_history: Path, shuffled: Path, as_of: dt.date) -> None:
    backend = ibis.duckdb.connect()
    tables = [
        backend.read_parquet(str(path))
        for path in (shuffled / "*.parquet", demo_history / "events.parquet", demo_history / "records.parquet")
    ]
    connection = duckdb.connect()
    for name, path in {
        "transactions": shuffled / "*.parquet",
        "events": demo_history / "events.parquet",
        "records": demo_history / "records.parquet",
    }.items():
        connection.execute(f"CREATE VIEW {name} AS FROM read_parquet('{path}')")
    found = ordered(History(*tables).features(as_of), backend)
    assert len(found) > 2000
    # A spread of zero is 1e-16 of the mean if the query's floats do not cancel; nothing else is near zero.
    assert_agree(found, oracle(connection, as_of), absolute=1e-12)


@pytest.mark.full  # in CI, the order of rows alone, see `test_features_properties`
def test_the_order_of_rows_and_the_threads_do_not_change_a_byte(demo_history: Path, shuffled: Path) -> None:
    results = []
    for threads, path in ((1, demo_history / "transactions.parquet"), (4, shuffled / "*.parquet")):
        backend = ibis.duckdb.connect(threads=threads)
        tables = [backend.read_parquet(str(p)) for p in (path, demo_history / "events.parquet", demo_history / "records.parquet")]
        results.append(History(*tables).features(dt.date(2018, 1, 1)).order_by("customer_id").to_pyarrow())
    assert results[0].equals(results[1])
