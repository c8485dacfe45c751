"""Contracts of the candidates, the model in force, its register, and drift since its training."""

import pandas as pd

from segmentation_assets.tables.contract import MODEL_VERSION, SHARE, Cells, Column, Contract, HiddenWith, everyone, required
from segmentation_assets.vocabulary import Decision, DriftKind, DriftTest, Tier

MODEL_CANDIDATES = Contract(
    "model_candidates", "clustering that was tried on the snapshot",
    (
        required("algorithm", "string", "Clustering algorithm; `rfm_grid` is the recency x frequency grid."),
        required("k", "int64", "Number of clusters; 0 if it could not be fitted.", minimum=0),
        Column("silhouette", "float64", "Mean silhouette on a sample (Rousseeuw 1987); higher is better.", minimum=-1, maximum=1),
        Column("calinski_harabasz", "float64", "Calinski-Harabasz index (1974); higher is better.", minimum=0),
        Column("davies_bouldin", "float64", "Davies-Bouldin index (1979); lower is better.", minimum=0),
        Column("prediction_strength", "float64", "Prediction strength (Tibshirani and Walther 2005); 0.8 or more is good.", **SHARE),
        Column("weakest_jaccard", "float64", "Bootstrap Jaccard of the least stable cluster (Hennig 2007).", **SHARE),
        Column("jaccard_error", "float64", "Its standard error over the resamples.", minimum=0),
        Column("stability", "string", "Hennig's reading of it.", allowed=("dissolved", "doubtful", "valid", "highly stable")),
        Column("jaccard", "string", "Bootstrap Jaccard of each cluster, by its number."),
        Column("smallest_share", "float64", "Share of customers in the smallest cluster.", **SHARE),
        Column("smallest_count", "int64", "Customers in the smallest cluster, scaled up from the sample.", minimum=0),
        Column("noise_share", "float64", "Share of customers labelled as noise.", **SHARE),
        Column("gap", "float64", "Gap statistic (Tibshirani, Walther and Hastie 2001)."),
        Column("gap_error", "float64", "Its standard error.", minimum=0),
        Column("seed_agreement", "float64", "Mean adjusted Rand index between fits from other seeds.", maximum=1),
        Column("valley_p", "float64", "p-value of the valley gate; small if a valley separates all neighbours.", **SHARE),
        required("chosen", "boolean", "Whether the snapshot's model has this algorithm and k."),
        required("reason", "string", "Why it was chosen or not, as a sentence."),
    ),
    key=("algorithm", "k"),
    largest_first=("chosen",),
    cells=(
        Cells("smallest_count", ("smallest_share",)),
        Cells(lambda rows: rows["noise_share"] * _customers(rows), ("noise_share",), whole=lambda rows: _customers(rows)),
    ),
)  # fmt: skip


def _customers(candidates: pd.DataFrame) -> pd.Series:
    """How many customers were clustered."""
    return candidates["smallest_count"] / candidates["smallest_share"]


def _weights(model: pd.DataFrame) -> pd.Series:
    """How many customers a prototype stands for: a size of a segment, which is not needed to score."""
    return model["value"].where((model["component"] == "prototype") & (model["field"] == "weight"))


def _of_hidden_segments(model: pd.DataFrame, segments: pd.DataFrame) -> pd.Series:
    """How stable a segment whose size is hidden is, and the pace of its customers."""
    names = segments.loc[segments["customers"].isna(), "segment_name"]
    return (model["component"] == "segment") & (model["field"] != "segment_id") & model["name"].isin(names)


SEGMENTATION_MODEL = Contract(
    "segmentation_model", "number of the model in force: preprocessing, prototypes, segments and provenance",
    (
        MODEL_VERSION,
        required("component", "string", "Part of the model, such as `prototype`, `segment` or `provenance`."),
        required("position", "int64", "Position within the component, from 0.", minimum=0),
        required("name", "string", "Name of the item, such as the feature."),
        required("field", "string", "Which of the item's values this is."),
        Column("value", "float64", "The value, if it is a number."),
        Column("text", "string", "The value, if it is text."),
    ),
    key=("component", "position", "name", "field"),
    cells=(Cells(_weights, ("value",), sums=(everyone,)), HiddenWith("segments", _of_hidden_segments, ("value",))),
)  # fmt: skip
MODEL_REGISTRY = Contract(
    "model_registry", "snapshot and model: the one in force and how it came to be, and a challenger that was refused",
    (
        MODEL_VERSION,
        required("fitted_snapshot", "date", "Snapshot on whose customers the model was fitted."),
        required("algorithm", "string", "Clustering algorithm; `rfm_grid` is the recency x frequency grid."),
        required("k", "int64", "Number of segments by model; 0 if no customer was active.", minimum=0),
        Column(
            "tier", "string", "distinct segments, a convenient partition, or a grid: the named one of recency x frequency, or that of the settings; empty without customers.", allowed=tuple(Tier)
        ),
        Column("tier_reason", "string", "Why this tier, as a sentence."),
        required("seed", "int64", "Seed of every random choice."),
        required("settings_digest", "string", "Digest of the settings that the model depends on."),
        required("customers", "int64", "Active customers the model was fitted on.", minimum=0),
        required("in_force", "boolean", "Whether it assigns the snapshot's customers; one model of each snapshot does."),
        Column("decision", "string", "What became of the model at this snapshot; a challenger is promoted or refused.", False, allowed=tuple(Decision)),
        required("reason", "string", "Why, as a sentence."),
        Column("requested_by", "string", "Who requested the decision; empty if nobody did, or gave no name."),
        Column("request_reason", "string", "Their reason, in their own words."),
    ),
    key=("model_version",),
    largest_first=("in_force",),
    cells=(Cells("customers"),),
    lineage={"model_version": ("segmentation_model.model_version",)},
)  # fmt: skip
DRIFT_REPORT = Contract(
    "drift_report", "subject, compared with the training snapshot of the model in force before this snapshot",
    (
        Column(
            "kind", "string", "`feature`, `segment_mix`, `distance` to the nearest prototype, or `joint`: all coordinates together.", False,
            allowed=tuple(DriftKind),
        ),
        required("subject", "string", "The feature, or what else was compared."),
        required("statistic", "string", "`psi`, the population stability index, or `auc`, how well a classifier separates training from today's customers."),
        Column("value", "float64", "Its value; empty if it cannot be computed.", minimum=0),
        Column("p_value", "float64", "Probability of a change at least this large without drift.", **SHARE),
        Column("q_value", "float64", "p-value corrected for the number of subjects (Benjamini-Hochberg 1995).", **SHARE),
        required("threshold", "float64", "Value below which a change is too small to matter.", minimum=0),
        Column("flagged", "boolean", "Whether it has drifted: its q-value is at most drift.alpha and its value above the threshold. Empty if not measured."),
        required("in_model", "boolean", "Whether the model depends on it, so that a flag asks for a challenger."),
        Column(
            "test", "string",
            "`paired` by customers who are in both snapshots, or `independent` where they cannot be matched or are too many to need it; "
            "empty up to version 0.1.0.",
            allowed=tuple(DriftTest),
        ),
    ),
    key=("kind", "subject", "statistic"),
    largest_first=("flagged", "value"),
)  # fmt: skip
