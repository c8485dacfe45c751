"""An engine that speaks Spark Connect, such as Spark, Databricks or Sail, and DuckDB in this process beside it.

The engine reads the lake's files itself, in a folder that its machines and this one share or in a bucket (see `exchange`). What it
computes it writes there as a folder of files, in whatever order; DuckDB here makes one ordered file of them, with bounded memory, so that
a partition has the same form whichever engine computed it. A table that is on no engine, because it was computed here, is written here.
"""

import functools
import logging
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import ibis
import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
import ibis.expr.schema as sch
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.parquet as pq
import sqlglot.expressions as sge
from ibis.backends.pyspark import Backend
from ibis.backends.pyspark.datatypes import PySparkSchema
from ibis.backends.sql.compilers.base import NULL, SQLGlotCompiler
from ibis.backends.sql.compilers.pyspark import PySparkCompiler
from ibis.formats.pyarrow import PyArrowData
from pyspark.errors import RetriesExceeded
from pyspark.sql.connect import functions
from pyspark.sql.connect.client import DefaultChannelBuilder
from pyspark.sql.connect.client.reattach import ExecutePlanResponseReattachableIterator as Results
from pyspark.sql.connect.client.retries import DefaultPolicy
from pyspark.sql.connect.session import SparkSession

from segmentation_assets.engines.base import Engine, EngineError
from segmentation_assets.engines.duckdb import DuckDBEngine
from segmentation_assets.engines.exchange import Exchange
from segmentation_assets.engines.parquet import state_of

PINNED = {  # what would otherwise depend on how the engine was set up
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",  # a number out of range, or text that is no number, is an error as on DuckDB, not null
    "spark.sql.timestampType": "TIMESTAMP_NTZ",
}
ESCAPED = {"a": r"\u0007", "f": r"\u000C", "v": r"\u000B"}  # what Spark knows by no letter
END = re.compile(r"(\\.|\[(?:\\.|[^\]\\])*\])|\$")  # of a text in a pattern: a $ that is neither escaped nor one of several characters
CUSTOMER = "customer_id"  # rows come in any order; those of customers are put in that of the lake's files, on which samples depend
SENT_ROWS = 1_000  # most rows of a table of this process that are sent with a query; more go through a file
LOGGED = {  # what the client prints by itself, and from which level on it may
    "SQLQueryContextLogger": logging.CRITICAL,  # an error and the server's stack, before it is raised
    "DataFrameQueryContextLogger": logging.CRITICAL,
    "pyspark.sql.connect.logging": logging.ERROR,  # that results of a session that has ended could not be released
}
PATIENCE = 20.0  # seconds to wait for the engine's first answer
RETRIES, LONGEST_WAIT = 8, 10_000  # and milliseconds between them: an engine that is lost is given up within a minute, not after ten


class _Compiler(PySparkCompiler):
    """Ibis's SQL for Spark, where it means something else than on DuckDB."""

    def visit_NonNullLiteral(self, op: ops.Literal, *, value: Any, dtype: Any) -> Any:  # noqa: N802  # Ibis's name
        """A number with a point is a decimal there, and on Sail so is what is made of it and a float, with 15 digits after the point."""
        if dtype.is_floating():
            return self.cast(repr(float(value)), dtype)
        return super().visit_NonNullLiteral(op, value=value, dtype=dtype)

    def visit_CountDistinct(self, op: ops.CountDistinct, *, arg: Any, where: Any) -> Any:  # noqa: N802
        """Sail compares structs one by one beside other counts, at 400 bytes each; their texts differ where they do."""
        if op.arg.dtype.is_struct():
            arg = self.f.to_json(arg)
        return super().visit_CountDistinct(op, arg=arg, where=where)

    def visit_RegexSearch(self, op: ops.RegexSearch, *, arg: Any, pattern: Any) -> Any:  # noqa: N802
        """For Java, `$` is also before a line break with which a text ends."""
        if isinstance(op.pattern, ops.Literal):
            pattern = sge.convert(END.sub(lambda found: found[1] or r"\z", op.pattern.value))
        return super().visit_RegexSearch(op, arg=arg, pattern=pattern)

    def visit_DateTruncate(self, op: ops.DateTruncate, *, arg: Any, unit: Any) -> Any:  # noqa: N802
        """`date_trunc` of a date is a time there, and Ibis omits the cast, because it expects a date."""
        return self.cast(super().visit_DateTruncate(op, arg=arg, unit=unit), op.dtype)

    def visit_ArrayIndex(self, op: ops.ArrayIndex, *, arg: Any, index: Any) -> Any:  # noqa: N802
        """A part of a text between delimiters, null if there are fewer; `split` reads the delimiter as a pattern there."""
        if not isinstance(op.arg, ops.StringSplit):
            return super().visit_ArrayIndex(op, arg=arg, index=index)
        text, mark = arg.this, arg.expression
        last = (self.f.length(text) - self.f.length(self.f.replace(text, mark))) / self.f.length(mark)
        return self.if_(index <= last, self.f.anon.split_part(text, mark, index + 1), NULL)

    def visit_ScalarUDF(self, op: ops.ScalarUDF, **arguments: Any) -> Any:  # noqa: N802
        """Functions of DuckDB that Ibis lacks, as they are called there."""
        first, name = next(iter(arguments.values())), op.__func_name__
        if name == "strlen":
            return self.f.octet_length(first)
        if name == "isfinite":
            return self.f.abs(first) < self.cast(sge.Literal.string("Infinity"), op.args[0].dtype)  # NaN is above all numbers
        if name == "to_json" and op.args[0].dtype.is_struct():
            return self.f.to_json(first)
        if name == "to_json":
            return self.cast(first, dt.string)
        return super().visit_ScalarUDF(op, **arguments)

    def visit_IntegerRange(self, op: ops.IntegerRange, *, start: Any, stop: Any, step: Any) -> Any:  # noqa: N802
        """Without `stop`, which `sequence` includes. Ibis's own takes the last element off, and SQLGlot's compiled modules refuse that."""
        sign = self.cast(self.f.signum(step), op.stop.dtype)
        some = step.neq(0) & self.f.signum(step).eq(self.f.signum(stop - start))
        return self.if_(some, self.f.sequence(start, stop - sign, step), self.f.array())


def _infix(node: type[sge.Expression]) -> Callable[..., Any]:
    def visit(self: _Compiler, op: Any, *, left: Any, right: Any) -> Any:
        """Decimals beside floats, and those that are divided, become floats as on DuckDB; Sail makes decimals of both, with few digits."""
        floats = isinstance(op, ops.Divide) or any(side.dtype.is_floating() for side in (op.left, op.right))
        sides = ((op.left, left), (op.right, right))
        return self.binop(node, *(self.cast(made, dt.float64) if floats and side.dtype.is_decimal() else made for side, made in sides))

    return visit


for _op in (ops.Add, ops.Subtract, ops.Multiply, ops.Divide, ops.Modulus, *ops.Comparison.__subclasses__()):
    if _node := SQLGlotCompiler.BINARY_INFIX_OPS.get(_op):
        setattr(_Compiler, f"visit_{_op.__name__}", _infix(_node))


class SparkBackend(Backend):
    """Ibis on Spark Connect, with tables in Arrow: through pandas, as in Ibis 12, whole numbers with missing ones would become floats.

    Attributes:
        url: the engine's address; lost: whether it has stopped answering.
        exchange: where tables of this process go that are too large to be sent with a query.
    """

    compiler = _Compiler()
    url: str
    lost = False
    exchange: Exchange

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Say what to do if the engine stops answering within the block, or has before."""
        if self.lost:
            raise self.gone()
        try:
            yield
        except RetriesExceeded:
            self.lost = True
            _abandon(self._session.client)
            raise self.gone() from None

    def gone(self) -> RuntimeError:
        """The error if the engine has stopped answering."""
        return EngineError(
            f"engine.url: {self.url} has stopped answering. Tables that are in place are whole. Start the engine "
            "again, and then the same run."
        )

    def compile(self, expr: ir.Expr, /, **kwargs: Any) -> str:
        r"""SQLGlot writes form feed as `\f`, which Spark reads as the letter f: `.strip()` would take it off every word."""
        return re.sub(r"\\(.)", lambda found: ESCAPED.get(found[1], found[0]), super().compile(expr, **kwargs), flags=re.DOTALL)

    def to_pyarrow(self, expr: ir.Expr, /, *, params: Any = None, limit: Any = None, **kwargs: Any) -> Any:
        table = expr.as_table()
        with self.answering():
            self._run_pre_execute_hooks(expr)
            found = self._session.sql(self.compile(table, params=params, limit=limit, **kwargs)).toArrow()
        if CUSTOMER in found.column_names and not isinstance(table.op(), ops.Sort):
            found = found.sort_by(CUSTOMER)
        return expr.__pyarrow_result__(PyArrowData.convert_table(found, table.schema()))

    def execute(self, expr: ir.Expr, /, **kwargs: Any) -> Any:
        with self.answering():
            return super().execute(expr, **kwargs)

    def _register_in_memory_table(self, op: ops.InMemoryTable) -> None:
        rows = op.data.to_pyarrow(op.schema)
        if len(rows) > SENT_ROWS:
            file = self.exchange.folder / f"{op.name}.parquet"
            pq.write_table(rows, file)
            frame = self._session.read.parquet(*self.exchange.addresses([file]))
        else:
            frame = self._session.createDataFrame(rows, schema=PySparkSchema.from_ibis(op.schema))
        frame.createOrReplaceTempView(op.name)

    def _make_memtable_finalizer(self, name: str) -> None:
        """Views end with the session."""


def _abandon(client: Any) -> None:
    """Let go of an engine that is lost: to release each part of its results is queued, and each would be tried for most of a minute, before
    this process could end."""
    with Results._lock:
        queue, Results._release_thread_pool_instance = Results._release_thread_pool_instance, None
    if queue is not None:
        queue.shutdown(wait=False, cancel_futures=True)
    client._channel.close()  # not by its own method, which waits for the queue


class SparkConnectEngine:
    """An engine at an address of Spark Connect.

    Args:
        url: the address, such as sc://spark.example.com:15002.
        exchange: where files travel between this machine and the engine's.
        driver: DuckDB in this process.
        token: for the address; None: none is needed.

    Raises:
        EngineError: nothing answers at the address, it gives no session, or files do not travel between it and this machine.
    """

    def __init__(self, url: str, exchange: Exchange, driver: DuckDBEngine, token: str | None = None) -> None:
        self.driver = driver
        self._scans: dict[tuple[Any, ...], ir.Table] = {}
        try:
            self._session = session(url, token)
        except NoSession as error:
            raise EngineError(_without_session(url, error.said)) from None
        SparkBackend.register_options()
        self.backend = SparkBackend().connect(self._session)
        self.backend.url, self.backend.exchange = url, exchange
        try:
            with self.backend.answering():
                self._require_exchange()
        except BaseException:
            self.close()
            raise

    def _require_exchange(self) -> None:
        """Check that the engine and this process read each other's files."""
        exchange = self.backend.exchange
        probe, near = (exchange.folder / f"{ibis.util.gen_name(name)}.parquet" for name in ("here", "there"))
        pq.write_table(pa.table({"n": [1]}), probe)
        try:
            with exchange.incoming(near) as (place, bring):
                self._session.read.parquet(*exchange.addresses([probe])).write.parquet(place)
                problem = "" if bring() else "what it writes there does not arrive here"
        except (RetriesExceeded, EngineError):
            raise
        except Exception as error:
            problem = str(error).partition("\n")[0]
        if problem:
            raise EngineError(
                f"{exchange.setting}: {self.backend.url} does not read and write {exchange.place} as this machine does: {problem}. "
                f"{exchange.remedy}"
            )

    def owner(self, table: ir.Table) -> Engine:
        return self if self.backend in table._find_backends()[0] else self.driver

    def scan(self, files: Sequence[Path], **options: Any) -> ir.Table:
        here = self.driver.scan(files, **options)  # tells which columns and types the files have together, and fails as DuckDB does
        read = (tuple(map(state_of, files)), *options.items())
        if read not in self._scans:
            with self.backend.answering():
                self._scans[read] = self._scanned(files, here.schema(), bool(options.get("hive_partitioning", True)))
        return self._scans[read]

    def _scanned(self, files: Sequence[Path], schema: sch.Schema, dated: bool) -> ir.Table:
        """The files with the columns and types of the schema. Files alike are read together, unless their folder dates them."""
        alike: dict[Any, list[Path]] = {}
        for file in files:
            alike.setdefault((pq.read_schema(file).to_string(), file.parent.name if dated else ""), []).append(file)
        kinds = {field.name: field.dataType for field in PySparkSchema.from_ibis(schema)}
        frames = []
        for (_, folder), some in alike.items():
            frame = self._session.read.parquet(*self.backend.exchange.addresses(some))
            known = {field.name: field.dataType for field in frame.schema}
            partition, _, day = folder.partition("=")
            given = {name: functions.col(f"`{name.replace('`', '``')}`") for name in known}
            if day:
                given[partition] = functions.lit(day)
            if list(known.items()) != list(kinds.items()):
                none = functions.lit(None)
                frame = frame.select(*(
                    given[name] if known.get(name) == kind else given.get(name, none).cast(kind).alias(name) for name, kind in kinds.items()
                ))  # fmt: skip
            frames.append(frame)
        view = ibis.util.gen_name("lake")
        functools.reduce(lambda one, other: one.union(other), frames).createOrReplaceTempView(view)
        return ops.DatabaseTable(view, schema=schema, source=self.backend, namespace=ops.Namespace()).to_expr()

    def kept(self, table: ir.Table) -> ir.Table:
        """Itself: Sail keeps no tables."""
        return table

    def write(self, table: ir.Table, file: Path, by: Sequence[str] = ()) -> None:
        if self.owner(table) is self.driver:
            self.driver.write(table, file, by)
            return
        with self.backend.exchange.incoming(file) as (place, bring):
            with self.backend.answering():
                self.backend._run_pre_execute_hooks(table)
                self._session.sql(self.backend.compile(table)).write.parquet(place)
            self.driver.write(self._gathered(bring(), table.schema()), file, by)

    def _gathered(self, parts: Sequence[Path], schema: sch.Schema) -> ir.Table:
        if not parts:  # Sail writes none of no rows
            return ibis.memtable(pa.schema(schema.to_pyarrow()).empty_table())
        found = self.driver.backend.read_parquet([str(part) for part in parts], hive_partitioning=False)
        return found.cast(schema)

    def rows(self, table: ir.Table) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = table.to_pyarrow().to_pylist()
        return found

    def batches(self, table: ir.Table, rows: int) -> Iterator[pa.RecordBatch]:
        """Only of a table that is read in this process."""
        return self.driver.batches(table, rows)

    def close(self) -> None:
        """The driver is closed by whoever opened it."""
        self.backend.exchange.close()
        if not self.backend.lost:  # else to release the session would wait for the engine again
            self._session.stop()


class NoSession(RuntimeError):  # noqa: N818  # it says what there is not
    """An address that gives no session.

    Attributes:
        said: what the engine says, in one line, without the token; None: nothing answers.
    """

    def __init__(self, said: str | None) -> None:
        super().__init__(said or "nothing answers")
        self.said = said


def session(url: str, token: str | None) -> Any:
    """A session of its own, with the settings that results depend on.

    Raises:
        NoSession: nothing answers, or the engine refuses.
    """
    for name, level in LOGGED.items() if "SPARK_CONNECT_LOG_LEVEL" not in os.environ else ():
        logging.getLogger(name).setLevel(level)
    address = DefaultChannelBuilder(url)
    if token is not None:
        address.set(address.PARAM_TOKEN, token)  # and the channel is encrypted
    channel = address.toChannel()
    try:
        grpc.channel_ready_future(channel).result(timeout=PATIENCE)
    except grpc.FutureTimeoutError:
        raise NoSession(None) from None
    finally:
        channel.close()
    try:
        found = SparkSession.builder.channelBuilder(address).create()
        found.client.set_retry_policies([DefaultPolicy(max_retries=RETRIES, max_backoff=LONGEST_WAIT)])
        for name, value in PINNED.items():
            found.conf.set(name, value)
    except Exception as error:
        raise NoSession(first_line(error).replace(token or "\0", "(token)")) from None
    return found


def first_line(error: Exception) -> str:
    """What an error says, without the engine's stack and plan, which follow it.

    >>> first_line(RuntimeError("\\n[PARSE_SYNTAX_ERROR] near 'selec'.\\n\\nJVM stacktrace:\\norg.apache"))
    "[PARSE_SYNTAX_ERROR] near 'selec'."
    """
    return str(error).strip().partition("\n")[0].strip()


def _without_session(url: str, said: str | None) -> str:
    if said is None:
        return (
            f"engine.url: nothing answers at {url} within {PATIENCE:.0f} s. Start the engine, correct the address, or set engine.kind to "
            "duckdb."
        )
    return (
        f"engine.url: {url} gives no session in which results would be the same: {said}. Check the token, the server's log, and that "
        f"these may be set: {', '.join(PINNED)}."
    )
