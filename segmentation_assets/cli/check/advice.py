"""Sentences on ids and orders, each with the setting that would fix the problem."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import yaml

from segmentation_assets.cli.check.identities import EqualLines, LargeId, Recorded, SharedOrders
from segmentation_assets.settings.loading import Settings
from segmentation_assets.settings.source import Tables
from segmentation_assets.sources.personal import BIRTH, Personal
from segmentation_assets.vocabulary import counted

NAMED = 3  # most pairs of files to name
FEW_RECORDED = 0.5  # share of customers with a record, below which something may be wrong
DROP = "set cleaning.exact_duplicates: drop"


def of_large_ids(
    large: Sequence[LargeId], mappings: Sequence[str], columns: set[str], share_without: Callable[[], float | None]
) -> Iterator[str]:
    """Say that an id may not be a real customer, and how to leave it out.

    Args:
        mappings: what customer_id is mapped to; columns: the names of the source's columns.
        share_without: the reject share to allow if the ids' rows are set aside; None if the current one is enough.
    """
    for one in large:
        yield f"customer {one.customer_id!r} has {one.orders:,} of all orders ({one.share:.1%})"
    if not large or not mappings:
        return
    it, its = ("it is", "its") if len(large) == 1 else ("they are", "their")
    yield f"If {it} not a real customer (guests, a till), set {its} lines aside: in source.transactions, columns,"
    written = tuple(sorted({form for one in large for form in one.written}))
    for expression in mappings:
        yield "    " + mapping_without(expression, written, columns)
    share = share_without()
    if share is not None:
        yield f"and, because these lines then count as rejected, cleaning.largest_reject_share: {share}"


def customer_mappings(settings: Settings, name: str) -> list[str]:
    """What the tables of an entity map customer_id to, each once; empty for other kinds of source."""
    tables = settings.source.entity(name) if isinstance(settings.source, Tables) else ()
    return list(dict.fromkeys(str(table.columns["customer_id"]) for table in tables))


def mapping_without(expression: str, written: Sequence[str], columns: set[str]) -> str:
    """The settings line that reads the given ids as missing."""
    value = _value(expression, columns)
    texts = [f"'{form.replace(chr(39), chr(39) * 2)}'" for form in dict.fromkeys(form.strip() for form in written)]
    if len(written) == 1 and written[0] == written[0].strip():
        changed = f"NULLIF({value}, {texts[0]})"
    else:
        changed = f"CASE WHEN TRIM({value}) IN ({', '.join(texts)}) THEN NULL ELSE {value} END"
    return line({"customer_id": changed})


def line(setting: dict[str, str]) -> str:
    """A setting as one line of YAML."""
    return yaml.safe_dump(setting, width=10_000, allow_unicode=True).strip()


def of_returns_without_order(number: int, example: str) -> Iterator[str]:
    """Say that returns name orders which the customers never placed."""
    if number:
        named = counted(number, "return names", "returns name")
        yield (
            f"{named} an order that the customer never placed, such as {example}, and {'lowers' if number == 1 else 'lower'} spend only. "
            "If a column has the id of the returned order, map it as returned_order_id."
        )


def of_personal(looks: Mapping[str, Personal], kept: Collection[str]) -> Iterator[str]:
    """What to do about ids and attributes that look personal.

    Args:
        kept: all attributes that are kept.
    """
    if "customer_id" in looks:
        yield f"customer_id looks personal ({looks['customer_id']}): with privacy.pseudonyms, no id is kept or published as it is"
    attributes = {name: look for name, look in looks.items() if name != "customer_id"}
    if attributes:
        told = ", ".join(f"{name} ({look})" for name, look in attributes.items())
        others = ", ".join(name for name in kept if name not in attributes)
        year = " Of a birth date, the year is enough for an age." if any(look.kind == BIRTH for look in attributes.values()) else ""
        remedy = f"attributes: [{others}]" if others else "attributes: none"
        yield f"these attributes look personal: {told}. Segments need none of them; to leave them out, set {remedy}.{year}"


def of_special(found: Mapping[str, str], sensitive: Collection[str]) -> Iterator[str]:
    """What to do about attributes that by their name are a special category of personal data.

    Args:
        sensitive: those that are kept out of models already.
    """
    told = {name: category for name, category in found.items() if name not in sensitive}
    if told:
        named = ", ".join(f"{name} ({category})" for name, category in told.items())
        yield (
            f"by their names, these attributes are special categories of personal data (GDPR, Art. 9): {named}. To keep them out of every "
            f"model, set {line_of_list('privacy.sensitive', [*sensitive, *told])}"
        )


def of_answers(words: Mapping[str, str]) -> Iterator[str]:
    """Say that a word that may be an answer reads as missing, such as `none` for no religion."""
    for name, word in words.items():
        yield f"{name}: {word!r} reads as a missing value; if it is an answer, set missing_values of its table without it"


def line_of_list(setting: str, names: Sequence[str]) -> str:
    """A setting with several names as one line of YAML."""
    return f"{setting}: {yaml.safe_dump(list(names), default_flow_style=True, width=10_000, allow_unicode=True).strip()}"


def of_equal_but_for_case(total: int, examples: Sequence[tuple[str, str]], mappings: Sequence[str], columns: set[str]) -> Iterator[str]:
    """Say that ids differ only in case, and so count as different customers."""
    if total:
        shown = "; ".join(f"{one!r} and {other!r}" for one, other in examples)
        yield f"{total:,} customer ids differ from another only in case, and count as different customers: {shown}"
        for value in [_value(mapping, columns) for mapping in mappings[:1]]:
            yield f"    If they are the same customers, map in every table: {line({'customer_id': f'LOWER({value})'})}"


def of_records(found: Recorded, name: str, known_before: str | None = None) -> Iterator[str]:
    """Say that most customers of an entity have no record, so that the two tables may mean different things by a customer's id.

    Args:
        known_before: the day before which records are known; None: they have no dates.
    """
    if found.recorded < FEW_RECORDED * found.ids:
        few = f"{found.recorded:,} of {found.ids:,}" if found.recorded else f"none of {found.ids:,}"
        beside = f", and of ids in customers that are not there {found.other!r}" if found.other else ""
        known, of = (f" that is known before {known_before}", " or of known_at") if known_before else ("", "")
        yield (
            f"Warning: {few} customers in {name} have a record in customers{known}. An id without one is {found.without!r}{beside}. If "
            f"both should have the same ids, correct the mapping of customer_id{of} in one of them."
        )


def of_equal_files(groups: Sequence[Sequence[str]], name: str, shared: Sequence[SharedOrders], drops: bool) -> Iterator[str]:
    """Say that files are equal, byte for byte, and how many orders they share."""
    for names in groups:
        both = next((pair for pair in shared if {pair.one, pair.other} <= set(names)), None)
        orders = f" All {both.orders:,} orders come from each of them, such as {both.example}." if both and len(names) == 2 else ""
        yield f"{_listed(names)} are equal, byte for byte.{orders} {_remedy(name, drops)}"


def of_shared_orders(shared: Sequence[SharedOrders], groups: Sequence[Sequence[str]], drops: bool) -> Iterator[str]:
    """Say that orders come from two files, as in overlapping exports."""
    other = [pair for pair in shared if not any({pair.one, pair.other} <= set(names) for names in groups)]
    for pair in other[:NAMED]:
        come = f"{counted(pair.orders, 'order comes', 'orders come')} from both {pair.one} and {pair.other}, such as {pair.example}."
        if drops:
            yield f"{come} Lines that are equal in both count once; these orders also have lines that differ, and all of those count."
        else:
            yield f"{come} If these exports overlap, lines count twice: remove the rows from one of them, or {DROP}."
    if len(other) > NAMED:
        rest = other[NAMED:]
        yield f"{sum(pair.orders for pair in rest):,} more orders come from two files, of {len(rest)} other pairs of files"


def of_equal_lines(lines: Sequence[EqualLines], groups: Sequence[Sequence[str]]) -> Iterator[str]:
    """Say that lines are in two files, the only sign of an overlap if there are no order ids."""
    for pair in [pair for pair in lines if not any({pair.one, pair.other} <= set(names) for names in groups)][:NAMED]:
        yield (
            f"{counted(pair.lines, 'line is', 'lines are')} in both {pair.one} and {pair.other}, equal in every mapped column. "
            f"If these exports overlap, they count twice: remove the rows from one of them, or {DROP}."
        )


def _remedy(name: str, drops: bool) -> str:
    if name != "transactions":
        return "Remove one of them."
    counted_once = "Their lines count once, because exact_duplicates is drop."
    return counted_once if drops else f"Their lines count twice: remove one of them, or {DROP}."


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _value(mapping: str, columns: set[str]) -> str:
    """The mapping of customer_id, as part of an expression."""
    if mapping not in columns:
        return mapping
    return mapping if mapping.isidentifier() and mapping.isascii() else '"' + mapping.replace('"', '""') + '"'
