"""The `report:` section of the settings: how the report writes numbers, money and dates."""

import difflib
from typing import Annotated

from pydantic import AfterValidator, Field

from segmentation_assets.settings.section import Section

PLAIN = "en-GB"
"""The language of figures if none is set; that of the sentences which tables hold."""


def _known_language(language: str) -> str:
    if language == PLAIN:  # most commands need not load what knows the others
        return language
    from babel.localedata import locale_identifiers

    known = [name.replace("_", "-") for name in locale_identifiers()]
    if language not in known:
        by_fold = {name.casefold(): name for name in known}
        close = difflib.get_close_matches(language.replace("_", "-").casefold(), sorted(by_fold), n=1, cutoff=0.6)
        nearest = f" (nearest: {by_fold[close[0]]})" if close else ""
        raise ValueError(f"Not a language{nearest}; use a tag such as en-GB, en-US, de-DE or fr-FR")
    return language


class ReportSettings(Section):
    """How the report writes figures; its wording is English."""

    language: Annotated[str, AfterValidator(_known_language)] = Field(
        PLAIN,
        description="Language and country by whose customs the report writes numbers, money, percentages and dates, such as en-US or "
        "de-DE (docs/report.md). The wording stays English. `segmentation report` writes a report again.",
    )
