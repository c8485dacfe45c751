"""A secret of the environment is in no file, log, message or traceback after runs that fail at each stage."""

import base64
import logging
import threading
import traceback
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from segmentation_assets.definitions import build
from segmentation_assets.settings.alerts import Alerts
from segmentation_assets.settings.source import Tables
from segmentation_assets.sources import open_source
from segmentation_assets_tests.builders import D1, LOADED, RowsSource, line
from segmentation_assets_tests.conftest import called
from segmentation_assets_tests.defs.test_alerts import BROKEN, Platform, Receiver

NEEDLE = "n33dle/of:the@test%"
SPELLINGS = {
    *(text.encode() for text in (NEEDLE, urllib.parse.quote(NEEDLE), urllib.parse.quote(NEEDLE, safe=""), "n33dle")),
    base64.b64encode(NEEDLE.encode()).rstrip(b"="),
}
URL = "postgresql://ann@127.0.0.1:1/shop"
COLUMNS = {"customer_id": "who", "ordered_at": "day", "amount": "paid"}
UNREACHABLE = {"kind": "tables", "transactions": {"url": URL, "password_variable": "SHOP_PASSWORD", "table": "orders", "columns": COLUMNS}}
SET_ASIDE = RowsSource(transactions=[line("a", "2024-01-05", 1.0), line(None, "2024-01-06", 1.0)])
COLLECTED = [dg.AssetKey(name) for name in ("raw_customers", "raw_transactions", "raw_events", "rejected_rows")]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("SHOP_PASSWORD", "SOME_TOKEN"):
        monkeypatch.setenv(name, NEEDLE)
    with Receiver() as receiver:
        threading.Thread(target=receiver.serve_forever, args=(0.05,), daemon=True).start()
        secret = urllib.parse.quote(NEEDLE, safe="")
        monkeypatch.setenv("ALERT_URL", f"json://me:{secret}@127.0.0.1:{receiver.server_port}/down/{secret}")
        yield
        receiver.shutdown()


def found(*texts: str | bytes) -> list[bytes]:
    """The spellings of the secret in the texts."""
    whole = b"\n".join(text if isinstance(text, bytes) else text.encode(errors="surrogateescape") for text in texts)
    return [spelling for spelling in SPELLINGS if spelling in whole]


def test_runs_that_fail_write_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Runs whose source cannot be reached, breaks a contract, or has too many rows set aside, and an alert on them that is refused."""
    caplog.set_level(logging.DEBUG)
    (tmp_path / "dagster").mkdir()
    with dg.DagsterInstance.local_temp(str(tmp_path / "dagster")) as instance:
        platform = Platform(instance, tmp_path / "data", url_variables=("ALERT_URL",))
        settings = LOADED.model_copy(
            update={
                "data_dir": tmp_path / "data",
                "alerts": Alerts(url_variables=("ALERT_URL",)),
                "source": Tables.model_validate(UNREACHABLE),
                "cleaning": LOADED.cleaning.model_copy(update={"largest_reject_share": 0.1}),
            }
        )
        failures = []
        for source in (open_source(settings), BROKEN, SET_ASIDE):
            job = build(settings, source).resolve_job_def("snapshot")
            run = job.execute_in_process(partition_key=D1, instance=instance, raise_on_error=False, asset_selection=COLLECTED)
            failures += [event.step_failure_data.error.to_string() for event in run.all_events if event.is_step_failure]
            failures += [str(check.description) for check in run.get_asset_check_evaluations() if not check.passed]
        told = platform.tick()
    said = capfd.readouterr()
    assert all(any(word in failure for failure in failures) for word in ("127.0.0.1:1/shop", "is not unique", "customer id is missing"))
    assert "ALERT_URL" in " ".join(told)
    assert found(*failures, *told, said.out, said.err, caplog.text) == []
    written = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert len(written) > 5
    assert found(*(file.read_bytes() for file in written)) == []


@pytest.mark.parametrize("options", [(), ("--debug",)], ids=["plain", "debug"])
@pytest.mark.parametrize(
    ("source", "told"),
    [
        (f"{{url: '{URL}', password_variable: SHOP_PASSWORD, table: orders, columns: {COLUMNS}}}", "127.0.0.1:1/shop"),
        (f"{{url: 'postgresql://ann:{NEEDLE}@127.0.0.1:1/shop', table: orders, columns: {COLUMNS}}}", "holds a secret"),
        (f"{{url: '{URL}?sslpassword={NEEDLE}', table: orders, columns: {COLUMNS}}}", "holds a secret"),
        (f"{{url: '{URL}', password_variable: '{NEEDLE}', table: orders, columns: {COLUMNS}}}", "password_variable"),
    ],
    ids=["unreachable", "password", "parameter", "variable"],
)
def test_check_tells_no_secret(tmp_path: Path, options: tuple[str, ...], source: str, told: str) -> None:
    file = tmp_path / "segmentation.yaml"
    file.write_text(f"data_dir: data\nsnapshots: {{first: 2024-02-01}}\nsource: {{kind: tables, transactions: {source}}}\n")
    done = called(*options, "check", data_dir=tmp_path / "data", SEGMENTATION_SETTINGS=str(file))
    assert done.exit_code == 1
    trace = "".join(traceback.format_exception(done.exception)) if options else ""
    assert told in done.output + trace
    assert found(done.output, trace) == []
