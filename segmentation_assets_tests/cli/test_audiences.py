import duckdb
from rich.console import Console

from segmentation_assets.cli.audiences import NOBODY, TAKEN, Plan, Planned, read, show
from segmentation_assets.store.published import DATABASE
from segmentation_assets_tests.builders import LOADED


def planned(
    action: str, treated: int | None, stake: float | None = None, suppressed: dict[str, int | None] | None = None, remark: str = ""
) -> Planned:
    return Planned(action, "marketing", "Call", "phone", 1, treated, 2, 3, suppressed or {}, 0, 60.0, stake, remark)


def printed(*actions: Planned, fewest: int = 1, width: int = 140) -> str:
    console = Console(width=width)
    with console.capture() as captured:
        show(Plan("2024-03-01", fewest, list(actions)), "EUR", console)
    return captured.get()


def test_an_action_is_a_line_with_its_numbers_and_who_is_suppressed_is_told_by_reason():
    shown = printed(planned("win_back", 14, 599.4, {"opted out": 3, "contact cap": 1}))
    (line,) = [row for row in shown.splitlines() if "win_back" in row]
    assert line.split() == ["1", "win_back", "marketing", "phone", "14", "2", "3", "4", "60", "599"]
    assert "Suppressed, opted out: 3 customers." in shown and "Suppressed, contact cap: 1 customer." in shown
    assert "it was not measured" not in shown


def test_no_figure_is_cut_on_80_columns():
    shown = printed(planned("second_chance_for_those_who_left", 123_456, 12_345_678.0, {"opted out": 99_999}), width=80)
    assert {"123,456", "99,999", "12,345,678"} <= set(shown.split()) and "…" not in shown


def test_hidden_numbers_are_not_added_up_and_what_was_not_measured_is_told():
    shown = printed(planned("win_back", 14, None, {"opted out": None}), planned("call", None), fewest=5)
    (line,) = [row for row in shown.splitlines() if " call " in row]
    assert line.split()[4:] == ["hidden", "2", "3", "0", "60", "hidden"]
    assert "Suppressed, opted out: hidden." in shown and "Hidden are figures of fewer than 5 customers" in shown
    assert "Where nothing is at stake, it was not measured" in shown


def test_actions_for_nobody_are_one_sentence_and_other_remarks_a_line_each():
    idle = [Planned(name, "marketing", "Call", "phone", 1, 0, 0, 0, {}, 0, None, None, NOBODY) for name in ("new", "dormant")]
    late = Planned("summer", "marketing", "Call", "phone", 1, 0, 0, 0, {}, 0, None, None, "starts 2024-06-01")
    shown = printed(planned("win_back", 14, 1.0), *idle, late)
    assert "For nobody at this snapshot: new, dormant." in shown
    assert "summer: starts 2024-06-01" in shown
    assert sum(name in row for row in shown.splitlines() for name in ("new", "dormant")) == 2


def test_an_action_whose_customers_all_are_with_earlier_ones_is_not_said_to_be_for_nobody(tmp_path):
    with duckdb.connect(str(tmp_path / DATABASE)) as published:
        published.execute("""
            CREATE TABLE audience_members AS SELECT DATE '2024-03-01' AS snapshot_date, 'marketing' AS list, 'a' AS customer_id,
                'at_risk' AS action, role, reason, NULL::TIMESTAMP AS handed_over, 0.0 AS cost, 1.0 AS value_at_stake
                FROM (VALUES ('treated', NULL), ('holdout', 'holdout of the action'), ('holdout', 'universal control')) AS t(role, reason);
            CREATE TABLE segment_actions AS SELECT DATE '2024-03-01' AS snapshot_date, play, 'Call' AS action, 'phone' AS channel, priority
                FROM (VALUES ('at_risk', 1), ('slipping', 2)) AS t(play, priority);
            CREATE TABLE published_snapshots AS SELECT DATE '2024-03-01' AS snapshot_date, '' AS fingerprint;
            CREATE TABLE segments AS SELECT DATE '2024-03-01' AS snapshot_date, 1 AS segment_id, 'Loyal' AS segment_name;
        """)
    plan = read(LOADED.model_copy(update={"data_dir": tmp_path}), "2024-03-01")
    assert {one.action: one.remark for one in plan.actions if one.action in ("at_risk", "slipping", "new")} == {
        "at_risk": "", "slipping": TAKEN, "new": NOBODY,
    }  # fmt: skip
    assert {(one.treated, one.holdout, one.control) for one in plan.actions if one.action == "at_risk"} == {(1, 1, 1)}
    console = Console(width=140)
    with console.capture() as captured:
        show(plan, "EUR", console)
    assert "For nobody whom actions before did not take: slipping." in captured.get()
