"""Measuring as `verify`, `demo` and `diagnose` do: where and how, each verdict as it comes, and the tables at the end."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from ...console.signals import exit_code
from ...files import places
from .answer import CommandError
from .progress import Bars
from .tables import format_name, print_tables

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable

    from ....evaluate.inference.choices import Loading
    from ....reports.background import Background
    from ....reports.tolerance import Tolerance
    from ...manifest import Checkpoint
    from ...verify import Options, Outcome


def measuring_options(arguments: argparse.Namespace, **claims: Any) -> Options:
    """Where and how to measure, as the flags say; `claims` are options about which claims and how to judge."""
    from ...verify import Options

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
    from ....evaluate.inference.choices import Loading

    named = {name: getattr(arguments, name, None) for name in ("workers", "batch", "kernel", "form")}
    return Loading(**{name: value for name, value in named.items() if value is not None})


def verified(chosen: Iterable[Checkpoint], options: Options, arguments: argparse.Namespace) -> list[Outcome]:
    """Every outcome; where the run ends early, what was known by then is printed."""
    from ...verify import verify

    outcomes, bars, is_whole = [], Bars(quiet=arguments.quiet), False
    try:
        for outcome in verify(chosen, options, bars):
            _say_as_it_comes(outcome, arguments)
            outcomes.append(outcome)
        is_whole = True
    except KeyboardInterrupt as interrupt:
        message = _interrupted(bars.counted, options, arguments)
        raise CommandError(message, exit_code(interrupt)) from None
    finally:
        if outcomes and not is_whole:
            print_outcomes(outcomes, options.tolerance, arguments)
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


def print_outcomes(
    outcomes: list[Outcome],
    tolerance: Tolerance | None,
    arguments: argparse.Namespace,
    told: Callable[[Background], Background] = lambda about: about,
) -> None:
    """The tables, with what `told` has to add to them."""
    from ...results.answers import report_row
    from ...results.background import background
    from ...results.judging import told_across

    rows = {outcome.checkpoint.id: outcome.checkpoint for outcome in outcomes}
    judged = told_across([(one.checkpoint, one.claim, one.measurement, one.verdict) for one in outcomes])
    verdicts = {name: [verdict for row, _, _, verdict in judged if row.id == name] for name in rows}
    measured = {id(o.measurement): o.measurement for o in outcomes if o.measurement is not None}
    print_tables(
        [report_row(row, verdicts[name]) for name, row in rows.items()],
        told(
            background(
                list(rows.values()), measured.values(), tolerance, with_places=_asks_for_places(arguments)
            )
        ),
        arguments,
    )


def _asks_for_places(arguments: argparse.Namespace) -> bool:
    """Whether lines of a manifest's files are named: in JUnit's form, and of claims that changed."""
    return format_name(arguments) == "junit" or bool(getattr(arguments, "baseline", None))
