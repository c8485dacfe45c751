"""A retailer's two faulty exports, from `init` to the last snapshot: sums tie out to the cent."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from segmentation_assets.sources import file_profile, first_settings
from segmentation_assets.store.database_files import DATABASE
from segmentation_assets_tests import retailer
from segmentation_assets_tests.conftest import ROOT, environment

LAST = "2011-12-01"  # the orders end on 9 December, within a month
QUICK = {"k": 3, "k_max": 3, "algorithms": ["kmeans"], "resamples": 10, "stability_sample": 500}


@dataclass(frozen=True)
class Shop:
    """The exports in a folder, with settings written by `init` and corrected by hand."""

    folder: Path
    exports: retailer.Exports

    def settings(self, first: str, **sections: dict[str, Any]) -> Path:
        """Write the settings file with the corrections: the first snapshot, and that carriage is not a product."""
        written = yaml.safe_load(first_settings.write(file_profile.look_at([self.folder / "orders"]), self.folder))
        written["snapshots"]["first"] = first
        written["cleaning"]["product_exclusions"].append("^C2$")
        file = self.folder / "segmentation.yaml"
        file.write_text(yaml.safe_dump(written | sections), encoding="utf-8")
        return file

    def command(self, *arguments: str) -> tuple[str, float]:
        """The output of a command, and its CPU seconds."""
        before = os.times()
        done = subprocess.run(
            [Path(sys.executable).parent / "segmentation", *arguments, "--settings", self.folder / "segmentation.yaml"],
            cwd=ROOT, env=environment(self.folder / "data"), capture_output=True, text=True, check=False,
        )  # fmt: skip
        after = os.times()
        assert done.returncode == 0, done.stdout + done.stderr
        used = after.children_user + after.children_system - before.children_user - before.children_system
        return done.stdout, used

    def cents(self, query: str) -> dict[Any, int]:
        """The result of a query of the published database; its last column is an amount, returned in cents."""
        with duckdb.connect(self.folder / "data" / DATABASE, read_only=True) as database:
            return {row[0] if len(row) == 2 else row[:-1]: int(row[-1] * 100) for row in database.sql(query).fetchall()}

    def ties_out(self) -> None:
        """Assert that monthly sums of customers, and their totals in customer_activity, are right to the cent."""
        true = {key: cents for key, cents in self.exports.cents.items() if key[1] < LAST[:7]}
        months = self.cents("SELECT customer_id, strftime(ordered_at, '%Y-%m'), sum(amount) FROM transactions GROUP BY ALL")
        assert months == true
        customers = dict.fromkeys((customer for customer, _ in true), 0)
        for (customer, _), cents in true.items():
            customers[customer] += cents
        assert self.cents("SELECT customer_id, sum(spend) FROM customer_activity GROUP BY ALL") == customers


def made(folder: Path, lines: int) -> Shop:
    """A shop with `lines` order lines."""
    return Shop(folder, retailer.write(folder / "orders", lines))


def test_the_exports_have_the_faults_of_real_ones(tmp_path: Path) -> None:
    shop = made(tmp_path, 20_000)
    with duckdb.connect() as database:
        lines = database.read_csv([str(file) for file in shop.exports.files], sep=";", all_varchar=True)
        (facts,) = database.sql("""
            SELECT count(*), count(*) FILTER (starts_with(Invoice, 'C')) > 100, count(*) FILTER ("Customer ID" LIKE '%.0') > 5_000,
                count(*) FILTER ("Customer ID" IS NULL) > 2_000, count(*) FILTER (Price = '0,00') > 10,
                count(*) FILTER (StockCode IN ('POST', 'DOT', 'M')) > 10
            FROM lines""").fetchall()
        assert lines.columns == list(retailer.HEADER)
        assert facts == (20_000, True, True, True, True, True)
        (distinct,) = database.sql("""SELECT count(*) FROM (
            SELECT DISTINCT * EXCLUDE ("Customer ID"), replace("Customer ID", '.0', '') FROM lines)""").fetchall()
        assert distinct == (20_000 - shop.exports.doubled,)
    assert shop.exports.doubled > 50
    assert retailer.write(tmp_path / "again", 20_000).cents == shop.exports.cents


@pytest.mark.full
def test_from_init_to_the_last_snapshot(tmp_path: Path) -> None:
    shop = made(tmp_path, 20_000)
    shop.settings("2011-10-01", model=QUICK)
    said, _ = shop.command("check")
    assert "line repeats an earlier one exactly" in said
    assert "Ready" in said
    shop.command("run", "--all")
    shop.ties_out()


@pytest.mark.full
def test_a_million_lines_from_init_to_24_snapshots(tmp_path: Path) -> None:
    shop = made(tmp_path, 1_000_000)
    shop.settings("2010-01-01")
    said, seconds = shop.command("check")
    print(f"check: {seconds:.1f} s of CPU")
    assert "Ready" in said
    assert seconds < 60
    _, seconds = shop.command("run", "--all")
    print(f"run --all: {seconds:.1f} s of CPU")
    shop.ties_out()
