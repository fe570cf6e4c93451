"""What a data set's mIoU can still become: hard bounds from the labels of the images not yet predicted.

Nothing is assumed of the network but that it gives every pixel one class. Facts used: the label areas of the
whole split are known, and of the images counted so far everything is. With D the sum of a class's label area over
the whole split and of the false positives so far, its IoU ends as (I + x) / (D + f), where x pixels of it are
found in the rest and f of others are taken for it; all f together cannot exceed the rest's counted pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .confusion import areas, averaged, by_rule

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..protocol import Void
    from .confusion import Matrix

_HALVINGS = 100


class Bounds(NamedTuple):
    """In percent; the mIoU of the whole split lies between them, both included."""

    lowest: float
    highest: float


def miou_bounds(counted: Matrix, rest: NDArray[np.int64], void: Void | None = None) -> Bounds:
    """Bounds of the mIoU (mmsegmentation's rule, as `confusion.accuracy_scores`) that the whole split will have.

    Args:
        counted: summed (C + 1) x C matrix of the images predicted so far.
        rest: summed (C + 1,) label areas of all others, pixels outside the classes last.
        void: classes that the mean is not over. Where pixels predicted so are dropped, the bounds hold all the same: a
            dropped pixel takes nothing from a class but a miss.

    Raises:
        ValueError: the split has not one labelled pixel.
    """
    kept = averaged(counted.shape[1], void)
    counted, rest = by_rule(counted, void), _counting(rest, kept, void)
    intersect, union, _, _ = areas(counted)
    denominator = (union + rest[:-1]).astype(np.float64)
    present = (denominator > 0) & kept
    if not (counted[:-1][kept].sum() + rest[:-1][kept].sum()):
        raise ValueError("not one labelled pixel in the split")
    highest = float(np.mean((intersect + rest[:-1])[present] / denominator[present]))
    budget = int(rest.sum())
    others = (budget - rest[:-1])[present].astype(np.float64)
    worst = _least_sum(intersect[present].astype(np.float64), denominator[present], others, budget)
    # A class that nothing holds is left out of the mean until one wrong pixel makes it count as 0.
    members = int(present.sum()) + min(int((~present & kept).sum()), budget)
    return _widened(worst / members, highest)


def _counting(rest: NDArray[np.int64], kept: NDArray[np.bool_], void: Void | None) -> NDArray[np.int64]:
    """The label areas (C + 1,) that take part: void ones do where their pixels are counted."""
    if void is None or void.pixels == "counted":
        return rest
    return np.where(np.append(kept, True), rest, 0)


def _widened(lowest: float, highest: float) -> Bounds:
    """In percent, with room for the rounding of a few thousand float64 operations."""
    slack = 1e-9
    return Bounds(max(0.0, 100 * lowest - slack), min(100.0, 100 * highest + slack))


def _least_sum(
    hits: NDArray[np.float64], denominator: NDArray[np.float64], most: NDArray[np.float64], budget: int
) -> float:
    """A lower bound, tight up to rounding, of sum(hits / (denominator + f)) over 0 <= f <= most, sum(f) <= budget.

    The sum is convex in f, so the best f has one price a pixel; every price gives a valid bound (weak duality),
    and halving finds the best one.
    """

    def spent(price: float) -> NDArray[np.float64]:
        return np.clip(np.sqrt(hits / price) - denominator, 0.0, most)

    if budget <= 0 or not hits.any():
        return float((hits / denominator).sum())
    low, high = 0.0, float((hits / denominator**2).max())
    for _ in range(_HALVINGS):
        price = (low + high) / 2
        if price <= 0.0:
            break
        low, high = (price, high) if spent(price).sum() > budget else (low, price)
    if high <= 0.0:
        return float((hits / (denominator + most)).sum())
    false = spent(high)
    return float((hits / (denominator + false)).sum() + high * (false.sum() - budget))
