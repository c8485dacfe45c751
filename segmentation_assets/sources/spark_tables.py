"""Tables of an engine that speaks Spark Connect, such as Databricks, Spark or Sail.

The engine selects the rows, and sends them as batches of Arrow. Fields of structs become columns there, so that it can select by them.
Arrays and maps arrive as they are and become text here, as in Parquet files; types that Arrow has not become text there.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import ibis
import ibis.expr.operations as ops
import ibis.expr.types as ir
import pyarrow as pa
from ibis.backends.pyspark.datatypes import PySparkType
from ibis.common.exceptions import TableNotFound
from pyspark.errors import AnalysisException
from pyspark.sql import types
from pyspark.sql.connect import functions

from segmentation_assets.engines import spark_connect
from segmentation_assets.settings.source import Database, spark_name
from segmentation_assets.sources.base import SourceError
from segmentation_assets.sources.dialects import unique_names
from segmentation_assets.sources.typed_columns import DEEPEST

BATCH_ROWS, BATCH_BYTES = 50_000, 32 * 2**20  # the engine's batches are of a few thousand rows; of wide ones, fewer are put together
IN_ARROW = (
    types.StringType, types.CharType, types.VarcharType, types.BinaryType, types.BooleanType, types.DateType, types.TimestampType,
    types.TimestampNTZType, types.DecimalType, types.ByteType, types.ShortType, types.IntegerType, types.LongType, types.FloatType,
    types.DoubleType,
)  # fmt: skip
ABSENT = ("TABLE_OR_VIEW_NOT_FOUND", "SINGLE_PART_NAMESPACE", "SCHEMA_NOT_FOUND", "CATALOG_NOT_FOUND", "DELTA_TABLE_NOT_FOUND")


class SparkTables(spark_connect.SparkBackend):
    """An engine whose tables are a source.

    Attributes:
        shown: the address and the table, as messages have them.
    """

    shown: str

    def gone(self) -> RuntimeError:
        return SourceError(f"{self.shown}: has stopped answering. See that the engine is running, and start the same again.")

    def disconnect(self) -> None:
        if not self.lost:  # else to release the session would wait for the engine again
            super().disconnect()

    def selected(self, settings: Database) -> ir.Table:
        """The rows of the table or query, of types that Arrow has.

        Raises:
            TableNotFound: there is no such table.
        """
        with self.answering():
            frame = self._asked(settings)
            names = unique_names(frame.columns)
            if not names:
                raise SourceError(f"{self.shown}: has no columns, as a folder that the engine does not find. Correct its name or path.")
            columns = [part for name, field in zip(names, frame.schema, strict=True) for part in _plain((name,), field.dataType)]
            plain = unique_names(".".join(path) for path, _, _ in columns)
            values = [functions.expr(value).alias(name) for name, (_, value, _) in zip(plain, columns, strict=True)]
            view = ibis.util.gen_name("asked")
            frame.toDF(*names).select(*values).createOrReplaceTempView(view)
        schema = ibis.schema({name: _ibis_type(kind) for name, (_, _, kind) in zip(plain, columns, strict=True)})
        return ops.DatabaseTable(view, schema=schema, source=self, namespace=ops.Namespace()).to_expr()

    def batches(self, wanted: ir.Table, schema: pa.Schema) -> Iterator[pa.Table]:
        """The rows as the engine sends them, never all at once."""
        waiting: list[pa.Table] = []
        with self.answering():
            for sent in self._sent(wanted):
                waiting.append(sent.rename_columns(schema.names).cast(schema))
                if sum(map(len, waiting)) >= BATCH_ROWS or sum(part.nbytes for part in waiting) >= BATCH_BYTES:
                    yield pa.concat_tables(waiting).combine_chunks()
                    waiting = []
        if waiting:
            yield pa.concat_tables(waiting).combine_chunks()

    def _sent(self, wanted: ir.Table) -> Iterator[pa.Table]:
        """The engine's own batches, one by one, which only this method of the client gives without making rows of Python of them."""
        client = self._session.client
        plan = self._session.sql(self.compile(wanted))._plan.to_proto(client)
        return (part for part in client.to_table_as_iterator(plan, {}) if isinstance(part, pa.Table))

    def _asked(self, settings: Database) -> Any:
        """A query is put in parentheses, so that it can only select. Names are looked up once the schema is asked for."""
        if settings.query is not None:
            frame = self._session.sql(f"SELECT * FROM ({settings.query.strip().rstrip(';')}\n) AS asked")  # noqa: S608  # the user's own
            frame.schema  # noqa: B018
            return frame
        frame = self._session.table(".".join(map(_quoted, spark_name(settings.table or ""))))
        try:
            frame.schema  # noqa: B018
        except AnalysisException as error:
            if any(sign in str(error) for sign in ABSENT):
                raise TableNotFound(settings.table) from None
            raise
        return frame


def opened(url: str, token: str | None, shown: str) -> SparkTables:
    """The engine at an address, with a session in which results do not depend on how it was set up.

    Raises:
        SourceError: nothing answers there, or it gives no session.
    """
    try:
        session = spark_connect.session(url, token)
    except spark_connect.NoSession as error:
        raise SourceError(f"{shown}: {_without_session(error.said, token)}") from None
    SparkTables.register_options()
    backend = SparkTables().connect(session)
    backend.url, backend.shown = url, shown
    return backend


def _without_session(said: str | None, token: str | None) -> str:
    if said is None:
        encrypted = "; with a token, the connection is encrypted, as the engine must expect" if token else ""
        return (
            f"nothing answers within {spark_connect.PATIENCE:.0f} s. Check the address: its host and port, and that the engine is running "
            f"and can be reached from here{encrypted}."
        )
    return (
        f"gives no session in which results would be the same: {said}. Check the token, the server's log, and that these may be set: "
        f"{', '.join(spark_connect.PINNED)}."
    )


def _plain(path: Sequence[str], kind: types.DataType) -> Iterator[tuple[Sequence[str], str, types.DataType]]:
    """Path, SQL and type of each column that is made of one."""
    value = ".".join(map(_quoted, path))
    if isinstance(kind, types.StructType) and len(path) <= DEEPEST and len({name.lower() for name in kind.names}) == len(kind.names):
        for field in kind.fields:
            yield from _plain((*path, field.name), field.dataType)
    elif isinstance(kind, types.FloatType | types.DoubleType):  # NaN is a missing value; through text, 9.99 stays what it is
        number = f"CAST(CAST({value} AS STRING) AS DOUBLE)" if isinstance(kind, types.FloatType) else value
        yield path, f"CASE WHEN isnan({value}) THEN NULL ELSE {number} END", types.DoubleType()
    elif isinstance(kind, types.StructType | types.VariantType):
        yield path, f"to_json({value})", types.StringType()
    elif _travels(kind):
        yield path, value, kind
    else:
        yield path, f"CAST({value} AS STRING)", types.StringType()


def _travels(kind: types.DataType) -> bool:
    """Whether Arrow has the type, and all types in it."""
    if isinstance(kind, types.ArrayType):
        return _travels(kind.elementType)
    if isinstance(kind, types.MapType):
        return _travels(kind.keyType) and _travels(kind.valueType)
    if isinstance(kind, types.StructType):
        return all(_travels(field.dataType) for field in kind.fields)
    return isinstance(kind, IN_ARROW)


def _ibis_type(kind: types.DataType) -> Any:
    """Ibis's own mapping takes a TIMESTAMP, which is an instant, for a time without a zone."""
    if isinstance(kind, types.TimestampType):
        return ibis.dtype("timestamp('UTC')")
    if isinstance(kind, types.StringType | types.CharType | types.VarcharType):
        return ibis.dtype("string")
    return PySparkType.to_ibis(kind)


def _quoted(name: str) -> str:
    return f"`{name.replace('`', '``')}`"
