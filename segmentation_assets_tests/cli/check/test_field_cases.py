"""Small files modelled on real ones: `init` writes settings for each, `check` accepts them, and the figures are right."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from segmentation_assets.cli.check import inspect
from segmentation_assets.engines.duckdb import DuckDBEngine
from segmentation_assets.settings.loading import Settings
from segmentation_assets.settings.source import Tables
from segmentation_assets.sources.file_profile import look_at
from segmentation_assets.sources.first_settings import write
from segmentation_assets.sources.tables import TablesSource
from segmentation_assets_tests.sources.conftest import FOREVER

CASES = Path(__file__).parents[2] / "cases" / "field"


@dataclass(frozen=True)
class Expected:
    """The contents of a case, and texts in the output of `init` and `check`."""

    rows: int
    customers: int
    total: float  # of all readable amounts
    mapped: dict[str, str] = field(default_factory=dict)
    init: tuple[str, ...] = ()
    check: tuple[str, ...] = ()
    stops: str = ""


EXPECTED = {
    "01-order-of-100000": Expected(161, 40, 2_142_000),
    "03-thousands-comma": Expected(42, 7, 118_265, init=("thousands: ','", "9,523.85"), check=("Warning: ", "118,265.00", "9,523.85")),
    "04-thousands-yen": Expected(42, 7, 118_265, init=("thousands: ','", "9,523.85"), check=("Warning: ", "118,265.00", "9,523.85")),
    "06-thousands-few": Expected(
        93, 7, 80_100, init=("thousands: ','",), check=("Warning: ", "3 cells such as '1,200' can be read two ways", "Choose in the")
    ),
    "07-parquet-nan": Expected(40, 7, 690, check=("5 rejected: amount is missing",), stops="(12.5%): 5 amount is missing"),
    "08-parquet-inf": Expected(40, 7, 690, check=("5 rejected: amount is not a number",), stops="(12.5%): 5 amount is not a number"),
    "10-parquet-timestamp-ns-tz": Expected(40, 7, 40, {"ordered_at": "order_ts"}),
    "12-parquet-time-column": Expected(40, 7, 40, {"ordered_at": "order_ts"}, init=("# not mapped: shelf_time (text)",)),
    "13-shopify-dates": Expected(39, 7, 780, check=("2024-01-05 to 2024-02-29", "39 rows, 7 customers")),
    "15-minus-dollar": Expected(51, 7, 529.50, check=("0 would be rejected",)),
    "16-parentheses": Expected(51, 7, 529.50, check=("0 would be rejected",)),
    "19-french-spaces": Expected(42, 7, 36_694, {"amount": "montant", "customer_id": "client"}, init=("decimal: ','",)),
    "22-same-export-twice": Expected(
        54, 7, 756, init=("exact_duplicates: drop",), check=("equal, byte for byte", "27 rejected: line repeats")
    ),
    "23-empty-file-in-folder": Expected(
        40, 7, 820, check=("skipped: 2024-02.csv, which has a header and no rows", "skipped: 2024-03.csv, which is empty")
    ),
    "24-header-only-first": Expected(40, 7, 820, init=("%d/%m/%Y",), check=("skipped: 2024-01.csv", "2024-02-01 to 2024-02-27")),
    "26-header-trailing-comma": Expected(40, 7, 820),
    "27-sep-line": Expected(40, 7, 820, check=("delimiter ;",)),
    "28-hive-folder": Expected(60, 7, 930, check=("not mapped: year (number), month (number)",)),
    "29-nested-json": Expected(30, 7, 465, {"customer_id": "customer.id", "order_id": "id"}),
    "30-json-array": Expected(30, 7, 465),
    "31-silence": Expected(376, 60, 9889.01),
    "32-three-customers": Expected(6, 3, 75),
    "34-zip-called-csv": Expected(40, 7, 820, check=("unpacked orders.csv",)),
    "36-email-ids": Expected(42, 4, 903, check=("3 customer ids differ from another only in case",)),
    "37-month-end-zone": Expected(14, 14, 105, check=("such as '2024-02-30'",), stops="2 order time is not a date"),
    "38-one-time-buyers": Expected(240, 240, 6079.36),
    "39-identical": Expected(80, 80, 1600),
    "40-excel-serial": Expected(93, 7, 4371, check=("were read as dates in 3 rows", "2024-01-05 to 2024-01-09")),
    "42-us-dates-ambiguous": Expected(
        60, 7, 930, init=('"%m/%d/%Y"    # guessed; if day and month are the other way round',), check=("2024-01-01 to 2024-02-28",)
    ),
}
NOBODY = "21-words-for-nobody"


LIKE_OTHERS = {
    "04-thousands-yen", "08-parquet-inf", "12-parquet-time-column", "16-parentheses", "24-header-only-first", "26-header-trailing-comma",
    "30-json-array", "32-three-customers", "39-identical",
}  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.full) if name in LIKE_OTHERS else name
        for name in sorted({path.name for path in CASES.iterdir()} - {NOBODY})
    ],
)
def test_files_from_the_field_are_read_correctly(name: str, tmp_path: Path) -> None:
    expected = EXPECTED[name]
    text = write(look_at(sorted((CASES / name).iterdir())), CASES / name)
    given = yaml.safe_load(text)
    (table,) = given["source"]["transactions"]
    assert expected.mapped.items() <= table["columns"].items()
    assert all(words in text for words in expected.init)

    source = Tables.model_validate(given["source"]).resolved(CASES / name)
    engine = DuckDBEngine(threads=1)
    rows = engine.rows(TablesSource(source, tmp_path / "intake").transactions(engine, FOREVER))
    engine.close()
    assert len(rows) == expected.rows
    assert len({row["customer_id"] for row in rows} - {None}) == expected.customers
    assert sum(row["amount"] for row in rows if row["amount"] is not None) == pytest.approx(expected.total, abs=1e-9)

    found = inspect(Settings(**{**given, "source": source, "data_dir": tmp_path}))
    said = "\n".join(found.lines)
    assert all(words in said for words in expected.check)
    assert expected.stops in " ".join(found.problems) and bool(found.problems) == bool(expected.stops)


def test_a_file_without_a_single_customer_id_is_not_proposed_as_a_customer_file(tmp_path: Path) -> None:
    file = CASES / NOBODY / "orders.csv"
    given = yaml.safe_load(write(look_at([file]), file.parent))
    assert given["source"]["transactions"][0]["columns"]["customer_id"] == "TODO"
    given["source"]["transactions"][0]["columns"]["customer_id"] = "customer_id"
    source = Tables.model_validate(given["source"]).resolved(file.parent)
    found = inspect(Settings(**{**given, "source": source, "data_dir": tmp_path / "data"}))
    assert "18 rows, 0 customers" in "\n".join(found.lines)
    assert "18 customer id is missing" in " ".join(found.problems)


def test_two_silent_months_are_reported_before_any_run(tmp_path: Path) -> None:
    file = CASES / "31-silence" / "orders.csv"
    given = yaml.safe_load(write(look_at([file]), file.parent))
    given["snapshots"] = {"first": "2024-04-01", "last": "2024-06-01"}
    source = Tables.model_validate(given["source"]).resolved(file.parent)
    found = inspect(Settings(**{**given, "source": source, "data_dir": tmp_path / "data"}))
    said = "\n".join(found.lines)
    assert "2024-05-01: none, 134 usual" in said and "Orders end on 2024-03-28, 64 days before the last snapshot" in said
