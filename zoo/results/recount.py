"""Measurements from stored evidence alone: no network, no weights, no data set, no GPU."""

from __future__ import annotations

import hashlib
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, cast

from ...evaluate.count.confusion import accuracy_scores, areas
from ...evaluate.count.definitions import all_definitions
from ...evaluate.count.margins import summed
from ...evaluate.evidence import contents_of
from ...evaluate.evidence.file import DamagedEvidenceError
from ...evaluate.evidence.scores import counts_from_evidence, matrix_from_evidence
from ...evaluate.protocol import scored_digest
from ..measuring.measurement import Measurement
from ..measuring.rounding import DETAIL
from ..quantities import names, quantity_of
from ..quantities.counted import Counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ...evaluate.count.confusion import Matrix, Scores
    from ...evaluate.evidence import EvidenceKey, EvidenceStore, Split, Use


def recount(
    store: EvidenceStore, key: EvidenceKey, use: Use, *, seconds: float = 0.0, new_images: int = 0
) -> Measurement:
    """The measurement that a described series stands for; `verify` takes its numbers from here too.

    Raises:
        LookupError: some of the split's images have no counts.
        ValueError: an image is listed twice, not one labelled pixel was counted, or counts give no such metric.
    """
    split, contents = use.split, contents_of(use.split)
    matrix = matrix_from_evidence(contents, store, key)
    scores = accuracy_scores(matrix, use.void)
    others = all_definitions(counts_from_evidence(contents, store, key), split.categories, use.void)
    return Measurement(
        checkpoint=use.checkpoint,
        metric=use.metric,
        value=_score(use, matrix),
        details=_details(scores, split.classes, use)
        | {"definitions": others}
        | _rounding(store, key, contents, matrix, use),
        protocol=use.protocol,
        protocol_digest=scored_digest(key.protocol_digest, use.void),
        weights_sha256=key.weights_sha256,
        dataset=f"{split.dataset} ({split.subset})" if split.subset else split.dataset,
        subset=split.subset,
        dataset_fingerprint=split.fingerprint,
        dataset_ids_sha256=_ids_sha256(split),
        stray_pixels=int(matrix[-1].sum()),
        label_pixels=dict(zip(split.classes, areas(matrix)[3].tolist(), strict=True)),
        image_count=len(contents),
        seconds=seconds,
        new_images=new_images,
        precision=key.precision,
        environment=use.environment,
        taken_at=datetime.now(timezone.utc).isoformat(timespec="seconds")
        if new_images
        else store.last_used(key),
    )


def _score(use: Use, matrix: Matrix) -> float:
    if use.metric not in names(Counted):
        raise ValueError(f"{use.metric} is nothing that this version computes from counts")
    return cast("Counted", quantity_of(use.metric)).score(matrix, use.void)


def finished(store: EvidenceStore) -> Iterator[Measurement | str]:
    """The measurement of every described series whose split is complete, the one used last at the end.

    In place of one that cannot be had, a sentence says why; the others do not depend on it.
    """
    for key in sorted(store.series(), key=store.last_used):
        yield from _measurements_or_why(store, key)


def _measurements_or_why(store: EvidenceStore, key: EvidenceKey) -> Iterator[Measurement | str]:
    try:
        yield from _measurements(store, key)
    except (DamagedEvidenceError, ValueError) as error:
        yield f"series {key.digest()[:12]} has no score: {error}"


def _measurements(store: EvidenceStore, key: EvidenceKey) -> Iterator[Measurement]:
    for use in store.uses(key):
        if lacking(store, key, use.split) == 0:
            found = recount(store, key, use)
            if fault := found.fault():
                raise ValueError(f"{use.checkpoint}: {fault}")
            yield found


def lacking(store: EvidenceStore, key: EvidenceKey, split: Split) -> int:
    """How many of a split's images have no counts."""
    return len(set(split.images) - store.measured(key))


def _details(scores: Scores, classes: tuple[str, ...], use: Use) -> dict[str, Any]:
    void = (
        {}
        if use.void is None
        else {"void_classes": [classes[index] for index in use.void.classes if index < len(classes)]}
    )
    return void | {
        "macc_percent": scores.macc_percent,
        "aacc_percent": scores.aacc_percent,
        "iou_percent": dict(zip(classes, scores.iou_percent, strict=True)),
    }


def _rounding(
    store: EvidenceStore, key: EvidenceKey, contents: Mapping[str, str], matrix: Matrix, use: Use
) -> dict[str, Any]:
    """How far rounding could move the score; nothing where some image's close pixels were not kept."""
    wanted = set(contents.items())
    found = [closeness for image, closeness in store.closeness(key) if image in wanted]
    return {DETAIL: summed(found).summary(matrix, use.void)} if len(found) == len(wanted) else {}


def _ids_sha256(split: Split) -> str:
    lines = "".join(f"{name}\n" for name, _ in split.images)
    return hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest()
