"""Pseudonyms: customer ids as keyed hashes, made where source rows are stored, so that nothing behind that point holds an id.

A pseudonym is `p` and the first 24 hexadecimal digits of HMAC-SHA-256 (RFC 2104) of the cleaned id. The engine computes it from the
key's two pads, which are variables of its connection, so that no statement and no error message contains the key.

A data folder holds one kind of ids: those of one key, which MARK and its COPY name by a fingerprint, or, without them, ids as they are in
the source. There are two, so that a lost MARK does not make pseudonyms look like ids.
"""

import datetime
import glob
import hashlib
import hmac
import os
import re
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
from filelock import FileLock

from segmentation_assets.atomic import replacing
from segmentation_assets.core.customers.cleaning import RULES, identifier
from segmentation_assets.settings.cleaning import Cleaning
from segmentation_assets.settings.privacy import SHORTEST_KEY, PseudonymSettings
from segmentation_assets.sources.base import SourceError

MARK = "pseudonyms.txt"
COPY = f".{MARK}"
FINGERPRINT = re.compile("[0-9a-f]{16}")
DIGITS = 24  # 96 bits: two of 100 million customers share one with a probability of 6 in 10^14
BLOCK = 64  # bytes, of SHA-256
PADS = {"pseudonym_inner": 0x36, "pseudonym_outer": 0x5C}  # RFC 2104, section 2
NOT_AN_ID = b"\0fingerprint of the key"  # a cleaned id begins with no control character
_pseudonym = ibis.udf.scalar.builtin(lambda text: None, name="pseudonym", signature=((dt.string,), dt.string))  # the macro of `prepare`
WITHHELD = "withheld, because it may hold customer ids; it is in the source"
ASIDE = ".set-aside-"  # between the name of a data folder and the time
IN_HISTORY = ("lake", "models", "publishing")


@dataclass(frozen=True)
class Pseudonyms:
    """Makes pseudonyms.

    Args:
        key: the secret.
        rules: cleaning rules of ids: spellings that they make equal have one pseudonym.
    """

    key: bytes = field(repr=False)
    rules: Cleaning = RULES

    @classmethod
    def of(cls, settings: PseudonymSettings, rules: Cleaning) -> "Pseudonyms":
        """With the key in the environment.

        Raises:
            SourceError: it is missing or too short.
        """
        variable, key = settings.key_variable, os.environ.get(settings.key_variable, "")
        if not key:
            raise SourceError(
                f"privacy.pseudonyms: the environment variable {variable}, which holds the key, is not set, so nothing was read. Set it to "
                "the key in use, or, for a new data folder, to a new one: python -c 'import secrets; print(secrets.token_hex(32))'"
            )
        if len(key) < SHORTEST_KEY:
            raise SourceError(
                f"privacy.pseudonyms: the key in {variable} has {len(key)} characters, and could be guessed; at least {SHORTEST_KEY} are "
                "needed. Make one: python -c 'import secrets; print(secrets.token_hex(32))'"
            )
        return cls(key.encode(), rules)

    @property
    def fingerprint(self) -> str:
        """Names the key without telling it."""
        return hmac.digest(self.key, NOT_AN_ID, "sha256").hex()[:16]

    def prepare(self, backend: Any) -> None:
        """Let the connection of a DuckDB backend make pseudonyms."""
        block = (hashlib.sha256(self.key).digest() if len(self.key) > BLOCK else self.key).ljust(BLOCK, b"\0")
        for name, pad in PADS.items():
            backend.con.execute(f"SET VARIABLE {name} = ?::BLOB", [bytes(byte ^ pad for byte in block)])
        backend.con.execute(
            "CREATE MACRO pseudonym(id) AS 'p' || left(sha256(getvariable('pseudonym_outer') || "
            f"unhex(sha256(getvariable('pseudonym_inner') || encode(id)))), {DIGITS})"
        )

    def made_of(self, ids: ir.StringValue) -> ir.StringValue:
        """The pseudonym of each id, on a backend that was prepared; null where there is no id."""
        return _pseudonym(identifier(ids, self.rules)[0].nullif(""))

    def each(self, ids: Sequence[str]) -> list[str | None]:
        """The pseudonyms of a few ids, in their order."""
        backend = ibis.duckdb.connect(":memory:")
        try:
            self.prepare(backend)
            rows = ibis.memtable({"place": range(len(ids)), "id": ids}, schema={"place": "int64", "id": "string"})
            made: list[str | None] = backend.to_pyarrow(rows.order_by("place").select(made=self.made_of(rows.id)))["made"].to_pylist()
            return made
        finally:
            backend.disconnect()


def require(data_dir: Path, wanted: Pseudonyms | None) -> None:
    """Check that the folder's history was made with the wanted kind of ids; without history there is nothing to check.

    Raises:
        SourceError: it was made with ids as they are, with pseudonyms, or with those of another key.
    """
    found, now = marked(data_dir), wanted.fingerprint if wanted else ""
    if not has_others(data_dir, wanted):
        return
    anew = (
        "History is only made anew as a whole, so that no old id stays: run `segmentation run --all --anew`, which sets the folder aside, "
        "compare, and remove the old folder and its backups"
    )
    if not found:
        problem, back = "holds customer ids as they are, and privacy.pseudonyms is set", "remove privacy.pseudonyms"
    elif not now:
        problem, back = f"holds pseudonyms (of the key {found}), and privacy.pseudonyms is not set", "set privacy.pseudonyms again"
    else:
        problem, back = f"holds pseudonyms of the key {found}, and the key in the environment is {now}", "set the former key again"
    raise SourceError(f"{data_dir} {problem}. Nothing was read or written. To go on with this folder, {back}. {anew}.")


def has_others(data_dir: Path, wanted: Pseudonyms | None) -> bool:
    """Whether the folder's history was made with another kind of ids than the wanted one.

    Raises:
        SourceError: see `marked`.
    """
    return marked(data_dir) != (wanted.fingerprint if wanted else "") and _has_history(data_dir)


def set_aside(data_dir: Path, now: datetime.datetime) -> Path:
    """Rename the data folder, whole, to a name beside it with the time, and return that. Where it was, nothing is left.

    Raises:
        SourceError: it cannot be renamed, such as one on which a disk is mounted.
    """
    folder = data_dir.resolve()  # of a link, the folder that it leads to
    aside = folder.with_name(f"{folder.name}{ASIDE}{now:%Y%m%dT%H%M%S}")
    try:
        folder.rename(aside)
    except OSError as error:
        raise SourceError(
            f"{folder} cannot be renamed ({error.strerror}). Nothing was changed. If a disk is mounted there, set another data_dir and run "
            "`segmentation run --all`; then remove the old folder and its backups."
        ) from error
    if data_dir.is_symlink():
        folder.mkdir()
    return aside


def those_aside(data_dir: Path) -> list[Path]:
    """The folders that `set_aside` made of this one, oldest first."""
    folder = data_dir.resolve()
    return sorted(folder.parent.glob(f"{glob.escape(folder.name + ASIDE)}*"))


def claim(data_dir: Path, wanted: Pseudonyms | None) -> None:
    """Mark the folder as one of the wanted kind of ids, and remove stored source rows with other ids, such as those of an earlier `check`.

    Raises:
        SourceError: see `require`.
    """
    require(data_dir, wanted)
    now, files = wanted.fingerprint if wanted else "", (data_dir / MARK, data_dir / COPY)
    if marked(data_dir) == now and all(file.exists() == bool(now) for file in files):
        return
    data_dir.mkdir(parents=True, exist_ok=True)
    with FileLock(data_dir / ".pseudonyms.lock"):
        if marked(data_dir) != now:
            shutil.rmtree(data_dir / "intake", ignore_errors=True)
        for file in files:
            if not now:
                file.unlink(missing_ok=True)
                continue
            with replacing(file) as unfinished:
                unfinished.write_text(f"{now}\n", encoding="utf-8")


def marked(data_dir: Path) -> str:
    """The fingerprint of the key with which the folder's pseudonyms were made; empty if its ids are as in the source.

    Raises:
        SourceError: a file that should have it has something else.
    """
    found = set()
    for file in (data_dir / MARK, data_dir / COPY):
        with suppress(FileNotFoundError):
            text = file.read_text(encoding="utf-8", errors="replace").strip()
            if not FINGERPRINT.fullmatch(text):
                raise SourceError(
                    f"{file} is damaged: it should hold the fingerprint of the key of the pseudonyms. Nothing was read or written. "
                    f"Remove it if {MARK if file.name == COPY else COPY} is there; else restore it."
                )
            found.add(text)
    if len(found) > 1:
        raise SourceError(
            f"{data_dir / MARK} and {data_dir / COPY} name different keys. Nothing was read or written. Restore the folder from a backup."
        )
    return found.pop() if found else ""


def _has_history(data_dir: Path) -> bool:
    kept = (file for name in IN_HISTORY for file in (data_dir / name).glob("*") if file.name != "layout.json")
    return any(kept) or any(data_dir.glob("segmentation*.duckdb"))
