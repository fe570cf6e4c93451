"""The metrics that tables print: title, unit, decimals, better direction and limits, looked up by name.

Which metrics there are is for whoever reports to say (`register`); segbench's own are the files of `zoo/quantities/`,
registered as soon as `segbench.zoo` is imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from .tolerance import Tolerance

if TYPE_CHECKING:
    from collections.abc import Mapping


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """How one metric is written and compared."""

    title: str
    """The heading of its column in tables."""
    base: str = ""
    """The title without what the column's protocol adds: `mIoU` of `mIoU(ms+flip)`."""
    unit: str
    """`%` (points of a percentage), `GB` (here MiB / 1000, see the note in docs), `img/s`."""
    decimals: int
    """Digits after the point that publishers print."""
    higher_is_better: bool
    tolerance: Tolerance | None = None
    """Limits of its own, where points of accuracy mean nothing."""
    claim_needs: tuple[str, ...] = ()
    """Fields without which a printed claim means nothing: `protocol` of an accuracy."""


METRICS: dict[str, Metric] = {}
"""Name -> metric, in the order in which tables show them."""


def register(metrics: Mapping[str, Metric]) -> None:
    """Make metrics known, after those that are; the same ones again change nothing.

    Raises:
        ValueError: a name is taken by another metric.
    """
    for name, metric in metrics.items():
        if METRICS.setdefault(name, metric) != metric:
            raise ValueError(
                f"metric {name!r} is taken by {METRICS[name].title!r}; give the new one another name"
            )


def metric_of(name: str) -> Metric:
    """The metric of this name.

    Raises:
        KeyError: nobody registered it.
    """
    try:
        return METRICS[name]
    except KeyError:
        known = ", ".join(METRICS) or "none (import segbench.zoo, which registers its own)"
        raise KeyError(f"no metric {name!r}; known are {known}") from None
