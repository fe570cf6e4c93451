"""What a measured speed says of the published one: on the same kind of device a band, on another the column's shape.

Knows no torch: verdicts on speed are made again from the ledger alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ..evaluate.speed_protocol import SpeedProtocol
from ..reports.speed_shape import LEAST_ROWS, Shape, fit_shape
from ..reports.verdict import Status, Verdict, judge, tolerance_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .manifest import Checkpoint, Claim
    from .measurement import Measurement

METRIC = "fps"


def claim_digest(checkpoint: Checkpoint, dataset: str) -> str:
    """Digest of the protocol that answers a row's fps claim, on its data set or, without one, synthetic images."""
    accuracy = checkpoint.protocol("miou").digest()
    return SpeedProtocol(accuracy_protocol=accuracy, source="data set" if dataset else "synthetic").digest()


def not_comparable(claim: Claim, measurement: Measurement) -> str:
    """Why a measured speed cannot be held against a published one; empty where it can."""
    found = str(measurement.environment.get("device", "an unknown device"))
    if claim.device and claim.device.lower() not in found.lower():
        return f"measured on {found}, published for {claim.device}"
    return "" if measurement.dataset else "measured on synthetic images"


def judge_speed(checkpoint: Checkpoint, claim: Claim, measurement: Measurement) -> Verdict:
    """One row by itself; a column's shape comes after all rows are known."""
    why = not_comparable(claim, measurement)
    is_claims = measurement.protocol_digest == claim_digest(checkpoint, measurement.dataset)
    return judge(
        checkpoint=checkpoint.id,
        metric=METRIC,
        printed=claim.printed,
        measured=measurement.value,
        tolerance=tolerance_of(METRIC),
        reason=why if is_claims else f"not as published: {measurement.protocol}",
        images=measurement.image_count,
        comparable=is_claims and not why,
    )


def with_shape(
    verdicts: Sequence[Verdict], devices: Mapping[str, str]
) -> tuple[list[Verdict], dict[str, Shape]]:
    """Verdicts with each device's shape told where absolute figures do not compare, and the shapes by device.

    Args:
        verdicts: on speed, at most one a row.
        devices: checkpoint id -> the device it was measured on.
    """
    shapes = {
        device: shape for device in set(devices.values()) if (shape := _shape(verdicts, devices, device))
    }
    return [_told(verdict, shapes.get(devices.get(verdict.checkpoint, ""))) for verdict in verdicts], shapes


def _shape(verdicts: Iterable[Verdict], devices: Mapping[str, str], device: str) -> Shape | None:
    rows = [
        verdict
        for verdict in verdicts
        if verdict.status is Status.NOT_COMPARABLE
        and devices.get(verdict.checkpoint) == device
        and not verdict.reason.startswith("not as published")
    ]
    return fit_shape(
        {verdict.checkpoint: float(verdict.published) for verdict in rows if verdict.published},
        {verdict.checkpoint: verdict.measured for verdict in rows if verdict.measured},
    )


def _told(verdict: Verdict, shape: Shape | None) -> Verdict:
    """A verdict with what the shape says of its row."""
    if shape is None or verdict.checkpoint not in shape.ratio:
        return verdict
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
    f"From {LEAST_ROWS} distinct published figures on, one factor for the device is fitted to all measured rows; a row "
    "that it does not explain contradicts the rest of its own column."
)
