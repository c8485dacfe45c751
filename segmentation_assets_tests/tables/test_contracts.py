"""Names of tables and columns are an interface: users' queries depend on them."""

import ibis
import pytest

from segmentation_assets.tables import BY_NAME, CONTRACTS
from segmentation_assets.tables.contract import SNAPSHOT_DATE

EXACTLY = {
    "customer_segments": (
        "snapshot_date", "customer_id", "segment_id", "segment_name", "distance", "confidence", "previous_segment_id", "model_version",
    ),
    "segments": (
        "snapshot_date", "segment_id", "segment_name", "description", "customers", "share", "revenue", "revenue_share", "model_version",
    ),
    "segment_profiles": (
        "snapshot_date", "segment_id", "feature", "mean", "median", "p10", "p90", "population_mean", "population_sd", "z",
    ),
    "evaluation_metrics": ("snapshot_date", "model_version", "metric", "value"),
    "segment_transitions": (
        "snapshot_date", "from_segment_id", "to_segment_id", "customers", "revenue_before", "revenue_after",
    ),
    "drift_report": ("snapshot_date", "kind", "subject", "statistic", "value", "p_value", "q_value", "threshold", "flagged"),
    "segment_actions": ("snapshot_date", "segment_id", "segment_name", "action", "channel", "reason", "priority"),
    "rejected_rows": ("snapshot_date", "source", "row_number", "reason", "record"),
}  # fmt: skip
AT_LEAST = {
    "model_candidates": (
        "snapshot_date", "algorithm", "k", "silhouette", "calinski_harabasz", "davies_bouldin", "smallest_share", "chosen", "reason",
    ),
    "model_registry": ("model_version", "fitted_snapshot", "algorithm", "k", "seed", "settings_digest", "decision", "reason"),
    "customer_features": ("snapshot_date", "customer_id", "recency_days", "frequency", "monetary"),
    **dict.fromkeys(("customers", "transactions", "events", "raw_customers", "raw_transactions", "raw_events"), ("snapshot_date",)),
}  # fmt: skip


def columns(contract):
    return [column.name for column in (SNAPSHOT_DATE, *contract.columns)]


@pytest.mark.parametrize("name", EXACTLY)
def test_these_tables_have_exactly_these_columns(name):
    further = {
        "rejected_rows": {"source_file"},  # row_number is unique only within a file
        "customer_segments": {"imputed_features"},
        "segment_transitions": {"customers_by_model"},
        "drift_report": {"in_model", "test"},
        "segment_actions": {
            "play",
            "list",
            "customers_eligible",
            "customers_treated",
            "customers_holdout",
            "customers_control",
            "customers_beyond",
            "customers_suppressed",
            "value_now",
            "value_at_stake",
            "cost",
            "holdout_share",
        },
    }.get(name, set())
    assert set(columns(BY_NAME[name])) - further == set(EXACTLY[name])


@pytest.mark.parametrize("name", AT_LEAST)
def test_these_tables_have_at_least_these_columns(name):
    assert set(AT_LEAST[name]) - set(columns(BY_NAME[name])) == set()


def test_names_of_tables_are_unique():
    assert len(BY_NAME) == len(CONTRACTS)


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda c: c.name)
def test_names_of_columns_are_unique(contract):
    assert len(set(columns(contract))) == len(columns(contract))


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda c: c.name)
def test_the_key_consists_of_columns(contract):
    assert contract.key
    assert set(contract.key) <= {c.name for c in contract.columns}


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda c: c.name)
def test_every_column_is_described_in_a_sentence(contract):
    assert [c.name for c in contract.columns if not c.description.endswith(".")] == []


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda c: c.name)
def test_ibis_knows_every_type(contract):
    assert [ibis.dtype(c.type) for c in contract.columns]


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda c: c.name)
def test_lineage_names_columns_that_exist(contract):
    for column, sources in contract.lineage.items():
        assert column in columns(contract)
        for table, _, source in (name.partition(".") for name in sources):
            assert source in columns(BY_NAME[table])
