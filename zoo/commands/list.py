"""`zoo list`: published checkpoints with their printed numbers, or the methods they are of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..console.exit_codes import ExitCode
from ..manifest.selection import require_field, sorted_by, values_of
from .shared import flags
from .shared.answer import CommandError, json_text, write
from .shared.arguments import selected
from .shared.rows import method_records, methods_table, row_record, rows_table

if TYPE_CHECKING:
    import argparse

    from ..manifest import Checkpoint


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Which rows, in which order, and what of them."""
    flags.add_selection(parser)
    parser.add_argument(
        "--sort",
        metavar="FIELD,...",
        help="order by these; the largest first with a minus: --sort=dataset,-miou",
    )
    parser.add_argument("--columns", metavar="FIELD,...", help="show these in place of the usual ones")
    parser.add_argument("--methods", action="store_true", help="a line a method in place of a line a row")
    flags.add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """A line a row, or a line a method."""
    if arguments.methods and (arguments.sort or arguments.columns):
        raise CommandError("--methods has lines and columns of its own; leave out --sort and --columns")
    columns = [require_field(name, "--columns") for name in (arguments.columns or "").split(",") if name]
    chosen = selected(arguments)
    if arguments.sort:
        chosen = sorted_by(chosen, arguments.sort)
    if arguments.methods:
        write(json_text(method_records(chosen)) if arguments.json else methods_table(chosen))
    elif arguments.json:
        write(json_text([_record(row, columns) if columns else row_record(row) for row in chosen]))
    else:
        write(rows_table(chosen, columns))
    return ExitCode.OK


def _record(row: Checkpoint, columns: list[str]) -> dict[str, str | None]:
    """A row's first value of each column."""
    return {name: next(iter(values_of(name, row)), None) for name in columns}
