"""What a run ends with: the segments, who moved, and what drifted, read back from the published database."""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.table import Table

from segmentation_assets import publish

MOST_MOVES = 8


@dataclass(frozen=True)
class Summary:
    """Rows of a snapshot as people read them, and the date of the snapshot before it (None: there is none)."""

    snapshot: dt.date
    before: dt.date | None
    segments: pd.DataFrame
    moves: pd.DataFrame
    moved: int
    stayed: int
    drift: pd.DataFrame
    model: str


def read(data_dir: Path, key: str) -> Summary:
    """The summary of a published snapshot.

    Raises:
        PublishError: nothing was published yet, or not this snapshot.
    """
    with publish.reading(data_dir) as database:

        def rows(query: str) -> pd.DataFrame:
            return database.execute(query, [key] * query.count("?")).df()

        found = rows("FROM segments WHERE snapshot_date = CAST(? AS DATE) ORDER BY revenue DESC, segment_id")
        if found.empty:
            raise publish.PublishError(f"Snapshot {key} is not in the database. Run it: segmentation run --snapshot {key}")
        moves = rows(_MOVES)
        drift = rows(
            "SELECT kind, subject, value, threshold FROM drift_report WHERE snapshot_date = CAST(? AS DATE) AND flagged ORDER BY value DESC"
        )
        before = database.execute(
            "SELECT max(snapshot_date) FROM published_snapshots WHERE snapshot_date < CAST(? AS DATE)", [key]
        ).fetchone()
        registered = rows(
            "SELECT model_version, decision, reason, tier_reason FROM model_registry WHERE snapshot_date = CAST(? AS DATE)"
        ).iloc[0]
    known = moves[(moves["came_from"] != ENTERED)]
    same = known["came_from"] == known["went_to"]
    return Summary(
        snapshot=dt.date.fromisoformat(key), before=before[0] if before else None, segments=found,
        moves=moves[moves["came_from"] != moves["went_to"]].head(MOST_MOVES),
        moved=int(known.loc[~same, "customers"].sum()), stayed=int(known.loc[same, "customers"].sum()), drift=drift,
        model=f"Model {registered['model_version']}, {registered['decision']}. {registered['reason']}\n"
        f"{registered['tier_reason'] if isinstance(registered['tier_reason'], str) else ''}".strip(),
    )  # fmt: skip


ENTERED = "(entered)"
_MOVES = """
    WITH names AS (
        SELECT segment_id, arg_max(segment_name, snapshot_date) AS segment_name
        FROM segments WHERE snapshot_date <= CAST(? AS DATE) GROUP BY segment_id
    )
    SELECT coalesce(a.segment_name, '(entered)') AS came_from, coalesce(b.segment_name, '(left)') AS went_to,
           t.customers, t.revenue_before, t.revenue_after
    FROM segment_transitions t
    LEFT JOIN names a ON a.segment_id = t.from_segment_id
    LEFT JOIN names b ON b.segment_id = t.to_segment_id
    WHERE t.snapshot_date = CAST(? AS DATE)
    ORDER BY t.customers DESC, came_from, went_to
"""


def show(summary: Summary, console: Console) -> None:
    """Print the summary as tables."""
    segments = _table(f"Segments of {summary.snapshot}", ("Segment", "Customers", "Share", "Revenue share", "What marks them out"))
    for row in summary.segments.itertuples():
        segments.add_row(row.segment_name, f"{row.customers:,}", f"{row.share:.1%}", f"{row.revenue_share:.1%}", row.description)
    console.print(segments)
    console.print(summary.model, highlight=False)
    if summary.before is None:
        console.print("\nThere is no snapshot before it, so nobody has moved yet.")
    else:
        console.print(
            f"\nSince {summary.before}, {summary.moved:,} customers moved and {summary.stayed:,} stayed. The largest moves:",
            highlight=False,
        )
        moves = _table("", ("From", "To", "Customers", "Revenue before", "Revenue after"))
        for row in summary.moves.itertuples():
            moves.add_row(row.came_from, row.went_to, f"{row.customers:,}", f"{row.revenue_before:,.0f}", f"{row.revenue_after:,.0f}")
        console.print(moves)
    if summary.drift.empty:
        console.print("\nNothing has drifted since the model was trained.")
        return
    console.print("\nDrifted since the model was trained (population stability index, PSI):")
    for row in summary.drift.itertuples():
        what = "the segment mix" if row.kind == "segment_mix" else row.subject
        console.print(f"  {what}: PSI {row.value:.2f}, above {row.threshold:.2f}", highlight=False)


def _table(title: str, columns: tuple[str, ...]) -> Table:
    table = Table(title=title or None, title_justify="left", title_style="bold", header_style="bold")
    for column in columns:
        numeric = column in {"Customers", "Share", "Revenue share", "Revenue before", "Revenue after"}
        table.add_column(column, justify="right" if numeric else "left", no_wrap=numeric or column in {"Segment", "From", "To"})
    return table
