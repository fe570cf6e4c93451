"""Tables of verdicts in the format asked for; `verify` and `report` print them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ....reports.formats import FORMATS
from .answer import write_out
from .arguments import format_name

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from ....reports.background import Background
    from ....reports.table import Row


def print_tables(rows: Sequence[Row], about: Background, arguments: argparse.Namespace) -> None:
    """To stdout or the file named with `--out`."""
    write_out(tables_text(rows, about, arguments), arguments.out)


def tables_text(rows: Sequence[Row], about: Background, arguments: argparse.Namespace) -> str:
    """In the format that the arguments or the file's suffix name."""
    return FORMATS[format_name(arguments)](rows, about)
