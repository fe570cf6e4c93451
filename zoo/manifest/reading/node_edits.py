"""Composed YAML put together anew: mappings on top of others, keys more or less; each part keeps the place it has."""

from __future__ import annotations

from typing import Any

import yaml

STR, INT, NULL, MAP, SEQ = (f"tag:yaml.org,2002:{name}" for name in ("str", "int", "null", "map", "seq"))


def merged(base: Any, own: Any) -> Any:
    """One mapping on top of another: mappings within are merged too, null takes a default away, all else replaces."""
    if base is None or own is None:
        return own if base is None else base
    if not isinstance(base, yaml.MappingNode) or not isinstance(own, yaml.MappingNode):
        return own
    pairs: dict[Any, tuple[Any, Any]] = {key.value: (key, value) for key, value in base.value}
    seen: set[Any] = set()
    for key, value in own.value:
        name = key.value if isinstance(key, yaml.ScalarNode) else id(key)
        if name in seen:
            pairs[id(key)] = (key, value)  # the same key again: the reader tells it
        elif name in pairs and value.tag == NULL:
            del pairs[name]
        else:
            pairs[name] = (key, merged(pairs[name][1], value) if name in pairs else value)
        seen.add(name)
    return yaml.MappingNode(MAP, list(pairs.values()), own.start_mark, own.end_mark)


def scalar(tag: str, text: str, at: Any) -> Any:
    """A single value that stands where another node does."""
    return yaml.ScalarNode(tag, text, at.start_mark, at.end_mark)


def text_node(text: str, at: Any) -> Any:
    """A text that stands where another node does."""
    return scalar(STR, text, at)


def entries_of(mapping: Any) -> dict[str, tuple[Any, Any]]:
    """Key text -> key and value, the first of equal keys."""
    found: dict[str, tuple[Any, Any]] = {}
    for key, value in () if mapping is None else mapping.value:
        if isinstance(key, yaml.ScalarNode):
            found.setdefault(key.value, (key, value))
    return found


def items_of(entries: dict[str, tuple[Any, Any]], name: str) -> list[Any]:
    """The items of a key's list; none where it is no list."""
    node = entries[name][1] if name in entries else None
    return node.value if isinstance(node, yaml.SequenceNode) else []


def value_of(mapping: Any, name: str) -> Any:
    """A key's value in a mapping; None where there is none."""
    if not isinstance(mapping, yaml.MappingNode):
        return None
    return next((value for key, value in mapping.value if key.value == name), None)


def with_key(mapping: Any, name: str, value: Any, *, replace: bool = False) -> Any:
    """A mapping with one more key, where it has not that yet or it is to be replaced."""
    if not isinstance(mapping, yaml.MappingNode):
        return mapping
    if not replace and value_of(mapping, name) is not None:
        return mapping
    pairs = [pair for pair in mapping.value if pair[0].value != name]
    return yaml.MappingNode(
        MAP, [*pairs, (text_node(name, value), value)], mapping.start_mark, mapping.end_mark
    )


def without_key(mapping: Any, name: str) -> tuple[Any, Any]:
    """A mapping without a key, and that key's value; the first, where there are several."""
    value = value_of(mapping, name)
    if value is None:
        return mapping, None
    left = [pair for pair in mapping.value if pair[1] is not value]
    return yaml.MappingNode(MAP, left, mapping.start_mark, mapping.end_mark), value


def mapping_of(name: str, value: Any) -> Any:
    """A mapping of one key."""
    return yaml.MappingNode(MAP, [(text_node(name, value), value)], value.start_mark, value.end_mark)


def is_absence(figure: Any) -> bool:
    """Whether a claim says that nothing is printed."""
    printed = value_of(figure, "printed")
    return printed is not None and printed.tag == NULL


def size_of(node: Any) -> int:
    """Values of a record; nothing in it can contain itself, and texts of aliases are counted wherever they stand."""
    if isinstance(node, yaml.ScalarNode):
        return 1
    if isinstance(node, yaml.MappingNode):
        return 1 + sum(size_of(value) for _, value in node.value)
    return 1 + sum(map(size_of, node.value))
