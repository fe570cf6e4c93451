"""Counting: one confusion matrix an image, whole-number sums, data-set IoU.

A matrix is (C + 1) x C int64: row = label, column = prediction. Row C holds pixels whose label is neither
a class nor the ignore index: mmsegmentation drops those from the label area, yet their predictions still
enlarge the union (mmseg 0.18 `core/evaluation/metrics.py`), so they must be counted to get its number.

A protocol's void classes (`evaluate.protocol.Void`) are a rule of scoring: matrices are counted whole, `by_rule` takes
out what the rule says, and means are over the other classes (`averaged`). So one count serves every rule.

mIoU here is the data set's: areas are summed over all images, then divided, then averaged over classes.
A class in neither prediction nor label is left out of the mean; one that is only predicted counts as 0
(mmsegmentation and sssegmentation agree on both).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ..pixels import Labels
    from ..protocol import Void

Matrix = NDArray[np.int64]
MOST_CLASSES = 4096
"""Of a matrix that is read: it takes 128 MiB. ADE20K's whole list has 3,688."""
MOST_PIXELS = 10**10
"""Of one image whose counts are read; the sum over 100 million images still fits 64 bits."""


class Scores(msgspec.Struct, frozen=True, kw_only=True):
    """What tables print, in percent; None where a class has no pixels to divide by."""

    miou_percent: float
    """Mean over classes, void ones left out, of intersection over union."""
    macc_percent: float
    """Mean over the same classes of the share of labelled pixels that were found."""
    aacc_percent: float
    """Share of the pixels labelled as one of the same classes that were found, all classes together."""
    iou_percent: tuple[float | None, ...]
    """Of every class, void ones included."""
    accuracy_percent: tuple[float | None, ...]


def confusion_matrix(prediction: Labels, label: Labels, num_classes: int, ignore_index: int = 255) -> Matrix:
    """Count one image: (C + 1) x C int64 from two H x W maps.

    Raises:
        ValueError: the maps differ in size, or a prediction is not a class index.
    """
    if prediction.shape != label.shape:
        raise ValueError(
            f"prediction is {_by(prediction.shape)} pixels, label is {_by(label.shape)} (height x width)"
        )
    counted = label != ignore_index
    predicted = prediction[counted].astype(np.int64)
    if predicted.size and (predicted.min() < 0 or predicted.max() >= num_classes):
        raise ValueError(f"predictions reach {predicted.max()}, expected class indices below {num_classes}")
    labelled = label[counted].astype(np.int64)
    labelled[(labelled < 0) | (labelled >= num_classes)] = num_classes
    cells = (num_classes + 1) * num_classes
    return np.bincount(labelled * num_classes + predicted, minlength=cells).reshape(
        num_classes + 1, num_classes
    )


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(str(length) for length in shape)


def averaged(classes: int, void: Void | None) -> NDArray[np.bool_]:
    """(C,): which classes the means are over."""
    kept = np.ones(classes, dtype=np.bool_)
    if void is not None:
        kept[[index for index in void.classes if index < classes]] = False
    return kept


def by_rule(matrix: Matrix, void: Void | None) -> Matrix:
    """The counts that take part: of a (C + 1) x C matrix without the pixels that the rule does not count."""
    if void is None or void.pixels == "counted":
        return matrix
    out = np.flatnonzero(~averaged(matrix.shape[1], void))
    left = matrix.copy()
    left[out] = 0
    if void.pixels == "dropped":
        left[:, out] = 0
    return left


def accuracy_scores(matrix: Matrix, void: Void | None = None) -> Scores:
    """IoU and accuracy of a summed matrix.

    Args:
        matrix: (C + 1) x C, as counted.
        void: the protocol's classes that no mean is over.

    Raises:
        ValueError: not one labelled pixel was counted, or none of a class that the means are over.
    """
    intersect, union, _, label = areas(by_rule(matrix, void))
    kept = averaged(len(label), void)
    if not label[kept].sum():
        raise ValueError(
            "no labelled pixel was counted: every label is the ignore index, void or outside the classes"
            if void
            else "no labelled pixel was counted: every label is the ignore index or outside the classes"
        )
    with np.errstate(divide="ignore", invalid="ignore"):
        iou = 100.0 * intersect / union
        accuracy = 100.0 * intersect / label
    return Scores(
        miou_percent=float(np.nanmean(iou[kept])),
        macc_percent=float(np.nanmean(accuracy[kept])),
        aacc_percent=float(100.0 * intersect[kept].sum() / label[kept].sum()),
        iou_percent=_optional(iou),
        accuracy_percent=_optional(accuracy),
    )


def dice_percent(matrix: Matrix, void: Void | None = None) -> NDArray[np.float64]:
    """Dice of each class, void ones too, (C,), in percent; NaN for a class in neither prediction nor label.

    Twice the intersection over the sum of both areas (mmsegmentation 1.2 `evaluation/metrics/iou_metric.py`).
    """
    intersect, _, prediction, label = areas(by_rule(matrix, void))
    with np.errstate(divide="ignore", invalid="ignore"):
        return 200.0 * intersect / (prediction + label)


def mdice_percent(matrix: Matrix, void: Void | None = None) -> float:
    """Mean of the Dice over the classes that the means are over."""
    dice = dice_percent(matrix, void)
    return float(np.nanmean(dice[averaged(len(dice), void)]))


def areas(matrix: Matrix) -> tuple[Matrix, Matrix, Matrix, Matrix]:
    """Intersection, union, prediction and label area of each class, in pixels, as mmseg counts them."""
    num_classes = matrix.shape[1]
    intersect = np.diagonal(matrix).copy()
    prediction = matrix.sum(axis=0)
    label = matrix[:num_classes].sum(axis=1)
    return intersect, prediction + label - intersect, prediction, label


def _optional(values: NDArray[np.float64]) -> tuple[float | None, ...]:
    return tuple(None if np.isnan(value) else float(value) for value in values)


def encode(counts: NDArray[np.int64]) -> bytes:
    """Counts of any shape as bytes: little-endian int64 pairs (cell, count) of the cells that are not zero."""
    cells = np.flatnonzero(counts)
    return np.stack([cells, counts.reshape(-1)[cells]], axis=1).astype("<i8").tobytes()


def decode(data: bytes, num_classes: int) -> Matrix:
    """The matrix that `encode` wrote.

    Raises:
        ValueError: the bytes are not such pairs, or name a cell outside a (C + 1) x C matrix.
    """
    return decode_cells(data, (num_classes + 1, num_classes))


def decode_cells(data: bytes, shape: tuple[int, ...]) -> NDArray[np.int64]:
    """The counts of this shape that `encode` wrote.

    Raises:
        ValueError: the bytes are not such pairs, name a cell outside the shape or one twice, or hold counts that no
            image has.
    """
    cells, found = _pairs(data, math.prod(shape))
    counts = np.zeros(math.prod(shape), dtype=np.int64)
    counts[cells] = found
    return counts.reshape(shape)


def _pairs(data: bytes, size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cells and their counts, as `encode` writes them: cells rising, counts above zero."""
    if len(data) % 16:
        raise ValueError(f"counts of {len(data)} bytes are no pairs of 64-bit numbers")
    pairs = np.frombuffer(data, dtype="<i8").reshape(-1, 2)
    cells, found = pairs[:, 0], pairs[:, 1]
    if not len(pairs):
        return cells, found
    if not 0 <= int(cells.min()) <= int(cells.max()) < size:
        raise ValueError(f"counts name cell {cells.max()} of {size} cells")
    if (np.diff(cells) <= 0).any():
        raise ValueError("counts name a cell twice or out of order")
    if int(found.min()) <= 0 or float(found.sum(dtype=np.float64)) > MOST_PIXELS:
        raise ValueError(
            f"counts from {found.min()} to {found.max()} are of no image; they lie above 0 and sum to at most {MOST_PIXELS}"
        )
    return cells, found
