"""Every setting as a table, from the models that validate them, for the command line and docs/settings.md."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from jinja2 import Environment, PackageLoader, StrictUndefined
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from segmentation_assets.settings.loading import Settings

WORDS = {
    dt.date: "date",
    Path: "path",
    str: "text",
    bool: "true, false",
    int: "number",
    float: "number",
    tuple: "list",
    list: "list",
    dict: "mapping",
}


def markdown() -> str:
    """The table in Markdown, keys and values as code."""
    pages = Environment(loader=PackageLoader("segmentation_assets.settings"), undefined=StrictUndefined, trim_blocks=True)  # noqa: S701 - no HTML
    return (
        pages.get_template("reference.md").render(rows=dict.fromkeys(_rows(Settings, ""))).strip()
    )  # what kinds of a section share is said once


def _rows(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, str, str, str]]:
    """Key, default, allowed values and description of each setting, in the order of the file."""
    for name, field in model.model_fields.items():
        sections = [a for a in (field.annotation, *get_args(field.annotation)) if isinstance(a, type) and issubclass(a, BaseModel)]
        repeated = getattr(field.annotation, "__origin__", None) in {dict, list, tuple}
        if sections and not repeated:
            for section in dict.fromkeys(sections):
                yield from _rows(section, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", _default(field, repeated and bool(sections)), _allowed(field), field.description or ""


def _default(field: FieldInfo, long: bool) -> str:
    default = field.get_default(call_default_factory=True)
    if default is PydanticUndefined or default is None or long:
        return ""
    if isinstance(default, dict) and default:
        return "shipped"
    if isinstance(default, tuple | list):
        return f"[{', '.join(map(str, default))}]"
    return str(default).lower() if isinstance(default, bool) else str(default)


def _allowed(field: FieldInfo) -> str:
    annotation: Any = field.annotation
    choices = [str(a) for a in get_args(annotation) if isinstance(a, str)]
    if choices:
        return ", ".join(choices)
    bounds = {}
    for rule in field.metadata:
        for sign in ("ge", "gt", "le", "lt"):
            if getattr(rule, sign, None) is not None:
                bounds[sign] = getattr(rule, sign)
    if {"ge", "le"} <= set(bounds):
        return f"{bounds['ge']:,} to {bounds['le']:,}"
    words = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    if bounds:
        return ", ".join(f"{words[sign]} {value:,}" for sign, value in bounds.items())
    origin = getattr(annotation, "__origin__", None)
    kinds = [origin, *(a for a in (annotation, *get_args(annotation)) if isinstance(a, type))]
    return next((WORDS[kind] for kind in kinds if kind in WORDS), "")
