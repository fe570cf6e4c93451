"""`zoo schema`: JSON Schema of zoo.yaml, for editors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..console.exit_codes import ExitCode
from ..manifest import json_schema
from .shared.answer import json_text, write

if TYPE_CHECKING:
    import argparse


def add_flags(parser: argparse.ArgumentParser) -> None:
    """It takes none."""


def run(arguments: argparse.Namespace) -> int:
    """Print it."""
    del arguments
    write(json_text(json_schema()))
    return ExitCode.OK
