"""What drift needs of the customers that a model was trained on, and how far today's customers are from them.

Belongs here: what is stored about them, once per model, and the comparison. The statistics are in `drift`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from segmentation_assets.core.choice.grid_model import GridModel
from segmentation_assets.core.clustering.algorithm import canonical_order, count_distinct, subsample
from segmentation_assets.core.clustering.families import FAMILIES
from segmentation_assets.core.clustering.prototypes import PrototypeModel, nearest_distance
from segmentation_assets.core.customers.columns import Customers
from segmentation_assets.core.model import drift, pairing
from segmentation_assets.core.model.months import SPREAD, Months
from segmentation_assets.core.model.segment_model import SegmentModel
from segmentation_assets.settings.model import DriftSettings, ModelSettings
from segmentation_assets.vocabulary import DriftKind

NOT_COMPARED = {"customer_id", "status"}
MIX, DISTANCE = "segments", "distance to the nearest prototype"


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


def training_population(model: SegmentModel, active: Customers, settings: ModelSettings) -> TrainingPopulation:
    """Describe the customers that `model` was trained on (n rows of customer_features). All random draws use the model's seed."""
    prototypes, distances = _honest_distances(active, model, settings)
    return TrainingPopulation(_references(active, model, distances), prototypes, _sample(active, model))


def drift_report(
    champion: SegmentModel | None,
    population: TrainingPopulation | None,
    active: Customers,
    settings: ModelSettings,
    limits: DriftSettings,
    trained_on: pd.DataFrame | None = None,
    months: Months | None = None,
) -> pd.DataFrame:
    """One row per subject (columns `drift.COLUMNS`): how far `active` (n rows of customer_features) is from the population on which the
    champion was trained; no rows if there is no champion.

    `trained_on` (m rows of customer_features) are that population's customers, so that those in both can be paired. Without them, if
    nobody is in both, or if there are more than `pairing.MOST_CUSTOMERS`, the two are taken for independent draws.

    With `months`, what their lengths alone explain is no drift: of the customers as they are, and as they would be in training's months,
    each subject is judged by those who show less of it.
    """
    if champion is None or population is None:
        return drift.report([], settings.features, limits)
    found = _shifts(champion, population, active, trained_on, settings.seed, limits.alpha)
    if months is not None and len(active):
        counted = months.aligned(active)
        there = active.assign(**counted)
        there = there if trained_on is None else months.same_spread(there, trained_on)
        moved = {name for name in {*counted, SPREAD} & set(active.columns) if not there[name].equals(active[name])}
        if moved:
            same: dict[tuple[DriftKind, str], drift.Shift] = {
                (kind, subject): shift for kind, subject, shift in found if kind == DriftKind.FEATURE and subject not in moved
            }
            aligned = _shifts(champion, population, there, trained_on, settings.seed, limits.alpha, same)
            found = [max(pair, key=lambda shift: (shift[2].p_value, -shift[2].value)) for pair in zip(found, aligned, strict=True)]
    return drift.report(found, settings.features, limits)


def _shifts(
    model: SegmentModel,
    population: TrainingPopulation,
    active: Customers,
    trained_on: pd.DataFrame | None,
    seed: int,
    alpha: float,
    known: Mapping[tuple[DriftKind, str], drift.Shift] = MappingProxyType({}),
) -> list[tuple[DriftKind, str, drift.Shift]]:
    """The shift of each reference, and of all coordinates jointly; those that are `known` are not computed."""
    draws, here = drift.draws_for(len(population.references), alpha), _placed(active, model)
    now = _subjects(model, population, active, here)
    few = trained_on is not None and max(len(trained_on), len(active)) <= pairing.MOST_CUSTOMERS
    same = pairing.paired(trained_on["customer_id"], active["customer_id"]) if trained_on is not None and few else None
    there = _placed(trained_on, model) if trained_on is not None and same else no_points()
    then = _subjects(model, population, trained_on, there) if trained_on is not None and same else {}
    found: list[tuple[DriftKind, str, drift.Shift]] = []
    for reference in population.references:
        subject = (reference.kind, reference.subject)
        if subject not in now:
            continue
        if subject in known:
            shift = known[subject]
        elif same is None or subject not in then:
            shift = drift.psi_shift(reference, now[subject](), draws, seed)
        else:
            chosen = same.of(_unlearnt(model, there, same)) if reference.kind == DriftKind.DISTANCE else same
            shift = pairing.paired_psi_shift(reference, then[subject](), now[subject](), chosen, draws, seed)
        found.append((*subject, shift))
    if len(population.sample):
        joint = (
            drift.joint_shift(population.sample, canonical_order(here), seed)
            if same is None
            else pairing.paired_joint_shift(there, here, same, seed)
        )
        found.append((DriftKind.JOINT, drift.TOGETHER, joint))
    return found


def _subjects(
    model: SegmentModel, population: TrainingPopulation, active: Customers, points: NDArray[np.float64]
) -> dict[tuple[DriftKind, str], Callable[[], pd.Series]]:
    """What gives the values (n,) that are compared of these customers, who have the `points` (n, d), by kind and subject."""
    found: dict[tuple[DriftKind, str], Callable[[], pd.Series]] = {
        (DriftKind.FEATURE, str(name)): partial(active.__getitem__, name) for name in active.columns
    }
    found[DriftKind.SEGMENT_MIX, MIX] = partial(model.segment_ids, active)
    if len(population.reference_prototypes):
        found[DriftKind.DISTANCE, DISTANCE] = lambda: pd.Series(nearest_distance(points, population.reference_prototypes))
    return found


def _unlearnt(model: SegmentModel, there: NDArray[np.float64], same: pairing.Pairing) -> NDArray[np.bool_]:
    """Whether each customer (u,) is to be measured from the reference prototypes: those they were found without, and half of who came."""
    then, unlearnt = np.flatnonzero(same.then != pairing.ABSENT), _learnt(len(same.then), model.provenance.seed)
    points = there[same.then[then]]
    unlearnt[then[np.lexsort(points.T[::-1])]] = ~_learnt(len(points), model.provenance.seed)
    return unlearnt


def _learnt(customers: int, seed: int) -> NDArray[np.bool_]:
    """Which customers, in canonical order, the reference prototypes are found on: half of them."""
    return np.random.default_rng(seed).permutation(customers) < customers // 2


def _placed(active: Customers, model: SegmentModel) -> NDArray[np.float64]:
    """Customers in the model's geometry (n, d); nobody in a grid, which has none."""
    return model.clusters.points(active) if isinstance(model.clusters, PrototypeModel) else no_points()


def _references(active: Customers, model: SegmentModel, distances: NDArray[np.float64]) -> tuple[drift.Reference, ...]:
    """Only for active customers: the number of lapsed ones grows with the history, whatever customers do."""
    subjects = sorted(set(active.columns) - drift.GROWS_WITH_TIME - NOT_COMPARED)
    references = [drift.reference_of(name, active[name]) for name in subjects]
    references.append(drift.categorical_reference(MIX, model.segment_ids(active), DriftKind.SEGMENT_MIX))
    if len(distances):
        references.append(drift.numeric_reference(DISTANCE, pd.Series(distances), DriftKind.DISTANCE))
    return tuple(references)


def _honest_distances(active: Customers, model: SegmentModel, settings: ModelSettings) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Prototypes (m, d) fitted on one half of the customers as the model's were on all, and distances of the other half to them.

    Prototypes are closer to the customers they were fitted on than to new ones. In-sample distances would look like drift at the next
    snapshot: with k-means on 200 customers one time in nine, with Ward's many prototypes always. Empty if there are too few customers.
    """
    clusters, seed = model.clusters, model.provenance.seed
    if clusters is None or isinstance(clusters, GridModel):
        return no_points(), np.empty(0)
    points = canonical_order(_placed(active, model))
    half = _learnt(len(points), seed)
    if count_distinct(points[half]) < clusters.k:
        return no_points(), np.empty(0)
    # Learnt weights are already part of the preprocessing.
    name = "kmeans" if clusters.algorithm == "weighted_kmeans" else clusters.algorithm
    found = FAMILIES[name](settings).sweep.fit(points[half], (clusters.k,), seed)
    prototypes = found[clusters.k].prototypes
    return prototypes, nearest_distance(points[~half], prototypes)


def _sample(active: Customers, model: SegmentModel) -> NDArray[np.float64]:
    if not isinstance(model.clusters, PrototypeModel):
        return no_points()
    return subsample(canonical_order(_placed(active, model)), drift.SAMPLE, model.provenance.seed)
