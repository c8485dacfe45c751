"""The first settings file: the proposals for various files, which the settings accept."""

import datetime as dt
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from segmentation_assets.settings.cleaning import Cleaning
from segmentation_assets.settings.loading import SettingsError, load_settings
from segmentation_assets.settings.source import Tables
from segmentation_assets.sources import column_names
from segmentation_assets.sources.base import SourceError
from segmentation_assets.sources.dated_rows import DatedRows, Dates
from segmentation_assets.sources.file_profile import _matched, look_at
from segmentation_assets.sources.first_settings import missing, write
from segmentation_assets.sources.first_snapshots import SLACK
from segmentation_assets.sources.first_snapshots import proposed as proposed_snapshots
from segmentation_assets_tests.conftest import examples
from segmentation_assets_tests.sources.conftest import opened_in


def proposed(folder: Path, *names: str) -> tuple[dict[str, Any], str]:
    """The source section, accepted by the settings, and the whole text."""
    text = write(look_at([folder / name for name in names]), folder)
    source = yaml.safe_load(text)["source"]
    Tables.model_validate(source)
    return source, text


@pytest.fixture
def orders(tmp_path: Path) -> Path:
    rows = "".join(f"c{i % 30},{i % 28 + 1:02d}.01.2024,{i},9.5\n" for i in range(100))
    (tmp_path / "orders.csv").write_text("customer_id,date,qty,price\n" + rows)
    return tmp_path


def test_a_file_with_a_wrong_date_and_a_wrong_price_is_accepted(orders: Path) -> None:
    with (orders / "orders.csv").open("a") as file:
        file.write("c1,soon,1,free\n")
    source, text = proposed(orders, "orders.csv")
    assert source["transactions"][0]["columns"] == {
        "customer_id": "customer_id",
        "ordered_at": "date",
        "amount": "qty * price",
        "quantity": "qty",
    }
    assert "TODO" not in text


def test_attributes_that_look_personal_are_left_out_unless_asked_for(orders: Path) -> None:
    people = "customer_id,city,email,Geburtsdatum,frequency\n" + "".join(f"c{i},Bonn,c{i}@x.de,19{i + 10}-01-02,3\n" for i in range(30))
    (orders / "people.csv").write_text(people)
    source, text = proposed(orders, "orders.csv", "people.csv")
    assert source["customers"][0]["attributes"] == {"city": "city", "customer_frequency": "frequency"}  # frequency is one of our columns
    assert (
        "left out, because they look personal: email (e-mail addresses, by content); Geburtsdatum (birth dates, by name and content)"
        in text
    )
    assert "of Geburtsdatum, the year is enough for an age" in text
    kept = write(look_at([orders / "orders.csv", orders / "people.csv"]), orders, keep_personal=True)
    assert "attributes" not in yaml.safe_load(kept)["source"]["customers"][0]


ORDERS_OF_A_DATABASE = "id,customer_id,created_at,total\n" + "".join(
    f"{i},{i % 40 + 1},2024-01-{i % 28 + 1:02},{i}.50\n" for i in range(1, 200)
)


@pytest.mark.parametrize(
    ("file", "columns", "expected"),
    [
        ("customers.csv", "id,email,city", "id"),
        ("people.csv", "id,email,city", "id"),  # its e-mail addresses show that it is of people
        ("customers.csv", "id,shop,city", "id"),
        ("customers.csv", "customer_id,id,city", "customer_id"),  # both have them: by its name
        ("products.csv", "id,shop,city", None),  # as many products as customers, numbered from 1 too
    ],
)
def test_customers_are_recognised_by_the_ids_of_orders(tmp_path: Path, file: str, columns: str, expected: str | None) -> None:
    """A database calls the same column `customer_id` in its orders and `id` in its customers."""
    (tmp_path / "orders.csv").write_text(ORDERS_OF_A_DATABASE)
    cells = {"id": "{}", "customer_id": "{}", "email": "a{}@x.org", "shop": "shop {}", "city": "Bonn"}
    rows = "".join(",".join(cells[name] for name in columns.split(",")).format(*[i] * 3) + "\n" for i in range(1, 41))
    (tmp_path / file).write_text(f"{columns}\n{rows}")
    written = yaml.safe_load(write(look_at([tmp_path / "orders.csv", tmp_path / file]), tmp_path))["source"]
    assert [table["columns"]["customer_id"] for table in written.get("customers", [])] == ([expected] if expected else [])


def test_a_column_named_as_the_customer_wins_over_one_that_counts_rows(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text(ORDERS_OF_A_DATABASE)
    rows = "".join(f"{i},{i % 20 + 1},{i % 5},2024-01-{i % 28 + 1:02}\n" for i in range(1, 200))  # half of the customers
    (tmp_path / "reviews.csv").write_text(f"id,customer_id,rating,created_at\n{rows}")
    written = yaml.safe_load(write(look_at([tmp_path / "orders.csv", tmp_path / "reviews.csv"]), tmp_path))["source"]
    assert "customers" not in written


def test_customers_in_a_folder_are_compared_together(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text(ORDERS_OF_A_DATABASE)
    (tmp_path / "customers").mkdir()
    for part in range(4):
        rows = "".join(f"{i},a{i}@x.org,Bonn\n" for i in range(part * 10 + 1, part * 10 + 11))
        (tmp_path / "customers" / f"{part}.csv").write_text(f"id,email,city\n{rows}")
    text = write(look_at([tmp_path / "orders.csv", tmp_path / "customers"]), tmp_path)
    assert "customer_id: id    # guessed: 100% of the customers in orders.csv are in it" in text


def test_ids_of_events_are_not_taken_for_those_of_customers(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text(ORDERS_OF_A_DATABASE)
    rows = "".join(f"{i},{i % 40 + 1},visit,2024-01-{i % 28 + 1:02}\n" for i in range(1, 200))
    (tmp_path / "events.csv").write_text(f"id,customer_id,event,happened_at\n{rows}")
    written = yaml.safe_load(write(look_at([tmp_path / "orders.csv", tmp_path / "events.csv"]), tmp_path))["source"]
    assert written["events"][0]["columns"]["customer_id"] == "customer_id"
    assert "customers" not in written


def test_events_are_not_proposed_as_customers(orders: Path) -> None:
    rows = "".join(f"c{i % 5},visit,2024-01-{i % 28 + 1:02d},home\n" for i in range(20))
    (orders / "log.csv").write_text("customer_id,type,at,page\n" + rows)
    (orders / "people.csv").write_text("customer_id,city\nc1,Bonn\nc2,Ulm\n")
    source, _ = proposed(orders, "orders.csv", "log.csv", "people.csv")
    assert [table["columns"] for table in source["events"]] == [
        {"customer_id": "customer_id", "event_type": "type", "event_at": "at", "subject": "page"}
    ]
    assert [table["files"] for table in source["customers"]] == ["people.csv"]


def test_a_file_with_repeating_ids_is_not_proposed_as_customers(orders: Path) -> None:
    (orders / "log.csv").write_text("customer_id,remark\n" + "c1,hello\n" * 3)
    source, text = proposed(orders, "orders.csv", "log.csv")
    assert "customers" not in source
    assert "# Not used: log.csv, because the customer's ids repeat" in text


def test_a_folder_of_similar_files_is_one_table(tmp_path: Path) -> None:
    (tmp_path / "exports").mkdir()
    for month in (1, 2, 3):
        (tmp_path / "exports" / f"{month}.csv").write_text(f"customer_id,date,amount\nc1,2024-0{month}-05,3\n")
    source, text = proposed(tmp_path, "exports")
    assert [table["files"] for table in source["transactions"]] == ["exports"]
    assert "orders are dated 2024-01-05 to 2024-03-05" in text


def test_a_later_file_can_decide_between_day_first_and_month_first(tmp_path: Path) -> None:
    (tmp_path / "exports").mkdir()
    (tmp_path / "exports" / "a.csv").write_text("customer_id,date,amount\nc1,01/02/2024,3\nc2,01/03/2024,3\n")
    (tmp_path / "exports" / "b.csv").write_text("customer_id,date,amount\nc1,02/20/2024,3\n")
    source, text = proposed(tmp_path, "exports")
    assert source["transactions"][0]["date_format"] == "%m/%d/%Y"
    assert "orders are dated 2024-01-02 to 2024-02-20" in text


def test_each_sheet_with_orders_is_a_table(tmp_path: Path) -> None:
    book = openpyxl.Workbook()  # its first sheet is empty
    book.create_sheet("Summary").append(["what", "n"])
    book["Summary"].append(["orders", 2])
    for month in ("01", "02"):
        sheet = book.create_sheet(f"Month {month}")
        for row in (["customer_id", "order_date", "amount"], ["c1", f"2024-{month}-05", 3]):
            sheet.append(row)
    book.save(tmp_path / "orders.xlsx")
    source, text = proposed(tmp_path, "orders.xlsx")
    assert [table["sheet"] for table in source["transactions"]] == ["Month 01", "Month 02"]
    assert "# Not used: orders.xlsx, sheet Summary, because" in text


@pytest.mark.parametrize(("further", "expected"), [("city", "id"), ("sku", None)])
def test_an_id_is_the_order_id_if_rows_are_whole_orders(tmp_path: Path, further: str, expected: str | None) -> None:
    rows = "".join(f"{i},c{i % 3},2024-01-{i:02d},{i},x{i}\n" for i in range(1, 20))
    (tmp_path / "orders.csv").write_text(f"id,customer_id,created_at,total,{further}\n{rows}")
    source, _ = proposed(tmp_path, "orders.csv")
    assert source["transactions"][0]["columns"].get("order_id") == expected


@pytest.mark.parametrize(
    ("header", "row", "expected"),
    [
        # A marketplace's orders without a customer, for which a town must not be taken.
        ("order-id,purchase-date,ship-city,item-total,buyer-name", "o{i},2024-01-{d:02},Ulm,{i},Ann", {"customer_id": "TODO"}),
        ("Customer City,Customer,Order Date,Order Status,Order Number,Tax Total,Total", "Ulm,c{i},2024-01-{d:02},paid,o{i},1,{i}", {
            "customer_id": "Customer", "amount": "Total", "order_id": "Order Number"}),
        ("email,city,created_at,subtotal,tax_amount,shipping_total,discount_total,total", "a{i}@x.example,Ulm,2024-01-{d:02},{i},1,1,1,{i}",
            {"customer_id": "email", "ordered_at": "created_at", "amount": "total", "discount": "discount_total"}),
        ("user_id,birth_date,updated_at,order_date,shipped_at,age,points,refund_amount,paid",
            "u{i},1980-01-{d:02},2024-03-01,2024-01-{d:02},2024-01-{d:02},40,7,0,{i}",
            {"customer_id": "user_id", "ordered_at": "order_date", "amount": "paid"}),
    ],
    ids=["no-customer", "status", "mail", "other-dates"],
)  # fmt: skip
def test_no_column_is_mistaken_for_another(tmp_path: Path, header: str, row: str, expected: dict[str, str]) -> None:
    (tmp_path / "o.csv").write_text(header + "\n" + "".join(row.format(i=i, d=i % 28 + 1) + "\n" for i in range(40)))
    columns = proposed(tmp_path, "o.csv")[0]["transactions"][0]["columns"]
    assert {name: columns.get(name) for name in expected} == expected
    assert len(set(columns.values())) == len(columns)


def test_a_timestamp_column_with_a_technical_name_is_the_order_time(tmp_path: Path) -> None:
    times = pa.array([dt.datetime(2024, 1, 1 + i % 28) for i in range(40)], pa.timestamp("ns", tz="Europe/Berlin"))
    paid = pa.array([float("nan") if i == 3 else float("inf") if i == 5 else 10.0 + i for i in range(40)])
    clock = pa.array([dt.time(9, 30)] * 40)
    ids = pa.array([f"c{i % 8}" for i in range(40)])
    pq.write_table(pa.table({"customer_id": ids, "order_ts": times, "amount": paid, "opened": clock}), tmp_path / "o.parquet")
    columns = proposed(tmp_path, "o.parquet")[0]["transactions"][0]["columns"]
    assert (columns["ordered_at"], columns["amount"]) == ("order_ts", "amount")


def test_if_only_the_dates_are_unreadable_only_they_are_todo(tmp_path: Path) -> None:
    (tmp_path / "o.csv").write_text(
        "order_id;customer_id;order_date;amount\n" + "".join(f"o{i};c{i};{i} janv. 2024;{i}\n" for i in range(1, 9))
    )
    looks = look_at([tmp_path / "o.csv"])
    columns = yaml.safe_load(write(looks, tmp_path))["source"]["transactions"][0]["columns"]
    assert columns == {"customer_id": "customer_id", "ordered_at": "TODO", "amount": "amount", "order_id": "order_id"}
    assert missing(looks)[0] == (
        "In o.csv no column was recognised as ordered_at (when it was bought). order_date may be the time of the order, but its "
        "dates, such as '1 janv. 2024', are in no known format."
    )


@pytest.mark.parametrize(
    ("header", "cells", "expected"),
    [
        ("customer_id,Placed,amount", "2024-01-{:02}", ("Placed", "ISO 8601")),
        ("customer_id,created,amount", "17044650{:02}", ("created", "unix")),
        ("customer_id,points,amount", "17044650{:02}", ("TODO", "ISO 8601")),  # a number is a time only if its name says so
        ("customer_id,signup,amount", "2024-01-{:02}", ("TODO", "ISO 8601")),
    ],
)
def test_times_are_recognised_by_name_or_as_the_only_dates(tmp_path: Path, header: str, cells: str, expected: tuple[str, str]) -> None:
    (tmp_path / "o.csv").write_text(header + "\n" + "".join(f"c{i},{cells.format(i)},{i}\n" for i in range(1, 20)))
    table = proposed(tmp_path, "o.csv")[0]["transactions"][0]
    assert (table["columns"]["ordered_at"], table.get("date_format", "ISO 8601")) == expected


def test_settings_with_todo_are_refused_with_the_line_and_what_to_write(tmp_path: Path) -> None:
    (tmp_path / "mall.csv").write_text("CustomerID,Age\n1,20\n")
    text = write(look_at([tmp_path / "mall.csv"]), tmp_path)
    (tmp_path / "s.yaml").write_text(text)
    with pytest.raises(SettingsError) as error:
        load_settings(tmp_path / "s.yaml")
    number = next(number for number, line in enumerate(text.splitlines(), 1) if "ordered_at: TODO" in line)
    assert f"s.yaml: line {number}, ordered_at, still says TODO. Write the column that says when it was bought." in str(error.value)


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        ("2009-12-01", "2011-12-09", ("2011-01-01", "2011-12-01", 12)),
        ("2009-12-01", "2011-11-29", ("2011-01-01", "2011-12-01", 12)),  # November counts as complete
        ("2023-01-17", "2023-12-31", ("2023-09-01", "2024-01-01", 7)),  # January is incomplete
        ("2024-01-02", "2024-03-31", ("2024-04-01", "2024-04-01", 3)),
        ("2020-01-01", "2024-12-31", ("2023-02-01", "2025-01-01", 12)),
        ("2024-01-05", "2024-01-20", ("2024-02-01", "2024-02-01", 1)),  # no complete month
    ],
)
def test_snapshots_are_whole_months_with_a_whole_lookback(first: str, last: str, expected: tuple[str, str, int]) -> None:
    of = proposed_snapshots(dt.date.fromisoformat(first), dt.date.fromisoformat(last))
    assert (str(of.first), str(of.last), of.lookback) == expected


@given(first=st.dates(dt.date(2000, 1, 1), dt.date(2030, 1, 1)), days=st.integers(0, 4000))
def test_the_first_snapshot_has_its_whole_lookback_and_the_last_a_whole_month(first: dt.date, days: int) -> None:
    last = first + dt.timedelta(days=days)
    of = proposed_snapshots(first, last)
    if not of.ends_in_a_month:
        assert of.last <= last + dt.timedelta(days=SLACK)
        beginning = of.first.year * 12 + of.first.month - of.lookback - 1
        assert dt.date(beginning // 12, beginning % 12 + 1, SLACK) >= first
    assert of.first <= of.last and of.first.day == of.last.day == 1 and 1 <= of.lookback <= 12


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("9999-12-31", "# 1 row is dated 9999-12-31, which is impossible for an order, and will be set aside"),
        ("2099-12-31", "# 1 row is dated 2099-12-31, which is impossible for an order"),
        ("0001-01-01", "# 1 row is dated 0001-01-01, which is impossible for an order"),
        (
            "1970-01-01",
            "# 1 row is dated 1970-01-01, far from all others: if that is an error, add under source: orders_from: 2024-01-01",
        ),
        (
            "2025-08-01",
            "# 1 row is dated 2025-08-01, far from all others: if that is an error, add under source: orders_until: 2024-04-29",
        ),
    ],
)
def test_a_wrong_date_is_named_and_moves_no_snapshot(tmp_path: Path, wrong: str, said: str) -> None:
    days = [f"2024-{1 + i % 4:02}-{1 + i % 28:02}" for i in range(28)]
    (tmp_path / "o.csv").write_text("customer_id,date,amount\n" + "".join(f"c{i},{day},3\n" for i, day in enumerate([*days, wrong])))
    text = proposed(tmp_path, "o.csv")[1]
    assert said in text
    assert "first: 2024-04-01             # orders are dated 2024-01-01 to 2024-04-28;" in text


def test_without_a_likely_date_no_snapshot_is_proposed(tmp_path: Path) -> None:
    pq.write_table(
        pa.table({"customer_id": ["a", "b"], "date": pa.array([dt.datetime(1, 1, 1)] * 2, pa.timestamp("us")), "amount": [1.0, 2.0]}),
        tmp_path / "o.parquet",
    )
    text = proposed(tmp_path, "o.parquet")[1]
    assert "# 2 rows are dated 0001-01-01, which is impossible for an order" in text and "# no dates were found" in text


@pytest.mark.parametrize(
    ("months", "likely", "far"),
    [
        ({"2020-01": 9, "2022-01": 1}, ("2020-01-02", "2020-01-20"), ["2022-01"]),
        ({"2020-01": 9, "2021-01": 1}, ("2020-01-02", "2021-01-20"), []),  # a year apart is not far
        ({"2010-01": 9, "2022-01": 9}, ("2010-01-02", "2022-01-20"), []),  # many rows are not an error
        ({"2010-01": 1, "2014-01": 1, "2018-01": 1}, ("2010-01-02", "2018-01-20"), []),  # nor are a few rows in every group
    ],
)
def test_a_few_rows_far_from_the_others_are_unlikely(months: dict[str, int], likely: tuple[str, str], far: list[str]) -> None:
    keys = {month: int(month[:4]) * 12 + int(month[5:]) - 1 for month in months}
    days = {month: f"{month}-02" if n > 1 or len(months) > 2 else f"{month}-20" for month, n in months.items()}
    dated = DatedRows({keys[month]: Dates(n, days[month], f"{month}-20") for month, n in months.items()})
    assert dated.likely and (dated.likely.first, dated.likely.last) == likely
    assert [dates.first[:7] for dates in dated.far] == far


def retailer(folder: Path) -> None:
    """Two months of a retailer: cancellations under C, postage, a product code without a digit, missing ids, and a file twice."""
    (folder / "in").mkdir()
    header = "Invoice;StockCode;Quantity;InvoiceDate;Price;Customer ID\n"
    for month in ("2011-10", "2011-11"):
        lines = [
            f"{month[-2:]}{i:04};{20000 + i % 50};2;{month}-{i % 28 + 1:02} 10:00;1.5;{13000 + i % 40 if i % 10 else ''}\n"
            for i in range(400)
        ]
        lines += [f"C{month[-2:]}{i:04};{20000 + i};-2;{month}-20 10:00;1.5;{13000 + i}\n" for i in range(10)]
        lines += [
            f"{month[-2:]}{i:04};{code};1;{month}-{i + 1:02} 10:00;3;{13000 + i}\n" for i, code in enumerate(["POST", "M", "DCGSSBOY"])
        ]
        (folder / "in" / f"{month}.csv").write_text(header + "".join(lines))
    (folder / "in" / "2011-11 (1).csv").write_bytes((folder / "in" / "2011-11.csv").read_bytes())


def test_cancellations_postage_and_doubled_files_are_recognised(tmp_path: Path) -> None:
    retailer(tmp_path)
    source, text = proposed(tmp_path, "in")
    cleaning = Cleaning.model_validate(yaml.safe_load(text)["cleaning"])
    assert source["transactions"][0]["columns"]["amount"] == "Quantity * Price"
    assert (cleaning.cancellation_pattern, cleaning.product_exclusions) == ("^C", ("^M$", "^POST$"))
    assert "# probably products, though without a digit: DCGSSBOY" in text
    assert cleaning.exact_duplicates == "drop" and "2011-11 (1).csv and 2011-11.csv are equal: remove all but one of them" in text
    assert "# 120 of 1,239 rows (9.7%) of in have no customer id, and are set aside" in text
    assert 0.5 < cleaning.largest_reject_share < 0.7  # half of November's rows are duplicates


def test_prefixed_ids_without_returns_are_not_cancellations(tmp_path: Path) -> None:
    rows = "".join(f"{'W' if i % 9 == 0 else ''}{i};c{i % 7};2024-01-{i % 28 + 1:02};{i + 1}\n" for i in range(90))
    (tmp_path / "o.csv").write_text("order_id;customer_id;date;amount\n" + rows)
    assert "cancellation_pattern" not in proposed(tmp_path, "o.csv")[1]


def test_cancelled_orders_are_left_out_by_their_status(tmp_path: Path) -> None:
    rows = "".join(f"{i};c{i % 7};2024-01-{i % 28 + 1:02};{i + 1};{'Cancelled ' if i % 9 == 0 else 'Paid'}\n" for i in range(90))
    (tmp_path / "o.csv").write_text("order_id;customer_id;date;amount;order_status\n" + rows)
    (table,) = proposed(tmp_path, "o.csv")[0]["transactions"]
    assert table["leave_out"] == "LOWER(TRIM(order_status)) IN ('cancelled', 'canceled', 'voided', 'failed', 'refunded')"


def test_an_order_total_on_each_line_is_recognised_in_any_file(tmp_path: Path) -> None:
    rows = "".join(f"{o};c{o % 7};2024-01-{o % 28 + 1:02};{20 + o};p{line}\n" for o in range(30) for line in range(1 + o % 3))
    (tmp_path / "o.csv").write_text("order_id;customer_id;date;total;sku\n" + rows)
    (table,) = proposed(tmp_path, "o.csv")[0]["transactions"]
    assert table["amount_is"] == "order"


def test_if_nothing_fits_init_writes_a_skeleton_to_fill_in(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("customer_id,b\nc1,hello\n")
    source, _ = proposed(tmp_path, "x.csv")
    assert source["transactions"][0]["columns"] == {"customer_id": "customer_id", "ordered_at": "TODO", "amount": "TODO"}


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (
            "Kunden-Nr.;Bestelldatum;Betrag;Menge;Artikelnummer;Warengruppe;Rabatt",
            "customer_id ordered_at amount quantity product_id category discount",
        ),
        ("KundenID;Rechnungsdatum;Umsatz;Anzahl;Artikel-Nr.;Kategorie", "customer_id ordered_at amount quantity product_id category"),
        (
            "Numéro client;Date de commande;Montant;Quantité;Réf. article;Catégorie",
            "customer_id ordered_at amount quantity product_id category",
        ),
        ("Code client;Horodatage;Montant;Quantité;Référence;Rayon", "customer_id ordered_at amount quantity product_id category"),
        (
            "ID cliente;Fecha de compra;Importe;Cantidad;Código producto;Categoría",
            "customer_id ordered_at amount quantity product_id category",
        ),
        (
            "Codice cliente;Data ordine;Importo;Quantità;Codice articolo;Reparto",
            "customer_id ordered_at amount quantity product_id category",
        ),
        ("Klantnummer;Datum;Bedrag;Aantal;Artikelcode;Productgroep", "customer_id ordered_at amount quantity product_id category"),
    ],
    ids=["de", "de-2", "fr", "fr-2", "es", "it", "nl"],
)
def test_column_names_in_other_languages_are_recognised(tmp_path: Path, header: str, expected: str) -> None:
    text = {"customer_id": "k{i}", "ordered_at": "2024-01-{d:02}", "product_id": "a{i}", "category": "x"}
    line = ";".join(text.get(name, "{i}") for name in expected.split())
    rows = "".join(line.format(i=i, d=i % 28 + 1) + "\n" for i in range(40))
    (tmp_path / "o.csv").write_text(f"{header}\n{rows}")
    columns = proposed(tmp_path, "o.csv")[0]["transactions"][0]["columns"]
    assert columns == dict(zip(expected.split(), header.split(";"), strict=True))


@pytest.mark.parametrize(
    ("prices", "decimal", "thousands"),
    [("einzelpreis", ",", "."), ("stückpreis", ",", "."), ("price", ".", ",")],
)
def test_thousands_separators_are_recognised(tmp_path: Path, prices: str, decimal: str, thousands: str) -> None:
    numbers = [f"9{decimal}50", f"1{thousands}250{decimal}00"] * 20
    rows = "".join(f"k{i};2024-01-05;2;{number}\n" for i, number in enumerate(numbers))
    (tmp_path / "o.csv").write_text(f"kunde;datum;menge;{prices}\n{rows}")
    table = proposed(tmp_path, "o.csv")[0]["transactions"][0]
    assert (table.get("decimal", "."), table["thousands"]) == (decimal, thousands)
    assert table["columns"]["amount"].startswith("menge * ")


@pytest.mark.parametrize(
    ("cells", "settings"),
    [
        (["1,200", "850"], {}),  # a guess is reported but not set
        (["\u00a51.200", "\u00a5850"], {}),
        (["12,50", "9,75", "12.50"], {}),  # either setting would make cells unreadable
        (["1 234,50 €", "850,00 €"], {"decimal": ",", "thousands": " "}),
        (["1\u202f234,50", "850,00"], {"decimal": ",", "thousands": " "}),
        (["(4.50)", "-$4.50"], {}),
        (["12.50", "1,200.00 USD"], {"thousands": ","}),
    ],
)
def test_init_reads_numbers_as_intake_does(tmp_path: Path, cells: list[str], settings: dict[str, str]) -> None:
    (tmp_path / "o.csv").write_text("kunde;datum;betrag\n" + "".join(f"k{i};2024-01-05;{cell}\n" for i, cell in enumerate(cells * 9)))
    table, text = proposed(tmp_path, "o.csv")[0]["transactions"][0], proposed(tmp_path, "o.csv")[1]
    assert table["columns"]["amount"] == "betrag"
    assert {name: table[name] for name in ("decimal", "thousands") if name in table} == settings
    assert ("# Warning: betrag: 9 cells" in text) is (cells[0][-5:] in {"1,200", "1.200"})


def test_a_guess_uses_the_mapped_columns_only(tmp_path: Path) -> None:
    (tmp_path / "o.csv").write_text("kunde;datum;betrag;preis\n" + "".join(f"k{i};2024-01-05;1.250;12.50\n" for i in range(9)))
    _, text = proposed(tmp_path, "o.csv")
    assert "betrag: 9 cells such as '1.250' can be read two ways; with thousands, as they are read, the column adds up to 11,250.00" in text


@pytest.mark.parametrize("files", [1, 30])
def test_currencies_in_a_column_beside_the_amount_are_reported(tmp_path: Path, files: int) -> None:
    (tmp_path / "o").mkdir()
    for number in range(files):
        rows = "".join(f"k{i},2024-01-05,o{number}-{i},{i}.50,{'EUR' if i else 'usd'}\n" for i in range(4))
        (tmp_path / "o" / f"{number}.csv").write_text(f"customer_id,date,order_id,amount,Currency\n{rows}")
    _, text = proposed(tmp_path, "o")
    assert f"# Warning: amounts are in several currencies, as Currency says: EUR ({3 * files} rows), USD ({files} row" in text


def test_a_currency_of_customers_is_an_attribute(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("customer_id,preferred_currency\nc1,USD\nc2,EUR\n")
    (tmp_path / "o.csv").write_text("customer_id,date,amount\nc1,2024-01-05,9.50\nc1,2024-01-06,9.50\n")
    _, text = proposed(tmp_path, "o.csv", "c.csv")
    assert "# attributes: preferred_currency (text)" in text and "Warning" not in text


@pytest.mark.parametrize(
    ("cells", "formats"),
    [
        (["2024-01-05 14:30:12 -0500"], "%Y-%m-%d %H:%M:%S %z"),
        (["Jan 25, 2024, 2:30 PM"], "%b %d, %Y, %I:%M %p"),
        (["45296", "45297.25"], "excel"),
        (["2024-01-05", "45297"], "excel"),
    ],
)
def test_init_reads_dates_as_intake_does(tmp_path: Path, cells: list[str], formats: str) -> None:
    (tmp_path / "o.csv").write_text("kunde;datum;betrag\n" + "".join(f"k{i};{cell};1\n" for i, cell in enumerate(cells * 9)))
    table, text = proposed(tmp_path, "o.csv")[0]["transactions"][0], proposed(tmp_path, "o.csv")[1]
    assert (table["columns"]["ordered_at"], table["date_format"]) == ("datum", formats)
    assert "orders are dated 2024-01-" in text


@pytest.mark.parametrize(
    ("column", "canonical"),
    [
        ("Geburtsdatum", "ordered_at"), ("Lieferdatum", "ordered_at"), ("Date de naissance", "ordered_at"), ("birth_date", "ordered_at"),
        ("Umsatzsteuer", "amount"), ("Rabattbetrag", "amount"), ("discount", "quantity"), ("country", "quantity"),
        ("Kundenname", "customer_id"), ("Nom du client", "customer_id"), ("Artikelgruppe", "product_id"), ("Montage", "ordered_at"),
    ],
)  # fmt: skip
def test_column_names_with_another_meaning_are_not_mistaken(column: str, canonical: str) -> None:
    assert column_names.rank(column, canonical) is None


WORDS = [word for hints in (column_names.ENGLISH, column_names.ABROAD) for pair in hints.values() for part in pair for word in part.split()]
NAMES = st.one_of(st.sampled_from(WORDS), st.text(st.characters(exclude_characters='\n\r\0"', exclude_categories=["Cs"]), max_size=12))


@given(types=st.dictionaries(NAMES, st.sampled_from(["text", "number", "date", "boolean", "empty"]), max_size=12))
def test_no_column_is_proposed_twice_whatever_the_names(types: dict[str, str]) -> None:
    used = list(_matched(types).values())
    assert len(used) == len(set(used)) and set(used) <= set(types)


@examples(8, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    names=st.lists(NAMES, min_size=1, max_size=8),
    cells=st.lists(st.sampled_from(["1", "c1", "2024-01-05", "05.01.2024", "1.234,50", "ja", "", "x y", "9" * 30]), min_size=8, max_size=8),
    rows=st.integers(0, 12),
)
def test_the_settings_for_any_columns_load_and_use_each_once(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], cells: list[str], rows: int
) -> None:
    folder = tmp_path_factory.mktemp("any")
    lines = [names, *([cells[(i + k) % 8] for k in range(len(names))] for i in range(rows))]
    (folder / "x.csv").write_text("".join(";".join(f'"{cell}"' for cell in line) + "\n" for line in lines), encoding="utf-8")
    try:
        found = look_at([folder / "x.csv"])
    except SourceError as error:  # such as a file with one column, whose delimiter is unknown
        assert "x.csv" in str(error)
        return
    (folder / "s.yaml").write_text(write(found, folder), encoding="utf-8")
    used = list(found[0].found.values())
    assert len(used) == len(set(used))
    try:
        read = load_settings(folder / "s.yaml")
    except SettingsError as error:
        assert all("still says TODO" in line for line in str(error).splitlines())
        return
    assert isinstance(read.source, Tables)
    with opened_in(folder) as open_tables:
        open_tables(**read.source.model_dump(exclude={"kind"})).rows()
