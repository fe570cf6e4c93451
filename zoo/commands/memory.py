"""`zoo memory`: training memory, foretold on any machine; by default of every row that prints one."""

from __future__ import annotations

import argparse
import textwrap
from typing import TYPE_CHECKING, Any

import msgspec

from ...reports import ledger
from ...reports.media import tabulate
from ...reports.metrics import METRICS
from ...reports.table import WIDTH
from ...reports.verdict import Verdict
from ..console.exit_codes import ExitCode, of_verdicts
from ..manifest import Checkpoint, Claim
from ..measuring.training_memory import (
    GIB,
    METRIC,
    MIB,
    UNIT_BYTES,
    NotTrainable,
    Setup,
    difference_percent,
    foretell,
    predict,
    run_record,
)
from ..measuring.training_memory import run as train
from ..results.judging import verdict_on
from .shared import flags
from .shared.answer import CommandError, json_text, require_file_place, write
from .shared.arguments import rows_that_print
from .shared.progress import row_bar

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from ...models.trace.memory import MemoryPrediction

ABSENT = "–"
UNIT_NOTE = (
    "Figures in the unit of the published column: headed GB, it is MiB / 1000. Foretold for training as published in "
    "2021, the auxiliary head, losses, gradients, momentum and the all-reduce bucket included."
)
FITS_NOTE = (
    "fits: whether what the allocator reserves is within the card; CUDA itself takes some hundred MiB more."
)


class MemoryRow(msgspec.Struct, frozen=True, kw_only=True):
    """What `zoo memory` says of one checkpoint."""

    checkpoint: Checkpoint
    setup: Setup
    prediction: Any
    """A `models.trace.memory.MemoryPrediction`; None where none could be made, for the verdict's reason."""
    measured: Any = None
    """A `models.trace.memory.MeasuredMemory` where a device was asked."""
    verdict: Verdict
    """On the published figure; not comparable for another set-up than the published one."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Which rows, trained how, and whether on a device as well."""
    flags.add_selection(parser)
    flags.add_builders(parser)
    parser.add_argument(
        "--batch", type=flags.count, metavar="N", help="images a device (default: as published)"
    )
    parser.add_argument(
        "--crop", type=_size, metavar="HxW", help="height and width in pixels (default: as published)"
    )
    parser.add_argument("--classes", type=flags.count, metavar="N", help="classes (default: the data set's)")
    parser.add_argument(
        "--breakdown", action="store_true", help="the parts of each peak, as for a single row"
    )
    parser.add_argument(
        "--fits", type=_gib, metavar="GIB", help="say whether a card of GIB GiB is large enough"
    )
    parser.add_argument("--measure", action="store_true", help="train two steps on the device as well")
    parser.add_argument("--device", default="cuda", help="for --measure: cuda or cuda:N (default: cuda)")
    flags.add_ledger(parser)
    flags.add_quiet(parser, "no progress bar")
    flags.add_json(parser)


def _size(text: str) -> tuple[int, int]:
    height, _, width = text.partition("x")
    try:
        return flags.count(height), flags.count(width)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(
            f"expected height x width in pixels, such as 512x1024, found {flags.short(text)}"
        ) from error


def _gib(text: str) -> float:
    try:
        size = float(text)
    except ValueError:
        size = 0.0
    if not 0 < size < float("inf"):
        raise argparse.ArgumentTypeError(f"expected the card's GiB, such as 24, found {text!r}")
    return size


def run(arguments: argparse.Namespace) -> int:
    """Foretold training memory, and measured where a device is asked for."""
    rows = _memory_rows(rows_that_print(METRIC, arguments), arguments)
    if arguments.json:
        write(json_text([_record(row, arguments.fits) for row in rows]))
    else:
        parts = [row for row in rows if row.prediction] if arguments.breakdown or len(rows) == 1 else []
        table = _table(rows, fits_gib=arguments.fits)
        write("\n\n\n".join([table, *(_breakdown_text(row) for row in parts)]))
    return of_verdicts(row.verdict for row in rows)


def _memory_rows(chosen: Sequence[Checkpoint], arguments: argparse.Namespace) -> list[MemoryRow]:
    """Foretold rows; with `--measure` each is measured, and on record before the next one begins."""
    setup = Setup(batch=arguments.batch, crop=arguments.crop, classes=arguments.classes)
    device = _training_device(arguments) if arguments.measure else None
    rows = []
    for one in row_bar(chosen, "tracing", quiet=arguments.quiet):
        row = _memory_row(one, setup, device)
        rows.append(row)
        if row.measured is not None and device is not None:
            peak_bytes = row.prediction.peak_bytes
            record = run_record(row.checkpoint, row.setup, row.measured, peak_bytes, device)
            ledger.append(arguments.ledger, record)
    if not any(row.prediction for row in rows) or (
        device is not None and not any(row.measured for row in rows)
    ):
        first = rows[0]
        if first.checkpoint.not_built:
            raise CommandError(f"{first.checkpoint.id}: {first.verdict.reason}", ExitCode.CANNOT_MEASURE)
        raise CommandError(
            first.verdict.reason, ExitCode.USAGE if device is None else ExitCode.CANNOT_MEASURE
        )
    return rows


def _memory_row(checkpoint: Checkpoint, setup: Setup, device: torch.device | None) -> MemoryRow:
    """Foretold, and measured where a device is given; with the reason where a number is missing or makes no step."""
    claims = [claim for claim in checkpoint.claims if claim.metric == METRIC]
    claim = next(iter(claims), Claim(metric=METRIC, printed=None))
    try:
        foretold = foretell(checkpoint, setup)
        return MemoryRow(
            checkpoint=checkpoint,
            setup=setup.completed(checkpoint),
            prediction=predict(checkpoint, setup),
            measured=None if device is None else train(checkpoint, setup, device),
            verdict=verdict_on(checkpoint, claim, foretold),
        )
    except NotTrainable as error:
        verdict = msgspec.structs.replace(verdict_on(checkpoint, claim, None), reason=str(error))
        return MemoryRow(checkpoint=checkpoint, setup=setup, prediction=None, verdict=verdict)


def _training_device(arguments: argparse.Namespace) -> torch.device:
    require_file_place("--ledger", arguments.ledger)
    from ...evaluate.inference.device import resolve_device

    device = resolve_device(arguments.device)
    if device.type != "cuda":
        message = f"--device {arguments.device}: only a CUDA device counts its memory; leave --measure out to foretell it"
        raise CommandError(message, ExitCode.CANNOT_MEASURE)
    return device


def _table(rows: Sequence[MemoryRow], *, fits_gib: float | None = None) -> str:
    """One line a checkpoint and the notes below."""
    columns = [_facts(row) | _device_facts(row) | _card_facts(row, fits_gib) for row in rows]
    names = max(columns, key=len)
    table = tabulate(
        [[column.get(name, ABSENT) for name in names] for column in columns],
        list(names),
        disable_numparse=True,
        colalign=("left",) + ("right",) * (len(names) - 1),
    )
    notes = [UNIT_NOTE, *([] if fits_gib is None else [FITS_NOTE]), *_reasons(rows)]
    return "\n\n".join([table, "\n".join(textwrap.fill(note, WIDTH) for note in notes)])


def _facts(row: MemoryRow) -> dict[str, str]:
    verdict, off = row.verdict, _off_percent(row)
    return {
        "id": row.checkpoint.id,
        "batch": str(row.setup.batch or ABSENT),
        "crop": _crop(row),
        "classes": str(row.setup.classes or ABSENT),
        "foretold": _figure(row.prediction.peak_bytes) if row.prediction else ABSENT,
        "published": verdict.published or ABSENT,
        "difference": ABSENT if off is None else f"{off:+.2f} %",
        "verdict": verdict.status.value,
    }


def _off_percent(row: MemoryRow) -> float | None:
    """None where the two are not compared, or nothing is printed to be a part of."""
    published = row.verdict.published
    if row.prediction is None or row.verdict.delta is None or not published or not float(published):
        return None
    return difference_percent(row.prediction.peak_bytes, float(published) * UNIT_BYTES)


def _device_facts(row: MemoryRow) -> dict[str, str]:
    if row.measured is None:
        return {}
    off = difference_percent(row.prediction.peak_bytes, row.measured.allocated_bytes)
    return {
        "measured": _figure(row.measured.allocated_bytes),
        "foretold off by": f"{off:+.2f} %",
        "reserved": _figure(row.measured.reserved_bytes),
        "of the device": _figure(row.measured.device_bytes),
    }


def _card_facts(row: MemoryRow, fits_gib: float | None) -> dict[str, str]:
    if fits_gib is None:
        return {}
    if row.prediction is None:
        return {"reserved GiB": ABSENT, f"fits {fits_gib:g} GiB": ABSENT}
    return {
        "reserved GiB": f"{row.prediction.reserved_bytes / GIB:.2f}",
        f"fits {fits_gib:g} GiB": "yes" if _fits(row, fits_gib) else "no",
    }


def _fits(row: MemoryRow, fits_gib: float) -> bool:
    return row.prediction.reserved_bytes <= fits_gib * GIB


def _reasons(rows: Sequence[MemoryRow]) -> list[str]:
    return list(
        dict.fromkeys(
            f"{row.verdict.status.value}: {row.verdict.reason}" for row in rows if row.verdict.reason
        )
    )


def _breakdown_text(row: MemoryRow) -> str:
    """The parts of one row's peak in MiB, with their share, and what else is known of it."""
    prediction = row.prediction
    body = [
        (part, f"{nbytes / MIB:,.1f}", f"{100 * nbytes / prediction.peak_bytes:.1f} %")
        for part, nbytes in prediction.breakdown.items()
    ]
    body.append(("peak", f"{prediction.peak_bytes / MIB:,.1f}", ""))
    table = tabulate(
        body, ["at the peak", "MiB", ""], disable_numparse=True, colalign=("left", "right", "right")
    )
    margin = prediction.workspace_margin_bytes / MIB
    lines = [
        f"on top: {prediction.peak_at}",
        f"convolutions with their largest workspace stay {margin:,.1f} MiB below the peak"
        if margin
        else "the peak is a convolution with its largest workspace, which is a bound",
        f"reserved by the allocator: {prediction.reserved_bytes / MIB:,.1f} MiB",
        *filter(None, [prediction.note]),
    ]
    heading = f"{row.checkpoint.id}, {row.setup.batch} x {_crop(row)}, {row.setup.classes} classes"
    return "\n\n".join([heading, table, "\n".join(lines)])


def _record(row: MemoryRow, fits_gib: float | None) -> dict[str, Any]:
    verdict, off = row.verdict, _off_percent(row)
    return {
        "checkpoint": row.checkpoint.id,
        "batch": row.setup.batch,
        "crop": row.setup.crop or row.checkpoint.crop,
        "classes": row.setup.classes,
        "optimizer": row.setup.optimizer,
        "published": verdict.published,
        "difference_percent": None if off is None else round(off, 3),
        "status": verdict.status.value,
        "reason": verdict.reason,
        **({} if row.prediction is None else _predicted(row.prediction)),
        "measured": None if row.measured is None else row.measured._asdict(),
        **({} if fits_gib is None or row.prediction is None else {"fits": _fits(row, fits_gib)}),
    }


def _predicted(prediction: MemoryPrediction) -> dict[str, Any]:
    return {
        "foretold": prediction.peak_bytes / UNIT_BYTES,
        "peak_bytes": prediction.peak_bytes,
        "requested_bytes": prediction.requested_bytes,
        "reserved_bytes": prediction.reserved_bytes,
        "peak_at": prediction.peak_at,
        "workspace_margin_bytes": prediction.workspace_margin_bytes,
        "without_workspace_bytes": prediction.without_workspace_bytes,
        "breakdown_bytes": prediction.breakdown,
    }


def _figure(nbytes: int) -> str:
    return f"{nbytes / UNIT_BYTES:.{METRICS[METRIC].decimals}f}"


def _crop(row: MemoryRow) -> str:
    height, width = row.setup.crop or row.checkpoint.crop
    return f"{height}x{width}"
