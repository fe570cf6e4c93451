"""How much of a score rounding can move: pixels whose best two classes are close, by what a swap would do.

Another GPU, batch size or torch adds in another order, and pixels whose best two averaged scores lie closer than
that rounding may change sides. Counting them by class bounds the change of mIoU that a swap of the best two
classes of every such pixel can cause.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .confusion import Matrix, areas

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .pixels import Labels

LIMITS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2)
"""Margins counted, in the unit of the averaged scores."""
LOST, GAINED, LEFT, JOINED = range(4)
"""What a swap does to a class: a pixel of its label predicted right no more, or newly; any other pixel
predicted as it no more, or newly."""


class Margins:
    """Labelled pixels with a margin below each limit, by class and effect; summed over images."""

    def __init__(self, num_classes: int) -> None:
        self.images = 0
        self.pixels = 0
        self.close: NDArray[np.int64] = np.zeros(len(LIMITS), np.int64)
        self.effects: NDArray[np.int64] = np.zeros((len(LIMITS), 4, num_classes), np.int64)

    def add(
        self,
        labels: NDArray[np.uint8],
        margins: NDArray[np.float32],
        runners_up: NDArray[np.uint8],
        truth: Labels,
        ignore_index: int,
    ) -> None:
        """Count one image; all maps are H x W."""
        counted = truth != ignore_index
        self.images += 1
        self.pixels += int(counted.sum())
        near = counted & (margins < LIMITS[-1])
        margin, right = margins[near], truth[near]
        best, second = labels[near], runners_up[near]
        for row, limit in enumerate(LIMITS):
            chosen = margin < limit
            self.close[row] += int(chosen.sum())
            self._count(row, best[chosen], right[chosen], (LOST, LEFT))
            self._count(row, second[chosen], right[chosen], (GAINED, JOINED))

    def _count(self, row: int, classes: Labels, truth: Labels, effects: tuple[int, int]) -> None:
        length = self.effects.shape[2]
        same = classes == truth
        self.effects[row, effects[0]] += np.bincount(classes[same], minlength=length)
        self.effects[row, effects[1]] += np.bincount(classes[~same], minlength=length)

    def miou_change(self, matrix: Matrix, row: int) -> tuple[float, float]:
        """The largest fall and rise of mIoU, in points, by swaps below `LIMITS[row]`; `matrix` is of the same images.

        Each class is taken at its own worst and best, so the true change lies within.
        """
        intersect, union, _, _ = areas(matrix)
        lost, gained, left, joined = self.effects[row]
        with np.errstate(divide="ignore", invalid="ignore"):
            now = intersect / union
            low = (intersect - lost) / (union + joined)
            high = (intersect + gained) / (union - left)
        met = union > 0
        return (
            float(100 * (now[met].mean() - low[met].mean())),
            float(100 * (np.where(union == left, 1.0, high)[met].mean() - now[met].mean())),
        )

    def summary(self, matrix: Matrix | None, unit: str) -> dict[str, Any]:
        """For a measurement's details; `matrix` is None where some images' margins are not known."""
        rows = []
        for row, limit in enumerate(LIMITS):
            change = None if matrix is None else self.miou_change(matrix, row)
            rows.append(
                {
                    "below": limit,
                    "share_percent": 100 * int(self.close[row]) / max(self.pixels, 1),
                    "miou_may_fall_points": change and change[0],
                    "miou_may_rise_points": change and change[1],
                }
            )
        return {"unit": unit, "images": self.images, "pixels": self.pixels, "margins": rows}


def explanation(summary: dict[str, Any], delta: float) -> str:
    """One sentence: is a difference of `delta` points (ours minus printed) within what rounding can do?"""
    side = "miou_may_rise_points" if delta < 0 else "miou_may_fall_points"
    known = [row for row in summary["margins"] if row[side] is not None]
    if not known:
        return ""
    for row in known:
        if row[side] >= abs(delta):
            return f"explainable only if rounding moved margins by {row['below']:g} {summary['unit']}"
    last = known[-1]
    return (
        f"not explainable by rounding: margins moved by {last['below']:g} {summary['unit']} "
        f"change mIoU by at most {last[side]:.3f} points"
    )
