"""What a measured speed says of the published one: on the same kind of device a band, on another the column's shape.

Knows no torch: verdicts on speed are made again from the ledger alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ...evaluate.speed.speed_protocol import SpeedProtocol
from ...reports.speed_shape import LEAST_ROWS, Shape, fit_shape
from ...reports.verdict import Status, Verdict, judge, tolerance_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ..manifest import Checkpoint, Claim
    from .measurement import Measurement

METRIC = "fps"


def claim_digest(checkpoint: Checkpoint, dataset: str) -> str:
    """Digest of the protocol that answers a row's fps claim, on its data set or, without one, synthetic images."""
    accuracy = checkpoint.protocol("miou").digest()
    return SpeedProtocol(accuracy_protocol=accuracy, source="data set" if dataset else "synthetic").digest()


def why_not_comparable(checkpoint: Checkpoint, claim: Claim, measurement: Measurement) -> str:
    """Why a measured speed cannot be held against a published one; empty where it can."""
    if measurement.protocol_digest != claim_digest(checkpoint, measurement.dataset):
        return f"not as published: {measurement.protocol}"
    wrong = measurement.details.get("differing_pixels", 0)
    if wrong:
        return f"the timed loop computed other labels than the accuracy path in {wrong} pixels"
    found = str(measurement.environment.get("device", "an unknown device"))
    made_of = "" if measurement.dataset else " on synthetic images"
    if claim.device and claim.device.lower() not in found.lower():
        return f"measured on {found}{made_of}, published for {claim.device}"
    return f"measured{made_of}" if made_of else ""


def judge_speed(checkpoint: Checkpoint, claim: Claim, measurement: Measurement) -> Verdict:
    """One row by itself; a column's shape comes after all rows are known."""
    why = why_not_comparable(checkpoint, claim, measurement)
    return judge(
        checkpoint=checkpoint.id,
        metric=METRIC,
        printed=claim.printed,
        measured=measurement.value,
        tolerance=tolerance_of(METRIC),
        reason=why,
        images=measurement.image_count,
        comparable=not why,
    )


def conditions(checkpoint: Checkpoint, claim: Claim, measurement: Measurement) -> str:
    """What rows must share for their speeds to have one shape; empty where a figure is not to be used for one.

    Two CPUs are two devices: their model, threads and platform count.
    """
    why = why_not_comparable(checkpoint, claim, measurement)
    if not why.startswith("measured"):
        return ""
    environment = measurement.environment
    parts = [environment.get("device", "")]
    if parts == ["cpu"]:
        parts += [
            environment.get("cpu") or environment.get("machine", ""),
            f"{environment.get('threads')} threads",
        ]
        parts.append(environment.get("platform", ""))
    return " ".join(
        str(part) for part in [*parts, "" if measurement.dataset else "on synthetic images"] if part
    )


def network_of(checkpoint: Checkpoint) -> str:
    """What schedules of one network share, so that they print one speed."""
    return " ".join(
        [checkpoint.publisher, str(checkpoint.architecture), checkpoint.protocol("miou").digest()]
    )


def with_shape(
    verdicts: Sequence[Verdict], conditions: Mapping[str, str], networks: Mapping[str, str]
) -> tuple[list[Verdict], dict[str, Shape]]:
    """Verdicts with the shape told where absolute figures do not compare, and the shapes by conditions.

    Args:
        verdicts: on speed, at most one a row.
        conditions: checkpoint id -> what it was measured under; empty where that is not to be used.
        networks: checkpoint id -> the network it is.
    """
    shapes = {
        one: shape
        for one in set(conditions.values())
        if one and (shape := _shape(verdicts, conditions, networks, one))
    }
    return [
        _told(verdict, shapes.get(conditions.get(verdict.checkpoint, ""))) for verdict in verdicts
    ], shapes


def _shape(
    verdicts: Iterable[Verdict], conditions: Mapping[str, str], networks: Mapping[str, str], one: str
) -> Shape | None:
    rows = [
        verdict
        for verdict in verdicts
        if verdict.status is Status.NOT_COMPARABLE and conditions.get(verdict.checkpoint) == one
    ]
    return fit_shape(
        {verdict.checkpoint: float(verdict.published) for verdict in rows if verdict.published},
        {verdict.checkpoint: verdict.measured for verdict in rows if verdict.measured},
        networks,
    )


def _told(verdict: Verdict, shape: Shape | None) -> Verdict:
    """A verdict with what the shape says of its row."""
    if shape is None or verdict.checkpoint not in shape.ratio or verdict.status is not Status.NOT_COMPARABLE:
        return verdict
    if verdict.checkpoint in shape.disagreeing:
        said = "schedules of one network measured differently here: time them again"
        return msgspec.structs.replace(verdict, reason=f"{verdict.reason}; {said}")
    ratio = shape.ratio[verdict.checkpoint]
    said = f"the column's typical row runs {shape.factor:.2f} times as fast here, this one {ratio * shape.factor:.2f} times"
    if verdict.checkpoint in shape.inconsistent:
        return msgspec.structs.replace(
            verdict,
            status=Status.SOURCE_INCONSISTENT,
            reason=f"{verdict.reason}; no one factor for the device explains the column: {said}",
        )
    return msgspec.structs.replace(verdict, reason=f"{verdict.reason}; {said}")


SHAPE_NOTE = (
    f"From {LEAST_ROWS} networks on, one factor for the device is fitted to all measured rows; a row "
    "that it does not explain contradicts the rest of its own column."
)
