"""The accuracy loop: images that lack evidence are predicted and counted; the rest is addition."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import torch

from .confusion import Matrix, Scores, accuracy_scores, confusion_matrix
from .datasets import DatasetError, ImageFault
from .device import in_precision
from .inference import model_device
from .margins import Margins
from .pipeline import WORKERS, ahead, prepare
from .tiles import decide, scored_views

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .datasets import Dataset, Sample
    from .evidence import EvidenceKey, EvidenceStore
    from .inference import Model
    from .pipeline import Prepared
    from .pixels import Labels
    from .protocol import EvalProtocol
    from .tiles import Decision


class Loading(msgspec.Struct, frozen=True, kw_only=True):
    """How images reach the network; changes speed, and with `batch` last bits."""

    workers: int = WORKERS
    """Threads that make images ready; 0 for none."""
    batch: int = 1
    """Mirrored views and windows of one size that run at once. 1 is the publishers' own: other batches may take
    other kernels."""


class Tally:
    """What a run has counted so far: for a progress bar, and for the margins, which are kept nowhere else."""

    def __init__(self, num_classes: int, matrix: Matrix | None = None) -> None:
        self.matrix: Matrix = (
            np.zeros((num_classes + 1, num_classes), np.int64) if matrix is None else matrix.copy()
        )
        self.margins = Margins(num_classes)

    @property
    def miou_percent(self) -> float | None:
        """Of the images so far; None before the first labelled pixel."""
        return accuracy_scores(self.matrix).miou_percent if self.matrix[:-1].any() else None


def count_image(
    model: Model, image: Prepared, dataset: Dataset, protocol: EvalProtocol, device: torch.device, batch: int
) -> tuple[Matrix, Decision]:
    """Predict one image and count it against its label."""
    with torch.inference_mode():
        inputs = [view.to(device, non_blocking=True) for view in image.inputs]
        found = list(scored_views(model, inputs, image.size, protocol, batch))
        decision = decide(found, image.size, protocol)
        matrix = _count(decision.labels, image.label, len(dataset.spec.classes), dataset.spec.ignore_index)
    return matrix, decision


def _count(labels: torch.Tensor, truth: Labels, num_classes: int, ignore_index: int) -> Matrix:
    """The image's matrix, counted where its label map lies."""
    if labels.device.type == "cpu":
        return confusion_matrix(labels.numpy(), truth, num_classes, ignore_index)
    right = torch.from_numpy(truth.astype(np.int64)).to(labels.device)
    counted = right != ignore_index
    stray = (right < 0) | (right >= num_classes)
    cells = torch.where(stray, num_classes, right) * num_classes + labels
    length = (num_classes + 1) * num_classes
    counts = torch.bincount(cells[counted], minlength=length)
    return counts.cpu().numpy().reshape(num_classes + 1, num_classes)


def count_missing(
    model: Any,
    dataset: Dataset,
    contents: Mapping[str, str],
    protocol: EvalProtocol,
    store: EvidenceStore,
    key: EvidenceKey,
    *,
    loading: Loading | None = None,
    tally: Tally | None = None,
) -> Iterator[Sample | ImageFault]:
    """Count every image that `store` lacks under `key`, yielding each as it is stored or found faulty.

    `contents` is `dataset.contents()`; the network runs in the key's precision. `tally` is kept up to date.
    """
    device = model_device(model)
    loading = loading or Loading()
    network = in_precision(model, key.precision, device)
    load = partial(prepare, dataset=dataset, protocol=protocol, pin=device.type == "cuda")
    lacking = missing(dataset.samples, contents, store, key)
    with closing(ahead(lacking, load, loading.workers)) as coming:
        for sample, ready in coming:
            try:
                image = ready()
            except DatasetError as error:
                yield ImageFault(image_id=sample.id, message=str(error))
                continue
            matrix, decision = count_image(network, image, dataset, protocol, device, loading.batch)
            store.add(key, (sample.id, contents[sample.id]), matrix)
            if tally is not None:
                tally.matrix += matrix
                labels, margins, second = (part.cpu().numpy() for part in decision)
                tally.margins.add(labels, margins, second, image.label, dataset.spec.ignore_index)
            yield sample


def missing(
    samples: Sequence[Sample], contents: Mapping[str, str], store: EvidenceStore, key: EvidenceKey
) -> list[Sample]:
    """The samples that have no counts for their present contents, in order."""
    measured = store.measured(key)
    return [sample for sample in samples if (sample.id, contents[sample.id]) not in measured]


def counts_from_evidence(
    contents: Mapping[str, str], store: EvidenceStore, key: EvidenceKey
) -> Iterator[Matrix]:
    """The counts of exactly these images and contents, each once.

    Raises:
        LookupError: some of them have no counts; raised before the first matrix.
    """
    wanted = set(contents.items())
    lacking = sorted(image[0] for image in wanted - store.measured(key))
    if lacking:
        raise LookupError(f"{len(lacking)} of {len(contents)} images have no counts, first {lacking[0]!r}")
    return (matrix for image, matrix in store.counts(key) if image in wanted)


def scores_from_evidence(contents: Mapping[str, str], store: EvidenceStore, key: EvidenceKey) -> Scores:
    """Data-set scores from the counts of exactly these images and contents.

    Raises:
        LookupError: some of them have no counts.
        ValueError: not one labelled pixel among them.
    """
    return accuracy_scores(matrix_from_evidence(contents, store, key))


def matrix_from_evidence(contents: Mapping[str, str], store: EvidenceStore, key: EvidenceKey) -> Matrix:
    """The data set's confusion matrix: the sum over exactly these images and contents, each once.

    Raises:
        LookupError: some of them have no counts.
    """
    matrices = counts_from_evidence(contents, store, key)
    return sum(matrices, start=next(matrices))
