"""`zoo verify`: verdicts on the chosen claims, as tables, against a stored state where one is named."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from ...evaluate.accuracy import Loading
from ...evaluate.data.datasets import DatasetError, locate
from ...evaluate.evidence import EvidenceError
from ...evaluate.predict.device import DeviceError
from ...reports.ledger import LedgerError
from ...reports.media import tabulate
from ..console.exit_codes import ExitCode
from ..console.signals import exit_code as interrupt_exit_code
from ..engines import EngineError
from ..fetch import fetch_action
from ..files import places
from ..manifest import load_manifest
from ..results.answers import report_row
from ..results.background import background
from ..results.baseline import BaselineError, State, differences_text, read_saved, read_state, write_state
from ..results.judging import told_across
from ..runs.regression import Run, announce, differences_of, exit_code, updated_state, with_changes
from ..verify import Options, verify
from ..verify import exit_code as verdicts_exit_code
from .data import DataMisfit, on_folder
from .shared.answer import CommandError, require_file_place, write
from .shared.arguments import format_name, named_protocol, only_one, selected
from .shared.progress import Bars
from .shared.tables import print_tables

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from ...reports.background import Background
    from ...reports.tolerance import Tolerance
    from ..manifest import Checkpoint
    from ..results.baseline import Update
    from ..verify import Outcome


def run_verify(arguments: argparse.Namespace) -> int:
    """`zoo verify`: verdicts for the chosen claims."""
    chosen = _on_folder(selected(arguments), arguments) if arguments.folder else selected(arguments)
    if arguments.dry_run:
        return _plan(chosen, arguments)
    _require_metrics(chosen, arguments.metric)
    _require_parts_that_go_together(arguments)
    if arguments.file:
        only_one(chosen, "--file belongs to one checkpoint")
    require_file_place("--out", arguments.out)
    format_name(arguments)
    require_file_place("--ledger", arguments.ledger)
    require_file_place("--save-baseline", arguments.save_baseline)
    options = measuring_options(
        arguments,
        metrics=tuple(arguments.metric),
        protocol=named_protocol(arguments),
        tolerance=arguments.tolerance,
        not_comparable=f"measured on {arguments.folder}, not on the claim's data set"
        if arguments.folder
        else "",
        weights_file=arguments.file,
        limit=arguments.limit,
        shard=arguments.shard,
        until_sure=arguments.until_sure,
        engine=arguments.engine,
        address=arguments.address,
    )
    states = _stored_states(arguments)  # read first: one may be the very ledger that grows
    run = Run(
        outcomes=tuple(_verified(chosen, options, arguments)),
        manifest=load_manifest(arguments.manifest),
        chosen=frozenset(checkpoint.id for checkpoint in chosen),
        everything=not (arguments.ids or arguments.where),
        metrics=tuple(arguments.metric),
        options=options,
        stored=states.baseline,
    )
    return _compared(run, states.saved, arguments)


def _on_folder(chosen: Iterable[Checkpoint], arguments: argparse.Namespace) -> list[Checkpoint]:
    """The chosen rows with the user's folder in place of their data set, which becomes the data root."""
    try:
        rows = on_folder(chosen, arguments.folder)
    except DataMisfit as error:
        raise CommandError(str(error), ExitCode.USAGE) from error
    except DatasetError as error:
        raise CommandError(str(error), ExitCode.CANNOT_MEASURE) from error
    arguments.data_root = arguments.folder
    return rows


def measuring_options(arguments: argparse.Namespace, **claims: Any) -> Options:
    """Where and how to measure, as the flags say; `claims` are options about which claims and how to judge."""
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
    named = {name: getattr(arguments, name, None) for name in ("workers", "batch", "kernel")}
    return Loading(**{name: value for name, value in named.items() if value is not None})


def _require_parts_that_go_together(arguments: argparse.Namespace) -> None:
    if arguments.until_sure and (arguments.limit or arguments.shard or arguments.folder):
        raise CommandError(
            "--until-sure judges a claim from all the images of its data set; leave out --limit, --shard and --folder",
            ExitCode.USAGE,
        )
    of_its_own = arguments.limit or arguments.folder or arguments.protocol or arguments.precision != "fp32"
    if arguments.save_baseline and of_its_own:
        raise CommandError(
            "--save-baseline keeps what the claims are, and this measures something else; leave out --limit, --folder, "
            "--protocol and --precision",
            ExitCode.USAGE,
        )
    if arguments.file and arguments.engine == "ray":
        raise CommandError("--engine ray: nodes fetch weights themselves; leave --file out", ExitCode.USAGE)
    if arguments.address and arguments.engine != "ray":
        raise CommandError("--address is a Ray cluster's; add --engine ray", ExitCode.USAGE)


def _require_metrics(chosen: Iterable[Checkpoint], metrics: Iterable[str]) -> None:
    """Refuse metrics that none of the chosen rows claims, rather than judge nothing."""
    claimed = {claim.metric for checkpoint in chosen for claim in checkpoint.claims}
    for metric in metrics:
        if metric not in claimed:
            raise CommandError(f"no chosen checkpoint claims {metric}", ExitCode.NOTHING_SELECTED)


def _plan(chosen: Iterable[Checkpoint], arguments: argparse.Namespace) -> int:
    """`zoo verify --dry-run`: what each row would need and whether it is there."""
    rows = []
    for checkpoint in chosen:
        try:
            data = str(locate(checkpoint.dataset_spec, arguments.data_root).root)
        except DatasetError as error:
            data = str(error)
        rows.append([checkpoint.id, fetch_action(checkpoint).value, data])
    write(tabulate(rows, ["id", "weights", "data"], maxcolwidths=[None, None, 80]))
    return ExitCode.OK


def verify_and_print(chosen: Iterable[Checkpoint], options: Options, arguments: argparse.Namespace) -> int:
    """Measure, print the tables, and give the exit code that the verdicts stand for."""
    outcomes = _verified(chosen, options, arguments)
    _print_outcomes(outcomes, options.tolerance, arguments)
    return verdicts_exit_code(outcomes)


def _verified(chosen: Iterable[Checkpoint], options: Options, arguments: argparse.Namespace) -> list[Outcome]:
    """Every outcome; where the run ends early, what was known by then is printed."""
    outcomes, bars, is_whole = [], Bars(quiet=arguments.quiet), False
    try:
        for outcome in verify(chosen, options, bars):
            _say_as_it_comes(outcome, arguments)
            outcomes.append(outcome)
        is_whole = True
    except KeyboardInterrupt as interrupt:
        message = _interrupted(bars.counted, options, arguments)
        raise CommandError(message, interrupt_exit_code(interrupt)) from None
    except (DeviceError, EngineError, EvidenceError, LedgerError) as error:
        raise CommandError(str(error), ExitCode.CANNOT_MEASURE) from error
    finally:
        if outcomes and not is_whole:
            _print_outcomes(outcomes, options.tolerance, arguments)
    return outcomes


def _say_as_it_comes(outcome: Outcome, arguments: argparse.Namespace) -> None:
    if arguments.verbose:
        verdict = outcome.verdict
        found = f" {verdict.measured:.2f}" if verdict.measured is not None else ""
        print(f"{verdict.checkpoint} {verdict.metric}:{found} {verdict.status.value}", file=sys.stderr)


def _interrupted(counted: int, options: Options, arguments: argparse.Namespace) -> str:
    """What Ctrl-C leaves behind, and how to go on."""
    if arguments.command == "demo" and not arguments.keep:
        return "interrupted; nothing is kept, zoo demo --keep DIR would go on where it stopped"
    images = f"{counted} image{'s' if counted != 1 else ''}"
    return f"interrupted; the counts of {images} of this run are kept in {options.evidence}: run the same command to go on"


def _print_outcomes(
    outcomes: list[Outcome],
    tolerance: Tolerance | None,
    arguments: argparse.Namespace,
    told: Callable[[Background], Background] = lambda about: about,
) -> None:
    """The tables, with what `told` has to add to them."""
    rows = {outcome.checkpoint.id: outcome.checkpoint for outcome in outcomes}
    judged = told_across([(one.checkpoint, one.claim, one.measurement, one.verdict) for one in outcomes])
    verdicts = {name: [verdict for row, _, _, verdict in judged if row.id == name] for name in rows}
    measured = {id(o.measurement): o.measurement for o in outcomes if o.measurement is not None}
    print_tables(
        [report_row(row, verdicts[name]) for name, row in rows.items()],
        told(background(list(rows.values()), measured.values(), tolerance)),
        arguments,
    )


class StoredStates(NamedTuple):
    """What was stored before this run."""

    baseline: State | None
    """To compare with; None where nothing is named."""
    saved: State | None
    """To be replaced by this run's; None where nothing is."""


def _stored_states(arguments: argparse.Namespace) -> StoredStates:
    """What `--baseline` and `--save-baseline` name; a file to be written first takes over from the one compared."""
    manifest = load_manifest(arguments.manifest)
    flag = "--baseline"
    try:
        baseline = read_state(arguments.baseline, manifest) if arguments.baseline else None
        flag = "--save-baseline"
        saved = read_saved(arguments.save_baseline, manifest) if arguments.save_baseline else None
    except BaselineError as error:
        raise CommandError(f"{flag} {error}", ExitCode.USAGE) from error
    return StoredStates(baseline, saved or baseline)


def _compared(run: Run, saved: State | None, arguments: argparse.Namespace) -> int:
    """The exit code: what changed since the stored state counts where there is one, else the verdicts."""
    outcomes, differences = list(run.outcomes), None
    try:
        differences = differences_of(run)
    finally:  # it may measure once more, and that may be interrupted
        _print_outcomes(
            outcomes,
            run.options.tolerance,
            arguments,
            lambda about: with_changes(about, run, differences),
        )
    if differences is not None:
        mixed = format_name(arguments) != "text" and not arguments.out
        print(differences_text(differences), file=sys.stderr if mixed else sys.stdout)
    announce(run, differences)
    if arguments.save_baseline:
        _save(updated_state(run, saved), arguments.save_baseline)
    return exit_code(run, differences)


def _save(update: Update, path: Path) -> None:
    """Write it, and say what in it is older than this run."""
    try:
        write_state(path, update.state)
    except BaselineError as error:
        raise CommandError(f"--save-baseline {error}", ExitCode.USAGE) from error
    if update.text():
        print(f"zoo: {path}: {update.text()}", file=sys.stderr)
