"""The other numbers that are called mIoU: same counts, other rules, each under its library's name.

On a whole validation set most rules agree; on a subset, or where classes are absent, they part by many
points. A number from elsewhere that matches one of these was not measured wrongly but defined otherwise.
Pixels whose label is no class are dropped here, as these libraries do or demand; only mmsegmentation's own
rule (`evaluate.count.confusion`) lets their predictions count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .confusion import accuracy_scores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from .confusion import Matrix

Areas = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Intersection and union in pixels: (C,) of a data set, (N, C) of its images."""


class _Counts:
    """What the rules need of N images: the summed matrix and each image's areas, (N, C)."""

    def __init__(self, images: Iterable[Matrix]) -> None:
        total: Matrix | None = None
        intersections, unions = [], []
        for matrix in images:
            total = matrix.copy() if total is None else total + matrix
            intersect, union = _areas(matrix)
            intersections.append(intersect)
            unions.append(union)
        if total is None:
            raise ValueError("no image was counted")
        self.total: Matrix = total
        self.dataset: Areas = _areas(total)
        self.images: Areas = np.stack(intersections), np.stack(unions)


def _areas(matrix: Matrix) -> Areas:
    inside = matrix[: matrix.shape[1]].astype(np.float64)
    intersect = np.diagonal(inside).copy()
    return intersect, inside.sum(axis=0) + inside.sum(axis=1) - intersect


def _iou(areas: Areas, *, absent: float = np.nan) -> NDArray[np.float64]:
    """Intersection over union; `absent` where there is neither prediction nor label."""
    intersect, union = areas
    return np.divide(intersect, union, out=np.full_like(intersect, absent), where=union > 0)


def _mmsegmentation(counts: _Counts) -> float:
    return accuracy_scores(counts.total).miou_percent / 100


def _detectron2(counts: _Counts) -> float:
    labelled = counts.total[:-1].sum(axis=1) > 0
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
    images: Iterable[Matrix], categories: Mapping[str, Sequence[int]] | None = None
) -> dict[str, float | None]:
    """Every definition's mIoU in percent, from per-image (C + 1) x C counts; None where a rule gives none.

    Args:
        images: one matrix an image, read once.
        categories: category -> its class indices, for the category mIoU; left out where there are none.

    Raises:
        ValueError: no image, or not one labelled pixel.
    """
    counts = _Counts(images)
    values = {name: rule(counts) for name, (rule, _) in _RULES.items()}
    if categories:
        values["Cityscapes category"] = _category_mean(counts.total, categories)
    return {name: None if np.isnan(value) else 100 * value for name, value in values.items()}


def _category_mean(matrix: Matrix, categories: Mapping[str, Sequence[int]]) -> float:
    members = np.zeros((len(categories), matrix.shape[1]), dtype=np.int64)
    for row, classes in enumerate(categories.values()):
        members[row, list(classes)] = 1
    merged = members @ matrix[:-1] @ members.T
    outside = np.zeros((1, len(categories)), dtype=np.int64)
    return float(np.nanmean(_iou(_areas(np.concatenate([merged, outside])))))
