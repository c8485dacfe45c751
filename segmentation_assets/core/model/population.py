"""What drift needs of the customers that a model was trained on, and how far today's customers are from them.

Belongs here: what is stored about them, once per model, and the comparison. The statistics are in `drift`.
"""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from segmentation_assets.core.choice.grid_model import GridModel
from segmentation_assets.core.clustering.algorithm import canonical_order, count_distinct, subsample
from segmentation_assets.core.clustering.families import FAMILIES
from segmentation_assets.core.clustering.prototypes import PrototypeModel, nearest_distance
from segmentation_assets.core.model import drift
from segmentation_assets.core.model.segment_model import SegmentModel
from segmentation_assets.settings.model import DriftSettings, ModelSettings
from segmentation_assets.vocabulary import DriftKind

NOT_COMPARED = {"customer_id", "status"}


def no_points() -> NDArray[np.float64]:
    """An empty set of points."""
    return np.empty((0, 0))


@dataclass(frozen=True, eq=False)
class TrainingPopulation:
    """`references` for features, the segment mix and the distance to the nearest prototype; for the last, distances are measured to
    `reference_prototypes` (m, d), which were fitted on other customers. `sample` (s, d) are customers in the model's geometry."""

    references: tuple[drift.Reference, ...]
    reference_prototypes: NDArray[np.float64] = field(default_factory=no_points)
    sample: NDArray[np.float64] = field(default_factory=no_points)


def training_population(model: SegmentModel, active: pd.DataFrame, settings: ModelSettings) -> TrainingPopulation:
    """Describe the customers that `model` was trained on (n rows of customer_features). All random draws use the model's seed."""
    prototypes, distances = _honest_distances(active, model, settings)
    return TrainingPopulation(_references(active, model, distances), prototypes, _sample(active, model))


def drift_report(
    champion: SegmentModel | None,
    population: TrainingPopulation | None,
    active: pd.DataFrame,
    settings: ModelSettings,
    limits: DriftSettings,
) -> pd.DataFrame:
    """One row per subject (columns `drift.COLUMNS`): how far `active` (n rows of customer_features) is from the population on which the
    champion was trained; no rows if there is no champion.
    """
    shifts = _shifts(champion, population, active, settings.seed, limits.alpha) if champion and population else []
    return drift.report(shifts, settings.features, limits)


def _shifts(
    model: SegmentModel, population: TrainingPopulation, active: pd.DataFrame, seed: int, alpha: float
) -> list[tuple[DriftKind, str, drift.Shift]]:
    """The shift of each reference, and of all coordinates jointly."""
    draws = drift.draws_for(len(population.references), alpha)
    now: dict[str, pd.Series] = {DriftKind.SEGMENT_MIX: model.assign(active)["segment_id"]}
    points = _points(active, model.clusters) if isinstance(model.clusters, PrototypeModel) else no_points()
    if len(population.reference_prototypes):
        now[DriftKind.DISTANCE] = pd.Series(nearest_distance(points, population.reference_prototypes))
    found: list[tuple[DriftKind, str, drift.Shift]] = []
    for reference in population.references:
        values = now.get(reference.kind, active.get(reference.subject))
        if values is not None:
            found.append((reference.kind, reference.subject, drift.psi_shift(reference, values, draws, seed)))
    if len(population.sample):
        found.append((DriftKind.JOINT, drift.TOGETHER, drift.joint_shift(population.sample, points, seed)))
    return found


def _points(active: pd.DataFrame, clusters: PrototypeModel) -> NDArray[np.float64]:
    """Customers in the model's geometry, whatever their order in the table."""
    return canonical_order(clusters.preprocessor.transform(active))


def _references(active: pd.DataFrame, model: SegmentModel, distances: NDArray[np.float64]) -> tuple[drift.Reference, ...]:
    """Only for active customers: the number of lapsed ones grows with the history, whatever customers do."""
    subjects = sorted(set(active.columns) - drift.GROWS_WITH_TIME - NOT_COMPARED)
    references = [drift.reference_of(name, active[name]) for name in subjects]
    references.append(drift.categorical_reference("segments", model.assign(active)["segment_id"], DriftKind.SEGMENT_MIX))
    if len(distances):
        references.append(drift.numeric_reference("distance to the nearest prototype", pd.Series(distances), DriftKind.DISTANCE))
    return tuple(references)


def _honest_distances(
    active: pd.DataFrame, model: SegmentModel, settings: ModelSettings
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Prototypes (m, d) fitted on one half of the customers as the model's were on all, and distances of the other half to them.

    Prototypes are closer to the customers they were fitted on than to new ones. In-sample distances would look like drift at the next
    snapshot: with k-means on 200 customers one time in nine, with Ward's many prototypes always. Empty if there are too few customers.
    """
    clusters, seed = model.clusters, model.provenance.seed
    if clusters is None or isinstance(clusters, GridModel):
        return no_points(), np.empty(0)
    points = _points(active, clusters)
    half = np.random.default_rng(seed).permutation(len(points)) < len(points) // 2
    if count_distinct(points[half]) < clusters.k:
        return no_points(), np.empty(0)
    # Learnt weights are already part of the preprocessing.
    name = "kmeans" if clusters.algorithm == "weighted_kmeans" else clusters.algorithm
    found = FAMILIES[name](settings).sweep.fit(points[half], (clusters.k,), seed)
    prototypes = found[clusters.k].prototypes
    return prototypes, nearest_distance(points[~half], prototypes)


def _sample(active: pd.DataFrame, model: SegmentModel) -> NDArray[np.float64]:
    if not isinstance(model.clusters, PrototypeModel):
        return no_points()
    return subsample(_points(active, model.clusters), drift.SAMPLE, model.provenance.seed)
