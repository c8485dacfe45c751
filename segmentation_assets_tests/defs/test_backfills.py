"""A backfill started on the page runs snapshot by snapshot, in order."""

import dagster as dg
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph
from dagster._core.execution.backfill import PartitionBackfill

from segmentation_assets.definitions import defs
from segmentation_assets.defs.backfills import PARTITIONS, REPOSITORY, of_job
from segmentation_assets.defs.order import SNAPSHOT
from segmentation_assets_tests.builders import D1, D2

NOW = 2e9  # seconds since 1970; the snapshots exist by then
GRAPH = defs.resolve_asset_graph()


def asked(graph: AssetGraph, *keys: str) -> PartitionBackfill:
    """A backfill as the page requests it: all assets of a graph, for some snapshots."""
    with dg.DagsterInstance.ephemeral() as instance:
        return PartitionBackfill.from_asset_partitions(
            "id", graph, keys, list(graph.get_all_asset_keys()), NOW, {"a": "b"}, instance, False, None, None, {"ops": {}}
        )


def test_a_backfill_of_assets_becomes_one_of_the_job_oldest_snapshot_first() -> None:
    made = of_job(asked(GRAPH, D2, D1))
    assert made.partition_names == [D1, D2] and not made.is_asset_backfill
    assert made.job_name == SNAPSHOT
    assert (made.backfill_id, made.tags, made.run_config) == ("id", {"a": "b"}, {"ops": {}})
    assert set(made.asset_selection or ()) == GRAPH.get_all_asset_keys()


def test_names_are_those_that_dagster_uses() -> None:
    found = defs.get_repository_def()
    assert found.name == REPOSITORY
    assert f"{SNAPSHOT}_partition_set" == PARTITIONS and found.has_job(SNAPSHOT)


def test_a_backfill_of_another_code_location_is_left_alone() -> None:
    @dg.asset(partitions_def=dg.StaticPartitionsDefinition(["x"]))
    def theirs() -> None: ...

    graph = dg.Definitions([theirs]).resolve_asset_graph()
    backfill = asked(graph, "x")
    assert of_job(backfill) is backfill
