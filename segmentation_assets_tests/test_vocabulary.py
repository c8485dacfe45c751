"""Words that tables share are written once, and numbers agree with their nouns."""

import ast
from pathlib import Path

import pytest

from segmentation_assets import vocabulary
from segmentation_assets.vocabulary import Character, Decision, DriftKind, SegmentChange, Status, Tier, Verdict, counted

PACKAGE = Path(vocabulary.__file__).parent
WORDS = {str(word) for words in (Status, Tier, Decision, SegmentChange, DriftKind, Character, Verdict) for word in words}
# Other things of the same name: columns, what an event did to a column, parts of a sum, cells of the named grid, words in a file.
HOMONYMS = {
    "cli/check/described.py": {"empty"},
    "core/choice/evaluation.py": {"not measured"},
    "core/choice/forward_validity.py": {"active"},
    "core/choice/rfm_grid.py": {"champions", "promising"},
    "core/customers/exploration.py": {"distance"},
    "core/model/segment_model.py": {"distance"},
    "core/model/training.py": {"champions", "promising"},
    "core/segments/movement.py": {"lapsed"},
    "tables/segments.py": {"distance"},
}


def literals(file: Path) -> set[str]:
    """Words of the vocabulary that stand in the file as texts of their own."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)} & WORDS


def test_no_word_is_written_twice() -> None:
    found = {str(file.relative_to(PACKAGE)): literals(file) for file in PACKAGE.rglob("*.py") if file.name != "vocabulary.py"}
    # `feature`, `low`, `empty`, `new` and `grid` are words of many things.
    common = {"feature", "low", "empty", "new", "grid"}
    again = {file: words - common - HOMONYMS.get(file, set()) for file, words in found.items()}
    assert {file: words for file, words in again.items() if words} == {}


@pytest.mark.parametrize(("number", "said"), [(0, "0 segments"), (1, "1 segment"), (2, "2 segments"), (1_000, "1,000 segments")])
def test_one_is_singular_and_all_else_plural(number, said):
    assert counted(number, "segment") == said


def test_what_takes_no_s_is_given():
    assert counted(2, "customer has", "customers have") == "2 customers have"
