"""The text of a JSON file, cut into its values from front to back, so that memory stays bounded whatever its size."""

import json
from collections.abc import Iterator
from pathlib import Path

from segmentation_assets.sources import text_files
from segmentation_assets.sources.base import SourceError

LARGEST_VALUE = 1 << 25  # characters
LONGEST_FIRST_LINE = 1 << 20  # characters that are looked at
DEEPEST = 6  # objects within objects that are looked into
BLANK, NUMERIC = " \t\n\r", "0123456789.eE+-"
PLAIN = json.JSONDecoder(parse_float=str, parse_int=str, strict=False)  # only where a value ends is asked of it

Keys = tuple[str, ...]


def is_whole(text: str) -> bool:
    """Whether the text is one value of JSON."""
    try:
        return PLAIN.raw_decode(text)[1] == len(text)
    except (ValueError, RecursionError):
        return False


class JsonText:
    """A reader of a JSON file's text, in parts and from front to back."""

    def __init__(self, file: Path, encoding: str) -> None:
        self.file, self.parts = file, text_files.chunks_of(file, encoding)
        self.text, self.at, self.ended = "", 0, False

    def more(self) -> bool:
        """Double the text held; return whether there was more."""
        wanted, new = max(len(self.text) - self.at, 1), list[str]()
        while wanted > 0 and not self.ended:
            part = next(self.parts, None)
            self.ended = part is None
            new.append(part or "")
            wanted -= len(new[-1])
        self.text, self.at = self.text[self.at :] + "".join(new), 0
        return any(new)

    def peek(self) -> str:
        """The next non-blank character; empty at the end."""
        while True:
            while self.at < len(self.text) and self.text[self.at] in BLANK:
                self.at += 1
            if self.at < len(self.text):
                return self.text[self.at]
            if not self.more():
                return ""

    def first_line(self) -> tuple[str, bool]:
        """The line on which the next value begins, up to a limit, and whether something follows it."""
        while "\n" not in self.text[self.at :] and len(self.text) - self.at < LONGEST_FIRST_LINE and self.more():
            pass
        line, end, rest = self.text[self.at :].partition("\n")
        while end and not rest.strip() and self.more():
            line, end, rest = self.text[self.at :].partition("\n")
        return line.strip(), bool(rest.strip())

    def take(self, wanted: str) -> str:
        """Skip the next character, which must be one of those wanted."""
        found = self.peek()
        if not found or found not in wanted:
            raise self.broken(f"{found or 'its end'!r} stands where {' or '.join(wanted)} should")
        self.at += 1
        return found

    def value(self) -> str:
        """The text of the next value."""
        self.peek()
        while True:
            try:
                end = PLAIN.raw_decode(self.text, self.at)[1]
                may_go_on = end == len(self.text) or self.text[end] in NUMERIC  # a number that is cut between two parts
                if not may_go_on or not self.more():
                    break
            except RecursionError:
                raise self.broken("a value is nested too deeply") from None
            except ValueError as error:
                if len(self.text) - self.at > LARGEST_VALUE or not self.more():
                    raise self.broken(str(error).partition(":")[0]) from None
        text, self.at = self.text[self.at : end], end
        return text

    def broken(self, why: str) -> SourceError:
        near = repr(" ".join(self.text[self.at : self.at + 40].split()))
        return SourceError(f"{self.file}: is not JSON, or ends early: {why}, near {near}. Write it again, or set format.", near)

    def members(self) -> Iterator[str]:
        """Yield the key of each member of the next object; the caller must read its value before the next key."""
        self.take("{")
        if self.peek() == "}":
            self.at += 1
            return
        while True:
            key = str(json.loads(self.value(), strict=False))
            self.take(":")
            yield key
            if self.take(",}") == "}":
                return

    def items(self) -> Iterator[str]:
        """Yield the text of each value of the next list."""
        self.take("[")
        if self.peek() == "]":
            self.at += 1
            return
        while True:
            yield self.value()
            if self.take(",]") == "]":
                return

    def lists_within(self, above: Keys = ()) -> dict[Keys, int]:
        """The lists in the next object and the number of objects in each: lists of objects and empty lists, but no others."""
        found: dict[Keys, int] = {}
        for key in self.members():
            path = (*above, key)
            if self.peek() == "{" and len(path) < DEEPEST:
                found |= self.lists_within(path)
            elif self.peek() == "[":
                objects = [text.startswith("{") for text in self.items()]
                found |= {path: len(objects)} if all(objects) else {}
            else:
                self.value()
        return found

    def elements(self, path: Keys = ()) -> Iterator[str]:
        """Yield the text of each value of the list at a path; an empty path means the whole file."""
        if not path:
            yield from self.items()
            if self.peek():
                raise self.broken("something follows the list")
            return
        for key in self.members():
            if key != path[0]:
                self.value()
            elif path[1:]:
                yield from self.elements(path[1:])
                return
            else:
                yield from self.items()
                return

    def one_after_the_other(self) -> Iterator[str]:
        while self.peek():
            yield self.value()
