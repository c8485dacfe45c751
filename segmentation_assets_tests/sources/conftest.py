"""What the tests of sources share: settings from a few lines, rows of a source, and a real PostgreSQL of their own."""

import datetime as dt
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from segmentation_assets.engines import DuckDBEngine
from segmentation_assets.settings_source import Tables
from segmentation_assets.sources.base import Window
from segmentation_assets.sources.tables import TablesSource

FOREVER = Window(None, dt.date(2100, 1, 1))
PASSWORD = "p@ss:w/ord %41"  # what needs quoting in an address  # noqa: S105


@dataclass(frozen=True)
class Opened:
    """A source and an engine, and shorthand for all rows of an entity."""

    source: TablesSource
    engine: DuckDBEngine

    def rows(self, entity: str = "transactions", window: Window = FOREVER) -> list[dict[str, Any]]:
        table = getattr(self.source, entity)(self.engine, window)
        return self.engine.rows(table.order_by("source_file", "row_number"))


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., Opened]]:
    """Open the source that some settings describe; files are relative to the test's folder."""
    engine = DuckDBEngine(threads=1)

    def open_tables(**tables: Any) -> Opened:
        settings = Tables.model_validate({"kind": "tables", **tables}).resolved(tmp_path)
        return Opened(TablesSource(settings, tmp_path / "intake"), engine)

    yield open_tables
    engine.close()


@dataclass(frozen=True)
class Postgres:
    """A PostgreSQL server of the tests' own."""

    port: int
    run: Callable[[str], str]

    @property
    def url(self) -> str:
        return f"postgresql://shop@127.0.0.1:{self.port}/shop"


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A real PostgreSQL in a folder that is thrown away, on a free port of this machine, as a user who is not root."""
    binaries = _postgres_binaries()
    folder = Path(tempfile.mkdtemp(prefix="segmentation-postgres-"))
    owner = pwd.getpwnam("postgres") if os.getuid() == 0 else None
    if owner:
        os.chown(folder, owner.pw_uid, owner.pw_gid)

    def run(*command: str) -> str:
        drop = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []} if owner else {}
        return subprocess.run(command, check=True, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **drop).stdout

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    run(
        str(binaries / "initdb"), "-D", str(folder / "data"), "-U", "admin", "--auth-local=trust", "--auth-host=scram-sha-256", "-E", "UTF8"
    )
    options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={folder} -c fsync=off"
    run(str(binaries / "pg_ctl"), "-D", str(folder / "data"), "-o", options, "-l", str(folder / "log"), "-w", "start")

    def query(text: str, database: str = "shop") -> str:
        return run(
            str(binaries / "psql"), "-h", str(folder), "-p", str(port), "-U", "admin", "-d", database, "-v", "ON_ERROR_STOP=1", "-Atc", text
        )

    try:
        query(f"create role shop login password '{PASSWORD}'", "postgres")
        query("create database shop owner shop", "postgres")
        yield Postgres(port, query)
    finally:
        run(str(binaries / "pg_ctl"), "-D", str(folder / "data"), "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)


def _postgres_binaries() -> Path:
    """Where PostgreSQL is; installed first where it is not and we may."""
    found = _search()
    if found is None and os.getuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "install", "-y", "-qq", "postgresql"], check=False, capture_output=True)  # noqa: S607
        found = _search()
    if found is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    return found


def _search() -> Path | None:
    places = [
        *sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True),
        *(Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep)),
    ]
    return next((place for place in places if (place / "initdb").exists() and (place / "pg_ctl").exists()), None)
