"""How far the reading of sources is: told to whoever looks, such as the command line; to nobody by default."""

import contextlib
import contextvars
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

Told = Callable[[str, int, int], None]
"""Called with what is being done, how many are done, and of how many."""

T = TypeVar("T")
_told: contextvars.ContextVar[Told | None] = contextvars.ContextVar("told", default=None)


@contextlib.contextmanager
def told_to(told: Told) -> Iterator[None]:
    """Report the progress of whatever is read within."""
    token = _told.set(told)
    try:
        yield
    finally:
        _told.reset(token)


def through(things: Sequence[T], what: str) -> Iterator[T]:
    """The things one after the other, each reported when the next is asked for."""
    told = _told.get()
    for done, thing in enumerate(things):
        if told:
            told(what, done, len(things))
        yield thing
    if told:
        told(what, len(things), len(things))
