"""The wheel, installed into an empty folder: most users have no clone."""

import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import numpy
import pytest

from benchmarks.page import Graph
from segmentation_assets_tests.conftest import ROOT
from segmentation_assets_tests.test_ui import served

ORDERS = "customer_id,order_id,ordered_at,amount\n" + "".join(
    f"c{customer},{customer}-{day},2024-{month:02}-{day:02},{customer * 3 + day}\n"
    for month in (1, 2) for customer in range(12) for day in range(1 + customer % 3, 28, 4 + customer)
)  # fmt: skip
OURS = ("SEGMENTATION_", "DAGSTER_HOME", "PYTHONPATH")


PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    source = tmp_path / "source"  # a copy, because building leaves folders behind
    shutil.copytree(ROOT / "segmentation_assets", source / "segmentation_assets", ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, source)
    subprocess.run([*PIP, "wheel", "--no-deps", "--wheel-dir", tmp_path, source], check=True)
    (built,) = tmp_path.glob("*.whl")
    return built


def test_the_wheel_holds_every_file_of_the_package(wheel: Path, tmp_path: Path) -> None:
    ours = {
        file.relative_to(tmp_path / "source").as_posix() for file in (tmp_path / "source/segmentation_assets").rglob("*") if file.is_file()
    }
    with zipfile.ZipFile(wheel) as archive:
        assert {name for name in archive.namelist() if ".dist-info/" not in name} == ours


@pytest.fixture
def installed(wheel: Path, tmp_path: Path) -> Path:
    """The programs of an environment with the wheel; its dependencies come from the tests' own environment, not the repository."""
    venv.create(tmp_path / "venv")
    (library,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    (library / "needed.pth").write_text(f"{Path(numpy.__file__).parents[1]}\n")
    subprocess.run(
        [*PIP, "--python", tmp_path / "venv" / "bin" / "python", "install", "--no-deps", "--no-compile", "--ignore-installed", wheel],
        check=True,
    )
    return tmp_path / "venv" / "bin"


@pytest.mark.full
def test_the_installed_wheel_makes_settings_and_snapshots_and_serves_the_page(installed: Path, tmp_path: Path) -> None:
    shop, program = tmp_path / "shop", installed / "segmentation"
    shop.mkdir()
    (shop / "orders.csv").write_text(ORDERS)
    own = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    where = {"cwd": shop, "env": {**own, "SEGMENTATION_EXPLORATION__PICTURES": "false", "SEGMENTATION_SNAPSHOTS__LAST": "2024-03-01"}}
    for arguments in (["init", "orders.csv"], ["run", "--snapshot", "2024-03-01"]):
        subprocess.run([program, *arguments], check=True, **where)
    found = subprocess.run(
        [installed / "python", "-c", "import segmentation_assets as s; print(s.__file__)"], stdout=-1, check=True, **where
    )
    assert str(tmp_path).encode() in found.stdout
    with served(shop / "data", program=program, **where) as address:
        assert len(Graph(address).assets) == 56
