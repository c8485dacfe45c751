"""The summary at the end of a run: segments, who moved, and what drifted; and the list of models. Read from the published database."""

import datetime as dt
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
from rich.console import Console
from rich.table import Table

from segmentation_assets.core.choice.attribute_validity import in_words
from segmentation_assets.core.choice.readings import in_digits
from segmentation_assets.core.customers import volume
from segmentation_assets.core.model.drift import unmeasured
from segmentation_assets.report.words import Words, hidden_of
from segmentation_assets.store import database_files, published, small_cells
from segmentation_assets.vocabulary import BASELINE_WORDS, OF_SPEND, WITHOUT_ORDERS, Baseline, Decision, beside, counted, points

MOST_MOVES = 8
WORDS = Words()


@dataclass(frozen=True)
class Summary:
    """The rows to print for a snapshot, and the date of the snapshot before it (None: there is none)."""

    snapshot: dt.date
    before: dt.date | None
    segments: pd.DataFrame
    moves: pd.DataFrame
    moved: int
    stayed: int
    drift: pd.DataFrame
    drift_unmeasured: str  # why drift was not measured; empty if it was
    model: str
    standing: str
    weakest_jaccard: float | None  # of the segments, on this snapshot's customers; None if the model is new or has no segments
    weakest_error: float | None  # its standard error; None also if an earlier version measured it
    missing: list[str]  # a sentence on each source with missing rows
    forward: dict[str, float]  # what its segments explain, of the spend since the previous snapshot and else; empty if unknown
    outcome: str | None = None
    labels: Mapping[str, str] | None = None
    has_orders: bool = True  # or the source has none
    moves_hidden: bool = False  # whether some moves are of so few customers that their number is hidden


def read(data_dir: Path, key: str, outcome: str | None = None, labels: Mapping[str, str] | None = None) -> Summary:
    """The summary of a published snapshot; `outcome` and `labels` are those of the settings.

    Raises:
        PublishError: nothing was published yet, or this snapshot was not.
    """
    with published.reading(data_dir) as database:

        def rows(query: str) -> pd.DataFrame:
            return database.execute(query, [key] * query.count("?")).df()

        found = rows("FROM segments WHERE snapshot_date = CAST(? AS DATE) ORDER BY revenue DESC NULLS LAST, segment_id")
        if found.empty and database.execute("FROM published_snapshots WHERE snapshot_date = CAST(? AS DATE)", [key]).fetchone() is None:
            raise database_files.PublishError(f"Snapshot {key} is not in the database. Run it: segmentation run --snapshot {key}")
        hides = database.execute(_HIDES, [small_cells.SMALL_CELL])
        moves = rows(_MOVES.format(small=f"t.{small_cells.SMALL_CELL}" if hides.fetchone() else "NULL"))
        drift = rows(
            "SELECT subject, statistic, value, threshold, q_value, in_model, flagged FROM drift_report"
            " WHERE snapshot_date = CAST(? AS DATE) ORDER BY in_model DESC, value DESC, subject"
        )
        before = database.execute(
            "SELECT max(snapshot_date) FROM published_snapshots WHERE snapshot_date < CAST(? AS DATE)", [key]
        ).fetchone()
        registered = rows(
            "SELECT model_version, decision, reason, tier_reason FROM model_registry WHERE snapshot_date = CAST(? AS DATE)"
            " ORDER BY in_force DESC"
        )
        missing = _missing(database, key)
        has_orders = found.empty or database.execute(_UNORDERED, [key]).fetchone() is None
        # Without customers, nothing was evaluated.
        measured = {} if found.empty else dict(database.execute(_MEASURED, [key]).fetchall())
    known = moves[(moves["came_from"] != ENTERED)]
    same = known["came_from"] == known["went_to"]
    return Summary(
        snapshot=dt.date.fromisoformat(key), before=before[0] if before else None, segments=found,
        moves=moves[moves["came_from"] != moves["went_to"]].head(MOST_MOVES),
        moved=int(known.loc[~same, "customers"].sum()), stayed=int(known.loc[same, "customers"].sum()),
        moves_hidden=bool(known["customers"].isna().any()), drift=drift, has_orders=has_orders, outcome=outcome, labels=labels,
        drift_unmeasured=unmeasured(drift),
        model="\n".join(
            f"{'Model' if place == 0 else 'Challenger'} {row.model_version}, {row.decision}. {row.reason}"
            for place, row in enumerate(registered.itertuples())
        ),
        standing=next((reason for reason in registered["tier_reason"].head(1) if isinstance(reason, str)), ""),
        weakest_jaccard=measured.get("weakest_jaccard") if Decision.CARRIED in set(registered["decision"]) else None,
        weakest_error=measured.get("weakest_jaccard_error"), missing=missing,
        forward={name: value for name, value in measured.items() if not name.startswith("weakest_jaccard")},
    )  # fmt: skip


def _missing(database: duckdb.DuckDBPyConnection, key: str) -> list[str]:
    """A sentence on each source whose window was unusual; none for snapshots that an earlier version published."""
    if "source_volume" not in database_files.shown_in(database):
        return []
    query = (
        "SELECT sentence FROM source_volume WHERE snapshot_date = CAST(? AS DATE) AND NOT list_contains(?, verdict) ORDER BY source DESC"
    )
    return [sentence for (sentence,) in database.execute(query, [key, list(volume.QUIET)]).fetchall()]


ENTERED = "(entered)"
_MEASURED = """
    SELECT metric, value FROM evaluation_metrics
    WHERE snapshot_date = CAST(? AS DATE) AND isfinite(value) AND (
        metric LIKE 'forward_spend%' OR metric LIKE 'weakest_jaccard%' OR metric SIMILAR TO '(attributes|outcome|forward_outcome)_.*'
    )
"""
_UNORDERED = "SELECT 1 FROM customer_features WHERE snapshot_date = CAST(? AS DATE) AND frequency IS NULL LIMIT 1"
_HIDES = "SELECT 1 FROM duckdb_columns() WHERE table_name = 'segment_transitions' AND column_name = ?"
_MOVES = """
    WITH last_names AS (
        SELECT segment_id, arg_max(segment_name, snapshot_date) AS name
        FROM segments WHERE snapshot_date <= CAST(? AS DATE) GROUP BY segment_id
    ), names AS (
        SELECT segment_id,
               name || CASE WHEN count(*) OVER (PARTITION BY name) > 1 THEN ' (' || segment_id || ')' ELSE '' END AS segment_name
        FROM last_names
    )
    SELECT coalesce(a.segment_name, '(entered)') AS came_from, coalesce(b.segment_name, '(left)') AS went_to,
           t.customers, t.revenue_before, t.revenue_after, {small} AS small_cell
    FROM segment_transitions t
    LEFT JOIN names a ON a.segment_id = t.from_segment_id
    LEFT JOIN names b ON b.segment_id = t.to_segment_id
    WHERE t.snapshot_date = CAST(? AS DATE)
    ORDER BY t.customers DESC NULLS LAST, came_from, went_to
"""


def show(summary: Summary, console: Console, warned: bool = False) -> None:
    """Print the summary as tables; `warned`: the reader has already seen the warnings of missing rows."""
    if not _begun(summary, console, () if warned else summary.missing):
        return
    shares = _shares(summary)
    segments = _table(f"Segments of {summary.snapshot}", ("Segment", "Customers", *shares, "What marks them out"))
    for row in summary.segments.itertuples():
        of_all = [f"{row.share:.1%}", "" if pd.isna(row.revenue_share) else f"{row.revenue_share:.1%}"][: len(shares)]
        segments.add_row(
            row.segment_name, *_figures(row, f"{row.customers:,.0f}", *of_all), "" if pd.isna(row.description) else row.description
        )
    console.print(segments)
    _say_if_hidden(summary, console)
    if not summary.has_orders:
        console.print(WITHOUT_ORDERS)
    console.print(summary.model)
    if summary.standing:
        console.print(summary.standing)
    if summary.weakest_jaccard is not None:
        error = "" if summary.weakest_error is None else f" \u00b1 {summary.weakest_error:.2f}"
        console.print(
            f"On the customers of {summary.snapshot}, its weakest segment has a Jaccard of {in_digits(summary.weakest_jaccard)}{error} "
            "(from 0.75 on it counts as found again, below 0.60 as dissolved).",
        )
    if "forward_spend_eta_squared" in summary.forward:
        console.print(_forward(summary))
    compared = [baseline for baseline in OF_SPEND if f"forward_spend_gain_over_{baseline}_low" in summary.forward]
    if compared:
        console.print(_baselines(summary.forward, compared))
    for sentence in in_words(summary.forward, summary.before, summary.outcome, summary.labels):
        console.print(sentence)
    if summary.before is None:
        console.print("\nThere is no earlier snapshot, so no customer has moved yet.")
    else:
        console.print(f"\n{_moved(summary)}")
    if summary.before is not None and len(summary.moves):
        revenue = ("Revenue before", "Revenue after") if summary.has_orders else ()
        moves = _table("", ("From", "To", "Customers", *revenue))
        for row in summary.moves.itertuples():
            spent = [f"{row.revenue_before:,.0f}", f"{row.revenue_after:,.0f}"][: len(revenue)]
            moves.add_row(row.came_from, row.went_to, *_figures(row, f"{row.customers:,.0f}", *spent))
        console.print(moves)
    console.print()
    for line in _drift(summary):
        console.print(line)


def _begun(summary: Summary, console: Console, warnings: Sequence[str]) -> bool:
    """Print the warnings, and that there are no customers, if so; return whether there are any."""
    for sentence in warnings:
        console.print(f"Warning: {sentence}", style="yellow")
    if summary.segments.empty:
        console.print(f"No customers are known at {summary.snapshot}: the source has no rows before it.")
    return not summary.segments.empty


def _shares(summary: Summary) -> tuple[str, ...]:
    return ("Share", "Revenue share") if summary.has_orders else ("Share",)


def _say_if_hidden(summary: Summary, console: Console) -> None:
    if small_cells.SMALL_CELL in summary.segments and summary.segments[small_cells.SMALL_CELL].notna().any():
        console.print("Hidden are figures of few customers, and those that would tell another such figure (privacy.smallest_cell).")


def show_in_brief(summary: Summary, console: Console) -> None:
    """Print a line per segment, and one each on who moved and what drifted, for a window of 80 columns."""
    if not _begun(summary, console, summary.missing):
        return
    shares = _shares(summary)
    title = f"Segments of {summary.snapshot}"
    segments = Table(title=title, title_justify="left", title_style="bold", header_style="bold", box=None, padding=(0, 1, 0, 0))
    segments.add_column("Segment", overflow="fold")
    for heading in ("Customers", *shares):
        segments.add_column(heading, justify="right", no_wrap=True)
    for row in summary.segments.itertuples():
        hidden = hidden_of(row)
        of_all = [WORDS.share(row.share, hidden), WORDS.share(row.revenue_share, hidden)][: len(shares)]
        segments.add_row(row.segment_name, WORDS.number(row.customers, hidden), *of_all)
    console.print(segments)
    _say_if_hidden(summary, console)
    if summary.before is not None:
        console.print(_moved(summary).removesuffix(" The largest moves:"))
    console.print(_drift_in_brief(summary))


def _drift_in_brief(summary: Summary) -> str:
    if summary.drift_unmeasured:
        return f"Drift was not measured: {summary.drift_unmeasured}."
    flagged = summary.drift[summary.drift["flagged"].eq(True)]
    used = int(flagged["in_model"].eq(True).sum())
    if flagged.empty:
        return "Nothing that was measured has drifted since the model was trained."
    return f"Drifted since the model was trained: {used} of what the model uses, {len(flagged) - used} of the rest."


def as_dict(summary: Summary) -> dict[str, Any]:
    """The summary as plain values, for JSON; what is hidden or not known is null."""

    def rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(frame.to_json(orient="records", date_format="iso"))
        return found

    return {
        "snapshot_date": summary.snapshot.isoformat(),
        "previous_snapshot_date": summary.before.isoformat() if summary.before else None,
        "segments": rows(summary.segments.drop(columns="snapshot_date", errors="ignore")),
        "customers_moved": summary.moved,
        "customers_stayed": summary.stayed,
        "some_moves_are_hidden": summary.moves_hidden,
        "largest_moves": rows(summary.moves),
        "drift": rows(summary.drift),
        "drift_not_measured_because": summary.drift_unmeasured or None,
        "model": summary.model,
        "missing_rows": summary.missing,
    }


def _figures(row: Any, *figures: str) -> list[str]:
    """The figures of a row; where they are hidden because they are of few customers, this instead of the first."""
    hidden = getattr(row, small_cells.SMALL_CELL, None)
    return [hidden, *[""] * (len(figures) - 1)] if isinstance(hidden, str) else list(figures)


def _moved(summary: Summary) -> str:
    some = summary.moves_hidden
    moved = f"Since {summary.before}, {_at_least(summary.moved, some, 'customer')} moved and {_at_least(summary.stayed, some)} stayed."
    return f"{moved} The largest moves:" if len(summary.moves) else moved


def _at_least(number: int, some_hidden: bool, noun: str = "") -> str:
    """A number of customers, where some may be hidden, which are in no sum.

    >>> _at_least(3, True, "customer"), _at_least(0, True, "customer"), _at_least(0, True), _at_least(1, False, "customer")
    ('at least 3 customers', 'a hidden number of customers', 'a hidden number', '1 customer')
    """
    if some_hidden and not number:
        return f"a hidden number{f' of {noun}s' if noun else ''}"
    return f"{'at least ' if some_hidden else ''}{counted(number, noun) if noun else f'{number:,}'}"


def _drift(summary: Summary) -> Iterator[str]:
    """A line on each subject that has drifted, or that nothing has; and what could not be measured."""
    if summary.drift_unmeasured:
        yield f"Drift was not measured: {summary.drift_unmeasured}."
        return
    flagged, unknown = (summary.drift[found] for found in (summary.drift["flagged"].eq(True), summary.drift["q_value"].isna()))
    if flagged.empty:
        without = f" Not measured: {', '.join(unknown['subject'])}." if len(unknown) else ""
        yield f"Nothing has drifted since the model was trained.{without}"
        return
    yield "Drifted since the model was trained:"
    for row in flagged.itertuples():
        concern = "" if row.in_model else ", which the model does not use"
        yield f"  {row.subject}{concern}: {row.statistic.upper()} {beside(row.value, row.threshold, 2)}, q = {row.q_value:.2g}"


def _forward(summary: Summary) -> str:
    """How much of the spend since the previous snapshot its segments explain, as a sentence."""
    return (
        f"The segments of {summary.before} explain {summary.forward['forward_spend_eta_squared']:.1%} of the differences in spend since. "
        "Segments are for acting, not for forecasting."
    )


def _baselines(forward: dict[str, float], compared: list[Baseline]) -> Table:
    """What groups cut without a model explain of the same."""
    table = _table("", ("Customers grouped by", "Explained", "Gain of the segments", "95% interval"))
    for baseline in compared:
        gain = f"forward_spend_gain_over_{baseline}"
        table.add_row(
            BASELINE_WORDS[baseline],
            f"{forward[f'forward_spend_eta_squared_{baseline}']:.1%}",
            f"{beside(points(forward[gain]), 0, 1)} points",
            f"{beside(points(forward[f'{gain}_low']), 0, 1)} to {beside(points(forward[f'{gain}_high']), 0, 1)}",
        )
    return table


def read_models(data_dir: Path) -> pd.DataFrame:
    """Every model that was in force or refused, oldest first, with the reason in a sentence.

    Raises:
        PublishError: nothing was published yet.
    """
    with published.reading(data_dir) as database:
        return database.execute(_MODELS).df()


def models_as_json(found: pd.DataFrame) -> str:
    """The models as a list of objects; days as in 2024-02-01, null where a model never was in force."""
    days = {name: found[name].dt.strftime("%Y-%m-%d") for name in ("since", "until", "decided")}
    return json.dumps(json.loads(found.assign(**days).to_json(orient="records")), indent=2)


def show_models(found: pd.DataFrame, console: Console) -> None:
    """Print the models of `read_models`."""
    models = _table("", ("Model", "k", "Tier", "In force", "Decision", "Why"))
    for row in found.itertuples():
        span = "never" if pd.isna(row.since) else f"{row.since:%Y-%m-%d} to {row.until:%Y-%m-%d}"
        models.add_row(row.model_version, str(row.k), row.tier or "", span, f"{row.decision}\n{row.decided:%Y-%m-%d}", row.reason)
    console.print(models)


# The decision that users ask about: each model's latest that did not merely carry it forward.
_MODELS = """
    SELECT model_version, any_value(k) AS k, any_value(tier) AS tier,
           min(snapshot_date) FILTER (in_force) AS since, max(snapshot_date) FILTER (in_force) AS until,
           arg_max(decision, snapshot_date) FILTER (decision <> 'carried forward') AS decision,
           arg_max(reason, snapshot_date) FILTER (decision <> 'carried forward') AS reason,
           max(snapshot_date) FILTER (decision <> 'carried forward') AS decided
    FROM model_registry GROUP BY model_version ORDER BY min(fitted_snapshot), model_version
"""


def _table(title: str, columns: tuple[str, ...]) -> Table:
    table = Table(title=title or None, title_justify="left", title_style="bold", header_style="bold")
    for column in columns:
        numeric = column in {"Customers", "Share", "Revenue share", "Revenue before", "Revenue after"}
        whole = numeric or column in {"Model", "Decision"}  # names and sentences wrap, so that nothing is cut in a narrow window
        table.add_column(column, justify="right" if numeric else "left", no_wrap=whole, overflow="fold")
    return table
