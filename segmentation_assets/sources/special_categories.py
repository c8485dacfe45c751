"""Columns that by their name hold special categories of personal data (GDPR, Art. 9), and cells that are an answer but read as missing.

Belongs here: the guess, for the comments of `init` and the lines of `check`. What keeps them out of models is `privacy.sensitive`.
"""

from collections.abc import Iterable, Mapping

from segmentation_assets.sources.column_names import folded

WITHIN = 6  # letters from which on a word also counts within a longer one, such as religionszugehoerigkeit
# Category -> words of its column's name in English, German, French, Spanish, Italian and Dutch.
WORDS = {
    "religion or belief": "religion religious religione religie konfession confession confesion confessione glaube geloof "
    "faith belief denomination kirchensteuer",
    "health": "health healthcare medical medication disease diagnosis disability allergy allergies pregnancy "
    "pregnant illness patient gesundheit krankheit diagnose behinderung allergie schwangerschaft "
    "schwanger sante maladie handicap salud enfermedad discapacidad salute malattia disabilita "
    "gezondheid ziekte",
    "racial or ethnic origin": "ethnicity ethnic race racial ethnie ethnizitaet ethnizitat etnia etnicidad etniciteit origine "
    "migration migrationshintergrund",
    "sex life or sexual orientation": "sexual sexuality sexualorientation orientation sexualitaet sexualitat orientierung sexualite "
    "sexualidad orientacion orientamento geaardheid",
    "political opinions": "politics political politicalparty partei parteizugehoerigkeit politik politique partito partido "
    "politica politiek",
    "trade union membership": "tradeunion unionmember unionmembership gewerkschaft syndicat sindicato sindacato vakbond",
    "genetic or biometric data": "genetic genome dna biometric fingerprint genetisch biometrisch",
}
ANSWERS = ("none", "nil", "not applicable")
"""Words for missing values that may be answers, such as no religion."""


def of_column(name: str) -> str | None:
    """The category that a column's name suggests; None if it suggests none.

    >>> of_column("Religion"), of_column("region")
    ('religion or belief', None)
    """
    bare, words = folded(name)
    return next((category for category, hints in WORDS.items() if any(_says(hint, bare, words) for hint in hints.split())), None)


def found(columns: Iterable[str]) -> dict[str, str]:
    """The columns whose name suggests a category, in their order."""
    return {name: category for name in columns if (category := of_column(name))}


def answers(columns: Mapping[str, Iterable[str | None]], missing: Iterable[str]) -> dict[str, str]:
    """Columns of a sample of text cells in which a word that reads as missing may be an answer, and that word: other cells are filled too.

    Args:
        missing: the words that read as missing, in lower case.
    """
    read, told = {word for word in ANSWERS if word in set(missing)}, dict[str, str]()
    for name, cells in columns.items():
        texts = {text.strip().casefold() for text in cells if text and text.strip()}
        if (word := next((one for one in ANSWERS if one in texts & read), None)) and texts - read:
            told[name] = word
    return told


def _says(hint: str, bare: str, words: set[str]) -> bool:
    return hint in words or hint == bare or (len(hint) >= WITHIN and hint in bare)
