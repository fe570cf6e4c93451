"""`zoo memory`: training memory, foretold and measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...evaluate.predict.device import DeviceError, resolve_device
from ...reports import ledger
from ...reports.verdict import exit_code
from ..console.progress import row_bar
from ..memory_table import breakdown_text, memory_records, memory_table
from ..quantities.memory import METRIC, NotTrainable, Setup, memory_rows, run_record
from .answer import CANNOT_MEASURE, CommandError, json_text, require_file_place, write
from .arguments import rows_that_print
from .parser import USAGE

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    import torch

    from ..manifest import Checkpoint
    from ..quantities.memory import MemoryRow


def run_memory(arguments: argparse.Namespace) -> int:
    """`zoo memory`: foretold training memory, and measured where a device is asked for."""
    rows = _memory_rows(rows_that_print(METRIC, arguments), arguments)
    if arguments.json:
        write(json_text(memory_records(rows, fits_gib=arguments.fits)))
    else:
        parts = rows if arguments.breakdown or len(rows) == 1 else []
        table = memory_table(rows, fits_gib=arguments.fits)
        write("\n\n\n".join([table, *(breakdown_text(row) for row in parts)]))
    return exit_code(row.verdict for row in rows)


def _memory_rows(chosen: Sequence[Checkpoint], arguments: argparse.Namespace) -> list[MemoryRow]:
    """Foretold rows; with `--measure` each is measured, and on record before the next one begins."""
    setup = Setup(batch=arguments.batch, crop=arguments.crop, classes=arguments.classes)
    device = _training_device(arguments) if arguments.measure else None
    rows = []
    try:
        for row in memory_rows(row_bar(chosen, "tracing", quiet=arguments.quiet), setup, device):
            rows.append(row)
            if device is not None:
                ledger.append(arguments.ledger, run_record(row, device))
    except NotTrainable as error:
        raise CommandError(str(error), USAGE if device is None else CANNOT_MEASURE) from error
    except ledger.LedgerError as error:
        raise CommandError(str(error), CANNOT_MEASURE) from error
    return rows


def _training_device(arguments: argparse.Namespace) -> torch.device:
    require_file_place("--ledger", arguments.ledger)
    try:
        device = resolve_device(arguments.device)
    except DeviceError as error:
        raise CommandError(str(error), CANNOT_MEASURE) from error
    if device.type != "cuda":
        message = f"--device {arguments.device}: only a CUDA device counts its memory; leave --measure out to foretell it"
        raise CommandError(message, CANNOT_MEASURE)
    return device
