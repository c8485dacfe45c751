"""Customer features as of a snapshot: the windows of its lookback merged, one row per known customer.

Belongs here: merging. The sums of each window are in `activity`, the features' meaning in `feature_catalog`.
Use only dates, sums, counts, conditionals, joins and `nullif`, on which engines agree.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import ibis
import ibis.expr.types as ir

from segmentation_assets.core.customers.activity import DAYPARTS, LINE_SUMS, ORDER_SUMS, order_sums, purchases_by_category
from segmentation_assets.core.customers.attributes import attribute_features
from segmentation_assets.core.customers.calendar import Lookback
from segmentation_assets.core.customers.columns import Customers
from segmentation_assets.core.customers.feature_catalog import FEATURES, Feature, event_features, slug
from segmentation_assets.core.customers.orders import count_where, counted, order_days, undone
from segmentation_assets.settings.customers import AttributeWords, Features
from segmentation_assets.vocabulary import Status

BOOKKEEPING = {
    "customer_id",
    "registered",
    "has_left",
    "first_order_at",
    "last_order_at",
    "earlier_order_at",
    "first_return_at",
    "first_event_at",
    "birth_date",
}
OF_CATEGORIES = ("categories", "top_category", "top_category_share", "category_entropy")
ENTROPY_TERM = "decimal(38, 12)"  # of x ln x: rounded terms add up to the same sum in whatever order


@dataclass(frozen=True)
class Activity:
    """The windows of at least the lookback; any others are filtered out here.

    Args:
        windows, categories, events: sums by window.
        orders, returns: `customer_orders` and `order_returns`, for customers with an undone order.
        keep: stores purchases by category for the other tables that are made of them; by default, nothing is stored.
    """

    windows: ir.Table = field(repr=False)
    categories: ir.Table = field(repr=False)
    events: ir.Table = field(repr=False)
    orders: ir.Table = field(repr=False)
    returns: ir.Table = field(repr=False)
    keep: Callable[[ir.Table], ir.Table] = field(default=lambda table: table, repr=False)

    def within(self, lookback: Lookback) -> "Activity":
        def cut(table: ir.Table, day: str = "window_start") -> ir.Table:
            return table.filter(lookback.has(table[day]))

        by_window = {"windows": cut(self.windows), "events": cut(self.events)}  # categories are filtered where they are grouped
        return replace(self, **by_window, orders=cut(self.orders, "order_day"), returns=cut(self.returns, "order_day"))


def customer_features(
    customers: ir.Table, activity: Activity, lookback: Lookback, settings: Features, contents: Collection[str] = ("transactions",)
) -> ir.Table:
    """One row per known customer: id, status, every declared feature, and the attributes from the source.

    Without orders, every known customer who has not left is active, and only features of what the source has are there.

    Args:
        customers: all customers known at the snapshot, with their first and last order (contract CUSTOMERS).
        contents: which of customers, transactions and events the source has.
    """
    m = merged(customers, activity.within(lookback), lookback, settings)
    known, status = declared(settings), _status(m)
    if "transactions" not in contents:
        has = set(contents) if "birth_date" in customers.columns else set(contents) - {"customers"}
        known = tuple(feature for feature in known if feature.needs in has)
        status = ibis.ifelse(m.has_left.fill_null(False), str(Status.FORMER), str(Status.ACTIVE))
    computed = {"status": status} | {feature.name: feature.expression(m) for feature in known}
    # An attribute with the name of a feature is renamed, rather than replacing the feature.
    attributes = {
        f"attribute_{name}" if name in computed else name: m[_attribute(name)] for name in customers.columns if name not in BOOKKEEPING
    }
    return m.select("customer_id", **computed, **attributes)


def _status(m: ir.Table) -> ir.StringValue:
    return ibis.cases(
        (m.orders.fill_null(0) > 0, Status.ACTIVE),
        (m.last_order_at.notnull(), Status.LAPSED),
        (m.first_order_at.notnull() | m.first_return_at.notnull(), Status.RETURNED),
        (m.has_left.fill_null(False), Status.FORMER),
        else_=Status.PROSPECT,
    )


def declared(settings: Features) -> tuple[Feature, ...]:
    """Every feature computed under these settings, including those of event types."""
    return (*FEATURES, *event_features(settings.event_types))


def feature_types(settings: Features, has_orders: bool) -> dict[str, str]:
    """The type of each feature that customers of such a source have."""
    lacks = set() if has_orders else {"transactions"}
    return {feature.name: feature.type for feature in declared(settings) if feature.needs not in lacks}


def attribute_columns(attributes: Mapping[str, str], features: Collection[str]) -> dict[str, str]:
    """The columns of customer_features that hold attributes of the source, beside those of the features, with what was given of each."""
    return {f"attribute_{name}" if name in features else name: kind for name, kind in attributes.items() if name not in BOOKKEEPING}


def described(settings: Features, customers: Customers, words: Mapping[str, AttributeWords] | None = None) -> tuple[Feature, ...]:
    """The features by which customers, rows of customer_features, are described: the declared ones that they have and, without orders,
    their numeric attributes, with the `words` of the settings."""
    known = declared(settings)
    if "frequency" in customers.columns:
        return known
    names = {feature.name for feature in known}
    return (*(feature for feature in known if feature.name in customers.columns), *attribute_features(customers, names, words))


def merged(customers: ir.Table, activity: Activity, lookback: Lookback, settings: Features) -> ir.Table:
    """One row per known customer: the sums over the lookback from which features are made (empty: nothing happened)."""
    known = customers.select(
        *(BOOKKEEPING - {"birth_date", "registered"}),
        age_years=_age(customers, lookback),
        **{_attribute(name): customers[name] for name in customers.columns if name not in BOOKKEEPING},
    )
    parts = (
        _without_undone(_orders(activity.windows, lookback), activity, lookback),
        _categories(activity.keep(purchases_by_category(activity.categories, lookback))),
        _events(activity.events, settings),
        _campaigns(activity.events, settings),
    )
    joined = known
    for position, part in enumerate(parts):  # one chain of joins: a join of joins takes Ibis longer to compile
        joined = joined.left_join(part, known.customer_id == part.customer_id, rname=f"{{name}}_{position}")
    known = joined.drop(*(f"customer_id_{position}" for position in range(len(parts))))
    # Purchases whose orders were all undone say nothing about taste.
    known = known.mutate(**{name: ibis.ifelse(known.orders > 0, known[name], ibis.null(known[name].type())) for name in OF_CATEGORIES})
    since_first = lookback.calendar.windows_between(lookback.calendar.window_start(known.first_order_at.date()), lookback.as_of)
    known = known.mutate(
        as_of=ibis.date(lookback.as_of.isoformat()),
        lookback_start=ibis.date(lookback.start.isoformat()),
        known_windows=ibis.ifelse(since_first > lookback.windows, lookback.windows, since_first),
        recent_windows=ibis.literal(lookback.recent_windows),
    )
    return known.mutate(earlier_windows=known.known_windows - lookback.recent_windows)


def _attribute(name: str) -> str:
    """The temporary name of an attribute next to the sums, which cannot clash with theirs."""
    return f"attribute of customer: {name}"


def _orders(windows: ir.Table, lookback: Lookback) -> ir.Table:
    """The sums over the windows, with orders as placed."""
    before = windows.previous_order_day
    # A gap that began before the lookback does not count.
    known = before >= ibis.date(lookback.start.isoformat())
    gap = windows.first_order_at.date().delta(before, unit="day").cast("int64")
    # A window may come in parts; the first of them opens it.
    opens_window = (windows.orders > 0) & (before.isnull() | (before < windows.window_start))
    recent = windows.window_start >= ibis.date(lookback.recent_start.isoformat())
    return windows.group_by("customer_id").agg(
        **{name: windows[name].sum() for name in (*ORDER_SUMS, *LINE_SUMS, "order_days")},
        **_recent_sums(windows, recent),
        active_windows=count_where(opens_window),
        first_order_day=windows.first_order_at.min().date(),
        gap_days_squared=(windows.gap_days_squared + ibis.ifelse(known, gap * gap, 0)).sum(),
        gap_days=_days_between(windows.first_order_at.min(), windows.last_order_at.max()),
    )


def _without_undone(sums: ir.Table, activity: Activity, lookback: Lookback) -> ir.Table:
    """The sums; for customers with an undone order in the lookback, recounted from their other orders.

    Extremes and gaps cannot be subtracted from a sum, and few customers are affected.
    """
    affected = undone(activity.returns).select("customer_id").distinct()
    anew = _counted_anew(counted(activity.orders.semi_join(affected, "customer_id"), activity.returns), lookback)
    names = [name for name in anew.columns if name != "customer_id"]
    renamed = affected.left_join(anew, "customer_id").select(anew_of="customer_id", **{f"anew_{name}": anew[name] for name in names})
    joined = sums.left_join(renamed, sums.customer_id == renamed.anew_of)
    is_affected = joined.anew_of.notnull()
    kept = {name: ibis.ifelse(is_affected, joined[f"anew_{name}"], joined[name]) for name in names}
    total = joined.select("customer_id", *LINE_SUMS, **kept)
    total = total.mutate(orders=total.orders.fill_null(0), timed_orders=sum((total[name] for name in DAYPARTS), ibis.literal(0)))
    bought = total.orders > 0
    always = {"customer_id", "orders", "spend"}
    # Empty for customers who only returned something: their buying behaviour is unknown.
    return total.mutate(**{
        name: ibis.ifelse(bought, total[name], ibis.null(total[name].type())) for name in total.columns if name not in always
    })  # fmt: skip


def _counted_anew(orders: ir.Table, lookback: Lookback) -> ir.Table:
    """The columns of `_orders` except sums of lines, computed directly from the orders of some customers."""
    dated = orders.mutate(window_start=lookback.calendar.window_start(orders.order_day), orders=ibis.literal(1, "int64"))
    recent = dated.window_start >= ibis.date(lookback.recent_start.isoformat())
    sums = dated.group_by("customer_id").agg(
        **order_sums(dated), **_recent_sums(dated, recent), active_windows=dated.window_start.nunique()
    )
    days = order_days(dated)
    gaps = days.group_by("customer_id").agg(
        order_days=days.count(),
        first_order_day=days.day.min(),
        gap_days_squared=(days.gap * days.gap).sum().fill_null(0),
        gap_days=days.day.max().delta(days.day.min(), unit="day").cast("int64"),
    )
    return sums.left_join(gaps, "customer_id").drop("customer_id_right")


def _recent_sums(table: ir.Table, recent: ir.BooleanColumn) -> dict[str, ir.Value]:
    """Purchases and orders of the last part of the lookback, which trends compare with the part before."""
    return {f"recent_{name}": ibis.ifelse(recent, table[name], 0).sum() for name in ("purchases", "orders")}


def _days_between(first: ir.TimestampValue, last: ir.TimestampValue) -> ir.IntegerValue:
    return last.date().delta(first.date(), unit="day").cast("int64")


def _categories(bought: ir.Table) -> ir.Table:
    spent = bought.mutate(value=bought.purchases.cast("float64"))
    found = spent.group_by("customer_id").agg(
        categories=spent.count(),
        total=spent.purchases.sum(),
        # The least of pairs, which every engine compares part by part: the highest purchases, and of equals the first name.
        top=ibis.struct({"taken_away": -spent.purchases, "category": spent.category}).min(),
        x_ln_x=(spent.value * spent.value.nullif(0.0).ln()).fill_null(0.0).cast(ENTROPY_TERM).sum(),
    )
    highest, total = -found.top["taken_away"], found.total.cast("float64").nullif(0.0)
    # -sum(p ln p) with p = x / T is ln T - sum(x ln x) / T, which needs no second pass over the categories.
    entropy = ibis.greatest(total.ln() - found.x_ln_x.cast("float64") / total, 0.0)
    return found.select(
        "customer_id",
        "categories",
        top_category=found.top["category"],
        top_category_share=highest.cast("float64") / total,
        category_entropy=ibis.ifelse(total.isnull(), ibis.null("float64"), ibis.ifelse(highest == found.total, 0.0, entropy)),
    )


def _events(windows: ir.Table, settings: Features) -> ir.Table:
    of_type = {slug(name): windows.event_type == name for name in settings.event_types}
    never = ibis.null("timestamp(6)")
    return windows.group_by("customer_id").agg(
        events=windows.events.sum(),
        last_event_at=windows.last_event_at.max(),
        **{f"{name}_count": ibis.ifelse(is_type, windows.events, 0).sum() for name, is_type in of_type.items()},
        **{f"{name}_last_at": ibis.ifelse(is_type, windows.last_event_at, never).max() for name, is_type in of_type.items()},
    )


def _campaigns(windows: ir.Table, settings: Features) -> ir.Table:
    """Campaigns received in the lookback, and those with a response; events without a subject do not count."""
    named = windows.filter(windows.subject.notnull())
    campaigns = named.group_by("customer_id", "subject").agg(
        received=(named.event_type == settings.campaign_event).cast("int64").max(),
        answered=named.event_type.isin(_listed(settings.response_events)).cast("int64").max(),
    )
    return campaigns.group_by("customer_id").agg(
        campaigns_received=campaigns.received.sum(), campaigns_answered=(campaigns.received * campaigns.answered).sum()
    )


def _listed(names: Sequence[str]) -> list[str]:
    return list(names) or [""]  # no engine takes an empty list; no event type is empty


def _age(customers: ir.Table, lookback: Lookback) -> ir.Value:
    """Completed years at the snapshot, if customers have a `birth_date` that is a date or time; otherwise empty."""
    if "birth_date" not in customers.columns or not (customers.birth_date.type().is_date() or customers.birth_date.type().is_timestamp()):
        return ibis.null("int64")
    born = customers.birth_date.cast("date")
    birthday_to_come = (born.month() * 100 + born.day()) > lookback.as_of.month * 100 + lookback.as_of.day
    return lookback.as_of.year - born.year() - birthday_to_come.cast("int64")
