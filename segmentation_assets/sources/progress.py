"""Progress of reading sources, reported to a callback, such as the command line's; by default to none."""

import contextlib
import contextvars
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

Told = Callable[[str, int, int], None]
"""Called with the current task, the number done, and the total."""

T = TypeVar("T")
_told: contextvars.ContextVar[Told | None] = contextvars.ContextVar("told", default=None)


@contextlib.contextmanager
def told_to(told: Told) -> Iterator[None]:
    """Report progress to the callback until the block ends."""
    token = _told.set(told)
    try:
        yield
    finally:
        _told.reset(token)


def through(things: Sequence[T], what: str) -> Iterator[T]:
    """Yield the things one by one, reporting progress before each and at the end."""
    told = _told.get()
    for done, thing in enumerate(things):
        if told:
            told(what, done, len(things))
        yield thing
    if told:
        told(what, len(things), len(things))
