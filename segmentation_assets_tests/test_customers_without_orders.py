"""From a table with one row per customer to published segments, by `init` and settings alone."""

import datetime as dt
import io
from html import unescape

import duckdb
import numpy as np
import pytest
from rich.console import Console
from sklearn.metrics import adjusted_rand_score

from segmentation_assets.cli import summary
from segmentation_assets.cli.check import inspect
from segmentation_assets.core.choice.attribute_validity import in_words
from segmentation_assets.core.choice.selection import choose
from segmentation_assets.core.clustering.preprocessing import FeaturePreprocessor
from segmentation_assets.core.customers.attributes import attribute_features
from segmentation_assets.definitions import build
from segmentation_assets.languages import localised
from segmentation_assets.settings.loading import load_settings
from segmentation_assets.settings.model import ModelSettings
from segmentation_assets.sources.customer_columns import look_at_columns
from segmentation_assets.sources.file_profile import look_at
from segmentation_assets.sources.first_settings import write
from segmentation_assets.store import database_files
from segmentation_assets.vocabulary import WITHOUT_ORDERS
from segmentation_assets_tests import tables_of_customers

KEY = "2026-11-29"
INCOME, SCORE = "Annual Income (k$)", "Spending Score (1-100)"
MORE = f"""
outcome: Age
attributes:
  {INCOME}: {{unit: k$}}
own_segments:
  young_savers: 'Age < 35 and "{SCORE}" < 40'
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The settings, the truth and the result of a snapshot of shoppers, clustered by income and score."""
    folder = tmp_path_factory.mktemp("shoppers")
    table, truth = tables_of_customers.shoppers()
    table.to_csv(folder / "shoppers.csv", index=False)
    text = write(look_at([folder / "shoppers.csv"]), folder, today=dt.date.fromisoformat(KEY))
    assert "  min_count: 10" in text  # 5% of 200 customers
    text = text.replace("    - Age    # number\n", "") + f"  resamples: 10\n{MORE}"
    (folder / "segmentation.yaml").write_text(text, encoding="utf-8")
    settings = load_settings(folder / "segmentation.yaml").model_copy(update={"data_dir": folder / "data"})
    return settings, truth, build(settings).resolve_job_def("snapshot").execute_in_process(partition_key=KEY, raise_on_error=False)


def asked(settings, query):
    with duckdb.connect(str(settings.data_dir / database_files.DATABASE), read_only=True) as database:
        return database.sql(query).fetchall()


def test_the_five_groups_come_out_with_names_a_person_would_use(made):
    settings, truth, result = made
    assert result.success, [e.step_failure_data.error.to_string() for e in result.all_events if e.is_step_failure]
    assert settings.model.features == (INCOME, SCORE)
    placed = asked(settings, "SELECT segment_id FROM customer_segments ORDER BY customer_id::INT")
    assert adjusted_rand_score(truth, [segment for (segment,) in placed]) >= 0.9
    names = {name.casefold() for (name,) in asked(settings, "SELECT segment_name FROM segments")}
    assert {frozenset(name.split(", ")) for name in names} == {
        *(frozenset({f"{income} annual income", f"{score} spending score"}) for income in ("high", "low") for score in ("high", "low")),
        frozenset({"average annual income and spending score"}),
    }


def test_what_needs_orders_is_absent_and_said_once(made):
    settings, _, result = made
    assert {e.check_name for e in result.get_asset_check_evaluations() if not e.passed} == set()
    assert asked(settings, "SELECT count(*), count(frequency), count(monetary), count(revenue) FROM customer_features, segments")[0][
        1:
    ] == (0, 0, 0)
    features = {name for (name,) in asked(settings, "SELECT DISTINCT feature FROM segment_profiles")}
    assert features == {"Age", INCOME, SCORE}
    assert asked(settings, "SELECT DISTINCT tier FROM model_registry") == [("convenient",)]
    console = Console(record=True, width=200, file=io.StringIO())
    summary.show(summary.read(settings.data_dir, KEY), console)
    shown = console.export_text()
    assert " ".join(shown.split()).count(WITHOUT_ORDERS) == 1
    assert not [word for word in ("Revenue", "spend since", "validated", "grid of ten") if word in shown]
    page = (settings.data_dir / "reports" / KEY / "analysts.html").read_text(encoding="utf-8")
    assert page.count(WITHOUT_ORDERS) == 1
    assert 'id="typical_customers"' in page
    assert not [name for name in ("seasonality", "cohorts", "forward_validity", "attributes", "bridge") if f'id="{name}"' in page]


def test_segments_are_compared_with_one_column_and_chance_and_judged_by_the_outcome(made):
    settings, _, _ = made
    found = dict(asked(settings, "SELECT metric, value FROM evaluation_metrics WHERE metric SIMILAR TO '(attributes|outcome)_.*'"))
    assert found["attributes_eta_squared"] > found["attributes_eta_squared_best_single_column"] > found["attributes_eta_squared_random_cut"]
    assert found["attributes_gain_over_best_single_column_low"] > 0
    assert found["outcome_eta_squared"] < 0.2  # ages were drawn without regard to the groups
    assert len([metric for metric in found if metric.startswith("outcome_mean: ")]) == 5
    sentences = list(in_words(found, outcome="Age"))
    assert [sentence.split(",")[0] for sentence in sentences] == [
        "Of the differences between customers in what they are clustered by",
        "Of the differences in the outcome Age",
    ]
    console = Console(record=True, width=2_000, file=io.StringIO())
    summary.show(summary.read(settings.data_dir, KEY, settings.outcome), console)
    shown, page = console.export_text(), (settings.data_dir / "reports" / KEY / "analysts.html").read_text(encoding="utf-8")
    written = [localised(sentence, settings.report.language) for sentence in sentences]
    assert [sentence in shown for sentence in sentences] == [sentence in unescape(page) for sentence in written] == [True, True]


def test_each_column_has_its_decision_and_own_segments_their_place_on_the_page(made):
    settings, _, _ = made
    choices = dict(asked(settings, "SELECT feature, reason FROM feature_choices"))
    assert {name for (name,) in asked(settings, "SELECT feature FROM feature_choices WHERE enters")} == {INCOME, SCORE}
    assert choices["Age"] == "the outcome, by which segments are judged"
    assert choices["Gender"].startswith("a category with 2 levels; it describes the segments")
    ((customers, revenue),) = asked(settings, "SELECT customers, revenue FROM own_segments")
    ((plain,),) = asked(settings, f'SELECT count(*) FROM customer_features WHERE "Age" < 35 AND "{SCORE}" < 40')
    assert (customers, revenue) == (plain, None)
    page = (settings.data_dir / "reports" / KEY / "index.html").read_text(encoding="utf-8")
    assert page.count('id="own-segments"') == 1 and f"{plain} customers" in page


def test_check_reads_the_table_and_says_that_there_are_no_orders(made):
    found = inspect(made[0])
    assert found.problems == []
    assert any(line.startswith("customers: 200 rows, 200 customers") for line in found.lines)
    assert [line for line in found.lines if line.startswith("transactions") or line == WITHOUT_ORDERS] == [WITHOUT_ORDERS]


@pytest.mark.parametrize("groups", [*(pytest.param(groups, marks=pytest.mark.full) for groups in (4, 5)), 6])
def test_planted_groups_are_found_among_noise(groups):
    table, truth = tables_of_customers.planted(groups, seed=groups)
    types = {name: "number" if name != "customer" else "text" for name in table.columns}
    features = [name for name, look in look_at_columns(table, types).items() if look.enters]
    assert {"noise_1", "noise_2", "age"} < set(features)
    inputs, settings = table[features].astype("float64"), ModelSettings(features=tuple(features), resamples=10)
    transforms = {feature.name: feature.transform for feature in attribute_features(inputs, ())}
    chosen = choose(inputs, settings, FeaturePreprocessor.from_settings(settings, transforms), diagnostics=False, has_orders=False)
    assert adjusted_rand_score(truth, np.asarray(chosen.model.assign(inputs).label)) >= 0.9
