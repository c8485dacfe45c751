"""A first settings file for the user's own files, with every guess explained in a comment."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from segmentation_assets.settings.model import ModelSettings
from segmentation_assets.settings.source import FILE_NAME, ROW_NUMBER, Reading
from segmentation_assets.settings.todo import NEEDED, TODO
from segmentation_assets.sources import (
    column_names,
    customer_dates,
    dated_rows,
    first_snapshots,
    number_forms,
    personal,
    special_categories,
)
from segmentation_assets.sources.customer_columns import KEPT, Role
from segmentation_assets.sources.exports import columns_of
from segmentation_assets.sources.file_profile import FileProfile
from segmentation_assets.sources.first_cleaning import cleaning
from segmentation_assets.sources.first_dates import History
from segmentation_assets.sources.guessing import other_readings
from segmentation_assets.sources.mapping import attribute_name
from segmentation_assets.sources.numbers import POINT
from segmentation_assets.sources.yaml_text import listed, quoted, shown

LEAST_COUNT, SMALLEST_SEGMENT = 10, 0.05  # fewest customers of a segment, and its share of few customers
EVENT_COLUMNS = ("customer_id", "event_type", "event_at", "subject")
ORDER_COLUMNS = ("customer_id", "ordered_at", "amount", "order_id", "quantity", "product_id", "category", "discount")


def write(looks: Sequence[FileProfile], base: Path, keep_personal: bool = False, today: dt.date | None = None) -> str:
    """The text of a first settings file, with paths relative to `base`, and TODO if no file seems to hold orders.

    Args:
        keep_personal: whether attributes that look personal are kept; else customers get the other ones only.
        today: the date of a table of customers whose name has none; default: today in UTC.
    """
    if not any(one.has_orders for one in looks) and (tables := [one for one in looks if one.customers]):
        return of_customers(tables, looks, base, keep_personal, today or dt.datetime.now(dt.UTC).date())
    orders = order_files(looks)
    others = [one for one in looks if one not in orders]
    histories = [one for one in others if one.history]
    events = [one for one in others if one.has_events]
    customers = [one for one in others if "customer_id" in one.found and not one.ids_repeat and not one.has_purchases and not one.history]
    lines = ["# A first settings file, guessed from your files. Read each line, correct any wrong guesses, then: segmentation check"]
    lines += [f"# {shown(line)}" for line in missing(looks)]
    dated = dated_rows.all_together(one.dated for one in orders)
    lines += ["", "data_dir: data", "", *first_snapshots.snapshots(dated), "", "source:", "  kind: tables", "  transactions:"]
    for one in orders:
        lines += _item([*_table(one, base, ORDER_COLUMNS), *_order_cells(one)])
    for entity, these, wanted in (("customers", customers, ("customer_id", "consent")), ("events", events, EVENT_COLUMNS)):
        dated_ones = histories if entity == "customers" else []
        lines += [f"  {entity}:"] if these or dated_ones else []
        for one in dated_ones:
            lines += _item([*_place(one, base, ("customer_id",)), *_customer_mapping(one, keep_personal)])
        for one in these:
            named = {**one.found, "event_at": one.found["ordered_at"]} if entity == "events" else one.found
            table = _table(replace(one, found=named), base, wanted)
            lines += _item([*table, *(_attributes(one) if entity == "customers" and not keep_personal else [])])
    for one in others:
        if one not in events and one not in customers and one not in histories:
            lines.append(f"# Not used: {shown(one.name)}, because {_unused_because(one)}")
    return "\n".join([*lines, "", *cleaning(orders), *_privacy([*histories, *customers]), ""])


def of_customers(tables: Sequence[FileProfile], looks: Sequence[FileProfile], base: Path, keep_personal: bool, today: dt.date) -> str:
    """The text of a first settings file for the first of some tables of customers without orders."""
    one, *further = tables
    events = [other for other in looks if other.has_events]
    lines = [
        "# A first settings file, guessed from your files. Read each line, correct any wrong guesses, then: segmentation check",
        "# No file has orders: each row is taken for a customer, and customers are segmented by their attributes.",
        "", "data_dir: data", "", *_dates(one, today), "", "source:", "  kind: tables", "  customers:",
        *_item([*_place(one, base, ("customer_id",)), *_customer_mapping(one, keep_personal)]),
    ]  # fmt: skip
    lines += ["  events:"] if events else []
    for other in events:
        lines += _item(_table(replace(other, found={**other.found, "event_at": other.found["ordered_at"]}), base, EVENT_COLUMNS))
    named = {id(used) for used in (one, *events)}
    lines += [
        f"# Not used: {shown(other.name)}, because {'one table of customers is enough' if other in further else _unused_because(other)}"
        for other in looks
        if id(other) not in named
    ]
    return "\n".join([*lines, "", *_impossible_years(one), *_clustering(one, keep_personal), *_privacy([one]), ""])


def _dates(one: FileProfile, today: dt.date) -> list[str]:
    """The sections `snapshots` and `features` of a table of customers."""
    if one.history:
        return first_snapshots.for_history([on.day for on in one.history.days])
    day, why = (one.as_of.day, f"the only date in {one.as_of.column}") if one.as_of else first_snapshots.day_of(one.file, today)
    return [
        "snapshots:",
        f"  first: {day}             # {shown(why)}",
        f"  last: {day}",
        "  cadence: daily",
        "",
        "features:",
        "  lookback: 1",
    ]


def _customer_mapping(one: FileProfile, keep_personal: bool) -> list[str]:
    column, history = one.id_of_customers, one.history
    if column == ROW_NUMBER and history:
        told = f"write the column of ids; none was recognised, and the rows of two dates have the same numbers. {', '.join(one.columns)}"
        column = TODO
    elif column == ROW_NUMBER:
        told = "no column is an id, so customers are numbered by row: keep the order of rows, or add ids"
    else:
        told = f"guessed; no two rows{' of a date' if history else ''} have the same. It holds {one.columns[column]}"
    lines = ["columns:", shown(f"  customer_id: {quoted(column)}    # {told}")]
    lines += _known_at(history) if history else []
    kept, left_out = _kept_attributes(one, keep_personal)
    if one.not_in_all:
        left_out |= dict.fromkeys(one.not_in_all, "not in all files")
    codes = [attribute_name(name) for name in kept if one.customers[name].is_code]
    if codes:
        types = ", ".join(f"{quoted(name)}: text" for name in codes)
        lines.append(f"attribute_types: {{{types}}}    # their numbers seem to be codes, so no number is more than another")
    if left_out:
        lines.append(f"attributes: {_named(kept)}")
        lines += [shown(f"# left out: {name} ({why})") for name, why in left_out.items()]
    return lines


def _known_at(history: History) -> list[str]:
    """The settings for customers described anew at several dates, with why."""
    named = history.dated_by == FILE_NAME
    told = "the date in each file's name" if named else "guessed; each customer has one row for each of its dates"
    each, share = customer_dates.likely(history.days), customer_dates.overlap(history.days)
    if share is None:
        why = "not measured, because there is only one date" if len(history.days) < 2 else "not measured, because customers have no ids"
    else:
        why = f"guessed: {share:.0%} of a date's customers are also at the next (median)"
    if each == customer_dates.COMPLETE:
        why += "; who is absent has left. Otherwise: changes"
    else:
        why += "; the newest row stands. Otherwise: complete"
    lines = [shown(f"  known_at: {quoted(history.dated_by)}    # {told}"), f"each_date: {each}    # {why}"]
    return lines + (
        ["stands: 12    # windows after which a customer without a newer row counts as gone"] if each == customer_dates.CHANGES else []
    )


def _kept_attributes(one: FileProfile, keep_personal: bool) -> tuple[list[str], dict[str, str]]:
    """The columns that are kept as attributes, and why others are not."""
    kept, left_out = list[str](), dict[str, str]()
    for name, look in one.customers.items():
        person = one.personal.get(name)
        if name == one.id_of_customers or (one.history and name == one.history.dated_by):
            continue
        if look.role not in KEPT:
            left_out[name] = f"{look.role}: {look.why}"
        elif person and not keep_personal and not (person.kind == personal.BIRTH and look.role == Role.NUMBER):
            left_out[name] = f"looks personal: {person}"
        else:
            kept.append(name)
    return kept, left_out


def _impossible_years(one: FileProfile) -> list[str]:
    early = {attribute_name(name): look.impossible_before for name, look in one.customers.items() if look.impossible_before}
    if not early:
        return []
    told = "some are earlier, which is impossible: they become missing"
    return ["cleaning:", "  impossible:", *(f"    {quoted(name)}: {{minimum: {year}}}    # {told}" for name, year in early.items()), ""]


def _privacy(tables: Sequence[FileProfile]) -> list[str]:
    """Comments on attributes that by their name are a special category, and on answers that read as missing."""
    columns = [column for one in tables for column in one.columns]
    special = special_categories.found(columns)
    lines = [
        f"# {column}: {word!r} reads as a missing value; if it is an answer, set missing_values of its table without it"
        for one in tables
        for column, word in one.answers.items()
    ]
    if special:
        named = ", ".join(f"{column} ({category})" for column, category in special.items())
        lines += [
            f"# By their names, these are special categories of personal data (GDPR, Art. 9): {named}.",
            "# To keep them out of every model:",
            "# privacy:",
            f"#   sensitive: [{', '.join(quoted(attribute_name(column)) for column in special)}]",
        ]
    return ["", *map(shown, lines)] if lines else []


def _clustering(one: FileProfile, keep_personal: bool) -> list[str]:
    """The section `model`: the columns that customers are clustered by, and why not by the others."""
    kept, _ = _kept_attributes(one, keep_personal)
    special = special_categories.found(kept)
    entering = {name: one.customers[name] for name in kept if one.customers[name].enters and name not in special}
    if not entering:
        return ["model:", f"  features: [{TODO}]    # no column seems fit to compare customers by: write those to cluster by"]
    lines = ["model:", "  features:"]
    lines += [
        shown(f"    - {quoted(attribute_name(name))}    # {look.role}{look.why and f': {look.why}'}") for name, look in entering.items()
    ]
    numbers = [name for name in entering if one.columns[name] == "number"]
    codes = [attribute_name(name) for name in numbers if entering[name].role == Role.YES_NO]
    lines += [f"  categorical: [{', '.join(map(quoted, codes))}]"] if codes else []
    others = {name: one.customers[name] for name in kept if name not in entering}
    why = {name: f"{category}, a special category (GDPR, Art. 9)" for name, category in special.items()}
    lines += [shown(f"  # not clustered by {name} ({look.role}): {why.get(name, look.why)}") for name, look in others.items()]
    rows = max(look.rows for look in one.customers.values())
    if (least := max(LEAST_COUNT, round(rows * SMALLEST_SEGMENT))) < ModelSettings().min_count:
        lines.append(f"  min_count: {least}    # fewest customers of a distinct segment; with {rows:,} customers, fewer than the usual 30")
    example = f"{quoted(attribute_name(next(iter(entering))))}: {{label: its name, unit: its unit}}"
    lines += ["", "# What columns are called in names and pictures, and their units:", shown(f"# attributes: {{{example}}}")]
    outcomes = [name for name in others if one.customers[name].outcome]
    lines += ["", "# To judge segments by what became of customers, remove the #; it then never enters a model:"] if outcomes else []
    return lines + [shown(f"# outcome: {quoted(attribute_name(name))}") for name in outcomes]


def order_files(looks: Sequence[FileProfile]) -> list[FileProfile]:
    """The files that hold orders; if none does, the most likely one."""
    return [one for one in looks if one.has_orders] or [max(looks, key=lambda one: len(NEEDED.keys() & one.found.keys()))]


def missing(looks: Sequence[FileProfile]) -> list[str]:
    """What has to be filled in before anything can run, and why, in words for first-time users; empty if nothing is missing."""
    if any(one.customers for one in looks) and not any(one.has_orders for one in looks):
        return []
    (one, *_) = order_files(looks)
    absent = [name for name in NEEDED if name not in one.found]
    if not absent:
        return []
    if one.export:
        return [f"{one.name} is an export of {one.export.name}. {_advice(one)}"]
    lacks = " and ".join(f"{name} ({NEEDED[name]})" for name in absent)
    if one.undated:
        return [
            f"In {one.name} no column was recognised as {lacks}. {_undated(one)}.",
            'Replace TODO with its name and, above `columns`, add the format of its dates, such as date_format: "%d/%m/%Y %H:%M".',
            "Month names are read in English only. Otherwise export the dates as 2024-01-31 14:30, and run: segmentation init ORDERS_FILE",
        ]
    what = "" if one.has_purchases else " It seems to hold no orders, but segments are made from orders: one row for each item bought."
    return [
        f"In {one.name} no column was recognised as {lacks}.{what}",
        f"If a column has it, replace TODO with its name. The columns: {shown(', '.join(one.columns))}.",
        "If none has, export your orders from your shop or till, and run: segmentation init ORDERS_FILE",
    ]


def _undated(one: FileProfile) -> str:
    """A sentence on a column that is named like the order's time, but whose dates no known format reads."""
    name, cell = one.undated or ("", "")
    return f"{shown(name)} may be the time of the order, but its dates, such as {cell!r}, are in no known format"


def _advice(one: FileProfile) -> str:
    said = one.export.advice.get(one.found.get("customer_id")) if one.export else None
    return said[0].upper() + said[1:] if said else ""


def _item(table: list[str]) -> list[str]:
    return [f"    - {line}" if line == table[0] else f"      {line}" for line in table]


def _unused_because(one: FileProfile) -> str:
    if one.has_purchases:
        return "it holds purchases, but no column seems to be the customer's id"
    if "customer_id" not in one.found:
        return "no column seems to be the customer's id"
    return "the customer's ids repeat, and no column seems to say what happened when. If it holds events, write it under `events:`"


def _place(one: FileProfile, base: Path, wanted: Sequence[str]) -> list[str]:
    """Where a table is, and how its cells are written."""
    try:
        path = one.file.resolve().relative_to(base.resolve()).as_posix()
    except ValueError:
        path = str(one.file.resolve())
    lines = [f"files: {quoted(path)}", *([f"sheet: {quoted(one.sheet)}"] if one.sheet else [])]
    if one.export and "amount" in wanted:
        lines.append(f"# an export of {one.export.name}; see docs/exports.md. {_advice(one)}".rstrip())
    if one.notes:
        lines.append(shown(f"# found: {', '.join(f'{what} {value}' for what, value in one.notes.items())}"))
    ours = [written for written in one.formats if written != "ISO 8601"]
    if ours:
        others = [f"{when}: {other}" for when, other in other_readings(ours).items()]
        lines.append(f"date_format: {listed(ours)}    # {'; '.join(['guessed', *others])}")
    return lines + _marks(one)


def _table(one: FileProfile, base: Path, wanted: Sequence[str]) -> list[str]:
    lines = [*_place(one, base, wanted), "columns:"]
    # A file without orders has no amount and no products.
    holds_orders = "amount" not in wanted or one.has_purchases or one.undated is not None
    for canonical in wanted if holds_orders else ("customer_id", "ordered_at", "amount"):
        if canonical in one.found and (holds_orders or canonical != "amount"):
            lines.append(f"  {canonical}: {quoted(one.found[canonical])}    # {_guessed(one, canonical)}")
        elif "amount" in wanted and canonical in NEEDED:
            further = f"; {_undated(one)}: set date_format too" if canonical == "ordered_at" and one.undated else ""
            lines.append(shown(f"  {canonical}: {TODO}    # write the column that says {NEEDED[canonical]}{further}"))
    used = {column for name in wanted if name in one.found for column in columns_of(one.found[name], one.columns)}
    unused = [f"{column} ({kind})" for column, kind in one.columns.items() if column not in used]
    if unused:
        lines.append(f"# {'attributes' if 'consent' in wanted else 'not mapped'}: {shown(', '.join(unused))}")
    return lines


def _attributes(one: FileProfile) -> list[str]:
    """The setting that leaves out attributes that look personal; empty if none does, so that all are kept."""
    used = {column for name in ("customer_id", "consent") if name in one.found for column in columns_of(one.found[name], one.columns)}
    left_out = {column: str(look) for column, look in one.personal.items() if column not in used}
    if not left_out:
        return []
    kept = [column for column in one.columns if column not in used and column not in left_out]
    told = "; ".join(f"{column} ({why})" for column, why in left_out.items())
    births = [column for column in left_out if one.personal[column].kind == personal.BIRTH]
    return [
        f"attributes: {_named(kept)}",
        shown(f"# left out, because they look personal: {told}. Segments need none of them; to keep one, add it to attributes"),
        *(shown(f"# of {column}, the year is enough for an age: export that instead") for column in births),
    ]


def _named(columns: Sequence[str]) -> str:
    """Columns as attributes, under the names that they have where all are kept."""
    names = {attribute_name(column): quoted(column) for column in columns}
    if names.keys() == set(columns):
        return f"[{', '.join(names.values())}]" if names else "none"
    return f"{{{', '.join(f'{quoted(name)}: {column}' for name, column in names.items())}}}"


def _marks(one: FileProfile) -> list[str]:
    """Settings for how numbers are written, if they are not all plain, and warnings.

    A mark is set only if it is certain: if it is a guess, `check` keeps warning until the user sets it, and if cells
    contradict each other, it would make some of them unreadable.
    """
    read = {column for name in ORDER_COLUMNS if name in one.found for column in columns_of(one.found[name], list(one.columns))}
    read |= one.customers.keys()
    forms = {column: form for column, form in one.numbers.items() if column in read or form.of_amounts}
    told, mixed = number_forms.decimals(forms), [column for column, form in forms.items() if form.is_mixed]
    lines = []
    if mixed:
        lines.append(f"# both decimal marks occur in {shown(', '.join(mixed))}, so none is set: each cell is read by its form and its file")
    elif len(set(told.values())) > 1:
        named = ", ".join(f"{column} {mark}" for column, mark in told.items())
        lines.append(f"# decimal marks differ, so each column is read by its own: {shown(named)}")
    elif told and not any(form.in_doubt for form in forms.values()):
        (mark,) = set(told.values())
        thousands = number_forms.thousands(forms)
        lines += [f"decimal: '{mark}'    # guessed: numbers are written with it"] if mark != POINT else []
        lines += [f"thousands: {quoted(thousands)}    # guessed: some numbers are written with it"] if thousands not in {None, mark} else []
    return [*lines, *(f"# {shown(doubt)}" for doubt in number_forms.doubts(forms, Reading()))]


def _guessed(one: FileProfile, canonical: str) -> str:
    column = one.found[canonical]
    if column in one.columns:
        alone = canonical == "ordered_at" and column_names.rank(column, canonical) is None
        named = "guessed: no other column holds dates" if alone else "guessed from its name"
        named = f"guessed: {one.same_as}" if one.same_as and canonical == "customer_id" else named
        return ("as known for this export" if one.export else named) + f"; it holds {one.columns[column]}"
    if one.export:
        return "as known for this export; refunds are deducted" if "efund" in column else "as known for this export"
    return "guessed: no column is the line's total"


def _order_cells(one: FileProfile) -> list[str]:
    """Settings for cells that belong to a whole order, and for rows that are not orders."""
    signs, lines = one.signs, []
    if signs.amount_is == "order":
        lines.append("amount_is: order    # the amount is the whole order's, and is counted once; line: each row has its own")
    if signs.fill:
        lines.append(f"fill_from_order: [{', '.join(quoted(name) for name in signs.fill)}]    # filled on an order's first row only")
    if signs.leave_out:
        lines.append(f"leave_out: {quoted(signs.leave_out)}    # these were cancelled, failed or refunded, and do not count")
    return lines
