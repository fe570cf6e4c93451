"""Configurations written in Python, read and never run: assignments of plain values, and the files they build on.

What mmsegmentation 0.30.0 and 1.2.2 write is literals, `dict(...)`, names of above, sums, ranges and list
comprehensions. A file's own values go on top of its `_base_` files': a mapping into the mapping of the same name, but for
one with `_delete_: True`, which stands for itself (mmengine 0.10.7, `config/config.py`).
"""

from __future__ import annotations

import ast
import operator
from typing import TYPE_CHECKING, Any

from ....evaluate.regular_files import read_text
from ..records import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MAX_CONFIG_BYTES = 2**20
"""Of one file; the longest of both publishers has a fiftieth of it."""
MOST_BASES = 64
"""Files that one configuration may build on, by all ways together."""
MOST_VALUES = 100_000
"""Values of one file once its comprehensions are written out."""
BASES = "_base_"
DELETE = "_delete_"

_OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "int": int,
    "float": float,
    "len": len,
    "sum": sum,
    "list": list,
    "tuple": tuple,
    "max": max,
    "min": min,
}


class _Unreadable(Exception):  # noqa: N818  (becomes a SourceError where the file is known)
    def __init__(self, node: ast.AST, message: str) -> None:
        super().__init__(message)
        self.line = getattr(node, "lineno", 1)


def read_config(path: Path) -> dict[str, Any]:
    """A configuration's values, its bases' included.

    Values that no plain reading gives (a call of something, an attribute) are left out, with all that is made of them.

    Raises:
        SourceError: a file cannot be read, is no Python, or builds on itself.
    """
    return _with_bases(path, [])


def _with_bases(path: Path, above: list[Path]) -> dict[str, Any]:
    whole = path.resolve()
    if whole in above:
        raise SourceError(f"{path}: builds on itself ({BASES})")
    if len(above) >= MOST_BASES:
        raise SourceError(f"{path}: builds on more than {MOST_BASES} files one above the other")
    own = read_values(path)
    listed = own.pop(BASES, [])
    bases: dict[str, Any] = {}
    for name in [listed] if isinstance(listed, str) else listed:
        bases |= _with_bases(path.parent / name, [*above, whole])
    return on_top(bases, own)


def on_top(below: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """A configuration's mapping over that of its base."""
    found = dict(below)
    for key, value in own.items():
        if not isinstance(value, dict):
            found[key] = value
            continue
        base = found.get(key)
        merges = isinstance(base, dict) and not value.get(DELETE, False)
        fields = {name: one for name, one in value.items() if name != DELETE}
        found[key] = on_top(base, fields) if merges and isinstance(base, dict) else on_top({}, fields)
    return found


def read_values(path: Path) -> dict[str, Any]:
    """The values that one file assigns to names at its top, later ones over earlier ones.

    Raises:
        SourceError: it cannot be read, or is no Python.
    """
    try:
        text = read_text(path)
    except OSError as error:
        raise SourceError(f"{path}: cannot read the configuration: {error.strerror or error}") from error
    if len(text) > MAX_CONFIG_BYTES:
        raise SourceError(f"{path}: more than {MAX_CONFIG_BYTES} bytes, which is no configuration")
    try:
        tree = ast.parse(text)
        return _Values().of_file(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None) or 1
        raise SourceError(f"{path}:{line}: cannot be read as Python: {error}") from error
    except _Unreadable as error:
        raise SourceError(f"{path}:{error.line}: {error}") from error


class _Values:
    """The names of one file, and what expressions are worth with them."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {}
        self.left = MOST_VALUES

    def of_file(self, tree: ast.Module) -> dict[str, Any]:
        for statement in tree.body:
            if not isinstance(statement, ast.Assign):
                continue
            try:
                value = self.of(statement.value)
            except _Unreadable:
                if self.left < 0:
                    raise
                continue
            self.names |= {name.id: value for name in statement.targets if isinstance(name, ast.Name)}
        return self.names

    def of(self, node: ast.expr) -> Any:
        """An expression's value.

        Raises:
            _Unreadable: it is none that can be had without running code.
        """
        self._count(node)
        read = getattr(self, f"_{type(node).__name__.casefold()}", None)
        if read is None:
            raise _Unreadable(node, f"no plain value: {ast.unparse(node):.60}")
        try:
            return read(node)
        except (TypeError, ValueError, KeyError, IndexError, ArithmeticError) as error:
            raise _Unreadable(node, f"{ast.unparse(node):.60}: {error}") from error

    def _count(self, node: ast.AST, values: int = 1) -> None:
        self.left -= values
        if self.left < 0:
            raise _Unreadable(node, f"more than {MOST_VALUES} values, which is no configuration")

    def _constant(self, node: ast.Constant) -> Any:
        return node.value

    def _name(self, node: ast.Name) -> Any:
        if node.id not in self.names:
            raise _Unreadable(node, f"{node.id} is not assigned above")
        return self.names[node.id]

    def _list(self, node: ast.List | ast.Tuple) -> list[Any]:
        return [self.of(one) for one in node.elts]

    _tuple = _list

    def _dict(self, node: ast.Dict) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for key, value in zip(node.keys, node.values, strict=True):
            found |= self.of(value) if key is None else {self.of(key): self.of(value)}
        return found

    def _unaryop(self, node: ast.UnaryOp) -> Any:
        value = self.of(node.operand)
        if isinstance(node.op, ast.USub):
            return -value
        return not value if isinstance(node.op, ast.Not) else value

    def _binop(self, node: ast.BinOp) -> Any:
        apply = _OPERATORS.get(type(node.op))
        if apply is None:
            raise _Unreadable(node, f"no plain value: {ast.unparse(node):.60}")
        left, right = self.of(node.left), self.of(node.right)
        if isinstance(node.op, ast.Mult) and not all(isinstance(one, (int, float)) for one in (left, right)):
            sized, times = (left, right) if isinstance(right, int) else (right, left)
            self._count(node, len(sized) * times)
        return apply(left, right)

    def _listcomp(self, node: ast.ListComp) -> list[Any]:
        (loop,) = node.generators
        if loop.ifs or not isinstance(loop.target, ast.Name):
            raise _Unreadable(node, f"no plain value: {ast.unparse(node):.60}")
        return list(self._each(node.elt, loop.target.id, self.of(loop.iter)))

    def _each(self, item: ast.expr, name: str, values: Any) -> Iterator[Any]:
        outer = dict(self.names)
        for value in values:
            self.names[name] = value
            yield self.of(item)
        self.names = outer

    def _call(self, node: ast.Call) -> Any:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        given = [self.of(one) for one in node.args]
        if name == "dict":
            found: dict[str, Any] = dict(*given)
            for keyword in node.keywords:
                value = self.of(keyword.value)
                found |= value if keyword.arg is None else {keyword.arg: value}
            return found
        if name == "range" and not node.keywords:
            self._count(node, len(range(*given)))
            return list(range(*given))
        if name not in _FUNCTIONS or node.keywords:
            raise _Unreadable(node, f"no plain value: {ast.unparse(node):.60}")
        return _FUNCTIONS[name](*given)
