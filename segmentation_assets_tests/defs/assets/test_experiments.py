import datetime as dt
from decimal import Decimal
from types import SimpleNamespace

import pandas as pd
import pytest

from segmentation_assets.defs.assets.experiments import action_experiments
from segmentation_assets.settings.loading import Settings
from segmentation_assets.settings.playbook import Play
from segmentation_assets.store import deliveries
from segmentation_assets.store.lake import Lake
from segmentation_assets.tables import BY_NAME
from segmentation_assets.vocabulary import Change, Character, Likeness, Reason, Role
from segmentation_assets_tests.builders import D1, D2, D3, LOADED, put

BEFORE, NOW = dt.date.fromisoformat(D2), dt.date.fromisoformat(D3)
CUSTOMERS = [f"c{number:03}" for number in range(200)]
CHAMPIONS = str(Character.CHAMPIONS)
PLAY = Play(action="Thank them", channel="e-mail", holdout=0.4, expected_uplift=0.1)


@pytest.fixture
def settings(lake: Lake) -> Settings:
    return LOADED.model_copy(update={"data_dir": lake.root.parent, "playbook": {CHAMPIONS: PLAY}})


def member(number: int, **further) -> dict:
    """Two of five are held out."""
    held = number % 5 < 2
    return {
        "list": "marketing", "action": CHAMPIONS, "customer_id": CUSTOMERS[number], "segment_id": 1,
        "role": str(Role.HOLDOUT if held else Role.TREATED), "reason": str(Reason.ACTION_HOLDOUT) if held else None, **further,
    }  # fmt: skip


ADDED = pd.DataFrame([member(number, change=str(Change.ADDED), channel="e-mail", cost=0.0, planned_share=0.4) for number in range(200)])


def spend(number: int) -> int:
    """What a customer spends each month, but for what differs by chance; the treated 5 more since."""
    return 20 + number % 7


@pytest.fixture
def shop(lake: Lake) -> Lake:
    for key in (D1, D2):
        put(lake, "customer_features", key, *({"customer_id": c, "monetary": spend(n), "frequency": 1} for n, c in enumerate(CUSTOMERS)))
        put(lake, "customer_segments", key, *({"customer_id": c, "segment_id": 1} for c in CUSTOMERS))
    for key in (D2, D3):
        put(lake, "audience_members", key, *(member(number) for number in range(200)))
    bought = [
        {
            "customer_id": customer, "order_id": customer, "order_day": dt.date(2024, 3, 9), "ordered_at": dt.datetime(2024, 3, 9),
            "spend": Decimal(spend(number) + 5 * (number % 5 >= 2) + number % 3),
        }
        for number, customer in enumerate(CUSTOMERS)
    ]  # fmt: skip
    put(lake, "customer_orders", D3, *bought)
    return lake


def made(lake: Lake, settings: Settings, *beyond: tuple[str, str, int]) -> tuple[pd.DataFrame, pd.DataFrame]:
    context = SimpleNamespace(partition_key=D3, add_output_metadata=lambda *_, **__: None)

    def read(name: str, *keys: str, dated: bool = True):
        return lake.read(BY_NAME[name], keys, dated=dated)

    found = action_experiments(
        context, settings, lake, read("audience_members", D2, D3), read("customer_features", D1, D2), read("customer_segments", D1, D2),
        read("customer_orders", D2, D3, dated=False), pd.DataFrame(beyond, columns=["list", "play", "customers_beyond"]),
    )  # fmt: skip
    return found["action_power"], found["action_lift"]


def test_what_was_not_handed_over_is_an_a_a_comparison(shop: Lake, settings: Settings) -> None:
    _, lift = made(shop, settings)
    assert lift["assigned_on"].tolist() == [BEFORE] * 4
    assert not lift["sent"].any()
    assert lift["verdict"].str.startswith("Nothing had been handed over").all()
    assert (lift["treated"].tolist(), lift["holdout"].tolist()) == ([120] * 4, [80] * 4)


def test_what_was_handed_over_is_measured_from_then_on(shop: Lake, settings: Settings) -> None:
    deliveries.record(settings.data_dir, ADDED, BEFORE, "file", dt.datetime(2024, 3, 4, 9))
    _, lift = made(shop, settings)
    whole = lift[lift["segment_id"].isna() & (lift["measure"] == "spend")].iloc[0]
    assert lift["sent"].all()
    assert whole["effect"] == pytest.approx(5, abs=0.3)
    assert whole["verdict"].startswith("The treated did more: ")
    deliveries.record(settings.data_dir, ADDED.head(0), NOW, "file", dt.datetime(2024, 4, 2))
    assert made(shop, settings)[1]["effect"].equals(lift["effect"])


@pytest.mark.parametrize("snapshot", [BEFORE, NOW])
def test_what_was_handed_over_after_the_snapshot_is_told(shop: Lake, settings: Settings, snapshot: dt.date) -> None:
    deliveries.record(settings.data_dir, ADDED, snapshot, "file", dt.datetime(2026, 11, 30, 9))
    _, lift = made(shop, settings)
    told = lift[lift["assigned_on"] == snapshot]
    words = "Handed over on 2026-11-30, after this snapshot: its lift shows from the first snapshot after that date."
    assert told[["measure", "sent", "treated", "holdout", "verdict"]].to_numpy().tolist() == [
        [measure, True, 120, 80, words] for measure in ("spend", "ordered")
    ]
    assert told["effect"].isna().all() and told["segment_id"].isna().all()
    assert (snapshot == BEFORE) == (len(told) == len(lift))


def test_the_planned_share_is_that_of_the_time_of_delivery(shop: Lake, settings: Settings) -> None:
    deliveries.record(settings.data_dir, ADDED, BEFORE, "file", dt.datetime(2024, 3, 4, 9))
    since = PLAY.model_copy(update={"holdout": 0.05})
    _, lift = made(shop, settings.model_copy(update={"playbook": {CHAMPIONS: since}}))
    assert not lift["verdict"].str.contains("do not trust").any()


def test_power_is_judged_by_the_same_action_a_snapshot_ago(shop: Lake, settings: Settings) -> None:
    power, _ = made(shop, settings)
    spent = power[power["measure"] == "spend"].iloc[0]
    assert (spent["basis"], spent["basis_customers"], spent["treated"], spent["holdout"]) == (Likeness.ACTION, 200, 120, 80)
    assert spent["expected_effect"] == pytest.approx(0.1 * spent["mean"])
    assert spent["verdict"].startswith("The expected ")


def test_power_knows_whom_the_budget_does_not_reach(shop: Lake, settings: Settings) -> None:
    play = PLAY.model_copy(update={"expected_uplift": 0.01, "budget": 120.0, "cost": 1.0})
    bound = settings.model_copy(update={"playbook": {CHAMPIONS: play}})
    power, _ = made(shop, bound, ("marketing", CHAMPIONS, 70), ("marketing", CHAMPIONS, 3_000), ("service", CHAMPIONS, 5))
    spent = power[power["measure"] == "spend"].iloc[0]
    assert spent["contacts_needed"] > 120 and f"which takes a budget of {spent['contacts_needed']:,.0f} " in spent["verdict"]


def test_power_of_a_new_action_is_judged_by_all_in_its_segments(shop: Lake, settings: Settings) -> None:
    put(shop, "audience_members", D2)
    power, lift = made(shop, settings)
    spent = power[power["measure"] == "spend"].iloc[0]
    assert (spent["basis"], spent["basis_customers"], len(lift)) == (Likeness.SEGMENTS, 200, 0)


def test_without_a_snapshot_before_nothing_is_known(shop: Lake, settings: Settings) -> None:
    for name in ("audience_members", "customer_features", "customer_segments"):
        put(shop, name, D2)
    power, lift = made(shop, settings)
    assert power["verdict"].str.startswith("Not known: ").all()
    assert lift.empty


def test_without_orders_nothing_is_measured(shop: Lake, settings: Settings) -> None:
    source = SimpleNamespace(has_orders=False)
    power, lift = made(shop, settings.model_copy(update={"source": source}))
    assert power.empty
    assert lift.empty
