"""Words of the vocabulary are written once, and nouns agree with their numbers."""

import ast
from pathlib import Path

import pytest

from segmentation_assets import vocabulary
from segmentation_assets.vocabulary import Character, Decision, DriftKind, SegmentChange, Status, Tier, Verdict, counted

PACKAGE = Path(vocabulary.__file__).parent
WORDS = {str(word) for words in (Status, Tier, Decision, SegmentChange, DriftKind, Character, Verdict) for word in words}
# The same words with other meanings: columns, what an event did to a column, parts of a sum, cells of the named grid, words in a file.
HOMONYMS = {
    "cli/check/described.py": {"empty"},
    "core/choice/evaluation.py": {"not measured"},
    "core/choice/forward_validity.py": {"active"},
    "core/choice/rfm_grid.py": {"champions", "promising"},
    "core/customers/exploration.py": {"distance"},
    "core/customers/feature_choices.py": {"distance"},
    "core/model/segment_model.py": {"distance"},
    "core/model/training.py": {"champions", "promising"},
    "core/segments/movement.py": {"lapsed"},
    "report/analysts.py": {"active"},
    "report/cards.py": {"lapsed", "not measured"},
    "sources/customer_columns.py": {"born"},
    "tables/segments.py": {"distance"},
}


def literals(file: Path) -> set[str]:
    """Words of the vocabulary that are string literals in the file."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)} & WORDS


def test_no_word_of_the_vocabulary_is_written_again() -> None:
    found = {str(file.relative_to(PACKAGE)): literals(file) for file in PACKAGE.rglob("*.py") if file.name != "vocabulary.py"}
    # These words have many meanings.
    common = {"feature", "low", "empty", "new", "grid"}
    again = {file: words - common - HOMONYMS.get(file, set()) for file, words in found.items()}
    assert {file: words for file, words in again.items() if words} == {}


@pytest.mark.parametrize(("number", "said"), [(0, "0 segments"), (1, "1 segment"), (2, "2 segments"), (1_000, "1,000 segments")])
def test_counts_other_than_one_are_plural(number, said):
    assert counted(number, "segment") == said


def test_irregular_plurals_are_given():
    assert counted(2, "customer has", "customers have") == "2 customers have"
