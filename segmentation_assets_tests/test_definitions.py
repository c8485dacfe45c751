"""The asset graph as users see it: a change to the graph changes this file, so that reviewers notice."""

import datetime as dt
import json
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
import yaml

from segmentation_assets.definitions import build, defs
from segmentation_assets.defs.assets import application, model
from segmentation_assets.defs.automation import FIRST_HALF
from segmentation_assets.defs.instance import prepare_instance
from segmentation_assets.defs.order import ONE_AT_A_TIME
from segmentation_assets.defs.partitions import PREVIOUS, snapshot_partitions
from segmentation_assets.engines.duckdb import DuckDBEngine
from segmentation_assets.settings.snapshots import Schedule, Snapshots
from segmentation_assets.tables import BY_NAME
from segmentation_assets_tests.builders import LOADED, RowsSource
from segmentation_assets_tests.conftest import ROOT, environment

GRAPH = {
    "raw_customers": set(),
    "raw_transactions": set(),
    "raw_events": set(),
    "source_volume": {"raw_transactions", "raw_events"},
    "transactions": {"raw_transactions"},
    "events": {"raw_events"},
    "customers": {"raw_customers", "events", "customer_orders", "order_returns", "customers"},
    "rejected_rows": {"raw_customers", "raw_transactions", "raw_events"},
    "customer_orders": {"transactions"},
    "order_returns": {"transactions", "customer_orders", "order_returns"},
    "customer_activity": {"customer_orders", "customers"},
    "customer_category_activity": {"transactions"},
    "customer_event_activity": {"events"},
    "customer_features": {
        "customers", "customer_activity", "customer_category_activity", "customer_event_activity", "customer_orders", "order_returns",
    },
    "feature_summary": {"customer_features"},
    "feature_distributions": {"customer_features", "feature_summary"},
    "feature_missingness": {"customer_features"},
    "feature_outliers": {"customer_features"},
    "feature_correlations": {"customer_features"},
    "feature_choices": {"customer_features", "feature_correlations", "segmentation_model"},
    "order_seasonality": {"customer_orders", "order_seasonality"},
    "cohort_retention": {"customers", "customer_activity", "cohort_retention"},
    "revenue_concentration": {"customer_features"},
    "category_mix": {"customer_category_activity"},
    "attribute_spend": {"customer_features"},
    "sensitive_proxies": {"customer_features", "customer_segments"},
    "segmentation_model": {"customer_features", "customer_activity", "segmentation_model"},
    "model_candidates": {"customer_features", "customer_activity", "segmentation_model"},
    "model_registry": {"customer_features", "customer_activity", "segmentation_model"},
    "drift_report": {"customer_features", "segmentation_model"},
    "customer_segments": {"customer_features", "segmentation_model", "customer_segments"},
    "segment_transitions": {"customer_segments", "customer_features", "segmentation_model"},
    "segment_bridge": {"customer_segments", "customer_features", "segmentation_model"},
    "own_segment_members": {"customer_features", "customer_segments"},
    "own_segments": {"own_segment_members", "own_segments", "customer_features", "customer_segments"},
    "segment_changes": {"customer_segments", "customer_features", "segmentation_model", "own_segment_members", "own_segments"},
    "segment_journeys": {"customer_segments"},
    "segment_stays": {"customer_segments"},
    "segment_events": {"customer_features", "customer_segments", "segmentation_model"},
    "evaluation_metrics": {"customer_features", "segmentation_model", "customer_segments", "customer_activity"},
    "segments": {"customer_features", "customer_segments", "segmentation_model"},
    "segment_profiles": {"customer_features", "customer_segments"},
    "segment_attributes": {"customer_features", "customer_segments"},
    "segment_categories": {"customer_category_activity", "customer_features", "customer_segments"},
    "segment_examples": {"customer_features", "customer_segments", "segmentation_model"},
    "segment_rules": {"customer_features", "customer_segments", "segmentation_model"},
    "customer_value": {"customers", "customer_features", "customer_segments", "customer_activity"},
    "audience_members": {
        "customers", "customer_segments", "own_segment_members", "segment_changes", "customer_value", "customer_category_activity",
        "segments", "segmentation_model",
    },
    "universal_control": {"customer_segments"},
    "segment_actions": {
        "segments", "segmentation_model", "customer_segments", "own_segment_members", "segment_changes", "customer_value",
        "audience_members",
    },
    "action_power": {"audience_members", "customer_features", "customer_segments", "customer_orders", "segment_actions"},
    "action_lift": {"audience_members", "customer_features", "customer_segments", "customer_orders", "segment_actions"},
    "campaign_response": {"customer_event_activity", "customer_segments"},
    "snapshot_report": {"published_database"},
    "audience_delivery": {"published_database"},
    "published_database": {
        "source_volume", "rejected_rows", "model_candidates", "model_registry", "segment_transitions", "segment_bridge", "segment_journeys",
        "segment_stays", "segment_events", "evaluation_metrics", "segment_profiles",
        "campaign_response", "action_power", "action_lift", "universal_control",
        "drift_report", "feature_distributions", "feature_missingness", "feature_outliers", "feature_choices",
        "order_seasonality", "cohort_retention", "revenue_concentration", "category_mix", "attribute_spend", "sensitive_proxies",
        "segment_attributes", "segment_categories", "segment_examples", "segment_rules",
    },
}  # fmt: skip
ASSETS = {key.path[-1]: defs.resolve_asset_graph().get(key) for key in defs.resolve_asset_graph().get_all_asset_keys()}


def test_the_first_half_of_a_snapshot_needs_nothing_of_the_second() -> None:
    first = {name for name, asset in ASSETS.items() if asset.group_name in FIRST_HALF}
    assert {name: GRAPH[name] - first for name in first if GRAPH[name] - first} == {}


def test_each_asset_has_these_inputs():
    assert {name: {key.path[-1] for key in node.parent_keys} for name, node in ASSETS.items()} == GRAPH


MADE_WITH_THE_MODEL = ("segmentation_model", "drift_report", "model_candidates", "model_registry")


def test_assets_made_with_the_model_depend_on_the_previous_model():
    graph, model = defs.resolve_asset_graph(), dg.AssetKey("segmentation_model")
    assert {graph.get_partition_mapping(dg.AssetKey(name), model) for name in MADE_WITH_THE_MODEL} == {PREVIOUS.mapping(LOADED)}
    assert graph.get_partition_mapping(dg.AssetKey("customer_segments"), model) != PREVIOUS.mapping(LOADED)


def test_the_tables_of_the_model_are_made_together_and_say_so():
    assert {ASSETS[name].assets_def for name in MADE_WITH_THE_MODEL} == {ASSETS["drift_report"].assets_def}
    assert not ASSETS["drift_report"].assets_def.can_subset
    told = "One step makes segmentation_model, drift_report, model_candidates and model_registry. First comes drift"
    assert all(told in ASSETS[name].description for name in MADE_WITH_THE_MODEL)


def test_publishing_waits_for_every_table():
    upstream, unseen = set(), {"published_database"}
    while unseen:
        upstream |= unseen
        unseen = {key.path[-1] for name in unseen for key in ASSETS[name].parent_keys} - upstream
    assert upstream == {*BY_NAME, "published_database"}


def test_every_asset_has_a_group_and_kinds():
    assert [name for name in GRAPH if ASSETS[name].group_name == "default" or not ASSETS[name].kinds] == []


def test_every_asset_has_one_partition_per_snapshot():
    assert [name for name in GRAPH if ASSETS[name].partitions_def != snapshot_partitions(LOADED.snapshots)] == []


def test_every_table_describes_its_rows_and_how_it_is_made():
    told = {name: ASSETS[name].description.partition("\n\n") for name in BY_NAME}
    assert {name: first for name, (first, _, _) in told.items()} == {name: contract.description for name, contract in BY_NAME.items()}
    assert [name for name, (_, _, rest) in told.items() if not rest.endswith(".")] == []


def test_every_table_shows_its_columns():
    shown = {name: [column.name for column in ASSETS[name].metadata["dagster/column_schema"].columns] for name in BY_NAME}
    assert shown == {name: ["snapshot_date", *(c.name for c in contract.columns)] for name, contract in BY_NAME.items()}


def test_every_table_is_checked_against_its_contract_and_a_breach_blocks():
    blocking = {name: {spec.name for spec in ASSETS[name].assets_def.check_specs if spec.blocking} for name in BY_NAME}
    assert [name for name, checks in blocking.items() if "contract" not in checks] == []


def test_these_checks_across_tables_exist():
    across = {key.name for key in defs.resolve_asset_graph().asset_check_keys if key.name != "contract"}
    assert across == {
        "every_row_accounted_for", "every_customer_in_one_segment", "sizes_and_revenue_tie_out", "sums_equal_segment_sizes",
        "volume_is_as_usual", "history_is_complete", "features_are_not_redundant", "features_have_not_drifted",
        "segment_mix_has_not_drifted",
        "distance_has_not_drifted", "joint_distribution_has_not_drifted", "no_model_decision_to_review", "no_segment_has_run_empty",
        "columns_are_as_before", "rejects_are_few", "no_rows_came_late", "customers_have_a_new_date",
    }  # fmt: skip


JOBS = {"snapshot", "features", "segment", "pictures", "retention"}


def test_there_are_these_jobs_and_schedules():
    repository = defs.get_repository_def()
    assert {job.name for job in repository.get_all_jobs() if not job.name.startswith("__")} == JOBS
    assert {(schedule.name, schedule.job_name) for schedule in repository.schedule_defs} == {
        ("newest_snapshot", "snapshot"),
        ("retention", "retention"),
    }


SEVERAL = {"multiprocess": {"max_concurrent": 2}}


@pytest.mark.parametrize("job", defs.get_repository_def().get_all_jobs(), ids=lambda job: job.name)
@pytest.mark.parametrize(("chosen", "executor"), [({}, "in_process"), ({"execution": {"config": SEVERAL}}, "multiprocess")])
def test_steps_share_a_process_unless_the_run_configuration_says_otherwise(job, chosen, executor):
    ((_, config),) = dg.validate_run_config(job, chosen)["execution"].items()
    assert list(config) == [executor]


def test_definitions_load_and_validate():
    dg.Definitions.validate_loadable(defs)


@pytest.mark.full
def test_the_dg_command_checks_and_lists_the_definitions(tmp_path):
    def tool(*arguments):
        command, home = [Path(sys.executable).parent / "dg", *arguments], environment(tmp_path, DAGSTER_HOME=str(tmp_path))
        return subprocess.run(command, cwd=ROOT, env=home, capture_output=True, text=True, check=False)

    assert (checked := tool("check", "defs")).returncode == 0, checked.stdout + checked.stderr
    listed = json.loads(tool("list", "defs", "--json").stdout)
    assert {asset["asset_key"] for asset in listed["assets"]} == set(GRAPH)


WEEKLY = LOADED.model_copy(
    update={
        "snapshots": Snapshots(first=dt.date(2024, 1, 1), last=dt.date(2024, 1, 15), cadence="weekly"),
        "features": LOADED.features.model_copy(update={"lookback": 2}),
        "schedule": Schedule(enabled=True),
        "owners": ("team:crm", "ann@example.com"),
    }
)


def test_one_process_can_hold_the_graphs_of_two_settings():
    weekly, monthly = (build(settings).resolve_asset_graph() for settings in (WEEKLY, LOADED))
    orders, features = dg.AssetKey("customer_orders"), dg.AssetKey("customer_features")
    assert [graph.get(orders).partitions_def.get_partition_keys()[:2] for graph in (weekly, monthly)] == [
        ["2024-01-01", "2024-01-08"], ["2024-02-01", "2024-03-01"],
    ]  # fmt: skip
    assert [graph.get_partition_mapping(features, orders).start_offset for graph in (weekly, monthly)] == [-1, -2]


def test_owners_come_from_the_settings():
    owned = build(WEEKLY).resolve_asset_graph()
    assert {tuple(owned.get(key).owners) for key in owned.get_all_asset_keys()} == {WEEKLY.owners}
    assert [name for name in GRAPH if ASSETS[name].owners] == []


def test_code_references_lead_to_the_code_of_each_asset():
    found = {name: ASSETS[name].metadata["dagster/code_references"].code_references[0] for name in GRAPH}
    assert Path(found["drift_report"].file_path) == Path(model.__file__)
    line = Path(application.__file__).read_text().splitlines()[found["segment_actions"].line_number - 1]
    assert line.startswith("@table(SEGMENT_ACTIONS")


def test_a_missing_snapshot_is_overdue_only_if_a_schedule_makes_snapshots():
    published = dg.AssetKey("published_database")
    policies = [build(settings).resolve_asset_graph().get(published).freshness_policy for settings in (WEEKLY, LOADED)]
    assert policies == [dg.FreshnessPolicy.time_window(warn_window=dt.timedelta(days=8), fail_window=dt.timedelta(days=9)), None]


def test_the_lake_is_opened_once_and_closed_when_the_run_ends(tmp_path, monkeypatch):
    engines = []

    class Watched(DuckDBEngine):
        def __init__(self, **bounds):
            super().__init__(**bounds)
            engines.append("open")

        def close(self):
            super().close()
            engines.append("closed")

    monkeypatch.setattr("segmentation_assets.store.lake.DuckDBEngine", Watched)
    settings = WEEKLY.model_copy(update={"data_dir": tmp_path})
    job = build(settings, RowsSource()).resolve_job_def("features")
    collect = ["raw_customers", "raw_transactions", "raw_events", "source_volume"]
    made = job.execute_in_process(partition_key="2024-01-08", asset_selection=[dg.AssetKey(name) for name in collect])
    assert made.success
    assert engines == ["open", "closed"]


@pytest.fixture
def configuration(tmp_path, monkeypatch):
    monkeypatch.setenv("DAGSTER_HOME", "")  # so that pytest restores it after the test
    monkeypatch.setenv("DAGSTER_DISABLE_TELEMETRY", "")
    monkeypatch.setattr("os.cpu_count", lambda: 6)
    return lambda: prepare_instance(LOADED.model_copy(update={"data_dir": tmp_path})) / "dagster.yaml"


def test_the_instance_lives_in_the_data_folder(configuration, tmp_path):
    assert configuration() == tmp_path / "dagster" / "dagster.yaml"


def test_telemetry_is_off(configuration):
    assert yaml.safe_load(configuration().read_text())["telemetry"] == {"enabled": False}


def test_there_are_at_most_as_many_runs_at_once_as_cores(configuration):
    assert yaml.safe_load(configuration().read_text())["concurrency"]["runs"]["max_concurrent_runs"] == 6


def test_snapshots_run_one_at_a_time(configuration):
    runs = yaml.safe_load(configuration().read_text())["concurrency"]["runs"]
    assert runs["tag_concurrency_limits"] == [{"key": ONE_AT_A_TIME, "limit": 1}]
    assert all(ONE_AT_A_TIME in defs.resolve_job_def(job).tags for job in ("snapshot", "segment"))


def test_dagster_accepts_the_configuration(configuration):
    configuration()
    with dg.DagsterInstance.get() as instance:
        assert instance.get_concurrency_config().run_queue_config.max_concurrent_runs == 6
        assert not instance.telemetry_enabled


def test_a_configuration_that_was_edited_is_left_alone(configuration):
    file = configuration()
    file.write_text("telemetry: {enabled: false}\n")
    assert configuration().read_text() == "telemetry: {enabled: false}\n"


def test_dagster_home_can_be_elsewhere(configuration, tmp_path, monkeypatch):
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "elsewhere"))
    assert configuration().parent == tmp_path / "elsewhere"


def test_the_database_is_published_after_every_table() -> None:
    steps = [node.name for node in defs.resolve_job_def("snapshot").graph.nodes_in_topological_order]
    after = steps[steps.index("published_database") + 1 :]
    assert not {*BY_NAME, "model"} & set(after)
    assert "snapshot_report" in after


def test_no_description_is_indented_so_that_markdown_shows_code() -> None:
    specs = defs.resolve_asset_graph().asset_nodes
    assert [node.key for node in specs if "\n    " in (node.description or "")] == []
