"""The `zoo` command: one function a subcommand, errors to one message and an exit code.

Exit codes: 0 all fine; 1 a claim was refuted; 2 usage; 3 could not measure; 4 integrity; 5 nothing
selected; 130 interrupted. Data go to stdout, progress and messages to stderr. torch is imported only by
the commands that need it.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from . import places
from .fetch import FetchError, IntegrityError, check_hash, fetch, fetch_action, weights_path
from .manifest import ManifestError, UnknownCheckpoint, json_schema, load_manifest
from .parser import USAGE, build_parser
from .selection import SelectionError, select

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Sequence

    from ..evaluate.protocol import EvalProtocol
    from ..reports.table import Row
    from .manifest import Checkpoint
    from .measurement import Measurement
    from .verify import Options, Outcome

OK, REFUTED, CANNOT_MEASURE, INTEGRITY, NOTHING_SELECTED, INTERRUPTED = 0, 1, 3, 4, 5, 130


class CommandError(Exception):
    """A user's mistake or a missing thing: one message and an exit code."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def main(argv: Sequence[str] | None = None) -> int:  # noqa: PLR0911  (one way out a kind of error)
    """Run one command and return its exit code; never a traceback for a user's mistake."""
    arguments = build_parser().parse_args(argv)
    try:
        code = COMMANDS[arguments.command](arguments)
        sys.stdout.flush()
    except CommandError as error:
        return _fail(str(error), error.exit_code)
    except (ManifestError, UnknownCheckpoint, SelectionError) as error:
        return _fail(str(error), USAGE)
    except IntegrityError as error:
        return _fail(str(error), INTEGRITY)
    except FetchError as error:
        return _fail(str(error), CANNOT_MEASURE)
    except KeyboardInterrupt:
        return _fail("interrupted; what was measured is kept, run the same command to go on", INTERRUPTED)
    except BrokenPipeError:
        # `zoo list | head`: the reader has what it wanted; keep Python from complaining at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    return code


def _fail(message: str, code: int) -> int:
    print(f"zoo: {message}", file=sys.stderr)
    return code


# --- commands ---------------------------------------------------------------------------------------


def run_list(arguments: argparse.Namespace) -> int:
    """`zoo list`."""
    from .listing import list_records, list_table  # noqa: PLC0415

    chosen = _selected(arguments)
    _write(_json(list_records(chosen)) if arguments.json else list_table(chosen))
    return OK


def run_show(arguments: argparse.Namespace) -> int:
    """`zoo show ID`."""
    from .listing import protocol_text, show_records, show_text  # noqa: PLC0415

    chosen = _selected(arguments)
    if arguments.json:
        _write(_json(show_records(chosen)))
    elif arguments.protocol:
        protocols = [row.protocol(claim.metric) for row in chosen for claim in row.claims if claim.protocol]
        _write("\n\n".join(protocol_text(protocol) for protocol in dict.fromkeys(protocols)))
    else:
        _write("\n\n\n".join(show_text(checkpoint) for checkpoint in chosen))
    return OK


def run_fetch(arguments: argparse.Namespace) -> int:
    """`zoo fetch`: every chosen file, one failure does not stop the others."""
    from .progress import byte_bar  # noqa: PLC0415

    codes = []
    for checkpoint in _selected(arguments):
        if arguments.dry_run:
            _write(f"{checkpoint.id}: {fetch_action(checkpoint).value}, {weights_path(checkpoint)}")
            continue
        try:
            with byte_bar(checkpoint.id, quiet=arguments.quiet) as progress:
                path = fetch(checkpoint, offline=arguments.offline or None, progress=progress)
        except FetchError as error:
            codes.append(
                _fail(str(error), INTEGRITY if isinstance(error, IntegrityError) else CANNOT_MEASURE)
            )
        else:
            _write(f"{checkpoint.id}: {path}{_hash_note(checkpoint, path)}")
    return max(codes, default=OK)


def _hash_note(checkpoint: Checkpoint, path: Path) -> str:
    weights = checkpoint.weights
    if weights.sha256 or weights.sha256_prefix:
        return " (hash verified)"
    return f" (its publisher gives no hash to verify; sha256 {check_hash(path, weights)})"


def run_verify(arguments: argparse.Namespace) -> int:
    """`zoo verify`: verdicts for the chosen claims."""
    chosen = _selected(arguments)
    if arguments.dry_run:
        return _plan(chosen, arguments)
    _require_metrics(chosen, arguments.metric)
    _require_file_place("--out", arguments.out)
    _require_file_place("--ledger", arguments.ledger)
    return _verify_and_print(chosen, _options(arguments), arguments)


def _verify_and_print(chosen: Iterable[Checkpoint], options: Options, arguments: argparse.Namespace) -> int:
    from ..evaluate.device import DeviceError  # noqa: PLC0415
    from ..evaluate.evidence import EvidenceError  # noqa: PLC0415
    from ..reports.ledger import LedgerError  # noqa: PLC0415
    from .progress import Bars  # noqa: PLC0415
    from .verify import exit_code, verify  # noqa: PLC0415

    outcomes = []
    try:
        for outcome in verify(chosen, options, Bars(quiet=arguments.quiet)):
            _say_as_it_comes(outcome, arguments)
            outcomes.append(outcome)
    except (DeviceError, EvidenceError, LedgerError) as error:
        raise CommandError(str(error), CANNOT_MEASURE) from error
    finally:
        if outcomes:
            _print_outcomes(outcomes, arguments)
    return exit_code(outcomes)


def _say_as_it_comes(outcome: Outcome, arguments: argparse.Namespace) -> None:
    if arguments.verbose:
        verdict = outcome.verdict
        found = f" {verdict.measured:.2f}" if verdict.measured is not None else ""
        print(f"{verdict.checkpoint} {verdict.metric}:{found} {verdict.status.value}", file=sys.stderr)


def _print_outcomes(outcomes: list[Outcome], arguments: argparse.Namespace) -> None:
    from .tables import report_row  # noqa: PLC0415

    rows = {outcome.checkpoint.id: outcome.checkpoint for outcome in outcomes}
    _print_tables(
        [
            report_row(checkpoint, [o.verdict for o in outcomes if o.checkpoint.id == name])
            for name, checkpoint in rows.items()
        ],
        arguments,
    )


def _plan(chosen: Iterable[Checkpoint], arguments: argparse.Namespace) -> int:
    """`zoo verify --dry-run`: what each row would need and whether it is there."""
    from tabulate import tabulate  # noqa: PLC0415

    from ..evaluate.datasets import DatasetError, locate  # noqa: PLC0415

    rows = []
    for checkpoint in chosen:
        try:
            data = str(locate(checkpoint.dataset_spec, arguments.data_root).root)
        except DatasetError as error:
            data = str(error)
        rows.append([checkpoint.id, fetch_action(checkpoint).value, data])
    _write(tabulate(rows, ["id", "weights", "data"], maxcolwidths=[None, None, 80]))
    return OK


def run_report(arguments: argparse.Namespace) -> int:
    """`zoo report`: the tables again from the ledger, without measuring."""
    from ..reports.verdict import Status  # noqa: PLC0415
    from .tables import judge_ledger  # noqa: PLC0415

    chosen = _selected(arguments)
    measurements = _ledger(arguments.ledger)
    rows = [judge_ledger(checkpoint, measurements, arguments.tolerance) for checkpoint in chosen]
    _print_tables(rows, arguments)
    refuted = any(verdict.status is Status.REFUTED for row in rows for verdict in row.verdicts)
    return REFUTED if refuted else OK


def _ledger(path: Path) -> list[Measurement]:
    """The measurements of a ledger; torn lines are told on stderr."""
    from ..reports import ledger  # noqa: PLC0415
    from .measurement import Measurement  # noqa: PLC0415

    if not path.is_file():
        raise CommandError(f"{path}: no ledger there; run zoo verify first or name one with --ledger", USAGE)
    try:
        measurements, torn = ledger.read_with_warnings(path, Measurement)
    except ledger.LedgerError as error:
        raise CommandError(str(error), USAGE) from error
    for warning in torn:
        print(f"zoo: warning: {warning}", file=sys.stderr)
    return measurements


def run_demo(arguments: argparse.Namespace) -> int:
    """`zoo demo`: the whole path on the embedded demo zoo."""
    from .demo import DEMO_TOLERANCE, STREETS, demo_checkpoints, serve  # noqa: PLC0415
    from .verify import Options  # noqa: PLC0415

    work = arguments.keep or Path(tempfile.mkdtemp(prefix="zoo-demo-"))
    try:
        with serve(STREETS) as server:
            print(f"zoo: weights from {server}, images from {STREETS}", file=sys.stderr)
            options = Options(
                device=arguments.device,
                data_root=STREETS,
                home=work,
                offline=False,
                evidence=work / "evidence.sqlite",
                ledger=work / "measurements.jsonl",
                tolerance=DEMO_TOLERANCE,
            )
            return _verify_and_print(demo_checkpoints(server), options, arguments)
    finally:
        if not arguments.keep:
            shutil.rmtree(work, ignore_errors=True)


def run_doctor(arguments: argparse.Namespace) -> int:
    """`zoo doctor`: what this machine can measure."""
    from .doctor import doctor_text, examine  # noqa: PLC0415

    findings = examine(load_manifest(arguments.manifest), arguments.data_root)
    _write(_json(findings) if arguments.json else doctor_text(findings))
    return OK


def run_check_weights(arguments: argparse.Namespace) -> int:
    """`zoo check-weights`: what can be told of the files without a data set."""
    from .check_weights import check, check_all, exit_code, report_records, report_text  # noqa: PLC0415

    chosen = _selected(arguments)
    _warn_of_unsafe(arguments)
    if arguments.file:
        row = _the_one(chosen, "--file belongs to one checkpoint")
        among = load_manifest(arguments.manifest)
        reports = [check(row, arguments.file, among=among, unsafe=arguments.unsafe_load)]
    else:
        reports = check_all(chosen, unsafe=arguments.unsafe_load)
    _write(_json(report_records(reports)) if arguments.json else report_text(reports))
    return exit_code(reports)


def run_convert(arguments: argparse.Namespace) -> int:
    """`zoo convert ID FILE OUT`: safetensors from a publisher's file that fits."""
    from ..models.weights import WeightsError  # noqa: PLC0415
    from .check_weights import convert  # noqa: PLC0415

    row = load_manifest(arguments.manifest)[arguments.id]
    _warn_of_unsafe(arguments)
    try:
        target = convert(
            row, arguments.file, arguments.out, force=arguments.force, unsafe=arguments.unsafe_load
        )
    except WeightsError as error:
        raise CommandError(str(error), INTEGRITY) from error
    _write(f"{row.id}: {target}")
    return OK


def _the_one(chosen: Sequence[Checkpoint], rule: str) -> Checkpoint:
    if len(chosen) != 1:
        raise CommandError(f"{rule}; {len(chosen)} were selected", USAGE)
    return chosen[0]


def _warn_of_unsafe(arguments: argparse.Namespace) -> None:
    if arguments.unsafe_load:
        print("zoo: warning: --unsafe-load runs whatever code a checkpoint contains", file=sys.stderr)


def run_audit(arguments: argparse.Namespace) -> int:
    """`zoo audit`: findings about the claims; exits 0 with findings unless --strict."""
    from .audit import audit  # noqa: PLC0415
    from .findings import AUDIT_FORMATS, as_records  # noqa: PLC0415
    from .sources import SourceError, read_source  # noqa: PLC0415

    try:
        documents = [read_source(path) for path in arguments.source]
    except SourceError as error:
        raise CommandError(str(error), USAGE) from error
    findings = audit(load_manifest(arguments.manifest), documents)
    _write(_json(as_records(findings)) if arguments.json else AUDIT_FORMATS[arguments.format](findings))
    grave = any(one.gravity != "note" for one in findings)
    return REFUTED if arguments.strict and grave else OK


def run_import(arguments: argparse.Namespace) -> int:
    """`zoo import FILE`: manifest entries from a publisher's table."""
    from .import_file import Request, import_file  # noqa: PLC0415
    from .manifest_edit import EditError  # noqa: PLC0415
    from .sources import SourceError  # noqa: PLC0415

    request = Request(
        key=arguments.document,
        publisher=arguments.publisher,
        url=arguments.url,
        date=arguments.date,
        listed=arguments.listed,
        only=tuple(arguments.only),
    )
    _require_file_place("--into", arguments.into)
    try:
        result = import_file(arguments.file, request, arguments.into)
    except (SourceError, EditError) as error:
        raise CommandError(str(error), USAGE) from error
    if arguments.into is None:
        _write(result.text)
    else:
        _write_file(arguments.into, result.text)
        _write(f"{arguments.into}: {result.summary}")
    if result.left_out:
        print(f"zoo: left out of new entries, being in no table: {result.left_out}", file=sys.stderr)
    return OK


def run_export(arguments: argparse.Namespace) -> int:
    """`zoo export`: model-index or CSV of the chosen claims."""
    from .export import EXPORTS  # noqa: PLC0415

    chosen = _selected(arguments)
    documents = load_manifest(arguments.manifest).documents
    text = EXPORTS[arguments.format](chosen, documents, _ledger(arguments.ledger) if arguments.ledger else ())
    if arguments.out is None:
        _write(text)
    else:
        _require_file_place("--out", arguments.out)
        _write_file(arguments.out, text)
    return OK


def run_schema(arguments: argparse.Namespace) -> int:
    """`zoo schema`: the manifest's JSON Schema."""
    del arguments
    _write(_json(json_schema()))
    return OK


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "list": run_list,
    "show": run_show,
    "fetch": run_fetch,
    "verify": run_verify,
    "report": run_report,
    "demo": run_demo,
    "doctor": run_doctor,
    "check-weights": run_check_weights,
    "convert": run_convert,
    "audit": run_audit,
    "import": run_import,
    "export": run_export,
    "schema": run_schema,
}


# --- between arguments and records ------------------------------------------------------------------


def _selected(arguments: argparse.Namespace) -> list[Checkpoint]:
    chosen = select(load_manifest(arguments.manifest), arguments.ids, arguments.where)
    if not chosen:
        raise CommandError(
            f"nothing selected by {' '.join([*arguments.ids, arguments.where]).strip()!r}; zoo list shows what there is",
            NOTHING_SELECTED,
        )
    return chosen


def _options(arguments: argparse.Namespace) -> Options:
    from .verify import Options  # noqa: PLC0415

    return Options(
        device=arguments.device,
        precision=arguments.precision,
        data_root=arguments.data_root,
        metrics=tuple(arguments.metric),
        protocol=_named_protocol(arguments),
        offline=arguments.offline or None,
        evidence=arguments.evidence or places.zoo_home() / "evidence.sqlite",
        ledger=arguments.ledger,
        tolerance=arguments.tolerance,
    )


def _named_protocol(arguments: argparse.Namespace) -> EvalProtocol | None:
    if not arguments.protocol:
        return None
    protocols = load_manifest(arguments.manifest).protocols
    if arguments.protocol not in protocols:
        raise CommandError(
            f"unknown protocol {arguments.protocol!r}; there are {', '.join(protocols)}", USAGE
        )
    return protocols[arguments.protocol]


def _require_file_place(flag: str, path: Path | None) -> None:
    """Refuse a place that cannot take a file before hours of measuring, not after."""
    if path is None:
        return
    existing = next(place for place in (path, *path.absolute().parents) if place.exists())
    if path.is_dir() or not (existing.is_dir() or existing == path) or not os.access(existing, os.W_OK):
        found = "a folder" if path.is_dir() else f"{existing}, which cannot take it"
        raise CommandError(f"{flag} {path}: expected a file that can be written, found {found}", USAGE)


def _require_metrics(chosen: Iterable[Checkpoint], metrics: Iterable[str]) -> None:
    """Refuse metrics that none of the chosen rows claims, rather than judge nothing."""
    claimed = {claim.metric for checkpoint in chosen for claim in checkpoint.claims}
    for metric in metrics:
        if metric not in claimed:
            raise CommandError(f"no chosen checkpoint claims {metric}", NOTHING_SELECTED)


def _print_tables(rows: Sequence[Row], arguments: argparse.Namespace) -> None:
    from ..reports.table import FORMATS  # noqa: PLC0415

    text = FORMATS["json" if arguments.json else arguments.format](rows)
    if arguments.out is None:
        _write(text)
        return
    _require_file_place("--out", arguments.out)
    _write_file(arguments.out, text.rstrip("\n") + "\n")


def _write_file(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode("utf-8"))
    except OSError as error:
        raise CommandError(f"{path}: cannot write: {error.strerror or error}", USAGE) from error


def _write(text: str) -> None:
    print(text.rstrip("\n"))


def _json(data: object) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False)
