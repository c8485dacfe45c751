"""Characters that a reader does not see, made visible: controls that a terminal obeys, and marks that change the direction of text."""

import re

# Control characters but for line feed and tab, line separators, marks that change the direction of text, and what no encoding can write
UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    r"""The text with its control characters as escapes.

    >>> visible("a\x1b[2Jb")
    'a\\x1b[2Jb'
    """
    return UNPRINTABLE.sub(lambda found: escaped(found[0]), text)


def escaped(text: str) -> str:
    r"""The text with everything but ASCII as escapes.

    >>> escaped("\u202e")
    '\\u202e'
    """
    return text.encode("unicode_escape").decode()
