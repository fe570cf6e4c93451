"""Verdicts joined with their rows' facts: what the reporter's formatters take."""

from __future__ import annotations

from typing import TYPE_CHECKING

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


def judge_ledger(checkpoint: Checkpoint, measurements: Iterable[Measurement], tolerance: Tolerance) -> Row:
    """A checkpoint's row judged from recorded measurements alone; the newest one of each protocol counts."""
    newest = {(record.checkpoint, record.metric, record.protocol_digest): record for record in measurements}
    return report_row(
        checkpoint, [_verdict(checkpoint, claim, newest, tolerance) for claim in checkpoint.claims]
    )


def _verdict(
    checkpoint: Checkpoint,
    claim: Claim,
    newest: dict[tuple[str, str, str], Measurement],
    tolerance: Tolerance,
) -> Verdict:
    record = newest.get((checkpoint.id, claim.metric, _digest(checkpoint, claim)))
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
