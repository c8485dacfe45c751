"""Places to which changes of audiences are handed over: a folder, a table of a database, an address that takes batches.

Belongs here: how rows travel, and what is said if a place does not take them. Which rows is decided in `delivering`. Each place takes
the same rows twice without harm: a file is replaced, a table's rows are, and a batch carries a key by which its receiver knows it again.
"""

import base64
import binascii
import datetime as dt
import hashlib
import hmac
import json
import logging
import math
import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import urllib3
from sqlglot import exp

from segmentation_assets.atomic import replacing
from segmentation_assets.settings.delivery import KEY, AnyDestination, DatabaseTable, Folder, Webhook, unsafe
from segmentation_assets.sources.base import SourceError
from segmentation_assets.sources.database_connection import reached
from segmentation_assets.store.deliveries import DeliveryError
from segmentation_assets.store.spreadsheet import without_formulas

Send = Callable[[pa.Table], None]
"""Sends a batch, and returns once it has arrived."""
BACKOFF = 0.5  # seconds before the first repetition; doubled for each further one
LONGEST_WAIT = 60  # seconds, also where the receiver asks for more
FEWEST_BYTES = 16  # of a secret
WHSEC = "whsec_"  # before a secret in base64, as in Standard Webhooks
LOUD = "urllib3.connectionpool"  # a logger that writes paths of addresses, which may be secrets
RIGHTS = ("the right to read it", "the rights to create it and temporary tables, and to select, insert and delete")
STAGED = "segmentation_delivery"  # temporary table
PLACEHOLDERS = {"postgres": "%s", "mysql": "%s"}  # and ? elsewhere


@contextmanager
def sending(name: str, destination: AnyDestination, snapshot: dt.date, delivery_id: str) -> Iterator[Send]:
    """What sends batches of a delivery to a destination.

    Raises:
        DeliveryError: an environment variable is missing, or the destination does not take the rows.
    """
    where = f"delivery.destinations.{name}"
    match destination:
        case Folder():
            yield lambda rows: _to_file(where, destination, rows, f"audience_changes-{snapshot}-{delivery_id[:12]}")
        case DatabaseTable():
            yield lambda rows: _to_table(where, destination, rows)
        case Webhook():
            with Posting(where, destination, snapshot, delivery_id) as posting:
                yield posting.send


def batch_rows(destination: AnyDestination) -> int | None:
    """Most rows of a batch; None: all of a delivery are one, which arrives whole or not at all."""
    return destination.batch if isinstance(destination, Webhook) else None


def _to_file(where: str, destination: Folder, rows: pa.Table, stem: str) -> None:
    file = destination.path / f"{stem}.{destination.format}"
    try:
        with replacing(file) as unfinished:
            if destination.format == "parquet":
                pq.write_table(rows, unfinished, compression="zstd")
            else:
                with duckdb.connect() as connection:
                    without_formulas(connection.from_arrow(rows)).write_csv(str(unfinished))
    except OSError as error:
        remedy = "Name a folder" if _is_in_a_file(destination.path) else "Make the folder, or make it writable"
        raise DeliveryError(f"{where}.path: {file} cannot be written ({error.strerror or error}). {remedy}.") from error


def _is_in_a_file(path: Path) -> bool:
    return any(part.is_file() for part in (path, *path.parents))


# Databases


def _to_table(where: str, destination: DatabaseTable, rows: pa.Table) -> None:
    """Replace the rows of the same customer, list and action by these, in one transaction."""
    try:
        with reached(destination, destination.table, read_only=False) as remote:
            _replace_rows(remote, destination.table, rows)
    except SourceError as error:
        raise DeliveryError(f"{where}: {str(error).replace(*RIGHTS)}") from None


def _replace_rows(remote: Any, name: str, rows: pa.Table) -> None:
    dialect = str(remote.name)
    schema, _, table = name.rpartition(".")
    target, staged = exp.table_(table, db=schema or None, quoted=True), exp.table_(STAGED, quoted=True)
    definitions = [exp.ColumnDef(this=exp.to_identifier(field.name, quoted=True), kind=_type(field.type)) for field in rows.schema]
    names = [exp.to_identifier(field.name, quoted=True) for field in rows.schema]
    same = exp.and_(*(exp.column(key, table=STAGED, quoted=True).eq(exp.column(key, table=table, quoted=True)) for key in KEY))
    temporary = exp.Properties(expressions=[exp.TemporaryProperty()])
    nothing = exp.select(*names).from_(target.copy()).where(exp.false())
    into = exp.Schema(this=target.copy(), expressions=names)
    statements = [
        exp.Create(this=exp.Schema(this=target.copy(), expressions=definitions), kind="TABLE", exists=True),
        exp.Create(this=staged.copy(), kind="TABLE", properties=temporary, expression=nothing),
        exp.delete(target.copy()).where(exp.Exists(this=exp.select("1").from_(staged.copy()).where(same))),
        exp.Insert(this=into, expression=exp.select(*names).from_(staged.copy())),
    ]
    make, stage, delete, insert = (statement.sql(dialect) for statement in statements)
    mark, columns = PLACEHOLDERS.get(dialect, "?"), exp.Schema(this=staged, expressions=names).sql(dialect)
    if mark == "%s":
        columns = columns.replace("%", "%%")
    fill = f"INSERT INTO {columns} VALUES ({', '.join([mark] * len(names))})"  # noqa: S608  # names are quoted, values parameters
    with closing(remote.con.cursor()) as cursor:
        for statement in (make, stage, "BEGIN"):  # Ibis has the drivers commit each statement outside of a transaction
            cursor.execute(statement)
        cursor.executemany(fill, [tuple(_storable(value, dialect) for value in row.values()) for row in rows.to_pylist()])
        for statement in (delete, insert, "COMMIT"):
            cursor.execute(statement)


def _type(kind: pa.DataType) -> exp.DataType:
    if pa.types.is_boolean(kind):
        return exp.DataType.build("boolean")
    if pa.types.is_integer(kind):
        return exp.DataType.build("bigint")
    if pa.types.is_floating(kind):
        return exp.DataType.build("double")
    return exp.DataType.build("date" if pa.types.is_date(kind) else "text")


def _storable(value: Any, dialect: str) -> Any:
    """A value as the database takes it: PostgreSQL refuses NUL in a text, which is written as its symbol there."""
    plain = _value(value)
    return plain.replace("\0", "\u2400") if dialect == "postgres" and isinstance(plain, str) else plain


def _value(value: Any) -> Any:
    """A value as every driver takes it."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | int | bool) or type(value) is dt.date else str(value)


# Webhooks


class Posting:
    """Posts batches as JSON, signed as Standard Webhooks 1.0 says: HMAC-SHA256 over id, time and body."""

    def __init__(self, where: str, settings: Webhook, snapshot: dt.date, delivery_id: str) -> None:
        self.where, self.settings, self.snapshot, self.delivery_id = where, settings, snapshot, delivery_id
        self.address, self.secret = self._address(), self._secret()
        logging.getLogger(LOUD).setLevel(logging.CRITICAL + 1)
        again = urllib3.Retry(
            total=settings.retries, redirect=False, allowed_methods=None, status_forcelist=[429, *range(500, 600)], backoff_factor=BACKOFF,
            backoff_max=LONGEST_WAIT, retry_after_max=LONGEST_WAIT, raise_on_status=False,
        )  # fmt: skip
        self.connections = urllib3.PoolManager(retries=again, timeout=urllib3.Timeout(settings.timeout))

    def __enter__(self) -> "Posting":
        return self

    def __exit__(self, *_: object) -> None:
        self.connections.clear()

    def send(self, rows: pa.Table) -> None:
        """Post a batch.

        Raises:
            DeliveryError: it was not taken. The message has neither address nor secret.
        """
        content = {"snapshot_date": self.snapshot.isoformat(), "rows": [_plain(row) for row in rows.to_pylist()]}
        body = json.dumps(content, allow_nan=False, separators=(",", ":")).encode()
        key, time = f"msg_{hashlib.sha256(body).hexdigest()[:32]}", str(int(dt.datetime.now(dt.UTC).timestamp()))
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": key,
            "webhook-id": key,
            "webhook-timestamp": time,
            "webhook-signature": signature(self.secret, key, time, body),
            "segmentation-delivery": self.delivery_id,
        }
        try:
            answer = self.connections.request("POST", self.address, body=body, headers=headers, redirect=False)
        except urllib3.exceptions.HTTPError as error:
            raise DeliveryError(f"{self.where}: {_why(error, self.settings.timeout)}") from None  # its text has the address
        if not 200 <= answer.status < 300:
            raise DeliveryError(f"{self.where}: it answered {answer.status}{_remedy(answer.status)}")

    def _address(self) -> str:
        if self.settings.url is not None:
            return self.settings.url
        address = self._variable(self.settings.url_variable or "", "url_variable")
        if problem := unsafe(address):
            raise DeliveryError(f"{self.where}: the address in the variable that url_variable names {problem}.")
        return address

    def _secret(self) -> bytes:
        text = self._variable(self.settings.secret_variable, "secret_variable")
        try:
            secret = base64.b64decode(text.removeprefix(WHSEC), validate=True) if text.startswith(WHSEC) else text.encode()
        except binascii.Error:
            raise DeliveryError(
                f"{self.where}: the secret in the variable that secret_variable names is not base64 after {WHSEC}."
            ) from None
        if len(secret) < FEWEST_BYTES:
            raise DeliveryError(
                f"{self.where}: the secret in the variable that secret_variable names is shorter than {FEWEST_BYTES} bytes, so it could be "
                "guessed. Make one: openssl rand -hex 32"
            )
        return secret

    def _variable(self, name: str, setting: str) -> str:
        if not (value := os.environ.get(name, "").strip()):
            shown = name if name.isupper() else "NAME"  # else it may be the secret itself
            raise DeliveryError(f"{self.where}: the environment variable that {setting} names is not set. Set it: export {shown}=...")
        return value


def signature(secret: bytes, key: str, time: str, body: bytes) -> str:
    """The header by which a receiver knows that a batch came from here, unchanged and now.

    >>> signature(b"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_1", "1700000000", b"{}")[:12]
    'v1,qdB0i7f7k'
    """
    signed = hmac.new(secret, f"{key}.{time}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(signed).decode()}"


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, dt.date) else _value(value) for name, value in row.items()}


def _why(error: urllib3.exceptions.HTTPError, timeout: float) -> str:
    reason = error.reason if isinstance(error, urllib3.exceptions.MaxRetryError) and error.reason else error
    if isinstance(reason, urllib3.exceptions.SSLError):
        return "its certificate was not accepted. Renew it, or correct the address."
    if isinstance(reason, urllib3.exceptions.ReadTimeoutError):
        return f"it gave no answer within {timeout:g} seconds. Try again, or raise its timeout."
    return f"it could not be reached ({type(reason).__name__}). Check the address, and that it can be reached from here."


def _remedy(status: int) -> str:
    if 300 <= status < 400:
        return ", a redirect, which is not followed: customers would go where nobody has agreed to. Set the final address."
    if status in {401, 403}:
        return ". Check the secret on both sides."
    if status == 429 or status >= 500:
        return ", also when asked again. Repeat the delivery later."
    return ". Look into its log; it did not take the batch."
