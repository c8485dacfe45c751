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
from segmentation_assets.core.customers.columns import CustomerColumns
from segmentation_assets.core.customers.exploration import MOST_LEVELS
from segmentation_assets.core.customers.levels import LEVEL_ORDER, MISSING_LEVEL, with_level_order
from segmentation_assets.core.model.segment_model import SegmentModel

Numbers = NDArray[np.float64]
Z95 = 1.959963984540054  # of a normal distribution, for 95%
FEW_VALUES = 5  # an attribute with no more different numbers is a category
QUARTILES = (0.25, 0.5, 0.75)
DIGITS_OF_EDGES = 4
BOOKKEEPING = {"customer_id", "status", "segment_id"}
LIFT = ["lift", "lift_low", "lift_high"]
ATTRIBUTE_COLUMNS = [
    "segment_id",
    "attribute",
    "level",
    LEVEL_ORDER,
    "customers",
    "of_customers",
    "share",
    "active_customers",
    "active_share",
    *LIFT,
]
SPEND = ["purchases", "purchase_share", "active_purchase_share", "purchase_lift"]
CATEGORY_COLUMNS = ["segment_id", "category", "customers", "of_customers", "share", "active_customers", "active_share", *LIFT, *SPEND]
EXAMPLE_COLUMNS = ["segment_id", "example", "customer_id", "feature", "value", "text"]
EXAMPLES = 3  # customers of a segment
MOST_COMPARED = 400  # customers of a segment among whom examples are sought
SHOWN = ("recency_days", "frequency", "monetary", "average_order_value", "tenure_days", "top_category")
DIGITS_SHOWN = 2


def lifts(part: Numbers, of_part: Numbers, whole: Numbers, of_whole: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """The share in a part of all customers as a multiple of the share in all, with its 95% interval.

    A part is not independent of the whole, but the customers with and those without the level are of each other. So the interval is that of
    the ratio r of their chances of being in the part, from Wilson's intervals (1927) of both by MOVER-R (Newcombe 2016), which also
    holds for a handful of customers; with q, the share in all, the lift is 1 / (q + (1 - q) / r). It is exactly 1 where the part is
    the whole, or everyone has the level.

    Args:
        part, of_part: customers in the part who have it, of how many; whole, of_whole: of all. Each (rows,), whole above 0.

    >>> [values.round(2).tolist() for values in lifts(*(np.array([float(n)]) for n in (30, 100, 100, 1000)))]
    [[3.0], [2.26], [3.8]]
    """
    without, part_without, q = of_whole - whole, of_part - part, whole / of_whole
    fixed = (without == 0) | (of_part == of_whole)
    with np.errstate(divide="ignore", invalid="ignore"):
        low, high = _ratio(part, whole, part_without, np.where(fixed, 1.0, without))
        found = part / of_part / q, 1 / (q + (1 - q) / low), 1 / (q + (1 - q) / high)
    lift, lower, upper = (np.where(fixed, 1.0, values) for values in found)
    return lift, lower, upper


def _ratio(a: Numbers, n: Numbers, b: Numbers, m: Numbers) -> tuple[Numbers, Numbers]:
    """95% limits of the ratio of the proportions a/n and b/m by MOVER-R; the upper one is infinite if b may be none at all."""
    p, s = a / n, b / m
    (p_low, p_high), (s_low, s_high) = _wilson(a, n), _wilson(b, m)
    low = (p * s - np.sqrt((p * s) ** 2 - p_low * s_high * (2 * p - p_low) * (2 * s - s_high))) / (s_high * (2 * s - s_high))
    high = (p * s + np.sqrt((p * s) ** 2 - p_high * s_low * (2 * p - p_high) * (2 * s - s_low))) / (s_low * (2 * s - s_low))
    return np.where(a > 0, low, 0.0), np.where(b > 0, high, np.inf)


def _wilson(a: Numbers, n: Numbers) -> tuple[Numbers, Numbers]:
    """Wilson's 95% interval (1927) of the proportion a/n."""
    p, z2 = a / n, Z95**2
    centre, half = p + z2 / (2 * n), Z95 * np.sqrt(p * (1 - p) / n + z2 / (4 * n**2))
    return np.maximum((centre - half) / (1 + z2 / n), 0.0), np.minimum((centre + half) / (1 + z2 / n), 1.0)


def attributes(active: ir.Table, computed: Collection[str], orders: Mapping[str, Sequence[str]] | None = None) -> pd.DataFrame:
    """One row per segment, attribute and level: its share in the segment and among all active customers, and the lift.

    Shares are of the customers for whom the attribute is known; that of MISSING_LEVEL is of all. Categories have up to thirty levels,
    others are left out, as are dates; numbers with many values are cut at the quartiles of all active customers.

    Args:
        active: active customers with their segment_id and attributes; `computed`: columns that are no attributes.
        orders: by attribute, its levels in the order that is declared.
    """
    names = [name for name in active.columns if name not in BOOKKEEPING and name not in computed]
    levels, bands = _levels(active, names)
    counted = [
        active.group_by("segment_id", level=level).agg(customers=ibis._.count()).mutate(attribute=ibis.literal(name))
        for name, level in levels.items()
    ]
    if not counted:
        return pd.DataFrame(columns=ATTRIBUTE_COLUMNS)
    found = ibis.union(*counted, distinct=False).to_pyarrow().to_pandas()
    grid = found.set_index(["attribute", "level", "segment_id"])["customers"].unstack(fill_value=0).sort_index()
    missing = (grid.index.get_level_values("level") == MISSING_LEVEL)[:, None]
    everyone, known = (of.groupby("attribute").transform("sum").to_numpy() for of in (grid, grid * ~missing))
    rows = _shares(grid, np.where(missing, everyone, known))
    return with_level_order(rows, {**(orders or {}), **bands})[ATTRIBUTE_COLUMNS]


def _shares(grid: pd.DataFrame, of: NDArray[np.int64]) -> pd.DataFrame:
    """Shares and lift by level and segment, without segments in which there is nobody to compare.

    Args:
        grid: customers by level (rows) and segment (columns); of: of how many, likewise.
    """
    counts = grid.to_numpy(np.int64)
    of = np.broadcast_to(of, counts.shape)
    whole, of_whole = (np.broadcast_to(one.sum(axis=1, keepdims=True), counts.shape) for one in (counts, of))
    rows = grid.index.repeat(grid.shape[1]).to_frame(index=False)
    rows["segment_id"] = np.tile(grid.columns.to_numpy(np.int64), len(grid))
    rows[["customers", "of_customers", "active_customers"]] = np.column_stack([one.ravel() for one in (counts, of, whole)])
    kept = (of > 0).ravel()
    a, n, k, everyone = (one.ravel()[kept].astype(np.float64) for one in (counts, of, whole, of_whole))
    return rows[kept].assign(share=a / n, active_share=k / everyone, **dict(zip(LIFT, lifts(a, n, k, everyone), strict=True)))


def _levels(active: ir.Table, names: Sequence[str]) -> tuple[dict[str, ir.StringValue], dict[str, list[str]]]:
    """The level of each customer, by attribute: text, MISSING_LEVEL if there is no value; and the bands of numbers, by attribute, from the
    lowest. Only attributes with a value."""
    kinds = active.schema()
    numbers = [name for name in names if kinds[name].is_numeric()]
    categories = [name for name in names if kinds[name].is_string() or kinds[name].is_boolean()]
    if not numbers and not categories:
        return {}, {}
    asked: dict[str, ir.Value] = {f"values of {name}": active[name].nunique() for name in (*numbers, *categories)}
    asked |= {f"{quartile} of {name}": active[name].cast("float64").quantile(quartile) for name in numbers for quartile in QUARTILES}
    facts: Mapping[str, Any] = active.agg(**asked).to_pyarrow().to_pylist()[0]
    found: dict[str, ir.StringValue] = {}
    bands: dict[str, list[str]] = {}
    for name in names:
        values = facts.get(f"values of {name}") or 0
        if name in numbers and values > FEW_VALUES:
            edges = sorted({_edge(facts[f"{quartile} of {name}"]) for quartile in QUARTILES})
            bands[name] = _bands(edges)
            found[name] = _banded(active[name], edges, bands[name])
        elif 0 < values <= MOST_LEVELS:
            found[name] = _as_text(active[name]).fill_null(MISSING_LEVEL)
    return found, bands


def _edge(quartile: float) -> float:
    """A quartile as people read it."""
    return float(f"{quartile:.{DIGITS_OF_EDGES}g}")


def _bands(edges: Sequence[float]) -> list[str]:
    """The bands between the edges in words, from the lowest; an edge is in the band below it.

    >>> _bands([22.5, 1035.0])
    ['up to 22.5', 'above 22.5 to 1,035', 'above 1,035']
    """
    said = [f"{edge:,.10g}" for edge in edges]
    return [f"up to {said[0]}", *(f"above {low} to {high}" for low, high in itertools.pairwise(said)), f"above {said[-1]}"]


def _banded(values: ir.NumericValue, edges: Sequence[float], texts: Sequence[str]) -> ir.StringValue:
    """The band of each value."""
    bands = [(values.isnull(), MISSING_LEVEL), *((values <= edge, text) for edge, text in zip(edges, texts, strict=False))]
    return ibis.cases(*bands, else_=texts[-1])


def _as_text(values: ir.Value) -> ir.StringValue:
    """A category as text, without decimals where a number is whole."""
    if not values.type().is_floating():
        return values.cast("string")
    whole = values.cast("int64").cast("string")
    return ibis.ifelse(values == values.floor(), whole, values.cast("string"))


def categories(bought: ir.Table, active: ir.Table) -> pd.DataFrame:
    """One row per segment and category bought within the lookback: the share of customers who bought it, the lift of that, and the
    share of the segment's purchases with its multiple of the share among all active customers.

    Args:
        bought: `activity.purchases_by_category` of the lookback; active: customer_id and segment_id of active customers.
    """
    inside = bought.inner_join(active.select("customer_id", "segment_id"), "customer_id")
    counted = inside.group_by("segment_id", "category").agg(customers=ibis._.count(), purchases=ibis._.purchases.sum().cast("float64"))
    found = counted.to_pyarrow().to_pandas()
    if found.empty:
        return pd.DataFrame(columns=CATEGORY_COLUMNS)
    sizes = active.group_by("segment_id").agg(customers=ibis._.count()).to_pyarrow().to_pandas()
    of = sizes.set_index("segment_id")["customers"].sort_index()
    customers, purchases = (
        found.set_index(["category", "segment_id"])[what].unstack(fill_value=0).reindex(columns=of.index, fill_value=0).sort_index()
        for what in ("customers", "purchases")
    )
    rows = _shares(customers, of.to_numpy())
    spent, by_segment, by_category = purchases.to_numpy(), purchases.sum(axis=0).to_numpy(), purchases.sum(axis=1).to_numpy()[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        own, of_all = spent / by_segment, np.broadcast_to(by_category / by_segment.sum(), spent.shape)
        figures = spent, own, of_all, own / of_all  # every segment has customers, so `rows` has all of them
    return rows.assign(**{name: values.ravel() for name, values in zip(SPEND, figures, strict=True)})[CATEGORY_COLUMNS]


def examples(active: CustomerColumns, model: SegmentModel, sensitive: Collection[str] = (), seed: int = 0) -> pd.DataFrame:
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
    ids = active["segment_id"]
    seen = active.only(*dict.fromkeys(("customer_id", *needed(model, active.columns), *shown)))
    for segment_id in np.sort(ids[ids > 0].unique()):
        members = pd.Series(np.flatnonzero(ids == segment_id))
        drawn = seen.take((members.sample(MOST_COMPARED, random_state=seed) if len(members) > MOST_COMPARED else members).to_numpy())
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
        return model.clusters.points(customers)
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
