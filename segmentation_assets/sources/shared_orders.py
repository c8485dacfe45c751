"""Duplicates in a folder: files that are equal, and orders that are in two files."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import ibis

from segmentation_assets.sources.reading import connect


@dataclass(frozen=True)
class Shared:
    """Duplicates among files.

    Attributes:
        equal: groups of names of files that are equal, byte for byte; names are sorted.
        orders: number of orders in more than one file.
        surplus: largest share of a month's rows that repeat another file's.
    """

    equal: tuple[tuple[str, ...], ...] = ()
    orders: int = 0
    surplus: float = 0.0


def shared_orders(found: Sequence[Path], ids: Sequence[Path]) -> Shared:
    """Find duplicates among files.

    Args:
        found: the files.
        ids: for each, a Parquet file of order_id, month and n (rows); it may be missing.
    """
    there = [place for place in ids if place.exists()]
    orders, surplus = _orders(there) if len(there) > 1 else (0, 0.0)
    return Shared(equal_names(found), orders, surplus)


def equal_files(found: Sequence[Path]) -> list[list[Path]]:
    """Groups of files that are equal, byte for byte; only files of the same size are read."""
    sizes: dict[int, list[Path]] = defaultdict(list)
    for file in found:
        sizes[file.stat().st_size].append(file)
    contents: dict[str, list[Path]] = defaultdict(list)
    for size, files in sizes.items():
        for file in files if size and len(files) > 1 else ():
            with file.open("rb") as opened:
                contents[hashlib.file_digest(opened, "sha256").hexdigest()].append(file)
    return [alike for alike in contents.values() if len(alike) > 1]


def equal_names(found: Sequence[Path]) -> tuple[tuple[str, ...], ...]:
    """The names of files that are equal."""
    return tuple(tuple(sorted(file.name for file in alike)) for alike in equal_files(found))


def _orders(ids: Sequence[Path]) -> tuple[int, float]:
    """The number of orders in more than one file, and the largest share of a month's rows that repeat another file's."""
    backend = connect()
    try:
        rows = backend.read_parquet([str(place) for place in ids], filename=True)
        order = rows.group_by("order_id").agg(files=rows.filename.nunique(), month=rows.month.min(), rows=rows.n.sum(), most=rows.n.max())
        twice = (order.files > 1).fill_null(False)
        months = order.group_by("month").agg(
            rows=order.rows.sum(), surplus=ibis.ifelse(twice, order.rows - order.most, 0).sum(), twice=twice.cast("int64").sum()
        )
        share = months.agg(twice=months.twice.sum(), worst=(months.surplus / months.rows).max())
        facts = backend.to_pyarrow(share).to_pylist()[0]
    finally:
        backend.disconnect()
    return int(facts["twice"] or 0), float(facts["worst"] or 0.0)
