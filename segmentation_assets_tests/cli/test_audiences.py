from rich.console import Console

from segmentation_assets.cli.audiences import NOBODY, Plan, Planned, show


def planned(
    action: str, treated: int | None, stake: float | None = None, suppressed: dict[str, int | None] | None = None, remark: str = ""
) -> Planned:
    return Planned(action, "marketing", "Call", "phone", 1, treated, 2, suppressed or {}, 0, 60.0, stake, remark)


def printed(*actions: Planned, fewest: int = 1) -> str:
    console = Console(width=140)
    with console.capture() as captured:
        show(Plan("2024-03-01", fewest, list(actions)), "EUR", console)
    return captured.get()


def test_an_action_is_a_line_with_its_numbers_and_who_is_suppressed_is_told_by_reason():
    shown = printed(planned("win_back", 14, 599.4, {"opted out": 3, "contact cap": 1}))
    (line,) = [row for row in shown.splitlines() if "win_back" in row]
    assert [cell.strip() for cell in line.split("│")[1:-1]] == ["1", "win_back", "marketing", "phone", "14", "2", "4", "60", "599"]
    assert "Suppressed, opted out: 3 customers." in shown and "Suppressed, contact cap: 1 customer." in shown
    assert "it was not measured" not in shown


def test_hidden_numbers_are_not_added_up_and_what_was_not_measured_is_told():
    shown = printed(planned("win_back", 14, None, {"opted out": None}), planned("call", None), fewest=5)
    assert shown.count("<5") == 2
    assert "Suppressed, opted out: fewer than 5 customers." in shown
    assert "Where nothing is at stake, it was not measured" in shown


def test_actions_for_nobody_are_one_sentence_and_other_remarks_a_line_each():
    idle = [Planned(name, "marketing", "Call", "phone", 1, 0, 0, {}, 0, None, None, NOBODY) for name in ("new", "dormant")]
    late = Planned("summer", "marketing", "Call", "phone", 1, 0, 0, {}, 0, None, None, "starts 2024-06-01")
    shown = printed(planned("win_back", 14, 1.0), *idle, late)
    assert "For nobody at this snapshot: new, dormant." in shown
    assert "summer: starts 2024-06-01" in shown
    assert sum(name in row for row in shown.splitlines() for name in ("new", "dormant")) == 2
