"""Check the settings and sources before any run: what was found, what would be rejected and why, and what was guessed.

Belongs here: what is checked, in which order. `counts` and `identities` count; `described`, `snapshots`, `names` and `advice` put it
in words.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from segmentation_assets.cli.check import advice, identities, names, snapshots
from segmentation_assets.cli.check.entity import ENTITIES, EntityLook
from segmentation_assets.cli.terminal import STILL_TO_COME
from segmentation_assets.engines.duckdb import DuckDBEngine
from segmentation_assets.settings.loading import Settings, settings_file
from segmentation_assets.settings.snapshots import existing_keys
from segmentation_assets.sources import open_source
from segmentation_assets.sources.base import SourceError
from segmentation_assets.sources.suppression import entries
from segmentation_assets.sources.tables import TablesSource
from segmentation_assets.vocabulary import WITHOUT_ORDERS, counted

HIDDEN = "Customer ids are read as pseudonyms, so ids that stand for nobody (guest, 0) or differ only in case are not looked for."
MEMORY = "2GB"  # the engine's limit for sources of any size; beyond it, it spills to disk


@dataclass(frozen=True)
class Findings:
    """The findings, one line each, and the problems that would stop a run."""

    lines: list[str]
    problems: list[str]


def inspect(settings: Settings) -> Findings:
    """Report files, columns, rows, dates, customers and rejects of each source up to the last snapshot.

    Raises:
        SourceError: a source cannot be read.
    """
    keys = existing_keys(settings.snapshots)
    if not keys:
        return Findings([], [STILL_TO_COME])
    lookback = counted(settings.features.lookback, "window")
    hidden = settings.privacy.pseudonyms is not None
    zone = "" if settings.snapshots.timezone == "UTC" else f"; days end at midnight in {settings.snapshots.timezone}"
    lines = [
        f"Settings: {settings_file()}",
        f"Snapshots: {len(keys)} {settings.snapshots.cadence}, {keys[0]} to {keys[-1]}; lookback of {lookback}{zone}",
        f"Written to: {settings.data_dir}",
        *([HIDDEN] if hidden else []),
    ]
    listed, problems = suppression_lists(settings.audiences.suppression)
    lines += listed
    engine, source = DuckDBEngine(memory=MEMORY), open_source(settings)
    if isinstance(source, TablesSource):  # files in buckets, as they are here
        settings = settings.model_copy(update={"source": source.settings})
    try:
        with tempfile.TemporaryDirectory() as scratch:
            looks = {name: EntityLook.at(name, settings, source, engine, keys, Path(scratch)) for name in ENTITIES}
            there = [look for look in looks.values() if look.name in settings.source.contents or settings.source.has_orders]
            for look in there:
                lines += look.lines()
                problems += look.problems()
            lines += [] if settings.source.has_orders else [WITHOUT_ORDERS]
            problems += names.unknown(settings, looks["customers"].attributes)
            total, examples = identities.equal_but_for_case(engine, [look.ids for look in looks.values() if look.ids is not None])
            mapping = advice.customer_mappings(settings, "transactions")
            lines += _without_records(engine, looks)
            lines += advice.of_equal_but_for_case(total, examples, mapping, looks["transactions"].columns) if not hidden else []
    finally:
        engine.close()
    orders = looks["transactions"].counted
    lines += snapshots.young(orders.first, keys, settings)
    if not any(look.counted.rows for look in looks.values()):
        problems.append(f"The source has no rows before {keys[-1]}. Check the source, or set snapshots.first and snapshots.last.")
    return Findings(lines, problems)


def _without_records(engine: DuckDBEngine, looks: dict[str, EntityLook]) -> list[str]:
    """A warning for each entity of whose customers most have no record; none without records."""
    records = looks["customers"].ids
    if records is None or not looks["customers"].counted.rows:
        return []
    named = {name: look.ids for name, look in looks.items() if name != "customers" and look.ids is not None}
    customers = looks["customers"]
    dated = isinstance(customers.source, TablesSource) and any("known_at" in table.columns for table in customers.source.settings.customers)
    known_before = customers.keys[-1] if dated else None
    compared = {name: identities.recorded(engine, ids, records) for name, ids in named.items()}
    return [line for name, found in compared.items() for line in advice.of_records(found, name, known_before)]


def suppression_lists(files: Sequence[Path]) -> tuple[list[str], list[str]]:
    """A line on each suppression list, how many customers it names, and a problem for each that is missing or cannot be read."""
    lines, problems = [], []
    for file in files:
        try:
            lines.append(f"Suppression list {file}: {counted(entries(file), 'customer')} who are never contacted")
        except SourceError as error:
            problems.append(str(error))
    return lines, problems
