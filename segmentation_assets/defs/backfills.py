"""Turns a backfill requested on the page into a run of the job `snapshot` for each snapshot, oldest first.

Dagster would split a backfill of assets wherever an asset depends on earlier snapshots: two snapshots became 17 runs. The page
requests only backfills of assets, both from the asset graph and from a job's own page.
"""

from collections.abc import Mapping
from typing import Any

import dagster as dg
from dagster._core.execution.backfill import PartitionBackfill
from dagster._core.instance.ref import InstanceRef
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemotePartitionSetOrigin, RemoteRepositoryOrigin

from segmentation_assets.tables import BY_NAME

LOCATION = "segmentation_assets"  # name of the code location, wherever a workspace is written
REPOSITORY, PARTITIONS = "__repository__", "snapshot_partition_set"  # Dagster's names for those of `Definitions` and of the job


class InOrderInstance(dg.DagsterInstance):
    """Dagster's instance, in which backfills of our assets make each snapshot in one run."""

    def add_backfill(self, partition_backfill: PartitionBackfill) -> None:
        """Record the backfill for the daemon; one of our assets becomes one of the job."""
        super().add_backfill(of_job(partition_backfill))

    @classmethod
    def config_schema(cls) -> Mapping[str, Any]:
        """No settings in dagster.yaml beyond Dagster's own."""
        return {}

    @classmethod
    def config_defaults(cls, base_dir: str) -> Mapping[str, Any]:
        """Dagster's own defaults."""
        return InstanceRef.config_defaults(base_dir)


def of_job(asked: PartitionBackfill) -> PartitionBackfill:
    """A backfill of the job for the same snapshots; backfills of other assets or of a job are returned unchanged."""
    if asked.asset_backfill_data is None or not any(key.path[-1] in BY_NAME for key in asked.asset_selection or ()):
        return asked
    wanted = [
        set(subset.get_partition_keys()) for subset in asked.asset_backfill_data.target_subset.partitions_subsets_by_asset_key.values()
    ]
    # Dagster adds later snapshots of assets that depend on the chosen ones; the chosen ones are those of every asset.
    keys = set.intersection(*wanted) or set.union(*wanted)
    repository = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin(LOCATION), REPOSITORY)
    return asked._replace(
        partition_set_origin=RemotePartitionSetOrigin(repository_origin=repository, partition_set_name=PARTITIONS),
        partition_names=sorted(keys),
        asset_backfill_data=None,
    )
