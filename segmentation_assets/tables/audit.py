"""Check a table against its contract: types, missing values, bounds, allowed values and the key, counted by the engine."""

import ibis
import ibis.expr.types as ir

from segmentation_assets.tables.contract import Column, Contract


def violations(contract: Contract, rows: ir.Table, empty: bool = False) -> dict[str, int]:
    """The number of rows that break each rule of the contract, by a sentence with the key of one of them. Kept rules are left out.

    Rules: types, not null, bounds, allowed values, and the key's uniqueness (null counts as a value). Of rows known to be `empty`, only
    the types are looked at.
    """
    schema = rows.schema()
    columns = [column for column in contract.columns if column.name in schema or not column.needs]
    broken = {
        f"{c.name} is {schema[c.name]}, not {c.type}": 1
        for c in columns
        if schema[c.name] != ibis.dtype(c.type)(nullable=schema[c.name].nullable)
    }
    if empty:
        return broken
    rules = [(column, text, rule.fill_null(False)) for column in columns for text, rule in _rules(rows[column.name], column)]
    found = _counted(rows, rows.count(), _distinct(contract, rows), *(rule.cast("int64").sum() for _, _, rule in rules))
    total, distinct, *counts = found
    for (column, text, rule), count in zip(rules, counts, strict=True):
        if count:
            remedy = "" if any(column.remedy in told for told in broken) else column.remedy  # said once
            broken[_told(contract, text, remedy, rows.filter(rule))] = count
    if distinct < total:
        repeated = rows.group_by(contract.key).agg(n=ibis._.count()).filter(ibis._.n > 1)
        if keys := _counted(repeated, repeated.count())[0]:
            broken[f"key ({', '.join(contract.key)}) is not unique"] = keys
    return broken


def _distinct(contract: Contract, rows: ir.Table) -> ir.IntegerValue:
    """Number of distinct keys. If the key is one column, missing keys do not count, and the caller looks at each key."""
    columns = {name: rows[name] for name in contract.key}
    return (ibis.struct(columns) if len(columns) > 1 else columns[contract.key[0]]).nunique()


def _counted(rows: ir.Table, *counts: ir.Value) -> list[int]:
    """The counts, in one statement; sums over no rows are 0."""
    found = rows.agg(**{f"count {i}": count for i, count in enumerate(counts)}).to_pyarrow()
    return [column[0].as_py() or 0 for column in found.columns]


def _told(contract: Contract, text: str, remedy: str, offenders: ir.Table) -> str:
    """The rule with the key of the first row that breaks it, and what to do."""
    first = offenders.order_by(contract.key).limit(1).select(*contract.key).to_pyarrow().to_pylist()[0]
    example = ", ".join(f"{name} {value}" for name, value in first.items())
    return f"{text}, such as {example}" + (f": {remedy}" if remedy else "")


def _rules(values: ir.Column, column: Column) -> list[tuple[str, ir.BooleanValue]]:
    rules: list[tuple[str, ir.BooleanValue]] = []
    if not column.nullable:
        rules.append((f"{column.name} is missing", values.isnull()))
    if column.minimum is not None:
        rules.append((f"{column.name} is below {column.minimum:g}", values < column.minimum))
    if column.maximum is not None:
        rules.append((f"{column.name} is above {column.maximum:g}", values > column.maximum))
    if column.allowed is not None:
        rules.append((f"{column.name} is not one of {', '.join(column.allowed)}", values.notin(column.allowed)))
    return rules
