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
        "churn": [float(i) for i in range(40)], "spent": [float(i % 7) for i in range(40)],
    })  # fmt: skip
    looks = look_at_columns(sample, types)
    assert {name for name, look in looks.items() if look.outcome} == {"churned", "churn"}
    assert {name for name, look in looks.items() if look.enters} == {"plan", "paid", "spent"}


def test_a_card_table_is_clustered_by_its_numbers_without_redundant_and_nearly_constant_ones(tmp_path):
    tables_of_customers.cards(tmp_path / "cards-2026-10.csv", customers=400)
    text, settings = settings_for(tmp_path / "cards-2026-10.csv")
    (customers,) = settings.source.customers
    assert (customers.columns, settings.source.contents) == ({"customer_id": "CUST_ID"}, {"customers"})
    entering = {"BALANCE", "BALANCE_FREQUENCY", "CASH_ADVANCE", "PURCHASES_TRX", "CREDIT_LIMIT", "MINIMUM_PAYMENTS", "PRC_FULL_PAYMENT"}
    assert set(settings.model.features) - entering in ({"PURCHASES"}, {"ONEOFF_PURCHASES"})
    assert "redundant: it says the same as" in text
    assert "# not clustered by TENURE (ordinal): nearly constant: 9" in text
    assert (settings.snapshots.first, settings.snapshots.last) == (dt.date(2026, 10, 1), dt.date(2026, 10, 1))


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
        ("2026-01.csv", "2026-01-01"),
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
