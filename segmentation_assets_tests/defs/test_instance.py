"""The instance is made once, survives a move of its folder, and is repaired if two processes made it at once."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import dagster as dg
import pytest
import yaml

from segmentation_assets.defs import instance
from segmentation_assets.settings.loading import load_settings


@pytest.fixture(autouse=True)
def environment_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("DAGSTER_HOME", "DAGSTER_DISABLE_TELEMETRY"):  # set by prepare_instance; pytest restores them
        monkeypatch.setenv(variable, "")


def prepared(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DAGSTER_HOME", "")
    return instance.prepare_instance(load_settings().model_copy(update={"data_dir": data_dir}))


def runs(home: Path) -> int:
    with dg.DagsterInstance.get() as found:
        assert Path(found.root_directory) == home
        return found.get_runs_count()


@dg.asset
def thing() -> int:
    return 1


def test_a_moved_home_uses_its_new_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = prepared(tmp_path / "first", monkeypatch)
    with dg.DagsterInstance.get() as found:
        dg.materialize([thing], instance=found)
    assert str(tmp_path) not in (home / "dagster.yaml").read_text()
    (tmp_path / "first").rename(tmp_path / "second")
    home = prepared(tmp_path / "second", monkeypatch)
    assert runs(home) == 1
    with dg.DagsterInstance.get() as found:
        assert found.get_latest_materialization_event(thing.key) is not None
    assert not (tmp_path / "first").exists()


def test_the_absolute_path_of_version_0_1_0_is_removed_once_the_folder_was_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = prepared(tmp_path / "data", monkeypatch)
    file = home / "dagster.yaml"
    edited = yaml.safe_load(file.read_text()) | {"retention": {"schedule": {"purge_after_days": 90}}}
    for folder, kept in ((home, True), (tmp_path / "original" / "dagster", False)):
        edited["event_log_storage"]["config"] = {"base_dir": f"{folder}/history/runs"}
        file.write_text(yaml.safe_dump(edited))
        prepared(tmp_path / "data", monkeypatch)
        found = yaml.safe_load(file.read_text())
        assert ("base_dir" in found["event_log_storage"]["config"]) is kept
        assert found["retention"] == edited["retention"]


def test_a_configuration_of_version_0_1_0_gets_new_sections_and_keeps_edits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = prepared(tmp_path / "data", monkeypatch) / "dagster.yaml"
    new = yaml.safe_load(file.read_text())
    edited = {name: section for name, section in new.items() if name not in instance.ADDED} | {"retention": {}}
    file.write_text(yaml.safe_dump(edited))
    prepared(tmp_path / "data", monkeypatch)
    assert yaml.safe_load(file.read_text()) == new | {"retention": {}}


def test_a_foreign_configuration_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "data" / "dagster" / "dagster.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("run_queue: {max_concurrent_runs: 4}\n")
    prepared(tmp_path / "data", monkeypatch)
    assert file.read_text() == "run_queue: {max_concurrent_runs: 4}\n"


def test_a_custom_place_of_the_event_log_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = prepared(tmp_path / "data", monkeypatch) / "dagster.yaml"
    chosen = yaml.safe_load(file.read_text())
    chosen["event_log_storage"]["config"] = {"base_dir": "/var/log/events"}
    file.write_text(yaml.safe_dump(chosen))
    prepared(tmp_path / "data", monkeypatch)
    assert yaml.safe_load(file.read_text()) == chosen


def test_databases_made_by_two_processes_at_once_are_repaired(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = prepared(tmp_path / "data", monkeypatch)
    for file in instance.DATABASES:
        with closing(sqlite3.connect(home / file)) as broken, broken:
            (newest,) = broken.execute("SELECT version_num FROM alembic_version").fetchone()
            broken.execute("INSERT INTO alembic_version VALUES ('5771160a95ad')")  # the second row seen in practice
    with pytest.raises(Exception, match="more than one head"), dg.DagsterInstance.get():
        pass
    prepared(tmp_path / "data", monkeypatch)
    assert runs(home) == 0
    for file in instance.DATABASES:
        with closing(sqlite3.connect(home / file)) as mended:
            assert mended.execute("SELECT version_num FROM alembic_version").fetchall() == [(newest,)]


@pytest.mark.slow
def test_two_processes_that_start_at_once_share_one_valid_instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start = [Path(sys.executable).parent / "segmentation", "instance"]
    both = [subprocess.Popen(start, env={**os.environ, "SEGMENTATION_DATA_DIR": str(tmp_path / "data")}) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    home = prepared(tmp_path / "data", monkeypatch)
    assert runs(home) == 0
    for file in instance.DATABASES:
        with closing(sqlite3.connect(home / file)) as found:
            assert len(found.execute("SELECT version_num FROM alembic_version").fetchall()) == 1
