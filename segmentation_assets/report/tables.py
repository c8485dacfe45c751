"""What the report reads of the published database: the rows of one snapshot, and the segments of all until then.

Belongs here: queries. What is told of the rows belongs to `view` and `cards`. Only aggregates leave this module, no customer's id.
"""

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import duckdb
import pandas as pd

from segmentation_assets.store.database_files import shown_in
from segmentation_assets.store.small_cells import SMALL_CELL
from segmentation_assets.tables import BY_NAME
from segmentation_assets.tables.contract import Contract
from segmentation_assets.tables.receipts import AUDIENCE_RECEIPTS

OF_SNAPSHOT = (
    "segments", "own_segments", "model_registry", "drift_report", "segment_events", "evaluation_metrics", "segment_actions",
    "segment_rules", "segment_attributes", "segment_categories", "segment_examples", "segment_profiles", "segment_transitions",
    "segment_stays", "segment_bridge", "segment_journeys", "action_power", "action_lift", "source_volume", "audience_receipts",
    "model_candidates", "feature_summary", "feature_distributions", "feature_missingness", "feature_correlations", "order_seasonality",
    "cohort_retention", "revenue_concentration", "category_mix", "attribute_spend",
)  # fmt: skip

NAMED = (
    ("own_segments", "own_segment"), ("segment_actions", "action"), ("segment_actions", "play"), ("segment_attributes", "attribute"),
    ("segment_attributes", "level"), ("segment_categories", "category"),
)  # fmt: skip
"""Columns of names that people or the data gave."""


@dataclass(frozen=True)
class Tables:
    """The published rows that the report of a snapshot tells of.

    Attributes:
        before: the published snapshot before it; None: there is none.
        rows: by table, its rows at the snapshot, with all columns of its contract; no rows if an earlier version published it without.
        absent: tables that were not published at all.
        history: rows of `segments` at every published snapshot up to this one, oldest first.
        stakes: by segment with a customer whose value at stake is known: `customers`, those known, and the sum `value_at_stake`.
        contacts: by segment, `play`, its `list` and `role` in the audiences: `customers`, those whose value at stake is known, and the sum
            `value_at_stake`; no rows if an earlier version published no audiences.
    """

    key: str
    before: dt.date | None
    rows: Mapping[str, pd.DataFrame]
    absent: frozenset[str]
    history: pd.DataFrame
    stakes: pd.DataFrame
    contacts: pd.DataFrame

    def __getitem__(self, name: str) -> pd.DataFrame:
        return self.rows[name]

    @property
    def names(self) -> Iterator[object]:
        """Names that people or the data gave, which sentences may have."""
        yield from self.history["segment_name"]
        for table, column in NAMED:
            yield from self[table][column].unique()


def read(database: duckdb.DuckDBPyConnection, key: str) -> Tables:
    """The rows of snapshot `key`."""
    there = shown_in(database)
    rows = {name: _rows(database, name, key, there) for name in OF_SNAPSHOT}
    history = database.execute("FROM segments WHERE snapshot_date <= CAST(? AS DATE) ORDER BY snapshot_date, segment_id", [key]).df()
    (before,) = database.execute(
        "SELECT max(snapshot_date) FROM published_snapshots WHERE snapshot_date < CAST(? AS DATE)", [key]
    ).fetchall()[0]
    stakes = database.execute(_STAKES, [key]).df() if "customer_value" in there else pd.DataFrame(columns=_STAKE_COLUMNS)
    contacts = database.execute(_CONTACTS, [key]).df() if "audience_members" in there else pd.DataFrame(columns=CONTACT_COLUMNS)
    return Tables(key, before, rows, frozenset(set(OF_SNAPSHOT) - there), with_columns(history, "segments"), stakes, contacts)


def keys(database: duckdb.DuckDBPyConnection) -> list[str]:
    """Keys of the published snapshots, oldest first."""
    return [day.isoformat() for (day,) in database.execute("SELECT snapshot_date FROM published_snapshots ORDER BY ALL").fetchall()]


def whole_history(database: duckdb.DuckDBPyConnection) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows of `segments`, and of `model_registry` for the model in force, at every published snapshot, oldest first."""
    history = database.execute("FROM segments ORDER BY snapshot_date, segment_id").df()
    models = database.execute("FROM model_registry WHERE in_force ORDER BY snapshot_date").df()
    return with_columns(history, "segments"), with_columns(models, "model_registry")


def with_columns(rows: pd.DataFrame, name: str) -> pd.DataFrame:
    """The rows with the columns of the table's contract, empty where an earlier version published none. A number that is missing is NaN,
    also among whole numbers."""
    wanted = dict.fromkeys(["snapshot_date", *(column.name for column in _contract(name).columns), SMALL_CELL, *rows.columns])
    whole = rows.select_dtypes("Int64").columns
    return rows.astype(dict.fromkeys(whole, "float64")).reindex(columns=list(wanted))


def _contract(name: str) -> Contract:
    return AUDIENCE_RECEIPTS if name == AUDIENCE_RECEIPTS.name else BY_NAME[name]


def _rows(database: duckdb.DuckDBPyConnection, name: str, key: str, there: set[str]) -> pd.DataFrame:
    if name not in there:
        return with_columns(pd.DataFrame(), name)
    found = database.execute("FROM query_table(?) WHERE snapshot_date = CAST(? AS DATE)", [name, key]).df()
    return with_columns(found, name).drop(columns="customer_id", errors="ignore")


_STAKE_COLUMNS = ["segment_id", "customers", "value_at_stake"]
_STAKES = """
    SELECT s.segment_id, count(*) AS customers, sum(v.value_at_stake) AS value_at_stake
    FROM customer_value AS v JOIN customer_segments AS s USING (snapshot_date, customer_id)
    WHERE v.snapshot_date = CAST(? AS DATE) AND v.value_at_stake IS NOT NULL GROUP BY s.segment_id
"""
CONTACT_COLUMNS = ["segment_id", "play", "list", "role", "customers", "value_at_stake"]
_CONTACTS = """
    SELECT segment_id, action AS play, list, role, count(value_at_stake) AS customers, sum(value_at_stake) AS value_at_stake
    FROM audience_members WHERE snapshot_date = CAST(? AS DATE) AND segment_id IS NOT NULL GROUP BY ALL ORDER BY ALL
"""
