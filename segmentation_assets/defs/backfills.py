"""What a backfill of the page becomes: a run of the job `snapshot` for each snapshot, oldest first.

Dagster would take a backfill of assets apart wherever an asset looks back on earlier snapshots: two snapshots were 17 runs. Its page
asks for no other kind, neither from the asset graph nor from a job's own page.
"""

from collections.abc import Mapping
from typing import Any

import dagster as dg
from dagster._core.execution.backfill import PartitionBackfill
from dagster._core.instance.ref import InstanceRef
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemotePartitionSetOrigin, RemoteRepositoryOrigin

from segmentation_assets.tables import BY_NAME

LOCATION = "segmentation_assets"  # name of the code location, wherever a workspace is written
REPOSITORY, PARTITIONS = "__repository__", "snapshot_partition_set"  # as Dagster names those of `Definitions` and of the job


class InOrderInstance(dg.DagsterInstance):
    """Dagster's instance, in which backfills of our assets are made a snapshot a run."""

    def add_backfill(self, partition_backfill: PartitionBackfill) -> None:
        """Record it for the daemon; where it was asked for in assets of ours, as one of the job."""
        super().add_backfill(of_job(partition_backfill))

    @classmethod
    def config_schema(cls) -> Mapping[str, Any]:
        """Nothing in dagster.yaml beyond what Dagster knows."""
        return {}

    @classmethod
    def config_defaults(cls, base_dir: str) -> Mapping[str, Any]:
        """Dagster's own."""
        return InstanceRef.config_defaults(base_dir)


def of_job(asked: PartitionBackfill) -> PartitionBackfill:
    """The same assets and snapshots as a backfill of the job; another's backfill, or one of a job, as it is."""
    if asked.asset_backfill_data is None or not any(key.path[-1] in BY_NAME for key in asked.asset_selection or ()):
        return asked
    wanted = [
        set(subset.get_partition_keys()) for subset in asked.asset_backfill_data.target_subset.partitions_subsets_by_asset_key.values()
    ]
    # Dagster adds later snapshots to what looks back on the chosen ones; those of all assets are the chosen ones.
    keys = set.intersection(*wanted) or set.union(*wanted)
    repository = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin(LOCATION), REPOSITORY)
    return asked._replace(
        partition_set_origin=RemotePartitionSetOrigin(repository_origin=repository, partition_set_name=PARTITIONS),
        partition_names=sorted(keys),
        asset_backfill_data=None,
    )
