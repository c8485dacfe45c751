"""The event log keeps its connections open, and records the same as Dagster's own."""

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


def test_only_the_last_used_files_stay_open(instance):
    for _ in range(KEPT_FILES + 2):
        dg.materialize([thing], instance=instance)
    assert len(instance.event_log_storage._engines) == KEPT_FILES
