"""Verdicts joined with their rows' facts: what the reporter's formatters take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...evaluate.count.definitions import DEFINITIONS
from ...reports.table import Row
from ...reports.verdict import Tolerance, Verdict, judge, tolerance_of
from ..files.urls import shown_url
from ..quantities.memory import METRIC as TRAIN_MEMORY
from ..quantities.memory import claim_protocol
from ..quantities.rounding import with_rounding
from ..quantities.speed_verdicts import METRIC as FPS
from ..quantities.speed_verdicts import (
    claim_digest,
    conditions,
    judge_speed,
    network_of,
    why_not_comparable,
    with_shape,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..manifest import Checkpoint, Claim
    from ..quantities.measurement import Measurement


def report_row(checkpoint: Checkpoint, verdicts: Iterable[Verdict]) -> Row:
    """A table row of one checkpoint."""
    devices = [claim.device for claim in checkpoint.claims if claim.device]
    sections = [claim.source.section for claim in checkpoint.claims if claim.source]
    return Row(
        checkpoint=checkpoint.id,
        publisher=checkpoint.publisher,
        dataset=checkpoint.dataset_spec.title,
        method=checkpoint.method,
        backbone=checkpoint.backbone,
        crop=f"{checkpoint.crop[0]}x{checkpoint.crop[1]}",
        schedule=checkpoint.schedule,
        pretrain=checkpoint.pretrain,
        train_eval_set=checkpoint.train_eval_set,
        device=devices[0] if devices else "",
        section=sections[0] if sections else "",
        links=_links(checkpoint),
        verdicts=tuple(verdicts),
    )


def _links(checkpoint: Checkpoint) -> dict[str, str]:
    """The first address of each kind: further ones are where the same file was or is copied to."""
    known = {
        "weights": checkpoint.weights.urls,
        "log": checkpoint.log_urls,
        "config": checkpoint.config_urls,
    }
    return {name: shown_url(urls[0]) for name, urls in known.items() if urls}


class Answers:
    """Recorded measurements by the claim that they answer; the newest of each protocol counts.

    Of speeds, one that can be held against the published figure comes before newer ones that cannot.
    """

    def __init__(self, measurements: Iterable[Measurement]) -> None:
        self._records: dict[tuple[str, str, str, str], list[Measurement]] = {}
        self._places: dict[int, int] = {}
        """Identity of a record -> its place in the ledger, which no clock that is set back changes."""
        for place, record in enumerate(measurements):
            self._places[id(record)] = place
            key = (record.checkpoint, record.metric, record.protocol_digest, record.dataset)
            self._records.setdefault(key, []).append(record)

    def to(self, checkpoint: Checkpoint, claim: Claim) -> Measurement | None:
        """The measurement of a claim: on its data set, or on none where it needs none; never on one's own."""
        for_dataset = [
            self._records.get((checkpoint.id, claim.metric, _digest(checkpoint, claim, dataset), dataset), [])
            for dataset in (checkpoint.dataset, "")
        ]
        if claim.metric == FPS:
            candidates = [record for records in for_dataset for record in records]
            return max(candidates, key=lambda one: self._rank(checkpoint, claim, one), default=None)
        in_fp32 = [[record for record in records if record.precision == "fp32"] for records in for_dataset]
        return next((records[-1] for records in in_fp32 if records), None)

    def _rank(self, checkpoint: Checkpoint, claim: Claim, record: Measurement) -> tuple[bool, int]:
        return not why_not_comparable(checkpoint, claim, record), self._places[id(record)]


def judge_ledger(
    checkpoints: Iterable[Checkpoint], answers: Answers, tolerance: Tolerance | None = None
) -> list[tuple[Checkpoint, list[Verdict]]]:
    """Checkpoints with their verdicts, from recorded measurements alone."""
    rows = list(checkpoints)
    judged = [(row, [_verdict(row, claim, answers, tolerance) for claim in row.claims]) for row in rows]
    recorded = [answers.to(row, claim) for row in rows for claim in row.claims if claim.metric == FPS]
    return tell_shapes(judged, [record for record in recorded if record is not None])


def tell_shapes(
    judged: Sequence[tuple[Checkpoint, list[Verdict]]], speeds: Iterable[Measurement]
) -> list[tuple[Checkpoint, list[Verdict]]]:
    """The same verdicts, those on speed with what the whole column says; `speeds` are the measurements behind them."""
    rows = {row.id: row for row, _ in judged}
    under = {
        record.checkpoint: conditions(rows[record.checkpoint], claim, record)
        for record in speeds
        for claim in rows[record.checkpoint].claims
        if claim.metric == FPS
    }
    on_speed = [one for _, verdicts in judged for one in verdicts if one.metric == FPS]
    told, _ = with_shape(
        on_speed, under, {name: network_of(row) for name, row in rows.items() if name in under}
    )
    by_row = {verdict.checkpoint: verdict for verdict in told}
    return [
        (row, [by_row[row.id] if one.metric == FPS else one for one in verdicts]) for row, verdicts in judged
    ]


def answering(checkpoints: Iterable[Checkpoint], answers: Answers) -> list[Measurement]:
    """Every measurement that answers a claim of these rows, once, in their order."""
    found = (answers.to(checkpoint, claim) for checkpoint in checkpoints for claim in checkpoint.claims)
    return list({id(record): record for record in found if record is not None}.values())


def definition_records(checkpoints: Iterable[Checkpoint], answers: Answers) -> list[dict[str, Any]]:
    """Every other definition's mIoU of every measured accuracy claim, beside the printed figure."""
    return [
        {
            "checkpoint": checkpoint.id,
            "metric": claim.metric,
            "printed": claim.printed,
            "definition": name,
            "mIoU": value,
            "rule": DEFINITIONS.get(name, "not known to this version"),
        }
        for checkpoint in checkpoints
        for claim in checkpoint.claims
        if (record := answers.to(checkpoint, claim)) is not None
        for name, value in record.details.get("definitions", {}).items()
    ]


def _verdict(checkpoint: Checkpoint, claim: Claim, answers: Answers, tolerance: Tolerance | None) -> Verdict:
    record = answers.to(checkpoint, claim)
    if record is not None and claim.metric == FPS:
        return judge_speed(checkpoint, claim, record)
    reason = record.data_caveat() if record else "no measurement in the ledger"
    if claim.printed is None:
        reason = claim.note or ""
    verdict = judge(
        checkpoint=checkpoint.id,
        metric=claim.metric,
        printed=claim.printed,
        measured=record.value if record else None,
        tolerance=tolerance_of(claim.metric, tolerance, checkpoint.publisher),
        reason=reason,
        images=(record.image_count or None) if record else None,
        date=claim.date or "",
    )
    return with_rounding(verdict, record)


def _digest(checkpoint: Checkpoint, claim: Claim, dataset: str) -> str:
    """Of the protocol that answers a claim on a data set, or on none (`""`); empty where nothing does."""
    if claim.protocol:
        return checkpoint.protocol(claim.metric).digest()
    if not claim.printed:
        return ""
    if claim.metric == FPS:
        return claim_digest(checkpoint, dataset)
    return claim_protocol(checkpoint).digest() if claim.metric == TRAIN_MEMORY else ""
