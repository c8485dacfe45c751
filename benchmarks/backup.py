"""Executes the commands of docs/production.md: backs up, destroys, restores and continues a shop; upgrades the data folder of version 0.1.0.

Usage: python -m benchmarks.backup postgresql+psycopg2://USER:PASSWORD@HOST:PORT/dagster, as a user who may create databases. The commands
are read from the page, with these changes: folders are temporary ones, `sudo -u USER` and `systemctl` do nothing (no daemon
runs), and `pip install` is left out. PostgreSQL's programs must be on the PATH.
"""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from sqlalchemy.engine import make_url

from benchmarks.faults import FIRST, SECOND, Shop
from segmentation_assets.store import published

ROOT, BIN = Path(__file__).parent.parent, Path(sys.executable).parent
ARCHIVE = ROOT / "segmentation_assets_tests" / "cases" / "versions" / "v0.1.0.tar.xz"
OLD, NEXT = "2024-05-01", "2024-06-01"  # snapshots of that folder: the last one made, and the one after
SHIMS = {"sudo": 'shift 2\nexec "$@"', "systemctl": "exit 0"}


def commands(heading: str) -> list[str]:
    """The blocks of commands of a section of the page."""
    page = (ROOT / "docs" / "production.md").read_text(encoding="utf-8")
    section = page.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return list(re.findall(r"(?:^    .*\n)+", section, re.MULTILINE))


class Server:
    """The folders and the environment of a server."""

    def __init__(self, folder: Path, address: str) -> None:
        self.folder, self.home = folder, folder / "srv"
        (folder / "backup").mkdir()
        (folder / "bin").mkdir()
        for name, text in SHIMS.items():
            (folder / "bin" / name).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
            (folder / "bin" / name).chmod(0o755)
        url = make_url(address)
        self.environment = {
            "PATH": os.pathsep.join([str(folder / "bin"), os.environ["PATH"]]),
            "PGHOST": url.host or "", "PGPORT": str(url.port or 5432), "PGUSER": url.username or "", "PGPASSWORD": url.password or "",
        }  # fmt: skip
        own = {
            "SEGMENTATION_SETTINGS": self.home / "segmentation.yaml", "SEGMENTATION_DATA_DIR": self.home / "data",
            "DAGSTER_HOME": self.home / "data" / "dagster", "DAGSTER_POSTGRES_URL": address,
        }  # fmt: skip
        (folder / "environment").write_text("".join(f"{name}={value}\n" for name, value in own.items()), encoding="utf-8")
        self.own = {name: str(value) for name, value in own.items()}

    def execute(self, block: str) -> None:
        """Run the commands, each of which must succeed."""
        kept = "\n".join(line for line in block.splitlines() if "pip install" not in line)
        for there, here in (
            ("/srv/segmentation", self.home), ("/backup", self.folder / "backup"), ("/etc/segmentation/environment", self.folder / "environment"),
            (".venv/bin", BIN),
        ):  # fmt: skip
            kept = kept.replace(there, str(here))
        subprocess.run([shutil.which("bash") or "bash", "-ec", kept], check=True, cwd=self.home, env={**os.environ, **self.environment})

    def segmentation(self, *arguments: str) -> str:
        done = subprocess.run(
            [BIN / "segmentation", *arguments], cwd=self.home, env={**os.environ, **self.own}, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"segmentation {' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done.stdout

    def psql(self, query: str, database: str = "dagster") -> str:
        command = [shutil.which("psql") or "psql", "--no-align", "--tuples-only", "--dbname", database, "--command", query]
        return subprocess.run(command, env={**os.environ, **self.environment}, capture_output=True, text=True, check=True).stdout.strip()

    def tables(self) -> dict[str, tuple[int, int]]:
        """The rows of every published table: their number, and a hash of all."""
        with published.reading(self.home / "data") as database:
            names = [name for (name, *_) in database.sql("SHOW TABLES").fetchall()]
            return {name: database.sql(f"SELECT count(*), bit_xor(hash(t)) FROM {name} AS t").fetchall()[0] for name in names}


def said(what: str, well: bool) -> bool:
    print(f"{what}: {'as expected' if well else 'FAILED'}", flush=True)
    return well


def backup_and_restore(server: Server) -> list[bool]:
    """Back up after a snapshot, make the next one, destroy everything, restore, and make it again: it must be the same."""
    backup, restore = commands("Backup and restore")
    Shop(server.home)
    home = server.home / "data" / "dagster"
    home.mkdir(parents=True)
    shutil.copy(ROOT / "deploy" / "dagster.yaml", home)
    server.segmentation("run", "--snapshot", FIRST)
    server.execute(backup)
    before, runs = server.tables(), server.psql("SELECT count(*) FROM runs")
    server.segmentation("run", "--snapshot", SECOND)
    after = server.tables()

    server.psql("DROP DATABASE dagster", "postgres")
    server.psql("CREATE DATABASE dagster", "postgres")
    (server.home / "segmentation.yaml").unlink()
    server.execute(restore)
    results = [
        said("restored: tables", server.tables() == before),
        said("restored: runs", server.psql("SELECT count(*) FROM runs") == runs),
    ]
    server.segmentation("run", "--all")
    results += [said("the next snapshot", server.tables() == after), said("doctor", "broken" not in server.segmentation("doctor"))]

    server.psql("DROP DATABASE dagster", "postgres")
    server.psql("CREATE DATABASE dagster", "postgres")
    current = "2 snapshots are up to date" in server.segmentation("run", "--all")
    return [*results, said("with an empty database", current and server.tables() == after)]


def upgrade(server: Server) -> list[bool]:
    """Upgrade the folder of version 0.1.0, whose Dagster uses SQLite, and continue it."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(server.home, filter="data")
    labels = (
        "SELECT count(*), bit_xor(hash(t)) FROM (SELECT customer_id, segment_id, distance FROM customer_segments WHERE snapshot_date = ?) t"
    )

    def asked() -> list[tuple[int, int]]:
        with published.reading(server.home / "data") as database:
            return database.execute(labels, [OLD]).fetchall()

    before = asked()
    (block,) = commands("Upgrade")
    server.execute(block)
    again = server.segmentation("upgrade")
    server.segmentation("run", "--snapshot", NEXT)
    return [
        said("upgraded: its layout", "layout 2, as this version writes it" in again),
        said("upgraded: its labels", asked() == before and before[0][0] > 0),
        said("upgraded: the next snapshot", NEXT in server.segmentation("show")),
    ]


def main(address: str) -> None:
    results = []
    for part in (backup_and_restore, upgrade):
        with tempfile.TemporaryDirectory() as folder:
            results += part(Server(Path(folder).resolve(), address))
    print(f"{len(results)} looked at, {results.count(False)} failed")


if __name__ == "__main__":
    main(*sys.argv[1:])
