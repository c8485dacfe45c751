"""Records of old runs are removed, except the newest run of each snapshot and unfinished runs."""

import datetime as dt

import dagster as dg
import pytest

from segmentation_assets.defs.instance import prepare_instance
from segmentation_assets.defs.retention import retention_job, tidied
from segmentation_assets_tests.builders import LOADED

LATER = dt.datetime.now(dt.UTC) + dt.timedelta(days=LOADED.retention.logs + 1)


@pytest.fixture
def settings(tmp_path):
    return LOADED.model_copy(update={"data_dir": tmp_path})


@pytest.fixture
def instance(settings, monkeypatch):
    for variable in ("DAGSTER_HOME", "DAGSTER_DISABLE_TELEMETRY"):  # set by prepare_instance; pytest restores them
        monkeypatch.setenv(variable, "")
    prepare_instance(settings)
    with dg.DagsterInstance.get() as made:
        yield made


@dg.asset(partitions_def=dg.StaticPartitionsDefinition(["a", "b"]))
def thing() -> None:
    """The asset that runs make."""


def made(instance, partition):
    return dg.materialize([thing], instance=instance, partition_key=partition).run_id


def test_the_newest_run_of_each_snapshot_stays(instance, settings, tmp_path):
    first, again, other = (made(instance, partition) for partition in "aab")
    going_on = instance.add_run(dg.DagsterRun("snapshot", status=dg.DagsterRunStatus.STARTED)).run_id
    assert tidied(instance, settings, dt.datetime.now(dt.UTC)) == []
    assert tidied(instance, settings, LATER) == ["records of 3 runs that ended more than 90 days ago"]
    assert {run.run_id for run in instance.get_runs()} == {again, other, going_on}
    assert instance.get_materialized_partitions(thing.key) == {"a", "b"}
    assert not list((tmp_path / "dagster" / "history" / "runs").glob(f"{first}*"))
    assert tidied(instance, settings, LATER) == []
    assert instance.all_logs(again) == []
    assert made(instance, "a") not in {first, again}


def test_the_job_reports_what_it_removed(instance, settings):
    done = retention_job.execute_in_process(instance=instance, resources={"settings": settings})
    assert "Removed: nothing." in [entry.user_message for entry in instance.all_logs(done.run_id)]
