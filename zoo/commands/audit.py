"""`zoo audit`: check the claims against their sources and against reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..audit import audit_of, scope_text
from ..audit.findings import any_as_grave, as_records, as_text
from ..audit.page import Page
from ..audit.row_logs import cached_logs
from ..audit.sources import AuditSources
from ..console.exit_codes import ExitCode
from ..files.named_files import named_path
from ..manifest import load_manifest, packaged_publishers
from ..publishers import read_sources
from ..publishers.configs import read_configs
from .shared import flags
from .shared.answer import json_text, write

if TYPE_CHECKING:
    import argparse


MOST = 10
"""Findings of a kind that are shown unless all are asked for."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """What to compare with, and what counts as a failure."""
    parser.add_argument(
        "--source",
        action="append",
        default=[],
        type=named_path,
        metavar="FILE",
        help="a publisher's README table or metafile to compare with; may be repeated",
    )
    parser.add_argument(
        "--configs",
        action="append",
        default=[],
        type=named_path,
        metavar="PATH",
        help="the publisher's configurations that the documents link, as for zoo import; may be repeated",
    )
    parser.add_argument(
        "--fail-on",
        choices=("error", "warning", "note"),
        help="exit 1 where a finding is at least as grave (default: exit 0 whatever is found)",
    )
    parser.add_argument(
        "--strict",
        dest="fail_on",
        action="store_const",
        const="warning",
        help="the same as --fail-on warning",
    )
    parser.add_argument(
        "--format", default="text", choices=("text", "md"), help="of the findings (default: text)"
    )
    parser.add_argument("--all", action="store_true", help=f"of a kind more than {MOST} findings too")
    flags.add_json(parser)
    flags.add_manifest(parser)


def run(arguments: argparse.Namespace) -> int:
    """Findings about the claims; exits 1 where one is as grave as --fail-on says."""
    manifest = load_manifest(arguments.manifest)
    publishers = packaged_publishers() | manifest.publishers
    documents = [document for path in arguments.source for document in read_sources(path, publishers)]
    logs = cached_logs(manifest)
    sources = AuditSources(manifest, documents, logs, [read_configs(path) for path in arguments.configs])
    findings = audit_of(sources)
    scope = scope_text(manifest, documents, logs)
    if arguments.json:
        write(json_text(as_records(findings)))
    elif arguments.format == "md":
        write(Page(sources).text(findings, scope))
    else:
        write(as_text(findings, scope, None if arguments.all else MOST))
    failed = arguments.fail_on and any_as_grave(findings, arguments.fail_on)
    return ExitCode.REFUTED if failed else ExitCode.OK
