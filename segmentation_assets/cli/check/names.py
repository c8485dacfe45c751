"""Names in the settings that nothing has: features to cluster by, attributes to clean, and columns in conditions of own segments. The
names in the source's own section are checked as it is read."""

from collections.abc import Mapping

from segmentation_assets.core.customers.features import attribute_columns, feature_types
from segmentation_assets.core.segments import own
from segmentation_assets.settings.loading import Settings
from segmentation_assets.settings.section import unknown_names

LEVELS = {"category", "event_type"}  # columns whose spellings cleaning.merge may replace, beside attributes


def unknown(settings: Settings, attributes: Mapping[str, str]) -> list[str]:
    """A problem for each name that is neither a feature nor one of the `attributes` of customers, where it would have to be."""
    features = feature_types(settings.features, settings.source.has_orders)
    columns = attribute_columns(attributes, features)
    return [
        *unknown_names("model.features", settings.model.features, features.keys() | columns.keys(), "a feature"),
        *unknown_names("cleaning.impossible", settings.cleaning.impossible, attributes, "an attribute of customers"),
        *unknown_names("cleaning.merge", settings.cleaning.merge, {*LEVELS, *attributes}, "a column that can be merged"),
        *unknown_names("privacy.sensitive", settings.privacy.sensitive, columns, "an attribute of customers"),
        *unknown_names("attributes", settings.attributes, columns, "an attribute of customers"),
        *unknown_names("outcome", [settings.outcome] if settings.outcome else [], columns, "an attribute of customers"),
        *own.unusable(settings.own_segments, features, columns, settings.source.has_consent, settings.privacy.sensitive),
    ]
