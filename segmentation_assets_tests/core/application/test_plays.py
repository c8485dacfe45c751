"""Names in the playbook mean the segments of the snapshot, and actions are done in the order of their priority."""

import datetime as dt
from typing import Any

import ibis
import pandas as pd
import pytest

from segmentation_assets.core.application import plays, summary
from segmentation_assets.settings.playbook import LISTED, PLAYBOOK, Play

NAMES = {1: "Champions", 2: "Slipping away", -1: "Lapsed"}
CHARACTERS = {1: "champions", 2: "slipping", -1: "lapsed"}
DAY = dt.date(2024, 3, 1)


def play(**values: Any) -> Play:
    return Play(**{"action": "write", "channel": "e-mail", **values})


def done(**playbook: Play | None) -> plays.Done:
    return plays.done(playbook, DAY, NAMES, CHARACTERS, ["vips"])


def test_an_action_is_for_characters_names_ids_and_own_segments() -> None:
    aim = {
        "characters": ["slipping"],
        "segments": ["Champions", -1],
        "own_segments": ["vips"],
        "entered": ["vips", "Slipping away"],
        "left": [1],
    }
    [action] = done(win_back=play(**{"for": aim})).actions
    assert (set(action.inside.segments), action.inside.own) == ({1, 2, -1}, ("vips",))
    assert (action.entered, action.left) == (plays.Targets((2,), ("vips",)), plays.Targets((1,)))


def test_the_shipped_actions_are_for_the_character_they_are_named_after() -> None:
    found = plays.done(PLAYBOOK, DAY, NAMES, CHARACTERS, [])
    whom = {action.key: action.inside.segments for action in found.actions if action.inside}
    assert whom == {"champions": (1,), "slipping": (2,), "lapsed": (-1,)}
    assert found.remarks == {}


def test_what_does_not_run_or_is_for_no_segment_is_said() -> None:
    found = done(
        soon=play(starts="2024-03-02", **{"for": {"segments": [1]}}),
        over=play(ends="2024-02-29", **{"for": {"segments": [1]}}),
        last_day=play(ends="2024-03-01", **{"for": {"segments": [1]}}),
        misspelt=play(**{"for": {"segments": ["Champion"], "entered": [9]}}),
        champions=None,
    )
    assert [action.key for action in found.actions] == ["last_day", "misspelt"]
    assert found.remarks == {
        "soon": "starts 2024-03-02",
        "over": "ended 2024-02-29",
        "misspelt": "Champion is no segment at this snapshot. Did you mean Champions? 9 is no segment at this snapshot.",
    }


def test_actions_are_done_by_priority_and_without_one_by_money() -> None:
    of = {"for": {"segments": [1]}}
    found = done(little=play(**of), much=play(**of), first=play(priority=1, **of), none=play(**of))
    ordered = plays.in_order(found.actions, lambda: {"little": 5.0, "much": 70.0})
    assert [(action.key, action.priority) for action in ordered] == [("first", 1), ("much", 1), ("little", 2), ("none", 4)]
    alone = done(little=play(**of), first=play(priority=3, **of), second=play(priority=4, **of))
    ordered = plays.in_order(alone.actions, lambda: {"little": 5.0, "first": 90.0, "second": 7.0})
    assert [(action.key, action.priority) for action in ordered] == [("first", 3), ("little", 3), ("second", 4)]


def test_own_actions_come_before_shipped_ones_of_the_same_priority() -> None:
    of = {"for": {"segments": [1]}}
    changed = PLAYBOOK["lapsed"].model_copy(update={"channel": "phone", "priority": 1})
    found = done(at_risk=PLAYBOOK["at_risk"], lapsed=changed, zeal=play(priority=1, **of), much=play(**of))
    ordered = plays.in_order(found.actions, lambda: {"much": 70.0})
    assert [(action.key, action.priority) for action in ordered] == [("lapsed", 1), ("zeal", 1), ("much", 1), ("at_risk", 1)]


def table(schema: dict[str, str], *rows: tuple[Any, ...]) -> Any:
    columns = {name: [row[place] for row in rows] for place, name in enumerate(schema)}
    return ibis.memtable(columns, schema=schema) if rows else ibis.memtable([], schema=schema)


TEXTS, IDS = ("customer_id", "own_segment", "change", "cause"), ("from_segment_id", "to_segment_id")
CHANGES = dict.fromkeys(TEXTS, "string") | dict.fromkeys(IDS, "int64")
PLACED = table({"customer_id": "string", "segment_id": "int64"}, ("a", 1), ("b", 2), ("c", 2), ("d", 1))
MEMBERS = table({"own_segment": "string", "customer_id": "string"}, ("vips", "a"), ("vips", "c"))
MOVED = table(
    CHANGES,
    ("b", None, "moved", "behaviour", 1, 2), ("c", None, "moved", "model", 1, 2), ("d", "vips", "left", "both", None, None),
    ("gone", None, "left", "behaviour", 1, None),
)  # fmt: skip
VALUES = table(
    {"customer_id": "string", "value_now": "float64", "value_at_stake": "float64", "usual_category": "string"},
    ("a", 10.0, 1.0, None), ("b", 20.0, None, None),
)  # fmt: skip


@pytest.mark.parametrize(
    ("aim", "whom", "through"),
    [
        ({"segments": [2]}, "bc", {}),
        ({"own_segments": ["vips"]}, "ac", {"a": "vips", "c": "vips"}),
        ({"segments": [1], "own_segments": ["vips"]}, "acd", {"c": "vips"}),
        ({"entered": [2]}, "b", {}),  # c was put there by another model
        ({"left": ["vips"]}, "d", {"d": "vips"}),
        ({"left": ["Champions"], "entered": ["lapsed"]}, "b", {}),
    ],
)
def test_customers_are_found_by_segment_and_by_what_they_entered_or_left(aim: dict[str, Any], whom: str, through: dict[str, str]) -> None:
    actions = done(one=play(**{"for": aim})).actions
    rows = plays.meant(actions, PLACED, MEMBERS, MOVED, VALUES).to_pyarrow().to_pylist()
    assert sorted(row["customer_id"] for row in rows) == list("abcd")
    assert "".join(sorted(row["customer_id"] for row in rows if row["for_0"])) == whom
    assert {row["customer_id"]: row["own_0"] for row in rows if row["for_0"] and row.get("own_0")} == through


def test_money_is_summed_over_all_whom_an_action_is_for() -> None:
    actions = done(one=play(**{"for": {"segments": [1]}}), two=play(**{"for": {"segments": [2]}})).actions
    assert summary.money(plays.meant(actions, PLACED, MEMBERS, MOVED, VALUES), actions) == {"one": 1.0, "two": 0.0}


def test_whom_a_limit_does_not_reach_are_counted_also_where_a_later_action_takes_them() -> None:
    of = {"for": {"segments": [1, 2]}}
    found = plays.in_order(done(few=play(most_customers=1, priority=1, **of), rest=play(priority=2, **of)).actions, dict)
    texts = dict.fromkeys(("list", "customer_id", "action", "role", "reason"), "string")
    members = table(
        texts | {"segment_id": "int64", "cost": "float64"},
        *((LISTED, *row, 0.0) for row in (
            ("a", "few", "treated", None, 1), ("b", "rest", "holdout", "universal control", 2),
            ("c", "few", "suppressed", "beyond budget or limit", 2), ("d", "few", "suppressed", "opted out", 1),
        )),
    )  # fmt: skip
    segments = pd.DataFrame({"segment_id": [1, 2], "segment_name": ["A", "B"], "share": 0.5, "revenue_share": 0.5, "description": ""})
    rows = summary.segment_actions(found, plays.meant(found, PLACED, MEMBERS, MOVED, VALUES), members, segments, {1: "x", 2: "y"}, "EUR")
    numbers = [
        "segment_id",
        "play",
        "customers_treated",
        "customers_holdout",
        "customers_control",
        "customers_suppressed",
        "customers_beyond",
    ]
    assert rows[numbers].to_numpy().tolist() == [
        [1, "few", 1, 0, 0, 1, 0], [1, "rest", 0, 0, 0, 0, 0], [2, "few", 0, 0, 0, 1, 2], [2, "rest", 0, 0, 1, 0, 0],
    ]  # fmt: skip
    assert set(rows["holdout_share"]) == {0.1}
