"""`zoo plan`: what a verification will take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..console.exit_codes import ExitCode
from ..manifest import load_manifest
from ..results.estimates import estimates, plan_record, plan_text, speeds
from .shared.answer import CommandError, json_text, write
from .shared.arguments import recorded, selected

if TYPE_CHECKING:
    import argparse


def run_plan(arguments: argparse.Namespace) -> int:
    """`zoo plan`: what a verification will take."""
    chosen = selected(arguments)
    records = recorded(arguments.ledger) if arguments.ledger.is_file() else []
    known = speeds(records, load_manifest(arguments.manifest), arguments.on)
    if arguments.on and not known.seconds_per_image:
        raise CommandError(
            f"--on {arguments.on}: {arguments.ledger} has no measurement on it", ExitCode.USAGE
        )
    if not known.seconds_per_image and not arguments.tflops:
        raise CommandError(
            f"{arguments.ledger}: no measured speed there; run zoo verify --limit 20 on one row first, or state "
            "your device's throughput with --tflops",
            ExitCode.CANNOT_MEASURE,
        )
    found = estimates(chosen, known, arguments.tflops)
    write(
        json_text(plan_record(found, known, arguments.gpus))
        if arguments.json
        else plan_text(found, known, arguments.gpus, arguments.tflops)
    )
    return ExitCode.OK
