"""What several commands read out of their arguments: rows, a protocol, a ledger."""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING

from ....models.adapters import is_program
from ....reports import ledger
from ....reports.metrics import METRICS
from ...console.exit_codes import ExitCode
from ...manifest import load_manifest
from ...manifest.selection import select
from ...measuring.measurement import Measurement
from .answer import CommandError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from ....evaluate.protocol import EvalProtocol
    from ...manifest import Checkpoint, Manifest

_NAMED = 4
"""Rows named in one message."""


def selected(arguments: argparse.Namespace) -> list[Checkpoint]:
    """The rows that ids and `--where` choose, in the manifest's order; at least one."""
    chosen = select(load_manifest(arguments.manifest), arguments.ids, arguments.where)
    if not chosen:
        raise CommandError(
            f"nothing selected by {' '.join([*arguments.ids, arguments.where]).strip()!r}; zoo list shows what there is",
            ExitCode.NOTHING_SELECTED,
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
        raise CommandError(f"{rule}; {len(chosen)} were selected")
    return chosen[0]


def warn_of_program(file: Path) -> None:
    """Say on stderr that a file named by the user is code."""
    if is_program(file):
        print(
            f"zoo: warning: {file.name} is a program of torch.export: reading it can run code",
            file=sys.stderr,
        )


def named_protocol(arguments: argparse.Namespace) -> EvalProtocol | None:
    """The manifest's protocol of the name given with `--protocol`; None where none is."""
    if not arguments.protocol:
        return None
    protocols = load_manifest(arguments.manifest).protocols
    if arguments.protocol not in protocols:
        raise CommandError(f"unknown protocol {arguments.protocol!r}; there are {', '.join(protocols)}")
    return protocols[arguments.protocol]


def recorded(path: Path) -> list[Measurement]:
    """The measurements of a ledger; torn lines and unknown fields are told on stderr."""
    if not path.is_file():
        raise CommandError(f"{path}: no ledger there; run zoo verify first or name one with --ledger")
    try:
        measurements, warnings = ledger.read_with_warnings(path, Measurement, Measurement.fault)
    except ledger.LedgerError as error:
        raise CommandError(str(error)) from error
    if warnings and not measurements:
        lost = warnings[0].partition(": ")[2]
        raise CommandError(f"{path}: no whole measurement is left in it: {lost}; restore it from a copy")
    for warning in (*warnings, *map(_doubt, filter(_is_share, measurements))):
        print(f"zoo: warning: {warning}", file=sys.stderr)
    return measurements


def _is_share(record: Measurement) -> bool:
    """Whether an accuracy looks like a share of one where a percentage belongs; classes as bad say that it is none."""
    is_percentage = record.metric in METRICS and METRICS[record.metric].unit == "%"
    classes = [value for value in record.details.get("iou_percent", {}).values() if value is not None]
    is_that_bad = bool(classes) and sum(classes) / len(classes) <= 1
    return is_percentage and 0 < record.value <= 1 and not is_that_bad


def _doubt(record: Measurement) -> str:
    return (
        f"{record.checkpoint}: {record.metric} {record.value:g} is taken for percent; is it a share of one?"
    )


def warn_of_strangers(measurements: Iterable[Measurement], source: Path, manifest: Manifest) -> None:
    """Say on stderr which measurements are of no row of the manifest: the ledger may be another's."""
    known = {row.id for row in manifest}
    records = list(measurements)
    strange = Counter(record.checkpoint for record in records if record.checkpoint not in known)
    if strange:
        named = ", ".join(list(strange)[:_NAMED]) + (
            f" and {len(strange) - _NAMED} more" if len(strange) > _NAMED else ""
        )
        print(
            f"zoo: warning: {source}: {strange.total()} of {len(records)} measurements are of no row of the manifest: "
            f"{named}; is it another manifest's ledger? --manifest names one",
            file=sys.stderr,
        )


def warn_of_unsafe(arguments: argparse.Namespace) -> None:
    """What `--unsafe-load` means, on stderr."""
    if arguments.unsafe_load:
        print("zoo: warning: --unsafe-load runs whatever code a checkpoint contains", file=sys.stderr)
