"""How customers are clustered, when drift is flagged, and when a model is retrained."""

import math
import re
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from segmentation_assets.settings.section import Section

Algorithm = Literal["kmeans", "weighted_kmeans", "ward", "dbscan", "hdbscan"]


MOST_BINS, MOST_CELLS = 9, 125


def _cuts(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST_BINS:
        return value
    if isinstance(value, list | tuple) and 1 <= len(value) < MOST_BINS:
        numbers = all(isinstance(one, int | float) and math.isfinite(one) for one in value)
        if numbers and all(low < high for low, high in pairwise(value)):
            return value
    raise ValueError(f"must be a number of bins, 1 to {MOST_BINS}, or at most {MOST_BINS - 1} rising cut points, like [7, 30, 90]")


Cuts = Annotated[int | tuple[float, ...], BeforeValidator(_cuts)]


class GridSettings(Section):
    """A grid of one's own on recency, frequency and spend, published under `model.tier: grid`. A cell's code has three digits, such as
    `543`: its bin of each, the best being the highest."""

    recency_days: Cuts = Field(5, description="Bins of recency: their number (quantiles), or cut points; the fewest days are best.")
    frequency: Cuts = Field(5, description="Bins of frequency, likewise; a value on a cut point is in the lower bin.")
    monetary: Cuts = Field(1, description="Bins of spend, likewise; 1: it does not count.")
    names: dict[str, Annotated[str, Field(min_length=1, max_length=60)]] = Field(
        {}, description="Name of cells by code, such as `5**: New`; the first that fits counts, and `*` fits any digit. Cells of one name "
        "are one segment. Empty: the ten usual names where spend does not count and the others have 5 bins, else the codes.",
    )  # fmt: skip
    edges: Literal["fixed", "refitted"] = Field(
        "fixed", description="Whether quantiles are those of the snapshot at which the grid came into force, or of each snapshot."
    )

    @property
    def bins(self) -> tuple[int, int, int]:
        """The number of bins of recency, frequency and spend."""
        recency, frequency, monetary = (
            cuts if isinstance(cuts, int) else len(cuts) + 1 for cuts in (self.recency_days, self.frequency, self.monetary)
        )
        return recency, frequency, monetary

    @model_validator(mode="after")
    def _names_fit(self) -> "GridSettings":
        if (cells := math.prod(self.bins)) > MOST_CELLS:
            raise ValueError(f"has {cells} cells, more than {MOST_CELLS}; use fewer bins")
        for code in self.names:
            fits = re.fullmatch(r"[1-9*]{3}", code) is not None
            if not fits or any(digit != "*" and int(digit) > most for digit, most in zip(code, self.bins, strict=True)):
                most = ", ".join(map(str, self.bins))
                raise ValueError(
                    f"names: {code!r} is no code of a cell. It has a digit or * for recency, frequency and spend, at most {most}"
                )
        return self


class ModelSettings(Section):
    """How active customers are clustered, and what may be called distinct segments."""

    features: tuple[str, ...] = Field(
        ("recency_days", "frequency", "monetary"),
        min_length=1,
        description="Columns of customer_features used for clustering; text columns count as categories.",
    )
    categorical: tuple[str, ...] = Field((), description="Features whose numbers are codes of categories.")
    weights: dict[str, Annotated[float, Field(ge=0, le=100)]] = Field(
        {}, description="Weight of a feature in the squared distance, such as `monetary: 2`; default 1."
    )
    near_copies: float = Field(
        0.8,
        gt=0,
        le=1,
        description="Spearman correlation, in either direction, from which on inputs share the weight of one, so that five columns that "
        "say much the same do not count five times; without orders only. 1: each counts in full.",
    )
    transform: Literal["declared", "log", "yeo-johnson", "none"] = Field(
        "declared",
        description="Transform of numeric features: `declared` is each feature's own in the data dictionary (attributes: if they are "
        "skewed), the others apply to all; log is signed log1p.",
    )
    scaling: Literal["standard", "range", "robust"] = Field(
        "standard", description="Unit of a numeric feature: standard deviation, range, or interquartile range."
    )
    winsorize: float = Field(
        0.005,
        ge=0,
        le=0.2,
        description="Share of customers at each end whose values are clipped to the quantile; none if it is less than one customer.",
    )
    algorithms: tuple[Algorithm, ...] = Field(
        ("kmeans", "weighted_kmeans", "ward", "dbscan"),
        min_length=1,
        description="Algorithms to try: kmeans (required), weighted_kmeans, ward, dbscan, hdbscan. The last two are diagnostics only.",
    )
    k: int = Field(5, ge=2, le=50, description="Number of segments if no distinct ones exist: a business choice.")
    fallback_k: int = Field(3, ge=2, le=50, description="Number of segments instead if a cluster dissolves at `k`.")
    k_min: int = Field(2, ge=2, le=50, description="Smallest number of segments to try.")
    k_max: int = Field(10, ge=2, le=50, description="Largest number of segments to try.")
    min_share: float = Field(0.02, ge=0, le=0.5, description="Smallest share of active customers that a distinct segment may have.")
    min_count: int = Field(30, ge=1, le=1_000_000, description="Fewest customers that a distinct segment may have.")
    stable_jaccard: float = Field(0.75, ge=0, le=1, description="Bootstrap Jaccard that every distinct segment must reach.")
    dissolved_jaccard: float = Field(0.60, ge=0, le=1, description="Bootstrap Jaccard below which a cluster of `k` counts as dissolved.")
    valley_level: float = Field(0.05, gt=0, lt=1, description="p-value of the valley gate below which neighbours count as separated.")
    resamples: int = Field(
        100,
        ge=10,
        le=1_000,
        description="Bootstrap resamples for the stability of clusters; candidates that cannot be chosen whatever it is get a quarter, at "
        "least 10.",
    )
    splits: int = Field(5, ge=1, le=50, description="Times the rows are halved for the valley gate.")
    sample: int = Field(10_000, ge=100, le=1_000_000, description="Customers on whom candidates are fitted; the chosen one gets all.")
    stability_sample: int = Field(
        5_000, ge=100, le=100_000, description="Customers on whom stability is measured; all of them if there are fewer."
    )
    gate_sample: int = Field(10_000, ge=100, le=1_000_000, description="Customers on whom the valley gate is measured.")
    eps: float | None = Field(None, gt=0, description="Radius of dbscan, in scaled units; empty: read off the k-distance curve.")
    min_samples: int | None = Field(
        None, ge=2, description="Neighbours that make a customer a core point of dbscan; empty: twice the dimensions, at least 5."
    )
    tier: Literal["auto", "grid"] = Field(
        "auto", description="What is published: what the data allow (docs/model.md), or the grid of `model.grid`, judged beside it."
    )
    grid: GridSettings = Field(GridSettings(), description="The grid that is published under `tier: grid`.")
    seed: int = Field(20170401, ge=0, le=2**32 - 1, description="Seed of every random choice.")

    @model_validator(mode="after")
    def _range_fits(self) -> "ModelSettings":
        if self.k_min > self.k_max:
            raise ValueError(f"k_min: {self.k_min} is above k_max: {self.k_max}")
        if self.fallback_k > self.k:
            raise ValueError(f"fallback_k: {self.fallback_k} is above k: {self.k}, and is for fewer segments")
        if self.dissolved_jaccard > self.stable_jaccard:
            raise ValueError(f"dissolved_jaccard: {self.dissolved_jaccard} is above stable_jaccard: {self.stable_jaccard}")
        for key, values in (("features", self.features), ("algorithms", self.algorithms)):
            if twice := sorted({value for value in values if values.count(value) > 1}):
                raise ValueError(f"{key}: {', '.join(twice)} is there twice")
        if "kmeans" not in self.algorithms:
            raise ValueError("algorithms: kmeans is missing; it makes the convenient partition if no segments are distinct")
        for key, named in (("categorical", self.categorical), ("weights", tuple(self.weights))):
            unknown = [name for name in named if name not in self.features]
            if unknown:
                raise ValueError(f"{key}: {', '.join(unknown)} is not among the features {', '.join(self.features)}")
        return self


class DriftSettings(Section):
    """When a change since the model was trained raises an alarm: it must be significant, and large enough to matter."""

    alpha: float = Field(
        0.05, gt=0, lt=1, description="Chance of any false alarm in a snapshot where nothing changed (Benjamini-Hochberg over subjects)."
    )
    psi_threshold: float = Field(
        0.10, gt=0, le=10, description="Population stability index below which a change is too small to matter, however significant."
    )
    auc_threshold: float = Field(
        0.60, gt=0.5, lt=1,
        description="AUC of the classifier of training against today's customers below which a change is too small to matter.",
    )  # fmt: skip


class RetrainSettings(Section):
    """When a challenger is trained, and the gates that it must pass to replace the champion."""

    policy: Literal["when_needed", "on_drift", "always", "never", "max_age"] = Field(
        "when_needed",
        description="When a challenger is trained: when the model's inputs drift or the model has failed its own stability test at two "
        "snapshots running (when_needed), on drift only, at every snapshot, never, or when the model reaches `max_age`.",
    )
    min_age: int = Field(
        3,
        ge=1,
        le=520,
        description="Age in snapshots before which a failed stability test trains no challenger unless there is drift.",
    )
    max_age: int = Field(12, ge=1, le=520, description="Age in snapshots at which a challenger is trained under the policy max_age.")
    largest_reassigned: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Largest share of active customers that a promotion may move to another segment; empty: no limit, but the share is "
        "reported.",
    )
    least_fit_gain: float = Field(
        0.01,
        ge=0,
        le=1,
        description="Share of the differences between customers that a challenger with as many segments must explain beyond the "
        "champion, unless the champion fails its own stability test.",
    )
    largest_forward_loss: float = Field(
        0.02, ge=0, le=1, description="Share of subsequent spend by which a challenger's explanation may fall short of the champion's."
    )
