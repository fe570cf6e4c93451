"""`zoo verify`: measure by the published protocols and judge the claims."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, get_args

from ...evaluate.data.datasets import DatasetError, locate
from ...evaluate.inference.choices import NetworkForm
from ...reports.media import tabulate
from ...reports.metrics import METRICS
from ..console.exit_codes import ExitCode
from ..console.streams import answers
from ..fetch import fetch_action, is_own_export
from ..files.named_files import named_file
from ..manifest import load_manifest
from ..measuring.folder_rows import on_folder
from ..results.baseline import BaselineError, State, differences_text, read_saved, read_state, write_state
from .shared import flags
from .shared.answer import CommandError, require_file_place, write
from .shared.arguments import named_protocol, only_one, selected, warn_of_program
from .shared.tables import add_tables, format_name
from .shared.verifying import measuring_options, print_outcomes, verified

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ..manifest import Checkpoint
    from ..results.baseline import Update
    from ..runs.regression import Run


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Which claims, measured how and in which parts, told how, against which stored state."""
    flags.add_selection(parser)
    flags.add_builders(parser)
    flags.add_offline(parser)
    flags.add_dry_run(parser)
    flags.add_weights_file(parser)
    _add_measuring(parser)
    _add_parts(parser)
    add_tables(parser)
    _add_baseline(parser)
    flags.add_talk(parser)


def _add_measuring(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--metric", action="append", default=[], choices=list(METRICS), help="judge only this claim"
    )
    flags.add_protocol(command, "measure under another protocol of the manifest")
    flags.add_device(command)
    flags.add_precisions(command)
    _add_loading(command)
    flags.add_data_root(command)
    flags.add_folder(command)
    flags.add_places(command)
    flags.add_tolerance(command)


def _add_loading(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--workers",
        type=flags.whole_number,
        metavar="N",
        help="images at once on the CPU, each on its share of the cores (default: up to 4), "
        "or threads that make images ready for a GPU (default: 2); 0: one after the other",
    )
    command.add_argument(
        "--batch",
        type=flags.count,
        default=1,
        metavar="N",
        help="windows, mirrored views and images of one size that run at once (default: 1, as published; "
        "more may change last bits)",
    )
    command.add_argument(
        "--form",
        choices=get_args(NetworkForm),
        help="our networks with 3x3 convolutions by Winograd's tiles, batch norms folded into convolutions and channels last "
        "(default on the CPU); folded: without those tiles; or operation by operation as published (default on a GPU, where "
        "no one has run the others); last bits differ",
    )
    command.add_argument(
        "--kernel",
        default="tiles",
        choices=["tiles", "triton"],
        help="what makes label maps (default: tiles); triton: one kernel on a CUDA device, which no GPU has run yet",
    )


def _add_parts(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--limit",
        type=flags.count,
        metavar="N",
        help="the pinned subset of N images; never called a reproduction",
    )
    command.add_argument(
        "--shard", type=_shard, metavar="I/N", help="predict only the I-th of N slices of the images"
    )
    command.add_argument(
        "--until-sure",
        action="store_true",
        help="stop a claim once no prediction of its remaining images can change its verdict",
    )
    command.add_argument(
        "--engine", default="local", choices=["local", "ray"], help="where to predict (default: local)"
    )
    command.add_argument(
        "--address",
        default="",
        metavar="HOST:PORT",
        help="a Ray cluster, or auto for this node's (default: one of this machine's cores and GPUs)",
    )


def _add_baseline(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--baseline",
        type=named_file,
        metavar="FILE",
        help="count only what changed since FILE, a ledger or a saved baseline: exit 1 worse, 6 gone, 3 lost",
    )
    command.add_argument(
        "--save-baseline",
        type=named_file,
        metavar="FILE",
        help="write what the claims are today, for --baseline",
    )


def _shard(text: str) -> tuple[int, int]:
    index, _, number = text.partition("/")
    try:
        shard = flags.count(index), flags.count(number)
    except argparse.ArgumentTypeError:
        shard = 1, 0
    if shard[0] > shard[1]:
        raise argparse.ArgumentTypeError(
            f"expected I/N with I from 1 to N, such as 2/4, found {flags.short(text)}"
        )
    return shard


def run(arguments: argparse.Namespace) -> int:
    """Verdicts for the chosen claims."""
    from ..runs.regression import Run

    chosen = _on_folder(selected(arguments), arguments) if arguments.folder else selected(arguments)
    if arguments.dry_run:
        if arguments.file:
            only_one(chosen, "--file belongs to one checkpoint")
        return _plan(chosen, arguments)
    _require_metrics(chosen, arguments.metric)
    _require_parts_that_go_together(arguments)
    not_comparable = (
        f"measured on {arguments.folder}, not on the claim's data set" if arguments.folder else ""
    )
    if arguments.file:
        row = only_one(chosen, "--file belongs to one checkpoint")
        warn_of_program(arguments.file)
        not_comparable = not_comparable or _origin_unknown(row, arguments.file)
    require_file_place("--out", arguments.out)
    format_name(arguments)
    require_file_place("--ledger", arguments.ledger)
    require_file_place("--save-baseline", arguments.save_baseline)
    options = measuring_options(
        arguments,
        metrics=tuple(arguments.metric),
        protocol=named_protocol(arguments),
        tolerance=arguments.tolerance,
        not_comparable=not_comparable,
        weights_file=arguments.file,
        limit=arguments.limit,
        shard=arguments.shard,
        until_sure=arguments.until_sure,
        engine=arguments.engine,
        address=arguments.address,
    )
    baseline, saved = _stored_states(arguments)  # read first: one may be the very ledger that grows
    done = Run(
        outcomes=tuple(verified(chosen, options, arguments)),
        manifest=load_manifest(arguments.manifest),
        chosen=frozenset(checkpoint.id for checkpoint in chosen),
        everything=not (arguments.ids or arguments.where),
        metrics=tuple(arguments.metric),
        options=options,
        stored=baseline,
    )
    return _compared(done, saved, arguments)


def _on_folder(chosen: Iterable[Checkpoint], arguments: argparse.Namespace) -> list[Checkpoint]:
    """The chosen rows with the user's folder in place of their data set, which becomes the data root."""
    rows = on_folder(chosen, arguments.folder)
    arguments.data_root = arguments.folder
    return rows


def _require_parts_that_go_together(arguments: argparse.Namespace) -> None:
    if arguments.until_sure and (arguments.limit or arguments.shard or arguments.folder):
        raise CommandError(
            "--until-sure judges a claim from all the images of its data set; leave out --limit, --shard and --folder"
        )
    of_its_own = arguments.limit or arguments.folder or arguments.protocol or arguments.precision != "fp32"
    if arguments.save_baseline and of_its_own:
        raise CommandError(
            "--save-baseline keeps what the claims are, and this measures something else; leave out --limit, --folder, "
            "--protocol and --precision"
        )
    if arguments.file and arguments.engine == "ray":
        raise CommandError("--engine ray: nodes fetch weights themselves; leave --file out")
    if arguments.address and arguments.engine != "ray":
        raise CommandError("--address is a Ray cluster's; add --engine ray")


def _require_metrics(chosen: Iterable[Checkpoint], metrics: Iterable[str]) -> None:
    """Refuse metrics that none of the chosen rows claims, rather than judge nothing."""
    claimed = {claim.metric for checkpoint in chosen for claim in checkpoint.claims}
    for metric in metrics:
        if metric not in claimed:
            raise CommandError(f"no chosen checkpoint claims {metric}", ExitCode.NOTHING_SELECTED)


def _origin_unknown(row: Checkpoint, file: Path) -> str:
    """Why an export's number says nothing of a claim: the published hash is not its own."""
    weights = row.weights
    if not is_own_export(file, weights) or not (weights.sha256 or weights.sha256_prefix):
        return ""
    return f"measured with {file.name}, an export that no published hash vouches for"


def _plan(chosen: Iterable[Checkpoint], arguments: argparse.Namespace) -> int:
    """`zoo verify --dry-run`: what each row would need and whether it is there."""
    rows = []
    for checkpoint in chosen:
        try:
            data = str(locate(checkpoint.dataset_spec, arguments.data_root).root)
        except DatasetError as error:
            data = str(error)
        weights = str(arguments.file) if arguments.file else fetch_action(checkpoint).value
        rows.append([checkpoint.id, weights, data])
    write(tabulate(rows, ["id", "weights", "data"], maxcolwidths=[None, None, 80]))
    return ExitCode.OK


def _stored_states(arguments: argparse.Namespace) -> tuple[State | None, State | None]:
    """What `--baseline` names, to compare with, and what `--save-baseline` is to replace; None where there is none.

    A file that is written for the first time takes over from the one compared.
    """
    manifest = load_manifest(arguments.manifest)
    flag = "--baseline"
    try:
        baseline = read_state(arguments.baseline, manifest) if arguments.baseline else None
        flag = "--save-baseline"
        saved = read_saved(arguments.save_baseline, manifest) if arguments.save_baseline else None
    except BaselineError as error:
        raise CommandError(f"{flag} {error}") from error
    return baseline, saved or baseline


def _compared(run: Run, saved: State | None, arguments: argparse.Namespace) -> int:
    """The exit code: what changed since the stored state counts where there is one, else the verdicts."""
    from ..runs.regression import announce, differences_of, exit_code, updated_state, with_changes

    outcomes, differences = list(run.outcomes), None
    try:
        differences = differences_of(run)
    finally:  # it may measure once more, and that may be interrupted
        print_outcomes(
            outcomes,
            run.options.tolerance,
            arguments,
            lambda about: with_changes(about, run, differences),
        )
    if differences is not None:
        mixed = format_name(arguments) != "text" and not arguments.out
        print(differences_text(differences), file=sys.stderr if mixed else answers())
    announce(run, differences)
    if arguments.save_baseline:
        _save(updated_state(run, saved), arguments.save_baseline)
    return exit_code(run, differences)


def _save(update: Update, path: Path) -> None:
    """Write it, and say what in it is older than this run."""
    try:
        write_state(path, update.state)
    except BaselineError as error:
        raise CommandError(f"--save-baseline {error}") from error
    if update.text():
        print(f"zoo: {path}: {update.text()}", file=sys.stderr)
