"""A moved or copied folder, or an older master, is put right without losing a snapshot or what users wrote."""

import shutil

import duckdb
import pytest

from segmentation_assets.store import database_files
from segmentation_assets_tests.builders import D1, D2
from segmentation_assets_tests.store.conftest import LINES, NAMES, ask, line, make, segment


@pytest.mark.parametrize(
    ("how", "refusal"),
    [("moved", "No files found"), ("copied", r"which was moved or copied\. Run a command there first, such as segmentation show: .*other")],
)
def test_a_moved_or_copied_folder_has_its_own_order_lines(how, refusal, lake, data_dir, tmp_path):
    make(lake, D1, transactions=[line("original")])
    other = tmp_path / "other"
    (shutil.move if how == "moved" else shutil.copytree)(data_dir, other)
    if how == "copied":
        make(lake, D1, transactions=[line("changed")])
    with (
        duckdb.connect(str(other / database_files.DATABASE), read_only=True) as elsewhere,
        pytest.raises(duckdb.Error, match=refusal),
    ):
        elsewhere.sql(LINES).fetchall()
    assert ask(other, LINES) == [("original",)]
    with duckdb.connect(str(other / database_files.DATABASE), read_only=True) as elsewhere:
        assert elsewhere.sql(LINES).fetchall() == [("original",)]
    if how == "copied":
        assert ask(data_dir, LINES) == [("changed",)]
    assert not list(other.glob("*.kept-*"))  # copying does not count as writing


def test_tables_written_by_a_user_into_a_copy_are_set_aside(lake, data_dir, tmp_path):
    make(lake, D1)
    other = tmp_path / "other"
    shutil.copytree(data_dir, other)
    with duckdb.connect(str(other / database_files.DATABASE)) as mine:
        mine.execute("CREATE TABLE notes AS SELECT 1 AS note")
    ask(other, NAMES)
    (kept,) = other.glob("*.kept-*.duckdb")
    with duckdb.connect(str(kept), read_only=True) as found:
        assert found.sql("FROM notes").fetchall() == [(1,)]


def test_restoring_an_older_master_loses_no_published_snapshot(lake, data_dir):
    make(lake, D1, segments=[segment("A")])
    master = data_dir / database_files.PRIVATE / database_files.MASTER
    older = master.read_bytes()
    make(lake, D2, segments=[segment("B")])
    master.write_bytes(older)
    make(lake, D1, segments=[segment("C")])
    assert ask(data_dir, NAMES) == [(D1, "C"), (D2, "B")]
