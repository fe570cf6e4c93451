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
    from collections.abc import Iterable, Mapping

LEAST_ROWS = 4
"""Groups of rows below which no shape can be told."""
ALLOWED_RATIO = 1.35
"""Devices differ in what they are good at: a factor this far from the common one is not remarkable."""
_SAME = math.log(1.2)
"""Schedules of one network take the same time: a larger ratio between them is a fault of the measurement."""
_ROBUST_SIGMAS = 3.0
_SIGMA_OF_MAD = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """One factor for a device and what it leaves unexplained."""

    factor: float
    """Measured over published images a second, of the typical group."""
    ratio: dict[str, float]
    """Row -> its own factor over the common one: 1 fits, 2 means that the row is published at half the
    speed its column suggests."""
    inconsistent: tuple[str, ...]
    """Rows that the common factor does not explain."""
    disagreeing: tuple[str, ...]
    """Rows that measured unlike their own group: a bad run of ours, which accuses nobody."""


def fit_shape(
    published: Mapping[str, float], measured: Mapping[str, float], groups: Mapping[str, str] | None = None
) -> Shape | None:
    """Fit one factor over all rows that have both figures; None with fewer than four groups.

    The factor is the median of the groups' ones on a logarithmic scale, so that a few wrong ones cannot
    move it. A group is inconsistent where its factor is off by more than `ALLOWED_RATIO` and by more than three
    robust standard deviations of the others. Figures that are not positive numbers are left out.

    Args:
        published: row -> images a second as printed.
        measured: row -> images a second on one device.
        groups: row -> the network it is, where several rows (schedules) are one and print one figure; each row is
            a group of its own where this says nothing.
    """
    rows = [row for row in published if _is_speed(published[row]) and _is_speed(measured.get(row))]
    logs = {row: math.log(measured[row] / published[row]) for row in rows}
    members: dict[str, list[str]] = {}
    for row in rows:
        members.setdefault((groups or {}).get(row, row), []).append(row)
    disagreeing = tuple(row for group in members.values() if _range(logs, group) > _SAME for row in group)
    unlike = set(disagreeing)
    points = {
        name: statistics.fmean(logs[row] for row in group)
        for name, group in members.items()
        if group[0] not in unlike
    }
    if len(points) < LEAST_ROWS:
        return None
    centre = statistics.median(points.values())
    spread = _SIGMA_OF_MAD * statistics.median(abs(point - centre) for point in points.values())
    limit = max(math.log(ALLOWED_RATIO), _ROBUST_SIGMAS * spread)
    return Shape(
        factor=math.exp(centre),
        ratio={row: math.exp(logs[row] - centre) for row in rows},
        inconsistent=tuple(
            row for name, point in points.items() if abs(point - centre) > limit for row in members[name]
        ),
        disagreeing=disagreeing,
    )


def _is_speed(value: float | None) -> bool:
    return value is not None and math.isfinite(value) and value > 0


def _range(logs: Mapping[str, float], rows: Iterable[str]) -> float:
    values = [logs[row] for row in rows]
    return max(values) - min(values)
