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
from typing import TYPE_CHECKING, Any

import msgspec

from . import places
from .fetch import FetchError, IntegrityError, fetch, fetch_action
from .manifest import ManifestError, UnknownCheckpoint, json_schema, load_manifest
from .parser import USAGE, build_parser
from .selection import SelectionError, select

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Sequence

    import torch
    from torch import nn

    from ..evaluate.accuracy import Loading
    from ..evaluate.protocol import EvalProtocol
    from ..reports.table import Row
    from .manifest import Checkpoint, Claim
    from .memory import MemoryRow
    from .tables import Answers
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
        return _fail("interrupted; what was done is kept, run the same command to go on", INTERRUPTED)
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
    """`zoo fetch`: every chosen file, one failure does not stop the others; or a look at the cache."""
    from .fetch_command import fetch_files, plan, result_record, wanted_of  # noqa: PLC0415

    if arguments.task is not None:
        return _look_after_cache(arguments)
    wanted = wanted_of(_selected(arguments), papers=arguments.with_logs, update_lock=arguments.update_lock)
    if arguments.dry_run:
        answer = plan(wanted)
        _write(_json(answer.records) if arguments.json else answer.text)
        return OK
    results, code = fetch_files(wanted, arguments)
    if arguments.json:
        _write(_json([result_record(result) for result in results]))
    return code


def _look_after_cache(arguments: argparse.Namespace) -> int:
    """`zoo fetch --list`, `--verify`, `--prune`, `--check-links`."""
    from .fetch_command import check_links, list_cache, prune_cache, verify_cache, wanted_of  # noqa: PLC0415

    if arguments.task == "prune":
        if arguments.ids or arguments.where:
            raise CommandError("--prune looks at the whole cache; leave out what selects rows", USAGE)
        answer = prune_cache(load_manifest(arguments.manifest), dry_run=arguments.dry_run)
    elif arguments.task == "check-links":
        if arguments.offline or places.is_offline():
            raise CommandError("--check-links asks the network, and --offline (or ZOO_OFFLINE) is set", USAGE)
        answer = check_links(_selected(arguments), load_manifest(arguments.manifest), arguments)
    else:
        wanted = wanted_of(_selected(arguments), papers=True)
        answer = list_cache(wanted) if arguments.task == "list" else verify_cache(wanted, places.zoo_home())
    _write(_json(answer.records) if arguments.json else answer.text)
    for fault in answer.faults:
        _fail(fault, answer.exit_code)
    return answer.exit_code


def run_verify(arguments: argparse.Namespace) -> int:
    """`zoo verify`: verdicts for the chosen claims."""
    chosen = _on_folder(_selected(arguments), arguments) if arguments.folder else _selected(arguments)
    if arguments.dry_run:
        return _plan(chosen, arguments)
    _require_metrics(chosen, arguments.metric)
    _require_file_place("--out", arguments.out)
    _require_file_place("--ledger", arguments.ledger)
    options = _options(
        arguments,
        metrics=tuple(arguments.metric),
        protocol=_named_protocol(arguments),
        tolerance=arguments.tolerance,
        not_comparable=f"measured on {arguments.folder}, not on the claim's data set"
        if arguments.folder
        else "",
    )
    return _verify_and_print(chosen, options, arguments)


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


def run_memory(arguments: argparse.Namespace) -> int:
    """`zoo memory`: foretold training memory, and measured where a device is asked for."""
    from ..reports.verdict import exit_code  # noqa: PLC0415
    from .memory import METRIC  # noqa: PLC0415
    from .memory_table import breakdown_text, memory_records, memory_table  # noqa: PLC0415

    if not arguments.ids and not arguments.where:
        arguments.where = f"metric={METRIC}"
    rows = _memory_rows(_selected(arguments), arguments)
    if arguments.json:
        _write(_json(memory_records(rows, fits_gib=arguments.fits)))
    else:
        parts = rows if arguments.breakdown or len(rows) == 1 else []
        table = memory_table(rows, fits_gib=arguments.fits)
        _write("\n\n\n".join([table, *(breakdown_text(row) for row in parts)]))
    return exit_code(row.verdict for row in rows)


def _memory_rows(chosen: Sequence[Checkpoint], arguments: argparse.Namespace) -> list[MemoryRow]:
    """Foretold rows; with `--measure` each is measured, and on record before the next one begins."""
    from ..reports import ledger  # noqa: PLC0415
    from .memory import NotTrainable, Setup, memory_rows, run_record  # noqa: PLC0415
    from .progress import row_bar  # noqa: PLC0415

    setup = Setup(batch=arguments.batch, crop=arguments.crop, classes=arguments.classes)
    device = _training_device(arguments) if arguments.measure else None
    rows = []
    try:
        for row in memory_rows(row_bar(chosen, "tracing", quiet=arguments.quiet), setup, device):
            rows.append(row)
            if device is not None:
                ledger.append(arguments.ledger, run_record(row, device))
    except NotTrainable as error:
        raise CommandError(str(error), USAGE if device is None else CANNOT_MEASURE) from error
    except ledger.LedgerError as error:
        raise CommandError(str(error), CANNOT_MEASURE) from error
    return rows


def _training_device(arguments: argparse.Namespace) -> torch.device:
    from ..evaluate.device import DeviceError, resolve_device  # noqa: PLC0415

    _require_file_place("--ledger", arguments.ledger)
    try:
        device = resolve_device(arguments.device)
    except DeviceError as error:
        raise CommandError(str(error), CANNOT_MEASURE) from error
    if device.type != "cuda":
        message = f"--device {arguments.device}: only a CUDA device counts its memory; leave --measure out to foretell it"
        raise CommandError(message, CANNOT_MEASURE)
    return device


def run_report(arguments: argparse.Namespace) -> int:
    """`zoo report`: the tables again from the ledger, without measuring."""
    from ..reports import ledger  # noqa: PLC0415
    from ..reports.verdict import Status  # noqa: PLC0415
    from .measurement import Measurement  # noqa: PLC0415
    from .tables import Answers, judge_ledger  # noqa: PLC0415

    chosen = _selected(arguments)
    if not arguments.ledger.is_file():
        raise CommandError(
            f"{arguments.ledger}: no ledger there; run zoo verify first or name one with --ledger", USAGE
        )
    try:
        measurements, torn = ledger.read_with_warnings(arguments.ledger, Measurement)
    except ledger.LedgerError as error:
        raise CommandError(str(error), USAGE) from error
    for warning in torn:
        print(f"zoo: warning: {warning}", file=sys.stderr)
    answers = Answers(measurements)
    if arguments.definitions:
        return _print_definitions(chosen, answers, arguments)
    rows = [judge_ledger(checkpoint, answers, arguments.tolerance) for checkpoint in chosen]
    _print_tables(rows, arguments)
    refuted = any(verdict.status is Status.REFUTED for row in rows for verdict in row.verdicts)
    return REFUTED if refuted else OK


def _print_definitions(chosen: Iterable[Checkpoint], answers: Answers, arguments: argparse.Namespace) -> int:
    from ..reports.records import format_records  # noqa: PLC0415
    from .tables import definition_records  # noqa: PLC0415

    records = definition_records(chosen, answers)
    if not records:
        raise CommandError(
            f"{arguments.ledger}: no measured mIoU of the chosen checkpoints there; run zoo verify first",
            CANNOT_MEASURE,
        )
    _write_out(format_records(records, _format_name(arguments)), arguments.out)
    return OK


def run_predict(arguments: argparse.Namespace) -> int:
    """`zoo predict ID IMAGE…`: label maps and overlays of one's own pictures."""
    from ..evaluate.device import DeviceError, numerics, resolve_device  # noqa: PLC0415
    from .predict import PredictError, find_pictures, predict_pictures  # noqa: PLC0415
    from .progress import picture_bar  # noqa: PLC0415

    row = load_manifest(arguments.manifest)[arguments.id]
    protocol = _named_protocol(arguments) or row.protocol("miou")
    try:
        pictures = find_pictures(arguments.images)
        device = resolve_device(arguments.device)
    except PredictError as error:
        raise CommandError(str(error), USAGE) from error
    except DeviceError as error:
        raise CommandError(str(error), CANNOT_MEASURE) from error
    model = _loaded(row, arguments).to(device)
    done = []
    try:
        with numerics(arguments.precision):
            made = predict_pictures(model, pictures, row.dataset_spec, protocol, arguments.out / row.id)
            for prediction in picture_bar(made, total=len(pictures), quiet=arguments.quiet):
                done.append(prediction)
                if prediction.fault:
                    print(f"zoo: {prediction.fault}", file=sys.stderr)
                elif not arguments.json:
                    _write(f"{prediction.image}: {prediction.labels}, {prediction.overlay}")
    except PredictError as error:
        raise CommandError(str(error), CANNOT_MEASURE) from error
    if arguments.json:
        _write(_json([msgspec.to_builtins(prediction) for prediction in done]))
    return CANNOT_MEASURE if any(prediction.fault for prediction in done) else OK


def _loaded(row: Checkpoint, arguments: argparse.Namespace) -> nn.Module:
    """The row's model with its published weights, fetched where they are not in the cache."""
    from ..models.weights import WeightsError  # noqa: PLC0415
    from .progress import byte_bar  # noqa: PLC0415

    with byte_bar(row.id, quiet=arguments.quiet) as progress:
        path = fetch(row, offline=arguments.offline or None, progress=progress)
    try:
        return row.load(path)
    except WeightsError as error:
        raise CommandError(str(error), INTEGRITY) from error


def run_diagnose(arguments: argparse.Namespace) -> int:
    """`zoo diagnose ID`: which known mistake explains a number."""
    from ..evaluate.device import DeviceError, numerics, resolve_device  # noqa: PLC0415
    from ..evaluate.evidence import EvidenceError, EvidenceStore  # noqa: PLC0415
    from ..reports.ledger import LedgerError  # noqa: PLC0415
    from .diagnose import diagnose_claim, diagnosis_record, diagnosis_text  # noqa: PLC0415
    from .progress import Bars, diagnosis_bar  # noqa: PLC0415
    from .verify import DatasetShelf, NotMeasured, RowVerifier  # noqa: PLC0415

    row = load_manifest(arguments.manifest)[arguments.id]
    claim = _accuracy_claim(row, arguments.metric)
    value = arguments.value or claim.printed
    if value is None:
        raise CommandError(f"{row.id}: no {claim.metric} is printed; name a number with --value", USAGE)
    options = _options(arguments)
    try:
        with EvidenceStore(options.evidence) as store, numerics(options.precision):
            shelf, device = DatasetShelf(options.data_root), resolve_device(options.device)
            verifier = RowVerifier(row, options, store, shelf, device, Bars(quiet=arguments.quiet))
            steps = diagnose_claim(verifier, claim, value, arguments.images)
            diagnosis = diagnosis_bar(steps, quiet=arguments.quiet)
    except NotMeasured as absence:
        raise CommandError(absence.reason, absence.exit_code) from absence
    except (DeviceError, EvidenceError, LedgerError) as error:
        raise CommandError(str(error), CANNOT_MEASURE) from error
    text = _json(diagnosis_record(diagnosis)) if arguments.json else diagnosis_text(diagnosis)
    _write_out(text, arguments.out)
    return OK if diagnosis.is_reproduced or diagnosis.explanations else REFUTED


def _accuracy_claim(row: Checkpoint, metric: str) -> Claim:
    """The row's claim of a metric, the newest where its authors revised it."""
    claims = [claim for claim in row.claims if claim.metric == metric and claim.protocol]
    if not claims:
        known = ", ".join(dict.fromkeys(claim.metric for claim in row.claims if claim.protocol))
        raise CommandError(f"{row.id}: no {metric} with a protocol is claimed; there are {known}", USAGE)
    return claims[-1]


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


def run_data(arguments: argparse.Namespace) -> int:
    """`zoo data`: whether the data sets are whole and what they should be."""
    from ..evaluate.datasets import DatasetError  # noqa: PLC0415
    from ..evaluate.folder import folder_spec  # noqa: PLC0415
    from .data import UnknownDataset, chosen_specs, data_records, data_text, examine, exit_code  # noqa: PLC0415

    if arguments.folder and arguments.names:
        raise CommandError("name data sets of the manifest or give --folder, not both", USAGE)
    try:
        if arguments.folder:
            specs, root = [folder_spec(arguments.folder)], arguments.folder
        else:
            specs, root = (
                chosen_specs(load_manifest(arguments.manifest), arguments.names),
                arguments.data_root,
            )
    except UnknownDataset as error:
        raise CommandError(str(error), USAGE) from error
    except DatasetError as error:
        raise CommandError(str(error), CANNOT_MEASURE) from error
    reports = list(examine(specs, root, full=arguments.full, quiet=arguments.quiet))
    _write(_json(data_records(reports)) if arguments.json else data_text(reports))
    return exit_code(reports, named=bool(arguments.names or arguments.folder))


def run_check_weights(arguments: argparse.Namespace) -> int:
    """`zoo check-weights`: what can be told of the files without a data set."""
    from .check_weights import (  # noqa: PLC0415
        check,
        check_all,
        complete_lock,
        exit_code,
        report_records,
        report_text,
    )

    chosen = _selected(arguments)
    _warn_of_unsafe(arguments)
    if arguments.file:
        row = _the_one(chosen, "--file belongs to one checkpoint")
        among = load_manifest(arguments.manifest)
        reports = [check(row, arguments.file, among=among, unsafe=arguments.unsafe_load)]
    else:
        reports = check_all(chosen, unsafe=arguments.unsafe_load)
        complete_lock(chosen, reports)
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
    "memory": run_memory,
    "report": run_report,
    "predict": run_predict,
    "diagnose": run_diagnose,
    "demo": run_demo,
    "doctor": run_doctor,
    "data": run_data,
    "check-weights": run_check_weights,
    "convert": run_convert,
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


def _on_folder(chosen: Iterable[Checkpoint], arguments: argparse.Namespace) -> list[Checkpoint]:
    """The chosen rows with the user's folder in place of their data set, which becomes the data root."""
    from ..evaluate.datasets import DatasetError  # noqa: PLC0415
    from .data import DataMisfit, on_folder  # noqa: PLC0415

    try:
        rows = on_folder(chosen, arguments.folder)
    except DataMisfit as error:
        raise CommandError(str(error), USAGE) from error
    except DatasetError as error:
        raise CommandError(str(error), CANNOT_MEASURE) from error
    arguments.data_root = arguments.folder
    return rows


def _options(arguments: argparse.Namespace, **claims: Any) -> Options:
    """Where and how to measure, as the flags say; `claims` are options about which claims and how to judge."""
    from .verify import Options  # noqa: PLC0415

    return Options(
        device=arguments.device,
        precision=arguments.precision,
        loading=_loading(arguments),
        data_root=arguments.data_root,
        offline=arguments.offline or None,
        evidence=arguments.evidence or places.zoo_home() / "evidence.sqlite",
        ledger=arguments.ledger,
        **claims,
    )


def _loading(arguments: argparse.Namespace) -> Loading:
    """How images reach the network; commands without the flags take what `verify` does."""
    from ..evaluate.accuracy import Loading  # noqa: PLC0415

    named = {"workers": getattr(arguments, "workers", None), "batch": getattr(arguments, "view_batch", None)}
    return Loading(**{name: number for name, number in named.items() if number is not None})


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

    _write_out(FORMATS[_format_name(arguments)](rows), arguments.out)


def _format_name(arguments: argparse.Namespace) -> str:
    return "json" if arguments.json else arguments.format


def _write_out(text: str, out: Path | None) -> None:
    """To a file where one is named, else to stdout."""
    if out is None:
        _write(text)
        return
    _require_file_place("--out", out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text.rstrip("\n") + "\n", encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{out}: cannot write: {error.strerror or error}", USAGE) from error


def _write(text: str) -> None:
    print(text.rstrip("\n"))


def _json(data: object) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False)
