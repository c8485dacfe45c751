"""How every table asset is written: to an unfinished file, checked against its contract, and only then put in place."""

import datetime as dt
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

import dagster as dg
import ibis
import ibis.expr.types as ir
import pandas as pd

from segmentation_assets.core.customers.columns import CustomerColumns
from segmentation_assets.defs import markdown
from segmentation_assets.defs.declared import Asset, Declared
from segmentation_assets.defs.partitions import Input, snapshot_partitions
from segmentation_assets.settings.loading import Settings
from segmentation_assets.store.lake import Lake, Staged, to_frame
from segmentation_assets.tables.audit import violations
from segmentation_assets.tables.contract import SNAPSHOT_DATE, Contract
from segmentation_assets.vocabulary import counted

P = ParamSpec("P")
R = TypeVar("R")
IO_MANAGER = "lake_io"
CHECK = "contract"
PREVIEW_ROWS, RANKED_ROWS = 5, 12  # in order of the key, as examples; or all of a short table, or the largest, which matter most
OUTPUT = "result"  # Dagster's name for the table among an asset's outputs, beside its contract check


@dataclass(frozen=True)
class Made:
    """A table among several that one function makes together.

    Attributes:
        made_from: the tables that it is made from; of those made together with it, only earlier snapshots.
        how: how it is made, as shown in Dagster.
    """

    contract: Contract
    group: str
    kinds: set[str]
    made_from: tuple[str, ...]
    how: str


def table(
    contract: Contract,
    *,
    group: str,
    ins: Mapping[str, Input] | None = None,
    kinds: set[str] | None = None,
    told: Callable[[Lake, ir.Table], Mapping[str, Any]] | None = None,
) -> Callable[[Callable[P, R]], Asset[P, R]]:
    """Decorate a function as the asset that fills `contract`'s table, one partition per snapshot.

    The function names its inputs and resources as with `dg.asset` and returns an `ibis.Table`, a DataFrame, or batches of rows. If rows
    break the contract, the asset and its check `contract` fail, and the existing partition stays. `told` makes metadata from the rows
    as written, which is cheaper than computing them again.
    """

    def decorate(compute: Callable[P, R]) -> Asset[P, R]:
        def make(settings: Settings) -> dg.AssetsDefinition:
            return dg.asset(
                name=contract.name,
                description=_description(contract, inspect.getdoc(compute) or ""),
                group_name=group,
                kinds=kinds or {"duckdb", "parquet"},
                partitions_def=snapshot_partitions(settings.snapshots),
                io_manager_key=IO_MANAGER,
                metadata=_metadata(contract),
                ins=_ins(ins, settings),
                check_specs=[_check_spec(contract, settings)],
            )(_written_and_checked({OUTPUT: contract}, compute, told))

        return Declared(compute, make)

    return decorate


def tables(
    *made: Made, name: str, ins: Mapping[str, Input] | None = None
) -> Callable[[Callable[P, Mapping[str, Any]]], Asset[P, Mapping[str, Any]]]:
    """Decorate a function as the assets that fill several tables in one step; it returns each table under its name, and each asset
    shows its docstring, which should say in what order they are made.

    Like `table`, but all are checked before any is written: if one contract is broken, all existing partitions stay.
    """

    names = [one.contract.name for one in made]

    def decorate(compute: Callable[P, Mapping[str, Any]]) -> Asset[P, Mapping[str, Any]]:
        together = f"One step makes {', '.join(names[:-1])} and {names[-1]}. {inspect.getdoc(compute) or ''}"

        def make(settings: Settings) -> dg.AssetsDefinition:
            return dg.multi_asset(
                name=name,
                outs={one.contract.name: _out(one, together) for one in made},
                ins=_ins(ins, settings),
                internal_asset_deps={one.contract.name: {dg.AssetKey(source) for source in one.made_from} for one in made},
                partitions_def=snapshot_partitions(settings.snapshots),
                check_specs=[_check_spec(one.contract, settings) for one in made],
            )(_written_and_checked({one.contract.name: one.contract for one in made}, compute))

        return Declared(compute, make)

    return decorate


def _out(one: Made, together: str) -> dg.AssetOut:
    return dg.AssetOut(
        description=_description(one.contract, f"{one.how}\n\n{together}"),
        group_name=one.group,
        kinds=one.kinds,
        io_manager_key=IO_MANAGER,
        metadata=_metadata(one.contract),
    )


def _ins(ins: Mapping[str, Input] | None, settings: Settings) -> dict[str, dg.AssetIn]:
    return {name: one.asset_in(settings) for name, one in (ins or {}).items()}


def _description(contract: Contract, how: str) -> str:
    return f"{contract.description}\n\n{how}".strip()


def _metadata(contract: Contract) -> dict[str, Any]:
    """The table's columns and key for Dagster's page, and the lineage of columns if the contract has it."""
    lineage = {"dagster/column_lineage": _column_lineage(contract)} if contract.lineage else {}
    return {"dagster/column_schema": _column_schema(contract), "key": ", ".join(contract.key), **lineage}


def _check_spec(contract: Contract, settings: Settings) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(
        CHECK,
        asset=contract.name,
        blocking=True,
        partitions_def=snapshot_partitions(settings.snapshots),
        description="Types, keys, missing values and ranges follow the table's contract.",
    )


def _column_schema(contract: Contract) -> dg.TableSchema:
    return dg.TableSchema(
        columns=[
            dg.TableColumn(c.name, c.type, c.description, dg.TableColumnConstraints(nullable=c.nullable, unique=contract.key == (c.name,)))
            for c in (SNAPSHOT_DATE, *contract.columns)
        ]
    )


def _column_lineage(contract: Contract) -> dg.TableColumnLineage:
    """The source columns of each column, as in the contract."""
    return dg.TableColumnLineage({
        column: [dg.TableColumnDep(asset_key=source.split(".")[0], column_name=source.split(".")[1]) for source in sources]
        for column, sources in contract.lineage.items()
    })  # fmt: skip


def _shown(contract: Contract, lake: Lake, staged: Staged) -> dict[str, Any]:
    """Metadata for Dagster's page: number of rows, size, path and a preview."""
    return {
        "dagster/row_count": staged.row_count(),
        "bytes": staged.unfinished.stat().st_size,
        "path": dg.MetadataValue.path(staged.file),
        "preview": dg.MetadataValue.md(markdown.table(_preview(contract, lake, staged))),
    }


def _preview(contract: Contract, lake: Lake, staged: Staged) -> pd.DataFrame:
    if not contract.largest_first:
        return staged.first_rows(RANKED_ROWS if staged.row_count() <= RANKED_ROWS else PREVIEW_ROWS)
    rows = lake.read_staged(staged)
    return to_frame(rows.order_by([*(ibis.desc(name) for name in contract.largest_first), *contract.key]).limit(RANKED_ROWS))


def _written_and_checked(
    contracts: Mapping[str, Contract], compute: Callable[..., Any], told: Callable[[Lake, ir.Table], Mapping[str, Any]] | None = None
) -> Callable[..., Any]:
    """The function that Dagster runs: it calls `compute`, then writes and checks its tables, one per output."""
    own = inspect.signature(compute).parameters

    def run(context: dg.AssetExecutionContext, lake: Lake, **inputs: Any) -> Iterator[Any]:
        lake.give_back()
        mine = {"context": context, "lake": lake}
        found = compute(**{name: mine.get(name, inputs.get(name)) for name in own})
        frames = found if isinstance(found, Mapping) else {OUTPUT: found}
        with ExitStack() as unfinished:  # discards whatever is not committed
            staged = {}
            for output, contract in contracts.items():
                staged[output] = lake.stage(contract, context.partition_key, frames[output])
                unfinished.callback(staged[output].discard)
            yield from _audited(contracts, lake, staged)
            for output, partition in staged.items():
                # The same rows have the same version, so re-running a snapshot makes later ones stale only if something changed.
                version = dg.DataVersion(partition.digest())
                shown = {**_shown(contracts[output], lake, partition), **(told(lake, lake.read_staged(partition)) if told else {})}
                yield dg.Output(partition, output_name=output, data_version=version, metadata=shown)
                yield dg.AssetCheckResult(check_name=CHECK, asset_key=contracts[output].name, passed=True)

    # Dagster reads inputs and resources from the signature: those of `compute`, and those that writing and checking need.
    needed = {"context": dg.AssetExecutionContext, "lake": dg.ResourceParam[Lake]}
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    others = [parameter for name, parameter in own.items() if name not in needed]
    parameters = [*(inspect.Parameter(name, kind, annotation=annotation) for name, annotation in needed.items()), *others]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    run.__name__ = compute.__name__
    return run


def _audited(contracts: Mapping[str, Contract], lake: Lake, staged: Mapping[str, Staged]) -> Iterator[dg.AssetCheckResult]:
    """Yield a failed check for each table that breaks its contract, then raise the failure; nothing if none does."""
    problems = {}
    for output, contract in contracts.items():
        if broken := violations(contract, lake.read_staged(staged[output]), empty=not staged[output].row_count()):
            problems[contract.name] = "; ".join(f"{text} ({counted(rows, 'row')})" for text, rows in broken.items())
            yield dg.AssetCheckResult(
                check_name=CHECK, asset_key=contract.name, passed=False, description=problems[contract.name], metadata=broken
            )
    if problems:
        breaches = " ".join(f"{name} breaks its contract and was not written: {problem}" for name, problem in problems.items())
        others = [contract.name for contract in contracts.values() if contract.name not in problems]
        also = f" The tables made in the same step were not written either: {', '.join(others)}." if others else ""
        raise dg.Failure(f"{breaches}{also}", allow_retries=False)


def snapshot_date(context: dg.AssetExecutionContext) -> dt.date:
    """The as-of date of the snapshot being made."""
    return dt.date.fromisoformat(context.partition_key)


def at_and_before(dated: ir.Table, as_of: dt.date, *columns: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows of the snapshot `as_of` and of the one before, from an input read with its dates; all columns, if none is named."""
    own, earlier = (to_frame(rows.select(*(columns or rows.columns))) for rows in each_snapshot(dated, as_of))
    return own, earlier


def shared(lake: Lake, contract: Contract, dated: ir.Table, as_of: dt.date) -> CustomerColumns:
    """Rows of the snapshot `as_of`, from an input read with its dates: those that other assets read, unless a column of the snapshot
    before is missing now, or has another type."""
    now, _ = each_snapshot(dated, as_of)
    own = lake.read(contract, [as_of.isoformat()], here=True)
    return lake.columns(contract, as_of.isoformat()) if own.schema() == now.schema() else CustomerColumns.of(to_frame(now))


def each_snapshot(dated: ir.Table, as_of: dt.date) -> tuple[ir.Table, ir.Table]:
    """Like `at_and_before`, but not computed yet."""
    now = dated.snapshot_date == ibis.date(as_of.isoformat())
    return dated.filter(now).drop("snapshot_date"), dated.filter(~now).drop("snapshot_date")
