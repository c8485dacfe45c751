"""A printed comparison never contradicts its verdict: what a sentence prints, compared with the limit it prints, is the verdict."""

import dataclasses
import datetime as dt
import re
from decimal import Decimal
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segmentation_assets.core.choice.candidates import Candidate, objections
from segmentation_assets.core.choice.forward_validity import ForwardValidity
from segmentation_assets.core.choice.selection import LARGEST_LOSS, _validated
from segmentation_assets.core.model import gates
from segmentation_assets.core.model.gates import Contest
from segmentation_assets.core.model.training import ModelSpec, PreviousSnapshot, train
from segmentation_assets.core.segments.predicates import Condition, Predicate
from segmentation_assets.core.segments.rules import Rule, reason
from segmentation_assets.settings.model import ModelSettings, RetrainSettings
from segmentation_assets.settings.rules import Rules
from segmentation_assets.vocabulary import Baseline, beside
from segmentation_assets_tests.builders import features

# Shares at and close to round limits, where rounding lies.
LIMITS = st.sampled_from([0.0, 0.01, 0.02, 0.05, 0.07, 0.125, 0.29, 0.57, 0.6, 0.605, 0.75, 1.0])
NUDGES = st.sampled_from([0.0, 1e-7, -1e-7, 4e-5, -4e-5, 4e-4, -4e-4, 0.003, -0.003, 0.2, -0.2])
PAIRS = st.tuples(LIMITS, NUDGES).map(lambda pair: (pair[0], float(np.clip(sum(pair), 0, 1))))  # a limit, and a figure close to it
SHARES = PAIRS.map(lambda pair: pair[1])
SHOP = features(*zip(*np.random.default_rng(0).lognormal(3, 1, (3, 40)), strict=True))
ASK = ModelSettings(algorithms=("kmeans",), k_min=2, k_max=2, k=2, fallback_k=2, resamples=10, splits=1, seed=1, features=("monetary",))
STANDING = Candidate("kmeans", 2, jaccard=(0.8, 0.9), jaccard_errors=(0.01, 0.01))


def number(pattern: str, words: str) -> Decimal:
    found = re.search(pattern, words)
    assert found, words
    return Decimal(found[1])


def sides(value: Decimal | float, limit: Decimal | float) -> tuple[bool, bool]:
    return value < limit, value > limit


@given(PAIRS, st.integers(1, 3), st.sampled_from(["f", "g", "%"]))
def test_a_figure_lies_on_the_side_of_its_limit_on_which_it_is_printed(pair, digits, style):
    limit, value = pair
    text = beside(value, limit, digits, style)
    printed = Decimal(text.removesuffix("%")) / (100 if style == "%" else 1)
    assert sides(printed, Decimal(str(limit))) == sides(value, limit)


@pytest.fixture(scope="module")
def challenger():
    return train(SHOP, None, ModelSpec(ASK, "", diagnostics=False), dt.date(2024, 2, 1), "")


def contest(challenger, asked, **retrain):
    past = PreviousSnapshot(SHOP, np.arange(40.0))
    return Contest(challenger.model, STANDING, SHOP, ModelSpec(asked, ""), RetrainSettings(**retrain), past, 1)


@settings(max_examples=30, deadline=None)
@given(pair=PAIRS, before=PAIRS)
def test_the_gate_of_stability(challenger, pair, before):
    least, weakest = pair
    for jaccard in (weakest, 0.78 + before[1] - before[0]):  # close to what is asked, and close to the champion's less two errors
        the_gate_of_stability(challenger, least, jaccard)


def the_gate_of_stability(challenger, least, weakest):
    taken = dataclasses.replace(STANDING, jaccard=(weakest, 1.0), jaccard_errors=(0.0, 0.0), chosen=True)
    judged = contest(challenger, ASK.model_copy(update={"dissolved_jaccard": least}))
    (gate,) = judged._stability(dataclasses.replace(challenger, candidates=(taken,)))
    enough = number(r"Jaccard of ([\d.]+)", gate.words) >= number(r"at least ([\d.]+) is", gate.words)
    lost = "no loss" not in gate.words and number(r"a loss of ([\d.]+)", gate.words) > number(r"errors, ([\d.]+), is", gate.words)
    assert gate.passed == (enough and not lost)


@settings(max_examples=30, deadline=None)
@given(pair=PAIRS, now=SHARES)
def test_the_gate_of_fit(challenger, pair, now):
    least, gain = pair
    with pytest.MonkeyPatch.context() as patch:
        figures = iter((now + gain, now))
        patch.setattr(gates, "explained", lambda *_: next(figures))
        (gate,) = contest(challenger, ASK, least_fit_gain=least)._fit(challenger)
    asked = 0 if "no loss" in gate.words else number(r"at least ([\d.]+) is", gate.words)
    assert gate.passed == (number(r"a gain of (-?[\d.]+) points", gate.words) >= asked)


@settings(max_examples=30, deadline=None)
@given(pair=PAIRS, now=SHARES)
def test_the_gate_of_the_spend_that_followed(challenger, pair, now):
    most, loss = pair
    with pytest.MonkeyPatch.context() as patch:
        said = SimpleNamespace(gain=-loss, eta_squared=now, baseline_eta_squared=now + loss)
        patch.setattr(gates, "forward_validity", lambda *_: said)
        (gate,) = contest(challenger, ASK, largest_forward_loss=most)._forward(challenger)
    lost = 0 if "no loss" in gate.words else number(r"a loss of ([\d.]+) points", gate.words)
    assert gate.passed == (lost <= number(r"at most ([\d.]+) is", gate.words))


@given(
    st.builds(ModelSettings, min_share=LIMITS.filter(lambda x: x <= 0.5), valley_level=LIMITS.filter(lambda x: 0 < x < 1)), SHARES, SHARES
)
def test_what_a_candidate_lacks(ask, p, share):
    found = " ".join(objections(dataclasses.replace(STANDING, valley_p=p, smallest_share=share, smallest_count=99), ask))
    if "valley" in found:
        assert number(r"p = ([\d.e-]+)", found) >= Decimal(str(ask.valley_level))
    if "smallest" in found:
        assert number(r"\(([\d.]+)%\)", found) / 100 < Decimal(str(ask.min_share))


@given(st.floats(0, 1), SHARES)
def test_a_reading_goes_with_its_figure(jaccard, other):
    for weakest in (jaccard, other):
        candidate = dataclasses.replace(STANDING, jaccard=(weakest, 1.0))
        printed = float(number(r"Jaccard ([\d.]+)", candidate.stability))
        assert candidate.reading == dataclasses.replace(candidate, jaccard=(printed, 1.0)).reading


def said(gain: float, high: float) -> ForwardValidity:
    return ForwardValidity(0.4, 0.4 - gain, gain, min(gain, high) - 0.1, high)


@given(SHARES, NUDGES, NUDGES, NUDGES)
def test_whether_a_partition_stands_against_a_grid_of_as_many_groups(loss, high, named, money):
    validity = dict.fromkeys(Baseline, said(money, money)) | {
        Baseline.RECENCY_FREQUENCY_MONETARY: said(-loss, high), Baseline.RECENCY_FREQUENCY: said(named, named),
    }  # fmt: skip
    sentence, kept = _validated("Why.", validity)
    grid = sentence.split(". So ")[0]
    worse = "points more (" in grid and number(r"([\d.]+) points more \(95%", grid) > Decimal(str(100 * LARGEST_LOSS))
    worse = worse and number(r"gain [-\d.]+ to (-?[\d.]+)", grid) < 0
    assert worse == (loss > LARGEST_LOSS and high < 0)
    assert kept == (not worse or named >= 0)
    assert ("is published all the same" in sentence) == (worse and kept)
    assert ("acting, not for forecasting" in sentence) == (kept and money < 0)


@given(PAIRS, PAIRS)
def test_a_segment_has_a_rule_exactly_where_the_printed_precision_and_recall_reach_their_limits(precision, recall):
    asked = Rules(min_precision=precision[0], min_recall=recall[0])
    predicate = Predicate("active", ((Condition("monetary", ">", 1.0),),))
    measured = type("Measured", (Rule,), {"precision": precision[1], "recall": recall[1]})(predicate, 1, 1, 1)
    told = reason(measured, asked, 1)
    printed = [number(rf"{name} ([0-9.]+)", told) for name in (r"has precision", r"and recall")]
    reached = all(share >= Decimal(str(limit)) for share, (limit, _) in zip(printed, (precision, recall), strict=True))
    assert reached == measured.suffices(asked) == told.startswith("It has")
