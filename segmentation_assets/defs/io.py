"""Dagster's reading of assets from the lake, and writing to it."""

import dagster as dg
import ibis.expr.types as ir
import pandas as pd

from segmentation_assets.core.customers.columns import CustomerColumns
from segmentation_assets.store.lake import DATED, HERE, Lake, LakeError, Staged
from segmentation_assets.tables import BY_NAME


class LakeIOManager(dg.ConfigurableIOManager):
    """Read partitions of the lake, lazily as `ibis.Table` or, if the asset's annotation says so, as a DataFrame or, of one snapshot, as
    `CustomerColumns`; commit staged ones."""

    lake: dg.ResourceDependency[Lake]

    def handle_output(self, context: dg.OutputContext, obj: Staged) -> None:
        obj.commit()

    def load_input(self, context: dg.InputContext) -> ir.Table | pd.DataFrame | CustomerColumns:
        contract = BY_NAME[context.asset_key.path[-1]]
        keys = list(context.asset_partition_keys) if context.has_asset_partitions else []
        absent = [key for key in keys if not self.lake.file(contract.name, key).exists()]
        if absent and absent == [context.step_context.partition_key]:
            raise LakeError(f"{contract.name} has no partition {absent[0]}. Materialise it first, or run the whole snapshot.")
        if absent:
            context.log.warning(
                f"{contract.name}: snapshot {', '.join(absent)} was never run, so its rows are missing here. "
                f"Run it, then this snapshot again: segmentation run --from {absent[0]}"
            )
        dated, wanted = bool((context.definition_metadata or {}).get(DATED)), context.dagster_type.typing_type
        if wanted is CustomerColumns:
            return self.lake.columns(contract, context.asset_partition_key)
        framed, here = wanted is pd.DataFrame, bool((context.definition_metadata or {}).get(HERE))
        table = self.lake.read(contract, keys, dated, here=framed or here)
        return self.lake.frame(table) if framed else table
