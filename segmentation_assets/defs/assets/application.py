"""Apply: what customers are worth, whom actions contact, the actions by segment, the published database, and the report."""

import datetime as dt
import functools
import operator
from dataclasses import dataclass

import dagster as dg
import ibis
import ibis.expr.types as ir
import pandas as pd

from segmentation_assets.core.application import audiences, holdout, plays, summary, value
from segmentation_assets.core.application.next_category import SAMPLE, next_categories
from segmentation_assets.core.customers.calendar import Lookback
from segmentation_assets.core.model.rows import model_from_rows
from segmentation_assets.defs import markdown
from segmentation_assets.defs.declared import asset
from segmentation_assets.defs.partitions import LOOKBACK, LOOKBACK_AND_BEFORE, PREVIOUS_AND_THIS, Input
from segmentation_assets.defs.pictures import pictures_of, withheld_of
from segmentation_assets.defs.table import Made, each_snapshot, snapshot_date, table, tables
from segmentation_assets.report import report
from segmentation_assets.report.words import Words
from segmentation_assets.settings.loading import Settings
from segmentation_assets.settings.playbook import NEXT_CATEGORY
from segmentation_assets.settings.snapshots import following
from segmentation_assets.sources import Source
from segmentation_assets.sources.pseudonyms import Pseudonyms
from segmentation_assets.sources.suppression import suppressed
from segmentation_assets.store import deliveries, delivering
from segmentation_assets.store.lake import Lake
from segmentation_assets.store.provenance import Fingerprint
from segmentation_assets.store.published import publish_snapshot
from segmentation_assets.store.sharing import sharing
from segmentation_assets.tables import CONTRACTS
from segmentation_assets.tables.application import AUDIENCE_MEMBERS, CUSTOMER_VALUE, SEGMENT_ACTIONS, UNIVERSAL_CONTROL

GROUP, KINDS = "apply", {"duckdb", "parquet"}
MADE_FROM = (
    "customers", "customer_segments", "own_segment_members", "segment_changes", "customer_value", "customer_category_activity", "segments",
    "segmentation_model",
)  # fmt: skip


@table(
    CUSTOMER_VALUE,
    group=GROUP,
    ins={"customer_features": Input(LOOKBACK_AND_BEFORE, dated=True), "customer_segments": Input(PREVIOUS_AND_THIS, dated=True)},
)
def customer_value(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    customers: ir.Table,
    customer_features: ir.Table,
    customer_segments: ir.Table,
    customer_activity: ir.Table,
) -> ir.Table:
    """What each customer spends per window, and how much of it is at stake, as measured on their segment."""
    as_of = snapshot_date(context)
    then = following(as_of, settings.snapshots, -settings.features.lookback)
    lookback, lookback_then = (Lookback.of(day, settings.snapshots, settings.features) for day in (as_of, then))
    placed, placed_before = each_snapshot(customer_segments, as_of)
    now, features_then = (customer_features.filter(customer_features.snapshot_date == ibis.date(day.isoformat())) for day in (as_of, then))
    return value.customer_value(now, customers, placed, placed_before, customer_activity, features_then, lookback, lookback_then)


@tables(
    Made(AUDIENCE_MEMBERS, GROUP, KINDS, MADE_FROM, "Whom each action contacts, leaves alone to measure by, or may not contact, and why."),
    Made(UNIVERSAL_CONTROL, GROUP, KINDS, ("customer_segments",), "The customers whom no action contacts: how many, and since when."),
    name="audiences",
    ins={"customer_category_activity": Input(LOOKBACK)},
)
def audience_members(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    lake: dg.ResourceParam[Lake],
    customers: ir.Table,
    customer_segments: ir.Table,
    own_segment_members: ir.Table,
    segment_changes: ir.Table,
    customer_value: ir.Table,
    customer_category_activity: ir.Table,
    segments: pd.DataFrame,
    segmentation_model: pd.DataFrame,
) -> dict[str, ir.Table]:
    """Whom the actions of the playbook contact, whom they leave alone to measure by, and whom they may not contact, with the reason.

    Nothing is sent by this. What was handed over before (`store.deliveries`) stays as it was.
    """
    as_of, rules = snapshot_date(context), settings.audiences
    plan = _plan(settings, as_of, segments, segmentation_model, customer_segments, own_segment_members, segment_changes, customer_value)
    meant = _with_next_category(plan, customers, customer_category_activity, lake)
    period, _, _ = holdout.rotation(as_of, settings.snapshots, rules.universal_control.rotation)
    if plan.remarks:
        said = [f"{key}: {remark}" for key, remark in plan.remarks.items()]
        context.add_output_metadata({"remarks": dg.MetadataValue.md(markdown.bullets(said))}, output_name=AUDIENCE_MEMBERS.name)
    pseudonyms = Pseudonyms.of(settings.privacy.pseudonyms, settings.cleaning) if settings.privacy.pseudonyms else None
    listed = suppressed(rules.suppression, settings.cleaning, pseudonyms)
    bars = audiences.barred(customers, settings.source.has_consent, listed)
    return {
        AUDIENCE_MEMBERS.name: audiences.audience_members(meant, bars, plan.actions, rules, period, _past(settings, lake, as_of)),
        UNIVERSAL_CONTROL.name: holdout.universal_control(customer_segments, rules, as_of, settings.snapshots),
    }


@table(SEGMENT_ACTIONS, group=GROUP)
def segment_actions(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    segments: pd.DataFrame,
    segmentation_model: pd.DataFrame,
    customer_segments: ir.Table,
    own_segment_members: ir.Table,
    segment_changes: ir.Table,
    customer_value: ir.Table,
    audience_members: ir.Table,
) -> pd.DataFrame:
    """The playbook's actions for each segment: for whom, who is contacted, what it costs, how much is at stake, and why."""
    as_of = snapshot_date(context)
    plan = _plan(settings, as_of, segments, segmentation_model, customer_segments, own_segment_members, segment_changes, customer_value)
    characters = model_from_rows(segmentation_model).characters()
    return summary.segment_actions(plan.actions, plan.meant, audience_members, segments, characters, settings.exploration.money)


@dataclass(frozen=True)
class _Plan:
    """The actions in order, the customers each is for, and what is to be said of an action."""

    actions: list[plays.Action]
    meant: ir.Table
    remarks: dict[str, str]


def _plan(settings: Settings, as_of: dt.date, segments: pd.DataFrame, segmentation_model: pd.DataFrame, *tables: ir.Table) -> _Plan:
    """`tables` are those of `plays.meant`."""
    names = dict(zip(segments["segment_id"], segments["segment_name"], strict=True))
    characters = model_from_rows(segmentation_model).characters()
    found = plays.done(settings.playbook, as_of, names, characters, settings.own_segments)
    actions = plays.in_order(found.actions, lambda: summary.money(plays.meant(found.actions, *tables), found.actions))
    return _Plan(actions, plays.meant(actions, *tables), found.remarks)


def _with_next_category(plan: _Plan, customers: ir.Table, categories: ir.Table, lake: Lake) -> ir.Table:
    """The customers of a plan, with the next category of those to whom an action offers it: none, where it is for nobody."""
    meant = plan.meant
    offering = [meant[f"for_{place}"] for place, action in enumerate(plan.actions) if action.play.product == NEXT_CATEGORY]
    if not offering:
        return meant
    concerned = meant.filter(functools.reduce(operator.or_, offering)).select("customer_id")
    if not lake.engine.rows(concerned.agg(concerned=concerned.count()))[0]["concerned"]:
        return meant.mutate(next_category=ibis.null("string"))
    buyers = lake.engine.rows(categories.agg(buyers=categories.customer_id.nunique()))[0]["buyers"]
    found = next_categories(concerned, customers, categories, min(1.0, SAMPLE / max(buyers, 1))).rename(next_of="customer_id")
    return meant.left_join(found, meant.customer_id == found.next_of).drop("next_of")


def _past(settings: Settings, lake: Lake, as_of: dt.date) -> audiences.Past | None:
    """What was handed over for this snapshot and earlier ones; None: nothing."""
    rows = deliveries.rows(settings.data_dir, lake.engine, as_of)
    if rows is None:
        return None
    stands = deliveries.standing(rows)
    cap = settings.audiences.contact_cap
    contacts = deliveries.contacts(rows, as_of - dt.timedelta(days=cap.days if cap else 0), as_of)
    fixed = stands.snapshot_date == ibis.date(as_of.isoformat())
    return audiences.Past(stands.mutate(fixed=fixed).drop("snapshot_date"), contacts, deliveries.spent(rows, as_of))


def made_in_time(settings: Settings) -> dg.FreshnessPolicy | None:
    """With the schedule on, a snapshot is due at each cadence: warn if it is a day late, fail if two days."""
    if not settings.schedule.enabled:
        return None
    longest = {"monthly": dt.timedelta(days=31), "weekly": dt.timedelta(days=7), "daily": dt.timedelta(days=1)}[settings.snapshots.cadence]
    day = dt.timedelta(days=1)
    return dg.FreshnessPolicy.time_window(warn_window=longest + day, fail_window=longest + 2 * day)


@asset(group_name="publish", kinds={"duckdb"}, last=True, freshness=made_in_time)
def published_database(
    context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings], source: dg.ResourceParam[Source], lake: dg.ResourceParam[Lake]
) -> dg.MaterializeResult[None]:
    """data/segmentation.duckdb, replaced whole once every table of the snapshot has passed its checks.

    Anyone who has the old file open keeps reading it; a snapshot that fails a check never gets here.
    """
    key = context.partition_key
    delivering.note_published(settings.data_dir)
    fingerprint = Fingerprint.now(settings, source.fingerprint(), key).text()
    smallest, largest = settings.privacy.smallest_cell, settings.database.largest_copied
    with sharing(settings, lake, key, fingerprint, context.run.run_id):
        published = publish_snapshot(lake, settings.data_dir, key, fingerprint, smallest, largest)
    return dg.MaterializeResult(
        metadata={
            "path": dg.MetadataValue.path(published.database),
            "rows of the snapshot": sum(published.rows.values()),
            "snapshots published": published.snapshots,
            **({"kept": dg.MetadataValue.path(published.kept)} if published.kept else {}),
        }
    )


@asset(group_name="publish", kinds={"html"}, deps=["published_database"])
def snapshot_report(context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings]) -> dg.MaterializeResult[None]:
    """`data/reports/<snapshot>/index.html`: segments, what changed and what to do in one file, to open or mail.

    Beside it are a page of changes, and one for analysts with the pictures.
    It is made only once the snapshot is published, of the published tables. The pages of its neighbours link to it, and the index of the
    reports has it. `segmentation report` makes the same.
    """
    drawn = {name: file for contract in CONTRACTS for name, file in pictures_of(context, settings, dg.AssetKey(contract.name)).items()}
    withheld = [name for contract in CONTRACTS for name in withheld_of(context, dg.AssetKey(contract.name))]
    pictures = report.Pictures({name: file.read_bytes() for name, file in drawn.items()}, withheld)
    page = report.write(settings.data_dir, context.partition_key, Words.of(settings), pictures, settings.engine.here())
    return dg.MaterializeResult(
        metadata={
            "report": dg.MetadataValue.url(page.resolve().as_uri()), "path": dg.MetadataValue.path(page), "pictures": len(drawn),
            "bytes": page.stat().st_size,
        }
    )  # fmt: skip
