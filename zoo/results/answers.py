"""Verdicts joined with their rows' facts: what the reporter's formatters take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...evaluate.count.definitions import DEFINITIONS
from ...reports.table import Row
from ..files.urls import shown_url
from ..measuring.terms import Terms
from ..quantities import quantity_of
from .judging import told_across, verdict_on

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ...reports.tolerance import Tolerance
    from ...reports.verdict import Verdict
    from ..manifest import Checkpoint, Claim
    from ..measuring.measurement import Measurement


def report_row(checkpoint: Checkpoint, verdicts: Iterable[Verdict]) -> Row:
    """A table row of one checkpoint."""
    devices = [claim.device for claim in checkpoint.claims if claim.device]
    sections = [claim.source.section for claim in checkpoint.claims if claim.source]
    return Row(
        checkpoint=checkpoint.id,
        publisher=checkpoint.publisher,
        dataset=checkpoint.dataset_spec.title,
        method=checkpoint.method,
        segmentor=checkpoint.segmentor,
        backbone=checkpoint.backbone,
        crop=f"{checkpoint.crop[0]}x{checkpoint.crop[1]}",
        schedule=checkpoint.schedule,
        pretrain=checkpoint.pretrain,
        train_eval_set=checkpoint.train_eval_set,
        device=devices[0] if devices else "",
        section=sections[0] if sections else "",
        parameters=checkpoint.parameters,
        gflops=checkpoint.cost.gflops if checkpoint.cost else None,
        links=_links(checkpoint),
        form=checkpoint.publisher_data.form(checkpoint.method),
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


NOT_RECORDED = "no measurement in the ledger"


class Answers:
    """Recorded measurements by the claim that they answer."""

    def __init__(self, measurements: Iterable[Measurement]) -> None:
        self._records: dict[tuple[str, str, str, str], list[tuple[int, Measurement]]] = {}
        """With their places in the ledger, which no clock that is set back changes."""
        for place, record in enumerate(measurements):
            key = (record.checkpoint, record.metric, record.protocol_digest, record.dataset)
            self._records.setdefault(key, []).append((place, record))

    def to(self, checkpoint: Checkpoint, claim: Claim) -> Measurement | None:
        """The measurement of a claim: on its data set, or on none where it needs none; never on one's own."""
        quantity, found = quantity_of(claim.metric), []
        for dataset in (checkpoint.dataset, ""):
            digest = quantity.digest(checkpoint, claim, dataset)
            found += self._records.get((checkpoint.id, claim.metric, digest, dataset), [])
        records = [record for _, record in sorted(found, key=lambda one: one[0])]
        return quantity.choose(checkpoint, claim, records)


def judge_ledger(
    checkpoints: Iterable[Checkpoint], answers: Answers, tolerance: Tolerance | None = None
) -> list[tuple[Checkpoint, list[Verdict]]]:
    """Checkpoints with their verdicts, from recorded measurements alone."""
    rows, terms = list(checkpoints), Terms(tolerance=tolerance)
    judged = [
        (row, claim, record, verdict_on(row, claim, record, terms, absent=row.not_built or NOT_RECORDED))
        for row in rows
        for claim in row.claims
        for record in [answers.to(row, claim)]
    ]
    by_row: dict[str, list[Verdict]] = {row.id: [] for row in rows}
    for row, _, _, verdict in told_across(judged):
        by_row[row.id].append(verdict)
    return [(row, by_row[row.id]) for row in rows]


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
