"""Whether two columns have the same ids, from a small part of each: a table of customers often calls its own id just `id`.

The part is of those whose hashes are smallest, so that an id that is in both columns is in both parts or in neither (a bottom-k sketch:
Bar-Yossef et al., 2002).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ibis
import ibis.expr.types as ir

KEPT = 2_000  # ids; a share is known to about 3 points


@dataclass(frozen=True)
class Ids:
    """The smallest hashes of the different ids of a column, ascending, whether those are all, and whether one of them repeats."""

    smallest: tuple[int, ...]
    complete: bool
    repeat: bool

    @classmethod
    def of(cls, backend: Any, ids: ir.StringValue) -> "Ids":
        """Those of a column; missing ids do not count."""
        hashes = ids.name("id").as_table().filter(ibis._.id.notnull()).select(hash=ibis._.id.hash())
        counted = hashes.group_by("hash").agg(n=ibis._.count()).order_by("hash").limit(KEPT + 1)
        found = backend.to_pyarrow(counted).to_pydict()
        return cls(tuple(found["hash"][:KEPT]), len(found["hash"]) <= KEPT, max(found["n"], default=0) > 1)

    @classmethod
    def together(cls, parts: Sequence["Ids"]) -> "Ids":
        """Those of a column that is in several files."""
        known = min((part.smallest[-1] for part in parts if not part.complete), default=None)
        every = sorted(one for part in parts for one in part.smallest if known is None or one <= known)
        different = sorted(set(every))
        complete = known is None and len(different) <= KEPT
        return cls(tuple(different[:KEPT]), complete, any(part.repeat for part in parts) or len(different) < len(every))

    def share_in(self, other: "Ids") -> float:
        """The share of these ids that the other column has too; 0 if nothing can be compared."""
        known = self.smallest if other.complete else [one for one in self.smallest if one <= other.smallest[-1]]
        return len(set(known) & set(other.smallest)) / len(known) if known else 0.0
