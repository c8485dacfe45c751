"""Lines of the settings file that still say TODO: where they are, and what to write there."""

from collections.abc import Iterator

import yaml

TODO = "TODO"
NEEDED = {
    "customer_id": "whose order it is: the customer's id, or an e-mail address",
    "ordered_at": "when it was bought",
    "amount": "what was paid: a column, or quantity * price",
}
"""The columns that orders must have, in words for first-time users."""


def unfilled(text: str) -> list[str]:
    """A sentence for each line whose value is TODO."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    return [_said(key, node) for key, node in _scalars(root, "") if node.value.strip() == TODO] if root else []


def _scalars(node: yaml.Node, key: str) -> Iterator[tuple[str, yaml.ScalarNode]]:
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            yield from _scalars(value, str(name.value))
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _scalars(value, key)
    elif isinstance(node, yaml.ScalarNode):
        yield key, node


def _said(key: str, node: yaml.ScalarNode) -> str:
    what = f" the column that says {NEEDED[key]}" if key in NEEDED else " what belongs there"
    line = node.start_mark.line + 1
    return f"line {line}, {key}, still says {TODO}. Write{what}. The comment below it names the file's columns."
