"""The `zoo` commands, a file a command: its flags, its run and its text.

A command is a module with `add_flags(parser)` and `run(arguments)`, which gives the exit code; its name is the file's,
and the first line of its docstring is its line in `zoo --help`. Nothing else has to know of it. It reads its arguments,
calls the library, and gives the answer back; what several commands need for that is in `shared`. Only this folder knows
argparse's namespaces, prints, and chooses exit codes; what is worth calling from Python lies in the rooms.

A command's module is imported for its flags alone, too: what imports torch is imported where it runs.
"""

from __future__ import annotations

import argparse
import ast
import keyword
import pkgutil
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, cast

from ..console.exit_codes import ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence

_READING_ORDER = (
    "list", "show", "fetch", "verify", "memory", "speed", "report", "compare", "plan", "evidence", "predict", "diagnose", "demo",
    "doctor", "data", "check-weights", "convert", "audit", "import", "export", "schema",
)  # fmt: skip
"""In `zoo --help`; what is not named here comes after, by its name."""


class Command(Protocol):
    """A module of this folder."""

    def add_flags(self, parser: argparse.ArgumentParser) -> None:
        """Add what the command takes."""

    def run(self, arguments: argparse.Namespace) -> int:
        """Do it, and give the exit code."""
        ...


def command_names() -> list[str]:
    """Every command, as a reader of the help meets them."""
    modules = (module.name for module in pkgutil.iter_modules(__path__) if not module.ispkg)
    names = sorted(module.rstrip("_").replace("_", "-") for module in modules)
    return sorted(names, key=lambda name: (*_READING_ORDER, name).index(name))


def command(name: str) -> Command:
    """A command's module."""
    return cast("Command", import_module(f".{_module(name)}", __name__))


def _module(name: str) -> str:
    """A command's module in this folder; `import_` for what is a word of Python's."""
    return name.replace("-", "_") + "_" * keyword.iskeyword(name)


def summary(name: str) -> str:
    """A command's line in the help; its module is read and not run."""
    source = pkgutil.get_data(__name__, f"{_module(name)}.py") or b""
    first_line = (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]
    return first_line.removeprefix(f"`zoo {name}`: ").removesuffix(".")


def build_parser(argv: Sequence[str] | None = None) -> argparse.ArgumentParser:
    """The whole command line; with `argv`, no more of it than tells these arguments."""
    parser = _Parser(
        prog="zoo", description="Does a published segmentation checkpoint do what its table says?"
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    names = command_names()
    meant = names if argv is None else [word for word in argv if word in names][:1]
    for name in meant if argv and argv[0] in meant else names:
        told = summary(name)
        added = commands.add_parser(name, help=told, description=f"{told[0].upper()}{told[1:]}.")
        if name in meant:
            command(name).add_flags(added)
    return parser


class _Parser(argparse.ArgumentParser):
    """Usage errors as one message with the way to the help; without the command it needs, the help itself."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """As argparse has it, which calls it for the commands of a command too."""
        if self._subparsers is not None and not (sys.argv[1:] if args is None else args):
            self.print_help(sys.stderr)
            self.exit(ExitCode.USAGE)
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        self.exit(ExitCode.USAGE, f"zoo: {message}; see {self.prog} --help\n")
