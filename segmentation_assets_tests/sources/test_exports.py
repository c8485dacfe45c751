"""Exports of shops and tills as they are: the settings that `init` writes run unedited, and amounts add up to what was paid."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from segmentation_assets.cli.check import Findings, inspect
from segmentation_assets.core.customers.cleaning import judged_transactions
from segmentation_assets.settings.cleaning import Cleaning
from segmentation_assets.settings.loading import Settings
from segmentation_assets.sources.file_profile import look_at
from segmentation_assets.sources.first_settings import missing, write
from segmentation_assets_tests.sources.conftest import FOREVER, opened_in
from segmentation_assets_tests.sources.exports import orders, spend, written

RUN = [
    "shopify",
    "woo-analytics",
    "woo-orders",
    "magento",
    "square-items",
    "square-transactions",
    "stripe",
    "bigcommerce",
    "paypal",
    "lightspeed",
]


@dataclass(frozen=True)
class Proposed:
    """The settings that `init` writes for an export."""

    folder: Path
    text: str

    @property
    def settings(self) -> dict[str, Any]:
        read: dict[str, Any] = yaml.safe_load(self.text)
        return read

    @property
    def table(self) -> dict[str, Any]:
        (table,) = self.settings["source"]["transactions"]
        return dict(table)


@pytest.fixture(scope="module")
def proposed(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Proposed]:
    """The settings for an export without some of its columns; made once for all tests."""

    @functools.cache
    def of(name: str, *without: str) -> Proposed:
        folder = tmp_path_factory.mktemp(name)
        (folder / f"{name}.csv").write_text(written(name, without), encoding="utf-8")
        return Proposed(folder, write(look_at([folder / f"{name}.csv"]), folder))

    return of


def checked(of: Proposed) -> Findings:
    tables = [{**of.table, "files": str(of.folder / of.table["files"])}]
    source = {**of.settings["source"], "transactions": tables}
    return inspect(Settings.model_validate({**of.settings, "data_dir": str(of.folder / "data"), "source": source}))


def clean(of: Proposed) -> list[dict[str, Any]]:
    """The clean lines."""
    with opened_in(of.folder) as opened:
        source = opened(transactions=of.table)
        raw = source.source.transactions(source.engine, FOREVER)
        return source.engine.rows(judged_transactions(raw, Cleaning.model_validate(of.settings["cleaning"])).kept())


@pytest.mark.parametrize("name", RUN)
def test_amounts_of_an_unedited_export_add_up_to_what_was_paid(proposed: Callable[..., Proposed], name: str) -> None:
    of = proposed(name)
    assert "TODO" not in of.text
    walk_ins = sum(order.total for order in orders() if order.status == "paid" and not order.customer) if name == "square-items" else 0
    assert float(sum(row["amount"] for row in clean(of))) == pytest.approx(spend() - walk_ins)


@pytest.mark.parametrize("name", ["shopify", "woo-orders"])
def test_an_order_keeps_its_lines_and_products(proposed: Callable[..., Proposed], name: str) -> None:
    rows = clean(proposed(name))
    came_about = [order for order in orders() if order.status == "paid"]
    assert len(rows) == sum(len(order.lines) for order in came_about)
    assert len({row["order_id"] for row in rows}) == len(came_about)
    assert {row["product_id"] for row in rows} == {line[0] for order in came_about for line in order.lines}
    assert sum(row["quantity"] for row in rows) == sum(line[1] for order in came_about for line in order.lines)
    assert {row["customer_id"] for row in rows} == {order.email for order in came_about}


def test_first_row_cells_and_order_amounts_are_explained(proposed: Callable[..., Proposed]) -> None:
    of = proposed("shopify")
    assert of.table["amount_is"] == "order" and "Financial Status" in of.table["fill_from_order"]
    assert "# filled on an order's first row only" in of.text and "counted once" in of.text
    findings = checked(of)
    assert findings.problems == []
    lines = "\n".join(findings.lines)
    assert "amounts of the order, counted once; from the order's first row Email, Created at, Financial Status, Cancelled at" in lines
    assert "left out 24 rows, because LOWER(TRIM(\"Financial Status\")) IN ('voided', 'refunded', 'expired')" in lines


def test_amazon_is_reported_to_have_no_customer(tmp_path: Path) -> None:
    (tmp_path / "orders.txt").write_text(written("amazon"))
    looks = look_at([tmp_path / "orders.txt"])
    (said,) = missing(looks)
    assert said.startswith("orders.txt is an export of Amazon, All Orders. Amazon does not say who bought: this report has no customer")
    text = write(looks, tmp_path)
    (table,) = yaml.safe_load(text)["source"]["transactions"]
    assert table["columns"]["customer_id"] == "TODO"
    assert "ship" not in str(table["columns"]) and "largest_reject_share" not in text


@pytest.mark.parametrize("name", ["square-items", "square-transactions"])
def test_for_square_without_customer_columns_init_says_how_to_get_them(proposed: Callable[..., Proposed], name: str) -> None:
    text = proposed(name, "Customer ID", "Customer Name", "Customer Reference ID").text
    assert "customer_id: TODO" in text
    assert "This export does not say who bought. Export" in text


def test_sales_without_a_customer_are_counted_and_do_not_stop_a_run(proposed: Callable[..., Proposed]) -> None:
    of = proposed("square-items")
    rows = [order for order in orders() if not order.customer]
    lines = sum(len(order.lines) * (1 if order.status == "paid" else 2) for order in rows)
    total = sum(len(order.lines) * (1 if order.status == "paid" else 2) for order in orders())
    assert f"# {lines} of {total} rows ({lines / total:.1%}) of square-items.csv have no customer id, and are set aside" in of.text
    assert of.settings["cleaning"]["largest_reject_share"] > 0.05


@pytest.mark.parametrize(("name", "column"), [("woo-analytics", "Customer"), ("magento", "Bill-to Name")])
def test_names_as_customer_ids_come_with_a_warning(proposed: Callable[..., Proposed], name: str, column: str) -> None:
    of = proposed(name, "Customer Email")
    assert of.table["columns"]["customer_id"] == column
    assert "two people with the same name count as one" in of.text


def test_the_stripe_customer_is_the_filled_column(proposed: Callable[..., Proposed]) -> None:
    assert proposed("stripe").table["columns"]["customer_id"] == "Customer Email"
