"""What several commands read out of their arguments: rows, a protocol, a ledger, a format."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ...reports import ledger
from ..manifest import load_manifest
from ..measurement import Measurement
from ..parser import SUFFIXES, USAGE
from ..selection import select
from .answer import NOTHING_SELECTED, CommandError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from pathlib import Path

    from ...evaluate.protocol import EvalProtocol
    from ..manifest import Checkpoint


def selected(arguments: argparse.Namespace) -> list[Checkpoint]:
    """The rows that ids and `--where` choose, in the manifest's order; at least one."""
    chosen = select(load_manifest(arguments.manifest), arguments.ids, arguments.where)
    if not chosen:
        raise CommandError(
            f"nothing selected by {' '.join([*arguments.ids, arguments.where]).strip()!r}; zoo list shows what there is",
            NOTHING_SELECTED,
        )
    return chosen


def rows_that_print(metric: str, arguments: argparse.Namespace) -> list[Checkpoint]:
    """The selected rows; where nothing selects, those that print the metric, or all where none does."""
    if arguments.ids or arguments.where:
        return selected(arguments)
    rows = selected(arguments)
    return [row for row in rows if any(claim.metric == metric for claim in row.published)] or rows


def only_one(chosen: Sequence[Checkpoint], rule: str) -> Checkpoint:
    """The chosen row, where a flag needs there to be no other."""
    if len(chosen) != 1:
        raise CommandError(f"{rule}; {len(chosen)} were selected", USAGE)
    return chosen[0]


def named_protocol(arguments: argparse.Namespace) -> EvalProtocol | None:
    """The manifest's protocol of the name given with `--protocol`; None where none is."""
    if not arguments.protocol:
        return None
    protocols = load_manifest(arguments.manifest).protocols
    if arguments.protocol not in protocols:
        raise CommandError(
            f"unknown protocol {arguments.protocol!r}; there are {', '.join(protocols)}", USAGE
        )
    return protocols[arguments.protocol]


def recorded(path: Path) -> list[Measurement]:
    """The measurements of a ledger; torn lines are told on stderr."""
    if not path.is_file():
        raise CommandError(f"{path}: no ledger there; run zoo verify first or name one with --ledger", USAGE)
    try:
        measurements, torn = ledger.read_with_warnings(path, Measurement)
    except ledger.LedgerError as error:
        raise CommandError(str(error), USAGE) from error
    for warning in torn:
        print(f"zoo: warning: {warning}", file=sys.stderr)
    return measurements


def format_name(arguments: argparse.Namespace) -> str:
    """As asked for, else as the suffix of the file that is written or checked says, else text."""
    if arguments.json:
        return "json"
    file = getattr(arguments, "check", None) or arguments.out
    return arguments.format or SUFFIXES.get(file.suffix if file else "", "text")
