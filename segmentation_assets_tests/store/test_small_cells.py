"""Figures of few customers are not published, nor can they be had from those that are."""

from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segmentation_assets.engines.duckdb import DuckDBEngine
from segmentation_assets.store import database_files
from segmentation_assets.store.lake import Lake
from segmentation_assets.store.published import publish_snapshot
from segmentation_assets.store.small_cells import HIDDEN, between_steps, hidden_figures, published_rows, with_company
from segmentation_assets.tables import BY_NAME, CONTRACTS
from segmentation_assets_tests.builders import D1, D2, put_snapshot
from segmentation_assets_tests.store.conftest import ask, segment

FEW = 5


def test_figures_of_few_customers_are_hidden_and_said_to_be_so_but_stay_in_the_lake(lake, data_dir):
    sizes = (("empty", 0), ("few", 4), ("next", 6), ("enough", 9))
    rows = [
        {**segment(name, i), "customers": n, "share": n / 10, "revenue": 1.0, "description": "d"} for i, (name, n) in enumerate(sizes, 1)
    ]
    profiles = [{"segment_id": i, "feature": "frequency", "mean": 2.0, "population_mean": 3.0} for i in (1, 2, 4)]
    put_snapshot(lake, D1, segments=rows, segment_profiles=profiles)
    publish_snapshot(lake, data_dir, D1, "f", smallest_cell=FEW)
    hidden = (None, None, None, None, HIDDEN)
    shown = [("empty", 0, 0.0, 1.0, "d", None), ("few", *hidden), ("next", *hidden), ("enough", 9, 0.9, 1.0, "d", None)]
    query = "SELECT segment_name, customers, share, revenue, description, small_cell FROM segments ORDER BY segment_id"
    assert ask(data_dir, query) == shown
    about = "SELECT mean, population_mean, small_cell FROM segment_profiles ORDER BY segment_id"
    assert ask(data_dir, about) == [(2.0, 3.0, None), (None, 3.0, HIDDEN), (2.0, 3.0, None)]
    for file in (data_dir / database_files.DATABASE, data_dir / database_files.PRIVATE / database_files.MASTER):
        file.unlink()
    assert ask(data_dir, query) == shown  # rebuilt from the lake, which keeps all figures
    assert duckdb.sql(f"SELECT customers FROM '{lake.file('segments', D1)}' ORDER BY segment_id").fetchall() == [(0,), (4,), (6,), (9,)]


def test_a_setting_that_is_turned_on_or_off_applies_from_then_on(lake, data_dir):
    for key, smallest in ((D1, 0), (D2, FEW)):
        put_snapshot(lake, key, segments=[{**segment("few"), "customers": 2}, {**segment("many", 2), "customers": 50}])
        publish_snapshot(lake, data_dir, key, "f", smallest_cell=smallest)
    found = ask(data_dir, "SELECT customers, small_cell FROM segments ORDER BY snapshot_date, segment_id")
    assert found == [(2, None), (50, None), (None, HIDDEN), (None, HIDDEN)]


SIZES = st.lists(st.one_of(st.integers(0, 9), st.integers(0, 200)), min_size=1, max_size=12)


@given(sizes=SIZES, data=st.data())
def test_no_total_tells_a_hidden_cell(sizes: list[int], data: st.DataObject) -> None:
    counts = np.array(sizes, dtype=float)
    groups = [np.array(data.draw(st.lists(st.integers(0, 2), min_size=len(sizes), max_size=len(sizes)))) for _ in range(2)]
    few = (counts > 0) & (counts < FEW)
    hidden, bare = with_company(counts, few, groups, FEW)
    assert (hidden | ~few).all() and not hidden[counts == 0].any()
    for group in (grouping == place for grouping in groups for place in range(3)):
        inside, left = counts[group & hidden], counts[group & ~hidden]
        assert not len(inside) or (len(inside) > 1 and inside.sum() >= FEW) or (bare and not left.any())


def test_a_cell_that_another_total_tells_is_no_company() -> None:
    """Of 63 prospects, 3 and 40 bought and 20 stayed; nobody became one, so that today's number of prospects tells the 20."""
    counts, before, now = np.array([3.0, 20, 40, 50]), np.array([0, 0, 0, 1]), np.array([2, 0, 1, 2])
    hidden, bare = with_company(counts, counts < FEW, [before, now], FEW)
    assert hidden.tolist() == [True, True, True, True] and bare


@given(sizes=SIZES, order=st.randoms(use_true_random=False))
def test_the_choice_does_not_depend_on_the_order_of_cells(sizes: list[int], order: object) -> None:
    counts, place = np.array(sizes, dtype=float), np.arange(len(sizes))
    order.shuffle(place)
    few, one = (counts > 0) & (counts < FEW), [np.zeros(len(sizes), dtype=int)]
    assert (with_company(counts[place], few[place], one, FEW)[0] == with_company(counts, few, one, FEW)[0][place]).all()


@given(steps=st.lists(st.integers(0, 9), min_size=1, max_size=40))
def test_no_two_shown_steps_differ_by_few(steps: list[int]) -> None:
    counts = np.cumsum(steps).astype(float)
    shown = counts[~between_steps(counts, FEW)]
    assert not 0 < counts[-1] < FEW or not shown.any()
    assert counts[-1] < FEW or shown[-1] == counts[-1]
    assert not any(0 < step < FEW for step in np.diff([0.0, *shown]))


# What adds up: table -> how its cells are grouped by sums that are published; beside the columns that count customers, or orders
Grouping = Callable[[pd.DataFrame], pd.Series]
SUMS: dict[str, tuple[str, tuple[Grouping, ...]]] = {
    "segments": ("customers", (lambda t: t["segment_id"] >= 0,)),
    "segment_transitions": ("customers", (lambda t: t["from_segment_id"].fillna(-9), lambda t: t["to_segment_id"].fillna(-9))),
    "segment_journeys": ("customers", (lambda t: t["path"].str.split(" > ").str[-1],)),
    "attribute_spend": ("customers", (lambda t: t["attribute"],)),
    "feature_distributions": ("customers", (lambda t: t["feature"] + t["scale"],)),
    "order_seasonality": ("orders", (lambda t: t["window_start"],)),
    "segmentation_model": ("value", (lambda t: t["field"].where((t["field"] == "weight") & (t["component"] == "prototype")),)),
}
COUNTS = {
    "customers", "customers_entered", "customers_left", "customers_by_model", "cohort_customers", "active_customers", "orders", "missing",
    "outliers", "smallest_count",
}  # fmt: skip


def each_published(lake: Lake, key: str, smallest: int) -> Iterator[tuple[str, pd.DataFrame, pd.DataFrame]]:
    """Each table with hidden figures, in the lake and as published."""
    for contract in CONTRACTS:
        if contract.cells:
            there = pq.ParquetFile(lake.file(contract.name, key)).read().to_pandas()
            yield contract.name, there, published_rows(lake, contract, key, smallest).to_pandas()


def walk(lake: Lake, key: str, smallest: int) -> set[str]:
    """Look for any figure of few customers in what is published of a snapshot; return the tables in which something is hidden."""
    found = set()
    for name, there, shown in each_published(lake, key, smallest):
        for column in COUNTS & set(shown):
            counts = shown[column].dropna()
            assert not ((counts > 0) & (counts < smallest)).any(), (name, column)
        count, groupings = SUMS.get(name, ("", ()))
        for grouping in groupings:
            for _, own in there.groupby(grouping(there)):
                inside = own.loc[shown.loc[own.index, count].isna() & (own[count] > 0), count]
                everything = len(inside) == (own[count] > 0).sum()  # there is nothing left to hide it among
                assert inside.empty or everything or (len(inside) > 1 and inside.sum() >= smallest), (name, own)
        if (shown["small_cell"] == HIDDEN).any():
            found.add(name)
    return found


def linked(lake: Lake, key: str, smallest: int) -> None:
    """What other tables say of a segment whose size is hidden."""
    shown = {name: rows for name, _, rows in each_published(lake, key, smallest)}
    ids = set(shown["segments"].loc[shown["segments"]["customers"].isna(), "segment_id"])
    names = set(shown["segments"].loc[shown["segments"]["customers"].isna(), "segment_name"])
    assert ids
    moved = shown["segment_transitions"]
    assert moved.loc[moved["to_segment_id"].isin(ids), "customers"].isna().all()
    metrics = shown["evaluation_metrics"]
    assert metrics.loc[metrics["metric"].str.partition(": ")[2].isin(names), "value"].isna().all()
    for name, column in (
        ("segment_profiles", "mean"),
        ("segment_stays", "customers"),
        ("segment_bridge", "customers"),
        ("segment_actions", "reason"),
    ):
        assert shown[name].loc[shown[name]["segment_id"].isin(ids), column].isna().all(), name
    curve = shown["revenue_concentration"]["customers"].dropna()
    assert not curve.diff().between(1, smallest - 1).any()


@pytest.fixture
def of_demo(demo: Path) -> Iterator[Lake]:
    engine = DuckDBEngine(threads=1)
    yield Lake(demo / "lake", engine)
    engine.close()


@pytest.mark.slow
@pytest.mark.parametrize("smallest", [5, 300])
def test_no_published_table_of_the_demo_tells_a_figure_of_few(of_demo: Lake, smallest: int) -> None:
    *_, key = of_demo.keys("segments")
    found = walk(of_demo, key, smallest)
    assert found >= {"feature_summary", "feature_outliers", "order_seasonality", "cohort_retention", "feature_distributions"}
    if smallest == 300:
        assert found >= {
            "segments",
            "segment_transitions",
            "segment_bridge",
            "segment_journeys",
            "revenue_concentration",
            "evaluation_metrics",
        }
        linked(of_demo, key, smallest)


def test_what_became_of_few_is_hidden_whatever_the_segment_is_today() -> None:
    """So is the size of the next smallest, Loyal: sizes add up to all who were active."""
    followed = {"Gone": (4, 0.5), "Loyal": (27, 26 / 27), "Half": (30, 0.5)}
    rows = [
        {"metric": f"{kind}: {name}", "value": value}
        for name, (customers, share) in followed.items()
        for kind, value in (("forward_customers", customers), ("forward_mean_spend", 9.0), ("forward_active_share", share))
    ]
    metrics = pd.DataFrame([*rows, {"metric": "forward_lift: Old", "value": 1.1}])
    none = pd.DataFrame({"segment_id": [], "segment_name": []})
    tables = {"segments": none.assign(customers=[]), "segment_transitions": none.assign(customers=[])}
    where = hidden_figures(BY_NAME["evaluation_metrics"], metrics, FEW, tables.__getitem__, tables.__getitem__)["value"]
    assert metrics["metric"][where].tolist() == [
        "forward_customers: Gone", "forward_mean_spend: Gone", "forward_active_share: Gone", "forward_customers: Loyal",
        "forward_active_share: Loyal", "forward_lift: Old",
    ]  # fmt: skip


def test_every_table_that_counts_customers_says_which_figures_are_hidden() -> None:
    totals = {"segmentation_model"}  # numbers in one column, under names
    of_one_customer = {
        c.name for c in CONTRACTS if {"customer_id", "raw"} & set(c.key) or c.bulky or c.name in {"rejected_rows", "customer_activity"}
    }
    counting = {c.name for c in CONTRACTS if COUNTS & {column.name for column in c.columns}} | totals
    assert counting - of_one_customer == {
        c.name for c in CONTRACTS if c.cells and (COUNTS & {x.name for x in c.columns} or c.name in totals)
    }


def test_a_lone_segment_by_rule_is_not_told_by_the_share_of_all_customers() -> None:
    rows = pd.DataFrame({"segment_id": [1, 2, -1], "customers": [30, 40, 2], "share": [30 / 72, 40 / 72, 2 / 72]})
    hidden = hidden_figures(BY_NAME["segments"], rows.assign(segment_name="s"), FEW, lambda _: rows, lambda _: rows)
    assert hidden["customers"].tolist() == [False, False, True]
    assert hidden["share"].tolist() == [True, True, True]
