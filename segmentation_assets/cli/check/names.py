"""Names in the settings that nothing has: features to cluster by, attributes to clean, and columns in conditions of own segments. The
names in the source's own section are checked as it is read."""

from collections.abc import Collection, Mapping

import ibis

from segmentation_assets.core.customers.features import BOOKKEEPING, declared
from segmentation_assets.core.segments import own
from segmentation_assets.expressions import ExpressionError
from segmentation_assets.settings.loading import Settings
from segmentation_assets.settings.section import unknown_names

LEVELS = {"category", "event_type"}  # columns whose spellings cleaning.merge may replace, beside attributes


def unknown(settings: Settings, attributes: Collection[str]) -> list[str]:
    """A problem for each name that is neither a feature nor one of the `attributes` of customers, where it would have to be."""
    lacks = set() if settings.source.has_orders else {"transactions"}
    features = {feature.name: feature.type for feature in declared(settings.features) if feature.needs not in lacks}
    columns = {f"attribute_{name}" if name in features else name for name in attributes if name not in BOOKKEEPING}
    return [
        *unknown_names("model.features", settings.model.features, features.keys() | columns, "a feature"),
        *unknown_names("cleaning.impossible", settings.cleaning.impossible, attributes, "an attribute of customers"),
        *unknown_names("cleaning.merge", settings.cleaning.merge, {*LEVELS, *attributes}, "a column that can be merged"),
        *unknown_names("privacy.sensitive", settings.privacy.sensitive, columns, "an attribute of customers"),
        *unknown_names("attributes", settings.attributes, columns, "an attribute of customers"),
        *unknown_names("outcome", [settings.outcome] if settings.outcome else [], columns, "an attribute of customers"),
        *_unusable_conditions(settings, features, columns),
    ]


def _unusable_conditions(settings: Settings, features: Mapping[str, str], attributes: Collection[str]) -> list[str]:
    """A problem for each own segment whose condition cannot be used. Attributes count as text, because their types are not known yet."""
    texts = ("customer_id", "status", "segment_name", *attributes)
    customers = ibis.table({"segment_id": "int64", **features, **dict.fromkeys(texts, "string")}, name="customers")
    try:
        own.conditions(settings.own_segments, customers, settings.privacy.sensitive)
    except ExpressionError as error:
        return str(error).splitlines()
    return []
