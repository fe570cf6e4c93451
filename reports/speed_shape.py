"""The shape of a speed column: what can be said of published fps on another device than the published one.

An absolute figure says nothing on another device, but the *ratios* between rows do: one factor for the device
should carry every published figure over to the measured one. Rows it does not carry over contradict the rest of
their own column. (The fps column of mmsegmentation's ISANet table does: ResNet-101's added blocks, the same
whatever the head, cost it 50 and 91 ms where its sister tables agree on 23 to 25.)
"""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

LEAST_ROWS = 4
"""Distinct published figures below which no shape can be told."""
ALLOWED_RATIO = 1.35
"""Devices differ in what they are good at: a factor this far from the common one is not remarkable."""
_ROBUST_SIGMAS = 3.0
_SIGMA_OF_MAD = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """One factor for a device and what it leaves unexplained."""

    factor: float
    """Measured over published images a second, of the typical row."""
    ratio: dict[str, float]
    """Row -> its own factor over the common one: 1 fits, 2 means that the row is published at half the
    speed its column suggests."""
    inconsistent: tuple[str, ...]
    """Rows that the common factor does not explain."""


def fit_shape(published: Mapping[str, float], measured: Mapping[str, float]) -> Shape | None:
    """Fit one factor over all rows that have both figures; None with fewer than four distinct ones.

    The factor is the median of the rows' own ones on a logarithmic scale, so that a few wrong rows cannot
    move it. Rows that print one figure for several schedules count once. A row is inconsistent where its
    factor is off by more than `ALLOWED_RATIO` and by more than three robust standard deviations of the others.

    Args:
        published: row -> images a second as printed.
        measured: row -> images a second on one device.
    """
    rows = [row for row in published if row in measured]
    logs = {row: math.log(measured[row] / published[row]) for row in rows}
    distinct: dict[float, list[float]] = {}
    for row in rows:
        distinct.setdefault(published[row], []).append(logs[row])
    if len(distinct) < LEAST_ROWS:
        return None
    points = [statistics.fmean(values) for values in distinct.values()]
    centre = statistics.median(points)
    spread = _SIGMA_OF_MAD * statistics.median(abs(point - centre) for point in points)
    limit = max(math.log(ALLOWED_RATIO), _ROBUST_SIGMAS * spread)
    return Shape(
        factor=math.exp(centre),
        ratio={row: math.exp(logs[row] - centre) for row in rows},
        inconsistent=tuple(row for row in rows if abs(logs[row] - centre) > limit),
    )
