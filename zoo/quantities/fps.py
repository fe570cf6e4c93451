"""Speed: on the published kind of device a band judges it, on another the column's shape.

Knows no torch: verdicts on speed are made again from the ledger alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ...evaluate.speed.speed_protocol import SpeedProtocol
from ...reports.metrics import Metric
from ...reports.speed_shape import LEAST_ROWS, fit_shape
from ...reports.tolerance import Tolerance
from ...reports.verdict import Status, Verdict
from ..measuring.terms import NotMeasured
from .quantity import Quantity

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ...reports.speed_shape import Shape
    from ..manifest import Checkpoint, Claim
    from ..measuring.bench import Bench
    from ..measuring.measurement import Measurement
    from ..measuring.terms import Terms
    from .quantity import Judged

METRIC = "fps"
"""As `zoo.measuring.speed`, which imports torch, has it."""


class Fps(Quantity):
    """Images a second of the published accuracy protocol, one image at a time."""

    rank = 90
    needs = "a CUDA device; neither weights nor data set (zoo speed times a CPU as well)"
    metrics: Mapping[str, Metric] = {
        METRIC: Metric(
            title="Inf time (fps)",
            unit="img/s",
            decimals=2,
            higher_is_better=True,
            # mmsegmentation's fps is the mean of one run; repeated runs of its sister tables' heads agree on the cost
            # of the same added blocks within 1 to 4 %.
            tolerance=Tolerance(
                reproduced=0.05,
                drift=0.10,
                relative=True,
                reason="the publisher's tables agree on the cost of the same blocks within 1 to 4 %; on another device "
                "than the published one no band decides",
            ),
        )
    }

    def measure(self, bench: Bench, claim: Claim) -> Measurement:
        """Timed on a GPU only: a CPU would take an hour a row and say nothing of the published device."""
        del claim
        options = bench.options
        if options.device.partition(":")[0] == "cpu":
            raise NotMeasured(
                "speed is timed on a GPU (--device cuda); zoo speed --device cpu times it here all the same"
            )
        from ..measuring.speed import NoSpeed, SpeedOptions, time_row  # noqa: PLC0415

        how = SpeedOptions(device=options.device, data_root=options.data_root)
        try:
            return bench.timed(time_row(bench.checkpoint, how)).measurement
        except NoSpeed as error:
            raise NotMeasured(str(error)) from error

    def digest(self, checkpoint: Checkpoint, claim: Claim, dataset: str) -> str:
        """Of the protocol that is timed, on the row's data set or, without one, on synthetic images."""
        return claim_digest(checkpoint, dataset) if claim.printed else ""

    def choose(
        self, checkpoint: Checkpoint, claim: Claim, records: Sequence[Measurement]
    ) -> Measurement | None:
        """The newest that can be held against the published figure, else the newest."""
        comparable = [one for one in records if not _why_not_comparable(checkpoint, claim, one)]
        return next(iter((comparable or records)[-1:]), None)

    def why_not_comparable(
        self, checkpoint: Checkpoint, claim: Claim, measurement: Measurement | None, terms: Terms
    ) -> str:
        """Another device, other images, or other labels than the accuracy path's."""
        del terms
        return "" if measurement is None else _why_not_comparable(checkpoint, claim, measurement)

    def across(self, judged: Sequence[Judged]) -> list[Verdict]:
        """What one factor for the device says of each row, where absolute figures do not compare."""
        return with_shape(judged)[0]


def claim_digest(checkpoint: Checkpoint, dataset: str) -> str:
    """Of the protocol that answers a row's claim on its data set or, without one, on synthetic images; empty for none."""
    if not checkpoint.protocols:
        return ""
    accuracy = checkpoint.first_protocol().digest()
    return SpeedProtocol(accuracy_protocol=accuracy, source="data set" if dataset else "synthetic").digest()


def _why_not_comparable(checkpoint: Checkpoint, claim: Claim, measurement: Measurement) -> str:
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


def _conditions(checkpoint: Checkpoint, claim: Claim, measurement: Measurement) -> str:
    """What rows must share for their speeds to have one shape; empty where a figure is not to be used for one.

    Two CPUs are two devices: their model, threads and platform count.
    """
    why = _why_not_comparable(checkpoint, claim, measurement)
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
        [checkpoint.publisher, str(checkpoint.architecture), checkpoint.first_protocol().digest()]
    )


def with_shape(judged: Sequence[Judged]) -> tuple[list[Verdict], dict[str, Shape]]:
    """Verdicts on speed, at most one a row, with the column's shape told, and the shapes by conditions."""
    verdicts = [verdict for _, _, _, verdict in judged]
    under = {
        row.id: _conditions(row, claim, record) for row, claim, record, _ in judged if record is not None
    }
    networks = {row.id: network_of(row) for row, _, record, _ in judged if record is not None}
    shapes = {
        one: shape for one in set(under.values()) if one and (shape := _shape(verdicts, under, networks, one))
    }
    return [_told(verdict, shapes.get(under.get(verdict.checkpoint, ""))) for verdict in verdicts], shapes


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


QUANTITY = Fps()
