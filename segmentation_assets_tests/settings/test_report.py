"""The language of the report's figures is one that exists."""

import pytest
from pydantic import ValidationError

from segmentation_assets.settings.report import ReportSettings


def test_a_language_that_is_known_is_taken():
    assert [ReportSettings(language=language).language for language in ("de-DE", "en-US", "fr")] == ["de-DE", "en-US", "fr"]


@pytest.mark.parametrize(("language", "near"), [("de_DE", "de-DE"), ("de-de", "de-DE"), ("english", "en")])
def test_another_is_refused_with_the_nearest(language, near):
    with pytest.raises(ValidationError, match=rf"Not a language.*(nearest: {near}|use a tag such as en-GB)"):
        ReportSettings(language=language)
