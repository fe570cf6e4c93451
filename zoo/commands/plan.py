"""`zoo plan`: how long a verification will take, from measured speeds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from ...reports.media import tabulate
from ..console.exit_codes import ExitCode
from ..manifest import load_manifest
from ..results.estimates import MEANINGS, estimates, speeds
from .shared import flags
from .shared.answer import CommandError, json_text, write
from .shared.arguments import recorded, selected

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from ..results.estimates import Estimate, Speeds


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Which rows, on what, and where measured speeds stand."""
    flags.add_selection(parser)
    parser.add_argument(
        "--gpus", type=flags.count, default=1, metavar="N", help="devices that share the work (default: 1)"
    )
    parser.add_argument(
        "--on", metavar="NAME", help="the device whose measurements count (default: the ledger's last)"
    )
    parser.add_argument(
        "--tflops",
        type=flags.positive_number,
        metavar="N",
        help="10^12 operations a second to reckon with where the ledger has no measurement",
    )
    flags.add_ledger(parser)
    flags.add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """The work of every claim, and how long it takes."""
    chosen = selected(arguments)
    records = recorded(arguments.ledger) if arguments.ledger.is_file() else []
    known = speeds(records, load_manifest(arguments.manifest), arguments.on)
    if arguments.on and not known.seconds_per_image:
        raise CommandError(f"--on {arguments.on}: {arguments.ledger} has no measurement on it")
    if not known.seconds_per_image and not arguments.tflops:
        raise CommandError(
            f"{arguments.ledger}: no measured speed there; run zoo verify --limit 20 on one row first, or state "
            "your device's throughput with --tflops",
            ExitCode.CANNOT_MEASURE,
        )
    found = estimates(chosen, known, arguments.tflops)
    write(
        json_text(_record(found, known, arguments.gpus))
        if arguments.json
        else _text(found, known, arguments.gpus, arguments.tflops)
    )
    return ExitCode.OK


def _text(found: Sequence[Estimate], known: Speeds, gpus: int, tflops: float | None) -> str:
    """A line a claim, the total, and what it rests on."""
    rows = [
        [
            estimate.checkpoint,
            estimate.metric,
            estimate.images,
            "–" if estimate.gflops_per_image is None else f"{estimate.gflops_per_image:,.0f}",
            "–" if estimate.seconds_per_image is None else f"{estimate.seconds_per_image:.3g}",
            "–" if estimate.seconds_per_image is None else duration(estimate.seconds),
            estimate.basis,
        ]
        for estimate in found
    ]
    header = ["id", "metric", "images", "GFLOPs an image", "s an image", "on one device", "basis"]
    notes = [f"{basis}: {MEANINGS[basis]}" for basis in MEANINGS if any(e.basis == basis for e in found)]
    return "\n\n".join(
        [tabulate(rows, header, disable_numparse=True), _total(found, known, gpus, tflops), *notes]
    )


def _total(found: Sequence[Estimate], known: Speeds, gpus: int, tflops: float | None) -> str:
    seconds = sum(estimate.seconds for estimate in found)
    on = known.device or (f"devices of {tflops:g} TFLOP/s" if tflops else "unknown devices")
    devices = "1 device" if gpus == 1 else f"{gpus} devices"
    return (
        f"{duration(seconds / gpus)} on {devices} ({duration(seconds)} of device time, {on}); without downloads "
        "and loading, and as if work could be shared out evenly"
    )


def duration(seconds: float) -> str:
    """`3 h 05 min`, `12 min`, `40 s`."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02} min" if minutes >= 60 else f"{minutes} min"


def _record(found: Sequence[Estimate], known: Speeds, gpus: int) -> dict[str, Any]:
    """The plan as plain data."""
    seconds = sum(estimate.seconds for estimate in found)
    return {
        "gpus": gpus,
        "device": known.device,
        "device_seconds": seconds,
        "wall_seconds": seconds / gpus,
        "unknown": sum(estimate.basis == "unknown" for estimate in found),
        "claims": [msgspec.to_builtins(estimate) | {"seconds": estimate.seconds} for estimate in found],
    }
