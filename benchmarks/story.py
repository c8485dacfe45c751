"""A few weeks in the life of the platform: a real daemon, orders that arrive week by week, a planted shift, alerts.

A shop of 600 customers of three kinds, weekly snapshots. The first snapshot is made by hand; then the daemon's sensor `catch_up` makes one after
the other, while this script appends each week's orders as soon as the previous week is published. From the fifth week on everybody
spends twice as much. At the end it prints the published results and the alerts. Usage: python -m benchmarks.story [FOLDER]
"""

import datetime as dt
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import duckdb
import numpy as np

WEEKS, SHIFT, SEED = 6, 4, 20261124
LAST = dt.date.fromisoformat("2026-11-16")  # a Monday
SNAPSHOTS = [LAST - dt.timedelta(weeks=WEEKS - 1 - i) for i in range(WEEKS)]
PATIENCE = 600  # seconds for one snapshot
PROGRAM = Path(sys.executable).parent / "segmentation"
QUESTIONS = (
    "SELECT snapshot_date, model_version, decision, in_force, reason FROM model_registry ORDER BY ALL",
    "SELECT snapshot_date, subject, statistic, round(value, 2) AS value, round(q_value, 4) AS q FROM drift_report WHERE flagged AND in_model ORDER BY ALL",
    "SELECT snapshot_date, sentence FROM segment_events ORDER BY ALL",
    "SELECT snapshot_date, segment_id, segment_name, customers FROM segments ORDER BY ALL",
    "SELECT snapshot_date, sum(customers) FILTER (from_segment_id <> to_segment_id) AS moved, sum(customers_by_model) AS by_model "
    "FROM segment_transitions GROUP BY ALL ORDER BY ALL",
)


def week(number: int, folder: Path) -> None:
    """Write the orders of the week that ends with snapshot `number` to a file of their own, by renaming a finished one."""
    rng = np.random.default_rng([SEED, number])
    end = SNAPSHOTS[number]
    rates, spends = np.repeat([0.9, 0.9, 0.3], 200), np.repeat([8.0, 60.0, 25.0], 200)
    lines = ["customer,at,total"]
    for day in range(7):
        at = end - dt.timedelta(days=7 - day)
        for customer in np.flatnonzero(rng.random(600) < rates * 0.9):
            amount = spends[customer] * rng.lognormal(0, 0.4) * (2.0 if number >= SHIFT else 1.0)
            lines.append(f"c{customer},{at} {rng.integers(8, 20):02}:{rng.integers(60):02},{amount:.2f}")
    file = folder / f"orders-{end}.csv"
    file.with_suffix(".part").write_text("\n".join(lines), encoding="utf-8")
    file.with_suffix(".part").rename(file)


def main(folder: Path) -> None:
    orders, settings, out = folder / "orders", folder / "segmentation.yaml", folder / "out"
    orders.mkdir(parents=True)
    settings.write_text(f"""
data_dir: {out}
snapshots: {{first: {SNAPSHOTS[0]}, last: {LAST}, cadence: weekly}}
source:
  kind: tables
  transactions: {{files: {orders}/, columns: {{customer_id: customer, ordered_at: at, amount: total}}}}
features: {{lookback: 1}}
model: {{k: 3, resamples: 30, algorithms: [kmeans, ward]}}
schedule: {{enabled: true}}
alerts: {{url_variables: [STORY_ALERTS]}}
""")
    received: list[dict[str, str]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *_: object) -> None:  # noqa: A002  # the parameter's name in the base class
            pass

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    environment = {**os.environ, "STORY_ALERTS": f"json://127.0.0.1:{server.server_port}/"}
    week(0, orders)
    week(1, orders)
    subprocess.run(
        [PROGRAM, "run", "--snapshot", str(SNAPSHOTS[0]), "--settings", settings], check=True, env=environment, stdout=subprocess.DEVNULL
    )
    with (folder / "daemon.log").open("w") as log:
        arguments = [PROGRAM, "ui", "--port", "3210", "--settings", settings]
        daemon = subprocess.Popen(arguments, env=environment, stdout=log, stderr=log, start_new_session=True)
        try:
            for number in range(1, WEEKS):
                began = time.monotonic()
                wait_for(out, SNAPSHOTS[number])
                print(f"{SNAPSHOTS[number]} was made by the daemon ({time.monotonic() - began:.0f} s)", flush=True)
                if number + 1 < WEEKS:
                    week(number + 1, orders)
            time.sleep(75)  # for alerts of the last run, and for any that should not come
        finally:
            os.killpg(daemon.pid, signal.SIGINT)
            try:
                daemon.wait(30)
            except subprocess.TimeoutExpired:  # Dagster's code server may take too long
                os.killpg(daemon.pid, signal.SIGKILL)
    with duckdb.connect(str(out / "segmentation.duckdb"), read_only=True) as database:
        for question in QUESTIONS:
            database.sql(question).show(max_rows=60, max_width=200)
    for message in received:
        print(f"--- alert: {message['title']}\n{message['message']}")


def wait_for(out: Path, snapshot: dt.date) -> None:
    """Wait until the snapshot is published."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with duckdb.connect(str(out / "segmentation.duckdb"), read_only=True) as database:
            if database.execute("SELECT count(*) FROM published_snapshots WHERE snapshot_date = ?", [snapshot]).fetchall()[0][0]:
                return
        time.sleep(3)
    raise SystemExit(f"{snapshot} was not published within {PATIENCE} s; see {out.parent / 'daemon.log'}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp()))
