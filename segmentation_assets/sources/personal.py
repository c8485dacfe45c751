"""Columns that look personal: names, e-mail addresses, phones, postal addresses, IBANs and birth dates, by name and by content.

Belongs here: the guess, from a sample. `init` leaves such columns out of the settings, and `check` reports those that are kept.
A column counts by its name only if its content agrees, so that `Product name`, an order called `#1001` or a store's id does not. By content
alone only what has an unmistakable form counts; a column of names under another title is not recognised.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import ibis.expr.types as ir

from segmentation_assets.sources.column_names import folded

SAMPLE = 1_000  # rows
MOST, FEW = 0.8, 0.2  # shares of the filled cells in them
LONGEST = 100  # characters of a cell: what looks personal is shorter
FEWEST_DIGITS = 7  # of a phone number
WITHIN = 6  # letters from which on a word also counts within a longer one, such as geburtsdatum
BIRTH = "birth dates"
# Kind -> words of its column's name in English, German, French, Spanish, Italian and Dutch.
WORDS = {
    "e-mail addresses": "email mail emailaddress courriel correo",
    "phone numbers": "phone telephone mobile cell fax tel telefon handy mobil mobilnummer portable telefono movil cellulare telefoon gsm",
    "IBANs": "iban kontonummer bankaccount",
    BIRTH: "birth birthdate birthday dob birthyear geburt geburtsdatum geburtstag geburtsjahr naissance nacimiento nascita "
    "geboorte geboortedatum",
    "postal addresses": "address address1 address2 street streetaddress adresse anschrift strasse hausnummer rue calle direccion domicilio "
    "indirizzo adres straat",
    "names": "firstname lastname surname givenname familyname fullname maidenname customername name vorname nachname familienname "
    "kundenname prenom nom nomdefamille nombre apellido apellidos nome cognome naam voornaam achternaam klantnaam",
}
NAMED_ALONE = {"name", "nom", "nombre", "nome", "naam"}  # may name something else: then few different ones
# Words that say that it is something else, whatever other word is in the name.
OTHERWISE = (
    "product produkt produit producto prodotto item lineitem article artikel articulo articolo sku store shop filiale winkel tienda "
    "campaign kampagne campagne category kategorie categorie brand marke marque marca vendor supplier company firma file event page plan "
    "type typ id code status opt optin consent count department color colour size currency language list segment group host ip method "
    "carrier device template day time"
)
EMAIL = r"^[^@\s]+@[^@\s]+\.[^@\s.]{2,}$"
PHONE = r"^[+(0-9][0-9 ()./-]{5,18}[0-9]$"
PHONE_SURELY = r"^(\+|\(0|00[1-9])[0-9 ()./-]{6,18}[0-9]$"
IBAN = r"^[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}$"
NAME = r"^[^\W\d_][^\d_@#/]{1,60}$"
YEAR = r"(^|\D)(19|20)\d\d(\D|$)"
LETTER = r"[^\W\d_]"


@dataclass(frozen=True)
class Personal:
    """What a column seems to hold, and why it is thought so."""

    kind: str
    why: str

    def __str__(self) -> str:
        return f"{self.kind}, by {self.why}"


def sampled(rows: ir.Table, names: Sequence[str]) -> ir.Table:
    """Some rows of the columns in which to look."""
    return rows.select(**{name: rows[name].cast("string").left(LONGEST) for name in names}).limit(SAMPLE)


def found(columns: dict[str, list[str | None]]) -> dict[str, Personal]:
    """The columns of a sample that look personal, in their order."""
    filled = {name: [text.strip() for text in cells if text and text.strip()] for name, cells in columns.items()}
    looks = {name: of_column(name, cells) for name, cells in filled.items() if cells}
    return {name: look for name, look in looks.items() if look}


def of_column(name: str, cells: list[str]) -> Personal | None:
    """What a column seems to hold, from its name and its filled cells, at least one; None if it does not look personal.

    >>> str(of_column("Contact", ["ann@example.org", "bo@example.org"]))
    'e-mail addresses, by content'
    >>> of_column("Product name", ["Green tea", "Black tea"])
    """
    for kind, is_surely in SURELY.items():
        if _share(is_surely, cells) >= MOST:
            return Personal(kind, "content")
    named = _named(name)
    if named is None or _share(AGREES[named], cells) < MOST:
        return None
    if named == "names" and folded(name)[0] in NAMED_ALONE and len(set(cells)) < FEW * len(cells):
        return None
    return Personal(named, "name and content")


def _named(column: str) -> str | None:
    """The kind that a column's name suggests."""
    bare, words = folded(column)
    if words & set(OTHERWISE.split()):
        return None
    return next((kind for kind, hints in WORDS.items() if any(_says(hint, bare, words) for hint in hints.split())), None)


def _says(hint: str, bare: str, words: set[str]) -> bool:
    return hint in words or hint == bare or (len(hint) >= WITHIN and hint in bare)


def _share(test: Callable[[str], bool], cells: list[str]) -> float:
    return sum(map(test, cells)) / len(cells)


def _matches(pattern: str) -> Callable[[str], bool]:
    compiled = re.compile(pattern)
    return lambda text: compiled.search(text) is not None


def is_iban(text: str) -> bool:
    """Whether it is an IBAN with the right check digits (ISO 13616: modulo 97).

    >>> is_iban("GB82 WEST 1234 5698 7654 32"), is_iban("GB82 WEST 1234 5698 7654 33")
    (True, False)
    """
    bare = text.replace(" ", "").upper()
    if not re.fullmatch(IBAN, bare):
        return False
    return int("".join(str(int(sign, 36)) for sign in bare[4:] + bare[:4])) % 97 == 1


def are_years(cells: Sequence[str | None]) -> bool:
    """Whether cells hold years without a month and a day, which tell an age and no more.

    >>> are_years(["1970", "1981.0", None]), are_years(["1970-04-02"])
    (True, False)
    """
    return all(re.fullmatch(r"\d{4}(\.0*)?", cell.strip()) for cell in cells if cell)


def _is_phone(text: str) -> bool:
    return re.search(PHONE, text) is not None and sum(map(str.isdigit, text)) >= FEWEST_DIGITS


SURELY = {"e-mail addresses": _matches(EMAIL), "IBANs": is_iban, "phone numbers": _matches(PHONE_SURELY)}
AGREES = {
    "e-mail addresses": _matches("@"),
    "phone numbers": _is_phone,
    "IBANs": _matches("[0-9]{6}"),
    BIRTH: _matches(YEAR),
    "postal addresses": _matches(LETTER),
    "names": _matches(NAME),
}
