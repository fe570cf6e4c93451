"""Pixels of each class in each label: what is known of an image before any network has seen it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from ..data.datasets import Dataset, Sample
    from ..pixels import Labels
    from .store import EvidenceStore


def areas_of(label: Labels, num_classes: int, ignore_index: int) -> NDArray[np.int64]:
    """(C + 1,) pixels of each class of an H x W label; last those that are neither a class nor ignored."""
    values = label[label != ignore_index].astype(np.int64)
    values[(values < 0) | (values >= num_classes)] = num_classes
    return np.bincount(values, minlength=num_classes + 1)


def label_areas(
    dataset: Dataset, contents: Mapping[str, str], store: EvidenceStore, samples: Iterable[Sample]
) -> dict[str, NDArray[np.int64]]:
    """Image id -> areas of its label, (C + 1,); each label is read once, then the evidence file knows them.

    `contents` is `dataset.contents()`, `samples` the data set's own or a progress bar over them.

    Raises:
        DatasetError: a label is missing or cannot be read.
        EvidenceError: they cannot be stored.
    """
    rules = dataset.rules_digest()
    known = store.label_areas(rules)
    found = {}
    for sample in samples:
        areas = known.get(contents[sample.id])
        if areas is None:
            areas = _read_areas(sample, dataset)
            store.add_label_areas(rules, contents[sample.id], areas)
        found[sample.id] = areas
    return found


def _read_areas(sample: Sample, dataset: Dataset) -> NDArray[np.int64]:
    from ..pixels import read_label  # noqa: PLC0415  (cv2, which areas that are known need not pay)

    spec = dataset.spec
    label = read_label(sample.label, dataset.label_files, spec.ignore_index, len(spec.classes))
    return areas_of(label, len(spec.classes), spec.ignore_index)
