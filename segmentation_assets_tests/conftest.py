"""What tests share: settings of their own, a small lake, and one real run of the demo for all tests that only read it."""

import contextlib
import gc
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import click.testing
import pytest
from filelock import FileLock
from hypothesis import settings as hypothesis_settings

ROOT = Path(__file__).parent.parent

# Partitions are made when the graph is loaded, so the tests' settings must be in force before anything is imported.
for name in [name for name in os.environ if name.startswith("SEGMENTATION_") or name == "DAGSTER_HOME"]:
    del os.environ[name]
os.environ["SEGMENTATION_SETTINGS"] = str(Path(__file__).with_name("settings.yaml"))
os.environ["DAGSTER_DISABLE_TELEMETRY"] = "1"
# Else each of the many processes that tests start compiles every module that it imports, which is most of its time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# Two workers whose threads wait for each other on two cores, spinning, took twice the CPU time. Read when NumPy is first imported.
os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

# The same few examples each time, so that a change is judged by what it changes; HYPOTHESIS_PROFILE=random, as in `make full`, looks for
# new ones among ten times as many.
hypothesis_settings.register_profile("same", max_examples=20, deadline=None, derandomize=True)
hypothesis_settings.register_profile("random", max_examples=200, deadline=None)
PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "same")
hypothesis_settings.load_profile(PROFILE)


def examples(number: int, **further: Any) -> hypothesis_settings:
    """Settings of a property test that is dear: how many examples it takes in CI."""
    return hypothesis_settings(max_examples=number if PROFILE == "same" else 10 * number, **further)


from segmentation_assets.engines.duckdb import DuckDBEngine  # noqa: E402
from segmentation_assets.store.lake import Lake  # noqa: E402


def environment(data_dir: Path, **further: str) -> dict[str, str]:
    """The environment of a process that runs on the shipped settings and writes into `data_dir`."""
    shipped = {"SEGMENTATION_DATA_DIR": str(data_dir), "SEGMENTATION_SETTINGS": str(ROOT / "segmentation.yaml")}
    return {**os.environ, **shipped, **further}


def segmentation(*arguments: str, data_dir: Path, **further: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own, on the shipped settings."""
    return subprocess.run(  # our own program
        [Path(sys.executable).parent / "segmentation", *arguments],
        cwd=ROOT,
        env=environment(data_dir, **further),
        capture_output=True,
        text=True,
        check=False,
    )


def called(*arguments: str, data_dir: Path, **further: str) -> click.testing.Result:
    """Call the command line in this process, on the shipped settings: seconds cheaper than `segmentation`.

    A command that makes snapshots leaves Dagster's home in the environment, which is restored after it.
    """
    from segmentation_assets.cli.main import main

    with contextlib.chdir(ROOT), mock.patch.dict(os.environ):
        return click.testing.CliRunner(env=environment(data_dir, **further)).invoke(main, arguments)


# Fixtures that take long to make, and the group of the tests that share them; None: those of their own file.
SHARED = {
    "demo": "demo", "demo_history": "history", "spark": "history", "story": None, "made": None, "shop": None, "bad_shop": None,
    "postgres": None, "mariadb": None, "any_database": None, "distinct": None, "convenient": None,
}  # fmt: skip
LONGEST = ("demo", "daemon", "history")  # begun first, so that no worker is left with one of them at the end


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name a case after its argument where its value is bytes or long text.

    An archive's bytes hold the second at which it was made, and two workers must collect the same names.
    """
    return argname if isinstance(val, bytes) or (isinstance(val, str) and len(val) > 100) else None


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that share what takes long to make go to one worker, so that no other makes it too or waits; the longest go first."""
    for item in items:
        shared = next((name for name in SHARED if name in getattr(item, "fixturenames", ())), None)
        if shared:
            item.add_marker(pytest.mark.xdist_group(SHARED[shared] or item.path.stem))
    items.sort(key=_turn)


def pytest_collection_finish() -> None:
    """Leave what was imported out of garbage collections, and hold fewer: they took an eighth of all time, now a thirtieth."""
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)


def _turn(item: pytest.Item) -> int:
    group = item.get_closest_marker("xdist_group")
    if group is None:
        return len(LONGEST) + (1 if item.get_closest_marker("slow") else 2)
    return LONGEST.index(group.args[0]) if group.args[0] in LONGEST else len(LONGEST)


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    engine = DuckDBEngine(threads=2)
    yield Lake(tmp_path / "data" / "lake", engine)
    engine.close()


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """Data folder in which `segmentation run --all` was run on the demo data, as `make demo` does; once for all workers."""
    parallel = worker_id != "master"
    base = tmp_path_factory.getbasetemp().parent if parallel else tmp_path_factory.getbasetemp()
    folder, output = base / "demo", base / "demo" / "output.txt"
    with FileLock(base / "demo.lock"):
        if not output.exists():
            done = segmentation("run", "--all", data_dir=folder)
            assert done.returncode == 0, done.stdout + done.stderr
            output.write_text(done.stdout, encoding="utf-8")
    return folder
