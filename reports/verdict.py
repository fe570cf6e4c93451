"""Does a measured number agree with the printed one? One word, the difference and a reason.

Everything here is pure: a verdict can be made again from a recorded measurement with another tolerance.
"""

from __future__ import annotations

import enum
import math
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from .metrics import metric_of
from .tolerance import DEFAULT, Tolerance, parse_printed

if TYPE_CHECKING:
    from collections.abc import Iterable


class Status(enum.Enum):
    """What became of a claim, in words."""

    REPRODUCED = "reproduced"
    DRIFT = "drift"
    REFUTED = "refuted"
    NOT_PUBLISHED = "not published"
    NOT_MEASURED = "not measured"
    NOT_COMPARABLE = "not comparable"
    SOURCE_INCONSISTENT = "source inconsistent"


def tolerance_of(
    metric: str, points: Tolerance | None = None, publishers: Tolerance | None = None
) -> Tolerance:
    """The limits for a metric: its own ones, else `points` that a user set, else its publisher's, else the default."""
    return metric_of(metric).tolerance or points or publishers or DEFAULT


def bands(claims: Iterable[tuple[str, str, Tolerance | None]], points: Tolerance | None = None) -> list[str]:
    """Each band that judges these claims in one line: whose figures, the limits, and why.

    Args:
        claims: publisher, metric, and the publisher's own limits where it states them.
        points: limits that a user set.
    """
    named: dict[str, tuple[Tolerance, bool]] = {}
    for publisher, metric, own in claims:
        words = metric_of(metric)
        whose = words.title if words.tolerance else f"{publisher} {words.base}"
        named[whose] = tolerance_of(metric, points, own), bool(points and words.tolerance)
    grouped: dict[tuple[Tolerance, bool], list[str]] = {}
    for whose, band in named.items():
        grouped.setdefault(band, []).append(whose)
    return [
        f"{', '.join(names)}: {tolerance.describe()}{_SPARED if spared else ''}"
        for (tolerance, spared), names in grouped.items()
    ]


_SPARED = " --tolerance does not change it."
"""Where a user's limit is set and does not reach."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """One claim, what was measured for it, and what follows."""

    checkpoint: str
    metric: str
    """A key of `reports.metrics.METRICS`."""
    published: str | None
    """The figure as printed; None where the source prints none."""
    measured: float | None
    """In the metric's unit, unrounded."""
    delta: float | None
    """Measured, rounded as publishers round, minus published; None where the two are not compared."""
    status: Status
    reason: str = ""
    """Why it is not measured, published or comparable, or which limit the difference exceeds."""
    images: int | None = None
    """Images behind the measurement."""
    date: str = ""
    """When the figure was published, where its authors printed several over time."""


def rounded(measured: float, metric: str) -> Decimal:
    """A measurement as publishers print it: to the metric's decimals, a tie to the even digit.

    The very arithmetic of `np.round`, which both publishers use: scale in binary, round, scale back.
    """
    decimals = metric_of(metric).decimals
    return Decimal(round(measured * 10**decimals)).scaleb(-decimals)


def judge(
    *,
    checkpoint: str,
    metric: str,
    printed: str | None,
    measured: float | None,
    tolerance: Tolerance,
    reason: str = "",
    images: int | None = None,
    date: str = "",
    comparable: bool = True,
    consistent: bool = True,
) -> Verdict:
    """Compare one claim with one measurement.

    Args:
        checkpoint: the checkpoint's id.
        metric: a key of `METRICS`.
        printed: the figure as its authors print it, without a percent sign.
        measured: in the metric's unit, unrounded; None or NaN where there is no number.
        tolerance: in the metric's unit.
        reason: why something is missing or cannot be compared.
        images: how many images the measurement rests on.
        date: of the claim, where several exist.
        comparable: False where the claim was measured under conditions that are not these: fps on another device.
        consistent: False where the sources contradict each other about this figure.

    Raises:
        ValueError: `printed` is not a plain decimal number.
        KeyError: no such metric.
    """
    if measured is not None and not math.isfinite(measured):
        measured, reason = None, reason or f"the measurement is no number: {measured}"
    delta = None
    status = _status_without_comparison(printed, measured, comparable=comparable)
    if status is None and printed is not None and measured is not None:
        difference = rounded(measured, metric) - parse_printed(printed)
        delta = float(difference)
        status, reason = _compare(abs(difference), printed, metric, tolerance, reason)
    if not consistent:
        status = Status.SOURCE_INCONSISTENT
    return Verdict(
        checkpoint=checkpoint,
        metric=metric,
        published=printed,
        measured=measured,
        delta=delta,
        status=status or Status.NOT_MEASURED,
        reason=reason,
        images=images,
        date=date,
    )


def _status_without_comparison(
    printed: str | None, measured: float | None, *, comparable: bool
) -> Status | None:
    if printed is None:
        return Status.NOT_PUBLISHED
    if measured is None:
        return Status.NOT_MEASURED
    return None if comparable else Status.NOT_COMPARABLE


def _compare(
    distance: Decimal, printed: str, metric: str, tolerance: Tolerance, reason: str
) -> tuple[Status, str]:
    reproduced, drift = tolerance.band(printed)
    if distance <= reproduced:
        return Status.REPRODUCED, reason
    unit = "points" if metric_of(metric).unit == "%" else metric_of(metric).unit
    if distance <= drift:
        return Status.DRIFT, reason or _beyond(reproduced, tolerance.limit_text(tolerance.reproduced), unit)
    return Status.REFUTED, reason or _beyond(drift, tolerance.limit_text(tolerance.drift), unit)


def _beyond(limit: Decimal, tolerance: str, unit: str) -> str:
    return f"differs by more than {limit} {unit}: {tolerance} and half a unit of the last printed digit"
