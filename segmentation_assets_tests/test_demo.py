"""The demo, end to end on the real data: what was published agrees with the source files, and a second run changes nothing."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from segmentation_assets.sources.complete_journey import CompleteJourneySource
from segmentation_assets.store.master import VIEWS
from segmentation_assets_tests.conftest import segmentation

pytestmark = pytest.mark.slow
KEYS = [f"2017-{month:02}-01" for month in range(4, 13)] + ["2018-01-01"]


@pytest.fixture(scope="module")
def database(demo: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(demo / "segmentation.duckdb"), read_only=True) as connection:
        folder = CompleteJourneySource().folder
        connection.execute("CREATE TEMP VIEW lines AS FROM read_parquet(" + repr(str(folder / "transactions.parquet")) + ")")
        connection.execute("CREATE TEMP VIEW people AS FROM read_parquet(" + repr(str(folder / "demographics.parquet")) + ")")
        yield connection


def one(database: duckdb.DuckDBPyConnection, query: str, *values: object) -> object:
    return database.execute(query, list(values)).fetchall()[0][0]


def test_the_output_ends_with_segments_moves_drift_and_where_to_look(demo: Path) -> None:
    output = (demo / "output.txt").read_text()
    for expected in (
        "Segments of 2018-01-01",
        "customers moved and",
        "since the model was trained",
        "segmentation.duckdb",
        "2018-01-01/index.html",
        "segmentation sql",
        "segmentation ui",
    ):
        assert expected in output


@pytest.mark.parametrize("key", KEYS)
def test_lines_before_the_snapshot_are_clean_or_rejected(database: duckdb.DuckDBPyConnection, key: str) -> None:
    source = one(database, "SELECT count(*) FROM lines WHERE transaction_timestamp < ?::DATE", key)
    clean = one(database, "SELECT count(*) FROM transactions WHERE snapshot_date <= ?::DATE", key)
    rejected = one(database, "SELECT count(*) FROM rejected_rows WHERE source = 'transactions' AND snapshot_date <= ?::DATE", key)
    assert source == clean + rejected
    assert clean > 0


@pytest.mark.parametrize("key", KEYS)
def test_every_customer_known_is_in_one_segment(database: duckdb.DuckDBPyConnection, key: str) -> None:
    known = one(
        database,
        "SELECT count(DISTINCT household_id) FROM (SELECT household_id FROM lines WHERE transaction_timestamp < $1::DATE"
        " UNION SELECT household_id FROM people UNION SELECT customer_id::BIGINT FROM events WHERE snapshot_date <= $1::DATE)",
        key,
    )
    assert one(database, "SELECT count(*) FROM customer_segments WHERE snapshot_date = ?::DATE", key) == known
    assert one(database, "SELECT count(DISTINCT customer_id) FROM customer_segments WHERE snapshot_date = ?::DATE", key) == known
    assert one(database, "SELECT sum(customers) FROM segments WHERE snapshot_date = ?::DATE", key) == known


@pytest.mark.parametrize("key", KEYS)
def test_revenue_agrees_with_the_source_file(database: duckdb.DuckDBPyConnection, key: str) -> None:
    direct = one(
        database,
        "SELECT sum(sales_value::DECIMAL(18, 4)) FROM lines"
        " WHERE transaction_timestamp >= $1::DATE - INTERVAL 3 MONTH AND transaction_timestamp < $1::DATE",
        key,
    )
    revenue = one(database, "SELECT sum(revenue) FROM segments WHERE snapshot_date = ?::DATE", key)
    assert revenue == direct
    shares = database.execute("SELECT sum(share), sum(revenue_share) FROM segments WHERE snapshot_date = ?::DATE", [key]).fetchall()[0]
    assert shares == pytest.approx((1, 1), abs=1e-9)


def test_transitions_reconcile_with_the_segments_on_both_sides(database: duckdb.DuckDBPyConnection) -> None:
    for side, segment_date in (("to", "t.snapshot_date"), ("from", "(t.snapshot_date - INTERVAL 1 MONTH)::DATE")):
        differences = database.execute(f"""
            WITH moved AS (
                SELECT {segment_date} AS day, {side}_segment_id AS segment_id, sum(customers) AS customers,
                       sum(revenue_{"after" if side == "to" else "before"}) AS revenue
                FROM segment_transitions t WHERE {side}_segment_id IS NOT NULL GROUP BY ALL
            )
            SELECT * FROM moved FULL JOIN segments s ON s.snapshot_date = moved.day AND s.segment_id = moved.segment_id
            WHERE coalesce(moved.customers, 0) <> coalesce(s.customers, 0) OR abs(coalesce(moved.revenue, 0) - s.revenue) > 1e-6
        """).fetchall()  # names of our own
        # The last snapshot has no successor to move to, so on the from side its segments stand alone.
        assert [row for row in differences if side == "to" or row[0] is not None] == []


def test_each_rule_as_printed_returns_the_customers_it_is_said_to(database: duckdb.DuckDBPyConnection) -> None:
    """By status the segment itself; otherwise most of it, on the customers of the snapshot as well as on those held out."""
    rules = database.execute(
        "SELECT snapshot_date, segment_id, rule, rule_customers, rule_found, precision, recall FROM segment_rules WHERE rule IS NOT NULL"
    ).fetchall()
    assert len({day for day, *_ in rules}) == 10
    for day, segment_id, rule, customers, inside, precision, recall in rules:
        met, found, size = database.execute(
            f"SELECT count(*) FILTER ({rule}), count(*) FILTER (({rule}) AND segment_id = $1), count(*) FILTER (segment_id = $1) "
            "FROM customer_features JOIN customer_segments USING (customer_id, snapshot_date) WHERE snapshot_date = $2",
            [segment_id, day],
        ).fetchall()[0]
        assert (met, found) == (customers, inside)
        held_out = 2 * precision * recall / (precision + recall)
        assert 2 * found / (met + size) == pytest.approx(held_out, abs=0 if segment_id < 0 else 0.12)


def test_levels_of_an_attribute_add_up_to_the_segment(database: duckdb.DuckDBPyConnection) -> None:
    different = """
        SELECT snapshot_date, segment_id, attribute, sum(a.customers), any_value(s.customers) FROM segment_attributes AS a
        JOIN segments AS s USING (snapshot_date, segment_id) GROUP BY ALL HAVING sum(a.customers) <> any_value(s.customers)
    """
    assert database.execute(different).fetchall() == []
    bought = """
        SELECT sum(c.customers) FROM segment_categories AS c SEMI JOIN latest_segments USING (snapshot_date)
        UNION ALL SELECT sum(customers) FROM category_mix SEMI JOIN latest_segments USING (snapshot_date)
    """
    (of_segments,), (of_all,) = database.execute(bought).fetchall()
    assert of_segments == of_all


def test_own_segments_are_as_plain_sql_says(database: duckdb.DuckDBPyConnection) -> None:
    placed = "customer_features JOIN customer_segments USING (customer_id, snapshot_date)"
    published = database.execute("SELECT DISTINCT own_segment, condition FROM own_segments ORDER BY ALL").fetchall()
    assert [name for name, _ in published] == ["bargain_champions", "coupon_families", "lapsing_vips"]
    for name, condition in published:
        figures = "SELECT snapshot_date, customers, revenue, customers_entered - customers_left FROM own_segments WHERE own_segment = ?"
        plain = f"""
            WITH inside AS (SELECT snapshot_date, customer_id, monetary FROM {placed} WHERE {condition}),
                 sizes AS (
                    SELECT snapshot_date, count(customer_id) AS customers, round(coalesce(sum(monetary), 0), 2)::DECIMAL(18, 2)
                    FROM published_snapshots LEFT JOIN inside USING (snapshot_date) GROUP BY ALL
                 )
            SELECT *, customers - lag(customers) OVER (ORDER BY snapshot_date) FROM sizes ORDER BY ALL
        """
        assert database.execute(f"{figures} ORDER BY ALL", [name]).fetchall() == database.execute(plain).fetchall()
        members = "SELECT snapshot_date, customer_id FROM own_segment_members WHERE own_segment = ? ORDER BY ALL"
        expected = f"SELECT snapshot_date, customer_id FROM {placed} WHERE {condition} ORDER BY ALL"
        assert database.execute(members, [name]).fetchall() == database.execute(expected).fetchall()


def test_changes_of_segment_add_up_to_the_transitions(database: duckdb.DuckDBPyConnection) -> None:
    pairs = "snapshot_date, from_segment_id, to_segment_id"
    changed = (
        f"SELECT {pairs}, count(*), count(*) FILTER (cause <> 'behaviour') FROM segment_changes WHERE own_segment IS NULL GROUP BY ALL"
    )
    moved = f"""
        SELECT {pairs}, customers, customers_by_model FROM segment_transitions
        WHERE snapshot_date > '{KEYS[0]}' AND from_segment_id IS DISTINCT FROM to_segment_id
    """
    found = database.execute(f"{changed} ORDER BY ALL").fetchall()
    assert found == database.execute(f"{moved} ORDER BY ALL").fetchall()
    assert found


RENAMED_IN_SILENCE = """
    SELECT count(*) FROM (
        SELECT *, lag(segment_name) OVER (PARTITION BY segment_id ORDER BY snapshot_date) AS name_before FROM segments
    ) AS now
    WHERE name_before <> segment_name AND NOT EXISTS (
        FROM segment_events AS said WHERE said.snapshot_date = now.snapshot_date
        AND event IN ('changed character', 'renamed') AND to_segment_ids = CAST(segment_id AS VARCHAR))
"""


def test_segments_keep_their_ids_and_names_while_a_model_is_in_force(database: duckdb.DuckDBPyConnection) -> None:
    until = "WHERE snapshot_date < DATE '2018-01-01'"
    assert one(database, f"SELECT max(n) FROM (SELECT count(DISTINCT segment_name) AS n FROM segments {until} GROUP BY segment_id)") == 1
    assert one(database, RENAMED_IN_SILENCE) == 0
    assert one(database, "SELECT count(DISTINCT model_version) FROM model_registry WHERE decision = 'trained'") == 1


SPEND = """
    SELECT household_id, count(DISTINCT (basket_id, transaction_timestamp::DATE)) AS orders,
           sum(sales_value::DECIMAL(18, 4))::DOUBLE AS spend
    FROM lines WHERE transaction_timestamp >= '2017-10-01' AND transaction_timestamp < '2018-01-01' GROUP BY ALL
"""
FROM_THE_SOURCE = {
    "customers of February's cohort who ordered in April, and their revenue": (
        "SELECT active_customers, cohort_customers, revenue FROM cohort_retention WHERE cohort = '2017-02-01' AND period = 2",
        """
        WITH firsts AS (SELECT household_id, min(transaction_timestamp) AS first FROM lines GROUP BY ALL),
             cohort AS (FROM firsts WHERE first >= '2017-02-01' AND first < '2017-03-01')
        SELECT count(DISTINCT household_id), (SELECT count(*) FROM cohort), sum(sales_value)
        FROM lines SEMI JOIN cohort USING (household_id)
        WHERE transaction_timestamp >= '2017-04-01' AND transaction_timestamp < '2017-05-01'
        """,
    ),
    "orders and revenue on the Sundays of February from 21 to 22 h": (
        "SELECT sum(orders), sum(revenue) FROM order_seasonality WHERE month = '2017-02-01' AND weekday = 6 AND hour = 21",
        """
        WITH orders AS (
            SELECT basket_id, transaction_timestamp::DATE AS day, min(transaction_timestamp) AS began, sum(sales_value) AS revenue
            FROM lines WHERE transaction_timestamp >= '2017-02-01' AND transaction_timestamp < '2017-03-01'
            GROUP BY household_id, basket_id, day
        ) SELECT count(*), sum(revenue) FROM orders WHERE isodow(day) = 7 AND hour(began) = 21
        """,
    ),
    "Spearman's correlation of frequency and monetary": (
        "SELECT spearman, customers FROM feature_correlations WHERE feature_a = 'frequency' AND feature_b = 'monetary'",
        f"""
        WITH ranked AS (
            SELECT rank() OVER (ORDER BY orders) + (count(*) OVER (PARTITION BY orders) - 1) / 2 AS a,
                   rank() OVER (ORDER BY spend) + (count(*) OVER (PARTITION BY spend) - 1) / 2 AS b FROM ({SPEND})
        ) SELECT corr(a, b), count(*) FROM ranked
        """,
    ),
    "what the best fifth bring": (
        "SELECT customers, revenue_share FROM revenue_concentration WHERE percentile = 20",
        f"""
        WITH ranked AS (SELECT spend, row_number() OVER (ORDER BY spend DESC) AS i, count(*) OVER () AS n FROM ({SPEND}) WHERE spend > 0)
        SELECT count(*), sum(spend) / (SELECT sum(spend) FROM ranked) FROM ranked WHERE i <= ceil(n * 20 / 100)
        """,
    ),
}


@pytest.mark.parametrize(("table", "source"), FROM_THE_SOURCE.values(), ids=FROM_THE_SOURCE.keys())
def test_numbers_behind_the_pictures_agree_with_the_source_files(database: duckdb.DuckDBPyConnection, table: str, source: str) -> None:
    (found,) = database.execute(f"{table} AND snapshot_date = '2018-01-01'").fetchall()
    (expected,) = database.execute(source).fetchall()
    assert [float(value) for value in found] == pytest.approx([float(value) for value in expected], rel=1e-9)


def test_running_again_is_quick_and_changes_nothing(demo: Path) -> None:
    def content() -> dict[Path, str]:
        files = [*(demo / "lake").rglob("*.parquet"), demo / "segmentation.duckdb"]
        return {file: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}

    before = content()
    done = segmentation("run", "--all", data_dir=demo)
    assert done.returncode == 0, done.stderr
    assert "10 snapshots are up to date" in done.stdout
    assert content() == before


def test_everything_was_recorded_for_the_ui(demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import dagster as dg

    from segmentation_assets.definitions import defs

    monkeypatch.setenv("DAGSTER_HOME", str(demo / "dagster"))
    with dg.DagsterInstance.get() as instance:
        for key in defs.resolve_asset_graph().get_all_asset_keys():
            assert instance.get_materialized_partitions(key) == set(KEYS), key
        assert not instance.telemetry_enabled


@pytest.mark.full  # in CI, of a smaller lake, see `test_published`
def test_export_holds_every_table_natively(demo: Path, tmp_path: Path) -> None:
    done = segmentation("export", str(tmp_path / "out.duckdb"), data_dir=demo)
    assert done.returncode == 0, done.stderr
    with duckdb.connect(str(tmp_path / "out.duckdb"), read_only=True) as copy:
        views = {name for (name,) in copy.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()}
        assert views == {*VIEWS}
        assert one(copy, "SELECT count(*) FROM transactions") == 1_468_773
        assert one(copy, "SELECT count(*) FROM duckdb_tables() WHERE comment IS NULL AND NOT internal") == 0
