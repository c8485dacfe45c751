"""Why a customer is in a segment: everything published about one customer, in sentences or as JSON."""

import datetime as dt
import textwrap
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
from duckdb import ColumnExpression, ConstantExpression

from segmentation_assets.core.customers.features import declared
from segmentation_assets.core.model.rows import model_from_rows
from segmentation_assets.core.model.segment_model import SegmentModel
from segmentation_assets.core.segments import why
from segmentation_assets.settings.loading import Settings
from segmentation_assets.store import database_files, published
from segmentation_assets.visible import visible
from segmentation_assets.vocabulary import MoveCause, counted

WIDTH = 80
UNMEASURED = "Border: not measured; the segment is by rule, or its model has no distances."
GIST = 2  # features for and against a segment, and those that moved a customer, where only the gist is told
SHOWN = ("recency_days", "frequency", "monetary", "tenure_days")  # of the features; attributes are shown too, JSON has all
KEY = {"snapshot_date", "customer_id"}
NEEDED = "segment_changes"  # the last of the tables here that came into being


@dataclass(frozen=True)
class Pull:
    """A feature that decides between two segments: its share of all that do, below 0 if it speaks for the other one.

    `median` and `other_median` are those of the two segments; missing for attributes that are no numbers, and where they are hidden.
    """

    feature: str
    value: Any
    share: float
    median: float | None
    other_median: float | None


@dataclass(frozen=True)
class Step:
    """A feature whose change moved the customer: its share of the movement, below 0 if it held the customer back."""

    feature: str
    before: Any
    now: Any
    share: float


@dataclass(frozen=True)
class Why:
    """What is published about a customer at a snapshot. `confidence` and what follows is missing where the model has no distances."""

    customer_id: str
    snapshot_date: str
    known: dict[str, Any]
    segment_id: int
    segment_name: str
    since: str
    snapshots: int
    model_version: str
    confidence: float | None
    other_segment_id: int | None
    other_segment_name: str | None
    deciding: list[Pull]
    bins: dict[str, tuple[float | None, float | None]]  # of a grid: by feature, the cut points around the customer
    moved: dict[str, Any] | None
    own_segments: dict[str, str]
    actions: list[dict[str, Any]]


class _Published:
    """Questions about one customer to the published tables."""

    def __init__(self, database: duckdb.DuckDBPyConnection, customer: str) -> None:
        self.database, self.customer = database, customer

    def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        found = self.database.execute(query, list(values))
        names = [column[0] for column in found.description or ()]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    def actions(self, segment_id: int, day: dt.date) -> list[dict[str, Any]]:
        """The actions for the customer; as an earlier version published them, those for the segment."""
        if "audience_members" in database_files.shown_in(self.database):
            return self.rows(_AUDIENCES, self.customer, day)
        return self.rows(_ACTIONS, segment_id, day)

    def model(self, day: dt.date) -> SegmentModel:
        return model_from_rows(self.database.execute("FROM segmentation_model WHERE snapshot_date = ?", [day]).df())

    def features(self, day: dt.date, model: SegmentModel) -> pd.DataFrame:
        """The customer's status and features of the model, with the types that the whole column has, which scoring sees."""
        rows = self.database.table("customer_features").filter(ColumnExpression("snapshot_date") == ConstantExpression(day))
        columns = dict.fromkeys(("customer_id", "status", *why.features_of(model)))
        frame = rows.select(*map(ColumnExpression, columns)).to_arrow_table().to_pandas(date_as_object=False)
        return frame[frame["customer_id"] == self.customer].reset_index(drop=True)

    def name(self, segment_id: int | None, day: dt.date) -> str | None:
        """The last name of a segment until the day."""
        query = "SELECT arg_max(segment_name, snapshot_date) AS name FROM segments WHERE segment_id = ? AND snapshot_date <= ?"
        return self.rows(query, segment_id, day)[0]["name"]

    def medians(self, segment_id: int | None, day: dt.date) -> dict[str, float]:
        found = self.rows("SELECT feature, median FROM segment_profiles WHERE segment_id = ? AND snapshot_date = ?", segment_id, day)
        return {row["feature"]: row["median"] for row in found}


def read(data_dir: Path, customer: str, key: str) -> Why:
    """What is published about a customer at the snapshot `key`.

    Raises:
        PublishError: the customer is not known then, or an earlier version published the tables.
    """
    day = dt.date.fromisoformat(key)
    with published.reading(data_dir) as database:
        if NEEDED not in database_files.shown_in(database):
            raise database_files.PublishError(f"{NEEDED} was not published yet, by an earlier version. Make it: segmentation run --all")
        asked = _Published(database, customer)
        known = asked.rows("FROM customer_features WHERE customer_id = ? AND snapshot_date = ?", customer, day)
        if not known:
            raise database_files.PublishError(_unknown(asked, customer, key))
        placed = asked.rows("FROM customer_segments WHERE customer_id = ? AND snapshot_date = ?", customer, day)[0]
        since, snapshots = _stay(asked, placed["segment_id"], day)
        model = asked.model(day)
        features = asked.features(day, model)
        border = why.border(model, features, placed["segment_id"])
        own = asked.rows(_OWN_SINCE, day, customer, day, customer)
        other = asked.name(border.segment_id, day) if border else None
        return Why(
            customer_id=customer,
            snapshot_date=key,
            known={name: _plain(value) for name, value in known[0].items() if name not in KEY and value is not None},
            segment_id=placed["segment_id"],
            segment_name=placed["segment_name"],
            since=since.isoformat(),
            snapshots=snapshots,
            model_version=placed["model_version"],
            confidence=placed["confidence"],
            other_segment_id=border.segment_id if border else None,
            other_segment_name=other,
            deciding=_deciding(asked, border, known[0], placed["segment_id"], day) if border else [],
            bins=why.bins(model, features, placed["segment_id"]),
            moved=_moved(asked, day),
            own_segments={row["own_segment"]: row["since"].isoformat() for row in own},
            actions=asked.actions(placed["segment_id"], day),
        )


def _unknown(asked: _Published, customer: str, key: str) -> str:
    first = asked.rows("SELECT min(snapshot_date) AS day FROM customer_segments WHERE customer_id = ?", customer)[0]["day"]
    if first is None:
        ids = "Ids are written as in customer_segments. If they are pseudonyms, print the customer's: segmentation pseudonym ID"
        return f"No customer {customer} is known. {ids}"
    return f"Customer {customer} is not known at {key}, but from {first} on. Ask for that snapshot: --snapshot {first}"


def _stay(asked: _Published, segment_id: int, day: dt.date) -> tuple[dt.date, int]:
    """Since when the customer has been in the segment, and at how many snapshots."""
    query = """
        SELECT min(snapshot_date) AS since, count(*) AS snapshots FROM customer_segments
        WHERE customer_id = $1 AND snapshot_date <= $2 AND snapshot_date > coalesce((
            SELECT max(snapshot_date) FROM customer_segments WHERE customer_id = $1 AND snapshot_date <= $2 AND segment_id <> $3
        ), DATE '-infinity')
    """
    row = asked.rows(query, asked.customer, day, segment_id)[0]
    return row["since"], row["snapshots"]


_AUDIENCES = """
    SELECT a.action, a.channel, a.priority, m.role, m.reason FROM audience_members AS m
    JOIN segment_actions AS a ON a.snapshot_date = m.snapshot_date AND a.segment_id = m.segment_id AND a.play = m.action
    WHERE m.customer_id = ? AND m.snapshot_date = ? ORDER BY a.priority, a.action
"""
_ACTIONS = "SELECT action, channel, priority FROM segment_actions WHERE segment_id = ? AND snapshot_date = ? ORDER BY priority, action"
# Since the first snapshot after the last one that has the own segment without the customer.
_OWN_SINCE = """
    WITH seen AS (
        SELECT s.own_segment, s.snapshot_date, m.customer_id IS NOT NULL AS inside
        FROM (FROM own_segments WHERE snapshot_date <= ?) AS s
        LEFT JOIN own_segment_members AS m
        ON m.own_segment = s.own_segment AND m.snapshot_date = s.snapshot_date AND m.customer_id = ?
    ), outside AS (
        SELECT own_segment, max(snapshot_date) AS last FROM seen WHERE NOT inside GROUP BY own_segment
    )
    SELECT own_segment, min(seen.snapshot_date) AS since
    FROM seen LEFT JOIN outside USING (own_segment)
    WHERE inside AND (last IS NULL OR seen.snapshot_date > last)
    AND own_segment IN (SELECT own_segment FROM own_segment_members WHERE snapshot_date = ? AND customer_id = ?)
    GROUP BY own_segment ORDER BY own_segment
"""


def _deciding(asked: _Published, border: why.Border, known: dict[str, Any], segment_id: int, day: dt.date) -> list[Pull]:
    here, there = asked.medians(segment_id, day), asked.medians(border.segment_id, day)
    return [
        Pull(name, _plain(known[name]), share, here.get(name), there.get(name)) for name, share in why.shares(border.pulls).items() if share
    ]


def _moved(asked: _Published, day: dt.date) -> dict[str, Any] | None:
    """The customer's last change of segment until the day; None if there was none since the first snapshot."""
    query = (
        "SELECT snapshot_date, change, cause, from_segment_id, to_segment_id, from_segment_name, to_segment_name "
        "FROM segment_changes WHERE customer_id = ? AND snapshot_date <= ? AND own_segment IS NULL "
        "ORDER BY snapshot_date DESC LIMIT 1"
    )
    found = asked.rows(query, asked.customer, day)
    if not found:
        return None
    change = found[0]
    steps = _steps(asked, change) if change["from_segment_id"] is not None and change["cause"] != MoveCause.MODEL else []
    return {**change, "snapshot_date": change["snapshot_date"].isoformat(), "features": [asdict(step) for step in steps]}


def _steps(asked: _Published, change: dict[str, Any]) -> list[Step]:
    """The features that moved the customer by own behaviour: to where the model of the snapshot before would place them now."""
    now = change["snapshot_date"]
    before = asked.rows("SELECT max(snapshot_date) AS day FROM published_snapshots WHERE snapshot_date < ?", now)[0]["day"]
    model = asked.model(before)
    then, today = asked.features(before, model), asked.features(now, model)
    pulls = why.moved_by(model, then, today, change["from_segment_id"], int(model.assign(today)["segment_id"].iloc[0]))
    return [
        Step(name, _plain(then[name].iloc[0]), _plain(today[name].iloc[0]), share) for name, share in why.shares(pulls).items() if share
    ]


def _plain(value: Any) -> Any:
    """The value as JSON and people write it."""
    if isinstance(value, dt.date | dt.datetime):
        return value.isoformat()
    if value is None or isinstance(value, str | bool | int):
        return value
    number = float(value)
    return None if number != number else int(number) if number.is_integer() else number


def lines(found: Why, settings: Settings, in_full: bool = False) -> Iterator[str]:
    """What was found as sentences of at most `WIDTH` columns: the gist, or everything `in_full`."""
    for sentence in (_sentences if in_full else _gist)(found, settings):
        yield from textwrap.wrap(visible(sentence), WIDTH, subsequent_indent="  ", break_on_hyphens=False)


def _sentences(found: Why, settings: Settings) -> Iterator[str]:
    computed = {"status", *(feature.name for feature in declared(settings.features))}
    shown = [*(name for name in SHOWN if name in found.known), *(name for name in found.known if name not in computed)]
    known = [_with_value(name, found.known[name], settings) for name in shown]
    yield f"Customer {found.customer_id} at {found.snapshot_date}: {', '.join([found.known['status'], *known])}."
    segment = f"{found.segment_name} ({found.segment_id})"
    yield f"Segment: {segment} since {found.since}, at {counted(found.snapshots, 'snapshot')}; model {found.model_version}."
    if found.bins:
        yield f"Decides: {_in_bins(found, settings)}; the cells of a grid have no distances."
    elif found.other_segment_id is None:
        yield UNMEASURED
    else:
        other = f"{found.other_segment_name} ({found.other_segment_id})"
        yield f"Border: confidence {found.confidence:.2f} (0 on the border, 1 at the centre); beyond it lies {other}."
        pulls = [
            f"{_called(pull.feature, settings)} {_said(pull.value)} for "
            f"{found.segment_name if pull.share > 0 else found.other_segment_name} ({abs(pull.share):.0%}{_medians(pull)})"
            for pull in found.deciding
        ]
        yield f"Decides: {'; '.join(pulls)}."
    yield f"Moved: {_movement(found.moved, settings)}"
    own = [f"{name} since {since}" for name, since in found.own_segments.items()]
    yield f"Own segments: {'; '.join(own) or 'in none'}."
    for action in found.actions:
        role = f"; {action['role']}: {action['reason']}" if action.get("reason") else ""
        yield f"Action: {action['action']} ({action['channel']}, priority {action['priority']}{role})."


def _gist(found: Why, settings: Settings) -> Iterator[str]:
    """Where the customer is and since when, what lies beyond the border and what decides, the last move, and what to do."""
    at = f"Customer {found.customer_id} at {found.snapshot_date}: {found.segment_name}, since {found.since}"
    own = f"; also in {', '.join(found.own_segments)}" if found.own_segments else ""
    yield f"{at}{own}."
    if found.bins:
        yield f"Decides: {_in_bins(found, settings)}."
    elif found.other_segment_id is None:
        yield UNMEASURED
    else:
        here, there = (
            [f"{_with_value(pull.feature, pull.value, settings)}" for pull in found.deciding if (pull.share > 0) == own][:GIST]
            for own in (True, False)
        )
        for_it = f"For it: {', '.join(here)}. " if here else ""
        against = f"; against it: {', '.join(there)}" if there else ""
        yield f"{for_it}Nearest other: {found.other_segment_name} (confidence {found.confidence:.2f}){against}."
    if found.moved:
        steps = [step for step in found.moved["features"] if step["share"] > 0][:GIST]
        changed = [f"{_called(step['feature'], settings)} {_said(step['before'])} -> {_said(step['now'])}" for step in steps]
        came_from = f"from {found.moved['from_segment_name']}, " if found.moved["from_segment_id"] is not None else "as new, "
        yield f"Came {came_from}{CAUSES[MoveCause(found.moved['cause'])]}{': ' if changed else ''}{', '.join(changed)}."
    for action in found.actions[:1]:
        yield f"Action: {action['action']} ({action['channel']})."


def _in_bins(found: Why, settings: Settings) -> str:
    return "; ".join(f"{_with_value(name, found.known.get(name), settings)} ({_around(*cuts)})" for name, cuts in found.bins.items())


def _called(feature: str, settings: Settings) -> str:
    """What people call a feature."""
    return settings.labels.get(feature, feature)


def _with_value(feature: str, value: Any, settings: Settings) -> str:
    """A feature and its value with the unit, where the settings have one."""
    words = settings.attributes.get(feature)
    unit = settings.exploration.money if feature == "monetary" else words.unit if words else ""
    return f"{_called(feature, settings)} {_said(value)}{f' {unit}' if unit and value is not None else ''}"


def _around(above: float | None, up_to: float | None) -> str:
    """A bin in words."""
    ends = [f"{word} {_said(cut)}" for word, cut in (("above", above), ("up to", up_to)) if cut is not None]
    return ", ".join(ends)


def _medians(pull: Pull) -> str:
    if pull.median is None or pull.other_median is None:
        return ""
    return f"; medians {_said(pull.median)} and {_said(pull.other_median)}"


CAUSES = {
    MoveCause.BEHAVIOUR: "by own behaviour",
    MoveCause.MODEL: "because the model changed",
    MoveCause.BOTH: "by own behaviour and because the model changed",
}


def _movement(moved: dict[str, Any] | None, settings: Settings) -> str:
    if moved is None:
        return "not since the first snapshot."
    came_from = f"from {moved['from_segment_name']} ({moved['from_segment_id']})" if moved["from_segment_id"] is not None else "as new"
    steps = [
        f"{_called(step['feature'], settings)} {_said(step['before'])} -> {_said(step['now'])} ({step['share']:+.0%})"
        for step in moved["features"]
    ]
    why_moved = f"{CAUSES[MoveCause(moved['cause'])]}{': ' if steps else ''}{', '.join(steps)}"
    return f"{moved['snapshot_date']}, {came_from} to {moved['to_segment_name']} ({moved['to_segment_id']}), {why_moved}."


def _said(value: Any) -> str:
    if value is None:
        return "unknown"
    return f"{value:,.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
