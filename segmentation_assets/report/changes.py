"""The page of changes since the snapshot before: who went where, why revenue changed, what became of segments, drift and the model.

Belongs here: pure functions from `tables.Tables` to the page's tables and sentences. Hidden figures stay hidden.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from segmentation_assets.core.model.drift import unmeasured
from segmentation_assets.report import sheets
from segmentation_assets.report.cards import BRIDGE, NOT_MEASURED
from segmentation_assets.report.sheets import Sheet, Shown
from segmentation_assets.report.tables import Tables
from segmentation_assets.report.words import Words, said
from segmentation_assets.vocabulary import SegmentChange

NEW, GONE = "(new customers)", "(no longer known)"
CHANGED = {
    "flow": "Who went where", "bridge": "Why revenue changed", "journeys": "Ways through the segments", "events": "What became of segments",
    "model": "The model", "drift": "Drift",
}  # fmt: skip
"""Headings of the page by their anchor, in its order."""
MEASURES = {"psi": "PSI", "auc": "AUC"}
"""Statistics of drift_report; both are explained on the page."""


@dataclass(frozen=True)
class ChangesPage:
    """What the page of changes says.

    Attributes:
        summary: the three sentences of the start page; the page puts all events in place of the second.
        flow, bridge, journeys, drift: tables; None: there is nothing to show.
        events, decisions: sentences.
    """

    summary: tuple[str, ...]
    flow: Sheet | None
    bridge: Sheet | None
    journeys: Sheet | None
    events: tuple[str, ...]
    drift: Sheet | None
    drift_missing: str
    decisions: tuple[str, ...]


def changes_page(tables: Tables, words: Words, names: dict[int, str], summary: tuple[str, ...]) -> ChangesPage:
    """Everything the page says; `names` are those of all segments so far, `summary` the sentences of the start page."""
    return ChangesPage(
        summary=summary,
        flow=flow(tables, words, names),
        bridge=bridge(tables, words, names),
        journeys=journeys(tables, words),
        events=tuple(events(tables, words)),
        drift=drift(tables, words),
        drift_missing=unmeasured(tables["drift_report"]),
        decisions=tuple(decisions(tables, words)),
    )


def flow(tables: Tables, words: Words, names: dict[int, str]) -> Sheet | None:
    """How many customers went from which segment to which, and what they spent at both snapshots; those who stayed are left out."""
    rows = tables["segment_transitions"]
    rows = rows[rows["from_segment_id"].isna() | (rows["from_segment_id"] != rows["to_segment_id"])]
    if rows.empty:
        return None
    rows = rows.assign(
        origin=[_called(value, names, NEW) for value in rows["from_segment_id"]],
        goal=[_called(value, names, GONE) for value in rows["to_segment_id"]],
        difference=rows["revenue_after"] - rows["revenue_before"],
    ).sort_values("customers", ascending=False, kind="stable")
    columns = [
        sheets.text("origin", "From"), sheets.text("goal", "To"), sheets.count("customers", "Customers"),
        sheets.count("customers_by_model", "Of them, elsewhere by the earlier model"),
    ]  # fmt: skip
    if words.has_orders:
        columns += [
            sheets.money("revenue_before", "Their revenue before"), sheets.money("revenue_after", "Now"),
            sheets.change("difference", "Difference"),
        ]  # fmt: skip
    return sheets.sheet(rows, columns, words, "Customers who changed segment, the largest moves first", "segment_transitions")


def _called(segment_id: float, names: dict[int, str], nowhere: str) -> str:
    return nowhere if pd.isna(segment_id) else names.get(int(segment_id), "?")


def bridge(tables: Tables, words: Words, names: dict[int, str]) -> Sheet | None:
    """The revenue of each segment at both snapshots, and what changed it."""
    rows = tables["segment_bridge"]
    if rows.empty:
        return None
    wide = rows.pivot(index="segment_id", columns="component", values="revenue")
    wide = wide.reindex(columns=["before", *BRIDGE, "after"]).reset_index()
    wide["segment"] = [names.get(int(segment_id), "?") for segment_id in wide["segment_id"]]
    wide = wide.sort_values("after", ascending=False, kind="stable")
    causes: list[Shown] = [sheets.change(component, told[0].upper() + told[1:]) for component, told in BRIDGE.items()]
    columns = [sheets.text("segment", "Segment"), sheets.money("before", "Revenue before"), *causes, sheets.money("after", "Revenue now")]
    return sheets.sheet(wide, columns, words, "What changed the revenue of each segment", "segment_bridge")


def journeys(tables: Tables, words: Words) -> Sheet | None:
    """The commonest ways of customers through the segments."""
    rows = tables["segment_journeys"]
    if rows.empty:
        return None
    rows = rows.sort_values("rank", kind="stable")
    columns = [sheets.text("path_names", "Way"), sheets.count("customers", "Customers"), sheets.share("share", "Share of all")]
    return sheets.sheet(rows, columns, words, "The commonest ways through the segments", "segment_journeys")


def events(tables: Tables, words: Words) -> Iterator[str]:
    """What became of segments, all of it: those of the highest revenue first, then of the most customers, before or after."""
    rows = tables["segment_events"]
    happened = [row for row in rows.itertuples() if row.event != SegmentChange.SURVIVED]
    yield from (words.told(row.sentence) for row in sorted(happened, key=lambda row: _size(tables, row), reverse=True))


def _size(tables: Tables, event: Any) -> tuple[float, float]:
    """Revenue and customers of the segments of an event, as known: the larger of before and after."""
    sides = ((tables.before, event.from_segment_ids), (tables.key, event.to_segment_ids))
    sums = [
        tables.history.loc[
            (pd.to_datetime(tables.history["snapshot_date"]) == pd.Timestamp(day)) & tables.history["segment_id"].isin(_ids(ids)),
            ["revenue", "customers"],
        ].sum()
        for day, ids in sides
    ]
    return max(float(one["revenue"]) for one in sums), max(float(one["customers"]) for one in sums)


def _ids(listed: object) -> list[int]:
    return [int(one) for one in listed.split(",") if one.strip()] if isinstance(listed, str) else []


def drift(tables: Tables, words: Words) -> Sheet | None:
    """What was measured for drift: what the model uses first, then by how far it has moved."""
    rows = tables["drift_report"]
    if rows.empty:
        return None
    rows = rows.assign(
        what=[said(words.label(subject)) for subject in rows["subject"]],
        measure=[MEASURES.get(statistic, statistic) for statistic in rows["statistic"]],
        verdict=[verdict(row.flagged, row.q_value) for row in rows.itertuples()],
    ).sort_values(["in_model", "value"], ascending=False, na_position="last", kind="stable")
    columns = [
        sheets.text("what", "What"), sheets.text("verdict", "Has it drifted?"),
        sheets.truth("in_model", "Does the model use it?"), sheets.text("measure", "Measure"), sheets.decimal("value", "How far"),
        sheets.decimal("threshold", "Worth a mention from"), sheets.chance("q_value", "Chance of as much without drift (q)"),
    ]  # fmt: skip
    return sheets.sheet(rows, columns, words, "What was measured for drift", "drift_report")


def verdict(flagged: object, q_value: float) -> str:
    """Whether something has drifted, in a word or two.

    >>> verdict(True, 0.01), verdict(False, 0.5), verdict(None, float("nan"))
    ('yes', 'no', 'not measured')
    """
    if pd.isna(q_value):
        return NOT_MEASURED
    return "yes" if flagged is True or flagged == 1 else "no"


def decisions(tables: Tables, words: Words) -> Iterator[str]:
    """What was decided of models at this snapshot, and why; that of the model in force first."""
    rows = tables["model_registry"].sort_values("in_force", ascending=False, kind="stable")
    for row in rows.itertuples():
        for sentence in (row.reason, row.tier_reason if row.in_force else None):
            if isinstance(sentence, str):
                yield words.told(sentence).removesuffix(".") + "."
