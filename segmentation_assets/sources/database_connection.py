"""Connections to databases: the address, the password, which stays out of every message, and advice that fits the error."""

import hashlib
import os
import re
import urllib.parse
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, Protocol

import duckdb
import ibis
import ibis.expr.types as ir
from ibis.common.exceptions import TableNotFound
from sqlglot import exp

from segmentation_assets.settings.addresses import SPARK
from segmentation_assets.settings.source import Database
from segmentation_assets.sources import sqlite_tables
from segmentation_assets.sources.base import SourceError
from segmentation_assets.sources.dialects import unique_names
from segmentation_assets.sources.typed_columns import plain_columns

DRIVERS = {"postgres": "psycopg[binary]", "postgresql": "psycopg[binary]", "mysql": "mysqlclient", "mariadb": "mysqlclient",
           "sc": "segmentation-assets[spark]"}  # fmt: skip
ADVICE = {  # pattern in an error of PostgreSQL, MySQL, MariaDB, SQLite, DuckDB, Spark, Databricks or Sail -> what to do about it
    "syntax error|parser error|error in your SQL syntax|invalid expression|unexpected token|found .* at [0-9:]+ expected": "Correct the "
    "SQL of `query`; it is in the database's own SQL.",
    "no such function|function .* does not exist|cannot resolve routine|unknown function": "This database has no such function: correct "
    "`query`.",
    "no such column|unknown column|column .* does not exist|binder error|cannot be resolved|cannot resolve attribute": "Correct the names "
    "of columns in `query`.",
    "no such table|relation .* does not exist|table .*(doesn't|does not) exist|catalog error|table or view not found|"
    "table or view .* cannot be found|single-part namespace": "Correct the name of the table in `query`.",
    "cast_invalid_input|cannot be cast|could not cast|cast error|cannot cast": "Correct the cast in `query`; try_cast gives an empty cell "
    "where a value does not fit.",
    "path does not exist": "Correct the path in `query`: the engine's machines read it, not this one.",
    "unauthenticated|invalid access token": "Check the token that is in the environment variable, and the address.",
    "permission denied for|command denied|not authorized|permission_denied|insufficient.?(privileges|permissions)|"
    "does not have permission": "Grant the user the right to read it.",
    "already_received|session_(not_found|changed|closed)": "The engine has begun anew in the middle: start the same again.",
    "authentication failed|access denied|no password|role .* does not exist": "Check the address: its user, and the password that is in "
    "the environment variable.",
    "database .* does not exist|unknown database": "Check the address: its last part is the database's name.",
    "set lock|conflicting lock|database is locked": "Another program has it open: close that, or copy the file and read the copy.",
    "unable to open database|cannot open|no such file": "Check the address: the path is relative to the settings file.",
    "not a database|not a valid duckdb|serializ": "Check the address: the file is not a database of this kind, or is of a newer version.",
    "refused|can't connect|could not connect|timed? ?out|translate host|name or service|unknown .*host|unreachable|lost connection|"
    "server closed": "Check the address: its host and port, and that the database is running and can be reached from here.",
}
MARKED = re.compile(r"\x1b\[[0-9;]*m")  # colours of a terminal
OTHERWISE = "Check the address, the table or query, and the user's rights."


class Address(Protocol):
    """Where a database is: settings of a source's table, or of a destination."""

    @property
    def url(self) -> str: ...

    @property
    def password_variable(self) -> str | None: ...


def advice(text: str, has_query: bool) -> str:
    """What to do about a database error, judged by its text."""
    found = next((what for pattern, what in ADVICE.items() if re.search(pattern, text, re.IGNORECASE)), OTHERWISE)
    return found if has_query else found.replace("`query`", "the settings")


def source_name(settings: Database) -> str:
    """The `source_file` of a database's rows: the table, or a digest of the query. Never the address."""
    if settings.table:
        return settings.table
    return f"query {hashlib.sha256((settings.query or '').encode()).hexdigest()[:8]}"


@contextmanager
def connected(settings: Database) -> Iterator[tuple[Any, ir.Table]]:
    """The database and the table or query in it, for reading.

    Raises:
        SourceError: the password is not in the environment, the driver is missing, or the database refuses the connection.
    """
    with reached(settings, source_name(settings), settings.query is not None) as remote:
        yield remote, _table(remote, settings)


@contextmanager
def reached(settings: Address, what: str, has_query: bool = False, read_only: bool = True) -> Iterator[Any]:
    """The database at an address; `what` names the table in messages.

    Raises:
        SourceError: as in `connected`, or for any error of the database within the block.
    """
    secret = _password(settings)
    shown = f"{_shown(settings)} ({what})"
    remote = None
    try:
        remote = _spark(settings.url, secret, shown) if _is_spark(settings) else _connect(settings.url, secret, read_only)
        yield remote
    except SourceError:
        raise
    except (ImportError, ModuleNotFoundError) as error:
        scheme = settings.url.partition("://")[0]
        raise SourceError(
            f"{shown}: the driver for {scheme} is not installed ({error}). Install it: pip install "
            f"'{DRIVERS.get(scheme, f'ibis-framework[{scheme}]')}'"
        ) from None
    except TableNotFound:
        raise SourceError(f"{shown}: no such table. Correct `table` in the settings, or grant the user the right to see it.") from None
    except Exception as error:
        text = _without(secret, error, settings)
        raise SourceError(f"{shown}: {text}. {advice(text, has_query)}") from None
    finally:
        if remote is not None:
            remote.disconnect()


def _password(settings: Address) -> str | None:
    if settings.password_variable is None:
        return None
    secret = os.environ.get(settings.password_variable)
    if secret is None or (_is_spark(settings) and not secret):
        name = settings.password_variable if settings.password_variable.isupper() else "NAME"  # else it may be the password itself
        held = "token" if _is_spark(settings) else "password"
        raise SourceError(
            f"{_shown(settings)}: the environment variable that password_variable names, which should hold the {held}, is not set. "
            f"Set it: export {name}=..."
        )
    return secret


def _with_password(url: str, secret: str | None) -> str:
    if secret is None:
        return url
    parts = urllib.parse.urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    if not at:
        raise SourceError(
            f"{url}: password_variable is given but the address has no user. Write it as {parts.scheme}://USER@{parts.netloc}{parts.path}."
        )
    return urllib.parse.urlunsplit(parts._replace(netloc=f"{user}:{urllib.parse.quote(secret, safe='')}@{host}"))


def _connect(url: str, secret: str | None, read_only: bool) -> Any:
    address = _with_password(url, secret)
    if url.startswith("duckdb://"):
        local = ibis.connect(address, read_only=read_only)
        local.raw_sql("SET TimeZone = 'UTC'").fetchall()
        return local
    if url.startswith("sqlite://"):
        file = ibis.connect(address)
        file.con.text_factory = sqlite_tables.text_of
        return file
    if not url.startswith(("mysql://", "mariadb://")):
        return ibis.connect(address)
    with warnings.catch_warnings():  # Ibis asks for the zone by its name, which a server need not know, and then only warns
        warnings.simplefilter("ignore")
        remote = ibis.connect(re.sub("^mariadb", "mysql", address), charset="utf8mb4")
    with closing(remote.con.cursor()) as cursor:
        cursor.execute("SET time_zone = '+00:00'")  # so that a TIMESTAMP is given in UTC
    return remote


def _is_spark(settings: Address) -> bool:
    return settings.url.startswith(SPARK)


def _spark(url: str, token: str | None, shown: str) -> Any:
    from segmentation_assets.sources.spark_tables import opened  # takes a second to import, and needs an extra

    return opened(url, token, shown)


def _shown(settings: Address) -> str:
    """The address without its parameters, of which any may be secret."""
    if _is_spark(settings):
        return settings.url.partition(";")[0].rstrip("/")
    return settings.url.partition("?")[0]


def _without(secret: str | None, error: Exception, settings: Address) -> str:
    """The first line of an error, without the password in any of its spellings, and without the address's parameters."""
    said = str(error).strip().partition("\n")[0] if _is_spark(settings) else str(error)  # the server's plan and stack follow
    found = said.replace(settings.url, _shown(settings))
    text = re.sub(r"\s+", " ", MARKED.sub("", found)).strip()[:300].rstrip(".;")
    for spelling in {secret, urllib.parse.quote(secret or "", safe=""), urllib.parse.quote_plus(secret or "")} - {None, ""}:
        text = text.replace(str(spelling), "***")
    return text


def _table(remote: Any, settings: Database) -> ir.Table:
    if remote.name == "pyspark":
        return remote.selected(settings)
    schema, _, name = (settings.table or "").rpartition(".")
    if remote.name == "duckdb":
        return _duckdb_table(remote, settings.query or _selecting_all(remote, name, schema))
    if remote.name == "sqlite":
        return _sqlite_table(remote, settings, name, schema)
    if settings.query is not None:
        return remote.sql(settings.query.strip().rstrip(";"))
    return remote.table(name, database=schema or None)


def _sqlite_table(remote: Any, settings: Database, name: str, schema: str) -> ir.Table:
    if settings.query is None and not sqlite_tables.has_table(remote, name, schema):
        raise TableNotFound(name)
    query = settings.query or sqlite_tables.selecting_all(name, schema)
    return sqlite_tables.typed_table(remote, query.strip().rstrip(";"), settings.decimal, settings.date_formats == ("auto",))


def _selecting_all(remote: Any, name: str, schema: str) -> str:
    wanted = exp.table_(name, db=schema or None, quoted=True)
    try:
        remote.con.sql(exp.select("*").from_(wanted).limit(0).sql("duckdb"))
    except duckdb.CatalogException as error:
        raise TableNotFound(name) from error
    return exp.select("*").from_(wanted).sql("duckdb")


def _duckdb_table(remote: Any, query: str) -> ir.Table:
    """A query's rows, of any types: Ibis does not support all of them, and inspects queries in a way that DuckDB 2 dropped."""
    relation = remote.con.sql(query)
    if relation is None:
        raise SourceError("query: is not a SELECT and returns no rows. Write one that does.")
    columns = list(plain_columns(relation, unique_names(relation.columns)))
    view = ibis.util.gen_name("asked")
    plain = relation.select(*(value.alias(name) for name, value in columns))
    remote.raw_sql(f"CREATE TEMP VIEW {view} AS {plain.sql_query()}").fetchall()  # a temporary one, as the database is open read-only
    return remote.table(view)
