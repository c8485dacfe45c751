"""Whole snapshots of a few rows through Dagster: what bad input does, and what a re-run does."""

import datetime as dt
import shutil

import dagster as dg
import duckdb
import pandas as pd
import pytest
from rich.console import Console

from benchmarks import history
from segmentation_assets.cli import audiences, summary
from segmentation_assets.definitions import build
from segmentation_assets.store import archive, database_files, deliveries, published
from segmentation_assets_tests.builders import D1, D2, LOADED, RowsSource, line
from segmentation_assets_tests.test_atomic import of_a_process_that_is_gone

REGULARS = [line(c, f"2024-01-{day:02} 12:00", 100.0 + day) for c in "abc" for day in (5, 15, 25)]
RARE = [line(c, "2023-12-20 12:00", 3.0 + n) for n, c in enumerate("xyz")]
RETURNED = line("r", "2024-01-20 12:00", 40.0, order_id="taken back")
BACK = line("r", "2024-02-20 12:00", -40.0, quantity=-1.0, order_id="credit note", returned_order_id="taken back")
FEBRUARY = [BACK, line("a", "2024-02-10 12:00", 50.0), line("new", "2024-02-11 12:00", 20.0)]
MARCH = [line("x", "2024-03-10 12:00", 500.0)]
SHOP = RowsSource([{"customer_id": "a"}, {"customer_id": "prospect"}], [*REGULARS, *RARE, RETURNED, *FEBRUARY], version="shop")


class Run:
    """A data folder in which snapshots are made, and what came out."""

    def __init__(self, data_dir):
        self.data_dir = data_dir

    def make(self, key, source, job="snapshot", pictures=False, currency="", asked=None, only=None, **model):
        exploration = LOADED.exploration.model_copy(update={"pictures": pictures, "currency": currency})
        changed = {"data_dir": self.data_dir, "model": LOADED.model.model_copy(update=model), "exploration": exploration}
        settings = LOADED.model_copy(update=changed)
        definition = build(settings, source).resolve_job_def(job)
        form = {"ops": {"model": {"config": asked}}} if asked else {}
        self.result = definition.execute_in_process(partition_key=key, run_config=form, asset_selection=only, raise_on_error=False)
        return self.result.success

    def ask(self, query):
        with duckdb.connect(str(self.data_dir / database_files.DATABASE), read_only=True) as database:
            return database.sql(query).fetchall()

    def failed_checks(self):
        return {e.check_name: e.description for e in self.result.get_asset_check_evaluations() if not e.passed}

    def failure(self):
        return {e.step_key: e.step_failure_data.error.to_string() for e in self.result.all_events if e.is_step_failure}

    def lake(self):
        return {str(file.relative_to(self.data_dir)): file.read_bytes() for file in (self.data_dir / "lake").rglob("*.parquet")}


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path)


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """Two snapshots that were made in order. Tests may make them again, as long as they come out the same."""
    made = Run(tmp_path_factory.mktemp("shop"))
    for key in (D1, D2):
        assert made.make(key, SHOP), made.failure()
    return made


SEGMENT_OF = "SELECT segment_name FROM customer_segments WHERE snapshot_date = DATE '{}' AND customer_id = '{}'"
BY_SEGMENT = "SELECT segment_id, customers FROM segments ORDER BY segment_id"


def test_everyone_known_is_in_one_segment_and_nobody_from_the_future(shop):
    known = "SELECT customer_id FROM customer_segments WHERE snapshot_date = DATE '{}' ORDER BY customer_id"
    assert "".join(c for (c,) in shop.ask(known.format(D1)) if c != "prospect") == "abcrxyz"
    assert {c for (c,) in shop.ask(known.format(D2))} == {*"abcrxyz", "new", "prospect"}


def test_customers_move_from_the_segment_they_were_in(shop):
    (previous,) = shop.ask(f"SELECT previous_segment_id FROM customer_segments WHERE snapshot_date = DATE '{D2}' AND customer_id = 'a'")
    (then,) = shop.ask(f"SELECT segment_id FROM customer_segments WHERE snapshot_date = DATE '{D1}' AND customer_id = 'a'")
    assert previous == then
    assert shop.ask(SEGMENT_OF.format(D1, "prospect")) == [("Prospects",)]


def test_revenue_agrees_with_the_source(shop):
    expected = sum(row["amount"] for row in [*REGULARS, *RARE, RETURNED])
    assert shop.ask(f"SELECT sum(revenue) FROM segments WHERE snapshot_date = DATE '{D1}'")[0][0] == pytest.approx(expected)


def test_an_order_that_was_taken_back_counts_until_it_was(shop):
    described = "SELECT status, frequency, monetary, recency_days FROM customer_features WHERE customer_id = 'r' AND snapshot_date = '{}'"
    assert shop.ask(described.format(D1)) == [("active", 1.0, 40.0, 12.0)]
    assert shop.ask(described.format(D2)) == [("returned", 0.0, 0.0, None)]
    assert shop.ask(SEGMENT_OF.format(D2, "r")) == [("Returns only",)]


def test_the_second_snapshot_carries_the_model_forward(shop):
    assert [d for (d,) in shop.ask("SELECT decision FROM model_registry ORDER BY snapshot_date")] == ["trained", "carried forward"]


@pytest.mark.full
def test_the_history_of_the_benchmark_has_the_bytes_that_runs_write(shop, tmp_path):
    """Except why the model was not retrained. Three real snapshots of `benchmarks.shop`: `test_benchmarks`."""
    history.write(LOADED.model_copy(update={"data_dir": tmp_path}), [D1, D2], SHOP)
    written, real, told = Run(tmp_path).lake(), shop.lake(), f"lake/segmentation_model/snapshot_date={D2}/part-0.parquet"
    assert [name for name in real if name.split("/")[1] in history.READ_LATER and written[name] != real[name]] == [told]
    assert published.keys(tmp_path) == [D1, D2]


PLACES = (
    "",
    "lake/segments/snapshot_date=2024-02-01/",
    f"{database_files.PRIVATE}/",
    f"{database_files.PRIVATE}/transactions/",
    "models/",
    "reports/",
)


def test_a_snapshot_made_again_is_the_same_to_the_byte_and_rows_of_the_future_change_none(shop, monkeypatch):
    """Nor does what killed runs left in the folder, which is gone after them."""
    before, rows, files = shop.lake(), SHOP.rows["raw_transactions"], sorted(shop.data_dir.rglob("*"))
    for place in PLACES:
        of_a_process_that_is_gone(monkeypatch, shop.data_dir / place / "file").write_text("half")
    future = RowsSource(SHOP.rows["raw_customers"], [*rows, *MARCH, line("later", f"{D2} 00:00", 9.0)], version="shop")
    assert shop.make(D2, future)
    assert shop.lake() == before
    assert sorted(shop.data_dir.rglob("*")) == files


def test_pictures_are_drawn_afterwards_from_the_lake_alone(shop):
    before = shop.lake()
    assert shop.make(D2, SHOP, job="pictures", pictures=True), shop.failure()
    assert shop.lake() == before
    assert "raw_transactions" not in {event.step_key for event in shop.result.all_events}
    drawn = {file.stem for file in (shop.data_dir / "reports" / D2).glob("*.png")}
    assert {"flow", "seasonality", "typical_customers"} <= drawn
    assert all(f'id="{name}"' in (shop.data_dir / "reports" / D2 / "analysts.html").read_text() for name in drawn)


@pytest.mark.full  # in CI, audiences with what was handed over
def test_what_was_handed_over_stands_when_the_snapshot_is_made_again(shop, tmp_path):
    run = Run(shutil.copytree(shop.data_dir, tmp_path / "copy"))
    audience = f"SELECT customer_id, action, role, handed_over FROM audience_members WHERE snapshot_date = DATE '{D2}'"
    before = {customer: rest for customer, *rest in run.ask(audience)}
    assert set(before) == {*"abcrxyz", "new", "prospect"} and {role for _, role, _ in before.values()} <= {"treated", "holdout"}
    row = {"list": "marketing", "action": "former", "customer_id": "a", "role": "holdout", "change": "added", "channel": None, "cost": 0.0}
    row |= {"reason": "holdout of the action", "planned_share": 0.1}
    deliveries.record(run.data_dir, pd.DataFrame([row]), dt.date.fromisoformat(D2), "crm", dt.datetime(2024, 3, 2, tzinfo=dt.UTC))
    assert run.make(D2, SHOP), run.failure()
    after = {customer: rest for customer, *rest in run.ask(audience)}
    assert after == before | {"a": ["former", "holdout", dt.datetime(2024, 3, 2)]}
    plan = audiences.read(LOADED.model_copy(update={"data_dir": run.data_dir}), D2)
    assert [(one.action, one.holdout, one.handed_over) for one in plan.actions if one.action == "former"] == [("former", 1, 1)]
    assert sum((one.treated or 0) + (one.holdout or 0) for one in plan.actions) == len(before)


REGISTRY = "SELECT decision, requested_by, request_reason, reason FROM model_registry WHERE snapshot_date = DATE '{}' ORDER BY in_force"


@pytest.mark.full  # three snapshots; a retrain by the form in a browser: test_ui; a rollback: test_story
def test_what_a_person_asks_for_in_the_form_is_done_registered_and_remembered(shop, tmp_path):
    run = Run(shutil.copytree(shop.data_dir, tmp_path / "copy"))
    assert run.make(D2, SHOP, asked={"retrain": True, "force": True, "reason": "spring", "requested_by": "ann"})
    asked = run.ask(REGISTRY.format(D2))
    assert [row[:3] for row in asked] == [("promoted", "ann", "spring")]
    assert run.make(D2, SHOP)  # by the schedule, a sensor, or another person
    assert run.ask(REGISTRY.format(D2)) == asked
    ((first,),) = [run.ask(f"SELECT model_version FROM model_registry WHERE snapshot_date = DATE '{D1}'")]
    assert run.make(D2, SHOP, asked={"model_version": first[0], "reason": "too early", "requested_by": "bea"})
    assert [row[:3] for row in run.ask(REGISTRY.format(D2))] == [("rolled back", "bea", "too early")]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"retrain": True, "model_version": "v1"}, "exclude each other"),
        ({"reason": "spring"}, "say what you want: retrain: true"),
        ({"model_version": "v1"}, "There is no model v1"),
    ],
)
def test_a_form_that_asks_for_nothing_or_for_what_cannot_be_is_refused_and_not_remembered(shop, asked, said):
    made_together = ("segmentation_model", "drift_report", "model_candidates", "model_registry")
    assert not shop.make(D2, SHOP, asked=asked, only=[dg.AssetKey(name) for name in made_together])
    assert said in shop.failure()["model"]
    assert archive.requests(shop.data_dir) == {}


def test_a_broken_contract_stops_the_snapshot_and_the_published_database_stays(shop):
    database, lake = (shop.data_dir / database_files.DATABASE).read_bytes(), shop.lake()
    broken = RowsSource(transactions=[line("a", "2024-01-05", 1.0, row_number=1), line("b", "2024-01-06", 1.0, row_number=1)])
    assert not shop.make(D1, broken)
    assert "key (source_file, row_number) is not unique (1 row)" in shop.failure()["raw_transactions"]
    assert "published_database" not in {e.step_key for e in shop.result.all_events}
    assert (shop.data_dir / database_files.DATABASE).read_bytes() == database
    assert (
        shop.lake()[f"lake/raw_transactions/snapshot_date={D1}/part-0.parquet"]
        == lake[f"lake/raw_transactions/snapshot_date={D1}/part-0.parquet"]
    )


@pytest.mark.parametrize(
    ("source", "pictures"),
    [
        (RowsSource(), False),
        *(pytest.param(*more, marks=pytest.mark.full) for more in ((RowsSource(), True), (RowsSource(transactions=MARCH), False))),
    ],
    ids=["empty", "empty, drawn", "not yet"],
)
def test_without_customers_the_snapshot_is_empty(run, source, pictures):
    assert run.make(D1, source, pictures=pictures), run.failure()
    assert run.ask("SELECT (SELECT count(*) FROM customer_segments), (SELECT count(*) FROM segments)") == [(0, 0)]


@pytest.mark.full
def test_one_customer_is_one_segment(run):
    assert run.make(D1, RowsSource(transactions=[line("a", "2024-01-05", 10.0)]), pictures=True), run.failure()
    assert run.ask(BY_SEGMENT) == [(1, 1)]


@pytest.mark.full
def test_identical_customers_are_one_segment(run):
    assert run.make(D1, RowsSource(transactions=[line(c, "2024-01-05", 10.0) for c in "abcd"])), run.failure()
    assert run.ask(BY_SEGMENT) == [(1, 4)]


@pytest.mark.full
def test_fewer_customers_than_clusters_are_as_many_segments_and_the_registry_says_why(run):
    assert run.make(D1, RowsSource(transactions=[*REGULARS[:3], RARE[0]]), k=9, k_max=9), run.failure()
    assert run.ask(BY_SEGMENT) == [(1, 1), (2, 1)]
    assert "so there are 2 segments instead of 9" in run.ask("SELECT reason FROM model_registry")[0][0]


HOSTILE = ("a$b$c", r"$\frac", "_x^{", r"\alpha", "100 %", "[/x]", "![x](https://a.b)|", "<b>")


@pytest.mark.full  # in CI, the names of the hostile shop
def test_a_constant_and_a_wholly_missing_feature_stop_nothing_whatever_names_there_are(run):
    """Names that would be formulas, pictures or markup elsewhere are text in pictures, on Dagster's pages and in the terminal."""
    people = [{"customer_id": c, "age [years]": None, r"$\frac": 1.0} for c in "abcxyz"]
    bought = [{**row, "category": HOSTILE[n % len(HOSTILE)]} for n, row in enumerate([*REGULARS, *RARE])]
    events = [{"customer_id": "a", "event_type": name, "event_at": dt.datetime(2024, 1, 2)} for name in HOSTILE]
    asked = {"features": ("monetary", "age [years]", r"$\frac"), "k": 2}
    assert run.make(D1, RowsSource(people, bought, events), pictures=True, currency="$^{", **asked), run.failure()
    assert sorted(n for _, n in run.ask(BY_SEGMENT)) == [3, 3]


@pytest.mark.full  # in CI, the preprocessing by itself
def test_what_is_imputed_is_told_for_each_customer_and_counted(run):
    people = [{"customer_id": c, "age": age} for c, age in zip("abcxyz", (20.0, 30.0, None, None, 50.0, 60.0), strict=True)]
    assert run.make(D1, RowsSource(people, [*REGULARS, *RARE]), features=("monetary", "age"), k=2), run.failure()
    assert run.ask("SELECT customer_id FROM customer_segments WHERE imputed_features = 'age' ORDER BY ALL") == [("c",), ("x",)]
    assert run.ask("SELECT count(*) FROM customer_features WHERE age IS NULL") == [(2,)]
    told = next(e for e in run.result.get_asset_materialization_events() if e.asset_key.path[-1] == "customer_segments")
    assert told.materialization.metadata["customers with imputed age"].value == 2


def test_rows_that_cannot_be_used_are_set_aside_and_nothing_is_lost(run):
    bad = [line(None, "2024-01-05", 1.0), line("a", None, 1.0), line("a", "2024-01-05", None), line(" ", "2024-01-05", float("nan"))]
    events = [{"customer_id": "a", "event_type": None, "event_at": dt.datetime(2024, 1, 2)}]
    source = RowsSource([{"customer_id": "a"}, {"customer_id": "a"}, {"customer_id": None}], [*REGULARS, *bad], events)
    assert run.make(D1, source), run.failure()
    assert run.ask("SELECT source, row_number, reason FROM rejected_rows ORDER BY ALL") == [
        ("customers", 2, "customer id repeats an earlier record"),
        ("customers", 3, "customer id is missing"),
        ("events", 1, "event type is missing"),
        ("transactions", 10, "customer id is missing"),
        ("transactions", 11, "order time is missing"),
        ("transactions", 12, "amount is missing"),
        ("transactions", 13, "customer id is missing; amount is not a number"),
    ]
    assert run.ask("SELECT count(*) FROM transactions") == [(len(REGULARS),)]


@pytest.mark.full  # in CI, the checks of volume and drift by themselves
def test_a_feed_that_stopped_is_told_and_nothing_is_said_to_be_as_before(run, capsys):
    """Nobody has ordered since November, so that nobody is active at the second snapshot."""
    source = RowsSource(transactions=[line(c, f"2023-11-{day} 12:00", 10.0 * n) for n, c in enumerate("abcd", 1) for day in range(10, 30)])
    assert run.make(D1, source, k=2), run.failure()
    assert run.make(D2, source, k=2), run.failure()
    told = "No transaction is dated in the window from 2024-02-01 up to 2024-03-01"
    assert run.failed_checks()["volume_is_as_usual"].startswith(f"{told}; the last is dated 2023-11-29.")
    passed = {e.check_name: e.description for e in run.result.get_asset_check_evaluations() if e.passed}
    assert passed["features_have_not_drifted"] == "Not measured: no customer is active, or none was when the model was trained."
    assert run.ask("SELECT DISTINCT segment_name, confidence FROM latest_customer_segments") == [("Lapsed", None)]
    assert run.ask(f"SELECT DISTINCT flagged, value FROM drift_report WHERE snapshot_date = DATE '{D2}'") == [(None, None)]
    assert run.ask("SELECT reason FROM model_registry ORDER BY snapshot_date DESC LIMIT 1") == [
        ("The model of 2024-02-01 is carried forward: no customer is active, so drift was not measured.",)
    ]
    assert {share for (share,) in run.ask("SELECT revenue_share FROM latest_segments")} == {None}
    summary.show(summary.read(run.data_dir, D2), Console(width=400))
    shown = capsys.readouterr().out
    assert f"Warning: {told}" in shown
    assert "Drift was not measured: no customer is active, or none was when the model was trained." in shown
    assert "Nothing has drifted" not in shown


@pytest.mark.full  # in CI, the check by itself
def test_a_snapshot_whose_predecessor_never_ran_works_with_a_warning(run):
    assert run.make(D2, SHOP, k=2), run.failure()
    assert run.failed_checks()["history_is_complete"].startswith(f"never run: {D1}. Run them first")
    assert run.ask("SELECT reason FROM model_registry") == [("There is no model at the previous snapshot, so one is trained.",)]


@pytest.mark.full
def test_describing_earlier_snapshots_completes_the_history_without_making_snapshots(run):
    assert run.make(D1, SHOP, job="features"), run.failure()
    assert run.make(D2, SHOP), run.failure()
    assert "history_is_complete" not in run.failed_checks()
    assert run.ask("SELECT DISTINCT CAST(snapshot_date AS VARCHAR) FROM customer_segments") == [(D2,)]
