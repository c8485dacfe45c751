"""What is locked agrees with what is tested, has hashes, and has its licence listed."""

import re

from segmentation_assets_tests.conftest import ROOT

PIN = re.compile(r"^([A-Za-z0-9_.-]+)==([^\s;]+)(.*?)(?=^\S|\Z)", re.MULTILINE | re.DOTALL)
ELSEWHERE = "sys_platform == 'win32'"  # not installed where the licences were listed


def pins(name: str) -> dict[str, tuple[str, str]]:
    """Package -> its version, and the rest of its lines."""
    found = PIN.findall((ROOT / name).read_text(encoding="utf-8"))
    return {folded(package): (version, rest) for package, version, rest in found}


def folded(package: str) -> str:
    return re.sub(r"[-_.]+", "-", package).lower()


def test_the_lock_has_the_versions_of_constraints_and_hashes_for_each() -> None:
    locked, tested = pins("requirements.lock"), pins("constraints.txt")
    assert len(locked) > 90
    assert {name: version for name, (version, _) in locked.items() if name in tested and version != tested[name][0]} == {}, "run: make lock"
    assert [name for name, (_, rest) in locked.items() if "--hash=sha256:" not in rest] == []


def test_the_lock_has_everything_that_pyproject_asks_for() -> None:
    required = re.search(r"^dependencies = \[(.*?)^\]", (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert required
    names = {folded(name) for name in re.findall(r'^ *"([A-Za-z0-9_-]+)', required[1], re.MULTILINE)}
    assert names - pins("requirements.lock").keys() == set(), "run: make lock"


def test_the_licence_of_everything_locked_is_listed() -> None:
    rows = re.findall(r"^\| (\S+) +\| (\S+) +\| (.+?) +\|$", (ROOT / "docs" / "licences.md").read_text(encoding="utf-8"), re.MULTILINE)
    listed = {folded(name): version for name, version, _ in rows}
    here = {name: version for name, (version, rest) in pins("requirements.lock").items() if ELSEWHERE not in rest}
    assert {name: version for name, version in here.items() if listed.get(name) != version} == {}, "run: make licences"
    assert not [name for name, _, licence in rows if licence == "UNKNOWN"]
