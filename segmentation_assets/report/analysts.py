"""The tables behind the pictures of the page for analysts.

Belongs here: which published rows a picture draws. A picture that draws single customers has no table.
"""

from collections.abc import Callable, Iterator

import pandas as pd

from segmentation_assets.core.choice.readings import reading
from segmentation_assets.core.customers.levels import LEVEL_ORDER
from segmentation_assets.report import changes, sheets
from segmentation_assets.report.sheets import Sheet
from segmentation_assets.report.tables import Tables
from segmentation_assets.report.words import Words
from segmentation_assets.vocabulary import BASELINE_WORDS

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def behind(tables: Tables, words: Words, names: dict[int, str]) -> dict[str, tuple[Sheet, ...]]:
    """By picture, the tables that it draws; pictures of single customers, and those whose tables have no rows, have none.

    Args:
        names: of the snapshot's segments by id.
    """
    found = {name: tuple(made(tables, words, names)) for name, made in BEHIND.items()}
    return {name: made for name, made in found.items() if made}


def _of(
    table: str, caption: str, *columns: sheets.Shown, ordered: str | list[str] = "", down: bool = False, only: str = ""
) -> Callable[[Tables, Words, dict[int, str]], Iterator[Sheet]]:
    """A sheet of the rows of a table as they are, ordered by a column; `only`: those whose scale it is."""

    def made(tables: Tables, words: Words, names: dict[int, str]) -> Iterator[Sheet]:
        rows = tables[table]
        if only:
            rows = rows[(rows["scale"] == only) & (rows["customers"] != 0)]
        if ordered:
            rows = rows.sort_values(ordered, ascending=not down, kind="stable")
        if len(rows):
            yield sheets.sheet(rows, columns, words, caption, table)

    return made


def _distribution(scale: str, caption: str) -> Callable[[Tables, Words, dict[int, str]], Iterator[Sheet]]:
    columns = sheets.label("feature", "Feature"), sheets.decimal("bin_from", "From"), sheets.decimal("bin_to", "To")
    return _of("feature_distributions", caption, *columns, sheets.count("customers", "Customers"), only=scale)


def seasonality(tables: Tables, words: Words, names: dict[int, str]) -> Iterator[Sheet]:
    """Orders and revenue by month, and by weekday and hour."""
    rows = tables["order_seasonality"]
    if rows.empty:
        return
    figures = sheets.count("orders", "Orders"), sheets.money("revenue", "Revenue")
    months = _summed(rows, ["month"])
    yield sheets.sheet(months, [sheets.day("month", "Month from"), *figures], words, "Orders by month")
    hours = _summed(rows, ["weekday", "hour"])
    hours["on"] = [WEEKDAYS[int(weekday)] for weekday in hours["weekday"]]
    columns = [sheets.text("on", "Weekday"), sheets.count("hour", "Hour"), *figures]
    yield sheets.sheet(hours, columns, words, "Orders by weekday and hour", "order_seasonality")


def _summed(rows: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    return rows.groupby(by, as_index=False)[["orders", "revenue"]].agg(lambda values: values.sum(skipna=False))


def typical(tables: Tables, words: Words, names: dict[int, str]) -> Iterator[Sheet]:
    """The features of the typical customer of each segment."""
    rows = tables["segment_profiles"].dropna(subset=["median"])
    rows = rows[rows["segment_id"] > 0]
    if len(rows):
        rows = rows.assign(segment=[names.get(int(segment_id), "?") for segment_id in rows["segment_id"]])
        columns = [
            sheets.text("segment", "Segment"), sheets.label("feature", "Feature"), sheets.figure("median", "Typical"),
            sheets.figure("mean", "Mean"), sheets.figure("population_mean", "Mean of all customers"),
            sheets.decimal("z", "Standard deviations from it", 1),
        ]  # fmt: skip
        yield sheets.sheet(rows, columns, words, "Features of each segment", "segment_profiles")


def by_segment(tables: Tables, words: Words, headings: dict[str, str], caption: str) -> Iterator[Sheet]:
    """Metrics of single segments, which evaluation_metrics has as `metric: segment`."""
    parts = [str(metric).partition(": ") for metric in tables["evaluation_metrics"]["metric"]]
    rows = tables["evaluation_metrics"].assign(metric=[part[0] for part in parts], segment=[part[2] for part in parts])
    rows = rows[rows["metric"].isin(headings) & (rows["segment"] != "")]
    if rows.empty:
        return
    wide = rows.pivot(index="segment", columns="metric", values="value").reindex(columns=list(headings)).reset_index()
    columns = [sheets.text("segment", "Segment"), *(sheets.decimal(metric, heading) for metric, heading in headings.items())]
    if "jaccard" in headings:
        wide["verdict"] = [reading(value) for value in wide["jaccard"]]
        columns.append(sheets.text("verdict", "Verdict"))
    yield sheets.sheet(wide, columns, words, caption, "evaluation_metrics")


def silhouettes(tables: Tables, words: Words, names: dict[int, str]) -> Iterator[Sheet]:
    """The mean silhouette of each segment."""
    yield from by_segment(tables, words, {"silhouette": "Mean silhouette (1: apart, 0: at the border)"}, "Silhouette of each segment")


def stability(tables: Tables, words: Words, names: dict[int, str]) -> Iterator[Sheet]:
    """How well each segment is found again."""
    headings = {"jaccard": "Overlap with itself (Jaccard)", "jaccard_error": "Standard error"}
    yield from by_segment(tables, words, headings, "How well each segment is found again")


def forward(tables: Tables, words: Words, names: dict[int, str]) -> Iterator[Sheet]:
    """How much the segments and other groups explain of what customers did since."""
    known = {row.metric: row.value for row in tables["evaluation_metrics"].itertuples()}
    groups = {"": "the segments", **{f"_{name}": said for name, said in BASELINE_WORDS.items()}}
    explained = {
        said: [known.get(f"forward_{measure}_eta_squared{suffix}", float("nan")) for measure in ("spend", "active")]
        for suffix, said in groups.items()
        if f"forward_spend_eta_squared{suffix}" in known
    }
    rows = pd.DataFrame([[said, *values] for said, values in explained.items()], columns=["groups", "spend", "active"])
    if len(rows):
        columns = [
            sheets.text("groups", "Groups"), sheets.share("spend", "Explained of the differences in spend"),
            sheets.share("active", "Explained of who ordered"),
        ]  # fmt: skip
        yield sheets.sheet(rows, columns, words, "What groups of the snapshot before explain of the time since", "evaluation_metrics")


def _as_told(one: Callable[[Tables, Words, dict[int, str]], Sheet | None]) -> Callable[[Tables, Words, dict[int, str]], Iterator[Sheet]]:
    """The sheet that the page of changes has."""

    def made(tables: Tables, words: Words, names: dict[int, str]) -> Iterator[Sheet]:
        if (found := one(tables, words, names)) is not None:
            yield found

    return made


OF_CUSTOMERS = {"segment_map", "dendrogram", "k_distance_curve"}
"""Pictures that draw single customers."""
BEHIND: dict[str, Callable[[Tables, Words, dict[int, str]], Iterator[Sheet]]] = {
    "typical_customers": typical,
    "seasonality": seasonality,
    "cohorts": _of(
        "cohort_retention", "Who comes back, by the time of the first order",
        sheets.day("cohort", "First order from"), sheets.count("period", "Periods later"), sheets.count("cohort_customers", "Customers"),
        sheets.count("active_customers", "Of them ordered"), sheets.share("retention", "Share"),
        sheets.money("revenue_per_customer", "Spend per customer"),
    ),
    "revenue_concentration": _of(
        "revenue_concentration", "Revenue of the top customers",
        sheets.count("percentile", "Top customers, in per cent"), sheets.count("customers", "Customers"),
        sheets.money("revenue", "Revenue"), sheets.share("revenue_share", "Share of revenue"),
    ),
    "categories": _of(
        "category_mix", "What is bought",
        sheets.text("category", "Category"), sheets.money("purchases", "Purchases"), sheets.share("share", "Share of purchases"),
        sheets.count("customers", "Customers"), sheets.share("penetration", "Share of customers"),
        ordered="purchases", down=True,
    ),
    "attributes": _of(
        "attribute_spend", "Spend by attribute",
        sheets.label("attribute", "Attribute"), sheets.text("level", "Level"), sheets.count("customers", "Customers"),
        sheets.money("mean_spend", "Mean spend"), sheets.money("median_spend", "Typical spend"),
        sheets.share("epsilon_squared", "Explained of the differences in spend"),
        ordered=["attribute", LEVEL_ORDER],
    ),
    "distributions_raw": _distribution("raw", "Customers by value of each feature"),
    "distributions_transformed": _distribution("transformed", "Customers by value of each feature, on the scale of the clustering"),
    "missingness": _of(
        "feature_missingness", "Missing values",
        sheets.label("feature", "Feature"), sheets.text("status", "Customers who are"), sheets.count("customers", "Customers"),
        sheets.count("missing", "Missing"), sheets.share("missing_share", "Share"),
        ordered="missing_share", down=True,
    ),
    "outliers": _of(
        "feature_summary", "Extreme values",
        sheets.label("feature", "Feature"), sheets.count("outliers", "Extreme values"), sheets.share("outlier_share", "Share"),
        sheets.figure("minimum", "Lowest"), sheets.figure("median", "Typical"), sheets.figure("p99", "99% are below"),
        sheets.figure("maximum", "Highest"),
        ordered="outlier_share", down=True,
    ),
    "correlations": _of(
        "feature_correlations", "Which features move together",
        sheets.label("feature_a", "Feature"), sheets.label("feature_b", "With"), sheets.decimal("spearman", "Rank correlation"),
        sheets.count("customers", "Customers"), sheets.truth("redundant", "Redundant"),
        ordered="spearman", down=True,
    ),
    "indices_over_k": _of(
        "model_candidates", "Every clustering that was tried",
        sheets.text("algorithm", "Algorithm"), sheets.count("k", "Segments"), sheets.truth("chosen", "Chosen"),
        sheets.decimal("silhouette", "Silhouette"), sheets.decimal("davies_bouldin", "Davies-Bouldin"),
        sheets.count("calinski_harabasz", "Calinski-Harabasz"), sheets.decimal("prediction_strength", "Prediction strength"),
        sheets.decimal("weakest_jaccard", "Weakest segment's overlap with itself"), sheets.share("smallest_share", "Smallest segment"),
        sheets.sentence("reason", "Why, or why not"),
    ),
    "flow": _as_told(changes.flow),
    "bridge": _as_told(changes.bridge),
    "silhouettes": silhouettes,
    "stability": stability,
    "forward_validity": forward,
}  # fmt: skip
