"""Movement between segments: who moved and why, what it did to revenue, and the most common paths.

Belongs here: comparing customers' segments at two or more snapshots. `identity` decides which segments survive a retraining;
pictures are in `pictures.movement`.

Two snapshots are `before` and `after`, one row per customer: customer_id, segment_id (above 0 by the model, 0 unassigned by
it, -1 lapsed, -2 prospect, -3 returns only, -4 former) and revenue (spend within the lookback; missing counts as 0). `after` may have
`segment_id_unchanged`: the segment that the model in force at the previous snapshot would assign now. If it differs from
segment_id, the model changed and not the customer. Without the column, or if its value is missing, the model did not change.
"""

from collections.abc import Callable, Mapping, Sequence

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from segmentation_assets.core.customers.columns import Customers
from segmentation_assets.vocabulary import Move, MoveCause

COMPONENTS = ("before", "stayed", "came", "left", "entered", "lapsed", "model", "after")
NEW, AWAY = "(new)", "(away)"
NEVER = ""  # no date: a history without rows has a column too
_ABSENT, _UNBORN, _END = -(2**31), -(2**31) + 1, -(2**31) + 2  # in place of a segment id, below all of them
_UNKNOWN = 2**31 - 1  # the same, after all of them


def matched(before: ir.Table, after: ir.Table) -> ir.Table:
    """One row per customer at either snapshot, without the id; those of `before` come first.

    Args:
        before, after: as described for the module.

    Returns:
        from_segment_id, to_segment_id, own_segment_id (the one under the unchanged model), revenue_before and revenue_after.
    """
    unchanged = after["segment_id_unchanged"] if "segment_id_unchanged" in after.columns else after["segment_id"]
    was = before.select(known="customer_id", from_segment_id="segment_id", revenue_before="revenue")
    now = after.select(
        "customer_id",
        to_segment_id="segment_id",
        own_segment_id=ibis.coalesce(unchanged, after["segment_id"]),
        revenue_after="revenue",
    )
    both = was.outer_join(now, was["known"] == now["customer_id"])
    ordered = both.order_by(both["known"].isnull(), ibis.coalesce(both["known"], both["customer_id"]))
    return ordered.drop("known", "customer_id")


def transitions(both: Customers) -> pd.DataFrame:
    """Customers who moved between segments, with their revenue on both sides.

    Args:
        both: the rows of `matched`.

    Returns:
        from_segment_id, to_segment_id (missing for customers who entered or left), customers, revenue_before, revenue_after, and
        customers_by_model: the number of customers whom the model before would have placed elsewhere.
        Sums over rows and columns equal the segments' sizes and revenues on both sides.

    >>> before = ibis.memtable({"customer_id": ["a", "b"], "segment_id": [1, 1], "revenue": [5.0, 7.0]})
    >>> after = ibis.memtable({"customer_id": ["a", "b"], "segment_id": [1, 2], "revenue": [6.0, 8.0]})
    >>> transitions(matched(before, after).to_pandas())[["from_segment_id", "to_segment_id", "customers", "revenue_after"]].values.tolist()
    [[1, 1, 1, 6.0], [1, 2, 1, 8.0]]
    """
    was, own, now = (_ids(both[side], _UNKNOWN) for side in ("from_segment_id", "own_segment_id", "to_segment_id"))
    by_model = (now != _UNKNOWN) & (own != now)
    sources, targets = np.unique(was), np.unique(now)
    pairs = (np.searchsorted(sources, was) * len(targets) + np.searchsorted(targets, now)).astype(np.int32)
    del was, own, now
    found, sizes = np.unique(pairs, return_counts=True)
    return pd.DataFrame({
        "from_segment_id": _known(sources[found // len(targets)]), "to_segment_id": _known(targets[found % len(targets)]),
        "customers": sizes,
        **{side: both[side].groupby(pairs).sum().to_numpy(np.float64) for side in ("revenue_before", "revenue_after")},
        "customers_by_model": np.bincount(pairs[by_model], minlength=len(sources) * len(targets))[found],
    })  # fmt: skip


def _ids(values: pd.Series, absent: int) -> NDArray[np.int32]:
    """Segment ids (n,), in four bytes each; `absent` where there is none."""
    return np.asarray(values.fillna(absent).to_numpy(), dtype=np.int32)


def _known(ids: NDArray[np.int32]) -> pd.Series:
    """Segment ids (n,), missing where they are _UNKNOWN."""
    return pd.Series(ids, dtype="Int64").mask(ids == _UNKNOWN)


def changes(before: ir.Table, after: ir.Table) -> ir.Table:
    """Customers who are in another segment than before, one row each; none if nobody was known before.

    Args:
        before, after: as described for the module, without revenue.

    Returns:
        customer_id, change (a `Move`), from_segment_id, to_segment_id, cause (a `MoveCause`), by the rule of `bridge`: with P the
        segment before, U the one under the unchanged model and S the one now, it is `behaviour` if U = S, `model` if U = P, else `both`.
    """
    unchanged = after["segment_id_unchanged"] if "segment_id_unchanged" in after.columns else after["segment_id"]
    was = before.select(known="customer_id", from_segment_id="segment_id")
    now = after.select("customer_id", to_segment_id="segment_id", unchanged=ibis.coalesce(unchanged, after["segment_id"]))
    both = was.outer_join(now, was["known"] == now["customer_id"]).filter(before.count() > 0)
    came_from, went_to, own = both["from_segment_id"], both["to_segment_id"], both["unchanged"]
    moved = both.filter(~came_from.identical_to(went_to))
    return moved.select(
        "from_segment_id", "to_segment_id",
        customer_id=ibis.coalesce(both["customer_id"], both["known"]),
        change=ibis.cases((came_from.isnull(), Move.ENTERED), (went_to.isnull(), Move.LEFT), else_=Move.MOVED),
        cause=ibis.cases(
            (own.identical_to(went_to), MoveCause.BEHAVIOUR), (own.identical_to(came_from), MoveCause.MODEL), else_=MoveCause.BOTH
        ),
    )  # fmt: skip


def bridge(both: Customers) -> pd.DataFrame:
    """How the revenue of each segment of the model changed between two snapshots; the components sum to the change exactly.

    Args:
        both: the rows of `matched`.

    Returns:
        segment_id, component, customers, revenue: eight rows for each segment above 0 that exists on either side, in the order of
        `COMPONENTS`, with 0 where nothing happened:

        before   revenue of its customers at the previous snapshot
        stayed   change in revenue of customers in it at both snapshots
        came     + revenue now of customers who moved here from another segment of the model, or from the unassigned
        left     - revenue before of customers who moved to another segment of the model, or to the unassigned
        entered  + revenue now of customers who are new, or were in a segment by rule: lapsed, prospects, returns only
        lapsed   - revenue before of customers who are now in a segment by rule, or no longer known
        model    + revenue now of customers reassigned to it by a change of model, - revenue before of those reassigned from it;
                 `customers` counts both
        after    revenue of its customers at this snapshot

    Leaving and arriving are classified separately, so a customer who moved and was also reassigned counts once in the segment they
    left and once in the one they reached. Let P be the segment before, U the one under the unchanged model, S the one now. If S = P,
    the customer `stayed`, whatever U is. Otherwise, in P: `model` if U = P, because they did not move themselves; else `lapsed` or
    `left`, depending on U. In S: `came` or `entered`, depending on P, if U = S; else `model`. For example, with P=1, U=2, S=3 the
    customer `left` 1 and reached 3 by `model`; segment 2 never had the customer and shows nothing. A reassigned customer's change in
    spend is part of `model`.
    """
    was, own, now = (_ids(both[side], _ABSENT) for side in ("from_segment_id", "own_segment_id", "to_segment_id"))
    moved = was != now
    put_out, put_in = moved & (own == was), moved & (own != now)
    went, arrived, was_left = moved & (own != was), moved & (own == now), own >= 0
    del own
    before, after = (both[side].fillna(0).to_numpy(np.float64) for side in ("revenue_before", "revenue_after"))
    parts: tuple[tuple[str, NDArray[np.int32], NDArray[np.bool_], Callable[[NDArray[np.bool_]], NDArray[np.float64]]], ...] = (
        ("before", was, np.ones(len(both), dtype=bool), lambda of: before[of]),
        ("stayed", now, ~moved, lambda of: after[of] - before[of]),
        ("came", now, arrived & (was >= 0), lambda of: after[of]),
        ("left", was, went & was_left, lambda of: -before[of]),
        ("entered", now, arrived & (was < 0), lambda of: after[of]),
        ("lapsed", was, went & ~was_left, lambda of: -before[of]),
        ("model", now, put_in, lambda of: after[of]),
        ("model", was, put_out, lambda of: -before[of]),
        ("after", now, np.ones(len(both), dtype=bool), lambda of: after[of]),
    )
    segments = np.union1d(np.unique(was), np.unique(now)).astype(np.int64)
    segments = segments[segments > 0]
    customers = np.zeros((len(segments), len(COMPONENTS)), dtype=np.int64)
    revenue = np.zeros(customers.shape)
    for component, side, counted, amount in parts:
        counted = counted & (side > 0)
        row, column = np.searchsorted(segments, side[counted]), COMPONENTS.index(component)
        customers[:, column] += np.bincount(row, minlength=len(segments))
        revenue[:, column] += np.bincount(row, weights=amount(counted), minlength=len(segments))
    return pd.DataFrame({
        "segment_id": np.repeat(segments, len(COMPONENTS)), "component": np.tile(np.array(COMPONENTS, dtype=object), len(segments)),
        "customers": customers.ravel(), "revenue": revenue.ravel(),
    })  # fmt: skip


def snapshots(history: ir.Table) -> ir.Table:
    """The dates of a history as text: `day`, oldest first."""
    return history.select(day=history.snapshot_date.cast("string")).distinct().order_by("day")


def paths(history: ir.Table, days: Sequence[str]) -> ir.Table:
    """How many customers went the same way, so that few rows leave the engine.

    Args:
        history: snapshot_date, customer_id, segment_id at consecutive snapshots.
        days: their dates, as `snapshots` gives them.

    Returns:
        One row per sequence of segments: `segment_<i>` at the i-th snapshot (missing if not known) and `customers`.
    """
    dated, nowhere = history.mutate(day=history.snapshot_date.cast("string")), ibis.null("int64")
    at = {f"segment_{i}": ibis.ifelse(dated.day == day, dated.segment_id, nowhere).max() for i, day in enumerate(days or [NEVER])}
    each = dated.group_by("customer_id").agg(**at)
    return each.group_by(list(at)).agg(customers=each.count())


def journeys(went: pd.DataFrame, names: Mapping[int, str], top: int = 20) -> pd.DataFrame:
    """The most common paths through the segments of customers known at the last snapshot.

    Args:
        went: the result of `paths`.
        names: name of each segment id, for `path_names`.
        top: number of paths to return.

    Returns:
        rank (from 1), path (segment ids, such as "3 > 1"), path_names, customers, share (of those known at the last snapshot).
        The paths with most customers come first, then by segment ids.

    A path says where a customer went, not when: a stay is one step, however long (`stays` has the lengths), and a customer who never
    moved has the path "3", by name "Champions throughout". A path starts with "(new)" if the customer was not known at the first
    snapshot, and has "(away)" for the time when a known customer was no longer known.
    """
    grid, customers = _grid(went)
    grid, customers = grid[grid[:, -1] != _ABSENT], customers[grid[:, -1] != _ABSENT]
    began = np.maximum.accumulate(grid != _ABSENT, axis=1)
    grid = np.where(began, grid, _UNBORN)
    steps = np.ones(grid.shape, dtype=bool)
    steps[:, 1:] = grid[:, 1:] != grid[:, :-1]
    packed = np.take_along_axis(np.where(steps, grid, _END), np.argsort(~steps, axis=1, kind="stable"), axis=1)
    columns = list(range(grid.shape[1]))
    best = pd.DataFrame({"customers": customers} | {i: packed[:, i] for i in columns}).groupby(columns, as_index=False)["customers"].sum()
    best = best.sort_values("customers", ascending=False, kind="stable").head(top)
    paths = [[step for step in path if step != _END] for path in best[columns].itertuples(index=False)]
    marks = {_UNBORN: NEW, _ABSENT: AWAY}
    spoken = [" > ".join(marks.get(step) or names.get(step, f"segment {step}") for step in path) for path in paths]
    throughout = [" throughout" if len(path) == 1 < len(columns) else "" for path in paths]
    return pd.DataFrame({
        "rank": np.arange(1, len(paths) + 1, dtype=np.int64),
        "path": pd.Series([" > ".join(marks.get(step) or str(step) for step in path) for path in paths], dtype=object),
        "path_names": pd.Series([name + end for name, end in zip(spoken, throughout, strict=True)], dtype=object),
        "customers": best["customers"].to_numpy(np.int64), "share": best["customers"].to_numpy(np.float64) / max(customers.sum(), 1),
    })  # fmt: skip


def stays(went: pd.DataFrame) -> pd.DataFrame:
    """How long customers have been in their segment, and where they are likely to go next.

    Args:
        went: the result of `paths`.

    Returns:
        One row per segment at the last snapshot, by id: segment_id, customers, and
        mean_snapshots, median_snapshots: length of the current stay, including this snapshot. It cannot exceed the history's length,
            so it is too short for customers who were there before.
        chance_to_move: share of customers in the segment at a snapshot and known at the next who are then in another; a rate per
            snapshot over the whole history, NaN if there are none.
        next_segment_id: the segment to which most movers went, the lowest id in a tie; missing if nobody moved.
        next_share: its share of the movers; NaN if nobody moved.
    """
    grid, customers = _grid(went)
    here, of_each = grid[grid[:, -1] != _ABSENT], customers[grid[:, -1] != _ABSENT]
    length = np.logical_and.accumulate((here == here[:, -1:])[:, ::-1], axis=1).sum(axis=1)
    every = pd.Series(np.repeat(length, of_each), dtype=np.int64)
    table = every.groupby(np.repeat(here[:, -1], of_each)).agg(["size", "mean", "median"]).rename_axis("segment_id")
    table.columns = ["customers", "mean_snapshots", "median_snapshots"]

    times = np.repeat(customers, grid.shape[1] - 1)
    pairs = pd.DataFrame({"from": grid[:, :-1].ravel(), "to": grid[:, 1:].ravel(), "customers": times})
    known = (pairs[["from", "to"]] != _ABSENT).all(axis=1)
    counts = pairs[known].groupby(["from", "to"])["customers"].sum().reset_index()
    moves = counts[counts["from"] != counts["to"]]
    likely = moves.sort_values(["from", "customers", "to"], ascending=[True, False, True]).drop_duplicates("from").set_index("from")
    movers, seen = (rows.groupby("from")["customers"].sum() for rows in (moves, counts))
    table["chance_to_move"] = (movers.reindex(seen.index, fill_value=0) / seen).reindex(table.index).astype(np.float64)
    table["next_segment_id"] = likely["to"].reindex(table.index).astype("Int64")
    table["next_share"] = (likely["customers"] / movers).reindex(table.index).astype(np.float64)
    return table.reset_index().astype(
        {"segment_id": np.int64, "customers": np.int64, "mean_snapshots": np.float64, "median_snapshots": np.float64}
    )


def _grid(went: pd.DataFrame) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Segment id at each snapshot, oldest first, of each path (paths, snapshots), `_ABSENT` if not known; and its customers (paths,)."""
    ids = went.drop(columns="customers").astype("Int64").fillna(_ABSENT)
    return ids.to_numpy(np.int64), went["customers"].to_numpy(np.int64)
