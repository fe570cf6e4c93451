"""Scores of images whose counts are stored: which are missing, and sums over the others. Knows no network and no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..count.confusion import accuracy_scores, averaged, by_rule

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ..count.confusion import Matrix, Scores
    from ..data.datasets import Sample
    from ..protocol import Void
    from .store import EvidenceKey, EvidenceStore


class Running:
    """mIoU of the images of a split whose counts are stored so far, for whoever watches."""

    def __init__(
        self, store: EvidenceStore, key: EvidenceKey, contents: Mapping[str, str], void: Void | None = None
    ) -> None:
        self._store, self._key, self._contents, self._void = store, key, contents, void
        self._matrix: Matrix | None = None

    def with_image(self, image_id: str) -> float | None:
        """The mIoU in percent with this image, whose counts were just stored; None before the first labelled pixel."""
        image = (image_id, self._contents[image_id])
        if self._matrix is None:
            self._matrix = self._stored()
        else:
            found = self._store.get(self._key, image)
            assert found is not None, "it was just stored"
            self._matrix += found
        taking_part = by_rule(self._matrix, self._void)[:-1]
        labelled = taking_part[averaged(self._key.num_classes, self._void)].any()
        return accuracy_scores(self._matrix, self._void).miou_percent if labelled else None

    def _stored(self) -> Matrix:
        wanted = set(self._contents.items())
        total = np.zeros((self._key.num_classes + 1, self._key.num_classes), np.int64)
        for image, matrix in self._store.counts(self._key):
            if image in wanted:
                total += matrix
        return total


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


def scores_from_evidence(
    contents: Mapping[str, str], store: EvidenceStore, key: EvidenceKey, void: Void | None = None
) -> Scores:
    """Data-set scores from the counts of exactly these images and contents, by a protocol's rule.

    Raises:
        LookupError: some of them have no counts.
        ValueError: not one labelled pixel among them.
    """
    return accuracy_scores(matrix_from_evidence(contents, store, key), void)


def matrix_from_evidence(contents: Mapping[str, str], store: EvidenceStore, key: EvidenceKey) -> Matrix:
    """The data set's confusion matrix: the sum over exactly these images and contents, each once.

    Raises:
        LookupError: some of them have no counts.
    """
    matrices = counts_from_evidence(contents, store, key)
    return sum(matrices, start=next(matrices))
