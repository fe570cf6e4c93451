"""`zoo audit`: check the claims against their sources and against reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..audit import audit, scope_text
from ..audit.findings import AUDIT_FORMATS, any_as_grave, as_records
from ..audit.row_logs import cached_logs
from ..console.exit_codes import ExitCode
from ..files.named_files import named_path
from ..manifest import load_manifest
from ..publishers import read_sources
from .shared import flags
from .shared.answer import json_text, write

if TYPE_CHECKING:
    import argparse


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
    flags.add_json(parser)
    flags.add_manifest(parser)


def run(arguments: argparse.Namespace) -> int:
    """Findings about the claims; exits 1 where one is as grave as --fail-on says."""
    manifest = load_manifest(arguments.manifest)
    publishers = load_manifest().publishers | manifest.publishers
    documents = [document for path in arguments.source for document in read_sources(path, publishers)]
    logs = cached_logs(manifest)
    findings = audit(manifest, documents, logs)
    if arguments.json:
        write(json_text(as_records(findings)))
    else:
        write(AUDIT_FORMATS[arguments.format](findings, scope_text(manifest, documents, logs)))
    failed = arguments.fail_on and any_as_grave(findings, arguments.fail_on)
    return ExitCode.REFUTED if failed else ExitCode.OK
