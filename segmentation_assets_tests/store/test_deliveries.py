"""What was handed over is kept whole, and later snapshots ask it who stands where, who was contacted, and what it cost."""

import datetime as dt
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from segmentation_assets.store import deliveries
from segmentation_assets.store.deliveries import DeliveryError
from segmentation_assets.store.lake import Lake

FEBRUARY, MARCH, APRIL = dt.date(2024, 2, 1), dt.date(2024, 3, 1), dt.date(2024, 4, 1)


def changes(*rows: tuple[str, str, str, str]) -> pd.DataFrame:
    """customer, action, role, change."""
    frame = pd.DataFrame(rows, columns=["customer_id", "action", "role", "change"])
    return frame.assign(list="marketing", channel="e-mail", cost=frame["role"].eq("treated") * 2.0, reason=None, planned_share=0.1)


def at(day: dt.date, hour: int = 12) -> dt.datetime:
    return dt.datetime(day.year, day.month, day.day, hour, tzinfo=dt.UTC)


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """Two snapshots, the first delivered to two destinations."""
    first = changes(("a", "welcome", "treated", "added"), ("b", "welcome", "holdout", "added"), ("c", "welcome", "treated", "added"))
    for destination in ("crm", "mail"):
        deliveries.record(tmp_path, first, FEBRUARY, destination, at(FEBRUARY))
    deliveries.record(
        tmp_path, changes(("a", "welcome", "treated", "removed"), ("c", "thanks", "treated", "added")), MARCH, "crm", at(MARCH, 9)
    )
    return tmp_path


def asked(found: Any) -> dict[str, tuple[Any, ...]]:
    return {row.pop("customer_id"): tuple(row.values()) for row in found.to_pyarrow().to_pylist()}


def test_the_last_assignment_stands_unless_it_was_taken_back(kept: Path, lake: Lake) -> None:
    until = {day: deliveries.standing(deliveries.rows(kept, lake.engine, day)) for day in (FEBRUARY, MARCH)}
    assert {one: row[1:3] for one, row in asked(until[MARCH]).items()} == {"b": ("welcome", "holdout"), "c": ("thanks", "treated")}
    assert {one: row[1:3] for one, row in asked(until[FEBRUARY]).items()} == {
        "a": ("welcome", "treated"), "b": ("welcome", "holdout"), "c": ("welcome", "treated"),
    }  # fmt: skip


def test_one_contact_counts_once_however_many_destinations_it_had(kept: Path, lake: Lake) -> None:
    rows = deliveries.rows(kept, lake.engine, APRIL)
    assert asked(deliveries.contacts(rows, FEBRUARY, APRIL)) == {"a": (1,), "c": (2,)}
    assert asked(deliveries.contacts(rows, MARCH, APRIL)) == {"c": (1,)}
    assert asked(deliveries.contacts(rows, FEBRUARY, MARCH)) == {"a": (1,), "c": (1,)}  # not those of the snapshot itself
    assert (deliveries.spent(rows, MARCH), deliveries.spent(rows, APRIL)) == ({"welcome": 4.0}, {"welcome": 4.0, "thanks": 2.0})


def test_a_destination_that_is_told_at_a_later_snapshot_makes_no_further_contact(kept: Path, lake: Lake) -> None:
    deliveries.record(kept, changes(("c", "thanks", "treated", "added")), APRIL, "new", at(APRIL))
    rows = deliveries.rows(kept, lake.engine, dt.date(2024, 5, 1))
    assert asked(deliveries.contacts(rows, FEBRUARY, dt.date(2024, 5, 1)))["c"] == (2,)
    assert deliveries.spent(rows, dt.date(2024, 5, 1)) == {"welcome": 4.0, "thanks": 2.0}


def test_every_row_names_the_folder(kept: Path, lake: Lake) -> None:
    rows = deliveries.rows(kept, lake.engine, APRIL).to_pyarrow()
    assert set(rows["folder_id"].to_pylist()) == {deliveries.folder_id(kept)} and len(deliveries.folder_id(kept)) == 32
    assert len(set(rows["delivery_id"].to_pylist())) == 3


def test_without_deliveries_nothing_stands(tmp_path: Path, lake: Lake) -> None:
    assert deliveries.rows(tmp_path, lake.engine, APRIL) is None


def test_a_damaged_record_is_an_error_and_not_nobody(kept: Path, lake: Lake) -> None:
    file = deliveries.recorded(kept)[0]
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(DeliveryError, match=rf"{file.name} cannot be read, so it is not known who was contacted"):
        deliveries.rows(kept, lake.engine, APRIL)


@pytest.mark.parametrize(
    ("wrong", "why"), [({"role": "suppressed"}, "role is suppressed"), ({"change": "kept"}, "change is kept"), ({"cost": None}, "cost")]
)
def test_a_wrong_delivery_is_refused_whole(tmp_path: Path, wrong: dict[str, Any], why: str) -> None:
    rows = changes(("a", "welcome", "treated", "added")).assign(**wrong)
    with pytest.raises(DeliveryError, match=f"The delivery to crm was not recorded: .*{why}"):
        deliveries.record(tmp_path, rows, FEBRUARY, "crm", at(FEBRUARY))
    assert deliveries.recorded(tmp_path) == []
