"""`zoo speed`: images a second by the publisher's protocol; by default of every row that prints it."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import msgspec

from ...reports import ledger
from ...reports.media import tabulate
from ...reports.table import WIDTH
from ..console.exit_codes import ExitCode, of_verdicts
from ..quantities.fps import METRIC, SHAPE_NOTE, with_shape
from ..results.judging import verdict_on
from .shared import flags
from .shared.answer import json_text, require_file_place, write
from .shared.arguments import rows_that_print
from .shared.progress import timing_bar

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Mapping, Sequence

    from ...reports.speed_shape import Shape
    from ...reports.verdict import Verdict
    from ..manifest import Checkpoint
    from ..measuring.speed import SpeedRun

ABSENT = "–"


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Which rows, timed how, and where times are recorded."""
    flags.add_selection(parser)
    flags.add_builders(parser)
    parser.add_argument("--device", default="cuda", help="cpu, cuda or cuda:N (default: cuda)")
    flags.add_data_root(parser)
    parser.add_argument(
        "--limit",
        type=flags.count,
        metavar="N",
        help="time only N images, which is no published figure's protocol",
    )
    flags.add_precisions(parser)
    parser.add_argument("--compile", action="store_true", help="torch.compile: a measurement of its own")
    parser.add_argument(
        "--channels-last", action="store_true", help="memory format: a measurement of its own"
    )
    batches = parser.add_mutually_exclusive_group()
    batches.add_argument(
        "--batch",
        type=flags.count,
        default=1,
        metavar="N",
        help="images at once, halved while memory is short: a measurement of its own",
    )
    batches.add_argument("--sweep", action="store_true", help="batch 1, 2, 4, ... while memory lasts")
    flags.add_ledger(parser)
    flags.add_json(parser)
    flags.add_quiet(parser)


def run(arguments: argparse.Namespace) -> int:
    """Images a second by the publisher's protocol, or by another one of its own name."""
    chosen = {row.id: row for row in rows_that_print(METRIC, arguments)}
    require_file_place("--ledger", arguments.ledger)
    runs = _speed_runs(chosen.values(), arguments)
    judged = [
        (row, claim, run.measurement, verdict_on(row, claim, run.measurement))
        for run in runs
        if run.protocol.is_the_claims
        for row in [chosen[run.measurement.checkpoint]]
        for claim in row.claims
        if claim.metric == METRIC
    ]
    told, shapes = with_shape(judged)
    verdicts = {verdict.checkpoint: verdict for verdict in told}
    write(json_text(_records(runs, verdicts)) if arguments.json else _table(runs, verdicts, shapes))
    return of_verdicts(told) if told else ExitCode.OK


def _speed_runs(rows: Iterable[Checkpoint], arguments: argparse.Namespace) -> list[SpeedRun]:
    """Every row's runs, each on record before the next one begins."""
    from ..measuring.own_code import network_trouble_named
    from ..measuring.speed import SpeedOptions, sweep, time_row

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
    for row in rows:
        series = sweep(row, options) if arguments.sweep else [time_row(row, options)]
        for steps in series:
            with network_trouble_named(row):
                runs.append(timing_bar(steps, row.id, quiet=arguments.quiet))
            ledger.append(arguments.ledger, runs[-1].measurement)
    return runs


def _table(runs: Sequence[SpeedRun], verdicts: Mapping[str, Verdict], shapes: Mapping[str, Shape]) -> str:
    """One line a run and the notes below."""
    lines = [_line(run, _verdict_of(run, verdicts)) for run in runs]
    table = tabulate(
        [list(line.values()) for line in lines],
        list(lines[0]) if lines else [],
        disable_numparse=True,
        colalign=("left", "left", *("right",) * 6, "left") if lines else (),
    )
    notes = [*_reasons(verdicts), *_shape_notes(shapes), *_warnings(runs)]
    return "\n\n".join([table, *(textwrap.fill(note, WIDTH) for note in notes)])


def _line(run: SpeedRun, verdict: Verdict | None) -> dict[str, str]:
    measured, details = run.measurement, run.measurement.details
    share = details["share_of_float32_peak"]
    achieved = details["achieved_gflops_per_second"]
    return {
        "id": measured.checkpoint,
        "measured": run.protocol.name(),
        "images/s": f"{measured.value:.2f}",
        "published": (verdict.published if verdict else None) or ABSENT,
        "median ms": f"{details['median_ms']:.2f}",
        "p5": f"{details['p5_ms']:.2f}",
        "p95": f"{details['p95_ms']:.2f}",
        "GFLOP/s": ABSENT
        if achieved is None
        else f"{achieved:,.0f}" + (f" ({100 * share:.0f} %)" if share else ""),
        "verdict": verdict.status.value if verdict else "a measurement of its own",
    }


def _verdict_of(run: SpeedRun, verdicts: Mapping[str, Verdict]) -> Verdict | None:
    """A row's verdict, for the run that it is about: other settings are measurements of their own."""
    return verdicts.get(run.measurement.checkpoint) if run.protocol.is_the_claims else None


def _reasons(verdicts: Mapping[str, Verdict]) -> list[str]:
    return [f"{name}: {verdict.reason}" for name, verdict in verdicts.items() if verdict.reason]


def _shape_notes(shapes: Mapping[str, Shape]) -> list[str]:
    said = [
        f"On {device} the typical row runs {shape.factor:.2f} times as fast as published."
        for device, shape in shapes.items()
    ]
    return [*said, SHAPE_NOTE] if said else []


def _warnings(runs: Sequence[SpeedRun]) -> list[str]:
    return [f"warning: {run.measurement.checkpoint}: {text}" for run in runs for text in run.warnings]


def _records(runs: Sequence[SpeedRun], verdicts: Mapping[str, Verdict]) -> list[dict[str, Any]]:
    """`--json`: every run with its raw times, settings, warnings and verdict."""
    return [
        {
            "measurement": msgspec.to_builtins(run.measurement),
            "settings": msgspec.to_builtins(run.protocol),
            "warnings": list(run.warnings),
            "verdict": _verdict_record(_verdict_of(run, verdicts)),
        }
        for run in runs
    ]


def _verdict_record(verdict: Verdict | None) -> dict[str, Any] | None:
    if verdict is None:
        return None
    return msgspec.to_builtins(verdict) | {"status": verdict.status.value}
