"""What `init` makes of tables with one row per customer."""

import datetime as dt
from pathlib import Path

import pandas as pd
import pytest
import yaml

from segmentation_assets.settings.loading import load_settings
from segmentation_assets.sources.customer_columns import look_at_columns
from segmentation_assets.sources.file_profile import look_at
from segmentation_assets.sources.first_settings import missing, write
from segmentation_assets.sources.first_snapshots import day_of
from segmentation_assets_tests import tables_of_customers

TODAY = dt.date(2026, 11, 29)


def settings_for(file: Path):
    """The settings that `init` writes for a file, as the file's text and as the settings that it is read as."""
    looks = look_at([file])
    text = write(looks, file.parent, today=TODAY)
    written = file.with_suffix(".yaml")
    written.write_text(text, encoding="utf-8")
    assert missing(looks) == []
    return text, load_settings(written)


def load_with(file: Path, text: str, instead: str):
    """The settings in a file, edited."""
    file.write_text(file.read_text(encoding="utf-8").replace(text, instead), encoding="utf-8")
    return load_settings(file)


def test_an_outcome_is_not_clustered_by_even_where_categories_are():
    types = {"plan": "text", "paid": "text", "churned": "number", "churn": "number", "spent": "number"}
    sample = pd.DataFrame({
        "plan": ["basic", "gold"] * 20, "paid": ["a", "b", "c", "d"] * 10, "churned": [0.0, 1.0] * 20,
        "churn": [float(i * i) for i in range(40)], "spent": [float(i % 7) for i in range(40)],
    })  # fmt: skip
    looks = look_at_columns(sample, types)
    assert {name for name, look in looks.items() if look.outcome} == {"churned", "churn"}
    assert {name for name, look in looks.items() if look.enters} == {"plan", "paid", "spent"}


@pytest.mark.parametrize(("column", "is_id"), [("Respondent", True), ("Answer", True), ("answer_2", False)])
def test_numbers_that_count_the_rows_identify_them_and_are_not_clustered_by(column, is_id):
    consecutive = column != "answer_2"
    values = [float(i + (i > 20 and not consecutive)) for i in range(40)]
    looks = look_at_columns(
        pd.DataFrame({column: values, "spent": [float(i * i % 41) for i in range(40)]}), dict.fromkeys([column, "spent"], "number")
    )
    assert (looks[column].role == "id", looks[column].enters) == (is_id, not is_id)


def test_an_id_is_preferred_to_an_email_address_and_odd_ids_are_no_dates(tmp_path):
    ids = [f"{number:08x}" for number in range(10**9, 10**9 + 60)]
    ids[7:9] = ["20240131", "1700000000"]
    table = pd.DataFrame({"subscriber_id": ids, "email": [f"u{i}@example.com" for i in range(60)], "hours": [i % 37 for i in range(60)]})
    table.to_csv(tmp_path / "subscribers.csv", index=False)
    _, settings = settings_for(tmp_path / "subscribers.csv")
    (customers,) = settings.source.customers
    assert (customers.columns, settings.model.features) == ({"customer_id": "subscriber_id"}, ("hours",))


def test_a_card_table_is_clustered_by_its_numbers_without_redundant_and_nearly_constant_ones(tmp_path):
    tables_of_customers.cards(tmp_path / "cards-2026-10.csv", customers=400)
    text, settings = settings_for(tmp_path / "cards-2026-10.csv")
    (customers,) = settings.source.customers
    assert (customers.columns, settings.source.contents) == ({"customer_id": "CUST_ID"}, {"customers"})
    entering = {"BALANCE", "BALANCE_FREQUENCY", "CASH_ADVANCE", "PURCHASES_TRX", "CREDIT_LIMIT", "MINIMUM_PAYMENTS", "PRC_FULL_PAYMENT"}
    assert set(settings.model.features) - entering in ({"PURCHASES"}, {"ONEOFF_PURCHASES"})
    assert "redundant: it says the same as" in text
    assert "# not clustered by TENURE (ordinal): nearly constant: 9" in text
    assert settings.snapshots.first == settings.snapshots.last == dt.date(2026, 11, 1)  # October is known when it is over


def test_a_wholesale_table_without_ids_is_numbered_by_row_and_its_codes_describe(tmp_path):
    tables_of_customers.wholesale(tmp_path / "wholesale.csv")
    text, settings = settings_for(tmp_path / "wholesale.csv")
    assert settings.source.customers[0].columns == {"customer_id": "row number"}
    assert settings.model.features == ("Fresh", "Milk", "Grocery", "Frozen", "Detergents\xa0Paper", "Delicassen")
    assert "# not clustered by Region (code)" in text
    assert settings.source.customers[0].attribute_types == {"Channel": "text", "Region": "text"}
    assert settings.model.min_count == 22  # 5% of 440, where the usual 30 are many
    assert settings.snapshots.first == TODAY


def test_a_campaign_table_keeps_the_year_of_birth_without_1893(tmp_path):
    tables_of_customers.campaign(tmp_path / "campaign.csv")
    text, settings = settings_for(tmp_path / "campaign.csv")
    assert settings.source.customers[0].columns == {"customer_id": "ID"}
    assert settings.cleaning.impossible["Year_Birth"].minimum == 1900
    assert {"Year_Birth", "Income", "MntWines"} <= set(settings.model.features)
    assert "# not clustered by Kidhome (ordinal): 3 grades; it describes the segments" in text
    assert "left out: Z_CostContact (constant: all have 3)" in text
    assert "# not clustered by Dt_Customer (date)" in text
    assert settings.outcome is None and text.endswith("# outcome: Response\n")
    assert load_with(tmp_path / "campaign.yaml", "# outcome: Response", "outcome: Response").outcome == "Response"
    assert settings.model.min_count == 30


def test_columns_are_told_apart_and_categories_enter_only_for_want_of_numbers():
    sample = pd.DataFrame({
        "key": [f"k{i}" for i in range(40)], "note": [f"called about order {i} in spring" for i in range(40)],
        "plan": ["basic", "gold", "silver", "basic"] * 10, "empty": [None] * 40, "active": ["yes", "no"] * 20,
    })  # fmt: skip
    types = {"key": "text", "note": "text", "plan": "text", "empty": "empty", "active": "text"}
    looks = look_at_columns(sample, types)
    assert {name: str(look.role) for name, look in looks.items()} == {
        "key": "id", "note": "free text", "plan": "category", "empty": "empty", "active": "yes or no",
    }  # fmt: skip
    assert [name for name, look in looks.items() if look.enters] == ["plan", "active"]
    numbers = sample.assign(age=range(20, 60), usage=[float(i * i % 17) for i in range(40)])
    looks = look_at_columns(numbers, types | {"age": "number", "usage": "number"})
    assert [name for name, look in looks.items() if look.enters] == ["age", "usage"]


@pytest.mark.parametrize(
    ("name", "day"),
    [
        ("crm_20260131.csv", "2026-01-31"),
        ("2026-01.csv", "2026-02-01"),
        ("export-2026-02-30.csv", "2026-11-29"),
        ("v2026101.csv", "2026-11-29"),
    ],
)
def test_the_date_of_a_table_is_in_its_name_or_today(name, day):
    assert day_of(Path(name), TODAY)[0] == dt.date.fromisoformat(day)


def test_events_beside_a_table_of_customers_are_used_and_other_files_named(tmp_path):
    table, _ = tables_of_customers.shoppers()
    table.to_csv(tmp_path / "people.csv", index=False)
    visits = pd.DataFrame({"customer_id": [1, 1, 2, 2], "event_type": "visit", "event_at": ["2026-01-01", "2026-01-02"] * 2})
    visits.to_csv(tmp_path / "visits.csv", index=False)
    source = yaml.safe_load(write(look_at([tmp_path / "people.csv", tmp_path / "visits.csv"]), tmp_path, today=TODAY))["source"]
    assert (source.keys(), source["events"][0]["files"]) == ({"kind", "customers", "events"}, "visits.csv")


def dated_settings(tmp_path: Path, *paths: Path):
    """The settings that `init` writes for some paths, as text and read."""
    looks = look_at(list(paths))
    (tmp_path / "segmentation.yaml").write_text(text := write(looks, tmp_path, today=TODAY), encoding="utf-8")
    assert missing(looks) == []
    return text, load_settings(tmp_path / "segmentation.yaml")


MONTHS = ("2026-08-01", "2026-09-01", "2026-10-01")


@pytest.fixture(scope="module")
def cards():
    return tables_of_customers.dated_cards(MONTHS, customers=300)


@pytest.mark.parametrize("named_one_by_one", [False, pytest.param(True, marks=pytest.mark.full)])
def test_a_folder_of_dated_files_and_the_files_themselves_are_a_history(tmp_path, cards, named_one_by_one):
    folder = tmp_path / "cards"
    folder.mkdir()
    for day, table in cards.items():
        table.to_csv(folder / f"cards_{day}.csv", index=False)
    text, settings = dated_settings(tmp_path, *(sorted(folder.iterdir()) if named_one_by_one else [folder]))
    (customers,) = settings.source.customers
    assert customers.columns == {"customer_id": "CUST_ID", "known_at": "file name"}
    assert (customers.each_date, Path(str(customers.files[0])).name) == ("complete", "cards_*.csv" if named_one_by_one else "cards")
    assert "guessed: 98% of a date's customers are also at the next (median)" in text
    assert (str(settings.snapshots.first), str(settings.snapshots.last), settings.snapshots.cadence) == (MONTHS[0], MONTHS[-1], "monthly")
    assert {"BALANCE", "PURCHASES", "CASH_ADVANCE"} <= set(settings.model.features)


@pytest.mark.parametrize(
    ("written", "wanted"), [("%Y-%m-%d", "2026-08-01"), ("%Y-%m", "2026-09-01"), pytest.param("%Y%m", "2026-09-01", marks=pytest.mark.full)]
)
def test_a_table_with_one_row_per_customer_and_date_is_a_history(tmp_path, cards, written, wanted):
    dated = pd.concat([table.assign(MONTH=pd.Timestamp(day).strftime(written)) for day, table in cards.items()])
    dated.to_csv(tmp_path / "cards.csv", index=False)
    _, settings = dated_settings(tmp_path, tmp_path / "cards.csv")
    (customers,) = settings.source.customers
    assert (customers.columns, customers.each_date) == ({"customer_id": "CUST_ID", "known_at": "MONTH"}, "complete")
    assert customers.date_format == ("auto" if "%d" in written else written)
    assert (str(settings.snapshots.first), settings.snapshots.cadence) == (wanted, "monthly")
    assert "MONTH" not in settings.model.features


@pytest.mark.parametrize("ids", ["member_no", *(pytest.param(name, marks=pytest.mark.full) for name in ("account", "subscriber_id"))])
def test_a_history_is_found_by_any_column_that_is_named_as_an_id(tmp_path, cards, ids):
    dated = pd.concat([table.assign(month_end=day) for day, table in cards.items()]).rename(columns={"CUST_ID": ids})
    dated.to_csv(tmp_path / "cards.csv", index=False)
    _, settings = dated_settings(tmp_path, tmp_path / "cards.csv")
    assert settings.source.customers[0].columns == {"customer_id": ids, "known_at": "month_end"}


def test_files_that_share_few_customers_hold_changes(tmp_path, cards):
    first, *later = cards.items()
    first[1].to_csv(tmp_path / f"c{first[0]}.csv", index=False)
    for place, (day, table) in enumerate(later):
        table.iloc[100 * place : 100 * place + 40].to_csv(tmp_path / f"c{day}.csv", index=False)
    text, settings = dated_settings(tmp_path, tmp_path)
    assert (settings.source.customers[0].each_date, settings.source.customers[0].stands) == ("changes", 12)
    assert "the newest row stands" in text


def test_a_column_that_some_files_lack_is_left_out_and_named(tmp_path, cards):
    for place, (day, table) in enumerate(cards.items()):
        (table.drop(columns="PAYMENTS") if place else table).to_csv(tmp_path / f"c{day}.csv", index=False)
    text, settings = dated_settings(tmp_path, tmp_path)
    assert "# left out: PAYMENTS (not in all files)" in text
    assert "PAYMENTS" not in settings.source.customers[0].attributes


def test_files_without_ids_need_one_because_rows_of_two_dates_have_the_same_numbers(tmp_path, cards):
    for day, table in cards.items():
        table.drop(columns="CUST_ID").to_csv(tmp_path / f"c{day}.csv", index=False)
    text = write(look_at([tmp_path]), tmp_path, today=TODAY)
    assert "customer_id: TODO    # write the column of ids; none was recognised" in text


def test_the_only_date_of_a_table_is_that_of_its_snapshot(tmp_path, cards):
    cards[MONTHS[0]].assign(as_of_date="2026-08-31").to_csv(tmp_path / "cards.csv", index=False)
    text, settings = dated_settings(tmp_path, tmp_path / "cards.csv")
    assert str(settings.snapshots.first) == str(settings.snapshots.last) == "2026-08-31"
    assert "the only date in as_of_date" in text


def test_a_month_that_is_not_over_is_no_date_yet():
    assert day_of(Path("cards_202610.csv"), TODAY)[0] == dt.date(2026, 11, 1)
    assert day_of(Path("cards_202611.csv"), TODAY)[0] == TODAY


@pytest.mark.parametrize(
    "columns", [["date", "total"], ["month", "amount", "visits", "minutes", "points"], ["order_date", "points", "visits", "age"]]
)
def test_orders_and_purchases_by_month_are_no_history(tmp_path, columns):
    when, *numbers = columns
    rows = [
        {"customer_id": f"c{i}", when: day, **{name: (7 * i) % 90 + place for place, name in enumerate(numbers)}}
        for i in range(60)
        for day in MONTHS
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "orders.csv", index=False)
    (one,) = look_at([tmp_path / "orders.csv"])
    assert (one.history, one.customers) == (None, {})


def test_events_are_no_history(tmp_path):
    rows = [
        {"customer_id": f"c{i}", "date": f"2026-09-{1 + (i + n) % 28:02d}", "event": "visit", "x": n, "y": i, "z": 1}
        for i in range(90)
        for n in (0, 9)
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "events.csv", index=False)
    (one,) = look_at([tmp_path / "events.csv"])
    assert one.history is None
    assert one.has_events


def test_a_dated_folder_beside_orders_is_a_history_too(tmp_path, cards):
    folder = tmp_path / "crm"
    folder.mkdir()
    for day, table in cards.items():
        table.to_csv(folder / f"crm-{day}.csv", index=False)
    orders = [
        {"customer_id": f"C{10_001 + i}", "order_date": f"2026-{month:02d}-{1 + i % 28:02d}", "amount": 5 + i}
        for i in range(200)
        for month in (7, 8, 9)
    ]
    pd.DataFrame(orders).to_csv(tmp_path / "orders.csv", index=False)
    _, settings = dated_settings(tmp_path, tmp_path / "orders.csv", folder)
    assert settings.source.contents == {"customers", "transactions"}
    (customers,) = settings.source.customers
    assert (customers.columns["known_at"], customers.each_date) == ("file name", "complete")
