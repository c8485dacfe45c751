"""What became of segments between two snapshots, as rows and in words.

Belongs here: comparing two models in force. `identity` matches their segments.
"""

import datetime as dt
import math
from collections.abc import Callable, Collection, Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from segmentation_assets.core.choice.grid_model import GridModel
from segmentation_assets.core.customers.columns import Customers
from segmentation_assets.core.customers.matching import places
from segmentation_assets.core.model import identity, naming
from segmentation_assets.core.model.segment_model import Segment, SegmentModel
from segmentation_assets.vocabulary import Decision, SegmentChange, counted

JUDGED = (SegmentChange.CHARACTER, SegmentChange.RENAMED)
Placed = Callable[[], pd.DataFrame | None]
COLUMNS = ["event", "from_segment_ids", "to_segment_ids", "overlap", "sentence"]


def events(
    before: SegmentModel | None, now: SegmentModel, active: Customers, as_of: dt.date, placed_then: Placed = lambda: None
) -> pd.DataFrame:
    """One row per event between the model `before` and the one `now` (columns `COLUMNS`).

    Args:
        active: the active customers (rows of customer_features) of the snapshot `as_of`, which both models assign.
        placed_then: reads customer_id and segment_id a lookback ago, when the features did not yet cover today's window, if the model
            changed; None if there was no snapshot then.
    """
    old = {s.segment_id: s for s in before.segments} if before else {}
    new = {s.segment_id: s for s in now.segments}
    found: list[identity.SegmentEvent] = []
    if before is None:
        found += [identity.SegmentEvent(SegmentChange.BORN, (), (i,), 0.0) for i in new]
    elif before.provenance.model_version != now.provenance.model_version:
        found += _of_models(before, now, active, as_of, placed_then())
    found += identity.judged_anew(*({i: (s.character, s.name) for i, s in segments.items()} for segments in (old, new)))
    names = {i: f"{s.name} ({i})" for i, s in (old | new).items()}
    both = {i: (old[i], new[i]) for i in old.keys() & new.keys()}
    empty = new.keys() - set(now.segment_ids(active)) if found else set()
    rows = [
        (
            e.event,
            _ids(e.before),
            _ids(e.after),
            e.overlap,
            _judged(*both[e.after[0]], new.values()) if e.event in JUDGED else _sentence(e, names, empty),
        )
        for e in found
    ]
    return pd.DataFrame(rows, columns=COLUMNS).astype({"overlap": "float64"})


def _of_models(
    before: SegmentModel, now: SegmentModel, active: Customers, as_of: dt.date, placed_then: pd.DataFrame | None
) -> list[identity.SegmentEvent]:
    """What the change of model did to the segments, judged by customers already known when the earlier model was trained and also, in
    case that was trained during a change, a lookback ago."""
    old, new = (sorted(s.segment_id for s in model.segments) for model in (before, now))
    was, is_now = (model.segment_ids(active) for model in (before, now))
    known = identity.known_before(active, as_of, before.provenance.fitted_snapshot).to_numpy(copy=True)
    together = _moved_together(now, was, is_now, known)
    moved = None
    if placed_then is not None:
        ids, ids_then = active["customer_id"], placed_then["customer_id"]
        known &= places(ids, ids_then) >= 0
        today = np.append(is_now.to_numpy(), naming.NOISE)[places(ids_then, ids)]  # the last for who is not active
        moved = identity.Flow.of(placed_then["segment_id"], pd.Series(today), old, new)
    fresh, all_of = is_now[~known].value_counts(), is_now.value_counts()
    newcomers = {int(i): int(n) for i, n in fresh.items() if i not in old and n > all_of[i] / 2}
    return identity.segment_events(
        identity.Flow.of(was[known], is_now[known], old, new), moved, old, new, before.provenance.highest_segment_id, newcomers, together
    )


def _moved_together(now: SegmentModel, was: pd.Series, is_now: pd.Series, known: NDArray[np.bool_]) -> set[int]:
    """Segments of a newly trained model that kept their id although few of today's customers are in the old and the new: training found
    their customers of the previous snapshot in them again. A grid, and an earlier model that comes back, keep their ids anyway."""
    if now.provenance.decision not in {Decision.TRAINED, Decision.PROMOTED} or isinstance(now.clusters, GridModel):
        return set()
    chosen = known if known.any() else slice(None)
    same = identity.matched_clusters(was[chosen], is_now[chosen])
    return {s.segment_id for s in now.segments} - {i for i, before in same.items() if i == before}


def _ids(ids: tuple[int, ...]) -> str:
    return ", ".join(map(str, ids))


def _judged(before: Segment, now: Segment, segments: Iterable[Segment]) -> str:
    """That a segment's customers have another character, or only another place among those of the same; and which of the `segments` has
    its name now."""
    called = f"{before.name} ({before.segment_id}) is now called {now.name}"
    heirs = [
        f"The name {before.name} now belongs to another segment ({s.segment_id})." for s in segments if s.name == before.name != now.name
    ]
    if before.character == now.character:
        return " ".join([f"{called}.", *heirs])
    was, is_now = (segment.character.replace("_", " ") for segment in (before, now))
    changed = f"{now.name} ({now.segment_id}) keeps its name" if before.name == now.name else called
    return " ".join([f"{changed}: its typical customer was {was} and is now {is_now}.", *naming.told(now.pace, now.character), *heirs])


def _sentence(event: identity.SegmentEvent, names: dict[int, str], empty: Collection[int]) -> str:
    before, after = (naming.listed([names[i] for i in ids]) if ids else "" for ids in (event.before, event.after))
    is_empty = ", but is empty: no active customer is in it" if set(event.after) & set(empty) else ""
    share = "" if math.isnan(event.overlap) else f"{event.overlap:.0%}"
    match event.event:
        case SegmentChange.BORN:
            if is_empty:
                return f"{after} was born{is_empty}."
            if event.newcomers:
                return f"{after} was born, from {counted(event.newcomers, 'new customer')}."
            came = f"; at most {share} of it comes from any one segment" if share and event.overlap else ""
            return f"{after} was born{came}."
        case SegmentChange.RESTORED:
            return f"{after} is back with the earlier model{is_empty}."
        case SegmentChange.DIED:
            went = f"at most {share} of it went to any one segment" if share else "no active customer was in it"
            return f"{before} is no more; {went}."
        case SegmentChange.SURVIVED:
            if is_empty:
                return f"{after} survived the change of model{is_empty}."
            kept = f"{share} of old and new are the same customers" if share else "all of its customers are new"
            if event.moved:
                kept = "its customers moved together, so it is the same segment in another place"
            return f"{after} survived the change of model: {kept}."
        case SegmentChange.SPLIT:
            if event.before[0] in event.after:
                parted = naming.listed([names[i] for i in event.after if i not in event.before])
                return f"{parted} split off from {before}; together they hold {share} of what {before} was."
            return f"{before} was split into {after}, which hold {share} of it."
        case _:
            if event.after[0] in event.before:
                parts = [names[i] for i in event.before if i not in event.after]
                gone = f"{naming.listed(parts)} {'was' if len(parts) == 1 else 'were'}"
                return f"{gone} merged into {after}; together they make up {share} of it."
            return f"{before} were merged into {after}, and make up {share} of it."
