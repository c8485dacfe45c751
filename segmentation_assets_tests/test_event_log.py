"""The event log keeps its connections, and records what Dagster's own does."""

import dagster as dg
import pytest
import yaml

from segmentation_assets.defs.instance import prepare_instance
from segmentation_assets.event_log import KEPT_FILES, UNREAD, KeptOpenSqliteEventLogStorage
from segmentation_assets.settings.loading import load_settings


@pytest.fixture
def instance(tmp_path, monkeypatch):
    for variable in ("DAGSTER_HOME", "DAGSTER_DISABLE_TELEMETRY"):  # set by prepare_instance, so put back after the test
        monkeypatch.setenv(variable, "")
    prepare_instance(load_settings().model_copy(update={"data_dir": tmp_path}))
    with dg.DagsterInstance.get() as made:
        yield made


@dg.asset
def thing() -> int:
    return 1


def test_the_instance_uses_it_and_finds_what_was_recorded(instance):
    assert isinstance(instance.event_log_storage, KeptOpenSqliteEventLogStorage)
    result = dg.materialize([thing], instance=instance)
    record = instance.get_latest_materialization_event(thing.key)
    assert record is not None
    assert record.run_id == result.run_id
    recorded = {r.dagster_event.event_type for r in instance.all_logs(result.run_id) if r.is_dagster_event}
    assert {e.event_type for e in result.all_events} - UNREAD <= recorded


def test_another_instance_on_the_same_folder_sees_the_events(instance, tmp_path):
    dg.materialize([thing], instance=instance)
    configuration = yaml.safe_load((tmp_path / "dagster" / "dagster.yaml").read_text())
    del configuration["event_log_storage"]  # Dagster's own
    (tmp_path / "dagster" / "dagster.yaml").write_text(yaml.safe_dump(configuration))
    with dg.DagsterInstance.from_config(str(tmp_path / "dagster")) as plain:
        assert not isinstance(plain.event_log_storage, KeptOpenSqliteEventLogStorage)
        assert plain.get_latest_materialization_event(thing.key) is not None


def test_only_the_files_used_last_are_kept_open(instance):
    for _ in range(KEPT_FILES + 2):
        dg.materialize([thing], instance=instance)
    assert len(instance.event_log_storage._engines) == KEPT_FILES
