"""Tables made together are written together or not at all."""

import dagster as dg
import pandas as pd
import pytest

from segmentation_assets.defs.io import LakeIOManager
from segmentation_assets.defs.table import IO_MANAGER, Made, table, tables
from segmentation_assets.tables.contract import Column, Contract, required
from segmentation_assets_tests.builders import D1, LOADED

COLUMNS = (required("id", "int64", "Identifier.", minimum=0),)
FIRST, SECOND = (Contract(name, f"{name}, for a test", COLUMNS, key=("id",)) for name in ("first_table", "second_table"))


def made(lake, first, second):
    @tables(*(Made(contract, "test", {"pandas"}, (), "By hand.") for contract in (FIRST, SECOND)), name="both")
    def both():
        """The first, then the second."""
        return {"first_table": pd.DataFrame({"id": first}), "second_table": pd.DataFrame({"id": second})}

    return dg.materialize(
        [both.make(LOADED)], partition_key=D1, resources={"lake": lake, IO_MANAGER: LakeIOManager(lake=lake)}, raise_on_error=False
    )


@pytest.fixture
def written(lake):
    assert made(lake, [1], [2]).success
    return lambda: [lake.read(contract, [D1]).to_pandas()["id"].tolist() for contract in (FIRST, SECOND)]


def test_each_table_is_written_and_has_its_check(lake, written):
    result = made(lake, [3], [4])
    assert written() == [[3], [4]]
    assert {(e.asset_key.path[-1], e.passed) for e in result.get_asset_check_evaluations()} == {
        ("first_table", True),
        ("second_table", True),
    }


def test_the_preview_is_sorted_rounded_and_blank_for_missing_values(lake):
    columns = (required("id", "string", "Identifier."), Column("size", "float64", "Size."))
    contract = Contract("sized", "thing, for a test", columns, key=("id",), largest_first=("size",))

    @table(contract, group="test")
    def sized():
        """A table for the preview."""
        return pd.DataFrame({"id": ["a", "b|c", "d", "e"], "size": [None, 0.123456, 12345.678, 3.0]})

    resources = {"lake": lake, IO_MANAGER: LakeIOManager(lake=lake)}
    result = dg.materialize([sized.make(LOADED)], partition_key=D1, resources=resources)
    (made,) = result.get_asset_materialization_events()
    assert made.materialization.metadata["preview"].value.splitlines()[2:] == ["|d|12,346|", "|e|3|", "|b\\|c|0.1235|", "|a||"]


def test_metadata_can_be_made_of_the_rows_as_written(lake):
    @table(FIRST, group="test", told=lambda lake, rows: {"largest": lake.engine.rows(rows.agg(largest=rows.id.max()))[0]["largest"]})
    def first_table():
        """Numbers."""
        return pd.DataFrame({"id": [7, 9]})

    resources = {"lake": lake, IO_MANAGER: LakeIOManager(lake=lake)}
    (event,) = dg.materialize([first_table.make(LOADED)], partition_key=D1, resources=resources).get_asset_materialization_events()
    assert event.materialization.metadata["largest"].value == 9


@pytest.mark.parametrize(("first", "second", "broken"), [([3], [-1], SECOND), ([-1], [4], FIRST)])
def test_a_broken_contract_of_one_leaves_both_unwritten_and_no_files_behind(lake, written, first, second, broken):
    result = made(lake, first, second)
    assert not result.success
    assert written() == [[1], [2]]
    assert [(e.asset_key.path[-1], e.passed) for e in result.get_asset_check_evaluations()] == [(broken.name, False)]
    (failure,) = (e for e in result.all_events if e.is_step_failure)
    other = FIRST if broken is SECOND else SECOND
    told = f"{broken.name} breaks its contract and was not written: "
    assert told in failure.step_failure_data.user_failure_data.description
    assert failure.step_failure_data.user_failure_data.description.endswith(
        f"The tables made in the same step were not written either: {other.name}."
    )
    assert sorted(file.name for file in lake.root.rglob("*.*")) == ["part-0.parquet"] * 2


def test_a_missing_column_leaves_no_files_behind(lake, written):
    @tables(*(Made(contract, "test", {"pandas"}, (), "By hand.") for contract in (FIRST, SECOND)), name="both")
    def both():
        """The first, then the second."""
        return {"first_table": pd.DataFrame({"id": [5]}), "second_table": pd.DataFrame({"other": [6]})}

    resources = {"lake": lake, IO_MANAGER: LakeIOManager(lake=lake)}
    assert not dg.materialize([both.make(LOADED)], partition_key=D1, resources=resources, raise_on_error=False).success
    assert written() == [[1], [2]]
    assert sorted(file.name for file in lake.root.rglob("*.*")) == ["part-0.parquet"] * 2
