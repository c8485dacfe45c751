"""The data dictionary in the docs is generated from the declarations, which match the columns."""

import datetime as dt
import textwrap
from pathlib import Path

import pytest

from segmentation_assets.core.customers import feature_catalog, features
from segmentation_assets.core.customers.feature_catalog import FEATURES
from segmentation_assets.core.customers.features import declared
from segmentation_assets.settings.model import ModelSettings
from segmentation_assets.tables import dictionary
from segmentation_assets.tables.features import CUSTOMER_FEATURES
from segmentation_assets_tests.core.history import ROLES, History, events, line, ordered, transactions

PAGE = Path(__file__).parents[2] / "docs" / "data-dictionary.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == dictionary.page(), (
        "python -m segmentation_assets.tables.dictionary > docs/data-dictionary.md"
    )


def test_every_declared_feature_is_a_column_of_its_type() -> None:
    schema = History(transactions([line("a", "2017-05-01")]), events()).features(dt.date(2017, 7, 1)).schema()
    assert {feature.name: str(schema[feature.name]) for feature in declared(ROLES)} == {
        feature.name: feature.type for feature in declared(ROLES)
    }


def test_the_example_feature_in_the_docs_works(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = PAGE.with_name("how-to.md").read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    (added,) = eval(textwrap.dedent(shown), vars(feature_catalog))  # noqa: S307  # our own docs
    monkeypatch.setattr(features, "FEATURES", (*FEATURES, added))
    lines = [line("a", "2017-05-01 08:00"), line("a", "2017-05-01 20:00"), line("a", "2017-05-02"), line("b", "2017-05-01")]
    found = ordered(History(transactions(lines), events()).features(dt.date(2017, 7, 1)))
    assert found["repeat_visit_share"].round(6).to_dict() == {"a": 0.333333, "b": 0.0}


def test_every_feature_is_declared_once_with_words_for_marketers() -> None:
    names = [column.name for column in CUSTOMER_FEATURES.columns]
    assert len(names) == len(set(names))
    assert all(feature.high and feature.low and feature.unit for feature in FEATURES if feature.type == "float64")


def test_the_default_features_are_those_declared_for_clustering() -> None:
    assert set(ModelSettings().features) == {feature.name for feature in FEATURES if feature.clustering}
