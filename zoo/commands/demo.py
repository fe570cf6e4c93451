"""`zoo demo`: reproduce the embedded demo zoo on this machine."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ..demo import DEMO_TOLERANCE, STREETS, demo_checkpoints, serve
from ..files.named_files import named_path
from .shared import flags
from .shared.tables import add_tables
from .shared.verifying import print_outcomes, verified

if TYPE_CHECKING:
    import argparse


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Where to measure, what to print, and whether anything is kept."""
    flags.add_device(parser)
    add_tables(parser)
    flags.add_talk(parser)
    parser.add_argument(
        "--keep", type=named_path, metavar="DIR", help="keep weights, evidence and ledger in DIR"
    )


def run(arguments: argparse.Namespace) -> int:
    """The whole path on the embedded demo zoo."""
    from ..verify import Options, exit_code

    work = arguments.keep or Path(tempfile.mkdtemp(prefix="zoo-demo-"))
    try:
        with serve(STREETS) as server:
            print(f"zoo: weights from {server}, images from {STREETS}", file=sys.stderr)
            options = Options(
                device=arguments.device,
                data_root=STREETS,
                home=work,
                offline=False,
                evidence=work / "evidence.sqlite",
                ledger=work / "measurements.jsonl",
                tolerance=DEMO_TOLERANCE,
            )
            outcomes = verified(demo_checkpoints(server), options, arguments)
            print_outcomes(outcomes, options.tolerance, arguments)
            return exit_code(outcomes)
    finally:
        if not arguments.keep:
            shutil.rmtree(work, ignore_errors=True)
