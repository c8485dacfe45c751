"""Figures of few customers are not published, nor can they be had from those that are."""

import duckdb

from segmentation_assets.store import database_files
from segmentation_assets.store.published import publish_snapshot
from segmentation_assets_tests.builders import D1, put_snapshot
from segmentation_assets_tests.store.conftest import ask, segment


def test_figures_of_few_customers_are_hidden_and_said_to_be_so_but_stay_in_the_lake(lake, data_dir):
    sizes = (("empty", 0), ("few", 4), ("enough", 5))
    rows = [
        {**segment(name, i), "customers": n, "share": n / 10, "revenue": 1.0, "description": "d"} for i, (name, n) in enumerate(sizes, 1)
    ]
    profiles = [{"segment_id": i, "feature": "frequency", "mean": 2.0, "population_mean": 3.0} for i in (1, 2, 3)]
    put_snapshot(lake, D1, segments=rows, segment_profiles=profiles)
    publish_snapshot(lake, data_dir, D1, "f", smallest_cell=5)
    few = "fewer than 5 customers"
    shown = [("empty", 0, 0.0, 1.0, "d", None), ("few", None, None, None, None, few), ("enough", 5, 0.5, 1.0, "d", None)]
    query = "SELECT segment_name, customers, share, revenue, description, small_cell FROM segments ORDER BY segment_id"
    assert ask(data_dir, query) == shown
    about = "SELECT mean, population_mean, small_cell FROM segment_profiles ORDER BY segment_id"
    assert ask(data_dir, about) == [(2.0, 3.0, None), (None, 3.0, few), (2.0, 3.0, None)]
    for file in (data_dir / database_files.DATABASE, data_dir / database_files.PRIVATE / database_files.MASTER):
        file.unlink()
    assert ask(data_dir, query) == shown  # rebuilt from the lake, which keeps all figures
    assert duckdb.sql(f"SELECT customers FROM '{lake.file('segments', D1)}' ORDER BY segment_id").fetchall() == [(0,), (4,), (5,)]
