"""The rules of a published snapshot as people and programs get them."""

import json

import pytest

from segmentation_assets.cli.rules import as_json, lines, read
from segmentation_assets.store.lake import opened
from segmentation_assets.store.published import PublishError, publish_snapshot
from segmentation_assets_tests.builders import D1, D2, put_snapshot

ROWS = [
    {
        "segment_id": 1, "segment_name": "Cham\x1bpions", "customers": 900, "rule": "status = 'active' AND \"Home\" = 'it''s'",
        "words": "have home it's", "conditions": 1,
        "rule_customers": 800, "rule_found": 750, "precision": 0.9, "recall": 0.8, "reason": "It has precision 0.90.",
    },
    {"segment_id": 2, "segment_name": "Rare", "customers": 3, "reason": "No rule: 3 customers."},
    {"segment_id": 3, "segment_name": "Others", "customers": 90, "reason": "No rule: 90 customers."},
]  # fmt: skip


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A data folder in which figures of fewer than five customers are hidden."""
    data_dir = tmp_path_factory.mktemp("rules")
    with opened(data_dir) as lake:
        put_snapshot(lake, D1, segment_rules=ROWS)
        publish_snapshot(lake, data_dir, D1, "f", smallest_cell=5)
    return data_dir


def test_each_rule_is_a_line_to_copy_and_a_segment_without_one_says_why(published):
    assert list(lines(read(published, D1, "bigquery"))) == [
        "Cham\\x1bpions (1), 900 customers",
        "  status = 'active' AND `Home` = 'it\\'s'",
        "  Customers who have home it's. 800 customers meet it, 750 of them in the segment.",
        "  It has precision 0.90.",
        "Others (3), 90 customers",
        "  No rule: 90 customers.",
        "Rare (2), hidden: few customers",
    ]


def test_programs_get_the_rule_exactly(published):
    first, second, hidden = json.loads(as_json(read(published, D1, "postgres")))
    assert (first["rule"], first["segment_name"], first["precision"]) == (ROWS[0]["rule"], "Cham\x1bpions", 0.9)
    assert (second["rule"], second["reason"]) == (None, "No rule: 90 customers.")
    assert (hidden["customers"], hidden["small_cell"]) == (None, "hidden: few customers")


def test_a_snapshot_without_rules_says_how_to_get_them(published):
    with pytest.raises(PublishError, match=f"Make it again: segmentation run --snapshot {D2}"):
        read(published, D2, "duckdb")
