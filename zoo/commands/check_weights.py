"""`zoo check-weights`, `zoo convert`: weights files examined and rewritten."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ...models.load.weights import WeightsError
from ..console.exit_codes import ExitCode
from ..manifest import load_manifest
from ..weights.check import check, check_all, complete_lock, convert, exit_code, report_records, report_text
from .shared.answer import CommandError, json_text, write
from .shared.arguments import only_one, selected

if TYPE_CHECKING:
    import argparse


def run_check_weights(arguments: argparse.Namespace) -> int:
    """`zoo check-weights`: what can be told of the files without a data set."""
    chosen = selected(arguments)
    _warn_of_unsafe(arguments)
    if arguments.file:
        row = only_one(chosen, "--file belongs to one checkpoint")
        among = load_manifest(arguments.manifest)
        reports = [check(row, arguments.file, among=among, unsafe=arguments.unsafe_load)]
    else:
        reports = check_all(chosen, unsafe=arguments.unsafe_load)
        complete_lock(chosen, reports)
    write(json_text(report_records(reports)) if arguments.json else report_text(reports))
    return exit_code(reports)


def run_convert(arguments: argparse.Namespace) -> int:
    """`zoo convert ID FILE OUT`: safetensors from a publisher's file that fits."""
    row = load_manifest(arguments.manifest)[arguments.id]
    _warn_of_unsafe(arguments)
    try:
        target = convert(
            row, arguments.file, arguments.out, force=arguments.force, unsafe=arguments.unsafe_load
        )
    except WeightsError as error:
        raise CommandError(str(error), ExitCode.INTEGRITY) from error
    write(f"{row.id}: {target}")
    return ExitCode.OK


def _warn_of_unsafe(arguments: argparse.Namespace) -> None:
    if arguments.unsafe_load:
        print("zoo: warning: --unsafe-load runs whatever code a checkpoint contains", file=sys.stderr)
