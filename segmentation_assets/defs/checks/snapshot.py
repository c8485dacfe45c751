"""Asset checks across tables: sums that must tie out, and warnings. Each table's own contract is checked as it is written.

A blocking check stops everything downstream, above all publishing. A warning lets the snapshot continue.
"""

import datetime as dt
from collections.abc import Callable

import dagster as dg
import ibis
import ibis.expr.types as ir
import pandas as pd

from segmentation_assets.core.customers import volume
from segmentation_assets.core.customers.exploration import LEAST_RANKED, redundancies
from segmentation_assets.core.model.drift import unmeasured
from segmentation_assets.defs.declared import Check, check
from segmentation_assets.settings.loading import Settings
from segmentation_assets.settings.snapshots import Snapshots, following, keys_until
from segmentation_assets.store.lake import Lake, to_frame
from segmentation_assets.tables import BY_NAME
from segmentation_assets.vocabulary import Decision, DriftKind, Tier, beside, counted, fewer_than

SHARE_TOLERANCE = 1e-9
GO_ON = "If business really was this quiet, continue with volume.when_low: warn."


def _partition(lake: Lake, table: str, key: str) -> ir.Table:
    return lake.read(BY_NAME[table], [key])


def tie_out(asset: str, also: tuple[str, ...] = ()) -> Callable[[Callable[[Lake, str, Snapshots], dict[str, object]]], Check[...]]:
    """Decorate a function that returns what does not tie out (empty if all does) as a blocking check.

    Args:
        asset: the table to check.
        also: other tables that the check reads, and must wait for.
    """

    def decorate(differences: Callable[[Lake, str, Snapshots], dict[str, object]]) -> Check[...]:
        @check(
            asset=asset, name=differences.__name__, description=differences.__doc__, blocking=True,
            additional_deps=also,
        )  # fmt: skip
        def tied_out(
            context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lake], settings: dg.ResourceParam[Settings]
        ) -> dg.AssetCheckResult:
            found = differences(lake, context.partition_key, settings.snapshots)
            return _result(not found, "; ".join(f"{what}: {value}" for what, value in found.items()), found)

        return tied_out

    return decorate


@tie_out("rejected_rows", also=("customers", "transactions", "events"))
def every_row_accounted_for(lake: Lake, key: str, _: Snapshots) -> dict[str, object]:
    """Rows in = clean + rejected, for every source."""
    rejected = to_frame(_partition(lake, "rejected_rows", key).group_by("source").agg(n=ibis._.count()))
    set_aside = dict(zip(rejected["source"], rejected["n"], strict=True))
    found: dict[str, object] = {}
    for source in ("customers", "transactions", "events"):
        clean = _partition(lake, source, key)
        kept = clean.filter(clean.registered).count().execute() if source == "customers" else clean.count().execute()
        rows_in, rows_out = _partition(lake, f"raw_{source}", key).count().execute(), kept + set_aside.get(source, 0)
        if rows_in != rows_out:
            found[source] = f"{counted(rows_in, 'row')} in, {kept:,} clean and {set_aside.get(source, 0):,} rejected"
    return found


@tie_out("customer_segments")
def every_customer_in_one_segment(lake: Lake, key: str, _: Snapshots) -> dict[str, object]:
    """Customers in segments = customers known."""
    known, placed = _partition(lake, "customers", key), _partition(lake, "customer_segments", key)
    without = known.anti_join(placed, "customer_id").count().execute()
    unknown = placed.anti_join(known, "customer_id").count().execute()
    return {text: n for text, n in (("customers without a segment", without), ("customers in a segment but not known", unknown)) if n}


@tie_out("segments")
def sizes_and_revenue_tie_out(lake: Lake, key: str, _: Snapshots) -> dict[str, object]:
    """Sizes and revenue agree with the customers'; shares sum to one, or to zero if there are no customers."""
    found = to_frame(_partition(lake, "segments", key))
    features = _partition(lake, "customer_features", key)
    spend = features.monetary.sum().fill_null(0.0) if "monetary" in features.columns else ibis.literal(0.0)
    totals = to_frame(features.agg(n=features.count(), revenue=spend))
    customers, revenue = int(totals["n"].iloc[0]), float(totals["revenue"].iloc[0])
    shares, scale = float(customers > 0), max(abs(revenue), 1.0)
    problems = {
        "customers": (found["customers"].sum(), customers, found["customers"].sum() == customers),
        "sum of shares": (found["share"].sum(), shares, abs(found["share"].sum() - shares) < SHARE_TOLERANCE),
        "revenue": (found["revenue"].sum(), revenue, abs(found["revenue"].sum() - revenue) < SHARE_TOLERANCE * scale),
    }
    return {what: f"{here} in segments, {there} expected" for what, (here, there, fits) in problems.items() if not fits}


@tie_out("segment_transitions")
def sums_equal_segment_sizes(lake: Lake, key: str, snapshots: Snapshots) -> dict[str, object]:
    """Row and column sums equal segment sizes at both snapshots."""
    moved = to_frame(_partition(lake, "segment_transitions", key))
    now = to_frame(_partition(lake, "customer_segments", key).select("segment_id"))
    before = _sizes_before(lake, key, snapshots)
    sides = {
        "to": (moved.dropna(subset="to_segment_id").groupby("to_segment_id")["customers"].sum(), now["segment_id"].value_counts()),
        "from": (moved.dropna(subset="from_segment_id").groupby("from_segment_id")["customers"].sum(), before),
    }
    return {
        f"{side} segment {int(segment)}": f"{int(sums.get(segment, 0))} moved, {int(sizes.get(segment, 0))} in the segment"
        for side, (sums, sizes) in sides.items()
        for segment in sorted({*sums.index, *sizes.index})
        if sums.get(segment, 0) != sizes.get(segment, 0)
    }


def _sizes_before(lake: Lake, key: str, snapshots: Snapshots) -> pd.Series:
    """Customers by segment at the previous snapshot; empty at the first, even if the lake has some from another calendar."""
    day = dt.date.fromisoformat(key)
    earlier = [following(day, snapshots, -1).isoformat()] if day > snapshots.first else []
    return to_frame(lake.read(BY_NAME["customer_segments"], earlier).select("segment_id"))["segment_id"].value_counts()


@check(
    asset="customer_features", name="history_is_complete",
    description="Every earlier snapshot was run or collected; otherwise its rows are missing here.",
)  # fmt: skip
def history_is_complete(
    context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lake], settings: dg.ResourceParam[Settings]
) -> dg.AssetCheckResult:
    """Warn if an earlier snapshot was never run."""
    last = context.partition_key
    earlier = set(keys_until(settings.snapshots, dt.date.fromisoformat(last)))
    missing = sorted(earlier - set(lake.keys("customer_activity")))
    if earlier == {last}:
        return dg.AssetCheckResult(passed=True, description="There is no earlier snapshot to check.")
    text = f"never run: {', '.join(missing)}. Run them first: segmentation run --from {missing[0]} --to {last}" if missing else ""
    return _result(not missing, text, dict.fromkeys(missing, 1), dg.AssetCheckSeverity.WARN)


@check(
    asset="feature_correlations",
    name="features_are_not_redundant",
    description="No two features of model.features are redundant (Spearman beyond 0.95): in the clustering they would count twice. "
    "`take_out` in the table says which one to remove.",
)
def features_are_not_redundant(
    context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lake], settings: dg.ResourceParam[Settings]
) -> dg.AssetCheckResult:
    """Warn only of pairs that both enter the clustering; other pairs do no harm and are only listed with the result."""
    pairs = to_frame(_partition(lake, "feature_correlations", context.partition_key))
    both = pairs[["feature_a", "feature_b"]].isin(settings.model.features).all(axis=1)  # as the settings are now
    named = redundancies(pairs.assign(both_in_model=both))
    harmful = redundancies(pairs[both].assign(both_in_model=True))
    if not harmful and not (pairs[both]["customers"] >= LEAST_RANKED).any():
        few = f"no two features of model.features are numeric and vary among at least {LEAST_RANKED} active customers"
        return dg.AssetCheckResult(passed=True, description=f"Not measured: {few}.", metadata=dict(named))
    return _result(not harmful, " ".join(harmful.values()), named, dg.AssetCheckSeverity.WARN)


@check(
    asset="source_volume", name="volume_is_as_usual", blocking=True,
    description="No source's window is empty, or low compared with earlier windows (volume.least_share), or ends well before the "
    "snapshot's date. A warning, unless volume.when_low is stop.",
)  # fmt: skip
def volume_is_as_usual(
    context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lake], settings: dg.ResourceParam[Settings]
) -> dg.AssetCheckResult:
    """Warn with a sentence on each source; stop at an empty or low window if the settings say so."""
    found = to_frame(_partition(lake, "source_volume", context.partition_key))
    if found.empty:
        return dg.AssetCheckResult(passed=True, description="Not measured: the source has neither orders nor events.")
    told = found[~found["verdict"].isin(volume.QUIET)]
    stops = settings.volume.when_low == "stop" and found["verdict"].isin(volume.LOST).any()
    return dg.AssetCheckResult(
        passed=told.empty,
        severity=dg.AssetCheckSeverity.ERROR if stops else dg.AssetCheckSeverity.WARN,
        description=" ".join([*(found if told.empty else told)["sentence"], *([GO_ON] if stops else [])]),
        metadata={f"rows: {row.source}": int(row.rows) for row in found.itertuples()},
    )


def drift_check(kind: DriftKind, name: str, description: str) -> Check[...]:
    """A check that warns if a subject of this kind has drifted."""

    @check(asset="drift_report", name=name, description=description)
    def drifted(context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lake]) -> dg.AssetCheckResult:
        report = to_frame(_partition(lake, "drift_report", context.partition_key))
        why = unmeasured(report, kind)
        if why:
            return dg.AssetCheckResult(passed=True, description=f"Not measured: {why}.")
        flagged = report[report["flagged"].eq(True) & (report["kind"] == kind)].sort_values("value", ascending=False)
        text = ", ".join(
            f"{row.subject} ({row.statistic.upper()} {beside(row.value, row.threshold, 2)}, q = {row.q_value:.2g})"
            for row in flagged.itertuples()
        )
        values = {row.subject: float(row.value) for row in flagged.itertuples()}
        return _result(flagged.empty, f"changed since training: {text}", values, dg.AssetCheckSeverity.WARN)

    return drifted


features_have_not_drifted = drift_check(
    DriftKind.FEATURE, "features_have_not_drifted",
    "No feature has changed materially since the model was trained.",
)  # fmt: skip
segment_mix_has_not_drifted = drift_check(
    DriftKind.SEGMENT_MIX, "segment_mix_has_not_drifted",
    "The segment mix has not changed materially since the model was trained.",
)  # fmt: skip
distance_has_not_drifted = drift_check(
    DriftKind.DISTANCE, "distance_has_not_drifted",
    "Customers are as close to the model's prototypes as when it was trained.",
)  # fmt: skip
joint_distribution_has_not_drifted = drift_check(
    DriftKind.JOINT, "joint_distribution_has_not_drifted",
    "A classifier cannot separate today's customers from the training customers.",
)  # fmt: skip


@check(
    asset="model_registry", name="no_model_decision_to_review",
    description="No challenger was promoted or refused, and no model was rolled back; otherwise, review the decision.",
)  # fmt: skip
def no_model_decision_to_review(context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lake]) -> dg.AssetCheckResult:
    """Warn with the reason for the decision, as a sentence."""
    registered = to_frame(_partition(lake, "model_registry", context.partition_key))
    decided = registered[registered["decision"].isin([Decision.PROMOTED, Decision.REFUSED, Decision.ROLLED_BACK])]
    values = {f"{row.decision}: {row.model_version}": row.reason for row in decided.itertuples()}
    return _result(decided.empty, " ".join(decided["reason"]), values, dg.AssetCheckSeverity.WARN)


@check(
    asset="segments", name="no_segment_has_run_empty", additional_deps=("model_registry",),
    description="No segment by model is empty, or has fewer than model.min_count customers where there are enough for all to have as many.",
)  # fmt: skip
def no_segment_has_run_empty(
    context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lake], settings: dg.ResourceParam[Settings]
) -> dg.AssetCheckResult:
    """Warn with the segments. The cells of a grid are cut, not found: some are empty from the first."""
    key, least = context.partition_key, settings.model.min_count
    registered, segments = (to_frame(_partition(lake, table, key)) for table in ("model_registry", "segments"))
    own = segments[segments["segment_id"] > 0]
    if Tier.GRID in set(registered.loc[registered["in_force"], "tier"]):
        return dg.AssetCheckResult(passed=True, description="Not measured: the model in force is a grid.")
    few = own[own["customers"] < (least if own["customers"].sum() >= least * len(own) else 1)]
    counts = {row.segment_name: int(row.customers) for row in few.itertuples()}
    smallest = settings.privacy.smallest_cell
    told = {name: fewer_than(smallest) if 0 < n < smallest else counted(n, "customer") for name, n in counts.items()}
    text = "; ".join(f"{name} has {size}" for name, size in told.items())
    return _result(few.empty, f"{text}.", counts, dg.AssetCheckSeverity.WARN)


def _result(
    passed: bool,
    problem: str,
    figures: dict[str, object] | dict[str, int] | dict[str, float] | dict[str, str],
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR,
) -> dg.AssetCheckResult:
    shown = {name: value if isinstance(value, int | float | str) else str(value) for name, value in figures.items()}
    return dg.AssetCheckResult(passed=bool(passed), severity=severity, description=None if passed else problem, metadata=shown)
