"""Claims and measurements as the `model-index` of a Hugging Face model card.

It has the form of huggingface_hub's `ModelCardData.eval_results` (repocard_data.py): one result a
task and data set, metrics with name, type and value, `verified: false`, since nothing here was run by Hugging
Face. Reported and measured values are told apart by their names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from ...reports.metrics import METRICS
from ...reports.verdict import rounded
from ..files.urls import shown_url

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ..manifest import Checkpoint, Claim, Document
    from ..measuring.measurement import Measurement
    from .answers import Answers

TASK, DEPTH = ("image-segmentation", "Semantic Segmentation"), ("depth-estimation", "Depth Estimation")
"""Type and name on Hugging Face."""
METRIC_TYPES = {"miou": "mean_iou", "miou_ms_flip": "mean_iou", "miou_flip": "mean_iou"}
"""Metric -> its type on Hugging Face, where `evaluate` has one; others go by their own name."""


def model_index(
    checkpoints: Iterable[Checkpoint],
    documents: Mapping[str, Document],
    answers: Answers,
) -> str:
    """YAML with a `model-index` key: the head of a model card, between its lines of dashes.

    Args:
        checkpoints: one model each; those that print nothing are left out.
        documents: the manifest's, for links to where a figure stands.
        answers: what was measured.
    """
    models = [
        {"name": one.id, "results": [*_reported(one, documents), *_measured(one, answers)]}
        for one in checkpoints
        if one.published
    ]
    return yaml.dump({"model-index": models}, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


class _Printed(float):
    """A number that is written with the digits of its text: `78.70`."""

    def __init__(self, text: str) -> None:
        self.text = text if "." in text else f"{text}.0"


class _Dumper(yaml.SafeDumper):
    """Writes `_Printed` as YAML floats."""


_Dumper.add_representer(
    _Printed, lambda dumper, number: dumper.represent_scalar("tag:yaml.org,2002:float", number.text)
)


def _reported(checkpoint: Checkpoint, documents: Mapping[str, Document]) -> Iterator[dict[str, Any]]:
    """One result a document: each figure is linked to where it stands."""
    cited: dict[str, list[Claim]] = {}
    current = {claim.metric: claim for claim in checkpoint.published}
    for claim in current.values():
        cited.setdefault(claim.source.document if claim.source else "", []).append(claim)
    for key, claims in cited.items():
        document = documents.get(key)
        result = _result(checkpoint, [_reported_metric(claim) for claim in claims])
        if document and document.url:
            result["source"] = {"name": document.title, "url": shown_url(document.url)}
        yield result


def _measured(checkpoint: Checkpoint, answers: Answers) -> Iterator[dict[str, Any]]:
    """What the ledger has for the claims, without a source: it is nobody's publication."""
    claims = {claim.metric: claim for claim in checkpoint.published}
    found = [(claim, answers.to(checkpoint, claim)) for claim in claims.values()]
    metrics = [_measured_metric(claim, record) for claim, record in found if record]
    if metrics:
        yield _result(checkpoint, metrics)


def _result(checkpoint: Checkpoint, metrics: list[dict[str, Any]]) -> dict[str, Any]:
    spec = checkpoint.dataset_spec
    kind, name = DEPTH if any(claim.metric == "rmse" for claim in checkpoint.published) else TASK
    return {
        "task": {"type": kind, "name": name},
        "dataset": {"type": spec.name, "name": spec.title, "split": spec.split},
        "metrics": metrics,
    }


def _reported_metric(claim: Claim) -> dict[str, Any]:
    when = f", {claim.date}" if claim.date else ""
    facts = {"printed": claim.printed, "protocol": claim.protocol, "device": claim.device}
    if claim.source:
        facts["where"] = f"{claim.source.section}, row {claim.source.row}"
    return _metric(claim, claim.printed or "0", f"reported{when}", facts)


def _measured_metric(claim: Claim, record: Measurement) -> dict[str, Any]:
    """Under its own protocol and device, which for memory and speed need not be the publisher's."""
    facts = {"protocol": record.protocol, "device": record.environment.get("device")}
    value = str(rounded(record.value, claim.metric))
    return _metric(claim, value, f"measured {record.taken_at[:10]}", facts)


def _metric(claim: Claim, value: str, how: str, facts: dict[str, Any]) -> dict[str, Any]:
    """One metric; `facts` are what a reader must know of how the value came about."""
    kind = METRIC_TYPES.get(claim.metric, claim.metric)
    name = f"{METRICS[claim.metric].title}, {how}"
    known = {key: fact for key, fact in (facts | {"unit": METRICS[claim.metric].unit}).items() if fact}
    return {"type": kind, "value": _Printed(value), "name": name, "verified": False, "args": known}
