"""Suppression lists: files of customers who are never contacted.

Belongs here: reading the files. An unreadable one is an error, never an empty list.
"""

from collections.abc import Sequence
from pathlib import Path

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from segmentation_assets.core.customers.cleaning import identifier
from segmentation_assets.settings.cleaning import Cleaning
from segmentation_assets.sources.base import SourceError
from segmentation_assets.sources.pseudonyms import Pseudonyms

COLUMN = "customer_id"


def suppressed(files: Sequence[Path], rules: Cleaning, pseudonyms: Pseudonyms | None = None) -> ir.Table | None:
    """customer_id of everyone on one of the lists, as the tables have it; None without lists.

    Args:
        rules: cleaning rules, so that an id is read as the source's are.
        pseudonyms: if given, lists may hold ids of the source or pseudonyms.

    Raises:
        SourceError: a file is missing, or has no readable column customer_id.
    """
    if not files:
        return None
    ids = pa.concat_tables([_ids(file) for file in files])
    listed = ibis.memtable(ids.select([COLUMN]))
    cleaned = listed.select(customer_id=identifier(listed[COLUMN], rules)[0].nullif("")).filter(ibis._.customer_id.notnull())
    if pseudonyms is None:
        return cleaned
    made = pa.table({COLUMN: pa.array(pseudonyms.each(ids[COLUMN].to_pylist()), pa.string())})
    return cleaned.union(ibis.memtable(made))


def entries(file: Path) -> int:
    """How many customers a list names.

    Raises:
        SourceError: the file is missing, or has no readable column customer_id.
    """
    named = pc.unique(_ids(file)[COLUMN])
    return int(pc.sum(pc.not_equal(named, "")).as_py() or 0)


def _ids(file: Path) -> pa.Table:
    if not file.is_file():
        raise SourceError(
            f"audiences.suppression: {file} is missing, so it is not known who may not be contacted. Restore it, or remove it from the "
            "settings; an empty list is a file with the line customer_id."
        )
    convert = csv.ConvertOptions(column_types={COLUMN: pa.string()}, include_columns=[COLUMN], strings_can_be_null=False)
    try:
        return csv.read_csv(file, parse_options=csv.ParseOptions(newlines_in_values=True), convert_options=convert)
    except (pa.ArrowInvalid, pa.ArrowKeyError, OSError, KeyError) as error:
        said = str(error).splitlines()[0]
        raise SourceError(
            f"audiences.suppression: {file} cannot be read ({said}). It must be a CSV file in UTF-8 with a column {COLUMN}."
        ) from error
