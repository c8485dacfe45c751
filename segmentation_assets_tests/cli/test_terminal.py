"""Names are printed literally: no markup, and control characters as escapes, which a terminal would obey."""

from collections.abc import Callable
from io import StringIO

import pandas as pd
import pytest
from rich.table import Table

from segmentation_assets.cli.terminal import VisibleConsole, new_console, progress_bar
from segmentation_assets.store import layout, published
from segmentation_assets.store.lake import opened
from segmentation_assets.visible import visible
from segmentation_assets_tests.builders import D1, put_snapshot
from segmentation_assets_tests.conftest import called

NAMES = ["[/x] [bold]", "age [years] :smile:"]
EVIL, SHOWN = "[/x]\x1b[2J\x9b\r\u202e", r"[/x]\x1b[2J\x9b\r\u202e"
SETTINGS = """
snapshots: {first: 2024-02-01, last: 2024-02-01}
source:
  kind: tables
  transactions: {files: "*.parquet", columns: {customer_id: id, ordered_at: day, amount: paid}}
"""


def test_brackets_in_names_are_not_markup(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table(title=NAMES[0])
    table.add_column(NAMES[1])
    table.add_row(NAMES[0])
    new_console().print(*NAMES)
    new_console().print(table)
    said = capsys.readouterr().out
    assert [said.count(name) for name in NAMES] == [3, 2]


def test_a_console_leaves_it_to_the_command_that_its_reader_has_left() -> None:
    class Closed(StringIO):
        def flush(self) -> None:
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):  # for which every command ends quietly
        VisibleConsole(file=Closed()).print("a table")


def test_a_progress_bar_prints_names_literally() -> None:
    console = VisibleConsole(file=StringIO(), width=132, force_terminal=True)
    with progress_bar(console) as bar:
        bar.add_task(f"opening {EVIL}", step=EVIL)
    said = console.file.getvalue()
    assert f"opening {SHOWN}" in said and said.count(SHOWN) >= 2


@pytest.mark.parametrize("text", ["two\tcolumns\nZo\xeb 1\u202f000\xa0\u20ac \U0001f469\u200d\U0001f373", r"C:\x1b"])
def test_other_text_is_unchanged(text: str) -> None:
    assert visible(text) == text


def test_names_that_no_encoding_can_write_are_printed() -> None:
    assert visible(b"caf\xe9.csv".decode(errors="surrogateescape")) == r"caf\udce9.csv"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Calls commands on a shop whose file, column, category, segment and model have such a name; returns all that they print."""
    shop = tmp_path_factory.mktemp("shop")
    (shop / "segmentation.yaml").write_text(SETTINGS)
    orders = pd.DataFrame(
        {"id": [f"c{i % 6}" for i in range(28)], "day": [f"2024-01-{i + 1:02}" for i in range(28)], "paid": "9", EVIL: EVIL}
    )
    orders.loc[0, "day"] = EVIL
    orders.to_parquet(shop / f"{EVIL.replace('/', '')}.parquet")
    layout.prepare(shop / "data")
    with opened(shop / "data") as lake:
        decided = {"model_version": EVIL, "decision": "trained", "reason": EVIL, "in_force": True}
        put_snapshot(lake, D1, segments=[{"segment_name": EVIL, "description": EVIL}], model_registry=[decided])
        published.publish_snapshot(lake, shop / "data", D1, "")

    def call(*arguments: str) -> str:
        given = [one.replace("{shop}", str(shop)) for one in arguments]
        return called(*given, data_dir=shop / "data", SEGMENTATION_SETTINGS=str(shop / "segmentation.yaml")).output

    return call


@pytest.mark.parametrize(
    ("arguments", "times"),
    [
        (("check",), 3),  # file, column, cell
        (("show",), 1),
        (("show", "--long"), 2),
        (("show", "--json"), 2),
        (("models",), 2),
        (("models", "--json"), 2),
        (("sql", f"""SELECT segment_name AS "{EVIL}" FROM segments"""), 2),
        (("sql", f"no {EVIL}"), 1),
        (("show", "--snapshot", EVIL), 1),
        (("why", EVIL), 1),
        (("init", EVIL), 1),
        (("init", "{shop}", "--output", "{shop}/proposed.yaml"), 1),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else None,
)
def test_commands_obey_no_control_characters_in_names(made: Callable[..., str], arguments: tuple[str, ...], times: int) -> None:
    said = made(*arguments)
    assert not set("\x1b\x9b\r\u202e") & set(said)
    assert said.count("[2J") >= times and "Traceback" not in said
