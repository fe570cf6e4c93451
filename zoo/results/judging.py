"""The one judge: what a measurement says of a claim, for a run, a report, and the tables of speed and memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ...reports.verdict import Verdict, judge, tolerance_of
from ..measuring.rounding import with_rounding
from ..measuring.terms import Terms
from ..quantities import quantities, quantity_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..manifest import Checkpoint, Claim
    from ..measuring.measurement import Measurement
    from ..quantities import Judged

ON_THE_CLAIMS_TERMS = Terms()


def verdict_on(
    checkpoint: Checkpoint,
    claim: Claim,
    measurement: Measurement | None,
    terms: Terms = ON_THE_CLAIMS_TERMS,
    *,
    absent: str = "",
) -> Verdict:
    """Hold a measurement against a claim.

    Args:
        checkpoint: whose claim it is.
        claim: the figure.
        measurement: what was measured for it; None where nothing was, for the reason `absent`.
        terms: on which figures are compared.
        absent: why there is no measurement.
    """
    quantity = quantity_of(claim.metric)
    why = ""
    if measurement is not None and claim.printed is not None:
        why = quantity.why_not_comparable(checkpoint, claim, measurement, terms)
    if claim.printed is None:
        reason = claim.note or "the source prints no number"
    elif measurement is None:
        reason = absent
    else:
        reason = "; ".join(filter(None, (why, quantity.caveat(measurement))))
    value = None if measurement is None else measurement.value
    verdict = _compared(checkpoint, claim, value, terms, reason=reason, comparable=not why)
    images = (measurement.image_count or None) if measurement else None
    return with_rounding(msgspec.structs.replace(verdict, images=images), measurement)


def foreseen(checkpoint: Checkpoint, claim: Claim, value: float, terms: Terms) -> Verdict:
    """The verdict that a number would get, were it measured on these terms."""
    why = quantity_of(claim.metric).why_not_comparable(checkpoint, claim, None, terms)
    return _compared(checkpoint, claim, value, terms, reason="", comparable=not why)


def _compared(
    checkpoint: Checkpoint, claim: Claim, value: float | None, terms: Terms, *, reason: str, comparable: bool
) -> Verdict:
    return judge(
        checkpoint=checkpoint.id,
        metric=claim.metric,
        printed=claim.printed,
        measured=value,
        tolerance=tolerance_of(claim.metric, terms.tolerance, checkpoint.publisher_data.tolerance),
        reason=reason,
        date=claim.date or "",
        comparable=comparable,
    )


def told_across(judged: Sequence[Judged]) -> list[Judged]:
    """The same, each verdict with what all verdicts on its quantity say together."""
    told: dict[int, Verdict] = {}
    for quantity in quantities():
        places = [place for place, one in enumerate(judged) if one[1].metric in quantity.metrics]
        told |= zip(places, quantity.across([judged[place] for place in places]), strict=True)
    return [(*one[:3], told[place]) for place, one in enumerate(judged)]
