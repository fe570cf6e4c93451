"""sssegmentation's configurations, read as text: a file's settings without running it.

Each file of `ssseg/configs/METHOD/` copies the settings of a network, of a data set and of loading (`_base_`), then assigns,
updates or removes some of them. Statements in quotes below them (`# --multi-scale with flipping`) are another way to test
the same weights: nothing runs them, and the second numbers of the publisher's tables rest on them.
"""

from __future__ import annotations

import ast
import copy
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from ....evaluate.regular_files import read_document
from ..records import SourceError

if TYPE_CHECKING:
    from pathlib import Path

Settings = dict[str, Any]
_ROOT = "SEGMENTOR_CFG"
_KEYWORD_RECORDS = {"SegmentorConfig", "DatasetConfig", "DataloaderConfig", "dict"}
"""What settings are made with, by name and value."""
_REGISTRIES = tuple(f"REGISTERED_{kind}_CONFIGS" for kind in ("SEGMENTOR", "DATASET", "DATALOADER"))


class Unknown:
    """What would have to be run to be known: a path, a learning rate. It is told where somebody asks for it."""

    def __init__(self, expression: str) -> None:
        self.expression = expression

    def __repr__(self) -> str:
        return f"<not computed: {self.expression}>"


class Config(NamedTuple):
    """What one file says."""

    settings: Settings
    """With everything from its bases; tuples are lists."""
    quoted: dict[str, Settings]
    """The words above statements in quotes (`multi-scale with flipping`) -> the settings with those in force."""


def read_bases(folder: Path) -> Settings:
    """The settings that the files share, by name.

    Args:
        folder: `ssseg/configs/_base_`.

    Raises:
        SourceError: one is written in a way that is not read.
    """
    found: Settings = {}
    for path in sorted(folder.glob("*/*.py")):
        if path.name != "__init__.py" and path.stem != f"default_{path.parent.name.removesuffix('s')}":
            _follow(_parsed(path), found, path)
    return found


def read_config(path: Path, bases: Settings) -> Config:
    """The settings of a file of `ssseg/configs/METHOD/`; some files would change their bases, which stay as they are.

    Raises:
        SourceError: it is no such file, or is written in a way that is not read.
    """
    tree = _parsed(path)
    names: Settings = dict.fromkeys(_REGISTRIES, copy.deepcopy(bases))
    _follow(tree, names, path)
    if _ROOT not in names:
        raise SourceError(f"{path}: expected settings named {_ROOT}, found none")
    lines = read_document(path).decode("utf-8", "replace").splitlines()
    quoted = {}
    for node in tree.body:
        text = node.value.value if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) else ""
        if isinstance(text, str) and _ROOT in text:
            again = copy.deepcopy(names)
            _follow(_parsed(path, text), again, path)
            quoted[_words(lines[node.lineno - 2])] = again[_ROOT]
    return Config(names[_ROOT], quoted)


def _parsed(path: Path, text: str | None = None) -> ast.Module:
    try:
        return ast.parse(read_document(path) if text is None else text)
    except (SyntaxError, ValueError, RecursionError) as error:
        line = getattr(error, "lineno", None) or 1
        raise SourceError(f"{path}:{line}: expected Python, found {error}") from error
    except OSError as error:
        raise SourceError(f"{path}: cannot read it: {error.strerror or error}") from error


def _words(comment: str) -> str:
    """Of `# --multi scale`: `multi-scale`."""
    return re.sub(r"\b(single|multi) scale", r"\1-scale", comment.strip("# -"))


def _follow(tree: ast.Module, names: Settings, path: Path) -> None:
    """Do to `names` what the statements say, from above."""
    for node in tree.body:
        try:
            _follow_statement(node, names)
        except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:  # noqa: PERF203  (it ends the loop)
            raise SourceError(
                f"{path}:{node.lineno}: expected settings that are copied, assigned, updated or removed, found "
                f"{ast.unparse(node):.80}"
            ) from error


def _follow_statement(node: ast.stmt, names: Settings) -> None:
    if isinstance(node, ast.Assign):
        (target,) = node.targets if len(node.targets) == 1 else (None,)
        value = _value(node.value, names)
        if isinstance(target, ast.Name):
            names[target.id] = value
        elif isinstance(target, ast.Subscript):
            _value(target.value, names)[_value(target.slice, names)] = value
        else:
            raise TypeError(target)
    elif isinstance(node, ast.Expr):
        _value(node.value, names)
    elif not isinstance(node, (ast.Import, ast.ImportFrom)) and not _is_of_optimizer(node):
        raise TypeError(node)


def _is_of_optimizer(node: ast.stmt) -> bool:
    """Whether a loop only names layers for the optimizer, which no test of a network asks for."""
    inner = [one for one in ast.walk(node) if isinstance(one, ast.stmt)]
    changes = [one for one in inner if not isinstance(one, ast.For)]
    return isinstance(node, ast.For) and all("['params_rules']" in ast.unparse(one) for one in changes)


def _value(node: ast.expr, names: Settings) -> Any:
    """What an expression says; `Unknown` where it would have to be computed."""
    match node:
        case ast.Name():
            found = names[node.id]
        case ast.Dict():
            keys = [_value(key, names) if key else Unknown("**") for key in node.keys]
            found = dict(zip(keys, (_value(value, names) for value in node.values), strict=True))
        case ast.List() | ast.Tuple():
            found = [_value(one, names) for one in node.elts]
        case ast.Subscript():
            owner = _value(node.value, names)
            found = owner if isinstance(owner, Unknown) else owner[_value(node.slice, names)]
        case ast.Call():
            found = _result(node, names)
        case ast.Constant() | ast.UnaryOp(operand=ast.Constant()):
            found = ast.literal_eval(node)
        case _:
            found = Unknown(ast.unparse(node))
    return found


def _result(node: ast.Call, names: Settings) -> Any:
    """Of a call that copies, updates or makes settings; `Unknown` of any other."""
    match node.func:
        case ast.Name("sum"):
            return sum(_value(node.args[0], names))
        case ast.Name(name) if name in _KEYWORD_RECORDS:
            return {one.arg: _value(one.value, names) for one in node.keywords}
        case ast.Attribute(owner, name) if isinstance(settings := _known(owner, names), dict):
            if name not in {"copy", "update", "pop"}:
                raise TypeError(name)
            arguments = [_value(one, names) for one in node.args]
            return copy.deepcopy(settings) if name == "copy" else getattr(settings, name)(*arguments)
        case _:
            return Unknown(ast.unparse(node))


def _known(node: ast.expr, names: Settings) -> Any:
    """An expression's value, where its names are known: `os` is not."""
    used = {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}
    return _value(node, names) if used <= names.keys() else None
