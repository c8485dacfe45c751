"""The setup in `deploy/`: Dagster's instance on PostgreSQL, and files that Docker and systemd accept."""

import datetime as dt
import importlib.util
import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import yaml

from segmentation_assets.definitions import build
from segmentation_assets.defs import backfills, heartbeats
from segmentation_assets.defs.instance import prepare_instance
from segmentation_assets_tests.builders import D1, LOADED, RowsSource, line
from segmentation_assets_tests.conftest import ROOT, environment
from segmentation_assets_tests.sources.conftest import Server, _absent, postgres  # noqa: F401  # a fixture

DEPLOY = ROOT / "deploy"
URL = "DAGSTER_POSTGRES_URL"
SHOP = RowsSource(transactions=[line(c, f"2024-01-{day:02} 12:00", 10.0 + day) for c in "abcd" for day in (5, 15, 25)])


@pytest.fixture(scope="module")
def begun(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str], list[int]]:  # noqa: F811
    """A data folder with its instance on PostgreSQL, made by two commands at once; its environment, and their exit codes."""
    if importlib.util.find_spec("dagster_postgres") is None:
        _absent("dagster-postgres is not installed: make install EXTRAS=demo,dev")
    postgres.run("create role dagster login superuser password 'secret'")
    postgres.run("create database dagster owner dagster")
    data_dir = tmp_path_factory.mktemp("production")
    (data_dir / "dagster").mkdir()
    shutil.copy(DEPLOY / "dagster.yaml", data_dir / "dagster")
    url = postgres.url.replace("postgresql://shop@", "postgresql+psycopg2://dagster:secret@").replace("/shop", "/dagster")
    own = environment(data_dir, **{URL: url})
    program = [Path(sys.executable).parent / "segmentation", "instance"]
    both = [subprocess.Popen(program, cwd=ROOT, env=own, stdout=subprocess.DEVNULL) for _ in range(2)]
    return data_dir, own, [process.wait(120) for process in both]


@pytest.fixture
def instance(begun: tuple[Path, dict[str, str], list[int]], monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    data_dir, own, _ = begun
    monkeypatch.setenv(URL, own[URL])
    for variable in ("DAGSTER_HOME", "DAGSTER_DISABLE_TELEMETRY"):  # set by prepare_instance; pytest restores them
        monkeypatch.setenv(variable, "")
    prepare_instance(LOADED.model_copy(update={"data_dir": data_dir}))
    with dg.DagsterInstance.get() as found:
        yield found


@pytest.mark.full  # in CI, on SQLite, see `test_instance`
def test_two_simultaneous_first_commands_make_one_valid_instance(
    begun: tuple[Path, dict[str, str], list[int]], instance: dg.DagsterInstance
) -> None:
    data_dir, _, ended = begun
    assert ended == [0, 0]
    assert (data_dir / "dagster" / "dagster.yaml").read_bytes() == (DEPLOY / "dagster.yaml").read_bytes()  # nothing had to be added
    assert isinstance(instance, backfills.InOrderInstance)
    assert "Postgres" in type(instance.run_storage).__name__
    assert not list((data_dir / "dagster").rglob("*.db"))


@pytest.mark.full
def test_snapshots_are_recorded_on_postgresql_and_killed_runs_are_closed(
    begun: tuple[Path, dict[str, str], list[int]], instance: dg.DagsterInstance
) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    killed = instance.add_run(dg.DagsterRun(job_name="snapshot", status=dg.DagsterRunStatus.STARTED))
    beat = Path(instance.root_directory) / heartbeats.FOLDER / f"{killed.run_id}.json"
    beat.parent.mkdir(exist_ok=True)
    beat.write_text(json.dumps({"host": socket.gethostname(), "pid": gone.pid}))
    assert heartbeats.close_dead_runs(instance, dt.datetime.now(dt.UTC)) == [killed.run_id]
    job = build(LOADED.model_copy(update={"data_dir": begun[0]}), SHOP).resolve_job_def("snapshot")
    assert job.execute_in_process(partition_key=D1, instance=instance).success
    statuses = {run.run_id: run.status.value for run in instance.get_runs()}
    assert statuses.pop(killed.run_id) == "FAILURE" and list(statuses.values()) == ["SUCCESS"]
    assert instance.get_materialized_partitions(dg.AssetKey("segments")) == {D1}


def test_the_files_that_compose_mounts_exist() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    beside = {volume.split(":")[0] for service in services.values() for volume in service.get("volumes", ()) if volume.startswith("./")}
    assert {name for name in beside if not (DEPLOY / name).exists()} == {"./segmentation.yaml"}


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    for unit in (DEPLOY / "systemd").iterdir():
        here = unit.read_text().replace("/srv/segmentation/.venv/bin", str(Path(sys.executable).parent)).replace("User=segmentation", "")
        (tmp_path / unit.name).write_text(here)
    verify = [str(shutil.which("systemd-analyze")), "verify", *tmp_path.iterdir()]
    done = subprocess.run(verify, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
