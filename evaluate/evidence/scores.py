"""Scores of images whose counts are stored: which are missing, and sums over the others. Knows no network and no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..count.confusion import accuracy_scores

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ..count.confusion import Matrix, Scores
    from ..data.datasets import Sample
    from ..protocol import Void
    from .store import EvidenceKey, EvidenceStore


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
