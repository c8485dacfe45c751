"""Files in practice: packed, misnamed, empty, in folders, as JSON of any form, and with columns of any type."""

import datetime as dt
import decimal
import gzip
import io
import json
import os
import shutil
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import ibis
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import HealthCheck, example, given
from hypothesis import strategies as st

from segmentation_assets.cli.check.described import described
from segmentation_assets.settings.source import FileLookup, Files
from segmentation_assets.sources import files, intake, json_text
from segmentation_assets.sources.base import NoRows, SourceError
from segmentation_assets.sources.dialects import titles_above
from segmentation_assets.sources.file_profile import look_at
from segmentation_assets.sources.first_settings import write
from segmentation_assets.sources.json_text import JsonText
from segmentation_assets.sources.reading import connect
from segmentation_assets_tests.conftest import examples
from segmentation_assets_tests.sources.conftest import opened_in

COLUMNS = {"customer_id": "id", "ordered_at": "day", "amount": "paid"}
TEXT = "id,day,paid\nc1,2024-01-05,10.5\nc2,2024-01-06,-3\n"
EXPECTED = [("c1", dt.datetime(2024, 1, 5), 10.5), ("c2", dt.datetime(2024, 1, 6), -3.0)]
OBJECTS = [{"id": "c1", "day": "2024-01-05", "paid": 10.5}, {"id": "c2", "day": "2024-01-06", "paid": -3}]


def zipped(**members: str | bytes) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, text in members.items():
            packed.writestr(name, text)
    return content.getvalue()


def workbook() -> bytes:
    book, content = openpyxl.Workbook(), io.BytesIO()
    for row in [["id", "day", "paid"], *([i, d, p] for i, d, p in EXPECTED)]:
        book.active.append(row)
    book.save(content)
    return content.getvalue()


def parquet() -> bytes:
    ids, days, paid = zip(*EXPECTED, strict=True)
    content = io.BytesIO()
    pq.write_table(pa.table({"id": ids, "day": pa.array(days, pa.timestamp("ms")), "paid": paid}), content)
    return content.getvalue()


def tarred() -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as packed:
        entry = tarfile.TarInfo("orders.csv")
        entry.size = len(TEXT)
        packed.addfile(entry, io.BytesIO(TEXT.encode()))
    return content.getvalue()


def zstd(text: str) -> bytes:
    return pa.Codec("zstd").compress(text.encode(), asbytes=True)


def found(opened: Any, name: str = "orders.csv", **options: Any) -> list[tuple[Any, ...]]:
    rows = opened(transactions={"files": name, "columns": COLUMNS, **options}).rows()
    assert [row["row_number"] for row in rows] == list(range(1, len(rows) + 1))
    assert all(row["problem"] is None and row["record"] is None for row in rows)
    return [(row["customer_id"], row["ordered_at"], row["amount"]) for row in rows]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("orders.csv", zipped(**{"orders.csv": TEXT})),
        ("orders.zip", zipped(**{"in/orders.csv": TEXT, "__MACOSX/in/._orders.csv": b"\0", "READ ME": "hello"})),
        ("orders.csv.zip", zipped(orders=TEXT)),
        ("orders.zip", zipped(**{"orders.csv": TEXT, "readme.txt": "", "second.csv": ""})),
        ("orders.zip", zipped(**{"orders.csv": TEXT, "doc/Read_me.txt": "hello", "LICENSE.txt": "free"})),
        ("orders.zip", zipped(**{"notices.csv": TEXT})),
        ("orders.zip", zipped(**{"orders.json": json.dumps(OBJECTS)})),
        ("orders.zip", zipped(**{"orders.csv.gz": gzip.compress(TEXT.encode())})),
        ("orders.csv", gzip.compress(TEXT.encode())),
        ("orders.csv.gz", TEXT.encode()),
        ("orders.csv.gz", gzip.compress(gzip.compress(TEXT.encode()))),
        ("orders.csv", TEXT.encode("utf-16-le")),
        ("orders.xls", TEXT.encode("utf-16-be")),
        ("orders.csv.zst", zstd(TEXT)),
        ("orders.csv", workbook()),
        ("orders.xlsx.gz", gzip.compress(workbook())),
        ("orders.txt", parquet()),
        ("orders.pq.gz", gzip.compress(parquet())),
        ("orders.xls", TEXT.replace(",", "\t").encode()),
        ("orders.txt", json.dumps(OBJECTS).encode()),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_file_is_read_by_its_content_and_not_its_name(opened: Any, tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert found(opened, name) == EXPECTED


def test_other_files_in_a_zip_are_named(opened: Any, tmp_path: Path) -> None:
    (tmp_path / "orders.zip").write_bytes(zipped(**{"in/orders.csv": TEXT, "readme.txt": "", "__MACOSX/x": "y"}))
    [kept] = opened(transactions={"files": "orders.zip", "columns": COLUMNS}).source.kept("transactions")
    assert kept.notes["unpacked"] == "in/orders.csv (readme.txt skipped)"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("o.zip", zipped(**{"a.csv": TEXT, "b.csv": TEXT}), "o.zip: is a zip that holds 2 files: a.csv, b.csv"),
        ("o.zip", zipped(**{"o.csv": TEXT})[:-30], "damaged"),
        ("o.csv", tarred(), "o.csv: is a tar archive"),
        ("o.csv", b"SQLite format 3\0" + b"\0" * 80, "sqlite:///"),
        ("o.xls", b"<html><table><tr><td>id</td></tr></table>", "is a web page"),
        ("o.csv", b"\xef\xbb\xbf<!DOCTYPE html>", "is a web page"),
        ("o.csv", b"%PDF-1.4", "is a PDF"),
        ("o.csv", "\u0438\u0434,\u0434\u0435\u043d\u044c\n\u0430\u0431,1\n".encode("utf-16-le"), "Set encoding to that of the file"),
    ],
)
def test_files_that_are_not_tables_are_refused_with_the_reason(
    opened: Any, tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=message):
        found(opened, name)


@pytest.mark.parametrize(
    "text",
    [
        "sep=;\n" + TEXT.replace(",", ";"),
        "\ufeffSEP=;\r\n" + TEXT.replace(",", ";").replace("\n", "\r\n"),
        "sep=\t\n" + TEXT.replace(",", "\t"),
        "sep=\\t\n" + TEXT.replace(",", "\t"),
        '"sep=|"\n' + TEXT.replace(",", "|"),
        TEXT.replace("paid\n", "paid,\n", 1),
        TEXT.replace("paid\n", "paid,,\n", 1),
        TEXT.replace("10.5\n", "10.5,\n").replace("-3\n", "-3,\n"),
        TEXT.replace("\n", ",\n"),
    ],
    ids=["sep", "sep-bom", "sep-tab", "sep-written-tab", "sep-quoted", "header-ends", "header-ends-twice", "rows-end", "all-end"],
)
def test_trailing_delimiters_and_sep_lines_are_ignored(opened: Any, tmp_path: Path, text: str) -> None:
    (tmp_path / "orders.csv").write_bytes(text.encode())
    source = opened(transactions={"files": "orders.csv", "columns": COLUMNS})
    assert [(row["customer_id"], row["ordered_at"], row["amount"]) for row in source.rows()] == EXPECTED
    assert "reader" not in source.source.kept("transactions")[0].notes or "\ufeff" in text  # read by the engine's own reader, which is fast


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("Orders, May\nGenerated 2024-05-01 by Ann\n\n" + TEXT.replace(",", ";"), "below a title of 3 lines"),
        ("Orders export;;\n" + TEXT.replace(",", ";"), "below a title of 1 line"),
        ("Orders export\n" + TEXT, "below a title of 1 line"),
        ("Shop,Acme,,\n" + TEXT.replace("\n", ",x\n"), "below a title of 1 line"),
        ("\n" + TEXT, None),
        (TEXT, None),
    ],
    ids=["three", "with-delimiters", "one", "name-and-value", "blank", "none"],
)
def test_a_title_above_the_header_is_skipped_and_reported(opened: Any, tmp_path: Path, text: str, header: str | None) -> None:
    (tmp_path / "orders.csv").write_text(text)
    assert found(opened) == EXPECTED
    [kept] = opened(transactions={"files": "orders.csv", "columns": COLUMNS}).source.kept("transactions")
    assert kept.notes.get("header") == header


def test_a_title_above_the_header_of_a_worksheet_is_skipped(opened: Any, tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for row in (
        ["Orders", None, None],
        [None, "May 2024", None],
        [],
        ["id", "day", "paid"],
        ["c1", "2024-01-05", 10.5],
        ["c2", "2024-01-06", -3],
    ):
        book.active.append(row)
    book.save(tmp_path / "orders.xlsx")
    source = opened(transactions={"files": "orders.xlsx", "columns": COLUMNS})
    assert [row["customer_id"] for row in source.rows()] == ["c1", "c2"]
    assert source.source.kept("transactions")[0].notes["header"] == "below a title of 2 rows"


@pytest.mark.parametrize(
    "rows",
    [
        [["amount"], ["12", "50"], ["13", "50"]],  # one column of decimals
        [["id"], ["c1"], ["c2"]],
        [["comment"], ["hello", "you"], ["hello"], ["a", "b", "c"]],
        [["id", "day"], ["c1", ""], ["c2", ""]],
        [["a"], ["b"], ["c"], ["d"], ["id", "day"], ["c1", "2024"]],
        [],
    ],
)
def test_ordinary_rows_are_not_taken_for_a_title(rows: list[list[str]]) -> None:
    assert titles_above(rows) == 0


def test_a_filled_cell_after_a_trailing_delimiter_is_a_problem(opened: Any, tmp_path: Path) -> None:
    lines = "".join(f"c{i},2024-01-05,{i},\n" for i in range(200))
    (tmp_path / "orders.csv").write_text("id,day,paid\n" + lines + "c9,2024-01-05,1,note\n")
    rows = opened(transactions={"files": "orders.csv", "columns": COLUMNS}).rows()
    assert [(row["row_number"], row["problem"]) for row in rows if row["problem"]] == [(201, "it has 4 cells, its header 3")]


def test_files_without_rows_are_skipped_and_named(opened: Any, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / "old").mkdir(parents=True)
    (folder / "old" / "x.csv").write_text(TEXT)
    (folder / "1.csv").write_text("id,day,paid\n")
    (folder / "2.csv").write_text("id,day,paid\nc1,05/02/2024,10.5\nc2,13/02/2024,-3\n")
    (folder / "3.csv").write_bytes(b"")
    (folder / "4.csv.gz").write_bytes(gzip.compress(b""))
    (folder / "5.json").write_text("[]")
    (folder / "6.json").write_text('{"orders": [], "count": 0}')
    (folder / "7.csv").write_bytes("sep=;\n".encode("utf-16"))
    pq.write_table(pa.table({"id": pa.array([], pa.string())}), folder / "8.parquet")
    source = opened(transactions={"files": "in", "columns": COLUMNS})
    assert [row["ordered_at"].date().isoformat() for row in source.rows()] == ["2024-02-05", "2024-02-13"]  # dates of the file with rows
    kept = source.source.kept("transactions")
    assert {file.source: file.skipped for file in kept} == {
        "1.csv": "has a header and no rows",
        "2.csv": None,
        "3.csv": "is empty",
        "4.csv.gz": "is empty",
        "5.json": "is an empty list",
        "6.json": "is one object whose list, orders, is empty",
        "7.csv": "is empty",
        "8.parquet": "has columns and no rows",
        "old/": "is a subfolder; to read it too, write `files: in/**/*.csv`, or list it",
    }
    assert "skipped: 3.csv, 4.csv.gz, 7.csv, which is empty" in [" ".join(line.split()) for line in described(kept)]
    text = write(look_at([folder]), tmp_path)
    assert "files: in\n" in text and "3.csv, which is empty" in text and "2024-02-05 to 2024-02-13" in text


def test_customer_files_may_include_an_empty_one(opened: Any, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_text("")
    (tmp_path / "in" / "b.csv").write_text("id,age\nc1,30\n")
    (tmp_path / "orders.csv").write_text(TEXT)
    customers = {"files": "in", "columns": {"customer_id": "id"}}
    rows = opened(transactions={"files": "orders.csv", "columns": COLUMNS}, customers=customers).rows("customers")
    assert [(row["customer_id"], row["age"]) for row in rows] == [("c1", 30.0)]


def test_a_folder_of_empty_files_is_an_error(opened: Any, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("1.csv", "2.csv"):
        (tmp_path / "in" / name).write_text("id,day,paid\n")
    with pytest.raises(SourceError, match=r"all of its 2 files are empty, such as 1\.csv, which has a header and no rows"):
        found(opened, "in")
    with pytest.raises(SourceError, match="all of its 2 files are empty"):
        look_at([tmp_path / "in"])


def test_hive_folders_become_columns(opened: Any, tmp_path: Path) -> None:
    for month, part in (("1", TEXT), ("2", TEXT.replace("2024-01", "2024-02")), ("__HIVE_DEFAULT_PARTITION__", TEXT)):
        folder = tmp_path / "orders" / "year=2024" / f"month={month}"
        folder.mkdir(parents=True)
        (folder / "part-0.csv").write_text(part)
        (folder / "_SUCCESS").write_text("")
    columns = {**COLUMNS, "category": "month", "order_id": "year || '-' || month"}
    rows = opened(transactions={"files": "orders", "columns": columns}).rows()
    assert [(row["source_file"], row["category"]) for row in rows[::2]] == [
        (f"year=2024/month={month}/part-0.csv", value) for month, value in (("1", "1"), ("2", "2"), ("__HIVE_DEFAULT_PARTITION__", None))
    ]
    assert rows[0]["order_id"] == "2024-1"


def test_files_only_in_subfolders_are_an_error_that_says_how_to_read_them(opened: Any, tmp_path: Path) -> None:
    (tmp_path / "in" / "2023").mkdir(parents=True)
    (tmp_path / "in" / "2023" / "o.csv").write_text(TEXT)
    with pytest.raises(SourceError, match=r"its subfolders 2023 are not read by default. Write `files: .*in/\*\*/\*\.csv`"):
        found(opened, "in")
    assert found(opened, "in/**/*.csv") == EXPECTED


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(OBJECTS),
        json.dumps(OBJECTS, indent=2),
        json.dumps({"orders": OBJECTS, "page": 1, "next": None}),
        json.dumps({"data": {"orders": OBJECTS, "tags": ["a"]}}, indent=1),
        "\n".join(json.dumps(one, indent=1) for one in OBJECTS),
        "\n".join(json.dumps(one) for one in OBJECTS),
        " \n" + json.dumps(OBJECTS) + "\n\n",
    ],
    ids=["list", "pretty", "wrapped", "wrapped-twice", "one-after-the-other", "lines", "blank-around"],
)
def test_json_is_read_in_any_form(opened: Any, tmp_path: Path, text: str) -> None:
    encoding = "utf-16" if text.startswith("[{") else "utf-8-sig" if text.startswith("[") else "utf-8"
    (tmp_path / "orders.json").write_bytes(text.encode(encoding))
    assert found(opened, "orders.json") == EXPECTED


def test_json_keeps_long_numbers_and_unnests_objects(opened: Any, tmp_path: Path) -> None:
    long = "12345678901234567890123"
    lines = [
        f'{{"customer": {{"id": {long}, "mail": "a"}}, "day": "2024-01-05", "paid": NaN, "items": [{{"sku": 1}}]}}',
        '{"customer": "guest", "day": "2024-01-05", "paid": 0.30000000000000004}',
        '{"customer": {"id": 9007199254740993, "address": {"zip/code": "01234"}}, "day": "2024-01-05", "paid": 1e999}',
    ]
    (tmp_path / "o.json").write_text(f"[{','.join(lines)}]")
    columns = {
        "customer_id": "COALESCE(customer.id, customer)",
        "ordered_at": "day",
        "amount": "paid",
        "category": "customer.address.zip/code",
    }
    source = opened(transactions={"files": "o.json", "columns": columns})
    rows = source.rows()
    assert [(row["customer_id"], row["amount"], row["category"], row["unread"]) for row in rows] == [
        (long, None, None, None),
        ("guest", 0.30000000000000004, None, None),
        ("9007199254740993", None, "01234", "amount"),
    ]
    assert json.loads(rows[2]["record"])["customer.id"] == "9007199254740993"
    assert source.source.kept("transactions")[0].columns == {
        "customer": "text", "customer.address.zip/code": "number", "customer.id": "number", "customer.mail": "text", "day": "date",
        "items": "list", "paid": "number",
    } | {"customer.address.zip/code": "text"}  # fmt: skip


def test_fields_of_a_json_object_are_proposed_not_the_whole_object(opened: Any, tmp_path: Path) -> None:
    orders = [{"customer": {"id": f"c{i}", "email": "x"}, "day": "2024-01-05", "total": 1, "items": [{"sku": "a"}]} for i in range(9)]
    (tmp_path / "o.json").write_text(json.dumps(orders))
    assert look_at([tmp_path / "o.json"])[0].found["customer_id"] == "customer.id"
    assert "items" not in look_at([tmp_path / "o.json"])[0].found.values()
    with pytest.raises(SourceError, match=r"Did you mean 'customer\.(id|email)'"):
        found(opened, "o.json", columns={"customer_id": "customer", "ordered_at": "day", "amount": "total"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": [{"x": 1}], "b": [{"x": 1}]}', "several lists of objects: a, b"),
        ('[{"id": 1}, {"id": 2', "is not JSON, or ends early"),
        ('[{"id": 1}] trailing', "something follows the list"),
        ("[1, 2]", "no line is a JSON object"),
    ],
)
def test_json_that_cannot_be_read_says_why(opened: Any, tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "o.json").write_text(text)
    with pytest.raises(SourceError, match=message):
        found(opened, "o.json")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@examples(20, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(values=st.lists(VALUES, max_size=6), indent=st.sampled_from([None, 1]), chunk=st.integers(1, 40))
def test_any_json_list_is_split_into_its_values(
    tmp_path_factory: pytest.TempPathFactory, values: list[Any], indent: int | None, chunk: int
) -> None:
    file = tmp_path_factory.mktemp("json") / "o.json"
    file.write_text(json.dumps({"n": 1, "rows": values}, indent=indent), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_text.text_files, "CHUNK", chunk)
        cut = [json.loads(text) for text in JsonText(file, "utf-8").elements(("rows",))]
    assert json.dumps(cut) == json.dumps(values)


def test_a_large_json_list_is_read_in_parts(tmp_path: Path) -> None:
    file = tmp_path / "o.json"
    file.write_text(json.dumps([{"id": i, "text": "x" * 1000} for i in range(4000)]))
    text, most = JsonText(file, "utf-8"), 0
    for _ in text.elements():
        most = max(most, len(text.text))
    assert most < file.stat().st_size / 1.5


TIME = pa.array([dt.time(1, 2), None])
ODD: dict[str, pa.Array] = {
    "float16": pa.array([1.5, None], pa.float32()).cast(pa.float16()),
    "nan": pa.array([float("nan"), float("inf")]),
    "float32_nan": pa.array([float("nan"), float("-inf")], pa.float32()),
    "beyond_int64": pa.array([1e19, -1e300]),
    "time": TIME,
    "time_ns": TIME.cast(pa.time64("ns")),
    "duration": pa.array([dt.timedelta(1), None], pa.duration("ns")),
    "struct": pa.array([{"x": {"y": float("nan")}}, None]),
    "list": pa.array([[1.0, float("nan")], None]),
    "map": pa.array([[("a", 1)], None], pa.map_(pa.string(), pa.int64())),
    "binary": pa.array([b"\xff\x00", None]),
    "fixed": pa.array([b"abc", None], pa.binary(3)),
    "decimal256": pa.array([decimal.Decimal("1" * 45), None], pa.decimal256(50, 2)),
    "decimal38": pa.array([decimal.Decimal("1" * 30), None], pa.decimal128(38, 5)),
    "dictionary": pa.array(["a", None]).dictionary_encode(),
    "uint64": pa.array([2**64 - 1, None], pa.uint64()),
    "null": pa.nulls(2),
    "ns": pa.array([dt.datetime(2024, 1, 1), None], pa.timestamp("ns")),
    "ns_tz": pa.array([dt.datetime(2024, 1, 1), None], pa.timestamp("ns", "America/New_York")),
    "date64": pa.array([dt.date(2024, 1, 1), None], pa.date64()),
}
PLAIN = {"id": ["c1", "c2"], "day": pa.array([dt.datetime(2024, 1, 5)] * 2, pa.timestamp("us")), "paid": [1.0, 2.0]}


def test_unmapped_columns_may_have_any_type(opened: Any, tmp_path: Path) -> None:
    pq.write_table(pa.table({**PLAIN, **ODD}), tmp_path / "o.parquet")
    source = opened(transactions={"files": "o.parquet", "columns": COLUMNS})
    assert [(row["customer_id"], row["amount"], row["record"]) for row in source.rows()] == [("c1", 1.0, None), ("c2", 2.0, None)]
    kept = source.source.kept("transactions")[0].columns
    assert kept["struct.x.y"] == "empty" and kept["time"] == "text" and kept["ns_tz"] == "date" and kept["list"] == "list"
    assert look_at([tmp_path / "o.parquet"])[0].columns == kept


@pytest.mark.parametrize("kind", sorted(ODD))
def test_a_mapped_column_may_have_any_type(opened: Any, tmp_path: Path, kind: str) -> None:
    """Mapped as id, time and amount at once; the record of an unreadable row is valid JSON."""
    name = "struct.x.y" if kind == "struct" else kind
    pq.write_table(pa.table({**PLAIN, kind: ODD[kind]}), tmp_path / "o.parquet")
    columns = {"customer_id": name, "ordered_at": name, "amount": name, "quantity": f'"{name}" * 1', "category": name}
    for row in opened(transactions={"files": "o.parquet", "columns": columns}).rows():
        record = json.loads(row["record"], parse_constant=pytest.fail)
        assert record["id"] in {"c1", "c2"}


def test_nan_is_a_missing_cell_and_an_infinite_amount_is_set_aside(opened: Any, tmp_path: Path) -> None:
    nan, inf = float("nan"), float("inf")
    paid = pa.array([9.99, nan, inf, -inf], pa.float32())
    ids = pa.array([9007199254740991.0, 1.0, nan, 1e19])
    pq.write_table(
        pa.table({"id": ids, "day": pa.array([dt.datetime(2024, 1, 5)] * 4, pa.timestamp("ns", "UTC")), "paid": paid}),
        tmp_path / "o.parquet",
    )
    rows = opened(transactions={"files": "o.parquet", "columns": COLUMNS}).rows()
    assert [(row["customer_id"], row["amount"], row["unread"]) for row in rows] == [
        ("9007199254740991", 9.99, None),
        ("1", None, None),
        (None, None, "amount"),
        ("1e+19", None, "amount"),
    ]
    assert [json.loads(row["record"])["paid"] for row in rows[2:]] == ["inf", "-inf"]
    assert rows[0]["ordered_at"] == dt.datetime(2024, 1, 5)


@pytest.mark.parametrize("kind", [pa.float64(), pa.float32()])
def test_nan_is_missing_even_if_the_files_statistics_omit_it(opened: Any, tmp_path: Path, kind: pa.DataType) -> None:
    """From the statistics of such a file, the engine answers isnan() wrongly. Some of the numbers are not whole."""
    paid = pa.array([1.5, float("nan"), 3.0]).cast(kind)
    day = pa.array([dt.datetime(2024, 1, 5)] * 3, pa.timestamp("us"))
    pq.write_table(pa.table({"id": paid, "day": day, "paid": paid, "note": ["a", "b", "c"]}), tmp_path / "o.parquet")
    columns = {**COLUMNS, "customer_id": "note", "order_id": "id", "quantity": "paid * 2", "category": "CAST(ROUND(paid) AS INTEGER)"}
    rows = opened(transactions={"files": "o.parquet", "columns": columns}).rows()
    assert [(row["order_id"], row["amount"], row["quantity"], row["category"]) for row in rows] == [
        ("1.5", 1.5, 3.0, "2"), (None, None, None, None), ("3", 3.0, 6.0, "3")
    ]  # fmt: skip
    assert json.loads(rows[1]["record"])["paid"] is None


def test_lookups_use_the_same_readers_and_can_be_chained(opened: Any, tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text("order_id,price\no1,1\no1,2\no2,4\no9,8\n")
    (tmp_path / "orders.zip").write_bytes(zipped(**{"orders.json": json.dumps([
        {"order_id": "o1", "customer": {"id": "k1"}, "at": "2024-01-05"}, {"order_id": "o2", "customer": {"id": "k2"}, "at": "2024-01-06"},
    ])}))  # fmt: skip
    (tmp_path / "people").mkdir()
    (tmp_path / "people" / "1.csv").write_text("")
    (tmp_path / "people" / "2.csv").write_text("customer.id,person\nk1,p1\nk2,p1\n")
    lookups = [{"files": "orders.zip", "key": "order_id"}, {"files": "people", "key": "customer.id"}]
    columns = {"customer_id": "person", "ordered_at": "at", "amount": "price"}
    rows = opened(transactions={"files": "items.csv", "columns": columns, "lookups": lookups}).rows()
    assert [(row["customer_id"], row["amount"]) for row in rows] == [("p1", 1.0), ("p1", 2.0), ("p1", 4.0), (None, 8.0)]


@pytest.mark.parametrize("written", ["key: sku", "'on': sku", "on: sku"])
def test_the_key_of_a_lookup_can_still_be_written_as_on(written: str) -> None:
    """YAML reads a bare `on` as true."""
    assert FileLookup.model_validate(yaml.safe_load(f"{{files: p.csv, {written}}}")).keys == ("sku",)
    with pytest.raises(ValueError, match="given twice"):
        FileLookup.model_validate(yaml.safe_load(f"{{files: p.csv, 'on': a, {written}, key: b, True: c}}"))


def test_files_with_other_columns_or_types_are_read_separately(opened: Any, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "1.csv").write_text(TEXT)
    (tmp_path / "in" / "2.csv").write_text("paid,day,id\n7,2024-01-07,c3\n")
    (tmp_path / "in" / "3.csv").write_text(TEXT)
    (tmp_path / "in" / "4.parquet").write_bytes(parquet())
    rows = opened(transactions={"files": "in", "columns": COLUMNS}).rows()
    assert [(row["customer_id"], row["ordered_at"], row["amount"]) for row in rows] == [
        *EXPECTED, ("c3", dt.datetime(2024, 1, 7), 7.0), *EXPECTED, *EXPECTED
    ]  # fmt: skip


ROWS_OF_MANY = st.lists(
    st.tuples(
        st.sampled_from(["c1", "c2", "", "NA", "17850.0"]),
        st.sampled_from(["2024-01-05", "2024-01-06 10:00", "45300", "soon", "2024-01-07,9,extra"]),
        st.sampled_from(["1.5", "1,25", "1.200", "7", "free", "$3", ""]),
    ),
    max_size=4,
)


@pytest.mark.full  # in CI, files of each kind
@examples(6, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(files_of=st.lists(ROWS_OF_MANY, min_size=2, max_size=5))
@example(files_of=[[], [("c1", "2024-01-05", "free")]])
def test_small_files_read_together_give_the_same_as_one_by_one(tmp_path_factory: pytest.TempPathFactory, files_of: list[Any]) -> None:
    folder = tmp_path_factory.mktemp("many")
    (folder / "in").mkdir()
    for number, lines in enumerate([*files_of, [("c9", "2024-01-05", "2.25")]]):
        text = "".join(f"{customer};{day};{paid}\n".replace(",9,", ";9;") for customer, day, paid in lines)
        (folder / "in" / f"{number}.csv").write_text(f"id;day;paid\n{text}")

    def taken() -> tuple[Any, ...]:
        with opened_in(folder) as opened:
            source = opened(transactions={"files": "in", "columns": COLUMNS})
            kept = [replace(file, rows_file="") for file in source.source.kept("transactions")]
            rows = source.rows()
        shutil.rmtree(folder / "intake")
        return kept, rows

    at_once = taken()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(intake, "SMALL", -1)
        assert taken() == at_once


def test_the_time_of_each_file_bounds_its_dates(opened: Any, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name, written in (("1.csv", dt.datetime(2024, 1, 5)), ("2.csv", dt.datetime(2024, 3, 1))):
        file = tmp_path / "in" / name
        file.write_text("id,day,paid\nc1,2024-01-05,1\nc1,2024-02-20,1\n")
        seconds = written.replace(tzinfo=dt.UTC).timestamp()
        os.utime(file, (seconds, seconds))
    rows = opened(transactions={"files": "in", "columns": COLUMNS}).rows()
    assert [row["ordered_at"] is None for row in rows] == [False, True, False, False]


def test_read_file_returns_a_table(tmp_path: Path) -> None:
    (tmp_path / "o.csv").write_text(TEXT)
    backend = connect()
    table = files.read_file(backend, tmp_path / "o.csv", Files(files=""), tmp_path).table
    assert backend.to_pyarrow(table.agg(n=ibis._.count())).to_pylist() == [{"n": 2}]
    backend.disconnect()
    (tmp_path / "o.csv").write_text("")
    with pytest.raises(NoRows):
        files.opened(None, tmp_path / "o.csv", Files(files=""), tmp_path)
