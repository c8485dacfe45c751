"""Special categories of personal data, and answers that read as missing, are told by `init` and `check`."""

from pathlib import Path

import pytest
import yaml

from segmentation_assets.cli.check import inspect
from segmentation_assets.settings.loading import load_settings
from segmentation_assets.settings.source import MISSING
from segmentation_assets.sources import file_profile, first_settings, special_categories

PEOPLE = "customer_id,religion,town,household,visits,age\n" + "".join(
    f"c{i},{('none', 'catholic', 'hindu')[i % 3]},{('Ghent', 'Ypres')[i % 2]},{1 + i % 4},{7 * i % 50},{20 + 11 * i % 60}\n"
    for i in range(60)
)


@pytest.mark.parametrize(
    ("name", "category"),
    [
        ("Religion", "religion or belief"), ("Religionszugehörigkeit", "religion or belief"), ("health_status", "health"),
        ("Gesundheit", "health"), ("ethnicity", "racial or ethnic origin"), ("sexual orientation", "sex life or sexual orientation"),
        ("political_party", "political opinions"), ("Gewerkschaft", "trade union membership"), ("syndicat", "trade union membership"),
    ],
)  # fmt: skip
def test_a_name_that_says_a_special_category(name: str, category: str) -> None:
    assert special_categories.of_column(name) == category


@pytest.mark.parametrize(
    "name", ["region", "town", "age", "customer_id", "product_category", "party_size", "union_square_store", "trace", "spend"]
)
def test_other_names_say_none(name: str) -> None:
    assert special_categories.of_column(name) is None


def test_a_word_is_an_answer_only_beside_others_and_where_it_reads_as_missing() -> None:
    columns = {"religion": ["None", "hindu", None], "nothing": ["none", "", None], "town": ["Ghent", "Ypres"]}
    assert special_categories.answers(columns, MISSING) == {"religion": "none"}
    assert special_categories.answers(columns, ("n/a",)) == {}


def test_init_says_so_and_leaves_the_attribute_out_of_the_model(tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text(PEOPLE)
    text = first_settings.write(file_profile.look_at([tmp_path / "people.csv"]), tmp_path)
    assert "GDPR, Art. 9): religion (religion or belief)" in text
    assert "#   sensitive: [religion]" in text
    assert "# religion: 'none' reads as a missing value; if it is an answer, set missing_values of its table without it" in text
    assert "religion" not in yaml.safe_load(text)["model"]["features"]


def test_check_says_so_until_it_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "people.csv").write_text(PEOPLE)
    text = first_settings.write(file_profile.look_at([tmp_path / "people.csv"]), tmp_path)
    told, file = [], tmp_path / "segmentation.yaml"
    monkeypatch.setenv("SEGMENTATION_SETTINGS", str(file))
    for further in ("", "privacy: {sensitive: [religion]}\n"):
        file.write_text(text + further)
        told.append("\n".join(inspect(load_settings(file)).lines))
    assert "religion (religion or belief). To keep them out of every model, set privacy.sensitive: [religion]" in told[0]
    assert "GDPR" not in told[1]
    assert all("religion: 'none' reads as a missing value" in one for one in told)
