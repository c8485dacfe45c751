"""The start page of a snapshot's report, from the published tables: segments at a glance, what changed, what to do, how sure we are.

Belongs here: pure functions from `tables.Tables` to what the page says, as texts that are ready to be shown. What is said of a single
segment belongs to `cards`, the pages themselves to `report` and its templates. Nothing is said to be well that was not measured.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from segmentation_assets.core.choice.attribute_validity import in_words
from segmentation_assets.core.choice.readings import READINGS, in_digits, reading
from segmentation_assets.core.customers.volume import QUIET
from segmentation_assets.core.model.drift import unmeasured
from segmentation_assets.report import cards, changes
from segmentation_assets.report.cards import Card
from segmentation_assets.report.charts import Chart, over_time
from segmentation_assets.report.sparks import Spark, spark
from segmentation_assets.report.tables import Tables
from segmentation_assets.report.words import HIDDEN, NOT_KNOWN, Words, few_are_hidden, few_of, first_sentence, hidden_of, said
from segmentation_assets.vocabulary import WITHOUT_ORDERS, Baseline, Decision, Tier, fewer_than

MOST_ACTIONS, MOST_EVENTS, MOST_NAMES = 3, 2, 2
TIERS: dict[str, str] = {
    Tier.DISTINCT: "These are distinct groups: there is a gap between each and its neighbours",
    Tier.CONVENIENT: "These are a convenient cut through customers who differ by degrees, not groups with gaps between them",
    Tier.GRID: "These are cells of a grid, not groups that were found in the data",
}
DECISIONS: dict[str, str] = {
    Decision.TRAINED: "A new model was trained at this snapshot",
    Decision.CARRIED: "The model of {fitted} stays in force",
    Decision.PROMOTED: "A new model is in force from this snapshot on",
    Decision.ROLLED_BACK: "The earlier model of {fitted} was put back in force",
}
REPLACING = (Decision.TRAINED, Decision.PROMOTED)
"""Decisions that put a model in the place of another."""


@dataclass(frozen=True)
class Glance:
    """A segment's line in the table; figures as texts, each with a number to sort by (missing: last)."""

    segment_id: int
    name: str
    line: str
    customers: str
    customers_sort: float
    share: str
    share_sort: float
    revenue: str
    revenue_sort: float
    at_stake: str
    at_stake_sort: float
    change: str
    change_sort: float
    trend: Spark
    action: str


@dataclass(frozen=True)
class ToDo:
    """An action of the playbook: what, by which channel, for whom, how many of them to contact, and what is at stake of those."""

    action: str
    channel: str
    segments: str
    audience: str
    at_stake: str


@dataclass(frozen=True)
class OwnSegment:
    """A segment of one's own, each figure as it is written; empty where it is not known."""

    name: str
    condition: str
    description: str
    customers: str
    share: str
    revenue_share: str
    change: str
    overlap: str


@dataclass(frozen=True)
class StartPage:
    """What the report of a snapshot says.

    Attributes:
        warnings: on rows that the source lacks.
        changed, trust: sentences.
        remarks: further sentences on how segments compare, for analysts.
        over_time: customers of the segments over the snapshots; None: there are too few.
        hidden: what is hidden, as a sentence; empty if nothing is.
    """

    key: str
    day: str
    before: str
    totals: str
    warnings: tuple[str, ...]
    segments: tuple[Glance, ...]
    changed: tuple[str, ...]
    to_do: tuple[ToDo, ...]
    trust: tuple[str, ...]
    cards: tuple[Card, ...]
    own: tuple[OwnSegment, ...]
    remarks: tuple[str, ...]
    hidden: str
    over_time: Chart | None
    currency: str
    has_orders: bool
    language: str
    period: str


def start_page(tables: Tables, words: Words) -> StartPage:
    """Everything the page says of a snapshot."""
    metrics = known_metrics(tables["evaluation_metrics"])
    names, ever = distinct_names(tables["segments"]), distinct_names(tables.history)
    found = tuple(glances(tables, words, names))
    any_hidden = any(HIDDEN in (one.customers, one.revenue, one.at_stake) for one in found)
    return StartPage(
        key=tables.key,
        day=words.date(tables.key),
        before="" if tables.before is None else words.date(tables.before),
        totals=totals(tables, words),
        warnings=tuple(warnings(tables, words)),
        segments=found,
        changed=changed(tables, words, ever),
        to_do=tuple(to_do(tables, words, names)),
        trust=(structure(tables, words, metrics), forward(tables, metrics, words)),
        cards=tuple(cards.card(tables, words, one.name, ever, one.segment_id) for one in found),
        own=tuple(own_segments(tables["own_segments"], words)),
        remarks=tuple(remarks(tables, words, metrics)),
        hidden=few_are_hidden(words.smallest) if any_hidden else "",
        over_time=over_time(tables.history, "customers", {one.segment_id: one.name for one in found}, words, words.number),
        language=words.language,
        period=words.period,
        currency=words.currency,
        has_orders=words.has_orders,
    )


def remarks(tables: Tables, words: Words, metrics: dict[str, float]) -> Iterator[str]:
    """Further sentences on how segments compare, for analysts."""
    if not words.has_orders:
        yield WITHOUT_ORDERS
    yield from map(words.told, in_words(metrics, tables.before, words.outcome, words.labels))


def known_metrics(rows: pd.DataFrame) -> dict[str, float]:
    """The value of each metric that could be computed, by name."""
    return {row.metric: row.value for row in rows.itertuples() if not pd.isna(row.value)}


def distinct_names(history: pd.DataFrame) -> dict[int, str]:
    """The last name of each segment by its id; with the id, where two have the same name."""
    last = history.drop_duplicates("segment_id", keep="last")
    twice = last["segment_name"].duplicated(keep=False)
    return {
        int(row.segment_id): f"{said(row.segment_name)} ({row.segment_id})" if both else said(row.segment_name)
        for row, both in zip(last.itertuples(), twice, strict=True)
    }


def totals(tables: Tables, words: Words) -> str:
    """How many customers there are, and what they spent."""
    rows = tables["segments"]
    if rows.empty:
        return "No customers are known: the source has no rows before this day."
    if rows["customers"].isna().any():
        return f"{words.counted(len(rows), 'segment')}; the number of all customers would tell figures of {fewer_than(words.smallest)}."
    told = f"{words.customers(rows['customers'].sum())} in {words.counted(len(rows), 'segment')}"
    revenue = rows["revenue"].sum(min_count=len(rows))
    return told if pd.isna(revenue) else f"{told}; they spent {words.money(revenue)} within the lookback"


def warnings(tables: Tables, words: Words) -> Iterator[str]:
    """A sentence on each source that seems to lack rows."""
    for row in tables["source_volume"].itertuples():
        if row.verdict not in QUIET:
            yield words.told(row.sentence)


def glances(tables: Tables, words: Words, names: dict[int, str]) -> Iterator[Glance]:
    """The segments, those with the highest revenue first, then the largest."""
    snapshots = sorted(tables.history["snapshot_date"].unique())
    sizes = tables.history.pivot(index="snapshot_date", columns="segment_id", values="customers").reindex(snapshots)
    stakes = cards.stakes(tables, words)
    first = tables["segment_actions"].sort_values(["priority", "value_at_stake"], ascending=[True, False], kind="stable")
    first_action = first.drop_duplicates("segment_id").set_index("segment_id")["action"]
    ordered = tables["segments"].sort_values(["revenue", "customers"], ascending=False, na_position="last", kind="stable")
    for row in ordered.itertuples():
        hidden, size = hidden_of(row), sizes[row.segment_id]
        at_stake, stake_is_hidden = stakes.get(row.segment_id, (float("nan"), False))
        change, change_sort = _change(tables, words, row, size)
        yield Glance(
            segment_id=row.segment_id,
            name=names[row.segment_id],
            line=one_line(tables, row, words),
            customers=words.number(row.customers, hidden),
            customers_sort=row.customers,
            share=words.share(row.share, hidden),
            share_sort=row.share,
            revenue=HIDDEN if pd.isna(row.revenue) and isinstance(hidden, str) else words.number(row.revenue),
            revenue_sort=row.revenue,
            at_stake=HIDDEN if stake_is_hidden else words.number(at_stake),
            at_stake_sort=float("nan") if stake_is_hidden else at_stake,
            change=change,
            change_sort=change_sort,
            trend=spark([float(value) for value in size], words.number),
            action=said(first_action.get(row.segment_id)) or NOT_KNOWN,
        )


def one_line(tables: Tables, row: Any, words: Words) -> str:
    """What is typical of a segment, in a line."""
    profile = tables["segment_profiles"]
    own = profile[profile["segment_id"] == row.segment_id].set_index("feature")["median"]
    typical = [own.get(feature, float("nan")) for feature in ("frequency", "monetary", "recency_days")]
    if row.segment_id < 0 or any(pd.isna(value) for value in typical):
        return words.told(first_sentence(row.description))
    orders, spend, days = typical
    ordered = words.counted(round(orders), "order")
    return f"{ordered}, {words.money(spend)}, last {words.counted(round(days), 'day')} ago"


def _change(tables: Tables, words: Words, row: Any, sizes: pd.Series) -> tuple[str, float]:
    """Customers more or less than at the snapshot before; by what to sort it."""
    if tables.before is None or len(sizes) < 2:
        return NOT_KNOWN, float("nan")
    earlier = tables.history[
        (tables.history["segment_id"] == row.segment_id) & (pd.to_datetime(tables.history["snapshot_date"]) == pd.Timestamp(tables.before))
    ]
    if earlier.empty:
        return "new", float("nan")
    if pd.isna(row.customers) or pd.isna(sizes.iloc[-2]):
        return HIDDEN, float("nan")
    change = int(row.customers) - int(sizes.iloc[-2])
    return words.signed(change, words.number), change


def changed(tables: Tables, words: Words, names: dict[int, str]) -> tuple[str, ...]:
    """What changed in three sentences: the largest move, what became of segments, and the model's drift and decision."""
    return movement(tables, words, names), events(tables, words), model(tables, words)


def movement(tables: Tables, words: Words, names: dict[int, str]) -> str:
    """How many customers changed segment, and the largest move."""
    if tables.before is None:
        return "This is the first snapshot, so there is nothing to compare it with."
    moves = tables["segment_transitions"]
    known = moves.dropna(subset=["from_segment_id", "to_segment_id"])
    moved = known[known["from_segment_id"] != known["to_segment_id"]]
    since = f"Since {words.date(tables.before)},"
    least = "at least " if known["customers"].isna().any() else ""  # hidden numbers are in no sum
    if known.empty:
        return f"{since} no customer is known from the snapshot before."
    if moved.empty:
        return f"{since} nobody changed segment."
    total, all_known = int(moved["customers"].sum()), int(known["customers"].sum())
    of_all = f" of {words.number(all_known)}" if not least else ""
    by_model = moved["customers_by_model"].sum()
    blamed = f"; the new model has a part in where {words.number(by_model)} of them are" if by_model > 0 and not least else ""
    opening = f"{since} {least}{words.number(total)}{of_all} customers changed segment{blamed}"
    if moved["customers"].isna().all():
        return f"{since} some customers changed segment; how many is hidden, because they are few."
    largest = moved.loc[moved["customers"].idxmax()]
    origin, goal = (names.get(int(largest[f"{end}_segment_id"]), "?") for end in ("from", "to"))
    return f"{opening}; the largest move was {words.number(largest['customers'])} from {origin} to {goal}."


def events(tables: Tables, words: Words) -> str:
    """What became of segments: of the largest, and how much more."""
    if "segment_events" in tables.absent:
        return "What became of segments was not recorded by the version that made this snapshot."
    sentences = list(changes.events(tables, words))
    if tables.before is None and sentences:
        return "All segments are new."
    if not sentences:
        return "No segment was born, split, merged, died, or changed its name or character."
    further = len(sentences) - MOST_EVENTS
    return " ".join([*sentences[:MOST_EVENTS], *([f"And {words.counted(further, 'more event')}."] if further > 0 else [])])


def model(tables: Tables, words: Words) -> str:
    """Which model is in force, and whether anything has drifted, in plain words."""
    registry = tables["model_registry"]
    if registry.empty:
        return "No model is in force, and drift was not measured."
    in_force = registry[registry["in_force"]].iloc[0]
    told = DECISIONS.get(in_force["decision"], f"The model was {in_force['decision']}").format(
        fitted=_day(words, in_force["fitted_snapshot"])
    )
    if tables.before is None and in_force["decision"] == Decision.TRAINED:
        told = "The first model was trained at this snapshot"
    elif in_force["decision"] in REPLACING and isinstance(in_force["reason"], str):
        told += f", because {occasion(words.told(in_force['reason']))}"
    if (registry["decision"] == Decision.REFUSED).any():
        told += ", after a challenger was refused"
    return f"{told}; {drift(tables['drift_report'], words)}."


def occasion(reason: str) -> str:
    """Why a model was replaced, as part of a sentence: what the reason in model_registry begins with, without its figures.

    >>> occasion("The model in force has failed its own test at 2 snapshots running (0.31 (low)), so a challenger was trained. It won.")
    'the one before has failed its own test at 2 snapshots running'
    """
    begun = re.split(r", so |; |\. |\.$", re.sub(r" \(.*?\)+", "", reason), maxsplit=1)[0]
    begun = begun.replace("The model in force", "the one before").replace("The previous model", "the one before")
    return begun[:1].lower() + begun[1:]


def drift(report: pd.DataFrame, words: Words) -> str:
    """What has drifted, as part of a sentence."""
    if missing := unmeasured(report):
        return f"drift was not measured: {missing}"
    used = report[report["in_model"].eq(True)]
    drifted, others = (_labels(rows[rows["flagged"].eq(True)], words) for rows in (used, report[report["in_model"].ne(True)]))
    unknown = _labels(used[used["q_value"].isna()], words)
    told = f"what it depends on has drifted ({few_of(drifted, MOST_NAMES)})" if drifted else "nothing that it depends on has drifted"
    if unknown:
        told += f", as far as it was measured (not {few_of(unknown, MOST_NAMES)})"
    return f"{told}, only what it does not use ({few_of(others, MOST_NAMES)})" if others and not drifted else told


def _labels(rows: pd.DataFrame, words: Words) -> list[str]:
    return [said(words.label(subject)) for subject in rows.sort_values("value", ascending=False, kind="stable")["subject"]]


def _day(words: Words, value: Any) -> str:
    return words.date(pd.Timestamp(value).date())


def to_do(tables: Tables, words: Words, names: dict[int, str]) -> Iterator[ToDo]:
    """The first actions of the playbook, as they are in segment_actions."""
    rows = tables["segment_actions"]
    stakes = cards.contacted(tables, words)
    rows = rows.assign(play=rows["play"].where(rows["play"].notna(), rows["action"]).astype(object))
    totals_of = rows.groupby("play", sort=False).agg(priority=("priority", "min"), stake=("value_at_stake", "sum"))
    for play in totals_of.sort_values(["priority", "stake"], ascending=[True, False], kind="stable").index[:MOST_ACTIONS]:
        own = rows[rows["play"] == play]
        yield ToDo(
            action=said(own["action"].iloc[0]),
            channel=said(own["channel"].iloc[0]),
            segments=few_of([names.get(int(segment_id), said(name)) for segment_id, name in own[["segment_id", "segment_name"]].values], 2),
            audience=audience(own, words),
            at_stake=at_stake(own, stakes, words),
        )


def at_stake(rows: pd.DataFrame, stakes: Mapping[tuple[int, str], tuple[float, bool]], words: Words) -> str:
    """What is at stake of those to contact, as `cards.contacted` has it; empty if it is hidden or not known."""
    found = [stakes.get((int(row.segment_id), row.play), (float("nan"), False)) for row in rows.itertuples()]
    shown = [amount for amount, is_hidden in found if not is_hidden and not pd.isna(amount)]
    least = "at least " if any(is_hidden for _, is_hidden in found) else ""
    return f"{least}{words.money_over_time(sum(shown))} at stake" if shown else ""


def audience(rows: pd.DataFrame, words: Words) -> str:
    """How many customers are to be contacted; nothing is known of it from versions without audiences."""
    known = rows["customers_treated"].dropna()
    hidden = rows[rows["customers_treated"].isna()]
    if known.empty:
        return "few customers" if any(isinstance(hidden_of(row), str) for row in hidden.itertuples()) else "number not known"
    return f"{'at least ' if len(hidden) else ''}{words.customers(known.sum())}"


def structure(tables: Tables, words: Words, metrics: dict[str, float]) -> str:
    """What the segments are, and how stable the weakest is on this snapshot's customers."""
    registry = tables["model_registry"]
    in_force = registry[registry["in_force"].eq(True)]
    tier = in_force["tier"].iloc[0] if len(in_force) else None
    if tier not in TIERS:
        return "No segments were made by a model, so there is nothing to trust or doubt."
    weakest = metrics.get("weakest_jaccard")
    if weakest is None:
        return f"{TIERS[tier]}; how stable they are was not measured at this snapshot."
    valid = READINGS["doubtful"]
    return words.told(
        f"{TIERS[tier]}; made again from resampled customers, the least stable of them overlaps with itself by {in_digits(weakest)} "
        f"({reading(weakest)}; from {valid} on a segment counts as found again)."
    )


def forward(tables: Tables, metrics: dict[str, float], words: Words) -> str:
    """Whether the segments said anything of the time since, compared with groups by money alone."""
    if not words.has_orders:
        return "Whether they say anything of what customers do next was not measured, because there are no orders."
    explained = metrics.get("forward_spend_eta_squared")
    if tables.before is None or explained is None:
        return "Whether they say anything of what customers spend next was not measured yet."
    other = metrics.get(f"forward_spend_eta_squared_{Baseline.MONEY}")
    beside = "" if other is None else f", five groups by spend alone {words.share(other)}"
    told = f"The segments of {words.date(tables.before)} explain {words.share(explained)} of the differences in spend since{beside}"
    return f"{told}: act by them, do not forecast."


def own_segments(rows: pd.DataFrame, words: Words) -> Iterator[OwnSegment]:
    """The segments of one's own."""
    for row in rows.itertuples():
        hidden, entered, left = hidden_of(row), row.customers_entered, row.customers_left
        yield OwnSegment(
            name=said(row.own_segment),
            condition=said(row.condition),
            description=said(row.description),
            customers=words.number(row.customers, hidden) if pd.isna(row.customers) else words.customers(row.customers),
            share="" if pd.isna(row.share) else words.share(row.share),
            revenue_share="" if pd.isna(row.revenue_share) else words.share(row.revenue_share),
            change="" if pd.isna(entered) or pd.isna(left) else f"{words.number(entered)} entered, {words.number(left)} left",
            overlap=""
            if pd.isna(row.largest_overlap)
            else f"{said(row.largest_overlap_segment_name)} ({words.share(row.largest_overlap)})",
        )
