"""A check that never fails checks nothing: each is tried on rows that tie out, and on rows that do not."""

import datetime as dt
import inspect

import dagster as dg
import pytest

from segmentation_assets.defs import checks, declared
from segmentation_assets.defs.checks import snapshot
from segmentation_assets.settings.privacy import Privacy
from segmentation_assets.vocabulary import Tier
from segmentation_assets_tests.builders import D1, D2, D3, LOADED, put

CUSTOMERS = ("raw_customers", "raw_transactions", "raw_events", "customers", "transactions", "events", "rejected_rows")


def outcome(check, lake, key=D1, settings=LOADED):
    asked = {"settings": settings} if "settings" in inspect.signature(check.compute).parameters else {}
    return check(dg.build_op_context(partition_key=key), lake, **asked)


def verdict(check, lake, key=D1):
    found = outcome(check, lake, key)
    return found.passed, found.description


def put_sources(lake, raw, clean, rejected):
    """Write these numbers of raw, clean and rejected rows: (customers, transactions, events)."""
    for name, r, c in zip(("customers", "transactions", "events"), raw, clean, strict=True):
        put(lake, f"raw_{name}", D1, *[{}] * r)
        put(lake, name, D1, *[{"registered": True}] * c if name == "customers" else [{}] * c)
    names = zip(("customers", "transactions", "events"), rejected, strict=True)
    put(lake, "rejected_rows", D1, *[{"source": name} for name, n in names for _ in range(n)])


def test_clean_and_rejected_rows_add_up_to_raw_rows(lake):
    put_sources(lake, raw=(3, 2, 1), clean=(2, 1, 1), rejected=(1, 1, 0))
    assert verdict(snapshot.every_row_accounted_for, lake) == (True, None)


def test_customers_without_a_record_are_not_counted_as_rows(lake):
    put_sources(lake, raw=(1, 1, 0), clean=(1, 1, 0), rejected=(0, 0, 0))
    put(lake, "customers", D1, {"customer_id": "a", "registered": True}, {"customer_id": "b", "registered": False})
    assert verdict(snapshot.every_row_accounted_for, lake) == (True, None)


@pytest.mark.parametrize(
    ("clean", "rejected", "problem"),
    [
        ((1, 1, 1), (1, 1, 0), "customers: 3 rows in, 1 clean and 1 rejected"),
        ((2, 1, 1), (1, 0, 0), "transactions: 2 rows in, 1 clean and 0 rejected"),
        ((2, 2, 1), (1, 1, 0), "transactions: 2 rows in, 2 clean and 1 rejected"),
        ((2, 1, 0), (1, 1, 0), "events: 1 row in, 0 clean and 0 rejected"),
    ],
)
def test_a_lost_or_doubled_row_is_found(lake, clean, rejected, problem):
    put_sources(lake, raw=(3, 2, 1), clean=clean, rejected=rejected)
    assert verdict(snapshot.every_row_accounted_for, lake) == (False, problem)


def put_placed(lake, known, placed):
    put(lake, "customers", D1, *({"customer_id": c} for c in known))
    put(lake, "customer_segments", D1, *({"customer_id": c} for c in placed))


def test_every_customer_has_a_segment(lake):
    put_placed(lake, known="ab", placed="ba")
    assert verdict(snapshot.every_customer_in_one_segment, lake) == (True, None)


def test_a_customer_without_a_segment_is_found(lake):
    put_placed(lake, known="abc", placed="a")
    assert verdict(snapshot.every_customer_in_one_segment, lake) == (False, "customers without a segment: 2")


def test_an_unknown_customer_in_a_segment_is_found(lake):
    put_placed(lake, known="a", placed="ab")
    assert verdict(snapshot.every_customer_in_one_segment, lake) == (False, "customers in a segment but not known: 1")


def put_sizes(lake, **first):
    put(lake, "customer_features", D1, *({"customer_id": c, "monetary": 25.0} for c in "abcd"))
    one = {"segment_id": 1, "customers": 3, "share": 0.75, "revenue": 75.0} | first
    put(lake, "segments", D1, one, {"segment_id": 2, "customers": 1, "share": 0.25, "revenue": 25.0})


def test_sizes_shares_and_revenue_agree_with_the_customers(lake):
    put_sizes(lake)
    assert verdict(snapshot.sizes_and_revenue_tie_out, lake) == (True, None)


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"customers": 4}, "customers: 5 in segments, 4 expected"),
        ({"share": 0.5}, "sum of shares: 0.75 in segments, 1.0 expected"),
        ({"revenue": 75.01}, "revenue: 100.01 in segments, 100.0 expected"),
    ],
)
def test_a_wrong_sum_is_found(lake, wrong, problem):
    put_sizes(lake, **wrong)
    assert verdict(snapshot.sizes_and_revenue_tie_out, lake) == (False, problem)


def test_an_empty_snapshot_ties_out(lake):
    put(lake, "customer_features", D1)
    put(lake, "segments", D1)
    passed, problem = verdict(snapshot.sizes_and_revenue_tie_out, lake)
    assert passed, problem


def put_moves(lake, *moves):
    put(lake, "customer_segments", D1, *({"customer_id": c, "segment_id": s} for c, s in (("a", 1), ("b", 1), ("c", 2))))
    put(lake, "customer_segments", D2, *({"customer_id": c, "segment_id": s} for c, s in (("a", 1), ("b", 2), ("new", 2))))
    put(lake, "segment_transitions", D2, *({"from_segment_id": f, "to_segment_id": t, "customers": n} for f, t, n in moves))


ALL_MOVES = ((1, 1, 1), (1, 2, 1), (2, None, 1), (None, 2, 1))


def test_moves_add_up_to_the_sizes_on_both_sides(lake):
    put_moves(lake, *ALL_MOVES)
    assert verdict(snapshot.sums_equal_segment_sizes, lake, D2) == (True, None)


@pytest.mark.parametrize(
    ("lost", "problem"),
    [
        (0, "to segment 1: 0 moved, 1 in the segment; from segment 1: 1 moved, 2 in the segment"),
        (2, "from segment 2: 0 moved, 1 in the segment"),
        (3, "to segment 2: 1 moved, 2 in the segment"),
    ],
)
def test_a_lost_move_is_found(lake, lost, problem):
    put_moves(lake, *(move for i, move in enumerate(ALL_MOVES) if i != lost))
    assert verdict(snapshot.sums_equal_segment_sizes, lake, D2) == (False, problem)


def test_a_move_into_an_empty_segment_is_found(lake):
    put_moves(lake, *ALL_MOVES, (None, 9, 1))
    passed, problem = verdict(snapshot.sums_equal_segment_sizes, lake, D2)
    assert (passed, problem) == (False, "to segment 9: 1 moved, 0 in the segment")


def test_the_first_snapshot_ignores_snapshots_of_an_earlier_calendar(lake):
    put_moves(lake, (None, 1, 1), (None, 2, 2))
    later = LOADED.model_copy(update={"snapshots": LOADED.snapshots.model_copy(update={"first": dt.date.fromisoformat(D2)})})
    assert outcome(snapshot.sums_equal_segment_sizes, lake, D2, later).passed
    assert not outcome(snapshot.sums_equal_segment_sizes, lake, D2).passed


def test_history_is_complete_if_every_earlier_snapshot_was_collected(lake):
    for key in (D1, D2):
        put(lake, "customer_activity", key)
    assert verdict(snapshot.history_is_complete, lake, D2) == (True, None)


def test_a_gap_in_history_is_a_warning_that_says_what_to_run(lake):
    for key in (D1, D3):
        put(lake, "customer_activity", key)
    found = outcome(snapshot.history_is_complete, lake, D3)
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert found.description == f"never run: {D2}. Run them first: segmentation run --from {D2} --to {D3}"


@pytest.mark.parametrize(
    ("features", "problem"),
    [
        (("frequency", "monetary"), None),
        (
            ("events", "campaigns_received"),
            "events and campaigns_received are redundant (Spearman +0.98) and count twice in the clustering: in model.features, remove "
            "campaigns_received and keep events.",
        ),
    ],
)
def test_a_redundant_pair_is_a_warning_only_if_both_are_used_for_clustering(lake, features, problem):
    same = {"feature_a": "events", "feature_b": "campaigns_received", "spearman": 0.98, "redundant": True, "take_out": "campaigns_received"}
    other = {"feature_a": "frequency", "feature_b": "monetary", "spearman": 0.8, "redundant": False, "customers": 10}
    put(lake, "feature_correlations", D1, same | {"customers": 10}, other)
    settings = LOADED.model_copy(update={"model": LOADED.model.model_copy(update={"features": features})})
    found = outcome(snapshot.features_are_not_redundant, lake, settings=settings)
    assert (found.passed, found.description, found.severity) == (problem is None, problem, dg.AssetCheckSeverity.WARN)
    assert set(found.metadata) == {"events, campaigns_received"}  # listed in every case


def drift_row(kind, subject, value, flagged):
    return {"kind": kind, "subject": subject, "statistic": "psi", "value": value, "q_value": 0.002, "flagged": flagged}


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("feature", "features_have_not_drifted"), ("segment_mix", "segment_mix_has_not_drifted"), ("distance", "distance_has_not_drifted"),
        ("joint", "joint_distribution_has_not_drifted"),
    ],
)  # fmt: skip
def test_drift_is_a_warning_that_names_the_largest_drift_first(lake, kind, name):
    check = getattr(snapshot, name)
    put(lake, "drift_report", D1, drift_row(kind, "a", 0.2, True), drift_row(kind, "b", 0.3, True), drift_row(kind, "c", 0.9, False))
    found = outcome(check, lake)
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert found.description == "changed since training: b (PSI 0.30, q = 0.002), a (PSI 0.20, q = 0.002)"


def test_drift_of_the_segment_mix_is_not_drift_of_a_feature(lake):
    put(lake, "drift_report", D1, drift_row("segment_mix", "segments", 0.2, True), drift_row("feature", "a", 0.01, False))
    assert verdict(snapshot.features_have_not_drifted, lake) == (True, None)


UNMEASURED = {"value": None, "q_value": None, "flagged": None}


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([], "there was no earlier model to compare with"),
        ([{"kind": "feature", "subject": "a", **UNMEASURED}], "no customer is active, or none was when the model was trained"),
        (
            [drift_row("feature", "a", 0.01, False), {"kind": "joint", "subject": "all", **UNMEASURED}],
            "fewer than 20 customers are active, or were when the model was trained",
        ),
        (
            [drift_row("feature", "a", 0.01, False)],
            "the previous model has nothing to compare with, because it is a grid or had too few customers",
        ),
    ],
)
def test_unmeasured_drift_is_reported_as_not_measured(lake, rows, why):
    put(lake, "drift_report", D1, *rows)
    assert verdict(snapshot.joint_distribution_has_not_drifted, lake) == (True, f"Not measured: {why}.")


def test_a_first_snapshot_says_that_there_is_no_history_to_check(lake):
    put(lake, "customer_activity", D1)
    assert verdict(snapshot.history_is_complete, lake) == (True, "There is no earlier snapshot to check.")


def with_settings(check, lake, **sections):
    settings = LOADED.model_copy(update={name: getattr(LOADED, name).model_copy(update=own) for name, own in sections.items()})
    return outcome(check, lake, settings=settings)


@pytest.mark.parametrize("pairs", [[], [{"feature_a": "frequency", "feature_b": "monetary", "spearman": 1.0, "customers": 9}]])
def test_redundancy_is_not_measured_for_too_few_customers(lake, pairs):
    put(lake, "feature_correlations", D1, *pairs)
    found = with_settings(snapshot.features_are_not_redundant, lake, model={"features": ("frequency", "monetary")})
    assert found.passed and found.description.startswith("Not measured: no two features of model.features")


@pytest.mark.parametrize(
    ("verdicts", "when_low", "passed", "severity"),
    [
        (("as usual", "not measured"), "stop", True, "WARN"), (("empty", "as usual"), "warn", False, "WARN"),
        (("empty", "as usual"), "stop", False, "ERROR"), (("as usual", "low"), "stop", False, "ERROR"),
        (("ends early", "as usual"), "stop", False, "WARN"),
    ],
)  # fmt: skip
def test_missing_rows_warn_or_stop_as_set(lake, verdicts, when_low, passed, severity):
    put(lake, "source_volume", D1, *({"source": s, "verdict": v, "sentence": f"{s}: {v}."} for s, v in zip("ab", verdicts, strict=True)))
    found = with_settings(snapshot.volume_is_as_usual, lake, volume={"when_low": when_low})
    assert (found.passed, found.severity.value) == (passed, severity)
    said = [f"{s}: {v}." for s, v in zip("ab", verdicts, strict=True) if passed or v not in ("as usual", "not measured")]
    assert found.description == " ".join([*said, *([snapshot.GO_ON] if severity == "ERROR" else [])])


@pytest.mark.parametrize("decision", ["promoted", "refused", "rolled back"])
def test_a_new_decision_on_the_model_is_a_warning_with_its_reason(lake, decision):
    check = snapshot.no_model_decision_to_review
    put(lake, "model_registry", D1, {"model_version": "m", "decision": decision, "reason": "It was better."})
    found = outcome(check, lake)
    assert (found.passed, found.severity, found.description) == (False, dg.AssetCheckSeverity.WARN, "It was better.")
    put(lake, "model_registry", D1, {"model_version": "m", "decision": "carried forward", "reason": "Nothing drifted."})
    assert verdict(check, lake) == (True, None)


@pytest.mark.parametrize(
    ("customers", "tier", "said"),
    [
        ((90, 30), "convenient", None), ((100, 20), "distinct", "s2 has 20 customers."), ((40, 19), "distinct", None),
        ((9, 0), "convenient", "s2 has 0 customers."),
        ((9, 0), "grid", "Not measured: the model in force is a grid."),
    ],
)  # fmt: skip
def test_an_emptied_segment_is_a_warning(lake, customers, tier, said):
    named = [{"segment_id": i, "segment_name": f"s{i}", "customers": n} for i, n in enumerate(customers, start=1)]
    put(lake, "segments", D1, {"segment_id": -1, "customers": 0}, *named)
    put(lake, "model_registry", D1, {"model_version": "m", "in_force": True, "tier": tier})
    assert verdict(snapshot.no_segment_has_run_empty, lake) == (said is None or "Not" in said, said)


def test_a_warning_tells_no_size_of_few_customers(lake):
    put(lake, "segments", D1, *({"segment_id": i, "segment_name": f"s{i}", "customers": n} for i, n in enumerate((3, 0, 90), 1)))
    put(lake, "model_registry", D1, {"model_version": "m", "in_force": True, "tier": Tier.CONVENIENT})
    hiding = LOADED.model_copy(update={"privacy": Privacy(smallest_cell=5)})
    found = outcome(snapshot.no_segment_has_run_empty, lake, settings=hiding)
    assert found.description == "s1 has fewer than 5 customers; s2 has 0 customers."


def test_checks_of_sums_block_downstream_assets_and_warnings_do_not():
    blocking = {spec.name for check in declared.checks(checks, LOADED) for spec in check.check_specs if spec.blocking}
    assert blocking == {
        "every_row_accounted_for", "every_customer_in_one_segment", "sizes_and_revenue_tie_out", "sums_equal_segment_sizes",
        "volume_is_as_usual", "columns_are_as_before", "rejects_are_few",
    }  # fmt: skip
