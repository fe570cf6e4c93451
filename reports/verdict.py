"""Does a measured number agree with the printed one? One word, the difference and a reason.

Everything here is pure: a verdict can be made again from a recorded measurement with another tolerance.
"""

from __future__ import annotations

import enum
import math
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

import msgspec

from .metrics import METRICS

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


class ToleranceError(ValueError):
    """A tolerance that is not a finite number from 0 on."""


class Tolerance(msgspec.Struct, frozen=True, kw_only=True):
    """How far a measurement may lie from the printed figure, in the metric's unit or as a share.

    Half a unit of the last printed digit comes on top of both limits: `45.4` stands for 45.35 to 45.45.
    """

    reproduced: float = 0.05
    """Up to here the claim is reproduced."""
    drift: float = 0.15
    """Up to here it has drifted; beyond, it is refuted."""
    relative: bool = False
    """True where both limits are shares of the printed figure instead: 0.02 of `5.869`."""

    def __post_init__(self) -> None:
        if not 0 <= self.reproduced <= self.drift < math.inf:
            raise ToleranceError(
                f"tolerance: expected 0 <= reproduced <= drift, both finite, found {self.reproduced} and {self.drift}"
            )

    @classmethod
    def of(cls, points: float) -> Tolerance:
        """The user's own single limit: up to `points` is reproduced, beyond is refuted, nothing is drift.

        Raises:
            ToleranceError: `points` is negative or not finite.
        """
        if not 0 <= points < math.inf:
            raise ToleranceError(f"tolerance: expected a finite number of points from 0 on, found {points}")
        return cls(reproduced=points, drift=points)

    def band(self, printed: str) -> tuple[Decimal, Decimal]:
        """The largest differences that count as reproduced and as drift, for a figure as printed.

        Raises:
            ValueError: `printed` is not a plain decimal number.
        """
        half, whole = half_unit(printed), abs(_parse(printed)) if self.relative else Decimal(1)
        return _decimal(self.reproduced) * whole + half, _decimal(self.drift) * whole + half

    def limit_text(self, limit: float) -> str:
        """A limit as a person reads it: `0.05`, or `2 %` of the printed figure."""
        return f"{100 * limit:g} %" if self.relative else f"{limit:g}"

    def describe(self) -> str:
        """The limits and why they are where they are, as one sentence."""
        reproduced, drift = self.limit_text(self.reproduced), self.limit_text(self.drift)
        plus = "plus half a unit of the last printed digit"
        if self.reproduced == self.drift:
            return (
                f"A difference up to {reproduced} is reproduced, {plus}; beyond is refuted (limit set by the user "
                "with --tolerance)."
            )
        limits = f"A difference up to {reproduced} is reproduced, up to {drift} is drift, each {plus}"
        reason = _REASONS.get(self)
        return f"{limits}; beyond is refuted{f': {reason}' if reason else ' (limits set by the user)'}."


PUBLISHERS_TOLERANCES: dict[str, Tolerance] = {
    # README: results "generally" differ "within 0.1 %" between versions of PyTorch and GPUs.
    "sssegmentation": Tolerance(reproduced=0.1, drift=0.15),
}
"""Publisher -> limits of its accuracies, where it states its own."""
OWN_TOLERANCES: dict[str, Tolerance] = {
    # The column is MiB / 1000. A figure taken for GiB is 2.3 % off and one for GB 4.9 %: neither is reproduced.
    "train_memory": Tolerance(reproduced=0.02, drift=0.05, relative=True),
    # mmsegmentation's fps is the mean of one run; repeated runs of its sister tables' heads agree on the cost of
    # the same added blocks within 1 to 4 %.
    "fps": Tolerance(reproduced=0.05, drift=0.10, relative=True),
}
"""Metric -> its limits, where points of accuracy mean nothing."""

_REASONS: dict[Tolerance, str] = {
    Tolerance(): "mmsegmentation's maintainers met their own numbers again within 0.02 points and once within 0.11, "
    "and sssegmentation promises 0.1",
    PUBLISHERS_TOLERANCES["sssegmentation"]: "its authors promise 0.1 between versions of PyTorch and GPUs",
    OWN_TOLERANCES[
        "train_memory"
    ]: "a column taken for GiB would be 2.3 % off and one for GB 4.9 %, and neither may count as reproduced",
    OWN_TOLERANCES[
        "fps"
    ]: "the publisher's tables agree on the cost of the same blocks within 1 to 4 %; on another "
    "device than the published one no band decides",
}
"""Why limits that no user set are where they are."""


def tolerance_of(metric: str, points: Tolerance | None = None, publisher: str = "") -> Tolerance:
    """The limits for a metric: its own ones, else `points` that a user set, else its publisher's, else the default."""
    return OWN_TOLERANCES.get(metric) or points or PUBLISHERS_TOLERANCES.get(publisher) or Tolerance()


def bands(claims: Iterable[tuple[str, str]], points: Tolerance | None = None) -> list[str]:
    """Each band that judges these (publisher, metric) pairs in one line: whose figures, the limits, and why."""
    named: dict[str, Tolerance] = {}
    for publisher, metric in claims:
        own = metric in OWN_TOLERANCES
        whose = METRICS[metric].title if own else f"{publisher} mIoU" if METRICS[metric].unit == "%" else None
        if whose:
            named[whose] = tolerance_of(metric, points, publisher)
    grouped: dict[Tolerance, list[str]] = {}
    for whose, tolerance in named.items():
        grouped.setdefault(tolerance, []).append(whose)
    return [
        f"{', '.join(names)}: {tolerance.describe()}{_spared(tolerance, points)}"
        for tolerance, names in grouped.items()
    ]


def _spared(tolerance: Tolerance, points: Tolerance | None) -> str:
    """That a user's limit does not reach here, where one is set."""
    return " --tolerance does not change it." if points and tolerance in OWN_TOLERANCES.values() else ""


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


def half_unit(printed: str) -> Decimal:
    """Half a unit of a printed figure's last digit: 0.05 of `9.0`, 0.005 of `42.08`.

    Raises:
        ValueError: `printed` is not a plain decimal number.
    """
    return Decimal("0.5").scaleb(-_decimals(_parse(printed)))


def rounded(measured: float, metric: str) -> Decimal:
    """A measurement as publishers print it: to the metric's decimals, a tie to the even digit.

    The very arithmetic of `np.round`, which both publishers use: scale in binary, round, scale back.
    """
    decimals = METRICS[metric].decimals
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
        difference = rounded(measured, metric) - _parse(printed)
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
    unit = "points" if METRICS[metric].unit == "%" else METRICS[metric].unit
    if distance <= drift:
        return Status.DRIFT, reason or _beyond(reproduced, tolerance.limit_text(tolerance.reproduced), unit)
    return Status.REFUTED, reason or _beyond(drift, tolerance.limit_text(tolerance.drift), unit)


def _beyond(limit: Decimal, tolerance: str, unit: str) -> str:
    return f"differs by more than {limit} {unit}: {tolerance} and half a unit of the last printed digit"


def _parse(printed: str) -> Decimal:
    """The number that a printed figure says."""
    try:
        number = Decimal(printed)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise ValueError(
            f'printed figure: expected a plain decimal number such as "78.70", found {printed!r}'
        )
    return number


def _decimals(number: Decimal) -> int:
    exponent = number.as_tuple().exponent
    return -exponent if isinstance(exponent, int) else 0


def _decimal(value: float) -> Decimal:
    return Decimal(str(value))
