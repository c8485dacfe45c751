"""Published rows for tests of the report, written by hand."""

import datetime as dt
from typing import Any

import pandas as pd
import pytest

from segmentation_assets.report.tables import CONTACT_COLUMNS, OF_SNAPSHOT, Tables, with_columns

KEY, BEFORE = "2024-03-01", dt.date(2024, 2, 1)


def rows(name: str, *given: dict[str, Any]) -> pd.DataFrame:
    """The rows as a published table, with the other columns empty."""
    return with_columns(pd.DataFrame(list(given)), name)


def segment(segment_id: int, name: str, customers: float, day: str = KEY, **values: Any) -> dict[str, Any]:
    return {"snapshot_date": pd.Timestamp(day), "segment_id": segment_id, "segment_name": name, "customers": customers, **values}


def tables(history: list[dict[str, Any]], before: dt.date | None = BEFORE, stakes: list[dict[str, Any]] = [], **given: Any) -> Tables:  # noqa: B006
    """Tables of snapshot KEY: `history` are rows of segments, `given` of other tables and `contacts`; `absent` names those that were not
    published."""
    contacts = pd.DataFrame(given.pop("contacts", []), columns=CONTACT_COLUMNS)
    absent = frozenset(given.pop("absent", ()))
    whole = rows("segments", *history)
    found = {name: rows(name, *given.get(name, [])) for name in OF_SNAPSHOT}
    found["segments"] = whole[whole["snapshot_date"] == pd.Timestamp(KEY)]
    return Tables(KEY, before, found, absent, whole, pd.DataFrame(stakes, columns=["segment_id", "customers", "value_at_stake"]), contacts)


def contact(segment_id: int, play: str, customers: int, value_at_stake: float, role: str = "treated") -> dict[str, Any]:
    return {
        "segment_id": segment_id, "play": play, "list": "marketing", "role": role, "customers": customers, "value_at_stake": value_at_stake,
    }  # fmt: skip


@pytest.fixture
def small() -> Tables:
    """A shop of two segments and the lapsed, over two snapshots."""
    model = {"fitted_snapshot": pd.Timestamp("2024-02-01"), "in_force": True, "decision": "carried forward", "tier": "convenient"}
    action = {"segment_id": 1, "segment_name": "Champions", "channel": "e-mail", "list": "marketing"}
    return tables(
        [
            segment(1, "Champions", 40, "2024-02-01", revenue=900.0),
            segment(2, "Average", 60, "2024-02-01", revenue=600.0),
            segment(1, "Champions", 50, share=0.5, revenue=1000.0, revenue_share=0.6, description="Typically many. And more."),
            segment(2, "Average", 45, share=0.45, revenue=650.0, revenue_share=0.4, description="Typically few; against others, less."),
            segment(-1, "Lapsed", 5, share=0.05, revenue=0.0, revenue_share=0.0, description="Bought before, but not within it."),
        ],
        stakes=[{"segment_id": 1, "customers": 50, "value_at_stake": 12.4}, {"segment_id": -1, "customers": 2, "value_at_stake": 3.0}],
        model_registry=[model],
        drift_report=[
            {"kind": "feature", "subject": "monetary", "value": 0.01, "q_value": 0.9, "flagged": False, "in_model": True},
            {"kind": "feature", "subject": "events", "value": 0.5, "q_value": 0.001, "flagged": True, "in_model": False},
        ],
        segment_transitions=[
            {"from_segment_id": 2, "to_segment_id": 1, "customers": 9, "customers_by_model": 0},
            {"from_segment_id": 1, "to_segment_id": 1, "customers": 40, "customers_by_model": 0},
            {"from_segment_id": 2, "to_segment_id": -1, "customers": 5, "customers_by_model": 0},
            {"from_segment_id": None, "to_segment_id": 1, "customers": 10, "customers_by_model": 0},
        ],
        segment_profiles=[
            {"segment_id": 1, "feature": "frequency", "mean": 9.0, "median": 8.0, "population_mean": 4.0, "z": 1.2},
            {"segment_id": 1, "feature": "monetary", "mean": 25.0, "median": 20.0, "population_mean": 15.0, "z": 0.8},
            {"segment_id": 1, "feature": "recency_days", "mean": 3.0, "median": 1.0, "population_mean": 9.0, "z": -0.9},
            {"segment_id": 1, "feature": "weekend_share", "mean": 0.5, "median": 0.5, "population_mean": 0.3, "z": 0.4},
        ],
        segment_actions=[
            {**action, "action": "Thank them", "play": "thanks", "priority": 2, "customers_treated": 30, "value_at_stake": 5.0},
            {**action, "action": "Call them", "play": "call", "priority": 1, "customers_treated": 7, "value_at_stake": 2.0},
            {**action, "action": "Thank them", "play": "thanks", "priority": 2, "customers_treated": 4, "segment_id": 2},
        ],
        contacts=[
            contact(1, "thanks", 30, 4.0), contact(1, "thanks", 6, 1.0, "holdout"), contact(1, "call", 7, 1.5),
            contact(2, "thanks", 0, float("nan")),
        ],
        evaluation_metrics=[
            {"metric": "weakest_jaccard", "value": 0.8},
            {"metric": "forward_spend_eta_squared", "value": 0.4},
            {"metric": "forward_spend_eta_squared_money_quintiles", "value": 0.42},
        ],
    )  # fmt: skip
