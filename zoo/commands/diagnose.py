"""`zoo diagnose`: find the known mistake that explains a number."""

from __future__ import annotations

import argparse
import re
import textwrap
from typing import TYPE_CHECKING, Any

import msgspec

from ...reports.media import tabulate
from ...reports.table import WIDTH
from ..console.exit_codes import ExitCode
from ..files.named_files import named_path
from ..manifest import load_manifest
from ..quantities import quantity_of
from .shared import flags
from .shared.answer import CommandError, json_text, require_file_place, write_out
from .shared.arguments import warn_of_program
from .shared.progress import Bars, diagnosis_bar
from .shared.rows import counted
from .shared.tables import format_name
from .shared.verifying import measuring_options

if TYPE_CHECKING:
    from ...evaluate.suspects.diagnosis import Reading
    from ..manifest import Checkpoint, Claim
    from ..runs.diagnosis import Diagnosis

_SHOWN = 8
"""Readings in the text form; JSON has all."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Which number, by how many images, measured where."""
    parser.add_argument("id", metavar="ID", help="the checkpoint whose number is off")
    parser.add_argument(
        "--metric",
        default="miou",
        choices=list(quantity_of("miou").metrics),
        help="which of its numbers (default: miou)",
    )
    parser.add_argument(
        "--value",
        type=_printed_value,
        metavar="NUMBER",
        help="the number to be explained, such as another tool's (default: the published one)",
    )
    parser.add_argument(
        "--images",
        type=flags.count,
        default=20,
        metavar="N",
        help="try the mistakes on N images spread over the data set (default: 20)",
    )
    flags.add_weights_file(parser)
    flags.add_offline(parser)
    flags.add_device(parser)
    flags.add_precision(parser)
    flags.add_data_root(parser)
    flags.add_places(parser)
    flags.add_manifest(parser)
    flags.add_builders(parser)
    parser.add_argument(
        "--out", type=named_path, metavar="FILE", help="write the answer there instead of to stdout"
    )
    flags.add_json(parser)
    flags.add_quiet(parser)


def _printed_value(text: str) -> str:
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", text) or float(text) > 100:
        raise argparse.ArgumentTypeError(f"expected a percentage such as 71.92, found {text!r}")
    return text


def run(arguments: argparse.Namespace) -> int:
    """The mistake that explains a number; exits 1 where none does."""
    from ...evaluate.evidence import EvidenceStore
    from ...evaluate.inference.device import numerics
    from ..engines import opened
    from ..runs.diagnosis import diagnose_claim
    from ..verify import DatasetShelf, NotMeasured, RowVerifier

    row = load_manifest(arguments.manifest)[arguments.id]
    claim = _accuracy_claim(row, arguments.metric)
    value = arguments.value or claim.printed
    if value is None:
        raise CommandError(f"{row.id}: no {claim.metric} is printed; name a number with --value")
    require_file_place("--out", arguments.out)
    as_json = _is_json(arguments)
    require_file_place("--ledger", arguments.ledger)
    if arguments.file:
        warn_of_program(arguments.file)
    options = measuring_options(arguments, weights_file=arguments.file)
    try:
        with opened(options) as engine, EvidenceStore(options.evidence) as store, numerics(options.precision):
            shelf = DatasetShelf(options.data_root)
            verifier = RowVerifier(row, options, store, shelf, engine, Bars(quiet=arguments.quiet))
            steps = diagnose_claim(verifier, claim, value, arguments.images)
            diagnosis = diagnosis_bar(steps, quiet=arguments.quiet)
    except NotMeasured as absence:
        raise CommandError(absence.reason, absence.exit_code) from absence
    text = json_text(_record(diagnosis)) if as_json else _text(diagnosis)
    write_out(text, arguments.out)
    return ExitCode.OK if diagnosis.is_reproduced or diagnosis.explanations else ExitCode.REFUTED


def _accuracy_claim(row: Checkpoint, metric: str) -> Claim:
    """The row's claim of a metric, the newest where its authors revised it."""
    claims = [claim for claim in row.claims if claim.metric == metric and claim.protocol]
    if not claims:
        known = ", ".join(dict.fromkeys(claim.metric for claim in row.claims if claim.protocol))
        raise CommandError(f"{row.id}: no {metric} with a protocol is claimed; there are {known}")
    return claims[-1]


def _is_json(arguments: argparse.Namespace) -> bool:
    """As the flag or the suffix of the file says; a diagnosis is text or JSON and nothing else."""
    arguments.format = None
    name = format_name(arguments)
    if name not in {"text", "json"}:
        raise CommandError(f"--out {arguments.out}: a diagnosis is text or JSON: end it in .txt or .json")
    return name == "json"


def _text(diagnosis: Diagnosis) -> str:
    """The answer in words, and the nearest readings as a table."""
    header = ["instead of the published protocol", "would give", "", "off by", "images", ""]
    rows = [
        [
            reading.description,
            f"{reading.predicted_percent:.2f}",
            _error_text(reading),
            f"{reading.off_points:+.2f}",
            reading.images,
            "fits" if reading.fits else "possible" if reading.is_possible else "",
        ]
        for reading in diagnosis.readings[:_SHOWN]
    ]
    more = len(diagnosis.readings) - _SHOWN
    table = tabulate(rows, header, disable_numparse=True, maxcolwidths=[60, None, None, None, None, None])
    rest = f"\n{more} more are farther off" if more > 0 else ""
    return f"{textwrap.fill(_answer(diagnosis), WIDTH)}\n\n{table}{rest}"


def _error_text(reading: Reading) -> str:
    if reading.error_points is None:
        return "± ?"
    return f"± {reading.error_points:.2f}" if reading.error_points else ""


def _answer(diagnosis: Diagnosis) -> str:
    about = (
        f"{diagnosis.checkpoint} {diagnosis.metric}: {diagnosis.value} against "
        f"{diagnosis.measured_percent:.2f} by the published protocol"
    )
    if diagnosis.is_reproduced:
        return f"{about}: they agree, there is nothing to explain."
    if diagnosis.explanations:
        return f"{about}: {_explanation(*diagnosis.explanations)}"
    if diagnosis.possible:
        return f"{about}: {counted(len(diagnosis.possible), 'mistake')} could explain it, but {counted(diagnosis.images, 'image')} cannot tell; {_more_images(diagnosis)}"
    stray = (
        f" {diagnosis.stray_pixels} label pixels here are no class, though: see zoo data --full."
        if diagnosis.stray_pixels
        else ""
    )
    return f"{about}: none of {len(diagnosis.readings)} known mistakes explains it.{stray}"


def _explanation(best: Reading, *others: Reading) -> str:
    gives = f"that gives {best.predicted_percent:.2f}{' ' + _error_text(best) if best.error_points else ''}"
    if not best.fits:
        return f"explained for the most part if {best.description} ({gives}, which leaves {-best.off_points:+.2f})."
    alike = "; ".join(other.description for other in others)
    return f"explained if {best.description} ({gives})." + (
        f" Not told apart by this number: {alike}." if others else ""
    )


def _more_images(diagnosis: Diagnosis) -> str:
    if diagnosis.images < diagnosis.image_count:
        return f"try --images {min(4 * diagnosis.images, diagnosis.image_count)}."
    return "all images of the data set were tried."


def _record(diagnosis: Diagnosis) -> dict[str, Any]:
    """The diagnosis as plain data, with the names of what explains the number or might."""
    return msgspec.to_builtins(diagnosis) | {
        "is_reproduced": diagnosis.is_reproduced,
        "explanations": [reading.suspect for reading in diagnosis.explanations],
        "possible": [reading.suspect for reading in diagnosis.possible],
    }
