"""The accuracy loop: images that lack evidence are predicted and counted; the rest is addition."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from .confusion import Matrix, Scores, accuracy_scores, confusion_matrix
from .datasets import DatasetError, ImageFault
from .inference import model_device, predict_scores
from .pixels import read_image, read_label

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .datasets import Dataset, Sample
    from .evidence import EvidenceKey, EvidenceStore
    from .protocol import EvalProtocol


def count_image(
    model: Any, sample: Sample, dataset: Dataset, protocol: EvalProtocol, device: torch.device
) -> Matrix:
    """Predict one image and count it against its label.

    Raises:
        DatasetError: image or label missing, unreadable, or of different sizes.
    """
    label = read_label(sample.label, dataset.label_files, dataset.spec.ignore_index)
    image = read_image(sample.image)
    if image.shape[:2] != label.shape:
        raise DatasetError(
            f"{sample.label}: the label is {label.shape[0]} x {label.shape[1]}, its image {sample.image.name} is "
            f"{image.shape[0]} x {image.shape[1]} (height x width); they are not a pair"
        )
    with torch.inference_mode():
        prediction = predict_scores(model, image, protocol, device).argmax(dim=0)
    return confusion_matrix(
        prediction.cpu().numpy(), label, len(dataset.spec.classes), dataset.spec.ignore_index
    )


def count_missing(
    model: Any,
    dataset: Dataset,
    contents: Mapping[str, str],
    protocol: EvalProtocol,
    store: EvidenceStore,
    key: EvidenceKey,
) -> Iterator[Sample | ImageFault]:
    """Count every image that `store` lacks under `key`, yielding each as it is stored or found faulty.

    `contents` is `dataset.contents()`.
    """
    device = model_device(model)
    for sample in missing(dataset.samples, contents, store, key):
        try:
            matrix = count_image(model, sample, dataset, protocol, device)
        except DatasetError as error:
            yield ImageFault(image_id=sample.id, message=str(error))
            continue
        store.add(key, (sample.id, contents[sample.id]), matrix)
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
