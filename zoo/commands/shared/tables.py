"""Tables of verdicts: flags, the format asked for, printing. `verify`, `demo` and `report` print them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ....reports.formats import FORMATS
from ...files.named_files import named_path
from .answer import CommandError, write_out
from .flags import add_json

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from pathlib import Path

    from ....reports.background import Background
    from ....reports.table import Row


_SUFFIXES = {".md": "md", ".csv": "csv", ".json": "json", ".html": "html", ".xml": "junit", ".txt": "text"}
"""Of a file -> the format it is written in where none is named."""


def add_tables(command: argparse.ArgumentParser) -> None:
    """In which format, and where to."""
    command.add_argument(
        "--format", choices=list(FORMATS), help="of the tables (default: text, or as --out's suffix says)"
    )
    command.add_argument(
        "--out",
        type=named_path,
        metavar="FILE",
        help="write the tables there instead of to stdout",
    )
    add_json(command)


def print_tables(rows: Sequence[Row], about: Background, arguments: argparse.Namespace) -> None:
    """To stdout or the file named with `--out`."""
    write_out(tables_text(rows, about, arguments), arguments.out)


def tables_text(rows: Sequence[Row], about: Background, arguments: argparse.Namespace) -> str:
    """In the format that the arguments or the file's suffix name."""
    return FORMATS[format_name(arguments)](rows, about)


def format_name(arguments: argparse.Namespace) -> str:
    """As asked for, else as the suffix of the file that is written or checked says, else text."""
    file = getattr(arguments, "check", None) or arguments.out
    asked = "json" if arguments.json else arguments.format
    by_suffix = _suffix_format(file) if file else "text"
    if asked is None and by_suffix is None:
        raise CommandError(
            f"{file}: its suffix names no format; end it in {', '.join(_SUFFIXES)}, or add --format"
        )
    if asked and file and file.suffix in _SUFFIXES and asked != by_suffix:
        raise CommandError(f"{file}: its suffix says {by_suffix}, the flags say {asked}; change one of them")
    return asked or by_suffix or "text"


def _suffix_format(file: Path) -> str | None:
    """None where the name says nothing; a pipe or a device takes text."""
    return _SUFFIXES.get(file.suffix) or ("text" if file.exists() and not file.is_file() else None)
