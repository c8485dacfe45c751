"""Causes each fault several times on a data folder, and counts tries and failures.

Usage: python -m benchmarks.faults [TRIES [FAULT ...]]. A try fails if the message names no folder or no remedy, if anything
published is lost, or if the same command does not reach the right result afterwards. Full and read-only disks are file
systems in memory, which need root.
"""

import datetime as dt
import multiprocessing
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import duckdb

from segmentation_assets.store import database_files, published
from segmentation_assets.store.lake import opened
from segmentation_assets_tests.builders import put_snapshot

PROGRAM = Path(sys.executable).parent / "segmentation"
FIRST, SECOND, CUSTOMERS, SEED = "2024-02-01", "2024-03-01", 60, 20261129
WRITERS, SNAPSHOTS = 4, 24
MOST_LETTERS = 600  # shown of the output
SETTINGS = """
data_dir: {data}
snapshots: {{first: {first}, last: {last}, cadence: {cadence}}}
source:
  kind: tables
  transactions: {{files: orders.csv, columns: {{customer_id: customer, ordered_at: at, amount: total}}}}
features: {{lookback: {lookback}}}
model: {{k: 3, k_max: {k_max}, resamples: 10}}
exploration: {{pictures: false}}
"""
PLAIN = {"first": FIRST, "last": SECOND, "cadence": "monthly", "lookback": 3, "k_max": 3}
Outcome = tuple[bool, str]  # whether the try succeeded, and the output


class Shop:
    """A folder with orders, settings and a data folder, in which commands are run."""

    def __init__(self, folder: Path, data: Path | None = None) -> None:
        self.folder, self.data = folder, data or folder / "data"
        folder.mkdir(parents=True, exist_ok=True)
        chance = random.Random(SEED)  # noqa: S311  # no secret
        days = (f"2024-{1 + i % 2:02}-{1 + chance.randrange(28):02}" for i in range(CUSTOMERS * 6))
        lines = [f"c{i % CUSTOMERS},{day},{10 + i % 7 * 9}" for i, day in enumerate(days)]
        (folder / "orders.csv").write_text("\n".join(["customer,at,total", *lines, ""]), encoding="utf-8")
        self.set()

    def set(self, **changed: object) -> None:
        (self.folder / "segmentation.yaml").write_text(SETTINGS.format(data=self.data, **{**PLAIN, **changed}), encoding="utf-8")

    def begin(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("SEGMENTATION_", "DAGSTER_"))}
        return subprocess.Popen(
            [PROGRAM, *arguments],
            cwd=self.folder,
            env={**clean, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *arguments: str, **environment: str) -> tuple[int, str]:
        """The exit code and the output of a command."""
        process = self.begin(*arguments, **environment)
        said = process.communicate()[0]
        return process.returncode, said

    def lines(self) -> int:
        return len((self.folder / "orders.csv").read_text(encoding="utf-8").splitlines()) - 1

    def is_whole(self, *keys: str) -> bool:
        """Whether exactly these snapshots are published, each order line once, and no unfinished files are left."""
        with published.reading(self.data) as database:
            found = [str(key) for (key,) in database.sql("SELECT snapshot_date FROM published_snapshots ORDER BY ALL").fetchall()]
            ((lines,),) = database.sql("SELECT count(*) FROM transactions").fetchall()
        before = sum(line.split(",")[1] < keys[-1] for line in (self.folder / "orders.csv").read_text(encoding="utf-8").splitlines()[1:])
        return found == list(keys) and lines == before and not list(self.data.rglob(".*unfinished*"))


@contextmanager
def in_memory(place: Path, megabytes: int) -> Iterator[Callable[[str], None]]:
    """Mounts a file system in memory; yields a function that remounts it with other options."""
    place.mkdir(parents=True)
    mount, unmount = shutil.which("mount") or "mount", shutil.which("umount") or "umount"
    subprocess.run([mount, "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", place], check=True)
    try:
        yield lambda options: subprocess.run([mount, "-o", f"remount,{options}", place], check=True) and None
    finally:
        subprocess.run([unmount, place], check=True)


def says(result: tuple[int, str], *words: str) -> bool:
    return result[0] == 1 and all(word in result[1] for word in words)


def disk_full(folder: Path, number: int) -> Outcome:
    """The disk fills up at a different moment each time: each try has 0.4 MB more."""
    place = folder / "disk"
    with in_memory(place, 64) as mounted:
        shop = Shop(folder, place / "data")
        mounted(f"size={400 * (number + 1)}k")
        failed = shop.run("run", "--all")
        mounted("size=64m")
        again = shop.run("run", "--all")
        well = says(failed, str(shop.data), "MB are free", "free some space", "published") or failed[0] == 0
        return well and again[0] == 0 and shop.is_whole(FIRST, SECOND), failed[1]


def read_only(folder: Path, _: int) -> Outcome:
    place = folder / "disk"
    with in_memory(place, 64) as mounted:
        shop = Shop(folder, place / "data")
        shop.run("run", "--snapshot", FIRST)
        mounted("ro")
        failed, seen = shop.run("run", "--all"), shop.run("show")
        mounted("rw")
        again = shop.run("run", "--all")
        well = says(failed, str(shop.data), "make it writable", "unchanged") and seen[0] == 0
        return well and again[0] == 0 and shop.is_whole(FIRST, SECOND), failed[1]


def source_that_changes(folder: Path, number: int) -> Outcome:
    """Orders are appended while the command runs, until it ends."""
    shop = Shop(folder)
    command = shop.begin("run", "--all")
    while command.poll() is None:
        with (folder / "orders.csv").open("a", encoding="utf-8") as file:
            file.write(f"c{shop.lines() % CUSTOMERS},2024-01-05,10\n")
        time.sleep(0.02 * (number + 1))
    failed = command.returncode, (command.communicate()[0] or "")
    again = shop.run("run", "--all")
    return (failed[0] == 0 or says(failed, "changed while it was read")) and again[0] == 0 and shop.is_whole(FIRST, SECOND), failed[1][
        -300:
    ]


def two_of_one_snapshot(folder: Path, _: int) -> Outcome:
    shop = Shop(folder)
    both = [shop.begin("run", "--snapshot", FIRST) for _ in range(2)]
    said = [process.communicate()[0] for process in both]
    codes = [process.returncode for process in both]
    return codes == [0, 0] and shop.is_whole(FIRST), "" if codes == [0, 0] else said[codes.index(1)]


def one_home_for_two_folders(folder: Path, _: int) -> Outcome:
    shops = [Shop(folder / name) for name in ("one", "other")]
    results = [shop.run("run", "--all", DAGSTER_HOME=str(folder / "home")) for shop in shops]
    return all(code == 0 for code, _ in results) and all(shop.is_whole(FIRST, SECOND) for shop in shops), results[-1][1]


def settings_that_change(folder: Path, _: int) -> Outcome:
    """With changed features and k, all snapshots are made again; another calendar is refused, and its snapshots are removed on request."""
    shop = Shop(folder)
    shop.run("run", "--snapshot", FIRST)
    shop.set(lookback=2, k_max=4)
    again = shop.run("run", "--all")
    steps = {"features and k": again[0] == 0 and shop.is_whole(FIRST, SECOND)}
    for changed in ({"cadence": "weekly"}, {"first": SECOND}):
        shop.set(lookback=2, k_max=4, **changed)
        refused = shop.run("run", "--all")
        steps[f"{changed} refused"] = says(refused, "another calendar", "counted in both", "upgrade --take-out")
        steps[f"{changed} whole"] = shop.is_whole(FIRST, SECOND)
    out, anew = shop.run("upgrade", "--take-out"), shop.run("run", "--all")
    steps |= {"removed": out[0] == 0, "made again": anew[0] == 0, "whole again": shop.is_whole(SECOND)}
    unexpected = [name for name, well in steps.items() if not well]
    return not unexpected, f"{', '.join(unexpected)}\n{anew[1]}"


def clock_set_back(folder: Path, _: int) -> Outcome:
    """The clock goes back a month, so that a published snapshot is in the future."""
    shop = Shop(folder)
    shop.run("run", "--all")
    back = folder / "back"
    back.mkdir()
    (back / "sitecustomize.py").write_text(
        "import datetime\n"
        "class Earlier(datetime.datetime):\n"
        "    @classmethod\n"
        "    def now(cls, tz=None):\n"
        "        return datetime.datetime.fromisoformat('2024-02-10T00:00:00+00:00').astimezone(tz)\n"
        "import segmentation_assets.settings.snapshots as s\n"
        "s.dt = type('dt', (), {**vars(datetime), 'datetime': Earlier})\n",
        encoding="utf-8",
    )
    path = os.pathsep.join([str(back), os.environ.get("PYTHONPATH", "")])
    result, shown = shop.run("run", "--all", PYTHONPATH=path), shop.run("show", PYTHONPATH=path)
    return result[0] == 0 and shown[0] == 0 and shop.is_whole(FIRST, SECOND), result[1]


def _publish(data: Path, keys: list[str]) -> None:
    with opened(data) as lake:
        for key in keys:
            put_snapshot(lake, key, segments=[{"segment_name": key}], transactions=[{"order_id": key}])
            published.publish_snapshot(lake, data, key, "fingerprint")


def _read_on(data: Path, until: Path) -> int:
    """How often the database was incomplete when read in a loop: a snapshot without its order lines, or fewer snapshots than before."""
    broken, most = 0, 0
    while not until.exists():
        if (data / database_files.DATABASE).exists():
            with published.reading(data) as database:
                query = "SELECT (SELECT count(*) FROM segments), (SELECT count(*) FROM published_snapshots), (SELECT count(*) FROM transactions)"
                segments, snapshots, lines = database.sql(query).fetchall()[0]
            broken += segments != snapshots or lines < snapshots or snapshots < most
            most = snapshots
    return broken


def four_publish_while_two_read(folder: Path, _: int) -> Outcome:
    """Four processes publish the same snapshots, two read in a loop, and another holds the database open for writing."""
    first, data, end = dt.date.fromisoformat(FIRST), folder / "data", folder / "end"
    keys = [(first + dt.timedelta(weeks=week)).isoformat() for week in range(SNAPSHOTS)]
    _publish(data, keys[:1])
    holder = duckdb.connect(str(data / database_files.DATABASE))
    with ProcessPoolExecutor(WRITERS + 2, multiprocessing.get_context("spawn")) as processes:
        readers = [processes.submit(_read_on, data, end) for _ in range(2)]
        writers = [processes.submit(_publish, data, keys) for _ in range(WRITERS)]
        problems = [repr(error) for writer in writers if (error := writer.exception())]
        end.touch()
        problems += [f"{reader.result()} reads were not whole" for reader in readers if reader.exception() or reader.result()]
    holder.close()
    with published.reading(data) as database:
        whole = database.sql("SELECT count(*), (SELECT count(*) FROM transactions) FROM segments").fetchall() == [(SNAPSHOTS, SNAPSHOTS)]
    return whole and not problems, "; ".join(problems)


FAULTS: list[Callable[[Path, int], Outcome]] = [
    disk_full, read_only, source_that_changes, two_of_one_snapshot, one_home_for_two_folders, settings_that_change, clock_set_back,
    four_publish_while_two_read,
]  # fmt: skip


def tried(fault: Callable[[Path, int], Outcome], tries: int) -> Iterator[Outcome]:
    for number in range(tries):
        with tempfile.TemporaryDirectory(prefix="faults-") as folder:
            yield fault(Path(folder).resolve(), number)


def main(tries: int, names: list[str]) -> None:
    for fault in FAULTS:
        if names and fault.__name__ not in names:
            continue
        outcomes = list(tried(fault, tries))
        failed = [said for well, said in outcomes if not well]
        print(f"{fault.__name__.replace('_', ' ')}: {len(outcomes)} tried, {len(failed)} failed", flush=True)
        for said in failed or [outcomes[-1][1]]:
            print("   ", said[:MOST_LETTERS].strip().replace("\n", "\n    "))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5, sys.argv[2:])
