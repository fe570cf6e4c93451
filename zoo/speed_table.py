"""What `zoo speed` prints: times, verdicts, and what the column's shape says."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import msgspec

from ..reports.media import tabulate
from ..reports.table import WIDTH
from .quantities.speed_verdicts import SHAPE_NOTE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..reports.speed_shape import Shape
    from ..reports.verdict import Verdict
    from .quantities.speed import SpeedRun

ABSENT = "–"


def speed_table(
    runs: Sequence[SpeedRun], verdicts: Mapping[str, Verdict], shapes: Mapping[str, Shape]
) -> str:
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


def speed_records(runs: Sequence[SpeedRun], verdicts: Mapping[str, Verdict]) -> list[dict[str, Any]]:
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
