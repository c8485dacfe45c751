"""Numbers in sentences."""


def counted(number: int, noun: str, plural: str = "") -> str:
    """`1 segment`, `2 segments`, `1,000 segments`; `plural` where it is not made with an s."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
