"""Writing texts as YAML scalars, lists and comments, whatever characters they contain."""

import re
from collections.abc import Sequence

from segmentation_assets.visible import escaped


def listed(texts: Sequence[str]) -> str:
    """One text, or a list of several."""
    written = [f'"{text}"' for text in texts]
    return written[0] if len(written) == 1 else f"[{', '.join(written)}]"


def shown(text: str) -> str:
    """The text in a form that is safe in a comment: in one line, with unprintable characters as escapes."""
    return "".join(c if c.isprintable() else escaped(c) for c in text)


def quoted(text: str) -> str:
    """The text as a YAML scalar, whatever it contains."""
    if not text.isprintable():  # YAML takes control characters only as escapes
        escaped = "".join(f"\\U{ord(c):08x}" if not c.isprintable() or c in '"\\' else c for c in text)
        return f'"{escaped}"'
    return (
        text
        if re.fullmatch(r"[A-Za-z_./][A-Za-z0-9_./*-]*( \* [A-Za-z_][A-Za-z0-9_]*)?", text)
        and text.lower() not in {"yes", "no", "true", "false", "null", "on", "off", "y", "n"}
        else "'" + text.replace("'", "''") + "'"
    )
