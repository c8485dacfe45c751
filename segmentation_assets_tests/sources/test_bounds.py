"""What a source cannot make the program do: read or write outside the folders that the settings name, or fill memory and disk."""

import bz2
import gzip
import io
import lzma
import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from segmentation_assets.sources import text_files, unpacked
from segmentation_assets.sources.base import SourceError
from segmentation_assets.sources.json_files import HALF_A_PAIR, MOST_NESTED
from segmentation_assets_tests.sources.test_file_kinds import COLUMNS, TEXT, zipped

LIMIT = 1 << 20  # of what is unsuspected, in these tests
SIZE = 2 * LIMIT
BOMB = TEXT.encode() + b"c,2024-01-05,1\n" * (SIZE // 15)


def kept(opened: Callable[..., Any], files: str) -> Any:
    return opened(transactions={"files": files, "columns": COLUMNS}).source.kept("transactions")


def sheet(content: bytes) -> bytes:
    return zipped(**{"xl/worksheets/sheet1.xml": content})


def lying(packed: bytes, says: int) -> bytes:
    """A zip whose directory says that its part is smaller than it is."""
    return packed.replace(struct.pack("<I", len(BOMB)), struct.pack("<I", says))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("o.csv.gz", gzip.compress(BOMB)),
        ("o.csv.bz2", bz2.compress(BOMB)),
        ("o.csv.xz", lzma.compress(BOMB)),
        ("o.csv.zst", pa.compress(BOMB, codec="zstd", asbytes=True)),
        ("o.zip", zipped(**{"o.csv": BOMB})),
        ("o.xlsx", sheet(BOMB)),
    ],
    ids=["gzip", "bzip2", "xz", "zstd", "zip", "workbook"],
)
def test_a_file_that_unpacks_to_far_more_than_tables_do_is_refused(
    opened: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes
) -> None:
    monkeypatch.setattr(text_files, "UNSUSPECTED", LIMIT)
    monkeypatch.setattr(text_files, "MOST_TIMES", 50)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=rf"{name}: holds more than 50 times its own {len(content):,} bytes.*unpack it"):
        kept(opened, name)


@pytest.mark.parametrize(("name", "content"), [("o.zip", zipped(**{"o.csv": BOMB})), ("o.xlsx", sheet(BOMB))], ids=["zip", "workbook"])
def test_a_zip_that_says_it_holds_less_is_refused(
    opened: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes
) -> None:
    monkeypatch.setattr(unpacked, "UNSUSPECTED", LIMIT)
    (tmp_path / name).write_bytes(lying(content, says=10))
    with pytest.raises(SourceError, match="ends early or is damaged"):
        kept(opened, name)


def test_an_archive_in_an_archive_is_compared_with_the_outer_one(opened: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_files, "UNSUSPECTED", LIMIT)
    monkeypatch.setattr(text_files, "MOST_TIMES", 2000)  # which neither reaches alone
    (tmp_path / "o.zip.gz").write_bytes(gzip.compress(zipped(**{"o.csv": BOMB})))
    with pytest.raises(SourceError, match=r"o\.zip\.gz: holds more than 2000 times its own"):
        kept(opened, "o.zip.gz")


def test_what_is_packed_with_a_path_is_unpacked_into_the_scratch_folder_only(opened: Any, tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as packed:
        packed.writestr("../../../o.csv", TEXT)
    (folder / "o.zip").write_bytes(content.getvalue())
    [found] = kept(opened, "a/b/o.zip")
    assert found.rows == 2
    assert not list(tmp_path.rglob("o.csv"))


@pytest.mark.parametrize("row", ["[" * 200 + "]" * 200, '{"a":' * 200 + "1" + "}" * 200], ids=["lists", "objects"])
def test_a_row_nested_too_deeply_is_refused(opened: Any, tmp_path: Path, row: str) -> None:
    (tmp_path / "o.jsonl").write_text('{"id": "c1", "day": "2024-01-05", "paid": 10}\n' + f'{{"more": {row}}}\n')
    with pytest.raises(SourceError, match=f"o.jsonl: row 2 is nested more than {MOST_NESTED} deep"):
        kept(opened, "o.jsonl")


def test_brackets_in_a_text_are_not_nested(opened: Any, tmp_path: Path) -> None:
    (tmp_path / "o.jsonl").write_text('{"id": "' + '[{\\"' * 200 + '", "day": "2024-01-05", "paid": 10}\n')
    [found] = kept(opened, "o.jsonl")
    assert found.rows == 1


@pytest.mark.parametrize("files", ["in", "in/*.csv", "in/**/*.csv"])
@pytest.mark.parametrize("through", ["file", "folder"])
def test_a_link_does_not_lead_out_of_the_folder_that_is_named(opened: Any, tmp_path: Path, files: str, through: str) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "in" / "year=2024"
    outside.mkdir()
    (tmp_path / "in").mkdir()
    (outside / "secret.csv").write_text(TEXT)
    if through == "file":
        (tmp_path / "in" / "link.csv").symlink_to(outside / "secret.csv")
    elif files == "in":
        folder.symlink_to(outside)
    else:
        pytest.skip("patterns follow no links to folders")
    with pytest.raises(SourceError, match=r"(link|secret)\.csv: is a link to a file outside of .*in.*Name that file itself"):
        kept(opened, files)


def test_a_link_that_is_named_itself_or_stays_within_is_read(opened: Any, tmp_path: Path) -> None:
    (tmp_path / "in" / "year=2024").mkdir(parents=True)
    (tmp_path / "in" / "year=2024" / "o.csv").write_text(TEXT)
    (tmp_path / "in" / "same.csv").symlink_to(tmp_path / "in" / "year=2024" / "o.csv")
    (tmp_path / "named.csv").symlink_to(tmp_path / "in" / "same.csv")
    (tmp_path / "other").symlink_to(tmp_path / "in")
    assert [len(kept(opened, files)) for files in ("named.csv", "in", "other")] == [1, 2, 2]


@pytest.mark.parametrize("files", ["in", "in/*.csv"])
def test_a_link_that_leads_nowhere_is_not_passed_over(opened: Any, tmp_path: Path, files: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "o.csv").write_text(TEXT)
    (tmp_path / "in" / "march.csv").symlink_to(tmp_path / "gone.csv")
    with pytest.raises(
        SourceError, match=r"march\.csv: is a link to .*gone\.csv, which does not exist\. Restore that file, or remove the link"
    ):
        kept(opened, files)


def test_a_file_whose_name_is_no_text_is_refused(opened: Any, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / os.fsdecode(b"o\xff.csv")).write_text(TEXT)
    with pytest.raises(SourceError, match=r"o\\udcff\.csv: its name has bytes that are not UTF-8\. Rename it\."):
        kept(opened, "in")


def test_half_of_a_surrogate_pair_is_told(opened: Any, tmp_path: Path) -> None:
    line = '{{"id": "{}", "day": "2024-01-05", "paid": 1}}\n'
    (tmp_path / "o.jsonl").write_text("".join(line.format(who) for who in ("a", r"b\ud800", r"\ud83d\ude00")))
    rows = opened(transactions={"files": "o.jsonl", "columns": COLUMNS}).rows("transactions")
    assert [row["problem"] for row in rows] == [None, HALF_A_PAIR, None]
    assert rows[2]["customer_id"] == "\U0001f600"


def workbook(*cells: str) -> bytes:
    rows = "".join(f'<row><c r="{cell}" t="inlineStr"><is><t>x</t></is></c></row>' for cell in cells)
    return f'<?xml version="1.0"?><worksheet><sheetData>{rows}</sheetData></worksheet>'.encode()


def test_a_workbook_whose_cells_are_far_apart_is_refused_before_its_reader_takes_memory_for_them(opened: Any, tmp_path: Path) -> None:
    (tmp_path / "o.xlsx").write_bytes(sheet(workbook("A1", "XFD1048576")))
    far = r"o\.xlsx: the 2 cells of xl/worksheets/sheet1\.xml are far apart, in a rectangle of 1,048,576 rows and 16,384 columns\. Delete"
    with pytest.raises(SourceError, match=far):
        kept(opened, "o.xlsx")


@pytest.mark.parametrize(("at_once", "extent"), [(1 << 20, (3, 26, 28)), (7, (3, 26, 28))], ids=["whole", "in pieces"])
def test_the_extent_of_a_sheet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int, extent: tuple[int, int, int]) -> None:
    monkeypatch.setattr(unpacked, "CHUNK", at_once)
    cells, rows, columns = unpacked._extent(io.BytesIO(workbook("B5", "AC30", "C7")), tmp_path)
    assert (cells >= extent[0], rows, columns) == (True, *extent[1:])
