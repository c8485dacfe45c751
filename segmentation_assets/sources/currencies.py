"""Names of currencies in a cell: signs, ISO 4217 codes, and short names that shops write next to an amount.

And which column has the currency of an amount.
"""

from collections.abc import Iterable, Sequence

from segmentation_assets.sources.column_names import folded

_CODES = (
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CLP CNY COP CRC CUP "
    "CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HRK HTG HUF IDR ILS INR IQD IRR ISK JMD JOD "
    "JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO "
    "NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS "
    "TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VED VES VND VUV WST XAF XCD XOF XPF YER ZAR ZMW ZWL"
)
CODES = frozenset(_CODES.split())
_DOLLARS = "USD CAD AUD NZD HKD SGD TWD MXN ARS CLP COP BBD BMD BND BSD BZD FJD GYD JMD KYD LRD NAD SBD SRD TTD UYU XCD"
DOLLARS = tuple(_DOLLARS.split())
# Sign or short name in upper case -> the currencies that it may stand for. A sign that is not here stands for itself.
NAMES: dict[str, tuple[str, ...]] = {
    "$": DOLLARS,
    "US$": ("USD",), "$US": ("USD",), "C$": ("CAD",), "CA$": ("CAD",), "CAN$": ("CAD",), "A$": ("AUD",), "AU$": ("AUD",), "NZ$": ("NZD",),
    "HK$": ("HKD",), "S$": ("SGD",), "SG$": ("SGD",), "NT$": ("TWD",), "MX$": ("MXN",), "MEX$": ("MXN",), "R$": ("BRL",),
    "CLP$": ("CLP",), "COL$": ("COP",), "$U": ("UYU",), "B/.": ("PAB",), "S/": ("PEN",), "S/.": ("PEN",), "€": ("EUR",), "EURO": ("EUR",),
    "EUROS": ("EUR",), "£": ("GBP",), "GB£": ("GBP",), "¥": ("JPY", "CNY"), "￥": ("JPY", "CNY"), "JP¥": ("JPY",), "CN¥": ("CNY",),
    "RMB": ("CNY",), "元": ("CNY",), "円": ("JPY",), "₩": ("KRW",), "￦": ("KRW",), "원": ("KRW",), "₹": ("INR",),
    "RS": ("INR", "PKR", "LKR", "NPR", "MUR"), "RS.": ("INR", "PKR", "LKR", "NPR", "MUR"), "₨": ("INR", "PKR", "LKR", "NPR"),
    "KR": ("SEK", "NOK", "DKK", "ISK"), "KR.": ("SEK", "NOK", "DKK", "ISK"), ":-": ("SEK",), "ZŁ": ("PLN",), "ZL": ("PLN",),
    "KČ": ("CZK",), "KC": ("CZK",), "FT": ("HUF",), "FT.": ("HUF",), "LEI": ("RON", "MDL"), "LEU": ("RON", "MDL"), "ЛВ": ("BGN",),
    "ЛВ.": ("BGN",), "₽": ("RUB",), "РУБ": ("RUB",), "РУБ.": ("RUB",), "\u0420.": ("RUB",), "₴": ("UAH",), "ГРН": ("UAH",),
    "ГРН.": ("UAH",), "₺": ("TRY",), "TL": ("TRY",), "₪": ("ILS",), "₫": ("VND",), "Đ": ("VND",), "฿": ("THB",), "₱": ("PHP",),
    "₦": ("NGN",), "₡": ("CRC",), "₵": ("GHS",), "₸": ("KZT",), "RP": ("IDR",), "RP.": ("IDR",), "RM": ("MYR",), "FR": ("CHF",),
    "FR.": ("CHF",), "SFR": ("CHF",), "SFR.": ("CHF",), "DH": ("AED", "MAD"), "DHS": ("AED", "MAD"), "KSH": ("KES",), "R": ("ZAR",),
    "ДИН": ("RSD",),
}  # fmt: skip
HUNDREDTHS = "¢￠₥₰"
"""Signs of subunits such as the cent: 99¢ is neither 99 nor, if ¢ is short for a currency, 0.99."""
TOKENS = tuple(sorted(CODES | NAMES.keys()))
"""Texts allowed next to a number, in upper case, in addition to any other currency sign of Unicode."""


def one_currency(tokens: Iterable[str]) -> bool:
    """Whether all signs and codes in a column may mean the same currency, like $ and USD."""
    meant = [{token} if token in CODES else set(NAMES.get(token, (token,))) for token in tokens]
    return not meant or bool(set.intersection(*meant))


COLUMNS = frozenset(
    {"currency", "ccy", "curr", "wahrung", "waehrung", "devise", "monnaie", "moneda", "divisa", "valuta", "munt", "munteenheid"}
)
WITHIN = ("currency", "wahrung", "waehrung")  # which also count within a longer word
PLAIN = frozenset({"code", "iso", "key", "id"})  # words beside them that do not say which currency is meant
RATES = frozenset({"rate", "fx", "exchange", "conversion", "kurs", "wechselkurs", "taux", "tasa", "tasso", "koers"})
CONVERTED = frozenset({"converted", "base", *(code.lower() for code in CODES)})  # words of an amount that is in one currency


def column_of(columns: Sequence[str], amounts: Sequence[str]) -> str | None:
    """The column whose name says that it has the currency of the amount; None if there is none, or the amount is converted.

    Of several, the one that shares the amount's words is taken, such as `Converted Currency` for `Converted Amount`, else one without
    other words.

    Args:
        amounts: the columns from which the amount is computed.
    """
    words = {word for amount in amounts for word in folded(amount)[1]}
    likely = [(_likeness(column, words), place, column) for place, column in enumerate(columns) if _says_currency(column)]
    if not likely or words & RATES or any(_says_currency(amount) for amount in amounts):
        return None
    likeness, _, column = min(likely)
    return None if words & CONVERTED and likeness else column


def _likeness(column: str, amount: set[str]) -> int:
    """0 if it shares the amount's words, 1 if it has no words besides the currency, 2 if it has others."""
    others = {word for word in folded(column)[1] - COLUMNS - PLAIN if not any(within in word for within in WITHIN)}
    return 1 if not others else 0 if others <= amount else 2


def _says_currency(column: str) -> bool:
    bare, words = folded(column)
    return bool(words & COLUMNS or any(within in bare for within in WITHIN)) and not words & RATES
