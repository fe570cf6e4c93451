"""`zoo check-weights`: examine weights files without any data set."""

from __future__ import annotations

from textwrap import indent
from typing import TYPE_CHECKING, Any

import msgspec

from ...reports.media import tabulate
from ..console.exit_codes import ExitCode
from ..files.named_files import named_file
from ..manifest import load_manifest
from .shared import flags
from .shared.answer import json_text, write
from .shared.arguments import only_one, selected, warn_of_unsafe

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from ..weights.check import WeightsReport

_FIELDS = ("path", "container", "sha256", "hash_state", "content_digest", "parameters", "canary")


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Which rows' files, or which file."""
    flags.add_selection(parser)
    flags.add_builders(parser)
    parser.add_argument(
        "--file", type=named_file, help="a file to examine as the chosen ID's, instead of the cache's"
    )
    flags.add_unsafe(parser)
    flags.add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """What can be told of the files without a data set."""
    from ..weights.check import check, check_all, complete_lock, exit_code

    chosen = selected(arguments)
    warn_of_unsafe(arguments)
    if arguments.file:
        row = only_one(chosen, "--file belongs to one checkpoint")
        among = load_manifest(arguments.manifest)
        reports = [check(row, arguments.file, among=among, unsafe=arguments.unsafe_load)]
    else:
        reports = check_all(chosen, unsafe=arguments.unsafe_load)
        complete_lock(chosen, reports)
    write(json_text(report_records(reports)) if arguments.json else report_text(reports))
    return exit_code(reports)


def report_records(reports: Iterable[WeightsReport]) -> list[dict[str, Any]]:
    """`zoo check-weights --json`: one object a row, null where a thing could not be told."""
    return [
        {"checkpoint": report.checkpoint, "ok": report.ok}
        | {name: getattr(report, name) for name in _FIELDS}
        | {"findings": [msgspec.to_builtins(finding) for finding in report.findings]}
        for report in reports
    ]


def report_text(reports: Iterable[WeightsReport]) -> str:
    """The reports for a person: a block a row, and a line about all."""
    known = list(reports)
    sound = sum(report.ok for report in known)
    absent = sum(any(finding.gravity == "absent" for finding in report.findings) for report in known)
    unexamined = sum(_judgement(report) == "not examined" for report in known)
    line = f"{sound} sound, {len(known) - sound - absent - unexamined} not to be used, {absent} not there"
    line += f", {unexamined} not examined" if unexamined else ""
    return "\n\n".join([*map(_block, known), line])


def _block(report: WeightsReport) -> str:
    facts = [
        ("file", report.path),
        ("container", report.container),
        ("sha256", report.sha256 and f"{report.sha256} ({report.hash_state})"),
        ("content", report.content_digest),
        ("parameters", report.parameters and f"{report.parameters:,}"),
        ("canary", report.canary),
        *((finding.gravity, f"{finding.what}: {finding.meaning}") for finding in report.findings),
    ]
    rows = [(name, str(value)) for name, value in facts if value]
    table = tabulate(rows, tablefmt="plain", disable_numparse=True)
    return f"{report.checkpoint}: {_judgement(report)}\n{indent(table, '  ')}"


def _judgement(report: WeightsReport) -> str:
    from ..weights.check import exit_code

    code = exit_code([report])
    unsettled = "not there" if any(one.gravity == "absent" for one in report.findings) else "not examined"
    return {ExitCode.CANNOT_MEASURE: unsettled, ExitCode.INTEGRITY: "not to be used"}.get(code, "sound")
