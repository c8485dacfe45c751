"""The first settings file: what is proposed for whose files, and that the settings accept it."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from segmentation_assets.settings_source import Tables
from segmentation_assets.sources import column_names
from segmentation_assets.sources.base import SourceError
from segmentation_assets.sources.first_settings import _matched, look_at, write


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


def test_a_wrong_date_and_a_wrong_price_refuse_no_file(orders: Path) -> None:
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


def test_events_are_no_customers(orders: Path) -> None:
    rows = "".join(f"c{i % 5},visit,2024-01-{i % 28 + 1:02d},home\n" for i in range(20))
    (orders / "log.csv").write_text("customer_id,type,at,page\n" + rows)
    (orders / "people.csv").write_text("customer_id,city\nc1,Bonn\nc2,Ulm\n")
    source, _ = proposed(orders, "orders.csv", "log.csv", "people.csv")
    assert [table["columns"] for table in source["events"]] == [
        {"customer_id": "customer_id", "event_type": "type", "event_at": "at", "subject": "page"}
    ]
    assert [table["files"] for table in source["customers"]] == ["people.csv"]


def test_ids_that_repeat_are_no_customers_whatever_else_is_there(orders: Path) -> None:
    (orders / "log.csv").write_text("customer_id,remark\n" + "c1,hello\n" * 3)
    source, text = proposed(orders, "orders.csv", "log.csv")
    assert "customers" not in source
    assert "# Not used: log.csv, because the customer's ids repeat" in text


def test_a_folder_of_files_that_are_alike_is_one_table(tmp_path: Path) -> None:
    (tmp_path / "exports").mkdir()
    for month in (1, 2, 3):
        (tmp_path / "exports" / f"{month}.csv").write_text(f"customer_id,date,amount\nc1,2024-0{month}-05,3\n")
    source, text = proposed(tmp_path, "exports")
    assert [table["files"] for table in source["transactions"]] == ["exports"]
    assert "orders are dated 2024-01-05 to 2024-03-05" in text


def test_where_nothing_fits_a_skeleton_says_what_to_fill_in(tmp_path: Path) -> None:
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
def test_names_of_other_languages(tmp_path: Path, header: str, expected: str) -> None:
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
def test_thousands_are_seen(tmp_path: Path, prices: str, decimal: str, thousands: str) -> None:
    numbers = [f"9{decimal}50", f"1{thousands}250{decimal}00"] * 20
    rows = "".join(f"k{i};2024-01-05;2;{number}\n" for i, number in enumerate(numbers))
    (tmp_path / "o.csv").write_text(f"kunde;datum;menge;{prices}\n{rows}")
    table = proposed(tmp_path, "o.csv")[0]["transactions"][0]
    assert (table.get("decimal", "."), table["thousands"]) == (decimal, thousands)
    assert table["columns"]["amount"].startswith("menge * ")


@pytest.mark.parametrize(
    ("cells", "settings"),
    [
        (["1,200", "850"], {"thousands": ","}),
        (["\u00a51.200", "\u00a5850"], {"decimal": ",", "thousands": "."}),
        (["1 234,50 €", "850,00 €"], {"decimal": ",", "thousands": " "}),
        (["1\u202f234,50", "850,00"], {"decimal": ",", "thousands": " "}),
        (["(4.50)", "-$4.50"], {}),
        (["12.50", "1,200.00 USD"], {"thousands": ","}),
    ],
)
def test_numbers_are_read_as_intake_reads_them(tmp_path: Path, cells: list[str], settings: dict[str, str]) -> None:
    (tmp_path / "o.csv").write_text("kunde;datum;betrag\n" + "".join(f"k{i};2024-01-05;{cell}\n" for i, cell in enumerate(cells * 9)))
    table, text = proposed(tmp_path, "o.csv")[0]["transactions"][0], proposed(tmp_path, "o.csv")[1]
    assert table["columns"]["amount"] == "betrag"
    assert {name: table[name] for name in ("decimal", "thousands") if name in table} == settings
    assert ("# Warning: betrag: 9 cells" in text) is (cells[0][-5:] in {"1,200", "1.200"})


@pytest.mark.parametrize(
    ("cells", "formats"),
    [
        (["2024-01-05 14:30:12 -0500"], "%Y-%m-%d %H:%M:%S %z"),
        (["Jan 25, 2024, 2:30 PM"], "%b %d, %Y, %I:%M %p"),
        (["45296", "45297.25"], "excel"),
        (["2024-01-05", "45297"], "excel"),
    ],
)
def test_dates_are_read_as_intake_reads_them(tmp_path: Path, cells: list[str], formats: str) -> None:
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
def test_names_that_are_something_else(column: str, canonical: str) -> None:
    assert column_names.rank(column, canonical) is None


WORDS = [word for hints in (column_names.ENGLISH, column_names.ABROAD) for pair in hints.values() for part in pair for word in part.split()]
NAMES = st.one_of(st.sampled_from(WORDS), st.text(st.characters(exclude_characters='\n\r\0"', exclude_categories=["Cs"]), max_size=12))


@given(types=st.dictionaries(NAMES, st.sampled_from(["text", "number", "date", "boolean", "empty"]), max_size=12))
def test_whatever_the_names_no_column_is_proposed_twice(types: dict[str, str]) -> None:
    used = list(_matched(types).values())
    assert len(used) == len(set(used)) and set(used) <= set(types)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    names=st.lists(NAMES, min_size=1, max_size=8),
    cells=st.lists(st.sampled_from(["1", "c1", "2024-01-05", "05.01.2024", "1.234,50", "ja", "", "x y", "9" * 30]), min_size=8, max_size=8),
    rows=st.integers(0, 12),
)
def test_whatever_the_columns_a_file_is_written_in_which_each_is_used_once(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], cells: list[str], rows: int
) -> None:
    folder = tmp_path_factory.mktemp("any")
    lines = [names, *([cells[(i + k) % 8] for k in range(len(names))] for i in range(rows))]
    (folder / "x.csv").write_text("".join(";".join(f'"{cell}"' for cell in line) + "\n" for line in lines), encoding="utf-8")
    try:
        found = look_at([folder / "x.csv"])
    except SourceError as error:  # such as a file of one column, whose delimiter cannot be told
        assert "x.csv" in str(error)
        return
    source = yaml.safe_load(write(found, folder))["source"]
    Tables.model_validate(source)
    used = list(found[0].found.values())
    assert len(used) == len(set(used)) and set(used) <= set(found[0].columns)
