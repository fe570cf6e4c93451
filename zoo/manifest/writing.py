"""Records as YAML that a manifest accepts: a checkpoint in full form, and rows of a table with what they share."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec
import yaml

from ..files.urls import shown_url
from .reading.walk import PLAIN_NUMBER
from .records import VERSION, CheckpointEntry

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .records import Checkpoint, Manifest

LINE = 120
"""Characters of a line, addresses apart."""
_FOLD = 112
"""Characters behind which a long text goes on in the next line, with its word."""
_ADDRESS = 10
"""Characters that an address counts: nobody reads through it, and what stands with one takes the lines that it needs."""


def yaml_text(content: Any) -> str:
    """Plain values as YAML: what is short stands on one line, and numbers that are texts in quotes."""
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, width=_FOLD, allow_unicode=True)


class _Dumper(yaml.SafeDumper):
    """PyYAML's, with lists set in below their keys, no aliases, and on one line what fits there."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: FBT001, FBT002
        del indentless
        super().increase_indent(flow, indentless=False)

    def ignore_aliases(self, data: Any) -> bool:
        del data
        return True

    def serialize(self, node: Any) -> None:
        _lay_out(node, 0, 0)
        super().serialize(node)


def _lay_out(node: Any, indent: int, column: int) -> None:
    """Set on one line what is short enough there, plain lists and what has an address; checkpoints keep lines of their own.

    Args:
        node: a list or mapping, with everything within.
        indent: characters before its items, where each has a line.
        column: characters before it, where it stands on one line.
    """
    if isinstance(node, yaml.ScalarNode):
        return
    is_list = isinstance(node, yaml.SequenceNode)
    parts = node.value if is_list else [part for pair in node.value for part in pair]
    scalars = all(isinstance(part, yaml.ScalarNode) for part in parts)
    linked = any(_is_address(part) for part in parts)
    fits = column + _length(node) <= LINE and not _holds_rows(node)
    node.flow_style = fits or (scalars and (is_list or linked))
    if node.flow_style:
        for part in parts:
            _lay_out(part, 0, -LINE)
    elif is_list:
        for part in parts:
            _lay_out(part, indent + 2, indent + 2)
    else:
        for key, value in node.value:
            _lay_out(value, indent + 2, indent + _length(key) + 2)


def _holds_rows(node: Any) -> bool:
    """Whether a checkpoint or several stand within."""
    if isinstance(node, yaml.ScalarNode):
        return False
    if isinstance(node, yaml.SequenceNode):
        return any(map(_holds_rows, node.value))
    return any(key.value == "id" or _holds_rows(value) for key, value in node.value)


def _is_address(node: Any) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.value.startswith(("http://", "https://"))


def _length(node: Any) -> int:
    """Characters of a node on one line."""
    if _is_address(node):
        return _ADDRESS
    if isinstance(node, yaml.ScalarNode):
        quoted = node.style or re.search(r"[\[\]{},] |[,:#'] |^['\"\[{*&!|>%@`]|: | #", node.value)
        return len(node.value) + (2 if quoted else 0)
    if isinstance(node, yaml.SequenceNode):
        return sum(_length(part) + 2 for part in node.value) or 2
    return sum(_length(key) + _length(value) + 4 for key, value in node.value) or 2


def _text_node(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    """A text; in quotes where it could be taken for something else."""
    looks_like_a_number = PLAIN_NUMBER.fullmatch(text) or re.fullmatch(r"[-+0-9.:_eE]+", text)
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"' if looks_like_a_number else None)


_Dumper.add_representer(str, _text_node)


def record_fields(entry: CheckpointEntry) -> dict[str, Any]:
    """An entry's fields as plain values, without those that are as they would be anyway."""
    own = CheckpointEntry(**{name: getattr(entry, name) for name in CheckpointEntry.__struct_fields__})
    return plain(own)


def plain(record: Any) -> Any:
    """A record as plain values, without fields that have their default; what nobody prints stays, as null."""
    if isinstance(record, msgspec.Struct):
        return {
            field.name: plain(value)
            for field in msgspec.structs.fields(record)
            if (value := getattr(record, field.name)) != _default(field)
        }
    if isinstance(record, dict):
        return {key: plain(value) for key, value in record.items()}
    return [plain(item) for item in record] if isinstance(record, (list, tuple)) else record


def _default(field: msgspec.structs.FieldInfo) -> Any:
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return field.default


def manifest_text(checkpoints: Iterable[Checkpoint], manifest: Manifest) -> str:
    """A manifest of these checkpoints alone, in full form: with the documents, data sets and protocols they name."""
    rows = list(checkpoints)
    claims = [claim for row in rows for claim in row.claims]
    cited = {claim.source.document for claim in claims if claim.source}
    cited |= {listing.document for row in rows for listing in row.listed_in}
    tables = {
        "documents": (manifest.documents, cited),
        "datasets": (manifest.datasets, {row.dataset for row in rows}),
        "protocols": (manifest.protocols, {claim.protocol for claim in claims}),
    }
    content: dict[str, Any] = {"version": VERSION}
    for key, (records, used) in tables.items():
        found = {name: plain(one) for name, one in records.items() if name in used}
        for fields in found.values():
            fields.pop("name", None)  # the key says it
        content[key] = found
    return yaml_text(content | {"checkpoints": [record_fields(_without_secrets(row)) for row in rows]})


def _without_secrets(row: Checkpoint) -> Checkpoint:
    """A row whose URLs may be passed on."""
    shown = {name: tuple(map(shown_url, getattr(row, name))) for name in ("log_urls", "config_urls")}
    weights = msgspec.structs.replace(row.weights, urls=tuple(map(shown_url, row.weights.urls)))
    return msgspec.structs.replace(row, weights=weights, **shown)
