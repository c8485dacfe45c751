"""Cleaning as Ibis expressions: which rows are usable, why the others are not, and which rows each rule changed.

Each `judged_...` function returns all raw rows, repaired, with a `reason` that is null for usable rows. Clean and rejected
rows are filters of the same expression, so that together they are always complete; the counts of rules come from it too.
"""

import functools
import operator
from collections.abc import Sequence
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir

from segmentation_assets.settings.cleaning import Cleaning, Impossible

MONEY = "decimal(18, 4)"  # sums of decimals do not depend on the order of rows, so re-runs give the same bytes
LARGEST_AMOUNT = 1e12
ORIGIN = ("row_number", "source_file")
UNKNOWN = "unknown"
# Whitespace of every kind, control and zero-width characters around ids, in a syntax that every engine supports.
INVISIBLE = r"[\x{00}-\x{20}\x{7F}-\x{A0}\x{AD}\x{1680}\x{180E}\x{2000}-\x{200F}\x{2028}\x{2029}\x{202F}\x{205F}\x{2060}\x{3000}\x{FEFF}]"
MADE_ORDER_ID = "orders without an id, made of customer and day"
REPEATS = "line repeats an earlier one exactly"
RULES = Cleaning()
MADE = ("record_rows", "record_changes")  # in a record that the source combined from several rows
NOT_ATTRIBUTES = frozenset({*ORIGIN, *MADE, "customer_id", "unread", "problem", "record"})
ONE_RECORD = "combined into one record per customer"
AS_READ = "__as_read_"  # before the name of a raw column, beside the repaired one
REPEATED_CUSTOMER = "customer id repeats an earlier record"
NOBODY = "customer id is missing, so no record is made of these rows"


@dataclass(frozen=True)
class Judged:
    """Raw rows, repaired and judged.

    Attributes:
        rows: the raw rows with their values repaired, their original `record` as JSON, and `reason` (null: usable).
        columns: the columns of clean rows.
        touched: rule -> whether it changed a row, over `rows`. Rules that set rows aside are in `reason`.
        usable: whether `reason` is null, where that can be told without making the reason.
        suspects: rows like `rows`, among which are all that have a reason; None: `rows`.
    """

    rows: ir.Table
    columns: tuple[str, ...]
    touched: dict[str, ir.BooleanValue]
    usable: ir.BooleanValue
    suspects: ir.Table | None = None

    def kept(self) -> ir.Table:
        """The clean rows."""
        return self.rows.filter(self.usable).select(*self.columns)

    def rejected(self, source: str) -> ir.Table:
        """The rejected rows, with their origin, the reasons and the original record as JSON."""
        rows = self.rows if self.suspects is None else self.suspects
        bad = rows.filter(rows.reason.notnull())
        return bad.select(*ORIGIN, "reason", source=ibis.literal(source), record=bad.record)

    def counts(self) -> ir.Table:
        """One row: `rows_in`, `rows_clean`, the number of clean rows that each rule in `touched` changed and, if the source combined
        rows into records, the number of these rows."""
        fit = self.usable
        rules = {name: (flag & fit).fill_null(False).cast("int64").sum().fill_null(0) for name, flag in self.touched.items()}
        if "record_rows" in self.rows.columns:
            rules[ONE_RECORD] = self.rows.record_rows.sum().fill_null(0)
        return self.rows.agg(rows_in=self.rows.count(), rows_clean=fit.cast("int64").sum().fill_null(0), **rules)


def judged_customers(raw: ir.Table, rules: Cleaning = RULES) -> Judged:
    """Customer records: only the first for each id; impossible values set to missing, spellings merged."""
    customer_id, id_changed = identifier(raw.customer_id, rules)
    sound = raw.problem.isnull() & ~_blank(customer_id)
    # The record is made after the window below, of rejected rows alone: before it, it would be made of all rows.
    as_read = {f"{AS_READ}{name}": raw[name] for name in raw.columns}
    base = raw.mutate(customer_id=customer_id, __sound=sound, __id_changed=id_changed, **as_read)
    ordered = ibis.window(group_by=["customer_id", "__sound"], order_by=list(ORIGIN))
    base = base.mutate(__first=ibis.row_number().over(ordered) == 0, __repeated=base.row_number.lead().over(ordered).notnull())
    values: dict[str, ir.Value] = {}
    touched: dict[str, ir.BooleanValue] = {"ids written without decimals": base["__id_changed"]}
    for name in raw.columns:
        if name in NOT_ATTRIBUTES:
            continue
        values[name], changes = _attribute(base[name], name, rules)
        touched |= changes
        if "record_changes" in raw.columns:
            touched[f"{name}: changed over time, the newest value taken"] = _listed(base.record_changes, name)
    if "unread" in raw.columns:
        touched["unreadable cells set to missing"] = base.unread.notnull()
    flags = {f"__rule{position}": flag for position, flag in enumerate(touched.values())}
    changed = base.mutate(**values, **flags)
    # Few customers have several records, and whether these differ is sought among them alone.
    doubtful = changed.filter(~changed["__sound"] | ~changed["__first"] | changed["__repeated"])
    rows, suspects = (_with_reason(some, raw.columns, tuple(values)) for some in (changed, doubtful))
    of_rules = {name: rows[flag] for name, flag in zip(touched, flags, strict=True)}
    return Judged(rows, (*ORIGIN, "customer_id", *values), of_rules, rows["__sound"] & rows["__first"], suspects)


def _with_reason(rows: ir.Table, columns: Sequence[str], values: Sequence[str]) -> ir.Table:
    """Judged customer records with `reason` and `record`.

    Args:
        columns: of the raw rows; values: attributes.
    """
    ordered = ibis.window(group_by=["customer_id", "__sound"], order_by=list(ORIGIN))
    others = [_listed_where(~rows[name].identical_to(rows[name].first(include_null=True).over(ordered)), name) for name in values]
    differing = functools.reduce(operator.add, others, ibis.literal("")).substr(2)
    repeats = ibis.ifelse(differing == "", REPEATED_CUSTOMER, ibis.literal(f"{REPEATED_CUSTOMER}, with other values: ") + differing)
    nobody, made = _blank(rows.customer_id), rows.record_rows.notnull() if "record_rows" in columns else ibis.literal(False)
    reason = _reason(rows, {"customer id is missing": nobody & ~made, NOBODY: nobody & made})
    reason = reason.fill_null(ibis.ifelse(rows["__sound"] & ~rows["__first"], repeats, ibis.null("string")))
    return rows.mutate(reason=reason, record=_record(rows, columns, AS_READ))


def judged_transactions(raw: ir.Table, rules: Cleaning = RULES) -> Judged:
    """Order lines: exact money, returns and cancellations netted, an order id and a category for each."""
    columns = raw.columns
    raw = _with_identifiers(_with_trimmed(raw, "customer_id", "order_id", "returned_order_id", "product_id", "category"), rules)
    customer_id, order_id, returned_id, product_id = (
        raw[f"__id_{name}"] for name in ("customer_id", "order_id", "returned_order_id", "product_id")
    )
    category, case_changed, merged = _level(raw["__trimmed_category"], "category", rules.category_case, rules)
    quantity = ibis.ifelse(_usable(raw.quantity, rules.largest_amount), raw.quantity, ibis.null("float64"))
    cancelled = _matches(order_id, (rules.cancellation_pattern,)) if rules.cancellation_pattern else ibis.literal(False)
    gives_back = (quantity < 0).fill_null(False) | cancelled
    turned = gives_back & (raw.amount > 0).fill_null(False)
    is_return = (raw.amount < 0).fill_null(False) | gives_back
    returned_order_id = ibis.ifelse(is_return, ibis.coalesce(returned_id.nullif(""), order_id.nullif("")), ibis.null("string"))
    excluded = _matches(product_id, rules.product_exclusions) | _matches(category, rules.product_exclusions)
    problems = {
        "customer id is missing": _blank(customer_id),
        "order time is missing": raw.ordered_at.isnull() & ~_unread(raw, "ordered_at"),
        "order time is not a date, or is out of bounds": _unread(raw, "ordered_at"),
        "amount is not a number": (raw.amount.isnull() & _unread(raw, "amount")) | raw.amount.isnan(),
        "amount is missing": raw.amount.isnull() & ~_unread(raw, "amount"),
        "amount is larger than possible": ~raw.amount.isnan() & ~_usable(raw.amount, rules.largest_amount),
        "quantity is not a number": _unread(raw, "quantity") | raw.quantity.isnan(),
        "quantity is larger than possible": ~raw.quantity.isnan() & ~_usable(raw.quantity, rules.largest_amount),
        "line is not a product": excluded,
    }
    if rules.zero_amounts == "reject":
        problems["amount is zero"] = raw.amount == 0
    if rules.negative_prices == "reject":
        problems["price is negative"] = (raw.amount < 0) & (quantity > 0) & ~cancelled
    touched = {
        "ids written without decimals": raw["__decimal_customer_id"],
        "cancellations netted as returns": cancelled,
        "amounts turned negative because goods were given back": turned,
        "negative prices netted as returns": (raw.amount < 0) & (quantity > 0) & ~cancelled,
        "zero amounts kept": raw.amount == 0,
        "categories cased": case_changed,
        "categories merged": merged,
        "categories missing, called unknown": _blank(raw["__trimmed_category"]),
        MADE_ORDER_ID: _blank(order_id),
        "returns that name no order, so that they lower spend and no order count": is_return & returned_order_id.isnull(),
        "unreadable cells set to missing": raw.unread.notnull(),
    }
    flags = {f"__rule{position}": flag for position, flag in enumerate(touched.values())}
    amount = ibis.ifelse(turned, -raw.amount, raw.amount)
    by_day = customer_id + "@" + raw.ordered_at.date().cast("string")
    values = {
        "customer_id": customer_id,
        "order_id": order_id.nullif("").fill_null(by_day),
        "ordered_at": raw.ordered_at,
        "amount": ibis.ifelse(_usable(amount, rules.largest_amount), amount, ibis.null("float64")).cast(MONEY),
        "quantity": ibis.ifelse(cancelled, -quantity.abs(), quantity).cast(MONEY),
        "product_id": product_id.nullif(""),
        "category": category.nullif("").fill_null(UNKNOWN),
        "discount": _money_or_zero(raw.discount),
        "coupon_discount": _money_or_zero(raw.coupon_discount),
        "is_return": is_return,
        "returned_order_id": returned_order_id,
    }
    rows = raw.mutate(reason=_reason(raw, problems), record=_record(raw, columns), **values, **flags)
    if rules.exact_duplicates == "drop":
        rows = rows.mutate(reason=rows.reason.fill_null(ibis.ifelse(_repeats(rows, tuple(values)), REPEATS, ibis.null("string"))))
    of_rules = {name: rows[flag] for name, flag in zip(touched, flags, strict=True)}
    return Judged(rows, (*ORIGIN, *values), of_rules, rows.reason.isnull())


def judged_events(raw: ir.Table, rules: Cleaning = RULES) -> Judged:
    """Events with a customer, a type and a time."""
    columns = raw.columns
    raw = _with_identifiers(_with_trimmed(raw, "customer_id", "event_type"), rules)
    customer_id = raw["__id_customer_id"]
    event_type, case_changed, merged = _level(raw["__trimmed_event_type"], "event_type", rules.category_case, rules)
    problems = {
        "customer id is missing": _blank(customer_id),
        "event type is missing": _blank(event_type),
        "event time is missing": raw.event_at.isnull() & ~_unread(raw, "event_at"),
        "event time is not a date, or is out of bounds": _unread(raw, "event_at"),
    }
    touched = {
        "ids written without decimals": raw["__decimal_customer_id"], "event types cased": case_changed, "event types merged": merged,
        "unreadable cells set to missing": raw.unread.notnull(),
    }  # fmt: skip
    flags = {f"__rule{position}": flag for position, flag in enumerate(touched.values())}
    rows = raw.mutate(
        reason=_reason(raw, problems),
        record=_record(raw, columns),
        customer_id=customer_id,
        event_type=event_type,
        subject=raw.subject.strip().nullif(""),
        **flags,
    )
    return Judged(
        rows,
        (*ORIGIN, "customer_id", "event_type", "event_at", "subject"),
        {name: rows[flag] for name, flag in zip(touched, flags, strict=True)},
        rows.reason.isnull(),
    )


def known_customers(
    records: ir.Table,
    orders: ir.Table,
    events: ir.Table,
    previous: ir.Table,
    earlier: ir.Table,
    corrected: ir.Table,
    tells_who_left: bool = False,
) -> ir.Table:
    """All customers known at the snapshot, with their attributes and their first and last order.

    Args:
        records: clean customer records of the snapshot: an id and attributes, without their origin.
        orders: contract CUSTOMER_ORDERS, for the snapshot's window; events: its clean events.
        previous: this table at the previous snapshot (empty if there is none).
        earlier: `customer_id` and `earlier_order_at`, from `orders.earlier_orders`.
        corrected: `customer_id` and `last_order_at` of customers whose last order changed because orders were undone in the window.
        tells_who_left: whether a customer who was on record at an earlier snapshot and no longer is has left.
    """
    kept = ("first_order_at", "last_order_at", "first_return_at", "first_event_at")
    nothing = dict.fromkeys((*kept, "earlier_order_at"), ibis.null("timestamp(6)"))
    seen_now = {"first_order_at": orders.ordered_at, "last_order_at": orders.ordered_at, "first_return_at": orders.returned_at}
    sightings = ibis.union(
        orders.select("customer_id", **_times(nothing | seen_now)),
        events.select("customer_id", **_times(nothing | {"first_event_at": events.event_at})),
        previous.select("customer_id", **_times(nothing | {name: previous[name] for name in kept})),
        earlier.select("customer_id", **_times(nothing | {"earlier_order_at": earlier.earlier_order_at})),
        records.select("customer_id", **nothing),
    )
    latest = ("last_order_at", "earlier_order_at")
    seen = sightings.group_by("customer_id").agg(
        **{name: sightings[name].max() if name in latest else sightings[name].min() for name in nothing}
    )
    renamed = corrected.select(corrected_id="customer_id", corrected_at="last_order_at")
    named = seen.left_join(renamed, seen.customer_id == renamed.corrected_id)
    last = ibis.ifelse(named.corrected_id.notnull(), named.corrected_at, named.last_order_at)
    seen = named.mutate(last_order_at=last).drop("corrected_id", "corrected_at")
    marked = records.mutate(on_record=True)
    joined = seen.left_join(marked, "customer_id").drop("customer_id_right")
    known = joined.mutate(registered=joined.on_record.fill_null(False)).drop("on_record")
    if not tells_who_left:
        return known.mutate(has_left=ibis.null("boolean"))
    were = previous.filter(previous.registered | previous.has_left.fill_null(False)).select(was_on_record="customer_id")
    named = known.left_join(were, known.customer_id == were.was_on_record)
    return named.mutate(has_left=~named.registered & named.was_on_record.notnull()).drop("was_on_record")


def _times(values: dict[str, ir.Value]) -> dict[str, ir.Value]:
    """Times to the microsecond: Spark's have no precision, and a union needs equal types."""
    return {name: value.cast("timestamp(6)") for name, value in values.items()}


def _reason(raw: ir.Table, problems: dict[str, ir.BooleanValue]) -> ir.StringValue:
    """The problems of a row, joined by semicolons, or null if there are none. An unreadable row has only that problem."""
    holds = {text: problem.fill_null(False) for text, problem in problems.items()}
    joined = functools.reduce(operator.add, [ibis.ifelse(problem, f"; {text}", "") for text, problem in holds.items()]).substr(2)
    # Nearly all rows have none, which is found before any text is built.
    some = ibis.ifelse(functools.reduce(operator.or_, holds.values()), joined, ibis.null("string"))
    return ibis.ifelse(raw.problem.notnull(), ibis.literal("row cannot be read: ") + raw.problem, some)


def identifier(value: ir.StringValue, rules: Cleaning) -> tuple[ir.StringValue, ir.BooleanValue]:
    """The id, trimmed and without decimals that a spreadsheet added (`17850.0`, `17850,0`); and whether it had them."""
    trimmed = _trimmed(value)
    decimal = _has_decimals(trimmed, rules)
    return _without_decimals(trimmed, decimal), decimal


def _has_decimals(trimmed: ir.StringValue, rules: Cleaning) -> ir.BooleanValue:
    if not rules.ids_without_decimals:
        return ibis.literal(False)
    return ibis.ifelse(trimmed.endswith("0"), trimmed.re_search(r"^-?[0-9]+(\.0+|,0)$"), False).fill_null(False)


def _without_decimals(trimmed: ir.StringValue, decimal: ir.BooleanValue) -> ir.StringValue:
    return ibis.ifelse(decimal, trimmed.re_extract(r"^(-?[0-9]+)", 1), trimmed)


def _with_trimmed(rows: ir.Table, *names: str) -> ir.Table:
    """The rows with some columns trimmed, as `__trimmed_<name>`.

    Each stage is a view, as in the two below: within one expression, a value that is used in several places would be computed in
    each of them.
    """
    return rows.mutate(**{f"__trimmed_{name}": _trimmed(rows[name]) for name in names}).view()


def _with_identifiers(rows: ir.Table, rules: Cleaning) -> ir.Table:
    """The rows with each trimmed id as `__id_<name>`, and whether it had decimals as `__decimal_<name>`."""
    names = [name.removeprefix("__trimmed_") for name in rows.columns if name.startswith("__trimmed_") and name.endswith("_id")]
    rows = rows.mutate(**{f"__decimal_{name}": _has_decimals(rows[f"__trimmed_{name}"], rules) for name in names}).view()
    return rows.mutate(**{f"__id_{name}": _without_decimals(rows[f"__trimmed_{name}"], rows[f"__decimal_{name}"]) for name in names}).view()


def _trimmed(text: ir.StringValue) -> ir.StringValue:
    """The text without surrounding invisible characters; most have none, as their first and last character show at a fifth of the cost."""
    return ibis.ifelse(_plain(text), text, text.re_replace(rf"^{INVISIBLE}+|{INVISIBLE}+$", ""))


def _plain(text: ir.StringValue) -> ir.BooleanValue:
    """Whether the text begins and ends with a visible character of ASCII, so that nothing can be trimmed."""
    last = text.right(1)
    return (text >= "!") & (text < "~") & (last >= "!") & (last < "~")


def _level(trimmed: ir.StringValue, column: str, case: str, rules: Cleaning) -> tuple[ir.StringValue, ir.BooleanValue, ir.BooleanValue]:
    """A category after casing and merging; whether its case changed, and whether it was merged."""
    cased = trimmed.lower() if case == "lower" else trimmed.upper() if case == "upper" else trimmed
    merges = rules.merge.get(column, {})
    if not merges:
        return cased, (cased != trimmed).fill_null(False), ibis.literal(False)
    merged = ibis.cases(*((cased == found, ibis.literal(called)) for found, called in merges.items()), else_=cased)
    return merged, (cased != trimmed).fill_null(False), (merged != cased).fill_null(False)


def cleaned_attribute(value: ir.Value, name: str, rules: Cleaning = RULES) -> ir.Value:
    """A customer attribute after cleaning."""
    return _attribute(value, name, rules)[0]


def _attribute(value: ir.Value, name: str, rules: Cleaning) -> tuple[ir.Value, dict[str, ir.BooleanValue]]:
    """A customer attribute without impossible values, and what changed."""
    changes: dict[str, ir.BooleanValue] = {}
    if value.type().is_string():
        value, cased, merged = _level(ibis.ifelse(_plain(value), value, value.strip()), name, rules.attribute_case, rules)
        value = value.nullif("")
        if rules.attribute_case != "as is":
            changes[f"{name}: cased"] = cased
        if name in rules.merge:
            changes[f"{name}: merged"] = merged
    if name in rules.impossible:
        impossible = _impossible(value, rules.impossible[name])
        changes[f"{name}: impossible, set to missing"] = impossible
        value = ibis.ifelse(impossible, ibis.null(value.type()), value)
    return value, changes


def _impossible(value: ir.Value, limits: Impossible) -> ir.BooleanValue:
    tests = [ibis.literal(False)]
    number = value if value.type().is_numeric() else value.try_cast("float64")
    if limits.minimum is not None:
        tests.append(number < limits.minimum)
    if limits.maximum is not None:
        tests.append(number > limits.maximum)
    for found in limits.values:
        tests.append(number == found if isinstance(found, float) else value.cast("string") == found)
    return functools.reduce(operator.or_, (test.fill_null(False) for test in tests))


def _repeats(rows: ir.Table, columns: tuple[str, ...]) -> ir.BooleanValue:
    """Whether an earlier line is equal in every column, after all other rules have been applied.

    Lines that are set aside for another reason do not count as earlier ones: otherwise the usable line would be lost too.
    """
    same = [rows.reason.isnull(), *(rows[name] for name in columns)]
    return ibis.row_number().over(ibis.window(group_by=same, order_by=[rows.source_file, rows.row_number])) > 0


def _matches(text: ir.StringValue, patterns: tuple[str | None, ...]) -> ir.BooleanValue:
    one = "|".join(f"(?:{pattern})" for pattern in patterns if pattern)  # one pass over each text, however many patterns
    return text.re_search(one).fill_null(False) if one else ibis.literal(False)


def is_no_fault(reason: ir.StringValue) -> ir.BooleanValue:
    """Whether a customer's row is set aside although nothing is wrong with it: a repeated record, or an order line without a customer."""
    return (reason.startswith(REPEATED_CUSTOMER) | (reason == NOBODY)).fill_null(False)


def _unread(raw: ir.Table, column: str) -> ir.BooleanValue:
    """Whether the cell was filled but the source could not read it."""
    return _listed(raw.unread, column)


def _listed(columns: ir.StringValue, name: str) -> ir.BooleanValue:
    return (ibis.literal(",") + columns + ",").contains(f",{name},").fill_null(False)


def _listed_where(flag: ir.BooleanValue, name: str) -> ir.StringValue:
    return ibis.ifelse(flag, f", {name}", "")


def _blank(text: ir.StringValue) -> ir.BooleanValue:
    """Whether a trimmed text is empty or null."""
    return text.isnull() | (text == "")


def _usable(number: ir.NumericValue, largest: float = LARGEST_AMOUNT) -> ir.BooleanValue:
    """Whether it is a finite number that fits the decimal type."""
    return (number.abs() <= largest).fill_null(False)


def _money_or_zero(number: ir.NumericValue) -> ir.NumericValue:
    return ibis.ifelse(_usable(number), number, 0.0).cast(MONEY)


def records(raw: ir.Table) -> ir.Table:
    """The raw rows with their original records; those that the source did not keep are built from the raw columns."""
    return raw.mutate(record=_record(raw, raw.columns))


def _record(raw: ir.Table, columns: Sequence[str], prefix: str = "") -> ir.StringValue:
    """The original record, if the source kept it, else one built from the raw columns, whose names have the prefix."""
    values = {name: raw[f"{prefix}{name}"].cast("string") for name in columns if name not in {*ORIGIN, "unread", "problem", "record"}}
    return ibis.coalesce(raw[f"{prefix}record"], _json(values))


def _json(values: dict[str, ir.StringValue]) -> ir.StringValue:
    """A JSON object of the values that are not null, as text, built by string operations that any engine supports."""
    parts = [
        ibis.ifelse(value.isnull(), "", ibis.literal(f', "{_escaped_name(name)}": "') + _escaped(value) + '"')
        for name, value in values.items()
    ]
    return ibis.literal("{") + functools.reduce(operator.add, parts).substr(2) + "}"


def _escaped_name(name: str) -> str:
    return name.replace("\\", "\\\\").replace('"', '\\"')


def _escaped(text: ir.StringValue) -> ir.StringValue:
    for found, written in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t")):
        text = text.replace(found, written)
    return text.re_replace(r"[\x00-\x1f]", "\ufffd")  # the other control characters are not allowed in JSON
