"""What the tests of sources share: settings from a few lines, rows of a source, and real database servers of their own."""

import datetime as dt
import importlib.util
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import pytest
from filelock import FileLock

from segmentation_assets.engines.duckdb import DuckDBEngine
from segmentation_assets.settings.source import Tables
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


@contextmanager
def opened_in(folder: Path) -> Iterator[Callable[..., Opened]]:
    """Open the source that some settings describe; files are relative to the folder."""
    engine = DuckDBEngine(threads=1)

    def open_tables(zone: str = "UTC", **tables: Any) -> Opened:
        settings = Tables.model_validate({"kind": "tables", **tables}).resolved(folder)
        return Opened(TablesSource(settings, folder / "intake", zone), engine)

    yield open_tables
    engine.close()


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., Opened]]:
    """Open the source that some settings describe; files are relative to the test's folder."""
    with opened_in(tmp_path) as open_tables:
        yield open_tables


@dataclass(frozen=True)
class Server:
    """A database server of the tests' own, with the user `shop`, who may read every table of the database `shop`."""

    name: str
    url: str
    run: Callable[[str], str]
    words: dict[str, str]  # what it calls a type or a function

    def make(self, statements: str) -> None:
        self.run(statements.format(**self.words))


@dataclass(frozen=True)
class _Folder:
    """A folder that is thrown away, in which a server runs as a user who is not root."""

    path: Path
    owner: pwd.struct_passwd | None

    def run(self, *command: str) -> str:
        done = subprocess.run(
            command, check=False, cwd=self.path, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **self.drop()
        )
        assert done.returncode == 0, f"{command[0]} ended with {done.returncode}: {done.stdout}"
        return done.stdout

    def drop(self) -> dict[str, Any]:
        return {"user": self.owner.pw_uid, "group": self.owner.pw_gid, "extra_groups": []} if self.owner else {}


@contextmanager
def _folder(user: str) -> Iterator[_Folder]:
    path = Path(tempfile.mkdtemp(prefix=f"segmentation-{user}-"))
    owner = pwd.getpwnam(user) if os.getuid() == 0 else None
    if owner:
        os.chown(path, owner.pw_uid, owner.pw_gid)
    try:
        yield _Folder(path, owner)
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A real PostgreSQL on a free port of this machine."""
    binaries = _found("PostgreSQL", "postgresql", "initdb", *sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True))
    with _folder("postgres") as folder:
        data, port = str(folder.path / "data"), str(_free_port())
        folder.run(str(binaries / "initdb"), "-D", data, "-U", "admin", "--auth-local=trust", "--auth-host=scram-sha-256", "-E", "UTF8")
        options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={folder.path} -c fsync=off"
        folder.run(str(binaries / "pg_ctl"), "-D", data, "-o", options, "-l", str(folder.path / "log"), "-w", "start")
        psql = (str(binaries / "psql"), "-h", str(folder.path), "-p", port, "-U", "admin", "-v", "ON_ERROR_STOP=1", "-At")
        try:
            folder.run(*psql, "-d", "postgres", "-c", f"create role shop login password '{PASSWORD}'")
            folder.run(*psql, "-d", "postgres", "-c", "create database shop")
            folder.run(*psql, "-d", "shop", "-c", "alter default privileges grant select on tables to shop")
            words = {"time": "timestamp", "random": "random()", "quote": '"'}
            yield Server(
                "postgres",
                f"postgresql://shop@127.0.0.1:{port}/shop",
                lambda text: folder.run(*psql, "-d", "shop", "-c", text),
                words,
            )
        finally:
            folder.run(str(binaries / "pg_ctl"), "-D", data, "-m", "immediate", "stop")


@pytest.fixture(scope="session")
def mariadb() -> Iterator[Server]:
    """A real MariaDB on a free port of this machine, whose clock is not UTC and which knows no names of zones."""
    if importlib.util.find_spec("MySQLdb") is None:
        _absent("the driver of MySQL is not installed: make install EXTRAS=demo,dev,mysql")
    server, client = (_found("MariaDB", "mariadb-server", name, Path("/usr/sbin")) / name for name in ("mariadbd", "mariadb"))
    with _folder("mysql") as folder:
        data, socket_file, port = f"--datadir={folder.path / 'data'}", f"--socket={folder.path / 'socket'}", str(_free_port())
        with FileLock(
            Path(tempfile.gettempdir()) / f"segmentation-tests-mariadb-{os.getuid()}.lock"
        ):  # one of two that ran side by side failed
            folder.run("mariadb-install-db", "--no-defaults", data, "--auth-root-authentication-method=normal", "--skip-test-db")
        options = [
            "--no-defaults", data, socket_file, f"--pid-file={folder.path / 'pid'}", "--bind-address=127.0.0.1", f"--port={port}",
            "--skip-log-bin", "--innodb-flush-log-at-trx-commit=0", "--default-time-zone=+05:00",
        ]  # fmt: skip
        query = (str(client), "--no-defaults", "--default-character-set=utf8mb4", socket_file, "-u", "root", "-e")
        with (folder.path / "log").open("w") as log:
            running = subprocess.Popen([str(server), *options], cwd=folder.path, stdout=log, stderr=log, **folder.drop())
        try:
            for _ in range(300):  # it answers after a second or so
                if not subprocess.run([*query, "select 1"], capture_output=True, check=False).returncode:
                    break
                time.sleep(0.1)
            folder.run(
                *query,
                "delete from mysql.time_zone_name; create database shop character set utf8mb4; "
                f"create user shop@'127.0.0.1' identified by '{PASSWORD}'; create user shop@localhost identified by '{PASSWORD}'; "
                "grant select on shop.* to shop@'127.0.0.1'; grant select on shop.* to shop@localhost",
            )
            words = {"time": "datetime", "random": "rand()", "quote": "`"}
            yield Server("mariadb", f"mysql://shop@127.0.0.1:{port}/shop", lambda text: folder.run(*query, f"use shop; {text}"), words)
        finally:
            running.terminate()
            running.wait(30)


def _found(what: str, package: str, program: str, *places: Path) -> Path:
    """The folder in which a program is."""
    everywhere = [*places, *(Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep))]
    found = next((place for place in everywhere if (place / program).exists()), None)
    if found is None:
        _absent(f"{what} is not installed: apt-get install {package}")
    return found


def _absent(reason: str) -> NoReturn:
    """Skip the test; where all must run, as in CI, it fails."""
    if os.environ.get("ALL_TESTS"):
        pytest.fail(reason)
    pytest.skip(reason)
