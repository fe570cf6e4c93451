"""`zoo audit`, `zoo import`, `zoo export`: claims checked against each other, taken in, given away."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ..audit import audit, scope_text
from ..audit.findings import AUDIT_FORMATS, any_as_grave, as_records
from ..audit.row_logs import cached_logs
from ..console.exit_codes import ExitCode
from ..manifest import load_manifest
from ..publishers import SourceError, read_sources
from ..publishers.import_file import Request, import_file
from ..publishers.import_rows import EditError
from ..results.model_index import EXPORTS
from .shared.answer import CommandError, Data, json_text, require_file_place, write, write_file, write_out
from .shared.arguments import recorded, selected

if TYPE_CHECKING:
    import argparse


def run_audit(arguments: argparse.Namespace) -> int:
    """`zoo audit`: findings about the claims; exits 1 where one is as grave as --fail-on says."""
    try:
        documents = [document for path in arguments.source for document in read_sources(path)]
    except SourceError as error:
        raise CommandError(str(error), ExitCode.USAGE) from error
    manifest = load_manifest(arguments.manifest)
    logs = cached_logs(manifest)
    findings = audit(manifest, documents, logs)
    if arguments.json:
        write(json_text(as_records(findings)))
    else:
        write(AUDIT_FORMATS[arguments.format](findings, scope_text(manifest, documents, logs)))
    return (
        ExitCode.REFUTED if arguments.fail_on and any_as_grave(findings, arguments.fail_on) else ExitCode.OK
    )


def run_import(arguments: argparse.Namespace) -> int:
    """`zoo import FILE`: manifest entries from a publisher's table."""
    request = Request(
        key=arguments.document,
        publisher=arguments.publisher,
        url=arguments.url,
        date=arguments.date,
        listed=arguments.listed,
        only=tuple(arguments.only),
    )
    require_file_place("--into", arguments.into)
    try:
        result = import_file(arguments.file, request, arguments.into)
    except (SourceError, EditError) as error:
        raise CommandError(str(error), ExitCode.USAGE) from error
    if arguments.into is None:
        write(Data(result.text))
    else:
        for path, data in result.files.items():
            write_file(path, data.decode())
        write(f"{arguments.into}: {result.summary}")
    if result.left_out:
        print(f"zoo: left out of new entries, being in no table: {result.left_out}", file=sys.stderr)
    return ExitCode.OK


def run_export(arguments: argparse.Namespace) -> int:
    """`zoo export`: model-index or CSV of the chosen claims."""
    chosen = selected(arguments)
    documents = load_manifest(arguments.manifest).documents
    text = EXPORTS[arguments.format](
        chosen, documents, recorded(arguments.ledger) if arguments.ledger else ()
    )
    write_out(text, arguments.out)
    return ExitCode.OK
