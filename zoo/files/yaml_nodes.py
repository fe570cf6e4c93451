"""YAML of others as nodes, bounded: aliases may not make of a small file a large one, nor nest without end."""

from __future__ import annotations

from typing import Any

import yaml

LEAST = 10_000
"""Values that any file may stand for."""
DEEPEST = 50
"""Levels of nesting; a manifest has eight."""


class YamlLimitError(yaml.MarkedYAMLError):
    """A file stands for more than it may."""


def root_node(loader: Any, size: int) -> Any:
    """The single node of a loader's text, None where it is empty; the loader can construct values from it until disposed.

    Args:
        loader: one of PyYAML's, of the text.
        size: bytes or characters of the text. Without aliases every value has at least one; with them the file may stand
            for as many values as it has bytes (`LEAST` where it is shorter), each counted wherever it stands.

    Raises:
        yaml.YAMLError: it is no YAML.
        YamlLimitError: its aliases stand for too much or for themselves, or it is nested too deep.
    """
    try:
        root = loader.get_single_node()
        if root is not None:
            _measure(root, max(LEAST, size))
    except RecursionError as error:
        raise YamlLimitError(problem=_TOO_DEEP) from error
    return root


def compose(text: str | bytes) -> Any:
    """`root_node` of a text, for those who want no values constructed."""
    # The C parser is ten times as fast; PyYAML built without it has the same class in Python.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)
    try:
        return root_node(loader, len(text))
    finally:
        loader.dispose()


_TOO_DEEP = f"nested deeper than {DEEPEST} levels; write it flatter"


def _measure(root: Any, limit: int) -> None:
    """Walk every node once, adding up what those that stand in several places come to."""
    sizes: dict[int, tuple[int, int]] = {}
    """Identity of a node -> values within it, and levels."""
    open_nodes: set[int] = set()

    def measured(node: Any) -> tuple[int, int]:
        if id(node) in sizes:
            return sizes[id(node)]
        if id(node) in open_nodes:
            raise YamlLimitError(
                problem="an alias stands for a value that contains it", problem_mark=node.start_mark
            )
        open_nodes.add(id(node))
        size, depth = 1, 1
        for child in _children(node):
            within, levels = (1, 1) if isinstance(child, yaml.ScalarNode) else measured(child)
            size, depth = size + within, max(depth, 1 + levels)
        if size > limit:
            what = f"its aliases stand for more than {limit} values; write out what differs, and repeat less"
            raise YamlLimitError(problem=what, problem_mark=node.start_mark)
        if depth > DEEPEST:
            raise YamlLimitError(problem=_TOO_DEEP, problem_mark=node.start_mark)
        sizes[id(node)] = size, depth
        return size, depth

    measured(root)


def _children(node: Any) -> list[Any]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return node.value if isinstance(node, yaml.SequenceNode) else []
