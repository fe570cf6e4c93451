"""`zoo doctor`: what this machine can measure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..doctor import doctor_text, examine
from ..manifest import load_manifest
from .answer import OK, json_text, write

if TYPE_CHECKING:
    import argparse


def run_doctor(arguments: argparse.Namespace) -> int:
    """`zoo doctor`: what this machine can measure."""
    findings = examine(load_manifest(arguments.manifest), arguments.data_root)
    write(json_text(findings) if arguments.json else doctor_text(findings))
    return OK
