"""Alerts: the text of each message, delivery to a real receiver, and the sensors on real runs."""

import datetime as dt
import json
import logging
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import dagster as dg
import pandas as pd
import pytest

from segmentation_assets.definitions import build
from segmentation_assets.defs import alerts, messages
from segmentation_assets.settings.alerts import EVENTS, Alerts
from segmentation_assets.settings.loading import Settings, SettingsError, load_settings
from segmentation_assets_tests.builders import D1, D2, LOADED, RowsSource, line
from segmentation_assets_tests.conftest import ROOT

LINK = "http://dagster.example/runs/42"
SECRET = "s3cr3t-of-the-webhook"  # noqa: S105
OTHER_DAY = [line(c, f"2024-01-{day:02} 12:00", 100.0 + day) for c in "abc" for day in (5, 15, 25)]
MANY = "klmnopqrstuvwxyz"  # of three customers, any change may be chance
JANUARY = [*OTHER_DAY, *(line(c, "2023-12-20 12:00", 3.0 + n) for n, c in enumerate(MANY))]
FEBRUARY = [line(c, f"2024-02-{day:02} 12:00", 900.0) for c in MANY for day in range(10, 20)]
DRIFTING = RowsSource(transactions=[*JANUARY, *FEBRUARY])
BROKEN = RowsSource(transactions=[line("a", "2024-01-05", 1.0, row_number=1), line("b", "2024-01-06", 1.0, row_number=1)])


# Messages


def drift(*rows, **further):
    frame = pd.DataFrame(rows, columns=["kind", "subject", "statistic", "value", "q_value", "threshold", "flagged"])
    return frame.assign(p_value=float("nan"), **further)


NONE = float("nan")
REPORT = (
    ("feature", "frequency", "psi", 0.12, NONE, 0.1, True),
    ("feature", "recency_days", "psi", 0.02, NONE, 0.1, False),
    ("segment_mix", "segments", "psi", 0.31, 0.004, 0.1, True),
)


def test_drift_is_one_message_with_the_largest_change_first():
    (message,) = messages.of_drift(drift(*REPORT), D2, LINK)
    assert message.title == "Customer segments 2024-03-01: 1 feature and the segment mix drifted"
    assert message.body == (
        "Changed since the model was trained, as of snapshot 2024-03-01:\n\n"
        "- segment mix: PSI 0.31 (flagged above 0.10, q = 0.004)\n"
        "- frequency: PSI 0.12 (flagged above 0.10)\n\n"
        "What it means: A PSI of up to 0.25 is commonly read as a moderate change, a higher one as a large change. Segment sizes differ "
        "from those at training, so campaigns reach different numbers of customers. If the model uses any of these features, segments "
        "may fit less well.\n\n"
        "What to do: First make sure that the source is complete, with no file or shop missing. If the change is real, such as a season, "
        "look at the segments' profiles before the next campaign. What became of the model: segmentation models\n\n"
        "Details: http://dagster.example/runs/42"
    )


def test_missing_rows_are_one_message():
    sentences = {"transactions": "No transaction is dated in the window.", "events": "12 events, against the usual 11."}
    volume = pd.DataFrame({"source": sentences.keys(), "verdict": ["empty", "as usual"], "sentence": sentences.values()})
    (message,) = messages.of_volume(volume, D2, LINK)
    assert (message.event, message.title) == ("volume", "Customer segments 2024-03-01: rows of transactions are missing")
    assert "- No transaction is dated in the window.\n\nWhat it means: " in message.body
    assert "events" not in message.body
    assert messages.of_volume(volume.assign(verdict="not measured"), D2, LINK) == []


def test_a_drifted_feature_that_the_model_does_not_use_is_marked():
    (message,) = messages.of_drift(drift(REPORT[0], in_model=[False]), D2, LINK)
    assert "- frequency: PSI 0.12 (flagged above 0.10), not used by the model\n" in message.body
    assert "segments are not affected" in message.body


def test_features_of_the_model_come_first():
    unused = ("feature", "age", "psi", 9.0, NONE, 0.1, True)
    (message,) = messages.of_drift(drift(unused, REPORT[0], REPORT[2], in_model=[False, True, None]), D2, LINK)
    lines = [line.split(":")[0] for line in message.body.splitlines() if line.startswith("- ")]
    assert lines == ["- segment mix", "- frequency", "- age"]
    assert "The model uses some of these features, so segments may fit less well." in message.body


def test_two_statistics_of_a_feature_are_one_line():
    ks = ("feature", "frequency", "ks", 0.2, 0.01, 0.15, True)
    (message,) = messages.of_drift(drift(REPORT[0], ks), D2, LINK)
    assert "1 feature drifted" in message.title
    assert "- frequency: KS 0.20 (flagged above 0.15, q = 0.010); PSI 0.12 (flagged above 0.10)\n" in message.body


def test_a_long_list_of_flagged_features_is_shortened():
    (message,) = messages.of_drift(drift(*(("feature", f"f{i}", "psi", 1 + i, NONE, 0.1, True) for i in range(11))), D2, LINK)
    assert "\n- f5: PSI 6.00 (flagged above 0.10)\n- and 5 more\n\n" in message.body


def test_drift_of_other_kinds_is_not_called_a_feature():
    rows = [("distance", "d", "psi", 0.6, 0.01, 0.1, True), ("joint", "j", "auc", 0.7, 0.01, 0.6, True), REPORT[0]]
    (message,) = messages.of_drift(drift(*rows), D2, LINK)
    expected = "1 feature, the distance to the nearest prototype and how features go together drifted"
    assert message.title == f"Customer segments {D2}: {expected}"


@pytest.mark.parametrize("report", [drift(), drift(REPORT[1])], ids=["no partition", "nothing flagged"])
def test_without_drift_there_is_no_message(report):
    assert messages.of_drift(report, D2, LINK) == []


def evaluation(name, passed, severity=dg.AssetCheckSeverity.ERROR, asset="segments", description=None):
    return dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey(asset), check_name=name, passed=passed, metadata={}, severity=severity, description=description
    )


def test_failed_checks_are_one_message_without_warnings():
    warning = evaluation("features_have_not_drifted", False, dg.AssetCheckSeverity.WARN, "drift_report")
    failed = evaluation("sizes_and_revenue_tie_out", False, description="customers: 5 in segments, 6 expected")
    (message,) = messages.of_checks([warning, failed, evaluation("contract", True)], D2, LINK, published=False)
    assert message.title == "Customer segments 2024-03-01: 1 failed check"
    assert message.body == (
        "Failed at snapshot 2024-03-01:\n\n"
        "- segments, sizes_and_revenue_tie_out: customers: 5 in segments, 6 expected\n\n"
        "What it means: Checks make sure that every row is accounted for, sums agree and values are possible. "
        "The snapshot was not published; the database is unchanged.\n\n"
        "What to do: Correct the source or setting named above, then make the snapshot again: "
        "segmentation run --snapshot 2024-03-01\n\n"
        "Details: http://dagster.example/runs/42"
    )
    assert messages.of_checks([warning], D2, LINK, published=True) == []


def test_a_check_that_passed_on_retry_is_no_message():
    assert messages.of_checks([evaluation("contract", False), evaluation("contract", True)], D2, LINK, published=True) == []


def test_a_failed_run_is_reported_with_step_and_cause():
    (message,) = messages.of_failure("raw_events", "events.csv: no such\n  file", D2, LINK)
    assert message.title == "Customer segments 2024-03-01: the run failed at raw_events"
    assert message.body == (
        "Snapshot 2024-03-01 could not be made:\n\n"
        "- raw_events: events.csv: no such file\n\n"
        "What it means: The snapshot was not published; the database and its segments are unchanged.\n\n"
        "What to do: Remove the cause, then make the snapshot again: segmentation run --snapshot 2024-03-01\n\n"
        "Details: http://dagster.example/runs/42"
    )


def test_a_run_that_failed_after_publishing_says_so():
    (message,) = messages.of_failure("snapshot_report", "disk full", D2, LINK, published=True)
    assert "The snapshot is in the database, but the run failed after that." in message.body
    assert "What to do: Remove the cause, then make its report again: segmentation pictures --snapshot 2024-03-01" in message.body


def test_a_lost_run_is_reported_without_a_step():
    (message,) = messages.of_failure(None, "The process ended.", D2, LINK)
    assert message.title == "Customer segments 2024-03-01: the run failed"
    assert "- outside of any step: The process ended.\n" in message.body


def registry(*decisions, **further):
    row = {"fitted_snapshot": dt.date(2024, 3, 1), "algorithm": "kmeans", "k": 5, "tier": "convenient", "reason": "Silhouette 0.41 > 0.35."}
    return pd.DataFrame([{"model_version": f"v{n}", "decision": one, **row} for n, one in enumerate(decisions, 1)]).assign(**further)


def test_a_promoted_model_is_reported_with_its_description_and_reason():
    (message,) = messages.of_models(registry("promoted"), D2, LINK)
    assert message.title == "Customer segments 2024-03-01: model v1 is now in force"
    assert message.body == (
        "Model v1 is now in force, from snapshot 2024-03-01 on (promoted):\n\n"
        "- kmeans, 5 segments: a convenient partition\n"
        "- fitted on the customers of snapshot 2024-03-01\n"
        "- why: Silhouette 0.41 > 0.35.\n\n"
        "What it means: Segment sizes and borders may have changed, and some customers moved because of the new model, not "
        "because of what they bought.\n\n"
        "What to do: Look at the segments' profiles and at who moved before the next campaign: segmentation show\n\n"
        "Details: http://dagster.example/runs/42"
    )


@pytest.mark.parametrize(
    ("in_force", "title"), [([False, True], "model v2 is in force again"), ([False, False], "model v1 was rolled back")]
)
def test_a_rollback_is_one_message(in_force, title):
    (message,) = messages.of_models(registry("rolled back", "rolled back", in_force=in_force), D2, LINK)
    assert message.title.endswith(title)


def test_other_decisions_on_a_model_are_no_message():
    assert messages.of_models(registry("trained", "carried forward", "refused"), D2, LINK) == []


# Delivery


class Receiver(ThreadingHTTPServer):
    """A local web server that keeps all posts; under /down it refuses them."""

    def __init__(self):
        self.posts = []
        super().__init__(("127.0.0.1", 0), Handler)

    def url(self, path="in"):
        return f"json://me:{SECRET}@127.0.0.1:{self.server_port}/{path}/{SECRET}"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.server.posts.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(500 if self.path.startswith("/down") else 200)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def receiver():
    with Receiver() as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        server.shutdown()


MESSAGES = [*messages.of_drift(drift(*REPORT), D2, LINK), *messages.of_models(registry("promoted"), D2, LINK)]


def test_each_message_is_one_post_with_figures_and_link(receiver):
    alerts.send(MESSAGES, {"ALERT_URL": receiver.url()})
    assert [(post["title"], post["message"], post["type"]) for post in receiver.posts] == [
        (message.title, message.body, kind) for message, kind in zip(MESSAGES, ("warning", "info"), strict=True)
    ]


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("", "ALERT_URL is not set"),
        (f"slack://{SECRET}", "ALERT_URL is not an Apprise URL"),
        (f"nonsense://{SECRET}", "ALERT_URL is not an Apprise URL"),
        (f"json://me:{SECRET}@127.0.0.1:1/{SECRET}", "ALERT_URL: 2 of 2 alerts were not delivered"),
        ("down", "ALERT_URL: 2 of 2 alerts were not delivered"),
    ],
)
def test_a_failed_delivery_is_an_error_that_hides_the_address_and_spares_other_receivers(receiver, url, problem, caplog):
    for name in ("", *alerts.LOUD):
        caplog.set_level(logging.DEBUG, name)
    with pytest.raises(alerts.AlertError) as refused:
        alerts.send(MESSAGES, {"ALERT_URL": receiver.url("down") if url == "down" else url, "ALERT_GOOD": receiver.url()})
    assert str(refused.value).startswith(problem)
    assert refused.value.__cause__ is refused.value.__context__ is None
    assert len(receiver.posts) == 2 + (url == "down")  # a refused post is not retried
    assert SECRET not in str(refused.value) + caplog.text


# Settings


def given(tmp_path, alerts_section):
    file = tmp_path / "segmentation.yaml"
    file.write_text(f"snapshots: {{first: 2017-04-01}}\nsource: {{kind: complete_journey}}\nalerts: {alerts_section}\n")
    return load_settings(file).alerts


def test_alerts_are_off_by_default_and_include_all_events_once_configured(tmp_path):
    assert given(tmp_path, "{}") == Alerts(url_variables=(), events=EVENTS, link="http://127.0.0.1:3000")
    assert given(tmp_path, "{url_variables: [ALERT_URL, ALERT_URL], link: 'https://dagster.example/'}") == Alerts(
        url_variables=("ALERT_URL",), link="https://dagster.example"
    )


@pytest.mark.parametrize(
    "section",
    [
        f"{{url_variables: ['slack://{SECRET}']}}", f"{{url_variables: 'slack://{SECRET}'}}", f"'slack://{SECRET}'",
        f"{{events: ['slack://{SECRET}']}}", f"{{link: 'https://me:{SECRET}@dagster.example'}}",
    ],
)  # fmt: skip
def test_an_address_in_the_settings_is_refused_without_repeating_it(tmp_path, section):
    with pytest.raises(SettingsError) as refused:
        given(tmp_path, section)
    assert "alerts" in str(refused.value)
    assert SECRET not in str(refused.value) + str(refused.value.__cause__)


def test_the_refusal_names_the_remedy(tmp_path):
    with pytest.raises(SettingsError, match=r"entry 1 is not the name of an environment variable.*name it here: \[ALERT_URL\]"):
        given(tmp_path, f"{{url_variables: ['slack://{SECRET}']}}")
    with pytest.raises(SettingsError, match="the variable SEGMENTATION_URL begins with SEGMENTATION_, which is reserved for settings"):
        given(tmp_path, "{url_variables: [SEGMENTATION_URL]}")


# Sensors


class Platform:
    """Runs in an instance of their own, and ticks of the two alert sensors in place of the daemon."""

    def __init__(self, instance, data_dir, **section):
        self.instance = instance
        self.settings = LOADED.model_copy(update={"data_dir": data_dir, "alerts": Alerts(**section)})
        self.sensors = alerts.alert_sensors(self.settings)
        self.cursors = {}
        self.tick()  # the first tick only sets the cursor

    def run(self, key, source, job="snapshot"):
        made = build(self.settings, source).resolve_job_def(job)
        return made.execute_in_process(partition_key=key, instance=self.instance, raise_on_error=False)

    def tick(self):
        """Tick both sensors, and return their errors."""
        errors = []
        for sensor in self.sensors:
            context = dg.build_sensor_context(self.instance, cursor=self.cursors.get(sensor.name))
            found = sensor.evaluate_tick(context)
            self.cursors[sensor.name] = found.cursor
            errors += [reaction.error.to_string() for reaction in found.dagster_run_reactions or () if reaction.error]
        return errors


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with two snapshots, the second of which drifted; tests may make it again."""
    folder = tmp_path_factory.mktemp("alerts")
    with dg.DagsterInstance.ephemeral() as instance:
        platform = Platform(instance, folder)
        assert platform.run(D1, DRIFTING).success
    return folder


@pytest.fixture
def platform(made, receiver, monkeypatch):
    monkeypatch.setenv("ALERT_URL", receiver.url())
    with dg.DagsterInstance.ephemeral() as instance:
        yield lambda **section: Platform(instance, made, **{"url_variables": ("ALERT_URL",), "link": "http://dagster.example", **section})


def test_a_drifted_snapshot_is_reported_once(platform, receiver, caplog):
    daemon = platform()
    result = daemon.run(D2, DRIFTING)
    assert result.success
    caplog.set_level(logging.DEBUG)
    assert [daemon.tick(), daemon.tick()] == [[], []]
    post, promoted = receiver.posts
    assert post["title"].startswith("Customer segments 2024-03-01: ") and "drifted" in post["title"]
    assert re.fullmatch(r"Customer segments 2024-03-01: model 2024-03-01-\w{6} is now in force", promoted["title"])
    assert re.search(r"- \w+: PSI \d\.\d\d \(flagged above 0\.10, q = 0\.0", post["message"])
    assert f"Details: http://dagster.example/runs/{result.run_id}" in post["message"]
    events = " ".join(str(entry.to_json()) for entry in daemon.instance.all_logs(result.run_id))
    assert SECRET not in caplog.text + events + str(daemon.cursors)


def test_a_broken_contract_is_reported_as_failed_run_and_failed_check(platform, receiver):
    daemon = platform()
    result = daemon.run(D1, BROKEN)
    assert not result.success
    assert [daemon.tick(), daemon.tick()] == [[], []]
    run, check = receiver.posts
    assert run["title"] == "Customer segments 2024-02-01: the run failed at raw_transactions"
    problem = "key (source_file, row_number) is not unique (1 row)"
    assert f"- raw_transactions: raw_transactions breaks its contract and was not written: {problem}\n" in run["message"]
    assert check["title"] == "Customer segments 2024-02-01: 1 failed check"
    assert f"- raw_transactions, contract: {problem}\n" in check["message"]
    assert all(f"Details: http://dagster.example/runs/{result.run_id}" in post["message"] for post in receiver.posts)
    shown = f"{run['title']}\n\n{run['message']}".replace(result.run_id, "4a45199d-36f9-4926-8c99-7a968dd1270a")
    assert f"```text\n{shown}\n```" in (ROOT / "docs" / "alerts.md").read_text(encoding="utf-8")


def test_only_the_chosen_events_are_reported(platform, receiver):
    daemon = platform(events=("failed_check",))
    daemon.run(D1, BROKEN)
    assert daemon.tick() == []
    assert [post["title"] for post in receiver.posts] == ["Customer segments 2024-02-01: 1 failed check"]


def test_nothing_is_sent_without_an_address_or_for_runs_that_make_no_snapshot(platform, receiver):
    silent, describing = platform(url_variables=()), platform()
    silent.run(D1, BROKEN, job="features")
    assert silent.tick() + describing.tick() == []
    silent.run(D1, BROKEN)
    assert silent.tick() == []
    assert receiver.posts == []


def test_a_failed_delivery_fails_the_tick_but_not_the_run_and_is_not_retried(platform, receiver, monkeypatch):
    monkeypatch.setenv("ALERT_URL", receiver.url("down"))
    daemon = platform(events=("failed_run",))
    result = daemon.run(D1, BROKEN)
    (error,) = daemon.tick()
    assert "AlertError: ALERT_URL: 1 of 1 alert was not delivered." in error
    assert SECRET not in error
    assert daemon.tick() == []
    assert len(receiver.posts) == 1
    assert daemon.instance.get_run_by_id(result.run_id).status == dg.DagsterRunStatus.FAILURE


def test_sensors_are_on_by_default_only_if_an_address_is_configured():
    def statuses(names):
        return {sensor.default_status.value for sensor in alerts.alert_sensors(configured(names))}

    def configured(names) -> Settings:
        return LOADED.model_copy(update={"alerts": Alerts(url_variables=names)})

    assert (statuses(("ALERT_URL",)), statuses(())) == ({"RUNNING"}, {"STOPPED"})
    assert {sensor.name for sensor in build(configured(())).sensors or ()} >= {"alerts_of_successes", "alerts_of_failures"}


@pytest.mark.parametrize(
    ("job", "assets", "publishes"),
    [
        ("snapshot", (), True),
        ("segment", (), True),
        ("__ASSET_JOB", ("segment_model", "published_database"), True),
        ("__ASSET_JOB", ("customers",), False),
        ("pictures", ("flow",), False),
    ],
)
def test_runs_that_publish_a_snapshot_are_reported_however_they_were_started(job, assets, publishes):
    run = dg.DagsterRun(job_name=job, asset_selection=frozenset(map(dg.AssetKey, assets)) or None)
    assert alerts._publishes(run) is publishes
