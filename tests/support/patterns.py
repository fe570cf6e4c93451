"""The regular expressions of this project, found in its modules' syntax, and texts built to hurt each of them."""

import ast
import builtins
import importlib
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

if sys.version_info >= (3, 11):
    from re import _constants as codes  # pyright: ignore[reportAttributeAccessIssue]
    from re import _parser as parser  # pyright: ignore[reportAttributeAccessIssue]
else:
    import sre_constants as codes
    import sre_parse as parser

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("models", "evaluate", "reports", "zoo")
METHODS = ("search", "match", "fullmatch", "findall", "finditer", "sub", "split")

_APPLIED = re.compile(rf"(?<![\w.])(\w+)\.({'|'.join(METHODS)})\b")
_MAKES = re.compile(rf"\bpattern=|\bre\.(?:compile|{'|'.join(METHODS)})\(")
"""What the text of every module has that makes a pattern: only those are parsed."""


class Pattern(NamedTuple):
    place: str
    """File and line, as a test's name."""
    text: str
    flags: int
    methods: tuple[str, ...]
    """How it is applied."""


class _Unknown(dict[str, Any]):
    """A module's names; one that only a call knows stands for a text that is its own pattern."""

    def __missing__(self, name: str) -> str:
        if hasattr(builtins, name) or name == "__builtins__":
            raise KeyError(name)
        return "before="


def patterns() -> list[Pattern]:
    """Every pattern that a module compiles or hands to `re` or `msgspec.Meta`."""
    uses: dict[tuple[Path | None, str], set[str]] = defaultdict(set)
    trees = {}
    for path in modules():
        text = path.read_text(encoding="utf-8")
        for name, method in _APPLIED.findall(text):
            uses[path if name.startswith("_") or name.islower() else None, name].add(method)
        if _MAKES.search(text):
            trees[path] = list(ast.walk(ast.parse(text)))
    found = []
    for path, nodes in trees.items():
        names = {
            id(node.value): target.id
            for node in nodes
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for call in (node for node in nodes if isinstance(node, ast.Call)):
            if argument := _pattern_argument(call):
                method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
                name = names.get(id(call), "pattern")
                used = uses[path if name.startswith("_") or name.islower() else None, name]
                methods = {method} if method in METHODS else used or {"search"}
                line = argument.lineno if any(one.value is argument for one in call.keywords) else call.lineno
                place = f"{path.relative_to(ROOT).as_posix()}:{line}"
                flags = _flags(path, call)
                for text in _values(path, nodes, argument):
                    plain = text.decode("latin-1") if isinstance(text, bytes) else text
                    found.append(Pattern(place, plain, flags, tuple(sorted(methods))))
    return found


def modules() -> list[Path]:
    """The project's own modules."""
    return sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))


def _pattern_argument(call: ast.Call) -> ast.expr | None:
    function = call.func
    if (
        isinstance(function, ast.Attribute)
        and isinstance(function.value, ast.Name)
        and function.value.id == "re"
    ):
        return call.args[0] if function.attr in (*METHODS, "compile") else None
    return next((one.value for one in call.keywords if one.arg == "pattern"), None)


def _values(path: Path, nodes: list[ast.AST], argument: ast.expr) -> list[Any]:
    """What a pattern is: where its function is given a part of it, with every text that the module gives, if any."""
    names = [node.id for node in ast.walk(argument) if isinstance(node, ast.Name)]
    for function in (node for node in nodes if names and isinstance(node, ast.FunctionDef)):
        parameters = [one.arg for one in function.args.args]
        if names[0] in parameters and any(node is argument for node in ast.walk(function)):
            place = parameters.index(names[0])
            given = [call.args[place] for call in _calls(nodes, function.name)]
            texts = {_value(path, one) for one in given if isinstance(one, (ast.Constant, ast.JoinedStr))}
            if texts:
                return [_value(path, argument, {names[0]: text}) for text in sorted(texts)]
    return [_value(path, argument)]


def _calls(nodes: list[ast.AST], name: str) -> Iterator[ast.Call]:
    for node in nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name:
            yield node


def _value(path: Path, node: ast.expr, names: dict[str, str] | None = None) -> Any:
    module = importlib.import_module(".".join(["segbench", *path.relative_to(ROOT).with_suffix("").parts]))
    return eval(compile(ast.Expression(node), str(path), "eval"), _Unknown(vars(module) | (names or {})))


def _flags(path: Path, call: ast.Call) -> int:
    nodes = [one.value for one in call.keywords if one.arg == "flags"]
    place = {"compile": 1, "search": 2, "match": 2, "fullmatch": 2, "findall": 2, "finditer": 2}
    after = place.get(call.func.attr if isinstance(call.func, ast.Attribute) else "")
    nodes += call.args[after : after + 1] if after else []
    return int(_value(path, nodes[0])) if nodes else 0


def hurting(pattern: Pattern, size: int) -> Iterator[str]:
    """Texts of about `size` characters: what begins a match, what a repetition takes again and again, and no end.

    Every unlimited repetition is fed each character that it, or its neighbour, may take; without its beginning too, and
    with the beginning repeated, as an almost-match that starts anew at every place.
    """
    tree = parser.parse(pattern.text, pattern.flags)
    seen: set[tuple[str, str]] = set()
    for before, taken in [*_repetitions(tree, ""), ("", " \n1a.-_/|[<=\"'")]:
        for character in taken:
            for beginning in (before, ""):
                if (beginning, character) not in seen:
                    seen.add((beginning, character))
                    yield beginning + character * size + "\0!"
                    yield beginning + character * size + "x"
        if before:
            yield before * (size // len(before)) + "\0!"
            yield (
                "".join(before + character for character in taken) * (size // (len(before) * len(taken) + 1))
                + "\0"
            )
    whole = _sample(tree) or "a"
    yield whole * (size // len(whole)) + "\0!"


def _repetitions(tree: Any, before: str) -> Iterator[tuple[str, str]]:
    """What stands before each repetition without a limit, and characters that it takes."""
    for code, value in tree:
        if code in {codes.MAX_REPEAT, codes.MIN_REPEAT}:
            least, most, body = value
            if most > 100:
                yield before, _characters(body)
            yield from _repetitions(body, before)
            before += _sample(body) * max(1, least)
            continue
        for inner in _inner(code, value):
            yield from _repetitions(inner, before)
        before += _sample([(code, value)])


def _inner(code: Any, value: Any) -> list[Any]:
    if code is codes.SUBPATTERN:
        return [value[3]]
    if code is codes.BRANCH:
        return list(value[1])
    return [value[1]] if code in {codes.ASSERT, codes.ASSERT_NOT} else []


def _sample(tree: Any) -> str:
    """A short text that a pattern takes."""
    parts = []
    for code, value in tree:
        if code in {codes.MAX_REPEAT, codes.MIN_REPEAT}:
            parts.append(_sample(value[2]) * max(1, value[0]))
        elif code is codes.SUBPATTERN:
            parts.append(_sample(value[3]))
        elif code is codes.BRANCH:
            parts.append(_sample(value[1][0]))
        elif code in {codes.LITERAL, codes.NOT_LITERAL, codes.ANY, codes.IN}:
            parts.append(_characters([(code, value)])[:1])
    return "".join(parts)


TRIED = "a1 _.-A\n\t/:,;|'\"=([<{+*#@&"
"""Characters that stand for the classes they belong to."""


def _characters(tree: Any) -> str:
    """A few characters that one turn of a repetition takes: all literals, and what classes take of `TRIED`."""
    found: dict[str, None] = {}
    for code, value in tree:
        if code is codes.LITERAL:
            found[chr(value)] = None
        elif code in {codes.IN, codes.ANY, codes.NOT_LITERAL}:
            single = re.compile(_as_text(code, value), re.DOTALL)
            literals = [chr(one) for kind, one in value if kind is codes.LITERAL] if code is codes.IN else []
            allowed = [one for one in (*literals, *TRIED) if single.fullmatch(one)]
            found |= dict.fromkeys((allowed or [chr(value[0][1][0])])[:12])
        elif code in {codes.MAX_REPEAT, codes.MIN_REPEAT}:
            found |= dict.fromkeys(_characters(value[2]))
        else:
            for inner in _inner(code, value):
                found |= dict.fromkeys(_characters(inner))
    return "".join(found) or "a"


_CLASSES = {
    "DIGIT": r"\d",
    "SPACE": r"\s",
    "WORD": r"\w",
    "NOT_DIGIT": r"\D",
    "NOT_SPACE": r"\S",
    "NOT_WORD": r"\W",
}


def _as_text(code: Any, value: Any) -> str:
    """A class as a pattern of one character."""
    if code is codes.ANY:
        return "."
    if code is codes.NOT_LITERAL:
        return f"[^{re.escape(chr(value))}]"
    parts = []
    for kind, one in value:
        if kind is codes.NEGATE:
            parts.append("^")
        elif kind is codes.LITERAL:
            parts.append(re.escape(chr(one)))
        elif kind is codes.RANGE:
            parts.append("-".join(re.escape(chr(end)) for end in one))
        else:
            parts.append(_CLASSES[str(one).removeprefix("CATEGORY_")])
    return f"[{''.join(parts)}]"
