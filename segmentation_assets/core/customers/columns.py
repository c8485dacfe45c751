"""A snapshot's customers, of which a column is read when somebody asks for it.

Belongs here: what stands in for a DataFrame of customers where that would not fit. A million customers with 42 features take 350 MB, one
feature 8 MB. Where the columns come from is not known here (see `store.lake`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar, overload

import numpy as np
import pandas as pd
from numpy.typing import NDArray

AT_ONCE = 100_000  # customers who are computed together where that goes by rows


@dataclass(frozen=True, eq=False)
class CustomerColumns:
    """The rows and columns of a table with `size` rows, in the words of pandas, and with pandas' values: row i has the index i.

    Attributes:
        types: the type of each column, as pandas would have it if nothing was missing.
        read: the values of a column; whoever asks for one keeps it.

    >>> people = CustomerColumns.of(pd.DataFrame({"customer_id": ["a", "b"], "spend": [1.0, 2.0]}))
    >>> people[people["spend"] > 1]["customer_id"].tolist()
    ['b']
    """

    types: Mapping[str, Any]
    read: Callable[[str], pd.Series]
    size: int

    @classmethod
    def of(cls, frame: pd.DataFrame) -> "CustomerColumns":
        """The columns of a table that is in memory."""
        whole = frame.reset_index(drop=True)
        return cls(dict(whole.dtypes), whole.__getitem__, len(whole))

    @property
    def columns(self) -> pd.Index:
        return pd.Index(list(self.types), dtype=object)

    @property
    def index(self) -> pd.RangeIndex:
        return pd.RangeIndex(self.size)

    @property
    def empty(self) -> bool:
        return self.size == 0

    def __len__(self) -> int:
        return self.size

    def __contains__(self, name: object) -> bool:
        return name in self.types

    @overload
    def __getitem__(self, asked: str) -> pd.Series: ...
    @overload
    def __getitem__(self, asked: list[str]) -> pd.DataFrame: ...
    @overload
    def __getitem__(self, asked: pd.Series) -> "CustomerColumns": ...
    def __getitem__(self, asked: str | list[str] | pd.Series) -> "pd.Series | pd.DataFrame | CustomerColumns":
        """A column; some columns as a DataFrame; or, by a mask, some rows."""
        if isinstance(asked, str):
            return self.read(asked)
        if isinstance(asked, pd.Series):
            return self._where(asked.to_numpy(dtype=bool))
        return pd.DataFrame({name: self.read(name) for name in asked}, index=self.index)

    def only(self, *names: str) -> "CustomerColumns":
        """Only these columns."""
        return CustomerColumns({name: self.types[name] for name in names}, self.read, self.size)

    def select_dtypes(self, kind: str) -> "CustomerColumns":
        """Only the columns of a kind, such as `number`."""
        kinds = pd.DataFrame({name: pd.Series(dtype=of) for name, of in self.types.items()}).select_dtypes(kind)
        return CustomerColumns(dict(kinds.dtypes), self.read, self.size)

    def assign(self, **columns: pd.Series) -> "CustomerColumns":
        """With further columns, or others in their place, which are in memory."""
        own = {name: values.reset_index(drop=True) for name, values in columns.items()}
        types = {**self.types, **{name: values.dtype for name, values in own.items()}}
        return CustomerColumns(types, lambda name: own[name] if name in own else self.read(name), self.size)

    def joined(self, others: "CustomerColumns") -> "CustomerColumns":
        """With the columns of another table that has the same rows."""
        types = {**self.types, **others.types}
        return CustomerColumns(types, lambda name: (others if name in others else self).read(name), self.size)

    def at(self, rows: NDArray[np.int64]) -> "CustomerColumns":
        """These rows, by position."""
        return CustomerColumns(self.types, lambda name: self.read(name).take(rows).reset_index(drop=True), len(rows))

    def take(self, rows: NDArray[np.int64]) -> pd.DataFrame:
        """The same in memory, with the positions as index."""
        return pd.DataFrame({name: self.read(name).take(rows) for name in self.types}, index=rows)

    def sample(self, number: int, random_state: int) -> pd.DataFrame:
        """The rows that pandas would draw."""
        return self.take(pd.Series(np.arange(self.size)).sample(number, random_state=random_state).to_numpy())

    def _where(self, mask: NDArray[np.bool_]) -> "CustomerColumns":
        if mask.all():
            return self
        return CustomerColumns(self.types, lambda name: self.read(name)[mask].reset_index(drop=True), int(mask.sum()))


Customers: TypeAlias = pd.DataFrame | CustomerColumns
"""Customers as functions take them that ask for a column at a time."""
Rows = TypeVar("Rows", pd.DataFrame, CustomerColumns, Customers)
"""The same, of functions that give back what they are given."""
