"""`zoo export`: claims as a model card's model-index or as CSV."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from ...reports.media import csv_text
from ...reports.metrics import METRICS
from ...reports.verdict import rounded
from ..console.exit_codes import ExitCode
from ..files.named_files import named_file, named_path
from ..manifest import load_manifest
from ..results.answers import Answers
from ..results.model_index import model_index
from .shared import flags
from .shared.answer import CommandError, write_out
from .shared.arguments import recorded, selected

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from ..manifest import Checkpoint, Claim

_SUFFIXES = {".yaml": "model-index", ".yml": "model-index", ".md": "model-index", ".csv": "csv"}
_COLUMNS = (
    "checkpoint", "publisher", "method", "backbone", "dataset", "crop", "schedule", "metric", "unit", "printed",
    "protocol", "device", "document", "section", "row", "date", "supersedes", "note", "measured", "measured_at",
)  # fmt: skip


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Which rows, in which form, and the ledger to add."""
    flags.add_selection(parser)
    parser.add_argument(
        "--format", choices=("model-index", "csv"), help="default: model-index, or as --out's suffix says"
    )
    parser.add_argument(
        "--ledger", type=named_file, metavar="FILE", help="add the measured values of this ledger"
    )
    parser.add_argument("--out", type=named_path, metavar="FILE", help="write there instead of to stdout")


def run(arguments: argparse.Namespace) -> int:
    """The chosen claims, and what was measured of them."""
    form = _form(arguments)
    chosen = selected(arguments)
    answers = Answers(recorded(arguments.ledger) if arguments.ledger else ())
    if form == "csv":
        text = _csv(chosen, answers)
    else:
        if without := [row.id for row in chosen if not row.published]:
            logging.getLogger("segbench").warning("no figure is printed of %s: left out", ", ".join(without))
        text = model_index(chosen, load_manifest(arguments.manifest).documents, answers)
    write_out(text, arguments.out)
    return ExitCode.OK


def _form(arguments: argparse.Namespace) -> str:
    """As asked for, else as the file's suffix says, else a model-index."""
    suffix = arguments.out.suffix if arguments.out else ""
    by_suffix = _SUFFIXES.get(suffix)
    if suffix and not (by_suffix or arguments.format):
        raise CommandError(
            f"{arguments.out}: its suffix names no format; end it in {', '.join(_SUFFIXES)}, or add --format"
        )
    if by_suffix and arguments.format and by_suffix != arguments.format:
        raise CommandError(
            f"{arguments.out}: its suffix says {by_suffix}, --format says {arguments.format}; change one of them"
        )
    return arguments.format or by_suffix or "model-index"


def _csv(rows: Iterable[Checkpoint], answers: Answers) -> str:
    """Every claim as a line, figures as printed; empty where nothing is known."""
    return csv_text(_COLUMNS, (_line(row, claim, answers) for row in rows for claim in row.claims))


def _line(checkpoint: Checkpoint, claim: Claim, answers: Answers) -> dict[str, Any]:
    record = answers.to(checkpoint, claim)
    own = ("publisher", "method", "backbone", "dataset", "schedule")
    line: dict[str, Any] = {name: getattr(checkpoint, name) for name in own}
    line |= {name: getattr(claim, name) for name in ("metric", "printed", "protocol", "device", "date")}
    line |= {name: getattr(claim, name) for name in ("supersedes", "note")}
    line |= {"checkpoint": checkpoint.id, "crop": f"{checkpoint.crop[0]}x{checkpoint.crop[1]}"}
    line["unit"] = METRICS[claim.metric].unit
    if claim.source:
        line |= {name: getattr(claim.source, name) for name in ("document", "section", "row")}
    if record:
        line |= {"measured": rounded(record.value, claim.metric), "measured_at": record.taken_at}
    return line
