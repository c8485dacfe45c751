"""Customer features to points in a space where Euclidean distance measures dissimilarity.

Belongs here: choosing each feature's treatment and checking a whole frame. The arithmetic of one feature is in
`feature_columns.py`. It is fitted with a model and never refitted when scoring: a refitted scaler would move customers who did not move.
"""

from collections.abc import Mapping, Sequence
from typing import Any, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.utils.validation import check_is_fitted, validate_data

from segmentation_assets.core.clustering.feature_columns import CategoricalColumn, Column, NumericColumn, Scaling, Transform
from segmentation_assets.settings.model import ModelSettings


class FeaturePreprocessor(TransformerMixin, BaseEstimator):
    """Transform, winsorise, scale and weigh customer features.

    Parameters
    ----------
    numeric_transform : "log", "yeo-johnson" or "none", or a mapping of feature to one of these (others: "log").
        "log" is signed log1p, meant for amounts and counts. On a feature that spreads widely on *both* sides of zero it
        opens a gap at zero that is not in the data; use "yeo-johnson" or "none" for such a feature.
    scaling : "standard" (standard deviation), "range" (after winsorising) or "robust" (interquartile range).
    winsorize : lower and upper quantile; values beyond are clipped to them, so that no single customer stretches an axis. If
        fewer than one customer would be beyond, such as with 150 customers at 0.005, none is clipped.
    weights : feature to its weight in the squared distance; default 1; 0 keeps a feature out of the geometry.
    categorical : numeric features to treat as categories (codes). Text, category and object columns always are.
    min_share : share of customers below which a level is pooled with the other rare ones.
    max_levels : largest number of levels kept per categorical feature.

    Missing numbers become the fitted median, with an indicator in a separate dimension if some were missing when fitted;
    missing categories are a separate level. A constant or entirely missing feature contributes nothing. Fitted attributes:
    `columns_`, `feature_names_in_`.

    Examples
    --------
    >>> frame = pd.DataFrame({"spend": [1.0, 10.0, 100.0], "region": ["north", "south", None]})
    >>> FeaturePreprocessor(winsorize=(0, 1)).fit(frame).transform(frame).shape
    (3, 4)
    """

    def __init__(
        self,
        numeric_transform: Transform | Mapping[str, Transform] = "log",
        scaling: Scaling = "standard",
        winsorize: tuple[float, float] = (0.005, 0.995),
        weights: Mapping[str, float] | None = None,
        categorical: Sequence[str] = (),
        min_share: float = 0.02,
        max_levels: int = 20,
    ) -> None:
        self.numeric_transform = numeric_transform
        self.scaling = scaling
        self.winsorize = winsorize
        self.weights = weights
        self.categorical = categorical
        self.min_share = min_share
        self.max_levels = max_levels

    def fit(self, X: Any, y: Any = None) -> "FeaturePreprocessor":
        """Fit each feature's treatment to `X` (n customers, p features). Raises ValueError on an invalid parameter."""
        frame = self._frame(X, reset=True)
        weights = dict(self.weights or {})
        unknown = sorted({*weights, *self.categorical} - set(frame.columns))
        if unknown:
            raise ValueError(f"features {unknown} are in the settings but not in the data; correct the names or remove them")
        if any(weight < 0 for weight in weights.values()):
            raise ValueError(f"feature weights must be 0 or more, not {weights}")
        if not 0 <= self.winsorize[0] < self.winsorize[1] <= 1:
            raise ValueError(f"winsorize must be two rising quantiles within 0 and 1, not {self.winsorize}")
        if self.scaling not in get_args(Scaling):
            raise ValueError(f"scaling must be one of {get_args(Scaling)}, not {self.scaling!r}")
        self.columns_: tuple[Column, ...] = tuple(
            self._fit_column(name, frame[name], float(weights.get(name, 1.0))) for name in frame.columns
        )
        return self

    def fitted_to(self, features: pd.DataFrame) -> "FeaturePreprocessor":
        """A copy with the same parameters, fitted to `features` (n customers, p features)."""
        copy: FeaturePreprocessor = clone(self)
        return copy.fit(features)

    def transform(self, X: Any) -> NDArray[np.float64]:
        """Features (n, p) to points (n, d), C-contiguous. Extra columns are ignored; a missing one raises ValueError."""
        check_is_fitted(self)
        frame = self._frame(X, reset=False)
        blocks = [
            column.encode(_numbers(frame[column.name])) if isinstance(column, NumericColumn) else column.encode(_levels(frame[column.name]))
            for column in self.columns_
        ]
        return np.ascontiguousarray(np.hstack(blocks))

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Name of each of the d dimensions: the feature, `feature=level`, or `feature=(missing)`."""
        check_is_fitted(self)
        return np.array([name for column in self.columns_ for name in column.dimensions], dtype=object)

    def imputed(self, features: pd.DataFrame) -> pd.Series:
        """Per customer (n,), the names of the imputed numeric features, separated by commas; None if there are none.

        Features without any value when fitted, or kept out of the geometry, are not listed.
        """
        check_is_fitted(self)
        names = [c.name for c in self.columns_ if isinstance(c, NumericColumn) and c.weight > 0 and (c.scale > 0 or c.indicator > 0)]
        missing = np.array([np.isnan(_numbers(features[name])) for name in names]).reshape(len(names), len(features)).T
        joined, lacking = np.full(len(features), None, dtype=object), missing.any(axis=1)
        patterns, own = np.unique(missing[lacking], axis=0, return_inverse=True)
        texts = [", ".join(name for name, absent in zip(names, pattern, strict=True) if absent) for pattern in patterns]
        joined[lacking] = np.array(texts, dtype=object)[own.ravel()]
        return pd.Series(joined, index=features.index, dtype=object)

    @classmethod
    def from_settings(
        cls, settings: ModelSettings, declared: Mapping[str, Transform], shares: Mapping[str, float] | None = None
    ) -> "FeaturePreprocessor":
        """The preprocessor for the settings: each feature with its declared transform, unless one is set for all, and the share of its
        weight that near copies leave to it (default 1)."""
        return cls(
            numeric_transform=declared if settings.transform == "declared" else settings.transform,
            scaling=settings.scaling,
            winsorize=(settings.winsorize, 1 - settings.winsorize),
            weights={**settings.weights, **{name: settings.weights.get(name, 1.0) * share for name, share in (shares or {}).items()}},
            categorical=settings.categorical,
        )

    @classmethod
    def from_columns(cls, columns: Sequence[Column]) -> "FeaturePreprocessor":
        """A fitted preprocessor from its fitted columns, for a model read back from a table."""
        fitted = cls()
        fitted.columns_ = tuple(columns)
        fitted.feature_names_in_ = np.array([column.name for column in columns], dtype=object)
        fitted.n_features_in_ = len(columns)
        return fitted

    def stretched(self, stretch: NDArray[np.float64]) -> "FeaturePreprocessor":
        """A fitted copy whose dimensions are multiplied by `stretch` (d,), each above 0, through the features' weights."""
        check_is_fitted(self)
        columns: list[Column] = []
        start = 0
        for column in self.columns_:
            stop = start + len(column.dimensions)
            columns.append(column.stretched(stretch[start:stop]))
            start = stop
        return FeaturePreprocessor.from_columns(columns)

    def _fit_column(self, name: str, values: pd.Series, weight: float) -> Column:
        if name in self.categorical or _is_categorical(values):
            return CategoricalColumn.fit(name, _levels(values), self.min_share, self.max_levels, weight)
        method = self.numeric_transform if isinstance(self.numeric_transform, str) else self.numeric_transform.get(name, "log")
        if method not in get_args(Transform):
            raise ValueError(f"the transform of feature {name!r} must be one of {get_args(Transform)}, not {method!r}")
        return NumericColumn.fit(name, _numbers(values), method, self.winsorize, self.scaling, weight)

    def _frame(self, X: Any, reset: bool) -> pd.DataFrame:
        """A frame of the features in fitted order; plain arrays are accepted too, with scikit-learn's checks."""
        if not isinstance(X, pd.DataFrame):
            array = validate_data(self, X, reset=reset, dtype="numeric", ensure_all_finite="allow-nan")
            names = [f"x{i}" for i in range(array.shape[1])] if reset else [column.name for column in self.columns_]
            return pd.DataFrame(array, columns=names)
        if reset:
            if X.shape[1] == 0 or len(X) == 0:
                raise ValueError(f"no customers or no features to fit on: the frame is {X.shape[0]} x {X.shape[1]}")
            self.feature_names_in_ = np.array(X.columns, dtype=object)
            self.n_features_in_ = X.shape[1]
            return X
        missing = [column.name for column in self.columns_ if column.name not in X.columns]
        if missing:
            raise ValueError(f"features {missing} were used in fitting but are missing; restore them or train a new model")
        return X

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def _is_categorical(values: pd.Series) -> bool:
    if types.is_datetime64_any_dtype(values) or types.is_timedelta64_dtype(values):
        raise ValueError(f"feature {values.name!r} is a date; turn it into a number first, such as days before the snapshot")
    return not (types.is_numeric_dtype(values) or types.is_bool_dtype(values))


def _numbers(values: pd.Series) -> NDArray[np.float64]:
    return np.asarray(values.to_numpy(dtype=np.float64, na_value=np.nan), dtype=np.float64)


def _levels(values: pd.Series) -> list[str | None]:
    """Levels as text with None for missing, so that 1, "1" and a categorical 1 are one level."""
    seen = values.notna().to_numpy()
    return [str(value) if known else None for value, known in zip(values.astype(object), seen, strict=True)]
