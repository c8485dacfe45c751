"""The actions of the playbook at a snapshot: which are done, in what order, and which segments each is for.

Belongs here: what the names in the settings mean at a snapshot, whose segments may have other names than at the last one.
"""

import datetime as dt
import functools
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import ibis
import ibis.expr.types as ir

from segmentation_assets.settings.playbook import PLAYBOOK, Aim, Play, SegmentName, aim_of
from segmentation_assets.settings.section import nearest
from segmentation_assets.vocabulary import Character, Move, MoveCause

LAST_PRIORITY = 9
OWN_CAUSES = (str(MoveCause.BEHAVIOUR), str(MoveCause.BOTH))
"""Why a customer entered or left a segment so that an action follows: not where another model or condition moved the customer."""


@dataclass(frozen=True)
class Targets:
    """Segments of the model and by rule, by id, and own segments, by name."""

    segments: tuple[int, ...] = ()
    own: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.segments or self.own)


@dataclass(frozen=True)
class Action:
    """An action that is done at the snapshot.

    Attributes:
        inside, entered, left: for whom: those in one of these, and those who entered or left one since the previous snapshot.
        priority: 1 is done first.
    """

    key: str
    play: Play
    inside: Targets
    entered: Targets
    left: Targets
    priority: int = LAST_PRIORITY


@dataclass(frozen=True)
class Done:
    """The actions that are done at a snapshot, and by key of an action what is to be said of it."""

    actions: tuple[Action, ...]
    remarks: dict[str, str]


def done(
    playbook: Mapping[str, Play | None],
    as_of: dt.date,
    names: Mapping[int, str],
    characters: Mapping[int, str],
    own_segments: Iterable[str],
) -> Done:
    """The actions that run on the day, with the segments they are for.

    Args:
        names, characters: of the snapshot's segments, by id; those that it does not have are told in the remarks.
        own_segments: names of the own segments.
    """
    actions, remarks = [], {}
    resolver = _Resolver(names, characters, tuple(own_segments))
    for key, play in playbook.items():
        if play is None:
            continue
        if not play.runs(as_of):
            remarks[key] = f"starts {play.starts}" if play.starts and as_of < play.starts else f"ended {play.ends}"
            continue
        aim = aim_of(key, play)
        action = Action(key, play, resolver.inside(aim), resolver.moved(aim.entered), resolver.moved(aim.left))
        if unknown := resolver.unknown(aim):
            remarks[key] = " ".join(unknown)
        actions.append(action)
    return Done(tuple(actions), remarks)


@dataclass(frozen=True)
class _Resolver:
    names: Mapping[int, str]
    characters: Mapping[int, str]
    own_segments: tuple[str, ...]

    def inside(self, aim: Aim) -> Targets:
        of_character = [i for i in self.names if self.characters.get(i) in aim.characters]
        named = [i for name in aim.segments for i in self._segments(name)]
        return Targets(tuple(dict.fromkeys((*of_character, *named))), aim.own_segments)

    def moved(self, wanted: Sequence[SegmentName]) -> Targets:
        """Own segments, segments and characters with these names."""
        own = tuple(str(name) for name in wanted if name in self.own_segments)
        ids = [i for name in wanted for i in (*self._segments(name), *(i for i in self.names if self.characters.get(i) == name))]
        return Targets(tuple(dict.fromkeys(ids)), own)

    def unknown(self, aim: Aim) -> list[str]:
        """A sentence on each name that no segment has."""
        known = [*self.names.values(), *self.own_segments, *self.characters.values()]
        lost = [name for name in aim.segments if not self._segments(name)]
        moved = [name for name in (*aim.entered, *aim.left) if name not in list(Character)]  # there may be none of a character
        lost += [name for name in moved if not self.moved([name])]
        return [f"{name} is no segment at this snapshot.{nearest(str(name), known)}" for name in dict.fromkeys(lost)]

    def _segments(self, name: SegmentName) -> list[int]:
        return [i for i, called in self.names.items() if name in (i, called)]


def in_order(actions: Sequence[Action], money: Callable[[], Mapping[str, float]]) -> list[Action]:
    """The actions, the first to be done first, each with its priority.

    One without a set priority has its place by money among all actions, from 1 to LAST_PRIORITY. Of the same priority, the user's own come
    before shipped ones, then those with a set priority before others.

    Args:
        money: by key, the value at stake of all whom the action is for; asked only if a priority is not set.
    """
    stakes = money() if any(action.play.priority is None for action in actions) else {}
    ranked = sorted(actions, key=lambda action: (-stakes.get(action.key, 0.0), action.key))
    places = {action.key: min(place, LAST_PRIORITY) for place, action in enumerate(ranked, start=1)}
    placed = {action.key: place for place, action in enumerate(ranked)}

    def rank(action: Action) -> tuple[int, bool, bool, int, str]:
        is_shipped = PLAYBOOK.get(action.key) == action.play
        return action.priority, is_shipped, action.play.priority is None, placed.get(action.key, 0), action.key

    return sorted((replace(one, priority=one.play.priority or places[one.key]) for one in actions), key=rank)


def meant(actions: Sequence[Action], placed: ir.Table, members: ir.Table, changes: ir.Table, values: ir.Table) -> ir.Table:
    """One row per customer known at the snapshot: customer_id, segment_id, the values, and for the action at each place i: `for_i`, whether
    it is for the customer, and, if it is for own segments, `own_i`: through which of them, empty if through another segment.

    Args:
        placed: customer_segments; members: own_segment_members; changes: segment_changes; values: customer_value.
    """
    base = placed.select("customer_id", "segment_id")
    worth = values.select("value_now", "value_at_stake", "usual_category", value_of="customer_id")
    base = base.left_join(worth, base.customer_id == worth.value_of).drop("value_of")
    columns = base.columns
    own = list(dict.fromkeys(name for action in actions for name in action.inside.own))
    if own:
        conditions = [functools.partial(_is_named, name) for name in own]
        base = _with_flags(base, members.filter(members.own_segment.isin(own)), "inside", conditions)
    moves = list(dict.fromkeys(move for action in actions for move in _moves(action)))
    if moves:
        caused = changes.filter(changes.cause.isin(OWN_CAUSES))
        base = _with_flags(base, caused, "moved", [move.of for move in moves])
    inside = {name: base[f"inside_{place}"] for place, name in enumerate(own)}
    moved = {move: base[f"moved_{place}"] for place, move in enumerate(moves)}
    flags: dict[str, ir.Value] = {}
    for place, action in enumerate(actions):
        plain = [base.segment_id.isin(action.inside.segments)] if action.inside.segments else []
        plain += [moved[move] for move in _moves(action) if not move.own_segment]
        through = [(inside[name], name) for name in action.inside.own]
        through += [(moved[move], move.own_segment) for move in _moves(action) if move.own_segment]
        flags[f"for_{place}"] = _any([*plain, *(met for met, _ in through)])
        if through:
            flags[f"own_{place}"] = ibis.cases((_any(plain), ibis.null("string")), *through, else_=ibis.null("string"))
    return base.select(*columns, **flags).view()


@dataclass(frozen=True)
class _Crossing:
    """Entering or leaving a segment, by id, or an own segment, by name."""

    move: Move
    segment_id: int = 0
    own_segment: str = ""

    def of(self, changes: ir.Table) -> ir.BooleanValue:
        if self.own_segment:
            return (changes.own_segment == self.own_segment) & (changes.change == self.move)
        side = changes.to_segment_id if self.move == Move.ENTERED else changes.from_segment_id
        return changes.own_segment.isnull() & (side == self.segment_id)


def _moves(action: Action) -> list[_Crossing]:
    of = ((Move.ENTERED, action.entered), (Move.LEFT, action.left))
    return [
        *(_Crossing(move, segment_id=i) for move, targets in of for i in targets.segments),
        *(_Crossing(move, own_segment=name) for move, targets in of for name in targets.own),
    ]


def _with_flags(base: ir.Table, rows: ir.Table, name: str, conditions: Sequence[Callable[[ir.Table], ir.BooleanValue]]) -> ir.Table:
    """The customers with a column `<name>_<place>` for each condition: whether one of their rows meets it."""
    met = {f"{name}_{place}": condition(rows).fill_null(False).any() for place, condition in enumerate(conditions)}
    found = rows.group_by("customer_id").agg(**met).rename(rows_of="customer_id")
    joined = base.left_join(found, base.customer_id == found.rows_of).drop("rows_of")
    return joined.mutate(**{flag: joined[flag].fill_null(False) for flag in met})


def _is_named(name: str, members: ir.Table) -> ir.BooleanValue:
    return members.own_segment == name


def _any(conditions: Sequence[ir.BooleanValue]) -> ir.BooleanValue:
    return functools.reduce(operator.or_, conditions, ibis.literal(False))
