"""A shop whose every text is code somewhere goes through every surface: nothing runs, nothing breaks, nothing is lost.

Belongs here: the list of surfaces, complete by `test_no_surface_is_left_out`, and what each does with the texts of `hostile`. A new
command, form of an alert, page or format gets its entry here.
"""

import csv
import email
import io
import json
import re
import shutil
import smtplib
import socket
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import apprise
import dagster as dg
import duckdb
import pandas as pd
import pyarrow.parquet as pq
import pytest
import requests
import uvicorn
import yaml
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import InProcessWorkspaceLoadTarget
from dagster_webserver.app import create_app_from_workspace_process_context
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from playwright.sync_api import Page, sync_playwright

from segmentation_assets.cli.main import main
from segmentation_assets.defs import alerts, markdown, messages
from segmentation_assets.defs.instance import CONFIGURATION
from segmentation_assets.report import report
from segmentation_assets.settings.alerts import EVENTS
from segmentation_assets.store.spreadsheet import harmless, without_formulas
from segmentation_assets.visible import visible
from segmentation_assets_tests import hostile
from segmentation_assets_tests.conftest import ROOT, called, segmentation
from segmentation_assets_tests.receiver import receiving
from segmentation_assets_tests.test_ui import CHROMIUM_FLAGS

KEY = "2024-02-01"
EVIL = "".join(texts[0] for texts in hostile.TEXTS.values()).replace("/", "\u2215")  # also a file's name
COMMANDS = {  # each with hostile text in what it reads or in what it is given
    "init": ("{shop}", "--output", "{shop}/proposed.yaml"),
    "check": (),
    "run": ("--snapshot", EVIL),
    "show": (),
    "sql": ("SELECT DISTINCT category FROM transactions",),
    "export": (f"{{shop}}/{EVIL}.duckdb",),
    "pictures": ("--snapshot", EVIL),
    "models": (),
    "retrain": ("--snapshot", EVIL),
    "rollback": (EVIL, "--snapshot", EVIL),
    "settings": (),
    "pseudonym": (EVIL,),
    "why": (f"{hostile.ALL[1]}#",),
    "rules": ("--dialect", "postgres"),
    "audiences": (),
    "report": ("--snapshot", EVIL),
    "ui": ("--settings", EVIL),
    "doctor": (),
    "upgrade": (),
    "instance": (),
    "refresh": (),
}
PREVIEWS = {  # on Dagster's page of an asset: a text that each must show, and whether a click shows it, because it is long
    "raw_customers": (f"{hostile.ALL[1]}#", True),
    "rejected_rows": (r'{"id":"\r=1+1#"', False),
}
FORMS = {  # of alerts, with an address of each
    "mailtos": "mailtos://smtp.example.com?user=me@example.com&pass=password&from=me@example.com&to=marketing@example.com",
    "slack": "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7",
    "workflows": "workflows://prod-1.westeurope.logic.azure.com:443/WORKFLOW/SIGNATURE",
    "jsons": "jsons://user:password@example.com/path",
    "discord": "discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js",
    "mmosts": "mmosts://mattermost.example.com/3ccdd113474722377935511fc85d3dd4",
}
TEMPLATES = {
    "analysts.html", "changes.html", "macros.html", "report.html", "report.js", "snapshots.html", "style.css", "uPlot.css", "uPlot.js",
}  # fmt: skip
TEMPLATES_OF = Path(report.__file__).parent / "templates"
MARKDOWN = MarkdownIt("commonmark").enable("table")


def test_no_surface_is_left_out() -> None:
    assert set(main.commands) == set(COMMANDS)
    documented = re.findall(r"^export ALERT_\w+='(\w+)://", (ROOT / "docs" / "alerts.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(documented) == set(FORMS)
    assert {file.name for file in TEMPLATES_OF.iterdir()} == TEMPLATES


@dataclass(frozen=True)
class Shop:
    """The shop after a run, and what the run printed."""

    folder: Path
    printed: str

    @property
    def data_dir(self) -> Path:
        return self.folder / "data"

    def call(self, *arguments: str) -> str:
        """What a command prints."""
        given = [argument.replace("{shop}", str(self.folder)) for argument in arguments]
        settings = str(self.folder / "segmentation.yaml")
        return called(*given, data_dir=self.data_dir, SEGMENTATION_SETTINGS=settings, DAGSTER_HOME="").output

    def csv(self, query: str, *options: str) -> list[list[str]]:
        """The rows that `sql` writes, without the header."""
        return list(csv.reader(io.StringIO(self.call("sql", "--csv", *options, query), newline="")))[1:]


def made(folder: Path, settings: Path) -> Shop:
    """The shop in `folder`, with all its snapshots."""
    done = segmentation("run", "--all", data_dir=folder / "data", SEGMENTATION_SETTINGS=str(settings))
    assert done.returncode == 0, done.stdout + done.stderr
    return Shop(folder, done.stdout + done.stderr)


@pytest.fixture(scope="module")
def bad_shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    folder = tmp_path_factory.mktemp("hostile")
    return made(folder, hostile.write(folder))


def trimmed(text: str) -> str:
    """The text without what reading removes around a cell, as documented."""
    return text.strip(" \t\r\n\u200f\ufeff\u2028")


# Terminal


def test_a_run_prints_no_control_characters(bad_shop: Shop) -> None:
    assert not hostile.ESCAPES & set(bad_shop.printed)
    assert f"Segments of {KEY}" in bad_shop.printed and "Traceback" not in bad_shop.printed


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_prints_no_control_characters(bad_shop: Shop, command: str) -> None:
    said = bad_shop.call(command, *COMMANDS[command])
    assert said and not hostile.ESCAPES & set(said)
    assert "Traceback" not in said and "Unexpected" not in said


def test_check_and_sql_print_texts_literally(bad_shop: Shop) -> None:
    told, queried = "".join(bad_shop.call("check").split()), bad_shop.call("sql", "SELECT DISTINCT category FROM transactions")
    assert [name for name in hostile.ATTRIBUTES if "".join(visible(name).split()) not in told] == []
    languages = ("HTML", "Markdown", "TeX", "rich", "SQL", "paths", "direction")
    texts = [visible(trimmed(text)) for language in languages for text in hostile.TEXTS[language]]
    assert [text for text in texts if text not in queried] == []


# Files


def test_texts_are_kept_as_they_are(bad_shop: Shop, tmp_path: Path) -> None:
    whole = tmp_path / "all.duckdb"
    bad_shop.call("export", str(whole))
    with duckdb.connect(str(whole), read_only=True) as exported:
        ids = {one for (one,) in exported.execute("SELECT customer_id FROM raw_customers").fetchall()}
        (longest,) = exported.execute("SELECT max(length(event_type)) FROM raw_events").fetchall()
        columns = {name for name, *_ in exported.execute("DESCRIBE customers").fetchall()}
    assert ids == {trimmed(one) for one in hostile.customers()}
    assert longest == (len(hostile.LONG),)
    assert set(hostile.ATTRIBUTES) <= columns
    assert {one for (one,) in bad_shop.csv("SELECT customer_id FROM raw_customers")} == ids


def test_a_spreadsheet_finds_no_formula(bad_shop: Shop) -> None:
    query = 'SELECT category AS "=1+1", -5 AS number FROM transactions'
    found = list(csv.reader(io.StringIO(bad_shop.call("sql", "--spreadsheet", query), newline="")))
    assert found[0] == ["'=1+1", "number"]
    assert {category[:1] for category, _ in found[1:]} & set("=+-@\t\r\uff1d") == set()
    assert {number for _, number in found[1:]} == {"-5"}
    plain = bad_shop.csv("SELECT category FROM transactions")
    assert [category for category, _ in found[1:]] == [harmless(category) for (category,) in plain]


def test_what_is_handed_over_is_text_and_no_formula(bad_shop: Shop) -> None:
    secret = "the secret of thirty two letters"  # noqa: S105
    settings = yaml.safe_load((bad_shop.folder / "segmentation.yaml").read_text(encoding="utf-8"))
    with receiving() as receiver:
        crm = {"kind": "webhook", "url": receiver.url(), "secret_variable": "CRM_SECRET"}
        places = {"files": {"kind": "folder", "path": "out"}, "parquet": {"kind": "folder", "path": "raw", "format": "parquet"}, "crm": crm}
        columns = [name for name in hostile.ATTRIBUTES if name not in settings["privacy"]["sensitive"]]
        settings["delivery"] = {"destinations": {name: {**place, "columns": columns} for name, place in places.items()}}
        file = bad_shop.folder / "delivering.yaml"
        file.write_text(yaml.safe_dump(settings, allow_unicode=True), encoding="utf-8")
        how = {"data_dir": bad_shop.data_dir, "SEGMENTATION_SETTINGS": str(file), "DAGSTER_HOME": "", "CRM_SECRET": secret}
        said = called("audiences", "--deliver", **how).output
    assert f"Handed over of the snapshot {KEY}" in said and not hostile.ESCAPES & set(said)
    sent = [row for post in receiver.posts for row in json.loads(post.body)["rows"]]
    people = {row["customer_id"]: row for row in sent}
    assert set(people) <= {one for (one,) in bad_shop.csv("SELECT customer_id FROM customers")} and len(people) == len(sent) > 20
    (written,) = (bad_shop.folder / "out").iterdir()
    (raw,) = (bad_shop.folder / "raw").iterdir()
    assert {row["customer_id"]: row[columns[0]] for row in pq.read_table(raw).to_pylist()} == {
        one: row[columns[0]] for one, row in people.items()
    }
    header, *rows = list(csv.reader(io.StringIO(written.read_bytes().decode(), newline="")))
    assert header == [harmless(name) for name in sent[0]]
    assert {tuple(row) for row in rows} == {tuple(harmless(cell or "") for cell in row.values()) for row in sent}


@given(text=st.text(st.sampled_from("=+-@\t\r\n; ,.'\"a1\xa0\u200b\uff1d")))
def test_no_cell_of_a_spreadsheet_begins_a_formula(text: str) -> None:
    written = harmless(text)
    assert written.replace("'", "") == text.replace("'", "")
    assert written == text or not re.match(r"\s*[-+=@\uff1d]", written)
    assert without_formulas(duckdb.sql("SELECT $text", params={"text": text})).fetchall() == [(written,)]


@given(
    number=st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.decimals(allow_nan=False, allow_infinity=False))
)
def test_numbers_stay_numbers_in_a_spreadsheet(number: object) -> None:
    assert harmless(str(number)) == str(number)


def test_the_report_has_its_own_elements_only(bad_shop: Shop) -> None:
    pages = pages_of(bad_shop)
    drawn = {file.stem for file in report.folder(bad_shop.data_dir, KEY).glob("*.png")}
    assert {"attributes", "categories", "missingness", "typical_customers"} <= drawn
    assert drawn == set(re.findall(r'<figure id="(\w+)"', pages["analysts.html"]))
    assert all(of_its_own(page) and not hostile.ESCAPES & set(page) for page in pages.values())
    assert of_its_own(report.index(bad_shop.data_dir).read_text(encoding="utf-8"))
    assert 'id="own-segments"' in pages["index.html"] and "<summary>" in pages["analysts.html"]


def pages_of(shop: Shop) -> dict[str, str]:
    """The pages of the report by the name of their file."""
    return {page.name: page.read_text(encoding="utf-8") for page in report.folder(shop.data_dir, KEY).glob("*.html")}


class Elements(HTMLParser):
    """The elements of a page, with their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def of_its_own(page: str) -> bool:
    """Whether every element is one of the template's: none of a text, none that loads anything, and no script but the templates'."""
    elements = Elements(page).found
    tags = {tag for tag, _ in elements}
    addresses = {value for _, attributes in elements for name, value in attributes.items() if name in {"src", "href"}}
    told = [value for _, attributes in elements for name, value in attributes.items() if name.startswith("on") or name == "id"]
    page_of_ours = r"#|data:image/png|((\.\./)?([\d-]+/)?index|(\.\./[\d-]+/)?(changes|analysts))\.html(#\w+)?$"
    kept = all(re.match(page_of_ours, str(address)) for address in addresses)
    scripts = [text.partition("</script>")[0] for text in page.split("<script>")[1:]]
    of_templates = [(TEMPLATES_OF / name).read_text(encoding="utf-8").removesuffix("\n") for name in ("uPlot.js", "report.js")]
    ours = scripts in (of_templates, of_templates[1:])  # the first draws lines, where there are any
    known = {tag for tag in tags if tag not in {"iframe", "object", "link", "image", "foreignobject", "animate", "use", "base", "form"}}
    return ours and kept and known == tags and not any(hostile.MARK in str(value) for value in told)


@pytest.fixture(scope="module")
def bad_customers(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """The same texts in a table of customers without orders."""
    folder = tmp_path_factory.mktemp("hostile_customers")
    return made(folder, hostile.write_customers(folder))


@pytest.mark.full  # in CI, the shop with orders
def test_a_table_of_customers_without_orders_is_printed_and_shown_as_plain_text(bad_customers: Shop) -> None:
    why, in_full = (bad_customers.call("why", f"{hostile.ALL[1]}#", *more) for more in ((), ("--long",)))
    proposed = bad_customers.call("init", "{shop}/people.parquet", "--output", "{shop}/proposed.yaml")
    for said in (bad_customers.printed, bad_customers.call("check"), bad_customers.call("show"), why, in_full, proposed):
        assert said and not hostile.ESCAPES & set(said) and "Traceback" not in said and "Unexpected" not in said
    assert "the segments explain" in bad_customers.printed
    for page in pages_of(bad_customers).values():
        assert of_its_own(page) and not hostile.ESCAPES & set(page)
    written = yaml.safe_load((bad_customers.folder / "proposed.yaml").read_text(encoding="utf-8"))
    assert set(written["model"]["features"]) <= set(hostile.ATTRIBUTES)
    found = bad_customers.csv("SELECT feature FROM feature_choices WHERE enters")
    assert {name for (name,) in found} == set(hostile.ATTRIBUTES[:4])


# Dagster's pages


def logged(shop: Shop) -> Iterator[dict[str, Any]]:
    """The metadata of everything that was made."""
    with closing(sqlite3.connect(shop.data_dir / "dagster" / "history" / "runs" / "index.db")) as log:
        for (event,) in log.execute("SELECT event FROM event_logs WHERE dagster_event_type = 'ASSET_MATERIALIZATION'"):
            yield dg.deserialize_value(event, dg.EventLogEntry).asset_materialization.metadata


def test_previews_draw_nothing_and_link_nowhere(bad_shop: Shop) -> None:
    texts = [value.value for metadata in logged(bad_shop) for value in metadata.values() if isinstance(value, dg.MarkdownMetadataValue)]
    assert len(texts) > 30
    found = {token.type for text in texts for block in MARKDOWN.parse(text) for token in (block, *(block.children or ()))}
    assert not {kind for kind in found if re.match("image|link|html|heading|code|em_|strong|fence|hr", kind)}
    assert max(len(cell) for text in texts for line in text.splitlines() for cell in re.split(r"(?<!\\)\|", line)) < 6 * markdown.SENTENCE


def test_a_cell_of_a_megabyte_keeps_the_log_small(bad_shop: Shop) -> None:
    assert sum(file.stat().st_size for file in (bad_shop.data_dir / "dagster" / "history" / "runs").iterdir()) < 2_000_000


@given(text=st.one_of(st.sampled_from(hostile.ALL), st.text(st.sampled_from("\\`*_[]()<>|~&#!-+.:/@w \nax")), st.text()))
def test_markdown_reads_back_as_the_text(text: str) -> None:
    if not (wanted := visible(" ".join(text.split()))):
        return
    for written in (markdown.bullets([text]), markdown.table(pd.DataFrame({"a": [text]}), letters=len(text) + 1)):
        blocks = [block for block in MARKDOWN.parse(written) if block.type == "inline"]
        shown = "".join(token.content for token in blocks[-1].children or ())
        assert shown.strip() == wanted.strip()


@pytest.fixture(scope="module")
def dagster_page(bad_shop: Shop) -> Iterator[str]:
    """The address of Dagster's page on the shop's instance, in this process."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("DAGSTER_HOME", str(bad_shop.data_dir / "dagster"))
        assert (bad_shop.data_dir / "dagster" / CONFIGURATION).exists()
        target = LoadableTargetOrigin(executable_path=sys.executable, module_name="segmentation_assets.definitions")
        location = InProcessCodeLocationOrigin(loadable_target_origin=target, location_name="segmentation_assets")
        with dg.DagsterInstance.get() as instance, WorkspaceProcessContext(instance, InProcessWorkspaceLoadTarget([location])) as context:
            server = uvicorn.Server(uvicorn.Config(create_app_from_workspace_process_context(context), log_level="error"))
            with socket.socket() as listening:
                listening.bind(("127.0.0.1", 0))
                serving = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
                serving.start()
                yield f"http://127.0.0.1:{listening.getsockname()[1]}"
                server.should_exit = True
                serving.join(10)


@pytest.mark.slow
def test_nothing_runs_in_a_browser(bad_shop: Shop, dagster_page: str) -> None:
    wrong: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM_FLAGS)
        page = browser.new_page(viewport={"width": 1700, "height": 2500})
        page.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: wrong.append(request.url) if hostile.REMOTE in request.url else None)
        page.route("**/*", lambda route: route.continue_() if _is_ours(route.request.url, dagster_page) else route.abort())
        page.set_default_timeout(120_000)
        for asset, (text, long) in PREVIEWS.items():
            page.goto(f"{dagster_page}/assets/{asset}?view=overview")
            if long:
                page.get_by_text("[Show Markdown]").first.click()
            page.get_by_text(text).first.wait_for()
            wrong += _injected(page)
        for address, (link, text) in _pages_of_runs().items():
            page.goto(f"{dagster_page}/{address}")
            if link:
                page.get_by_text(link).last.click()
            page.get_by_text(text).first.wait_for()
            wrong += _injected(page)
        refused: list[str] = []
        page.on("console", lambda message: refused.append(message.text))
        for written in (*report.folder(bad_shop.data_dir, KEY).glob("*.html"), report.index(bad_shop.data_dir)):
            page.goto(written.as_uri())
            for details in page.locator("summary").all():
                details.click()
            for heading in page.locator("th button").all():
                heading.click()
            wrong += _injected(page)
        browser.close()
    assert (wrong, refused) == ([], [])


def _pages_of_runs() -> dict[str, tuple[str, str]]:
    """Pages of a run, whose log has every text, and of checks; each with what to click, if anything, and a text that it then shows."""
    with dg.DagsterInstance.get() as instance:
        (run,) = instance.get_runs(limit=1)
        for text in hostile.ALL:
            instance.report_engine_event(f"It said: {text}", run)
    return {
        f"runs/{run.run_id}": ("", f"It said: {hostile.ALL[-2]}"),
        "assets/raw_customers?view=checks": ("[Show JSON]", hostile.ATTRIBUTES[0]),
        "assets/feature_correlations?view=checks": ("", "features_are_not_redundant"),
    }


def _is_ours(address: str, dagster_page: str) -> bool:
    return address.startswith((dagster_page, "file:", "data:", "blob:"))


def _injected(page: Page) -> list[str]:
    """The elements of a page that came from a hostile text."""
    wanted = f"#{hostile.MARK}, [src*='{hostile.REMOTE}'], [href*='{hostile.REMOTE}'], [href^='javascript:'], [onerror], [onload]"
    found: list[str] = page.evaluate(f"[...document.querySelectorAll({json.dumps(wanted)})].map(element => element.outerHTML)")
    return found


# Alerts


def told(texts: tuple[str, ...]) -> list[messages.Message]:
    """A message on each kind of event, with the texts where data can be."""
    of = {"snapshot": KEY, "link": "http://dagster.example"}
    drift = {"kind": "feature", "statistic": "psi", "value": 1.0, "q_value": 0.01, "threshold": 0.1, "flagged": True, "in_model": True}
    model = {"model_version": "v1", "decision": "promoted", "fitted_snapshot": KEY, "algorithm": "kmeans", "k": 3, "tier": None}
    check = {"asset_key": dg.AssetKey("segments"), "check_name": "contract", "passed": False, "metadata": {}}
    return [
        *messages.of_drift(pd.DataFrame([{**drift, "subject": text} for text in texts]), **of),
        *messages.of_volume(pd.DataFrame([{"verdict": "low", "source": "events", "sentence": text} for text in texts]), **of),
        *messages.of_checks([dg.AssetCheckEvaluation(**check, description=texts[0])], **of, published=False),
        *messages.of_failure("raw_events", texts[0], **of),
        *messages.of_models(pd.DataFrame([{**model, "reason": texts[0]}]), **of),
    ]


def test_every_kind_of_message_is_looked_at() -> None:
    assert {message.event for message in told(hostile.ALL[:2])} == set(EVENTS)


READINGS: dict[str, Callable[[dict[str, Any]], str]] = {  # what a reader of a form sees
    "mailtos": lambda sent: sent["mail"],
    "slack": lambda sent: unescape(sent["attachments"][0]["text"]),
    "workflows": lambda sent: _seen(sent["attachments"][0]["content"]["body"][-1]["text"]),
    "jsons": lambda sent: sent["message"],
    "discord": lambda sent: _seen(sent["content"]).replace("@\u200b", "@"),
    "mmosts": lambda sent: _seen(sent["text"]).replace("@\u200b", "@"),
}


def _seen(text: str) -> str:
    """What Markdown shows; pictures and elements are refused."""
    tokens = [token for block in MARKDOWN.parse(text) for token in (block.children or [block])]
    assert not {token.type for token in tokens} & {"image", "html_inline", "html_block"}
    return "".join(token.content for token in tokens)


def test_a_message_in_markdown_notifies_nobody_and_makes_no_link() -> None:
    written = markdown.message("@everyone <@123> look:\n- [x](javascript:alert(1))\n- www.remote.example")
    tokens = [token for block in MARKDOWN.parse(written) for token in (block, *(block.children or ()))]
    assert {token.type for token in tokens} <= {"paragraph_open", "paragraph_close", "inline", "text", "text_special", "softbreak"}
    assert "@everyone" not in written and "@123" not in written


@pytest.mark.parametrize("form", FORMS)
def test_alerts_say_hostile_text_as_text(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[dict[str, Any]] = []

    def sendmail(_from: str, _to: object, text: str, *_: object) -> dict[str, Any]:
        mail = email.message_from_string(text)
        assert mail.get_content_type() == "text/plain"
        sent.append({"mail": mail.get_payload(decode=True).decode()})
        return {}

    def request(_: object, method: str, url: str, **how: Any) -> requests.Response:
        sent.append(how["json"] if how.get("json") else json.loads(how["data"]))
        answer = requests.Response()
        answer.status_code, answer._content = 200, b"ok"
        return answer

    monkeypatch.setattr(requests.Session, "request", request)
    monkeypatch.setattr(smtplib, "SMTP_SSL", MagicMock(return_value=MagicMock(sendmail=sendmail)))
    monkeypatch.setattr(smtplib, "SMTP", smtplib.SMTP_SSL)
    monkeypatch.setattr(apprise.NotifyBase, "throttle", lambda *_, **__: None)
    texts = [hostile.ALL[at : at + 5] for at in range(0, len(hostile.ALL), 5)]
    for some in texts:
        alerts.send(told(some), {"ALERT": FORMS[form]})
    assert len(sent) == len(EVENTS) * len(texts)
    whole = "".join("".join(READINGS[form](one).split()) for one in sent)
    assert not hostile.ESCAPES & set(whole)
    linked = {hostile.TEXTS["Markdown"][2]} if form == "workflows" else set()  # an address in angle brackets: a link that shows it
    assert [text for text in hostile.ALL if "".join(visible(" ".join(text.split())).split()) not in whole and text not in linked] == []


# Languages: each has one place where text meets it


PLACES = {  # what would go round a language's place, and the files that may do it: that place, or where the text is our own
    "terminal, rich": (
        r"click\.echo\(|(?<![.\w])print\(|(?<![.\w])Console\(|from_markup|markup=True",
        {"cli/terminal.py", "tables/dictionary.py", "sources/pseudonyms.py"},  # the last only names a command of Python
    ),
    "Markdown": (r"to_markdown|(?<!`)MetadataValue\.md\((?!markdown\.)", {"defs/assets/exploration.py"}),
    "HTML": (r"Markup\(|\|\s*safe\b|autoescape|to_html\(|HTMLResponse", {"report/report.py"}),
    "TeX": (r"parse_math|usetex|mathtext", {"core/pictures/style.py"}),
    "CSV": (r"\.writerow|csv\.writer|to_csv\(|write_csv\(|(?i:format csv)", {"cli/look.py", "store/destinations.py"}),
    "SQL": (
        r"\b(execute|sql|raw_sql|query|SQLExpression)\(\s*f[\"']",
        {
            "engines/duckdb.py", "event_log.py", "sources/database_connection.py", "sources/pseudonyms.py", "sources/reading.py",
            "sources/spark_tables.py", "sources/sqlite_tables.py", "sources/statements.py", "store/confinement.py",
            "store/database_files.py", "store/master.py", "store/published.py", "store/receipts.py", "store/spreadsheet.py",
        },
    ),
}  # fmt: skip


@pytest.mark.parametrize("language", PLACES)
def test_text_meets_a_language_in_its_own_place(language: str) -> None:
    pattern, allowed = PLACES[language]
    package = ROOT / "segmentation_assets"
    files = [file for file in package.rglob("*") if file.suffix in {".py", ".html"}]
    found = {file.relative_to(package).as_posix() for file in files if re.search(pattern, file.read_text(encoding="utf-8"))}
    assert found == allowed
