"""Two runs over the same images, compared from their counts: differences, and how far chance of images moves them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .bootstrap import drawn_iou, drawn_mean, image_areas
from .confusion import accuracy_scores, averaged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ..protocol import Void
    from .confusion import Matrix

REPLICATES = 2000
"""Draws of as many images as there are; the ends of an interval then move by a few hundredths of its width."""
CONFIDENCE = 0.95
_AT_ONCE = 200
"""Draws that are held in memory together."""
_SEED = 0


class Interval(NamedTuple):
    """Where 95 % of the differences lie, in points, when images are drawn again with replacement."""

    low: float
    high: float


class ClassDifference(NamedTuple):
    """One class's IoU in percent in both runs; None where it is in neither label nor prediction."""

    name: str
    first: float | None
    second: float | None
    points: float | None
    """The second run minus the first, in percentage points."""
    interval: Interval | None


class ImageDifference(NamedTuple):
    """What is known of one image whose counts differ."""

    image: str
    least_changed_pixels: int
    right_pixels: int
    """How many more of its pixels are right in the second run."""


class Comparison(NamedTuple):
    """Two runs over the same images."""

    first: float
    second: float
    """mIoU in percent."""
    points: float
    """The second run minus the first, in percentage points."""
    interval: Interval | None
    """Of the difference; None for a single image."""
    classes: tuple[ClassDifference, ...]
    images: int
    changed: tuple[ImageDifference, ...]
    """Images whose counts differ, those with most changed pixels first."""
    pixels: int
    """Counted in all images."""

    @property
    def least_changed_pixels(self) -> int:
        """Pixels that must have changed their class: counts hide those that changed places."""
        return sum(one.least_changed_pixels for one in self.changed)


def compare(
    first: Sequence[Matrix],
    second: Sequence[Matrix],
    images: Sequence[str],
    classes: Sequence[str],
    void: Void | None,
) -> Comparison:
    """Compare two runs.

    Args:
        first: A (C + 1) x C matrix an image.
        second: The same images' in the other run, in the same order.
        images: Their names.
        classes: Names of the C classes.
        void: The rule both are scored by.

    Raises:
        ValueError: There is not one image, or not one labelled pixel.
    """
    if not images:
        raise ValueError("the two runs have no image in common")
    totals = [accuracy_scores(np.sum(run, axis=0), void) for run in (first, second)]
    drawn = _Drawn(image_areas(first, void), image_areas(second, void), averaged(len(classes), void))
    changed = [
        _image(name, one, other)
        for name, one, other in zip(images, first, second, strict=True)
        if (one != other).any()
    ]
    rows = zip(classes, totals[0].iou_percent, totals[1].iou_percent, drawn.classes, strict=True)
    return Comparison(
        totals[0].miou_percent,
        totals[1].miou_percent,
        totals[1].miou_percent - totals[0].miou_percent,
        drawn.mean if len(images) > 1 else None,
        tuple(_class(*row, sure=len(images) > 1) for row in rows),
        len(images),
        tuple(sorted(changed, key=lambda one: -one.least_changed_pixels)),
        int(sum(int(matrix.sum()) for matrix in first)),
    )


def _class(
    name: str, first: float | None, second: float | None, interval: Interval | None, *, sure: bool
) -> ClassDifference:
    points = None if first is None or second is None else second - first
    return ClassDifference(name, first, second, points, interval if sure and points is not None else None)


def _image(name: str, one: Matrix, other: Matrix) -> ImageDifference:
    """Within the pixels of one label, as many must have changed as the counts moved."""
    moved = int(np.abs(one - other).sum()) // 2
    return ImageDifference(name, moved, int(np.trace(other[:-1]) - np.trace(one[:-1])))


class _Drawn:
    """The differences over images drawn again and again, the same ones for both runs."""

    def __init__(self, first: NDArray[np.int64], second: NDArray[np.int64], kept: NDArray[np.bool_]) -> None:
        random = np.random.default_rng(_SEED)
        count = len(first)
        means, classes = [], []
        for _ in range(REPLICATES // _AT_ONCE):
            times = random.multinomial(count, np.full(count, 1 / count), size=_AT_ONCE)
            one, other = drawn_iou(times, first), drawn_iou(times, second)
            means.append(drawn_mean(other[:, kept]) - drawn_mean(one[:, kept]))
            classes.append(other - one)
        self.mean = _interval(np.concatenate(means))
        self.classes = [_interval(column) for column in np.concatenate(classes).T]


def _interval(values: NDArray[np.float64]) -> Interval | None:
    known = values[~np.isnan(values)]
    if not len(known):
        return None
    low, high = np.quantile(known, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(float(low), float(high))
