"""The card of one segment in the report: who they are, what marks them out, their rule, journey, value, and what is done for them.

Belongs here: pure functions from `tables.Tables` to texts of one segment. Rows whose figures are hidden are not told.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from segmentation_assets.core.customers.cleaning import UNKNOWN
from segmentation_assets.core.customers.levels import MISSING_LEVEL
from segmentation_assets.report.sparks import Spark, spark
from segmentation_assets.report.tables import Tables
from segmentation_assets.report.words import HIDDEN, Words, few_of, hidden_of, said
from segmentation_assets.store.small_cells import SMALL_CELL
from segmentation_assets.vocabulary import Role

ALWAYS = ("recency_days", "frequency", "monetary", "average_order_value", "mean_gap_days")
MOST_MARKS, MOST_LEVELS, MOST_MOVES, MOST_DELIVERIES = 3, 4, 3, 3
NOTABLE = 0.3  # standard deviations from all customers, from which a figure is said to be higher or lower
NOT_MEASURED = "not measured"
NOT_RECORDED = "not recorded"
BRIDGE: dict[str, str] = {
    "stayed": "customers who stayed, by spending more or less",
    "came": "customers who came from other segments",
    "left": "customers who left for other segments",
    "entered": "customers who are new, or back",
    "lapsed": "customers who no longer order",
    "model": "customers whom the new model places otherwise",
}
"""Components of segment_bridge, in plain words."""


@dataclass(frozen=True)
class Figure:
    """A feature of a segment: its mean, that of all customers, how the two compare, and its typical value, the median.

    Attributes:
        compared: higher, lower or about the same.
        mood: good, bad, or empty where neither is better or the difference is small.
    """

    label: str
    mean: str
    everyone: str
    compared: str
    mood: str
    typical: str


@dataclass(frozen=True)
class Level:
    """A level of an attribute, or a category, that is more common in the segment than elsewhere."""

    name: str
    share: str
    everyone: str
    times: str


@dataclass(frozen=True)
class Play:
    """An action for the segment, with its audience and what is known of its effect; `at_stake`: of those to contact."""

    action: str
    channel: str
    treated: str
    holdout: str
    suppressed: str
    at_stake: str
    verdicts: tuple[str, ...]
    deliveries: tuple[str, ...]


@dataclass(frozen=True)
class Card:
    """What the report says of a segment.

    Attributes:
        rule: customers who ...; or why there is no rule.
        rule_quality: how well the rule finds them; empty without a rule.
        examples: typical customers by their name, each with its figures.
        came, went: where customers came from and went to, largest first.
        bridge: what changed the revenue, and by how much.
    """

    segment_id: int
    name: str
    customers: str
    share: str
    revenue: str
    revenue_share: str
    at_stake: str
    description: str
    figures: tuple[Figure, ...]
    rule: str
    rule_quality: str
    attributes: tuple[Level, ...]
    categories: tuple[Level, ...]
    examples: tuple[tuple[str, str], ...]
    came: tuple[str, ...]
    went: tuple[str, ...]
    stay: str
    sizes: Spark
    revenues: Spark
    bridge: tuple[tuple[str, str], ...]
    plays: tuple[Play, ...]


def card(tables: Tables, words: Words, name: str, names: dict[int, str], segment_id: int) -> Card:
    """The card of a segment that the snapshot has; `names` are those of all segments so far."""
    segments = tables["segments"]
    row = next(segments[segments["segment_id"] == segment_id].itertuples())
    history = tables.history[tables.history["segment_id"] == segment_id].set_index("snapshot_date")
    history = history.reindex(sorted(tables.history["snapshot_date"].unique()))
    hidden = hidden_of(row)
    stake, stake_is_hidden = stakes(tables, words).get(segment_id, (float("nan"), False))
    rule, quality = rule_of(tables, words, segment_id)
    return Card(
        segment_id=segment_id,
        name=name,
        customers=words.number(row.customers, hidden),
        share=words.share(row.share, hidden),
        revenue=HIDDEN if pd.isna(row.revenue) and isinstance(hidden, str) else words.money(row.revenue),
        revenue_share=words.share(row.revenue_share, hidden),
        at_stake=HIDDEN if stake_is_hidden else _stake(words, stake),
        description=words.told(row.description),
        figures=tuple(figures(tables, words, segment_id)),
        rule=rule,
        rule_quality=quality,
        attributes=tuple(levels(_of(tables, "segment_attributes", segment_id), "level", words, "attribute")),
        categories=tuple(levels(_of(tables, "segment_categories", segment_id), "category", words)),
        examples=tuple(examples(tables, words, segment_id)),
        came=tuple(moves(tables, words, names, segment_id, "to", "from", "new customers")),
        went=tuple(moves(tables, words, names, segment_id, "from", "to", "no longer known")),
        stay=stay(tables, words, segment_id),
        sizes=spark([float(value) for value in history["customers"]], words.number),
        revenues=spark([float(value) for value in history["revenue"]], words.money),
        bridge=tuple(bridge(tables, words, segment_id)),
        plays=tuple(plays(tables, words, names, segment_id)),
    )


def _of(tables: Tables, name: str, segment_id: int) -> pd.DataFrame:
    return tables[name][tables[name]["segment_id"] == segment_id]


def stakes(tables: Tables, words: Words) -> dict[int, tuple[float, bool]]:
    """By segment of which it is known, the value at stake, and whether it is hidden: as the size is, because it is of few customers, or
    because it would tell that of an action whose own is hidden."""
    actions = tables["segment_actions"]
    untold = actions["value_at_stake"].isna() & actions[SMALL_CELL].notna()
    hidden = {*tables["segments"].loc[tables["segments"]["customers"].isna(), "segment_id"], *actions.loc[untold, "segment_id"]}
    return {
        int(row.segment_id): (float(row.value_at_stake), row.segment_id in hidden or 0 < row.customers < words.smallest)
        for row in tables.stakes.itertuples()
    }


def contacted(tables: Tables, words: Words) -> dict[tuple[int, str], tuple[float, bool]]:
    """By segment and play, the value at stake of those to contact, and whether it is hidden: because its row of segment_actions hides
    figures, it is known of few in a role, or with the value at stake of the whole segment it would tell that of few others."""
    known, treated = tables.contacts, tables.contacts[tables.contacts["role"] == Role.TREATED]
    whole = {int(row.segment_id): row.customers for row in tables.stakes.itertuples()}
    in_list = treated.groupby(["segment_id", "list"])["customers"].sum()
    actions = tables["segment_actions"]
    untold = actions[actions[SMALL_CELL].notna()]
    hidden = {*zip(untold["segment_id"], untold["play"], strict=True)}
    few = known[(known["customers"] > 0) & (known["customers"] < words.smallest)]
    hidden |= {*zip(few["segment_id"], few["play"], strict=True)}
    return {
        (int(row.segment_id), row.play): (
            float(row.value_at_stake),
            (row.segment_id, row.play) in hidden
            or 0 < whole.get(int(row.segment_id), 0) - in_list[row.segment_id, row.list] < words.smallest,
        )
        for row in treated.itertuples()
    }


def _stake(words: Words, amount: float) -> str:
    return NOT_MEASURED if pd.isna(amount) else words.money_over_time(amount)


def figures(tables: Tables, words: Words, segment_id: int) -> Iterator[Figure]:
    """Its key figures: those that always matter, and those in which it differs most from all customers."""
    own = _of(tables, "segment_profiles", segment_id).dropna(subset=["median"]).set_index("feature")
    others = own.drop(index=[name for name in ALWAYS if name in own.index]).dropna(subset=["z"])
    marks = others["z"].abs().sort_values(ascending=False, kind="stable").index[:MOST_MARKS]
    for name in (*(name for name in ALWAYS if name in own.index), *marks):
        row = own.loc[name]
        compared, mood = comparison(row["z"], words.features[name].better if name in words.features else "")
        typical, mean, everyone = (words.figure(name, row[column]) for column in ("median", "mean", "population_mean"))
        yield Figure(said(words.label(name)), mean, everyone, compared, mood, typical)


def comparison(z: float, better: str) -> tuple[str, str]:
    """How a segment's mean compares with all customers', and whether that is good or bad for the business.

    >>> comparison(1.3, "low"), comparison(-0.5, "low"), comparison(0.1, "low"), comparison(2.0, "")
    (('higher', 'bad'), ('lower', 'good'), ('about the same', ''), ('higher', ''))
    """
    if pd.isna(z):
        return "", ""
    if abs(z) < NOTABLE:
        return "about the same", ""
    side = "high" if z > 0 else "low"
    return {"high": "higher", "low": "lower"}[side], "" if not better else "good" if side == better else "bad"


def rule_of(tables: Tables, words: Words, segment_id: int) -> tuple[str, str]:
    """The segment's rule in words, and how well it finds its customers."""
    rows = _of(tables, "segment_rules", segment_id)
    if rows.empty:
        return "No rule is published for this segment.", ""
    row = next(rows.itertuples())
    if not isinstance(row.words, str):
        return f"No rule: {words.told(row.reason)}", ""
    quality = ""
    if not pd.isna(row.precision) and not pd.isna(row.recall):
        quality = (
            f"Of the customers who meet it, {words.share(row.precision)} are in the segment; "
            f"of the segment's customers, {words.share(row.recall)} meet it."
        )
    return f"Customers who {words.told(row.words)}.", quality


def levels(rows: pd.DataFrame, column: str, words: Words, attribute: str = "") -> Iterator[Level]:
    """What is more common in the segment than among all active customers, beyond chance: those with the highest lower limit of lift."""
    beyond = rows[(rows["lift_low"] > 1) & ~rows[column].isin([MISSING_LEVEL, UNKNOWN])].dropna(subset=["share", "active_share"])
    for row in beyond.sort_values("lift_low", ascending=False, kind="stable").head(MOST_LEVELS).itertuples():
        name = said(getattr(row, column))
        if attribute:
            name = f"{said(words.label(getattr(row, attribute)))}: {name}"
        yield Level(name, words.share(row.share), words.share(row.active_share), f"{words.decimal(row.lift)} times")


def examples(tables: Tables, words: Words, segment_id: int) -> Iterator[tuple[str, str]]:
    """Typical customers without their ids, with rounded figures."""
    for name, rows in _of(tables, "segment_examples", segment_id).groupby("example"):
        first = {feature: place for place, feature in enumerate(ALWAYS)}
        ordered = rows.sort_values("feature", key=lambda features: features.map(first).fillna(len(first)), kind="stable")
        told = [
            f"{said(words.label(row.feature))} {said(row.text) if isinstance(row.text, str) else words.figure(row.feature, row.value)}"
            for row in ordered.itertuples()
            if isinstance(row.text, str) or not pd.isna(row.value)
        ]
        yield f"{name[:1].upper()}{name[1:]}", "; ".join(told)


def moves(tables: Tables, words: Words, names: dict[int, str], segment_id: int, here: str, there: str, nowhere: str) -> Iterator[str]:
    """Where customers went to or came from, largest first; hidden moves are left out."""
    rows = tables["segment_transitions"]
    rows = rows[(rows[f"{here}_segment_id"] == segment_id) & (rows[f"{there}_segment_id"] != segment_id)].dropna(subset=["customers"])
    for row in rows.sort_values("customers", ascending=False, kind="stable").head(MOST_MOVES).itertuples():
        other = getattr(row, f"{there}_segment_id")
        yield f"{nowhere if pd.isna(other) else names.get(int(other), '?')} ({words.number(row.customers)})"


def stay(tables: Tables, words: Words, segment_id: int) -> str:
    """How long customers stay, and how many move on."""
    rows = _of(tables, "segment_stays", segment_id)
    if rows.empty or pd.isna(rows["mean_snapshots"].iloc[0]):
        return ""
    row = next(rows.itertuples())
    told = f"They have been here for {words.decimal(row.mean_snapshots)} snapshots on average"
    return f"{told}." if pd.isna(row.chance_to_move) else f"{told}; {words.share(row.chance_to_move)} move on by the next one."


def bridge(tables: Tables, words: Words, segment_id: int) -> Iterator[tuple[str, str]]:
    """What changed the segment's revenue since the snapshot before."""
    own = _of(tables, "segment_bridge", segment_id).set_index("component")["revenue"]
    for component, told in BRIDGE.items():
        amount = own.get(component, float("nan"))
        if not pd.isna(amount) and round(amount):
            yield told, words.signed(amount, words.money)


def plays(tables: Tables, words: Words, names: dict[int, str], segment_id: int) -> Iterator[Play]:
    """The actions for the segment, first ones first."""
    rows, stakes_of = _of(tables, "segment_actions", segment_id).sort_values("priority", kind="stable"), contacted(tables, words)
    for row in rows.itertuples():
        hidden = hidden_of(row)
        stake, stake_is_hidden = stakes_of.get((segment_id, row.play), (float("nan"), isinstance(hidden, str)))
        yield Play(
            action=said(row.action),
            channel=said(row.channel),
            treated=words.number(row.customers_treated, hidden),
            holdout=words.number(row.customers_holdout, hidden),
            suppressed=words.number(row.customers_suppressed, hidden),
            at_stake=HIDDEN if stake_is_hidden else NOT_RECORDED if tables.contacts.empty else _stake(words, stake),
            verdicts=tuple(verdicts(tables, words, names, segment_id, row.play)),
            deliveries=tuple(deliveries(tables, words, row.play)),
        )


def verdicts(tables: Tables, words: Words, names: dict[int, str], segment_id: int, play: object) -> Iterator[str]:
    """What the holdout of an action can show of spend, and what it showed the last time: in this segment, else over those it was for then,
    which are named."""
    power, lift = (tables[name][(tables[name]["action"] == play) & (tables[name]["measure"] == "spend")] for name in _EFFECTS)
    yield from (words.told(verdict) for verdict in power["verdict"].head(1) if isinstance(verdict, str))
    latest = lift[lift["assigned_on"] == lift["assigned_on"].max()]
    own, whole = latest[latest["segment_id"] == segment_id], latest[latest["segment_id"].isna()]
    for row in (whole if own.empty else own).head(1).itertuples():
        where = ""
        if own.empty:
            named = [names.get(int(of), "?") for of in latest["segment_id"].dropna()]
            where = f", over all segments that it was for then, not this one{f': {few_of(named, MOST_MOVES)}' if named else ''}"
        yield f"Assigned on {words.date(pd.Timestamp(row.assigned_on).date())}{where}. {words.told(row.verdict)}"


def deliveries(tables: Tables, words: Words, play: object) -> Iterator[str]:
    """What of the action was handed over, for all its segments together, latest first."""
    rows = tables["audience_receipts"]
    rows = rows[rows["action"] == play].sort_values("delivered_at", ascending=False, kind="stable")
    for row in rows.head(MOST_DELIVERIES).itertuples():
        when, hidden = words.date(pd.Timestamp(row.delivered_at).date()), hidden_of(row) or "hidden"
        figures = (words.number(value, hidden) for value in (row.added, row.removed, row.held_out))
        added, removed, held_out = figures
        yield f"Handed over on {when} to {said(row.destination)}: {added} added, {removed} taken back, {held_out} held out."


_EFFECTS = ("action_power", "action_lift")
