"""Numbers in sentences."""


def counted(number: int, noun: str, plural: str = "") -> str:
    """A number with its noun; `plural` where it is not made with an s.

    >>> counted(1, "segment"), counted(1000, "segment"), counted(2, "row is", "rows are")
    ('1 segment', '1,000 segments', '2 rows are')
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
