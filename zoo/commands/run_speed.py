"""`zoo speed`: images a second."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...evaluate.predict.device import DeviceError
from ...reports import ledger
from ...reports.verdict import exit_code
from ..console.progress import timing_bar
from ..quantities.speed import NoSpeed, SpeedOptions, sweep, time_row
from ..quantities.speed_verdicts import METRIC, conditions, judge_speed, network_of, with_shape
from ..speed_table import speed_records, speed_table
from .answer import CANNOT_MEASURE, OK, CommandError, json_text, require_file_place, write
from .arguments import rows_that_print

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from ..manifest import Checkpoint
    from ..quantities.speed import SpeedRun


def run_speed(arguments: argparse.Namespace) -> int:
    """`zoo speed`: images a second by the publisher's protocol, or by another one of its own name."""
    chosen = {row.id: row for row in rows_that_print(METRIC, arguments)}
    require_file_place("--ledger", arguments.ledger)
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
    write(json_text(speed_records(runs, verdicts)) if arguments.json else speed_table(runs, verdicts, shapes))
    return exit_code(told) if told else OK


def _speed_runs(rows: Iterable[Checkpoint], arguments: argparse.Namespace) -> list[SpeedRun]:
    """Every row's runs, each on record before the next one begins."""
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
