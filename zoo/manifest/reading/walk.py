"""Composed YAML and record types walked side by side: values, or faults with their lines."""

from __future__ import annotations

import math
import re
from functools import lru_cache
from types import UnionType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Union, get_args, get_origin

import msgspec
import yaml

from ...files.urls import shown_text
from ..faults import Fault
from ..names import HINTED, unknown
from ..records import VERSION, ManifestFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

BAD: Any = object()
"""Stands for a value that did not convert; its fault is on record."""


class ClassRules(NamedTuple):
    """What a protocol says of classes and channels."""

    flip_pairs: tuple[tuple[int, int], ...] = ()
    void: tuple[int, ...] = ()
    score_channels: int | None = None


class Found(NamedTuple):
    """The part of a record that converted, for the checks that types cannot express."""

    path: str
    node: yaml.MappingNode
    values: dict[str, Any]
    nodes: dict[str, yaml.Node]


def nodes_of(mapping: Any) -> dict[str, Any]:
    """Key text -> value of a mapping node."""
    return {key.value: value for key, value in mapping.value}


def place_from(node: yaml.Node, other: yaml.Node) -> str:
    """Where another node stands, in words after `first`: its line, and its file where that is another one."""
    line = f"on line {other.start_mark.line + 1}"
    return line if node.start_mark.name == other.start_mark.name else f"{line} of {other.start_mark.name}"


class Reader:
    """Walks composed YAML and record types side by side; collects faults instead of stopping at the first."""

    def __init__(
        self, loader: Any, checks: Mapping[type[msgspec.Struct], Callable[[Reader, Found], None]]
    ) -> None:
        self.loader = loader
        self.checks = checks
        self.faults: list[Fault] = []
        self.keys: dict[str, dict[str, None]] = {"documents": {}, "datasets": {}, "protocols": {}}
        """Path of a mapping -> its keys, faulty values' included, so that one fault does not cause others."""
        self.class_counts: dict[str, int] = {}
        """Path of a data set -> its number of classes."""
        self.class_rules: dict[str, ClassRules] = {}
        """Path of a protocol -> what it says of classes, which are its rows' data sets'."""
        self.taken: dict[str, tuple[str, yaml.Node]] = {}
        """Checkpoint id or alias -> path and node of the entry that has it."""
        self.places: dict[int, str] = {}
        """Identity of a node -> its path in its file, where rows were made whole of several places."""

    def fault(self, path: str, node: yaml.Node, message: str) -> Any:
        """Put a fault on record; returns the value that stands for it."""
        mark = node.start_mark
        self.faults.append(Fault(path=path, line=mark.line + 1, message=message, file=mark.name))
        return BAD

    def wrong_version(self, node: yaml.Node) -> None:
        """Put on record that a file is of another version: its keys would be a list of faults that are none."""
        message = f"version {written(node)} is not supported, this segbench reads version {VERSION}"
        self.fault("version", node, message)

    def place(self, node: yaml.Node, path: str) -> str:
        """The path of a node in its file, where that is another than the one in the whole record."""
        return self.places.get(id(node), path)

    def hints(self) -> bool:
        """Whether a fault may still tell the nearest known name: looking for it takes longer than reading does."""
        return len(self.faults) < HINTED

    def read_file(self, root: yaml.Node | None) -> ManifestFile:
        """The whole file from its root node, None for a file without content."""
        if root is None:
            self.faults.append(
                Fault(path="", line=None, message=f"the file is empty; it begins with version: {VERSION}")
            )
            return BAD
        if not isinstance(root, yaml.MappingNode):
            expected = ", ".join(_fields(ManifestFile))
            return self.fault(
                "", root, f"expected a mapping with {expected} at the top level, found {written(root)}"
            )
        return self.read(root, ManifestFile, "")

    def read(self, node: yaml.Node, kind: Any, path: str) -> Any:
        """A node as a value of type `kind`, or `BAD` with its faults on record."""
        kind, optional = _without_none(kind)
        if optional and node.tag == "tag:yaml.org,2002:null":
            return None
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            return self._record(node, kind, path)
        if get_origin(kind) is dict:
            return self._mapping(node, kind, path)
        if _is_walked_sequence(kind):
            return self._sequence(node, get_args(kind)[0], path)
        return self._leaf(node, kind, path)

    def _record(self, node: yaml.Node, kind: type[msgspec.Struct], path: str) -> Any:
        fields = _fields(kind)
        if not isinstance(node, yaml.MappingNode):
            return self.fault(
                path, node, f"expected a mapping with {', '.join(fields)}, found {written(node)}"
            )
        before = len(self.faults)
        nodes = self._known_entries(node, fields, path)
        read = {
            name: self.read(nodes[name], field.type, f"{path}.{name}" if path else name)
            for name, field in fields.items()
            if name in nodes
        }
        for name, field in fields.items():
            if field.required and name not in nodes:
                self.fault(path, node, f"missing key {name!r}")
        if check := self.checks.get(kind):
            values = {name: value for name, value in read.items() if value is not BAD}
            check(self, Found(path, node, values, nodes))
        return kind(**read) if len(self.faults) == before else BAD

    def _known_entries(
        self, node: yaml.MappingNode, fields: dict[str, Any], path: str
    ) -> dict[str, yaml.Node]:
        entries = self.entries(node, path)
        for name, (key, _) in entries.items():
            if name not in fields:
                self.fault(path, key, unknown("key", name, fields))
        return {name: value for name, (_, value) in entries.items() if name in fields}

    def entries(self, node: yaml.MappingNode, path: str) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        """Key text -> key and value; the first of equal keys counts."""
        entries: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self.fault(path, key, f"expected text as a key, found {written(key)}")
            elif key.value in entries:
                first = place_from(key, entries[key.value][0])
                self.fault(path, key, f"duplicate key {key.value!r}, first {first}")
            else:
                entries[key.value] = (key, value)
        return entries

    def _mapping(self, node: yaml.Node, kind: Any, path: str) -> Any:
        if not isinstance(node, yaml.MappingNode):
            self.keys.pop(path, None)  # what refers to it is not to blame
            return self.fault(path, node, f"expected a mapping, found {written(node)}")
        entries = self.entries(node, path)
        self.keys[path] = dict.fromkeys(entries)
        key_kind, value_kind = get_args(kind)
        found: dict[Any, Any] = {}
        for name, (key, value) in entries.items():
            read = self._leaf(key, key_kind, path)
            if read in found and read is not BAD:
                self.fault(path, key, f"{name} is the same key as an earlier one")
            found[read] = self.read(value, value_kind, f"{path}.{name}")
        return found

    def _sequence(self, node: yaml.Node, kind: Any, path: str) -> Any:
        if not isinstance(node, yaml.SequenceNode):
            return self.fault(path, node, f"expected a list, found {written(node)}")
        return tuple(
            self.read(item, kind, self.place(item, f"{path}[{index}]"))
            for index, item in enumerate(node.value)
        )

    def _leaf(self, node: yaml.Node, kind: Any, path: str) -> Any:
        if kind is str and node.tag == _STR and isinstance(node, yaml.ScalarNode):
            return node.value
        strange = next(_other_to_yaml(node, kind), None)
        if strange is not None:
            return self.fault(path, *strange)
        try:
            value = self.loader.construct_object(node, deep=True)
        except ValueError as error:  # PyYAML lets `2021-13-45` through to `datetime.date`
            return self.fault(path, node, f"not a value: {written(node):.60} ({error})")
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            message, _, place = str(error).partition(" - at `$")
            if place:  # a part of the value is meant, not the value
                part, part_kind = _part(node, kind, place)
                return self.fault(path + place.rstrip("`"), part, _mismatch(part, part_kind, message))
            return self.fault(path, node, _mismatch(node, kind, message))


_INT, _FLOAT, _BOOL, _STR = (f"tag:yaml.org,2002:{name}" for name in ("int", "float", "bool", "str"))
PLAIN_NUMBER = re.compile(r"[-+]?(0|[1-9][0-9]*)(\.[0-9]*)?([eE][-+]?[0-9]+)?|[-+]?\.[0-9]+")


def _other_to_yaml(node: yaml.Node, kind: Any) -> Iterator[tuple[yaml.Node, str]]:
    """Scalars that YAML 1.1 takes for something else than a reader does, with what to write instead.

    Leading zeros make octal numbers of digits, colons sixtieths; `1e3` is a text, and `on` is true.
    """
    if not isinstance(node, yaml.ScalarNode):
        for child in _children(node):
            yield from _other_to_yaml(child, kind)
        return
    text = node.value
    if node.tag in (_INT, _FLOAT) and not PLAIN_NUMBER.fullmatch(text):
        meant = (
            "no number that can be used"
            if text.lower().endswith((".inf", ".nan"))
            else "another number to YAML"
        )
        yield node, f"{text} is {meant}; write plain decimal digits, or put it in quotes where it is a text"
    elif node.tag == _FLOAT and not math.isfinite(float(text)):
        yield node, f"{text} is too large for a number"
    elif bool not in get_args(kind) or str not in get_args(kind):
        return  # one kind of value is expected, and msgspec holds to it
    elif node.tag == _BOOL and text.lower() not in ("true", "false"):
        yield (
            node,
            f"{text} is a truth value to YAML; write true or false, or put it in quotes where it is a text",
        )
    elif node.tag == _STR and not node.style and PLAIN_NUMBER.fullmatch(text):
        yield (
            node,
            f"{text} is a text to YAML; write the number's digits, or put it in quotes where it is a text",
        )


def _children(node: yaml.Node) -> list[yaml.Node]:
    """The nodes of a list, or keys and values of a mapping."""
    if isinstance(node, yaml.MappingNode):
        return [one for pair in node.value for one in pair]
    return list(node.value)


def _part(node: yaml.Node, kind: Any, place: str) -> tuple[yaml.Node, Any]:
    """The node, and its type, that msgspec means by `[1][2]` within a list."""
    for index in map(int, re.findall(r"\[(\d+)\]", place)):
        kinds = get_args(kind)
        node, kind = node.value[index], kinds[0] if kinds[-1] is Ellipsis else kinds[index]
    return node, kind


@lru_cache
def _fields(kind: type[msgspec.Struct]) -> dict[str, msgspec.structs.FieldInfo]:
    return {field.name: field for field in msgspec.structs.fields(kind)}


@lru_cache
def _without_none(kind: Any) -> tuple[Any, bool]:
    """A type without `| None`, and whether it had that; other unions stay whole."""
    choices = get_args(kind) if get_origin(kind) in (Union, UnionType) else ()
    others = [choice for choice in choices if choice is not type(None)]
    return (others[0], True) if len(choices) == 2 and len(others) == 1 else (kind, False)


@lru_cache
def _is_walked_sequence(kind: Any) -> bool:
    """True for lists of records and of texts with a pattern; plain arrays convert in one piece, which is faster."""
    if get_origin(kind) is not tuple or get_args(kind)[-1] is not Ellipsis:
        return False
    item = get_args(kind)[0]
    return (isinstance(item, type) and issubclass(item, msgspec.Struct)) or _expected(item) is not None


def _expected(kind: Any) -> str | None:
    """What a type with a pattern wants, in words."""
    extras = (meta.extra for meta in getattr(kind, "__metadata__", ()) if isinstance(meta, msgspec.Meta))
    return next((extra["expected"] for extra in extras if extra), None)


def _mismatch(node: yaml.Node, kind: Any, message: str) -> str:
    """Why a node is refused where a value of type `kind` belongs."""
    if expected := _expected(kind):
        return f"expected {expected}, found {written(node)}"
    if get_origin(kind) is Literal and isinstance(node, yaml.ScalarNode):
        return unknown("value", node.value, [str(choice) for choice in get_args(kind)])
    if kind is str and isinstance(node, yaml.ScalarNode) and node.value:
        return f"expected text, found {written(node)}: put it in quotes"
    return f"{_plain(message).partition(', got')[0]}, found {written(node)}"


def _plain(message: str) -> str:
    """One of msgspec's messages in the manner of ours."""
    return message[:1].lower() + message[1:].replace("`", "")


def written(node: yaml.Node) -> str:
    """What stands in the file, so that `78.70` keeps its decimals and "78.70" its quotes."""
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    if isinstance(node, yaml.SequenceNode):
        return f"a list of {len(node.value)}"
    quoted = isinstance(node, yaml.ScalarNode) and node.style
    return shown_text(repr(node.value) if quoted else node.value or "nothing")
