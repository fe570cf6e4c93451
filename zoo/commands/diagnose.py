"""`zoo diagnose`: which known mistake explains a number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...evaluate.evidence import EvidenceError, EvidenceStore
from ...evaluate.predict.device import DeviceError, numerics, resolve_device
from ...reports.ledger import LedgerError
from ..console.exit_codes import ExitCode
from ..manifest import load_manifest
from ..runs.diagnosis import diagnose_claim, diagnosis_record, diagnosis_text
from ..verify import DatasetShelf, NotMeasured, RowVerifier
from .shared.answer import CommandError, json_text, require_file_place, write_out
from .shared.arguments import format_name
from .shared.progress import Bars, diagnosis_bar
from .verify import measuring_options

if TYPE_CHECKING:
    import argparse

    from ..manifest import Checkpoint, Claim


def run_diagnose(arguments: argparse.Namespace) -> int:
    """`zoo diagnose ID`: which known mistake explains a number."""
    row = load_manifest(arguments.manifest)[arguments.id]
    claim = _accuracy_claim(row, arguments.metric)
    value = arguments.value or claim.printed
    if value is None:
        raise CommandError(
            f"{row.id}: no {claim.metric} is printed; name a number with --value", ExitCode.USAGE
        )
    require_file_place("--out", arguments.out)
    as_json = _is_json(arguments)
    require_file_place("--ledger", arguments.ledger)
    options = measuring_options(arguments)
    try:
        with EvidenceStore(options.evidence) as store, numerics(options.precision):
            shelf, device = DatasetShelf(options.data_root), resolve_device(options.device)
            verifier = RowVerifier(row, options, store, shelf, device, Bars(quiet=arguments.quiet))
            steps = diagnose_claim(verifier, claim, value, arguments.images)
            diagnosis = diagnosis_bar(steps, quiet=arguments.quiet)
    except NotMeasured as absence:
        raise CommandError(absence.reason, absence.exit_code) from absence
    except (DeviceError, EvidenceError, LedgerError) as error:
        raise CommandError(str(error), ExitCode.CANNOT_MEASURE) from error
    text = json_text(diagnosis_record(diagnosis)) if as_json else diagnosis_text(diagnosis)
    write_out(text, arguments.out)
    return ExitCode.OK if diagnosis.is_reproduced or diagnosis.explanations else ExitCode.REFUTED


def _accuracy_claim(row: Checkpoint, metric: str) -> Claim:
    """The row's claim of a metric, the newest where its authors revised it."""
    claims = [claim for claim in row.claims if claim.metric == metric and claim.protocol]
    if not claims:
        known = ", ".join(dict.fromkeys(claim.metric for claim in row.claims if claim.protocol))
        raise CommandError(
            f"{row.id}: no {metric} with a protocol is claimed; there are {known}", ExitCode.USAGE
        )
    return claims[-1]


def _is_json(arguments: argparse.Namespace) -> bool:
    """As the flag or the suffix of the file says; a diagnosis is text or JSON and nothing else."""
    arguments.format = None
    name = format_name(arguments)
    if name not in {"text", "json"}:
        raise CommandError(
            f"--out {arguments.out}: a diagnosis is text or JSON: end it in .txt or .json", ExitCode.USAGE
        )
    return name == "json"
