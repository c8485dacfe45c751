"""The event log keeps its connections open, and records the same as Dagster's own."""

import sqlite3

import dagster as dg
import pytest
import yaml

from segmentation_assets.defs.instance import prepare_instance
from segmentation_assets.event_log import KEPT_FILES, UNREAD, KeptOpenSqliteEventLogStorage
from segmentation_assets.settings.loading import load_settings


@pytest.fixture
def instance(tmp_path, monkeypatch):
    for variable in ("DAGSTER_HOME", "DAGSTER_DISABLE_TELEMETRY"):  # set by prepare_instance; pytest restores them
        monkeypatch.setenv(variable, "")
    prepare_instance(load_settings().model_copy(update={"data_dir": tmp_path}))
    with dg.DagsterInstance.get() as made:
        yield made


@dg.asset
def thing() -> int:
    return 1


def test_the_instance_uses_this_event_log_and_reads_back_its_events(instance):
    assert isinstance(instance.event_log_storage, KeptOpenSqliteEventLogStorage)
    result = dg.materialize([thing], instance=instance)
    record = instance.get_latest_materialization_event(thing.key)
    assert record is not None
    assert record.run_id == result.run_id
    recorded = {r.dagster_event.event_type for r in instance.all_logs(result.run_id) if r.is_dagster_event}
    assert {e.event_type for e in result.all_events} - UNREAD <= recorded


def test_an_instance_with_dagsters_own_event_log_reads_the_same_folder(instance, tmp_path):
    dg.materialize([thing], instance=instance)
    configuration = yaml.safe_load((tmp_path / "dagster" / "dagster.yaml").read_text())
    del configuration["event_log_storage"]  # Dagster's own
    (tmp_path / "dagster" / "dagster.yaml").write_text(yaml.safe_dump(configuration))
    with dg.DagsterInstance.from_config(str(tmp_path / "dagster")) as plain:
        assert not isinstance(plain.event_log_storage, KeptOpenSqliteEventLogStorage)
        assert plain.get_latest_materialization_event(thing.key) is not None


def test_an_event_is_not_forced_to_the_disk_by_itself(instance):
    result = dg.materialize([thing], instance=instance)
    with instance.event_log_storage.run_connection(result.run_id) as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 1
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"  # in which that loses nothing but by loss of power


def test_only_the_last_used_files_stay_open(instance):
    for _ in range(KEPT_FILES + 2):
        dg.materialize([thing], instance=instance)
    assert len(instance.event_log_storage._engines) == KEPT_FILES


@dg.asset
def second(context: dg.AssetExecutionContext, thing: int) -> int:
    if context.run.parent_run_id is None:
        raise ValueError("only a retry succeeds")
    return thing + 1


def two_steps() -> dg.JobDefinition:
    return dg.Definitions([thing, second], jobs=[dg.define_asset_job("both")]).resolve_job_def("both")


@pytest.mark.full  # in CI, the same events as Dagster keeps
def test_a_failed_run_is_retried_from_the_step_that_failed(instance):
    """Of a step, an event keeps only what a retry reads."""
    job = dg.reconstructable(two_steps)
    with dg.execute_job(job, instance, raise_on_error=False) as first:
        assert not first.success
    with dg.execute_job(job, instance, reexecution_options=dg.ReexecutionOptions.from_failure(first.run_id, instance)) as again:
        assert again.success
        assert {event.step_key for event in again.all_events if event.is_step_success} == {"second"}


def test_a_runs_own_file_has_no_indexes_and_the_one_of_all_runs_has(instance, tmp_path):
    run = dg.materialize([thing], instance=instance).run_id
    found = {
        name: sqlite3.connect(tmp_path / "dagster" / "history" / "runs" / f"{name}.db")
        .execute("SELECT count(*) FROM sqlite_master WHERE type = 'index' AND tbl_name = 'event_logs'")
        .fetchone()[0]
        for name in (run, "index")
    }
    assert found[run] == 0
    assert found["index"] > 0


def test_a_materialization_names_its_step_once(instance, tmp_path):
    """Dagster's handles of the step took a tenth of the event, which is stored in three places."""
    run = dg.materialize([thing], instance=instance).run_id
    stored = [json for (json,) in events(tmp_path, run) if '"ASSET_MATERIALIZATION"' in json]
    assert len(stored) == 1
    assert '"step_key": "thing"' in stored[0]
    assert "SolidHandle" not in stored[0] and "StepHandle" not in stored[0]


def events(folder, run):
    return sqlite3.connect(folder / "dagster" / "history" / "runs" / f"{run}.db").execute("SELECT event FROM event_logs")
