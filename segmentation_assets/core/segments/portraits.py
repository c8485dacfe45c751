"""Who is in a segment: attributes and categories that are more or less common there than among all active customers, and typical customers.

Belongs here: comparing active customers of segments by what is not a feature. Features are compared in `profiles`.
"""

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from segmentation_assets.core.choice.grid_model import FREQUENCY, MONETARY, RECENCY
from segmentation_assets.core.clustering.prototypes import PrototypeModel
from segmentation_assets.core.customers.calendar import Lookback
from segmentation_assets.core.customers.exploration import MISSING_LEVEL, MOST_LEVELS
from segmentation_assets.core.model.segment_model import SegmentModel

Numbers = NDArray[np.float64]
Z95, TAIL = 1.959963984540054, 0.025  # of a normal distribution, for 95%
FEW_VALUES = 5  # an attribute with no more different numbers is a category
QUARTILES = (0.25, 0.5, 0.75)
DIGITS_OF_EDGES = 4
BOOKKEEPING = {"customer_id", "status", "segment_id"}
LIFT = ["lift", "lift_low", "lift_high"]
ATTRIBUTE_COLUMNS = ["segment_id", "attribute", "level", "customers", "of_customers", "share", "active_customers", "active_share", *LIFT]
SPEND = ["purchases", "purchase_share", "active_purchase_share", "purchase_lift"]
CATEGORY_COLUMNS = ["segment_id", "category", "customers", "of_customers", "share", "active_customers", "active_share", *LIFT, *SPEND]
EXAMPLE_COLUMNS = ["segment_id", "example", "customer_id", "feature", "value", "text"]
EXAMPLES = 3  # customers of a segment
MOST_COMPARED = 400  # customers of a segment among whom examples are sought
SHOWN = ("recency_days", "frequency", "monetary", "average_order_value", "tenure_days", "top_category")
DIGITS_SHOWN = 2


def lifts(part: Numbers, of_part: Numbers, whole: Numbers, of_whole: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """The share in a part of all customers as a multiple of the share in all, with its 95% interval.

    The interval is that of Katz, Baptista, Azen and Pike (1978) for the logarithm of a ratio of two proportions, whose variance takes
    into account, by the delta method, that the part belongs to the whole: 1/a - 1/n - 1/K + 2a/(nK) - 1/N. Where nobody of the part
    has it, the upper limit is that of Clopper and Pearson (1934) for the share.

    Args:
        part, of_part: customers in the part who have it (a), of how many (n); whole, of_whole: of all (K, N). Each (rows,), K above 0.

    >>> [values.round(2).tolist() for values in lifts(*(np.array([float(n)]) for n in (30, 100, 100, 1000)))]
    [[3.0], [2.3], [3.91]]
    """
    a, n, k, everyone = part, of_part, whole, of_whole
    with np.errstate(divide="ignore", invalid="ignore"):
        lift = (a / n) / (k / everyone)
        variance = 1 / a - 1 / n - 1 / k + 2 * a / (n * k) - 1 / everyone
        factor = np.exp(Z95 * np.sqrt(np.maximum(variance, 0)))
        none = (1 - TAIL ** (1 / n)) / (k / everyone)
        return lift, np.where(a > 0, lift / factor, 0.0), np.where(a > 0, lift * factor, none)


def attributes(active: ir.Table, computed: Collection[str]) -> pd.DataFrame:
    """One row per segment, attribute and level: its share in the segment and among all active customers, and the lift.

    Shares are of the customers for whom the attribute is known; that of MISSING_LEVEL is of all. Categories have up to thirty levels,
    others are left out, as are dates; numbers with many values are cut at the quartiles of all active customers.

    Args:
        active: active customers with their segment_id and attributes; `computed`: columns that are no attributes.
    """
    names = [name for name in active.columns if name not in BOOKKEEPING and name not in computed]
    levels = _levels(active, names)
    counted = [
        active.group_by("segment_id", level=level).agg(customers=ibis._.count()).mutate(attribute=ibis.literal(name))
        for name, level in levels.items()
    ]
    if not counted:
        return pd.DataFrame(columns=ATTRIBUTE_COLUMNS)
    found = ibis.union(*counted, distinct=False).to_pyarrow().to_pandas()
    return pd.concat([_compared(of, name) for name, of in found.groupby("attribute", sort=True)], ignore_index=True)[ATTRIBUTE_COLUMNS]


def _compared(counts: pd.DataFrame, attribute: Any) -> pd.DataFrame:
    """The rows of one attribute, from customers by segment and level."""
    grid = counts.pivot_table(index="segment_id", columns="level", values="customers", aggfunc="sum", fill_value=0)
    known = grid.drop(columns=MISSING_LEVEL, errors="ignore").sum(axis=1)
    parts = []
    for level in grid.columns:
        of = grid.sum(axis=1) if level == MISSING_LEVEL else known
        parts.append(_shares(grid[level], of).assign(attribute=attribute, level=level))
    return pd.concat(parts, ignore_index=True)


def _shares(customers: pd.Series, of: pd.Series) -> pd.DataFrame:
    """Shares and lift by segment, of customers out of `of`; without segments in which there is nobody to compare."""
    rows = pd.DataFrame({"customers": customers, "of_customers": of}).rename_axis("segment_id").reset_index()
    all_with, everyone = int(customers.sum()), int(of.sum())
    rows = rows[rows["of_customers"] > 0].astype("int64")
    a, n = rows["customers"].to_numpy(np.float64), rows["of_customers"].to_numpy(np.float64)
    found = lifts(a, n, np.full(len(rows), float(all_with)), np.full(len(rows), float(everyone)))
    return rows.assign(
        share=a / n, active_customers=all_with, active_share=all_with / max(everyone, 1), **dict(zip(LIFT, found, strict=True))
    )


def _levels(active: ir.Table, names: Sequence[str]) -> dict[str, ir.StringValue]:
    """The level of each customer, by attribute: text, MISSING_LEVEL if there is no value. Only attributes with more than one level."""
    kinds = active.schema()
    numbers = [name for name in names if kinds[name].is_numeric()]
    categories = [name for name in names if kinds[name].is_string() or kinds[name].is_boolean()]
    if not numbers and not categories:
        return {}
    asked: dict[str, ir.Value] = {f"values of {name}": active[name].nunique() for name in (*numbers, *categories)}
    asked |= {f"{quartile} of {name}": active[name].cast("float64").quantile(quartile) for name in numbers for quartile in QUARTILES}
    facts: Mapping[str, Any] = active.agg(**asked).to_pyarrow().to_pylist()[0]
    found: dict[str, ir.StringValue] = {}
    for name in names:
        values = facts.get(f"values of {name}") or 0
        if name in numbers and values > FEW_VALUES:
            edges = sorted({_edge(facts[f"{quartile} of {name}"]) for quartile in QUARTILES})
            found[name] = _banded(active[name], edges)
        elif 0 < values <= MOST_LEVELS:
            found[name] = _as_text(active[name]).fill_null(MISSING_LEVEL)
    return found


def _edge(quartile: float) -> float:
    """A quartile as people read it."""
    return float(f"{quartile:.{DIGITS_OF_EDGES}g}")


def _banded(values: ir.NumericValue, edges: Sequence[float]) -> ir.StringValue:
    """The band of each value between the edges; an edge is in the band below it."""
    said = [f"{edge:,.10g}" for edge in edges]
    between = [f"above {low} to {high}" for low, high in itertools.pairwise(said)]
    texts = [f"up to {said[0]}", *between, f"above {said[-1]}"]
    bands = [(values.isnull(), MISSING_LEVEL), *((values <= edge, text) for edge, text in zip(edges, texts, strict=False))]
    return ibis.cases(*bands, else_=texts[-1])


def _as_text(values: ir.Value) -> ir.StringValue:
    """A category as text, without decimals where a number is whole."""
    if not values.type().is_floating():
        return values.cast("string")
    whole = values.cast("int64").cast("string")
    return ibis.ifelse(values == values.floor(), whole, values.cast("string"))


def categories(activity: ir.Table, active: ir.Table, lookback: Lookback) -> pd.DataFrame:
    """One row per segment and category bought within the lookback: the share of customers who bought it, the lift of that, and the
    share of the segment's purchases with its multiple of the share among all active customers.

    Args:
        activity: rows of customer_category_activity; active: customer_id and segment_id of active customers.
    """
    start = ibis.date(lookback.start.isoformat())
    bought = activity.filter((activity.window_start >= start) & (activity.bought_lines > 0))
    of_customer = bought.group_by("customer_id", "category").agg(purchases=bought.purchases.sum())
    inside = of_customer.inner_join(active.select("customer_id", "segment_id"), "customer_id")
    counted = inside.group_by("segment_id", "category").agg(customers=ibis._.count(), purchases=ibis._.purchases.sum().cast("float64"))
    found = counted.to_pyarrow().to_pandas()
    if found.empty:
        return pd.DataFrame(columns=CATEGORY_COLUMNS)
    sizes = active.group_by("segment_id").agg(customers=ibis._.count()).to_pyarrow().to_pandas()
    of = sizes.set_index("segment_id")["customers"].sort_index()
    customers, purchases = (
        found.pivot_table(index="segment_id", columns="category", values=what, aggfunc="sum", fill_value=0).reindex(of.index, fill_value=0)
        for what in ("customers", "purchases")
    )
    shares = purchases.div(purchases.sum(axis=1).replace(0, np.nan), axis=0)
    total = purchases.sum().sum() or np.nan
    parts = []
    for category in customers.columns:
        rows = _shares(customers[category], of).assign(category=category)
        own, of_all = shares[category].reindex(rows["segment_id"]).to_numpy(), float(purchases[category].sum() / total)
        lift = own / of_all if of_all else np.full(len(rows), np.nan)
        spent = purchases[category].reindex(rows["segment_id"]).to_numpy()
        parts.append(rows.assign(purchases=spent, purchase_share=own, active_purchase_share=of_all, purchase_lift=lift))
    return pd.concat(parts, ignore_index=True)[CATEGORY_COLUMNS]


def examples(active: pd.DataFrame, model: SegmentModel, sensitive: Collection[str] = (), seed: int = 0) -> pd.DataFrame:
    """Typical customers of each segment by model, one row per customer and figure; figures have two digits.

    The first is the medoid, the customer with the least distance to all others of the segment in the model's space; each further one
    lowers the distances to the nearest example most (the BUILD step of PAM, Kaufman and Rousseeuw 1990). In a large segment they are
    sought among a sample. For grids, which have no distances, the space is that of recency, frequency and monetary value.

    Args:
        active: active customers: customer_id, segment_id, the model's inputs, and those of SHOWN that there are.
        sensitive: columns that are not shown.
    """
    shown = [name for name in dict.fromkeys((*SHOWN, *_inputs(model))) if name in active.columns and name not in sensitive]
    rows: list[dict[str, Any]] = []
    for segment_id, members in active[active["segment_id"] > 0].groupby("segment_id", sort=True):
        drawn = members.sample(MOST_COMPARED, random_state=seed) if len(members) > MOST_COMPARED else members
        for letter, place in zip("ABC", medoids(_points(drawn, model), EXAMPLES), strict=False):
            customer = drawn.iloc[place]
            about = {"segment_id": segment_id, "example": f"customer {letter}", "customer_id": customer["customer_id"]}
            rows += [{**about, "feature": name, **_figure(customer[name])} for name in shown]
    return pd.DataFrame(rows, columns=EXAMPLE_COLUMNS)


def medoids(points: Numbers, number: int) -> list[int]:
    """Positions of at most `number` different points of (n, d) that lie nearest to all of them, most typical first."""
    distances = np.sqrt(np.maximum(((points[:, None, :] - points[None, :, :]) ** 2).sum(axis=2), 0))
    nearest = np.full(len(points), np.inf)
    found: list[int] = []
    while len(found) < min(number, len(points)):
        totals = np.minimum(nearest[None, :], distances).sum(axis=1)
        best = int(np.argmin(totals))
        if found and totals[best] >= nearest.sum():  # all lie on an example already
            break
        found.append(best)
        nearest = np.minimum(nearest, distances[best])
    return found


def _inputs(model: SegmentModel) -> Iterator[str]:
    if isinstance(model.clusters, PrototypeModel):
        yield from (column.name for column in model.clusters.preprocessor.columns_)


def needed(model: SegmentModel, columns: Sequence[str]) -> list[str]:
    """The columns of customer_features that `examples` needs."""
    wanted = {*SHOWN, RECENCY, FREQUENCY, MONETARY, *_inputs(model)}
    return [name for name in columns if name in wanted]


def _points(customers: pd.DataFrame, model: SegmentModel) -> Numbers:
    if isinstance(model.clusters, PrototypeModel):
        return model.clusters.preprocessor.transform(customers)
    from segmentation_assets.core.clustering.preprocessing import FeaturePreprocessor

    inputs = customers[[RECENCY, FREQUENCY, MONETARY]]
    points: Numbers = FeaturePreprocessor().fit(inputs).transform(inputs)
    return points


def _figure(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        return {"value": np.nan, "text": value}
    if pd.isna(value):
        return {"value": np.nan, "text": None}
    if isinstance(value, bool | np.bool_):
        return {"value": np.nan, "text": str(bool(value)).lower()}
    return {"value": float(f"{float(value):.{DIGITS_SHOWN}g}"), "text": None}
