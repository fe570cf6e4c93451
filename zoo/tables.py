"""Verdicts joined with their rows' facts: what the reporter's formatters take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..evaluate.definitions import DEFINITIONS
from ..reports.table import Row
from ..reports.verdict import Tolerance, Verdict, judge, tolerance_of
from .memory import METRIC as TRAIN_MEMORY
from .memory import claim_protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .manifest import Checkpoint, Claim
    from .measurement import Measurement


def report_row(checkpoint: Checkpoint, verdicts: Iterable[Verdict]) -> Row:
    """A table row of one checkpoint."""
    devices = [claim.device for claim in checkpoint.claims if claim.device]
    return Row(
        checkpoint=checkpoint.id,
        publisher=checkpoint.publisher,
        dataset=checkpoint.dataset_spec.title,
        method=checkpoint.method,
        backbone=checkpoint.backbone,
        crop=f"{checkpoint.crop[0]}x{checkpoint.crop[1]}",
        schedule=checkpoint.schedule,
        device=devices[0] if devices else "",
        verdicts=tuple(verdicts),
    )


class Answers:
    """Recorded measurements by the claim that they answer: of full splits, the newest of each protocol."""

    def __init__(self, measurements: Iterable[Measurement]) -> None:
        self._newest = {
            (record.checkpoint, record.metric, record.protocol_digest, record.dataset): record
            for record in measurements
            if not record.subset
        }

    def to(self, checkpoint: Checkpoint, claim: Claim) -> Measurement | None:
        """The measurement of a claim: on its data set, or on none where it needs none; never on one's own."""
        found = (
            self._newest.get((checkpoint.id, claim.metric, _digest(checkpoint, claim), dataset))
            for dataset in (checkpoint.dataset, "")
        )
        return next((record for record in found if record is not None), None)


def judge_ledger(checkpoint: Checkpoint, answers: Answers, tolerance: Tolerance) -> Row:
    """A checkpoint's row judged from recorded measurements alone."""
    return report_row(
        checkpoint, [_verdict(checkpoint, claim, answers, tolerance) for claim in checkpoint.claims]
    )


def definition_records(checkpoints: Iterable[Checkpoint], answers: Answers) -> list[dict[str, Any]]:
    """Every other definition's mIoU of every measured accuracy claim, beside the printed figure."""
    return [
        {
            "checkpoint": checkpoint.id,
            "metric": claim.metric,
            "printed": claim.printed,
            "definition": name,
            "mIoU": value,
            "rule": DEFINITIONS[name],
        }
        for checkpoint in checkpoints
        for claim in checkpoint.claims
        if (record := answers.to(checkpoint, claim)) is not None
        for name, value in record.details.get("definitions", {}).items()
    ]


def _verdict(checkpoint: Checkpoint, claim: Claim, answers: Answers, tolerance: Tolerance) -> Verdict:
    record = answers.to(checkpoint, claim)
    reason = (
        (claim.note or "") if claim.printed is None else ("" if record else "no measurement in the ledger")
    )
    return judge(
        checkpoint=checkpoint.id,
        metric=claim.metric,
        printed=claim.printed,
        measured=record.value if record else None,
        tolerance=tolerance_of(claim.metric, tolerance),
        reason=reason,
        images=(record.image_count or None) if record else None,
        date=claim.date or "",
    )


def _digest(checkpoint: Checkpoint, claim: Claim) -> str:
    """Of the protocol that answers a claim; empty where nothing does."""
    if claim.protocol:
        return checkpoint.protocol(claim.metric).digest()
    return claim_protocol(checkpoint).digest() if claim.metric == TRAIN_MEMORY and claim.printed else ""
