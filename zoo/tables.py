"""Verdicts joined with their rows' facts: what the reporter's formatters take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..evaluate.definitions import DEFINITIONS
from ..reports.table import Row
from ..reports.verdict import Tolerance, Verdict, judge

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
    newest = {
        (record.checkpoint, record.metric, record.protocol_digest): record
        for record in measurements
        if record.dataset == checkpoint.dataset  # not one's own folder, which no claim is about
    }
    return report_row(
        checkpoint, [_verdict(checkpoint, claim, newest, tolerance) for claim in checkpoint.claims]
    )


def definition_records(
    checkpoints: Iterable[Checkpoint], measurements: Iterable[Measurement]
) -> list[dict[str, Any]]:
    """Every other definition's mIoU of every measured accuracy claim, beside the printed figure."""
    newest = {(record.checkpoint, record.metric, record.protocol_digest): record for record in measurements}
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
        if (record := _newest(checkpoint, claim, newest)) is not None
        for name, value in record.details.get("definitions", {}).items()
    ]


def _newest(
    checkpoint: Checkpoint, claim: Claim, newest: dict[tuple[str, str, str], Measurement]
) -> Measurement | None:
    digest = checkpoint.protocol(claim.metric).digest() if claim.protocol else ""
    return newest.get((checkpoint.id, claim.metric, digest))


def _verdict(
    checkpoint: Checkpoint,
    claim: Claim,
    newest: dict[tuple[str, str, str], Measurement],
    tolerance: Tolerance,
) -> Verdict:
    record = _newest(checkpoint, claim, newest)
    reason = (
        (claim.note or "") if claim.printed is None else ("" if record else "no measurement in the ledger")
    )
    return judge(
        checkpoint=checkpoint.id,
        metric=claim.metric,
        printed=claim.printed,
        measured=record.value if record else None,
        tolerance=tolerance,
        reason=reason,
        images=record.image_count if record else None,
        date=claim.date or "",
    )
