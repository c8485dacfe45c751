"""Files: every format, dialect and encoding gives the same rows, and every row of any file is loaded or reported as a problem."""

import bz2
import csv
import datetime as dt
import gzip
import io
import json
import os
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from segmentation_assets.core.customers.cleaning import judged_events
from segmentation_assets.engines.duckdb import DuckDBEngine
from segmentation_assets.settings.source import Tables
from segmentation_assets.sources.base import NoRows, SourceError, Window
from segmentation_assets.sources.intake import unused
from segmentation_assets.sources.intake_record import worth_a_look
from segmentation_assets.sources.tables import TablesSource
from segmentation_assets_tests.conftest import examples
from segmentation_assets_tests.sources.conftest import FOREVER, opened_in

COLUMNS = {"customer_id": "id", "ordered_at": "day", "amount": "paid", "category": "what"}
EXPECTED = [
    ("c1", dt.datetime(2024, 1, 5), 10.5, "Käse"),
    ("c2", dt.datetime(2024, 1, 6), -3.0, 'a "b", c'),
    ("c3", dt.datetime(2024, 2, 7), 1250.0, None),
]
TEXT = 'id,day,paid,what\nc1,2024-01-05,10.5,Käse\nc2,2024-01-06,-3,"a ""b"", c"\nc3,2024-02-07,1250.00,\n'


def seen(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [(row["customer_id"], row["ordered_at"], row["amount"], row["category"]) for row in rows]


@pytest.mark.parametrize(
    ("content", "options"),
    [
        (TEXT.encode(), {}),
        (TEXT.encode("utf-8-sig"), {}),
        (TEXT.encode("utf-16"), {}),
        (TEXT.encode("latin-1"), {}),
        (TEXT.encode("cp1252"), {"encoding": "cp1252"}),
        (TEXT.replace("\n", "\r\n").encode(), {}),
        (TEXT.replace("\n", "\r").encode(), {}),
        (
            TEXT.replace(",", ";").replace('a ""b""; c', 'a ""b"", c').replace("10.5", "10,5").replace("1250.00", "1.250,00").encode(),
            {"decimal": ",", "thousands": "."},
        ),
        (TEXT.replace('"a ""b"", c"', "'a \"b\", c'").encode(), {"quote": "'"}),
        (("# written by the till\n\n" + TEXT).encode(), {"skip_lines": 1}),
        (TEXT.partition("\n")[2].encode(), {"header": False, "names": ["id", "day", "paid", "what"]}),
        (gzip.compress(TEXT.encode()), {}),
        (bz2.compress(TEXT.encode()), {}),
        (TEXT.replace("1250.00", '"1,250.00"').replace("10.5", "$10.50").encode(), {"thousands": ","}),
        ("\n\n".join(TEXT.split("\n")).encode(), {}),
        (TEXT.replace("2024-01-05", "05.01.2024").replace("2024-01-06", "06.01.2024").replace("2024-02-07", "07.02.2024").encode(), {}),
        (
            TEXT.replace("2024-01-05", "1704412800").replace("2024-01-06", "1704499200").replace("2024-02-07", "1707264000").encode(),
            {"date_format": "unix"},
        ),
        (
            TEXT.replace("2024-01-05", "Jan 5 2024").replace("2024-01-06", "Jan 6 2024").replace("2024-02-07", "Feb 7 2024").encode(),
            {"date_format": "%b %d %Y"},
        ),
    ],
    ids=[
        "utf-8",
        "utf-8-bom",
        "utf-16",
        "latin-1",
        "cp1252",
        "crlf",
        "cr",
        "decimal-comma",
        "single-quotes",
        "preamble",
        "no-header",
        "gzip",
        "bz2",
        "thousands",
        "blank-lines",
        "day-first",
        "unix",
        "strptime",
    ],
)
def test_text_files_are_read_in_every_dialect_and_encoding(opened: Any, tmp_path: Path, content: bytes, options: dict[str, Any]) -> None:
    (tmp_path / "orders.csv").write_bytes(content)
    rows = opened(transactions={"files": "orders.csv", "columns": COLUMNS, **options}).rows()
    assert seen(rows) == EXPECTED
    assert [row["row_number"] for row in rows] == [1, 2, 3]
    assert all(row["record"] is None and row["problem"] is None for row in rows)


def _tsv(file: Path) -> None:
    file.write_text(
        "id\tday\tpaid\twhat\n"
        + "".join(
            "\t".join("" if v is None else str(v) if not isinstance(v, str) or '"' not in v else '"a ""b"", c"' for v in row) + "\n"
            for row in EXPECTED
        )
    )


def _parquet(file: Path) -> None:
    ids, days, paid, what = zip(*EXPECTED, strict=True)
    pq.write_table(pa.table({"id": ids, "day": pa.array(days, pa.timestamp("ms")), "paid": paid, "what": what}), file)


def _json_lines(file: Path) -> None:
    file.write_text(
        "".join(json.dumps({"id": i, "day": d.isoformat(), "paid": p, **({"what": w} if w else {})}) + "\n" for i, d, p, w in EXPECTED)
    )


def _workbook(file: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(["id", "day", "paid", "what"])
    for row in EXPECTED:
        book.active.append(list(row))
    book.save(file)


@pytest.mark.parametrize(("name", "write"), [("o.tsv", _tsv), ("o.parquet", _parquet), ("o.jsonl", _json_lines), ("o.xlsx", _workbook)])
def test_every_format_gives_the_same_rows(opened: Any, tmp_path: Path, name: str, write: Any) -> None:
    write(tmp_path / name)
    assert seen(opened(transactions={"files": name, "columns": COLUMNS}).rows()) == EXPECTED


def test_numbers_and_ids_of_a_workbook_are_read_exactly(opened: Any, tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(["id", "day", "paid", "what"])
    book.active.append([13085, dt.datetime(2024, 1, 5, 8, 30), 2, True])
    book.save(tmp_path / "o.xlsx")
    assert seen(opened(transactions={"files": "o.xlsx", "columns": COLUMNS}).rows()) == [
        ("13085", dt.datetime(2024, 1, 5, 8, 30), 2.0, "true")
    ]


def test_an_error_cell_of_a_workbook_is_empty(opened: Any, tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(["id", "day", "paid", "what"])
    book.active.append(["c1", dt.datetime(2024, 1, 5), "#N/A", "x"])
    book.save(tmp_path / "o.xlsx")
    assert seen(opened(transactions={"files": "o.xlsx", "columns": COLUMNS}).rows()) == [("c1", dt.datetime(2024, 1, 5), None, "x")]


def test_sheets_that_are_not_read_are_named(opened: Any, tmp_path: Path) -> None:
    book = openpyxl.Workbook()  # its first sheet is empty
    for name in ("May", "June"):
        for row in (["id", "day", "paid", "what"], [name, "2024-05-01", 1, "x"]):
            (book[name] if name in book.sheetnames else book.create_sheet(name)).append(row)
    book.save(tmp_path / "orders.xlsx")
    source = opened(transactions={"files": "orders.xlsx", "columns": COLUMNS})
    assert [row["customer_id"] for row in source.rows()] == ["May"]
    assert source.source.kept("transactions")[0].notes == {"sheet": "May", "not read": "1 sheet: June"}
    second = opened(transactions={"files": "orders.xlsx", "sheet": "June", "columns": COLUMNS})
    assert second.source.kept("transactions")[0].notes == {"sheet": "June"}


def test_times_become_utc(opened: Any, tmp_path: Path) -> None:
    (tmp_path / "o.csv").write_text(
        "id,day,paid,what\na,2024-01-01 00:30:00,1,\nb,2024-07-01 00:30:00,1,\nc,2024-01-01,1,\nd,2024-01-01T00:30:00-05:00,1,\n"
    )
    rows = opened(transactions={"files": "o.csv", "timezone": "Europe/Berlin", "columns": COLUMNS}).rows()
    # Berlin is one hour ahead in winter and two in summer; a day without a time of day stays that day.
    assert [row["ordered_at"] for row in rows] == [
        dt.datetime(2023, 12, 31, 23, 30),
        dt.datetime(2024, 6, 30, 22, 30),
        dt.datetime(2024, 1, 1),
        dt.datetime(2024, 1, 1, 5, 30),
    ]


def test_malformed_lines_are_problems_with_their_text(opened: Any, tmp_path: Path) -> None:
    lines = [
        "id,day,paid,what",
        "c1,2024-01-05,1,ok",
        "c2,2024-01-05",
        "c3,2024-01-05,1,a,b",
        'c4,2024-01-05,1,"open',
        "c5,2024-01-05,2,ok",
        "c6,2024-01-05,3,ok,,",
    ]
    (tmp_path / "o.csv").write_text("\n".join(lines) + "\n")
    rows = opened(transactions={"files": "o.csv", "columns": COLUMNS}).rows()
    assert [(row["customer_id"], row["problem"]) for row in rows] == [
        ("c1", None),
        (None, "it has 2 cells, its header 4"),
        (None, "it has 5 cells, its header 4"),
        (None, "its quotes do not pair up"),
        ("c5", None),
        ("c6", None),
    ]
    assert [json.loads(row["record"])["line"] for row in rows if row["record"]] == [lines[2], lines[3], lines[4]]


def test_unreadable_cells_are_named_and_the_record_is_kept(opened: Any, tmp_path: Path) -> None:
    (tmp_path / "o.csv").write_text(
        "id,day,paid,what,extra\nc1,2024-01-05,12 apples,x,e\nc2,soon,,x,e\nc3,2024-01-05,NA,x,e\nc4,2999-01-01,1,x,e\n"
    )
    rows = opened(transactions={"files": "o.csv", "columns": COLUMNS}).rows()
    assert [row["unread"] for row in rows] == ["amount", "ordered_at", None, "ordered_at"]
    assert json.loads(rows[0]["record"]) == {"id": "c1", "day": "2024-01-05", "paid": "12 apples", "what": "x", "extra": "e"}


def test_rows_keep_their_numbers_when_a_file_is_read_in_parallel(opened: Any, tmp_path: Path) -> None:
    """About 40 MB, which the engine reads in parallel; reading it twice stores the same bytes."""
    count, wrong = 160_000, 123_456
    with (tmp_path / "o.csv").open("w") as out:
        out.write("id,day,paid,what\n")
        for number in range(1, count + 1):
            out.write(f"c{number},2024-01-05,{number if number != wrong else 'ask'},{'x' * 220}\n")
    source = opened(transactions={"files": "o.csv", "columns": COLUMNS})
    rows = source.source.transactions(source.engine, FOREVER)
    right = (rows.amount == rows.row_number) & (rows.customer_id == "c" + rows.row_number.cast("string"))
    found = source.engine.rows(rows.agg(n=rows.count(), numbers=rows.row_number.nunique(), right=right.sum()))
    assert found == [{"n": count, "numbers": count, "right": count - 1}]
    unread = source.engine.rows(rows.filter(rows.unread.notnull()).select("row_number", "source_file", "record"))
    assert [(row["row_number"], row["source_file"], json.loads(row["record"])["paid"]) for row in unread] == [(wrong, "o.csv", "ask")]
    kept = Path(source.source.kept("transactions")[0].rows_file)
    first = kept.read_bytes()
    kept.unlink()
    assert Path(source.source.kept("transactions")[0].rows_file).read_bytes() == first


def test_rows_stored_of_an_earlier_state_of_a_file_fall_out_of_use(opened: Any, tmp_path: Path) -> None:
    file, line = tmp_path / "o.csv", "c,2024-01-05,1,x\n"
    file.write_text("id,day,paid,what\n" + line)
    source = opened(transactions={"files": "o.csv", "columns": COLUMNS})
    first = Path(source.source.kept("transactions")[0].rows_file)
    folder, now = first.parent.parent, dt.datetime.now(dt.UTC)
    for stored in folder.glob("*/*.*"):
        os.utime(stored, (0, 0))
    assert unused(folder, now) == [first.with_suffix(".json"), first]
    source.source.kept("transactions")
    assert unused(folder, now - dt.timedelta(hours=1)) == []
    os.utime(first.with_suffix(".json"), (0, 0))
    file.write_text("id,day,paid,what\n" + 2 * line)
    second = Path(source.source.kept("transactions")[0].rows_file)
    assert second != first and unused(folder, now - dt.timedelta(hours=1)) == [first.with_suffix(".json"), first]


def test_texts_that_begin_like_missing_values_are_kept(opened: Any, tmp_path: Path) -> None:
    cells = ["Nora", "NA", " NA", "NA ", "nobody", "n", "N/A", "", " ", "x "]
    (tmp_path / "o.csv").write_text("id,day,paid,what\n" + "".join(f"c,2024-01-05,1,{cell}\n" for cell in cells))
    rows = opened(transactions={"files": "o.csv", "columns": COLUMNS}).rows()
    assert [row["category"] for row in rows] == ["Nora", None, None, None, "nobody", "n", None, None, None, "x "]


def test_iso_times_are_read_in_every_form(opened: Any, tmp_path: Path) -> None:
    at = {
        "2024-01-05 10:00:00": 10, "2024-01-05 10:00:00 ": 10, "2024-01-05T10:00:00": 10, "2024-01-05 10:00": 10, "2024-01-05": 0,
        "2024-01-05 10:00+02": 8, "2024-1-5 1:00:00+01": 0, "2024-01-05T10:00:00Z": 10, "2024-01-05 10:00:00-05": 15,
    }  # fmt: skip
    cells = [*at, "infinity", "epoch", "2024-02-30 10:00:00", "2024-01-05 10:00:61"]
    (tmp_path / "o.csv").write_text("id,day,paid,what\n" + "".join(f"c,{cell},1,x\n" for cell in cells))
    rows = opened(transactions={"files": "o.csv", "date_format": "auto", "columns": COLUMNS}).rows()
    assert [row["ordered_at"] for row in rows] == [*(dt.datetime(2024, 1, 5, hour) for hour in at.values()), *[None] * 4]
    assert [row["unread"] for row in rows] == [*[None] * len(at), *["ordered_at"] * 4]


def test_infinite_numbers_do_not_stop_a_file(opened: Any, tmp_path: Path) -> None:
    (tmp_path / "o.csv").write_text("id,day,paid,what\na,inf,1.5,x\nb,1704412800,inf,y\n")
    for whole in ("CAST(paid AS INTEGER)", "ROUND(paid)", "FLOOR(paid)", "CEIL(paid)"):
        columns = {**COLUMNS, "quantity": whole}
        rows = opened(transactions={"files": "o.csv", "date_format": "unix", "columns": columns}).rows()
        assert [(row["ordered_at"], row["quantity"] is None) for row in rows] == [(None, False), (dt.datetime(2024, 1, 5), True)]


def test_an_order_dated_after_its_file_was_written_has_no_usable_date(opened: Any, tmp_path: Path) -> None:
    file = tmp_path / "o.csv"
    file.write_text("id,day,paid,what\nc1,2024-03-01,1,x\nc2,2024-03-02 23:59,1,x\nc3,2024-03-03,1,x\nc4,2099-01-01,1,x\n")
    written = dt.datetime(2024, 3, 1, 12, tzinfo=dt.UTC).timestamp()
    os.utime(file, (written, written))
    table = {"files": "o.csv", "columns": COLUMNS}
    assert [row["unread"] for row in opened(transactions=table).rows()] == [None, None, "ordered_at", "ordered_at"]
    assert [row["unread"] for row in opened(transactions=table, orders_until="2099-01-01").rows()] == [None, None, None, "ordered_at"]
    os.utime(file, (315532800, 315532800))  # 1980, as in an archive without times
    assert [row["unread"] for row in opened(transactions=table).rows()] == [None] * 4


@pytest.mark.parametrize("pattern", ["orders [x].csv", "shop [y]/*.csv", "shop [y]/a.csv", "shop [y]"])
def test_brackets_in_an_existing_name_are_not_a_pattern(opened: Any, tmp_path: Path, pattern: str) -> None:
    (tmp_path / "shop [y]").mkdir()
    for name in ("orders [x].csv", "shop [y]/a.csv"):
        (tmp_path / name).write_text(TEXT)
    assert len(opened(transactions={"files": pattern, "columns": COLUMNS}).rows()) == 3


def test_files_added_to_a_folder_are_read(opened: Any, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "2024-01.csv").write_text(TEXT)
    (tmp_path / "in" / "notes.md").write_text("not data")
    source = opened(transactions={"files": "in", "columns": COLUMNS})
    assert len(source.rows()) == 3
    before = source.source.fingerprint()
    (tmp_path / "in" / "2024-02.csv").write_text("what,paid,day,id\nx,1,2024-02-09,c9\n")
    assert [(row["source_file"], row["customer_id"]) for row in source.rows()] == [
        *(("2024-01.csv", f"c{n}") for n in (1, 2, 3)),
        ("2024-02.csv", "c9"),
    ]
    assert source.source.fingerprint() != before


PRODUCTS = {"files": "p.csv", "key": "sku"}


def test_rows_without_a_match_in_a_lookup_are_counted(opened: Any, tmp_path: Path) -> None:
    (tmp_path / "o.csv").write_text("id,day,paid,sku\nc1,2024-01-05,1,A\nc2,2024-01-05,1,B\nc3,2024-01-05,1,\n")
    (tmp_path / "p.csv").write_text("sku,what\nA,tea\n")
    source = opened(transactions={"files": "o.csv", "columns": COLUMNS, "lookups": [PRODUCTS]})
    assert [row["category"] for row in source.rows()] == ["tea", None, None]
    assert worth_a_look(source.source.kept("transactions")) == ["1 row (33%) had no match in a lookup: compare the key in both files"]


def test_a_column_added_by_a_lookup_can_be_renamed(opened: Any, tmp_path: Path) -> None:
    (tmp_path / "o.csv").write_text("id,day,paid,sku,what\nc1,2024-01-05,1,A,line\n")
    (tmp_path / "p.csv").write_text("sku,what\nA,tea\n")

    def read(columns: Any, category: str) -> list[Any]:
        table = {"files": "o.csv", "columns": {**COLUMNS, "category": category}, "lookups": [{**PRODUCTS, "columns": columns}]}
        return [row["category"] for row in opened(transactions=table).rows()]

    assert read({"product": "what"}, "product") == ["tea"]
    assert read([], "what") == ["line"]
    with pytest.raises(SourceError, match=r"already has the column what, which a lookup adds.*columns: \{other_what: what\}"):
        read(["what"], "what")


def test_one_file_can_decide_between_day_first_and_month_first_for_all(opened: Any, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,day,paid,what\nc1,03/04/2024,1,\n")  # 4 March or 3 April
    (tmp_path / "b.csv").write_text("id,day,paid,what\nc1,03/20/2024,1,\n")
    rows = opened(transactions={"files": "*.csv", "columns": COLUMNS}).rows()
    assert sorted(row["ordered_at"] for row in rows) == [dt.datetime(2024, 3, 4), dt.datetime(2024, 3, 20)]


def test_lookups_add_columns_and_never_rows(opened: Any, tmp_path: Path) -> None:
    (tmp_path / "o.csv").write_text("id,day,paid,sku\nc1,2024-01-05,1,A\nc2,2024-01-05,2,B\nc3,2024-01-05,3,\n")
    (tmp_path / "p.csv").write_text("sku,what\nA,Bread\n")
    lookup = {"files": "p.csv", "key": "sku"}
    table = {"files": "o.csv", "columns": COLUMNS, "lookups": [lookup]}
    assert [row["category"] for row in opened(transactions=table).rows()] == ["Bread", None, None]
    (tmp_path / "p.csv").write_text("sku,what\nA,Bread\nA,Cake\n")
    with pytest.raises(SourceError, match=r"p\.csv: sku occurs more than once \(such as A\)"):
        opened(transactions=table).rows()


@pytest.mark.parametrize(
    ("content", "change", "message"),
    [
        (b"", {}, "is empty"),
        (TEXT.encode(), {"columns": {**COLUMNS, "amount": "payd"}}, "Did you mean 'paid'"),
        (TEXT.encode(), {"columns": {**COLUMNS, "amount": "sum(paid)"}}, "aggregate SUM is not a scalar"),
        (TEXT.encode("latin-1"), {"encoding": "utf-8"}, "is not utf-8: byte 0xe4"),
        (b"\x1f\x8b\x08\x00garbage", {}, "damaged|cannot be read"),
        (b"abc\n1\n2\n", {}, "its delimiter cannot be guessed"),
        (TEXT.encode(), {"files": "nowhere/*.csv"}, "no such file"),
        (b"PAR1", {"format": "parquet"}, "not a readable Parquet file"),
        (b"[1, 2]\n", {"format": "jsonl"}, "no line is a JSON object"),
        (b"no workbook", {"format": "excel"}, "not a readable workbook"),
    ],
)
def test_an_unreadable_file_is_one_clear_error(opened: Any, tmp_path: Path, content: bytes, change: dict[str, Any], message: str) -> None:
    (tmp_path / "orders.csv").write_bytes(content)
    with pytest.raises(SourceError, match=message):
        opened(transactions={"files": "orders.csv", "columns": COLUMNS, **change}).rows()


CELL = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        [
            "",
            "2024-01-05",
            "1e400",
            "-9" * 40,
            "nan",
            "inf",
            "NULL",
            '"',
            "a,b",
            "\n",
            "\0",
            "id",
            "'",
            "05/06/2024",
            "1,5",
            "\ufeff",
            "\r",
            "0x10",
        ]
    ),
)


JSON_LINE = st.one_of(
    st.dictionaries(
        st.sampled_from(["id", "day", "paid", "what", "ID", "", "a.b", '"', "$", "é"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
            lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
            max_leaves=4,
        ),
        max_size=4,
    ).map(lambda value: json.dumps(value, allow_nan=False, default=str) if _finite(value) else '{"paid": 1e999}'),
    st.sampled_from(["[1]", "null", '"text"', "{", '{"id": 1} {"id": 2}', '{"id": "\\u0000"}', '{"id": 1, "id": 2}', "7", "nul", "{}"]),
)


def _finite(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return False
    return True


SHEET_CELL = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**15), 10**15),
    st.floats(allow_nan=False, allow_infinity=False),
    st.datetimes(dt.datetime(1950, 1, 1), dt.datetime(2050, 1, 1)),
    st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"], exclude_characters="\x7f"), max_size=8).filter(
        lambda text: not text.startswith("=")
    ),
    st.sampled_from(["NA", "id", "2024-01-05", " ", "'", '"']),
)


@examples(8, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    rows=st.lists(st.lists(CELL, min_size=4, max_size=4), min_size=1, max_size=12),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_well_formed_files_with_any_cells_load_row_for_row(tmp_path_factory: Any, rows: list[list[str]], encoding: str) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([["id", "day", "paid", "what"], *rows])
    content = text.getvalue().encode(encoding, "replace")
    found = _taken_in(tmp_path_factory.mktemp("any"), content, {"delimiter": ","})
    assert len(found) == len(rows)
    assert [row["row_number"] for row in found] == list(range(1, len(rows) + 1))
    assert all(row["problem"] is None for row in found)


@examples(12, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    body=st.lists(
        st.one_of(
            st.binary(max_size=40),
            st.text(max_size=30).map(str.encode),
            st.sampled_from([b"c1,2024-01-05,1,x", b"id,day,paid,what", b'c2,"2024', b"a,b", b",,,", b'""', b"c,2024-01-05,1,x,y,z"]),
        ),
        max_size=14,
    )
)
def test_arbitrary_bytes_never_lose_a_line(tmp_path_factory: Any, body: list[bytes]) -> None:
    """Every non-blank line comes out as a row."""
    lines = [line.replace(b"\n", b" ").replace(b"\r", b" ") for line in body]
    content = b"id,day,paid,what\n" + b"\n".join(lines) + b"\n"
    found = _taken_in(tmp_path_factory.mktemp("bytes"), content, {"delimiter": ",", "quote": ""})
    text = content.decode() if _is_utf8(content) else content.decode("cp1252") if _is_cp1252(content) else content.decode("latin-1")
    assert len(found) == sum(bool(line.replace("\0", "\u2400").strip()) for line in text.split("\n")[1:])


@examples(6, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(lines=st.lists(JSON_LINE, max_size=10))
def test_each_json_line_is_a_row_whatever_it_holds(tmp_path_factory: Any, lines: list[str]) -> None:
    lines = ['{"id": "c", "day": "2024-01-05", "paid": 1, "what": "x"}', *lines]
    content = "".join(line + "\n" for line in lines).encode("utf-8", "replace")
    found = _taken_in(tmp_path_factory.mktemp("json"), content, {}, "o.jsonl")
    assert len(found) == len(lines)
    for line, row in zip(lines, found, strict=True):
        assert (row["problem"] is None) == _is_object(line)


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


@examples(6, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(rows=st.lists(st.lists(SHEET_CELL, min_size=1, max_size=5), min_size=1, max_size=8))
def test_each_filled_row_of_a_workbook_is_a_row(tmp_path_factory: Any, rows: list[list[Any]]) -> None:
    book = openpyxl.Workbook()
    for row in [["id", "day", "paid", "what"], *rows]:
        book.active.append(row)
    content = io.BytesIO()
    book.save(content)
    found = _taken_in(tmp_path_factory.mktemp("book"), content.getvalue(), {}, "o.xlsx")
    assert len(found) == sum(any(str(cell).strip() for cell in row if cell is not None) for row in rows)


@examples(6, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(rows=st.lists(st.lists(CELL, min_size=3, max_size=3), min_size=1, max_size=8))
def test_each_event_is_clean_or_rejected_whatever_its_cells(tmp_path_factory: Any, rows: list[list[str]]) -> None:
    folder = tmp_path_factory.mktemp("events")
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([["id", "day", "what"], *rows])
    (folder / "e.csv").write_bytes(text.getvalue().encode("utf-8", "replace"))
    events = {"files": "e.csv", "delimiter": ",", "columns": {"customer_id": "id", "event_at": "day", "event_type": "what"}}
    with opened_in(folder) as opened:
        source = opened(transactions={"files": "none.csv", "columns": COLUMNS}, events=events)
        judged = judged_events(source.source.events(source.engine, FOREVER))
        sizes = [source.engine.rows(part.agg(n=part.count()))[0]["n"] for part in (judged.kept(), judged.rejected("events"))]
    assert sum(sizes) == len(rows)


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode()
        return True
    except UnicodeDecodeError:
        return False


def _is_cp1252(content: bytes) -> bool:
    try:
        content.decode("cp1252")
        return True
    except UnicodeDecodeError:
        return False


def _taken_in(folder: Path, content: bytes, options: dict[str, Any], name: str = "o.csv") -> list[dict[str, Any]]:
    (folder / name).write_bytes(content)
    described = Tables.model_validate({"kind": "tables", "transactions": {"files": name, "columns": COLUMNS, **options}}).resolved(folder)
    engine = DuckDBEngine(threads=1)
    try:
        source = TablesSource(described, folder / "intake")
        table = source.transactions(engine, FOREVER)
        rows = engine.rows(table.order_by("row_number"))
        # Windows divide these rows without loss or overlap.
        first, second = Window(None, dt.date(2024, 1, 1)), Window(dt.date(2024, 1, 1), FOREVER.end)
        assert sum(len(engine.rows(source.transactions(engine, window))) for window in (first, second)) == len(rows)
        return rows
    except NoRows:  # a single file without rows is an error
        return []
    finally:
        engine.close()
