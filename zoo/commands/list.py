"""`zoo list`, `zoo show`, `zoo schema`: what the manifest says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..console.exit_codes import ExitCode
from ..manifest import json_schema
from .shared.answer import json_text, write
from .shared.arguments import selected
from .show import list_records, list_table, protocol_text, show_records, show_text

if TYPE_CHECKING:
    import argparse


def run_list(arguments: argparse.Namespace) -> int:
    """`zoo list`."""
    chosen = selected(arguments)
    write(json_text(list_records(chosen)) if arguments.json else list_table(chosen))
    return ExitCode.OK


def run_show(arguments: argparse.Namespace) -> int:
    """`zoo show ID`."""
    chosen = selected(arguments)
    if arguments.json:
        write(json_text(show_records(chosen)))
    elif arguments.protocol:
        protocols = [row.protocol(claim.metric) for row in chosen for claim in row.claims if claim.protocol]
        write("\n\n".join(protocol_text(protocol) for protocol in dict.fromkeys(protocols)))
    else:
        write("\n\n\n".join(show_text(checkpoint) for checkpoint in chosen))
    return ExitCode.OK


def run_schema(arguments: argparse.Namespace) -> int:
    """`zoo schema`: the manifest's JSON Schema."""
    del arguments
    write(json_text(json_schema()))
    return ExitCode.OK
