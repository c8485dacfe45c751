"""The date in a file's name, such as `customers_2024-03-01.csv`, which says as of when the file describes customers.

Belongs here: names. Which rows a snapshot has is in `customer_dates`.
"""

import datetime as dt
import re
from pathlib import PurePosixPath

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
CLOCK = r"(?:[T_ -]?(?:[01]\d|2[0-3])(?:[0-5]\d(?:[0-5]\d)?|[-:.h][0-5]\d(?:[-:.m][0-5]\d)?)(?![-_. ]?\d))?"
DIGITS = re.compile(rf"(?<!\d)((?:19|20)\d\d)[-_. ]?(0[1-9]|1[0-2])(?:[-_. ]?(0[1-9]|[12]\d|3[01]){CLOCK})?(?!\d)")
WORDS = re.compile(rf"(?<![a-z])({'|'.join(MONTHS)})[a-z]*[-_. ]?((?:19|20)\d\d)(?!\d)", re.IGNORECASE)
WORDS_AFTER = re.compile(rf"(?<!\d)((?:19|20)\d\d)[-_. ]?({'|'.join(MONTHS)})[a-z]*(?![a-z])", re.IGNORECASE)
PARTITION_DAY = re.compile(r"(?:year|month|day)=(\d+)/?")


def date_in_name(name: str) -> dt.date | None:
    """The as-of date in a file's name or, if that has none, in its folders; of several, the last. None if there is none.

    A month without a day stands for the whole month, which is known when it is over: on the first day of the next.

    >>> [str(date_in_name(name)) for name in ("crm-2024-03-01.csv", "20240229.csv.gz", "c_202402.csv", "Mar2024.xlsx", "a.csv")]
    ['2024-03-01', '2024-02-29', '2024-03-01', '2024-04-01', 'None']
    >>> str(date_in_name("year=2024/month=3/part-0.parquet"))
    '2024-04-01'
    """
    path = PurePosixPath(name)
    folders = PARTITION_DAY.sub(lambda part: f"{part[1].zfill(2)}-", f"{path.parent.as_posix()}/").rstrip("-/")
    return _last_day(path.name) or _last_day(folders)


def _last_day(text: str) -> dt.date | None:
    found = [(match.start(), match[1], int(match[2]), match[3]) for match in DIGITS.finditer(text)]
    found += [(match.start(), match[2], MONTHS.index(match[1].lower()) + 1, None) for match in WORDS.finditer(text)]
    found += [(match.start(), match[1], MONTHS.index(match[2].lower()) + 1, None) for match in WORDS_AFTER.finditer(text)]
    days = [day for _, year, month, in_month in sorted(found, key=lambda one: one[0]) if (day := _day(int(year), month, in_month))]
    return days[-1] if days else None


def _day(year: int, month: int, day: str | None) -> dt.date | None:
    if day is None:
        return dt.date(year + month // 12, month % 12 + 1, 1)
    try:
        return dt.date(year, month, int(day))
    except ValueError:  # such as 30 February
        return None
