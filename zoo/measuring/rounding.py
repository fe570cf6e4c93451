"""What a verdict beyond its limit says about rounding, from the margins kept with a measurement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ...evaluate.count.margins import explanation
from ...reports.verdict import Status

if TYPE_CHECKING:
    from ...reports.verdict import Verdict
    from .measurement import Measurement

DETAIL = "rounding"
"""Where a measurement's details hold `evaluate.count.margins.Closeness.summary`."""


def with_rounding(verdict: Verdict, measurement: Measurement | None) -> Verdict:
    """The verdict; one of drift or refutation says whether rounding can explain the difference."""
    if verdict.status not in (Status.DRIFT, Status.REFUTED) or verdict.delta is None:
        return verdict
    if measurement is None or DETAIL not in measurement.details:
        return verdict
    said = explanation(measurement.details[DETAIL], verdict.delta)
    return msgspec.structs.replace(verdict, reason="; ".join(filter(None, (verdict.reason, said))))
