"""The other numbers that are called mIoU: same counts, other rules, each under its library's name.

On a whole validation set most rules agree; on a subset, or where classes are absent, they part by many
points. A number from elsewhere that matches one of these was not measured wrongly but defined otherwise.
Pixels whose label is no class are dropped here, as these libraries do or demand; only mmsegmentation's own
rule (`evaluate.count.confusion`) lets their predictions count. A protocol's void classes are left out of every mean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .confusion import accuracy_scores, averaged, by_rule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ..protocol import Void
    from .confusion import Matrix

Areas = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Intersection and union in pixels of the classes that are averaged: (C,) of a data set, (N, C) of its images."""


class _Counts:
    """What the rules need of N images: the summed matrix and each image's areas, (N, C)."""

    def __init__(self, images: Iterable[Matrix], void: Void | None) -> None:
        total: Matrix | None = None
        intersections, unions = [], []
        for whole in images:
            matrix = by_rule(whole, void)
            total = matrix.copy() if total is None else total + matrix
            intersect, union = _areas(matrix, averaged(matrix.shape[1], void))
            intersections.append(intersect)
            unions.append(union)
        if total is None:
            raise ValueError("no image was counted")
        self.void = void
        self.total: Matrix = total
        self.kept = averaged(total.shape[1], void)
        self.dataset: Areas = _areas(total, self.kept)
        self.images: Areas = np.stack(intersections), np.stack(unions)


def _areas(matrix: Matrix, kept: NDArray[np.bool_]) -> Areas:
    inside = matrix[: matrix.shape[1]].astype(np.float64)
    intersect = np.diagonal(inside)
    return intersect[kept], (inside.sum(axis=0) + inside.sum(axis=1) - intersect)[kept]


def _iou(areas: Areas, *, absent: float = np.nan) -> NDArray[np.float64]:
    """Intersection over union; `absent` where there is neither prediction nor label."""
    intersect, union = areas
    return np.divide(intersect, union, out=np.full_like(intersect, absent), where=union > 0)


def _mmsegmentation(counts: _Counts) -> float:
    return accuracy_scores(counts.total, counts.void).miou_percent / 100


def _detectron2(counts: _Counts) -> float:
    labelled = counts.total[:-1][counts.kept].sum(axis=1) > 0
    return float(_iou(counts.dataset)[labelled].mean())


def _csailvision(counts: _Counts) -> float:
    return float(_iou(counts.dataset, absent=0.0).mean())


def _torchvision(counts: _Counts) -> float:
    return float(_iou(counts.dataset).mean())


def _torchmetrics(counts: _Counts) -> float:
    return float(np.nanmean(_iou(counts.images)))


def _image_mean(counts: _Counts) -> float:
    occurs = counts.images[1] > 0
    seen = occurs.any(axis=1)
    return float((_iou(counts.images, absent=0.0)[seen].sum(axis=1) / occurs[seen].sum(axis=1)).mean())


def _smp_micro(counts: _Counts) -> float:
    intersect, union = counts.dataset
    return float(intersect.sum() / union.sum())


def _smp_macro(counts: _Counts) -> float:
    return float(_iou(counts.dataset, absent=1.0).mean())


def _smp_micro_imagewise(counts: _Counts) -> float:
    intersect, union = counts.images
    return float(_iou((intersect.sum(axis=1), union.sum(axis=1)), absent=1.0).mean())


def _smp_macro_imagewise(counts: _Counts) -> float:
    return float(_iou(counts.images, absent=1.0).mean())


_RULES: dict[str, tuple[Callable[[_Counts], float], str]] = {
    "mmsegmentation": (
        _mmsegmentation,
        "areas summed over the data set; an absent class is left out (sssegmentation, Hugging Face alike)",
    ),
    "detectron2": (_detectron2, "areas summed over the data set; only classes that some label has"),
    "CSAILVision": (_csailvision, "areas summed over the data set; an absent class counts as 0"),
    "torchvision": (
        _torchvision,
        "areas summed over the data set; undefined (nan) as soon as one class is absent (its reference script)",
    ),
    "torchmetrics": (
        _torchmetrics,
        "mean over every pair of image and class that occurs (segmentation.MeanIoU 1.9)",
    ),
    "image mean": (_image_mean, "each image's own mIoU over the classes in it, then the mean over images"),
    "smp micro": (_smp_micro, "areas summed over images and classes (segmentation_models.pytorch)"),
    "smp macro": (_smp_macro, "areas summed over the data set; an absent class counts as 100"),
    "smp micro-imagewise": (_smp_micro_imagewise, "areas summed over an image's classes, mean over images"),
    "smp macro-imagewise": (
        _smp_macro_imagewise,
        "mean over all pairs of image and class; a class absent from an image counts as 100",
    ),
}

DEFINITIONS: dict[str, str] = {name: rule for name, (_, rule) in _RULES.items()} | {
    "Cityscapes category": "classes merged into the data set's categories first (cityscapesScripts)"
}
"""Name -> the rule in words. Sources: facts of each library's evaluator at its 2025 or 2026 state: detectron2
`evaluation/sem_seg_evaluation.py`, CSAILVision `eval.py`, torchvision `references/segmentation/utils.py`,
torchmetrics `segmentation/mean_iou.py`, segmentation_models.pytorch `metrics/functional.py`, cityscapesScripts
`evaluation/evalPixelLevelSemanticLabeling.py` (whose instance-weighted iIoU no class counts can give)."""


def all_definitions(
    images: Iterable[Matrix],
    categories: Mapping[str, Sequence[int]] | None = None,
    void: Void | None = None,
) -> dict[str, float | None]:
    """Every definition's mIoU in percent, from per-image (C + 1) x C counts; None where a rule gives none.

    Args:
        images: one matrix an image, read once.
        categories: category -> its class indices, for the category mIoU; left out where there are none.
        void: the protocol's classes that no mean is over.

    Raises:
        ValueError: no image, or not one labelled pixel.
    """
    counts = _Counts(images, void)
    values = {name: rule(counts) for name, (rule, _) in _RULES.items()}
    if categories:
        values["Cityscapes category"] = _category_mean(counts, categories)
    return {name: None if np.isnan(value) else 100 * value for name, value in values.items()}


def _category_mean(counts: _Counts, categories: Mapping[str, Sequence[int]]) -> float:
    """Void classes are one more category, which the mean is not over either."""
    members = np.zeros((len(categories) + 1, counts.total.shape[1]), dtype=np.int64)
    for row, classes in enumerate(categories.values()):
        members[row, list(classes)] = 1
    members[:, ~counts.kept] = 0
    members[-1, ~counts.kept] = 1
    merged = members @ counts.total[:-1] @ members.T
    kept = members[:-1].any(axis=1)
    return float(np.nanmean(_iou(_areas(merged, np.append(kept, False)))))
