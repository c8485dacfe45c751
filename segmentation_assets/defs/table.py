"""The one way an asset becomes a table: written aside, checked against its contract, and only then put in its place."""

import datetime as dt
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import dagster as dg
import pandas as pd

from segmentation_assets.defs.partitions import snapshots
from segmentation_assets.store.lake import Lake, Staged
from segmentation_assets.tables.audit import violations
from segmentation_assets.tables.contract import SNAPSHOT_DATE, Contract
from segmentation_assets.vocabulary import counted

IO_MANAGER = "lake_io"
CHECK = "contract"
PREVIEW_ROWS = 5
OUTPUT = "result"  # Dagster's name for the table among an asset's outputs, beside its contract check


def table(
    contract: Contract, *, group: str, ins: Mapping[str, dg.AssetIn] | None = None, kinds: set[str] | None = None
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """Decorate a function as the asset that fills `contract`'s table, one partition per snapshot.

    The function names its inputs and resources as with `dg.asset` and returns an `ibis.Table` or a DataFrame. Rows that
    break the contract fail the asset and the check `contract`, and the partition that was there before stays.
    """

    def decorate(compute: Callable[..., Any]) -> dg.AssetsDefinition:
        metadata: dict[str, Any] = {"dagster/column_schema": _column_schema(contract), "key": ", ".join(contract.key)}
        if contract.lineage:
            metadata["dagster/column_lineage"] = _column_lineage(contract)
        return dg.asset(
            name=contract.name,
            description=f"{contract.description}\n\n{compute.__doc__ or ''}".strip(),
            group_name=group,
            kinds=kinds or {"duckdb", "parquet"},
            partitions_def=snapshots,
            io_manager_key=IO_MANAGER,
            metadata=metadata,
            ins=ins,
            check_specs=[
                dg.AssetCheckSpec(
                    CHECK,
                    asset=contract.name,
                    blocking=True,
                    partitions_def=snapshots,
                    description="Types, keys, missing values and ranges are as the table's contract says.",
                )
            ],
        )(_written_and_checked(contract, compute))

    return decorate


def _column_schema(contract: Contract) -> dg.TableSchema:
    return dg.TableSchema(
        columns=[
            dg.TableColumn(c.name, c.type, c.description, dg.TableColumnConstraints(nullable=c.nullable, unique=contract.key == (c.name,)))
            for c in (SNAPSHOT_DATE, *contract.columns)
        ]
    )


def _column_lineage(contract: Contract) -> dg.TableColumnLineage:
    """Which columns each column is made from."""
    return dg.TableColumnLineage({
        column: [dg.TableColumnDep(asset_key=source.split(".")[0], column_name=source.split(".")[1]) for source in sources]
        for column, sources in contract.lineage.items()
    })  # fmt: skip


def _shown(staged: Staged) -> dict[str, Any]:
    """Rows, size and first rows, as Dagster shows them."""
    return {
        "dagster/row_count": staged.row_count(),
        "bytes": staged.unfinished.stat().st_size,
        "path": dg.MetadataValue.path(staged.file),
        "preview": dg.MetadataValue.md(staged.first_rows(PREVIEW_ROWS).to_markdown(index=False)),
    }


def _written_and_checked(contract: Contract, compute: Callable[..., Any]) -> Callable[..., Any]:
    own = inspect.signature(compute).parameters

    def run(context: dg.AssetExecutionContext, lake: Lake, **inputs: Any) -> Iterator[Any]:
        mine = {"context": context, "lake": lake}
        frame = compute(**{name: mine.get(name, inputs.get(name)) for name in own})
        staged = lake.stage(contract, context.partition_key, frame)
        broken = violations(contract, lake.read_staged(staged))
        problem = "; ".join(f"{text} ({counted(rows, 'row')})" for text, rows in broken.items())
        if broken:
            staged.discard()
            yield dg.AssetCheckResult(check_name=CHECK, passed=False, description=problem, metadata=broken)
            raise dg.Failure(f"{contract.name} breaks its contract and was not written: {problem}", allow_retries=False)
        # The same rows are the same version: re-running a snapshot makes later ones stale only where something changed.
        yield dg.Output(staged, data_version=dg.DataVersion(staged.digest()), metadata=_shown(staged))
        yield dg.AssetCheckResult(check_name=CHECK, passed=True)

    # Dagster reads inputs and resources from the signature: those of `compute`, and what writing and checking need.
    needed = {"context": dg.AssetExecutionContext, "lake": dg.ResourceParam[Lake]}
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    others = [parameter for name, parameter in own.items() if name not in needed]
    parameters = [*(inspect.Parameter(name, kind, annotation=annotation) for name, annotation in needed.items()), *others]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    run.__name__ = compute.__name__
    return run


def snapshot_date(context: dg.AssetExecutionContext) -> dt.date:
    """The as-of date of the snapshot that is being made."""
    return dt.date.fromisoformat(context.partition_key)


def at_and_before(dated: pd.DataFrame, as_of: dt.date) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows of the snapshot `as_of` and those of the one before, where an input was read with its dates."""
    now = pd.to_datetime(dated["snapshot_date"]).dt.date == as_of
    own, earlier = (dated[rows].drop(columns="snapshot_date").reset_index(drop=True) for rows in (now, ~now))
    return own, earlier


def previous_date(dated: pd.DataFrame, as_of: dt.date) -> dt.date:
    """The last date before `as_of` in an input that was read with its dates."""
    dates = pd.to_datetime(dated["snapshot_date"]).dt.date
    found: dt.date = dates[dates < as_of].max()
    return found
