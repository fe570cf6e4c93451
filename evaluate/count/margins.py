"""How much of a score rounding can move: pixels whose best two classes are close, by what a swap would do.

Another GPU, batch size or torch adds in another order, and pixels whose best two averaged scores lie closer than
that rounding may change sides. Counting them by class bounds the change of mIoU that a swap of the best two
classes of every such pixel can cause. Each image's counts are kept with its evidence, so the bound of a data set
follows from the evidence alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .confusion import areas, averaged, by_rule, decode_cells, encode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from ..protocol import Void
    from .confusion import Matrix

LIMITS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2)
"""Upper ends of the bands of margins that are counted, in the unit of the averaged scores."""
LOST, GAINED, LEFT, JOINED = range(4)
"""What a swap does to a class: a pixel of its label predicted right no more, or newly; any other pixel
predicted as it no more, or newly."""


class Closeness:
    """The close pixels of one image or of many: by band of margin, effect of a swap and class.

    `counts` is (bands, 4, C) int64; a pixel counts once as its class and once as the runner-up.
    """

    def __init__(self, counts: NDArray[np.int64]) -> None:
        self.counts = counts

    @classmethod
    def decode(cls, data: bytes, num_classes: int) -> Closeness:
        """What `encode` wrote.

        Raises:
            ValueError: the bytes are none of it.
        """
        return cls(decode_cells(data, (len(LIMITS), 4, num_classes)))

    def encode(self) -> bytes:
        """As bytes: the cells that are not zero."""
        return encode(self.counts)

    def fault(self, matrix: Matrix) -> str:
        """What contradicts the counts of the same images; empty where nothing does."""
        intersect, _, prediction, label = areas(matrix)
        lost, gained, left, _ = self.counts.sum(axis=0)
        of_other_label = label - intersect
        if (
            (lost > intersect).any()
            or (left > prediction - intersect).any()
            or (gained > of_other_label).any()
        ):
            return "a class has more close pixels than pixels"
        best, second = (self.counts[:, sides].sum(axis=(1, 2)) for sides in ([LOST, LEFT], [GAINED, JOINED]))
        return (
            "" if (best == second).all() else "close pixels are not counted once as each of their two classes"
        )

    def pixels(self) -> NDArray[np.int64]:
        """Labelled pixels whose margin is below each limit."""
        return np.cumsum(self.counts[:, [LOST, LEFT]].sum(axis=(1, 2)))

    def miou_change(self, matrix: Matrix, limit: int, void: Void | None = None) -> tuple[float, float]:
        """The largest fall and rise of mIoU, in points, by swaps below `LIMITS[limit]`.

        `matrix` counts the same images. Each class is taken at its own worst and best, so the true change lies
        within. Which labels the close pixels have is not known: where a rule leaves void ones out, the pixels that a
        class may gain or lose by it are all taken as its own.
        """
        kept = averaged(matrix.shape[1], void)
        intersect, union, _, _ = areas(by_rule(matrix, void))
        lost, gained, left, joined = self.counts[: limit + 1].sum(axis=0)
        if void is not None and void.pixels == "dropped":
            # A pixel comes to count when it is void no more, and ceases to when it becomes void.
            coming, going = (lost + left)[~kept].sum(), (gained + joined)[~kept].sum()
            joined, left = joined + coming, left + going
        with np.errstate(divide="ignore", invalid="ignore"):
            now = intersect / union
            low = np.maximum(intersect - lost, 0) / (union + joined)
            high = np.where(union <= left, 1.0, np.minimum((intersect + gained) / (union - left), 1.0))
        met = kept & (union > 0)
        entering = int((kept & (union == 0) & (joined > 0)).sum())  # a class of no pixel yet would count as 0
        lowest = low[met].sum() / (met.sum() + entering)
        return (
            float(100 * (now[met].mean() - lowest)),
            float(100 * (high[met].mean() - now[met].mean())),
        )

    def summary(self, matrix: Matrix, void: Void | None = None) -> list[dict[str, float]]:
        """For a measurement's details, limit by limit; `matrix` counts the same images, whole."""
        total = max(int(matrix.sum()), 1)
        rows = []
        for index, (limit, close) in enumerate(zip(LIMITS, self.pixels().tolist(), strict=True)):
            fall, rise = self.miou_change(matrix, index, void)
            rows.append(
                {
                    "below": limit,
                    "share_percent": 100 * close / total,
                    "miou_may_fall_points": fall,
                    "miou_may_rise_points": rise,
                }
            )
        return rows


def summed(closeness: Iterable[Closeness]) -> Closeness:
    """The close pixels of all of these images, of which there is at least one."""
    images = iter(closeness)
    return Closeness(sum((one.counts for one in images), start=next(images).counts))


def explanation(summary: list[dict[str, float]], delta: float) -> str:
    """One sentence: is a difference of `delta` points (ours minus printed) within what rounding can do?"""
    side = "miou_may_rise_points" if delta < 0 else "miou_may_fall_points"
    for row in summary:
        if row[side] >= abs(delta):
            return f"explainable only if rounding swaps a pixel's best two classes that are {row['below']:g} apart"
    last = summary[-1]
    return (
        "not explainable by rounding: wherever a pixel's best two classes are closer than "
        f"{last['below']:g}, swapping them changes mIoU by at most {last[side]:.3f} points"
    )
