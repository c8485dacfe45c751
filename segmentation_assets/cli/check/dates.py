"""Sentences on the dates at which a table describes its customers anew: how many there are, and which snapshot has them."""

import datetime as dt
from collections.abc import Iterator, Sequence

from segmentation_assets.settings.snapshots import Snapshots
from segmentation_assets.settings.source import CustomerTable
from segmentation_assets.sources import customer_dates
from segmentation_assets.sources.customer_dates import OnDate
from segmentation_assets.vocabulary import counted

SHOWN = 12  # most dates shown one by one: the first, and the last ones


def lines(name: str, table: CustomerTable, days: Sequence[OnDate], keys: Sequence[str], snapshots: Snapshots) -> Iterator[str]:
    """What `check` says about the dates of a table of customers.

    Args:
        name: the table's; empty if there is only one.
        keys: the snapshots, oldest first.
    """
    if not days:
        yield "no row has a date, so no snapshot has customers. Correct known_at or its date_format"
        return
    each = (
        "all customers, so who is absent has left"
        if table.each_date == customer_dates.COMPLETE
        else (f"those that changed, and a row stands for {counted(table.stands, 'window')}")
    )
    of = f" of {name}" if name else ""
    yield f"{counted(len(days), 'date')}{of}, {days[0].day} to {days[-1].day}; each lists {each} (each_date: {table.each_date})"
    seen_at = customer_dates.snapshots_of([on.day for on in days], keys)
    left_out = days[1 : 1 - SHOWN] if len(days) > SHOWN else []
    for place, on in enumerate(days):
        if on in left_out:
            if place == 1:
                yield f"    {counted(len(left_out), 'date')} between"
            continue
        yield f"    {on.day}: {_customers(on, place)}; {_snapshot(on.day, seen_at[on.day], keys)}"
    yield from _doubts(table, days, keys)


def _customers(on: OnDate, place: int) -> str:
    told = counted(on.customers, "customer")
    if not place:
        return told
    share = f" ({on.stayed / (on.stayed + on.gone):.0%})" if on.stayed + on.gone else ""
    return f"{told}: {on.stayed:,} of the date before{share}, {on.came:,} others, {on.gone:,} absent"


def _snapshot(day: dt.date, key: str | None, keys: Sequence[str]) -> str:
    if key:
        return f"snapshot {key}"
    return "after the last snapshot" if day.isoformat() > keys[-1] else "no snapshot of its own, because a later date comes first"


def _doubts(table: CustomerTable, days: Sequence[OnDate], keys: Sequence[str]) -> Iterator[str]:
    known = [on.day for on in days if on.day.isoformat() <= keys[-1]]
    if early := [key for key in keys if not known or key < known[0].isoformat()]:
        lack = counted(len(early), "snapshot has", "snapshots have")
        yield f"{lack} no customers, because the first date is {days[0].day}. Set snapshots.first to that day or a later one"
    fresh = set(customer_dates.snapshots_of(known, keys).values())
    if stale := [key for key in keys if key not in fresh and key not in early]:
        named = f"{stale[0]} to {stale[-1]}" if len(stale) > 1 else stale[0]
        yield f"{counted(len(stale), 'snapshot has', 'snapshots have')} no new date ({named}), and the customers of the date before"
    share, likely = customer_dates.overlap(days), customer_dates.likely(days)
    if share is not None and likely != table.each_date:
        yield (
            f"Of a date's customers, {share:.0%} are also at the next (median). If each date lists "
            f"{'all customers' if likely == customer_dates.COMPLETE else 'only those that changed'}, set each_date: {likely}"
        )
