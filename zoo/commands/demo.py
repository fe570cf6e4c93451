"""`zoo demo`: the whole path on the embedded demo zoo."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ..demo import DEMO_TOLERANCE, STREETS, demo_checkpoints, serve
from ..verify import Options
from .verify import verify_and_print

if TYPE_CHECKING:
    import argparse


def run_demo(arguments: argparse.Namespace) -> int:
    """`zoo demo`: the whole path on the embedded demo zoo."""
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
            return verify_and_print(demo_checkpoints(server), options, arguments)
    finally:
        if not arguments.keep:
            shutil.rmtree(work, ignore_errors=True)
