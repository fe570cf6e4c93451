"""The `zoo` command: one function a subcommand, errors to one message and an exit code.

Exit codes: 0 all fine; 1 a claim was refuted or is worse; 2 usage; 3 could not measure; 4 integrity; 5 nothing
selected; 6 a claim is gone; 130 interrupted. Data go to stdout, progress and messages to stderr. torch is
imported only by the commands that need it.
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
from .parser import SUFFIXES, USAGE, build_parser
from .selection import SelectionError, select

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Sequence

    import torch
    from torch import nn

    from ..evaluate.accuracy import Loading
    from ..evaluate.evidence import EvidenceStore
    from ..evaluate.protocol import EvalProtocol
    from ..reports.background import Background, Scene
    from ..reports.table import Row
    from ..reports.verdict import Tolerance
    from .baseline import State
    from .manifest import Checkpoint, Claim
    from .measurement import Measurement
    from .memory import MemoryRow
    from .speed import SpeedRun
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
    _require_parts_that_go_together(arguments)
    _require_file_place("--out", arguments.out)
    _require_file_place("--ledger", arguments.ledger)
    _require_file_place("--save-baseline", arguments.save_baseline)
    options = _options(
        arguments,
        metrics=tuple(arguments.metric),
        protocol=_named_protocol(arguments),
        tolerance=arguments.tolerance,
        not_comparable=f"measured on {arguments.folder}, not on the claim's data set"
        if arguments.folder
        else "",
        limit=arguments.limit,
        shard=arguments.shard,
        until_sure=arguments.until_sure,
        engine=arguments.engine,
        address=arguments.address,
    )
    stored = _stored_state(arguments)  # read first: it may be the very ledger that grows
    return _compared(_verified(chosen, options, arguments), stored, options, arguments)


def _verify_and_print(chosen: Iterable[Checkpoint], options: Options, arguments: argparse.Namespace) -> int:
    from .verify import exit_code  # noqa: PLC0415

    return exit_code(_verified(chosen, options, arguments))


def _verified(chosen: Iterable[Checkpoint], options: Options, arguments: argparse.Namespace) -> list[Outcome]:
    """Every outcome, its tables printed; what was known at an interruption is printed too."""
    from ..evaluate.device import DeviceError  # noqa: PLC0415
    from ..evaluate.evidence import EvidenceError  # noqa: PLC0415
    from ..reports.ledger import LedgerError  # noqa: PLC0415
    from .engine import EngineError  # noqa: PLC0415
    from .progress import Bars  # noqa: PLC0415
    from .verify import verify  # noqa: PLC0415

    outcomes, bars = [], Bars(quiet=arguments.quiet)
    try:
        for outcome in verify(chosen, options, bars):
            _say_as_it_comes(outcome, arguments)
            outcomes.append(outcome)
    except KeyboardInterrupt:
        raise CommandError(_interrupted(bars.counted, options, arguments), INTERRUPTED) from None
    except (DeviceError, EngineError, EvidenceError, LedgerError) as error:
        raise CommandError(str(error), CANNOT_MEASURE) from error
    finally:
        if outcomes:
            _print_outcomes(outcomes, options.tolerance, arguments)
    return outcomes


def _stored_state(arguments: argparse.Namespace) -> State | None:
    """What `--baseline` names; None where it names nothing."""
    from .baseline import BaselineError, read_state  # noqa: PLC0415

    try:
        return (
            read_state(arguments.baseline, load_manifest(arguments.manifest)) if arguments.baseline else None
        )
    except BaselineError as error:
        raise CommandError(f"--baseline {error}", USAGE) from error


def _compared(
    outcomes: list[Outcome], stored: State | None, options: Options, arguments: argparse.Namespace
) -> int:
    """The exit code: what changed since the stored state counts where there is one, else the verdicts."""
    from .baseline import BaselineError, differences_text, stored_claim, write_state  # noqa: PLC0415
    from .regression import Run, announce, differences_of, exit_code  # noqa: PLC0415

    run = Run(
        outcomes=tuple(outcomes),
        manifest=load_manifest(arguments.manifest),
        everything=not (arguments.ids or arguments.where),
        metrics=tuple(arguments.metric),
        options=options,
    )
    differences = None if stored is None else differences_of(run, stored)
    if differences is not None:
        mixed = _format_name(arguments) != "text" and not arguments.out
        print(differences_text(differences), file=sys.stderr if mixed else sys.stdout)
    announce(run, differences)
    if arguments.save_baseline:
        try:
            write_state(arguments.save_baseline, [stored_claim(o.verdict, o.measurement) for o in outcomes])
        except BaselineError as error:
            raise CommandError(f"--save-baseline {error}", USAGE) from error
    return exit_code(run, differences)


def _interrupted(counted: int, options: Options, arguments: argparse.Namespace) -> str:
    """What Ctrl-C leaves behind, and how to go on."""
    if arguments.command == "demo" and not arguments.keep:
        return "interrupted; nothing is kept, zoo demo --keep DIR would go on where it stopped"
    images = f"{counted} image{'s' if counted != 1 else ''}"
    return f"interrupted; the counts of {images} of this run are kept in {options.evidence}: run the same command to go on"


def _say_as_it_comes(outcome: Outcome, arguments: argparse.Namespace) -> None:
    if arguments.verbose:
        verdict = outcome.verdict
        found = f" {verdict.measured:.2f}" if verdict.measured is not None else ""
        print(f"{verdict.checkpoint} {verdict.metric}:{found} {verdict.status.value}", file=sys.stderr)


def _print_outcomes(
    outcomes: list[Outcome], tolerance: Tolerance | None, arguments: argparse.Namespace
) -> None:
    from .background import background  # noqa: PLC0415
    from .tables import report_row, tell_shapes  # noqa: PLC0415

    rows = {outcome.checkpoint.id: outcome.checkpoint for outcome in outcomes}
    judged = [
        (row, [one.verdict for one in outcomes if one.checkpoint.id == row.id]) for row in rows.values()
    ]
    measured = {id(o.measurement): o.measurement for o in outcomes if o.measurement is not None}
    speeds = [record for record in measured.values() if record.metric == "fps"]
    _print_tables(
        [report_row(row, verdicts) for row, verdicts in tell_shapes(judged, speeds)],
        background(list(rows.values()), measured.values(), tolerance),
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

    rows = _memory_rows(_rows_that_print(METRIC, arguments), arguments)
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


def run_speed(arguments: argparse.Namespace) -> int:
    """`zoo speed`: images a second by the publisher's protocol, or by another one of its own name."""
    from ..reports.verdict import exit_code  # noqa: PLC0415
    from .speed_table import speed_records, speed_table  # noqa: PLC0415
    from .speed_verdicts import METRIC, conditions, judge_speed, network_of, with_shape  # noqa: PLC0415

    chosen = {row.id: row for row in _rows_that_print(METRIC, arguments)}
    _require_file_place("--ledger", arguments.ledger)
    runs = _speed_runs(chosen.values(), arguments)
    judged = [
        (row, claim, run.measurement)
        for run in runs
        if run.protocol.is_the_claims
        for row in [chosen[run.measurement.checkpoint]]
        for claim in row.claims
        if claim.metric == METRIC
    ]
    told, shapes = with_shape(
        [judge_speed(*one) for one in judged],
        {one[0].id: conditions(*one) for one in judged},
        {one[0].id: network_of(one[0]) for one in judged},
    )
    verdicts = {verdict.checkpoint: verdict for verdict in told}
    _write(_json(speed_records(runs, verdicts)) if arguments.json else speed_table(runs, verdicts, shapes))
    return exit_code(told) if told else OK


def _rows_that_print(metric: str, arguments: argparse.Namespace) -> list[Checkpoint]:
    """The selected rows; where nothing selects, those that print the metric, or all where none does."""
    if arguments.ids or arguments.where:
        return _selected(arguments)
    rows = _selected(arguments)
    return [row for row in rows if any(claim.metric == metric for claim in row.published)] or rows


def _speed_runs(rows: Iterable[Checkpoint], arguments: argparse.Namespace) -> list[SpeedRun]:
    """Every row's runs, each on record before the next one begins."""
    from ..evaluate.device import DeviceError  # noqa: PLC0415
    from ..reports import ledger  # noqa: PLC0415
    from .progress import timing_bar  # noqa: PLC0415
    from .speed import NoSpeed, SpeedOptions, sweep, time_row  # noqa: PLC0415

    options = SpeedOptions(
        device=arguments.device,
        data_root=arguments.data_root,
        precision=arguments.precision,
        compiled=arguments.compile,
        channels_last=arguments.channels_last,
        batch=arguments.batch,
        limit=arguments.limit,
    )
    runs: list[SpeedRun] = []
    try:
        for row in rows:
            series = sweep(row, options) if arguments.sweep else [time_row(row, options)]
            for steps in series:
                runs.append(timing_bar(steps, row.id, quiet=arguments.quiet))
                ledger.append(arguments.ledger, runs[-1].measurement)
    except (DeviceError, NoSpeed, ledger.LedgerError) as error:
        raise CommandError(str(error), CANNOT_MEASURE) from error
    return runs


def run_report(arguments: argparse.Namespace) -> int:
    """`zoo report`: the tables again from the ledger or from stored counts, without measuring."""
    from ..reports.verdict import Status  # noqa: PLC0415
    from .background import background  # noqa: PLC0415
    from .tables import Answers, answering, judge_ledger, report_row  # noqa: PLC0415

    if arguments.check and arguments.out:
        raise CommandError("--check writes nothing; leave --out out", USAGE)
    chosen = _selected(arguments)
    answers = Answers(_from_evidence(arguments.evidence) if arguments.evidence else _ledger(arguments.ledger))
    if arguments.definitions:
        return _print_definitions(chosen, answers, arguments)
    judged = judge_ledger(chosen, answers, arguments.tolerance)
    rows = [report_row(checkpoint, verdicts) for checkpoint, verdicts in judged]
    measured = answering(chosen, answers)
    pictures = _scenes(chosen, measured, arguments) if arguments.pictures else ()
    about = background(chosen, measured, arguments.tolerance, scenes=pictures)
    if arguments.check:
        return _check_file(_tables_text(rows, about, arguments), arguments.check)
    _print_tables(rows, about, arguments)
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


def _scenes(
    chosen: Iterable[Checkpoint], measured: Iterable[Measurement], arguments: argparse.Namespace
) -> list[Scene]:
    """`zoo report --pictures`: a few images of every row whose mIoU was measured."""
    from ..evaluate.device import DeviceError, resolve_device  # noqa: PLC0415
    from .pictures import scenes  # noqa: PLC0415

    if _format_name(arguments) != "html":
        raise CommandError("--pictures belongs to --format html", USAGE)
    names = {record.checkpoint for record in measured if record.metric == "miou"}
    try:
        device = resolve_device(arguments.device)
    except DeviceError as error:
        raise CommandError(str(error), CANNOT_MEASURE) from error
    rows = [checkpoint for checkpoint in chosen if checkpoint.id in names]
    made = []
    for found in scenes(rows, arguments.pictures, arguments.data_root, device):
        if isinstance(found, str):
            print(f"zoo: warning: {found}", file=sys.stderr)
        else:
            made.append(found)
    return made


def _from_evidence(path: Path) -> list[Measurement]:
    from ..evaluate.evidence import EvidenceError, EvidenceStore  # noqa: PLC0415
    from .recount import finished  # noqa: PLC0415

    try:
        with EvidenceStore(path, read_only=True) as store:
            return list(finished(store))
    except EvidenceError as error:
        raise CommandError(str(error), CANNOT_MEASURE) from error


def run_plan(arguments: argparse.Namespace) -> int:
    """`zoo plan`: what a verification will take."""
    from .plan import estimates, plan_record, plan_text, speeds  # noqa: PLC0415

    chosen = _selected(arguments)
    records = _ledger(arguments.ledger) if arguments.ledger.is_file() else []
    known = speeds(records, load_manifest(arguments.manifest), arguments.on)
    if arguments.on and not known.seconds_per_image:
        raise CommandError(f"--on {arguments.on}: {arguments.ledger} has no measurement on it", USAGE)
    if not known.seconds_per_image and not arguments.tflops:
        raise CommandError(
            f"{arguments.ledger}: no measured speed there; run zoo verify --limit 20 on one row first, or state "
            "your device's throughput with --tflops",
            CANNOT_MEASURE,
        )
    found = estimates(chosen, known, arguments.tflops)
    _write(
        _json(plan_record(found, known, arguments.gpus))
        if arguments.json
        else plan_text(found, known, arguments.gpus, arguments.tflops)
    )
    return OK


def run_evidence(arguments: argparse.Namespace) -> int:
    """`zoo evidence`: look after the stored counts."""
    from ..evaluate.evidence import EvidenceError, EvidenceStore  # noqa: PLC0415
    from .evidence_command import UnknownSeries  # noqa: PLC0415

    path = arguments.evidence or places.zoo_home() / "evidence.sqlite"
    reads = arguments.task in ("list", "show", "export") or (arguments.task == "prune" and arguments.dry_run)
    try:
        if arguments.task == "prune" and not path.is_file():
            raise CommandError(f"{path}: no evidence there", CANNOT_MEASURE)
        with EvidenceStore(path, read_only=reads) as store:
            return _EVIDENCE_TASKS[arguments.task](store, arguments)
    except UnknownSeries as error:
        raise CommandError(str(error), NOTHING_SELECTED) from error
    except EvidenceError as error:
        raise CommandError(str(error), CANNOT_MEASURE) from error


def _evidence_list(store: EvidenceStore, arguments: argparse.Namespace) -> int:
    from .evidence_command import chosen, holdings, list_text, record  # noqa: PLC0415

    held = chosen(holdings(store), arguments.series)
    _write(_json([record(holding) for holding in held]) if arguments.json else list_text(held))
    return OK


def _evidence_show(store: EvidenceStore, arguments: argparse.Namespace) -> int:
    from .evidence_command import chosen, holdings, record, score, show_text  # noqa: PLC0415

    held = chosen(holdings(store), arguments.series)
    scores = [score(store, holding) if arguments.scores else None for holding in held]
    pairs = list(zip(held, scores, strict=True))
    if arguments.json:
        _write(_json([record(holding, found) for holding, found in pairs]))
    else:
        _write("\n\n\n".join(show_text(holding, found) for holding, found in pairs) or "no evidence yet")
    incomplete = arguments.scores and any(found is None for found in scores)
    return CANNOT_MEASURE if incomplete else OK


def _evidence_export(store: EvidenceStore, arguments: argparse.Namespace) -> int:
    from .evidence_command import chosen, give_away, holdings, keys_of  # noqa: PLC0415

    held = chosen(holdings(store), arguments.series)
    images = give_away(store, arguments.file, held, force=arguments.force)
    answer = {"file": str(arguments.file), "series": len(keys_of(held)), "images": images}
    _write(
        _json(answer)
        if arguments.json
        else f"{answer['file']}: {images} images of {answer['series']} series, {arguments.file.stat().st_size} bytes"
    )
    return OK


def _evidence_merge(store: EvidenceStore, arguments: argparse.Namespace) -> int:
    from .evidence_command import bring_together  # noqa: PLC0415

    records = bring_together(store, arguments.files)
    lines = [f"{found['file']}: {found['images']} images, {found['new']} of them new" for found in records]
    _write(_json(records) if arguments.json else "\n".join(lines))
    return OK


def _evidence_prune(store: EvidenceStore, arguments: argparse.Namespace) -> int:
    from .evidence_command import chosen, holdings, keys_of, list_text, older, record  # noqa: PLC0415

    if not arguments.series and arguments.older is None:
        raise CommandError("zoo evidence prune: name series, or give --older DAYS", USAGE)
    held = chosen(holdings(store), arguments.series)
    held = held if arguments.older is None else older(held, arguments.older)
    if not arguments.dry_run and held:
        store.forget(keys_of(held))
    _write(_json([record(holding) for holding in held]) if arguments.json else list_text(held))
    images = sum({holding.series: holding.images for holding in held}.values())
    verb = "would be deleted" if arguments.dry_run else "deleted"
    print(f"zoo: {images} images of {len(keys_of(held))} series {verb}", file=sys.stderr)
    return OK


_EVIDENCE_TASKS: dict[str, Callable[[EvidenceStore, argparse.Namespace], int]] = {
    "list": _evidence_list,
    "show": _evidence_show,
    "export": _evidence_export,
    "merge": _evidence_merge,
    "prune": _evidence_prune,
}


def _print_definitions(chosen: Iterable[Checkpoint], answers: Answers, arguments: argparse.Namespace) -> int:
    from ..reports.records import format_records  # noqa: PLC0415
    from .tables import definition_records  # noqa: PLC0415

    if _format_name(arguments) in {"html", "junit"}:
        raise CommandError("--definitions is a plain table: --format text, md, csv or json", USAGE)
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
        pictures = find_pictures(arguments.images, arguments.out / row.id)
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
    _require_file_place("--out", arguments.out)
    _require_file_place("--ledger", arguments.ledger)
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
    "memory": run_memory,
    "speed": run_speed,
    "report": run_report,
    "plan": run_plan,
    "evidence": run_evidence,
    "predict": run_predict,
    "diagnose": run_diagnose,
    "demo": run_demo,
    "doctor": run_doctor,
    "data": run_data,
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

    named = {name: getattr(arguments, name, None) for name in ("workers", "batch")}
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


def _require_parts_that_go_together(arguments: argparse.Namespace) -> None:
    if arguments.until_sure and (arguments.limit or arguments.shard or arguments.folder):
        raise CommandError(
            "--until-sure judges a claim from all the images of its data set; leave out --limit, --shard and --folder",
            USAGE,
        )
    if arguments.address and arguments.engine != "ray":
        raise CommandError("--address is a Ray cluster's; add --engine ray", USAGE)


def _require_metrics(chosen: Iterable[Checkpoint], metrics: Iterable[str]) -> None:
    """Refuse metrics that none of the chosen rows claims, rather than judge nothing."""
    claimed = {claim.metric for checkpoint in chosen for claim in checkpoint.claims}
    for metric in metrics:
        if metric not in claimed:
            raise CommandError(f"no chosen checkpoint claims {metric}", NOTHING_SELECTED)


def _print_tables(rows: Sequence[Row], about: Background, arguments: argparse.Namespace) -> None:
    _write_out(_tables_text(rows, about, arguments), arguments.out)


def _tables_text(rows: Sequence[Row], about: Background, arguments: argparse.Namespace) -> str:
    from ..reports.formats import FORMATS  # noqa: PLC0415

    return FORMATS[_format_name(arguments)](rows, about)


def _format_name(arguments: argparse.Namespace) -> str:
    """As asked for, else as the suffix of the file that is written or checked says, else text."""
    if arguments.json:
        return "json"
    file = getattr(arguments, "check", None) or arguments.out
    return arguments.format or SUFFIXES.get(file.suffix if file else "", "text")


def _check_file(text: str, path: Path) -> int:
    """`zoo report --check`: 0 where a file is what would be written, else 1 and how it differs."""
    from ..reports.difference import short_difference  # noqa: PLC0415

    try:
        found = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"--check {path}: cannot read: {error}", USAGE) from error
    difference = short_difference(found, text.rstrip("\n") + "\n")
    if not difference:
        return OK
    _write(difference)
    again = "the ledger, the manifest or the program say otherwise; write it again with zoo report --out"
    return _fail(f"{path}: not what the measurements give: {again} {path}", REFUTED)


def _write_out(text: str, out: Path | None) -> None:
    """To a file where one is named, else to stdout."""
    if out is None:
        _write(text)
        return
    _require_file_place("--out", out)
    _write_file(out, text.rstrip("\n") + "\n")


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
