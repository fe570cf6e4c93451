"""No image more than a claim's verdict needs: when every score that is still possible gets the same one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from ...evaluate.count.bounds import Bounds, miou_bounds
from ...evaluate.data.datasets import ImageFault
from ...reports.verdict import Status, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    from ...evaluate.count.confusion import Matrix
    from ...evaluate.data.datasets import Sample
    from ...evaluate.protocol import Void

_JUDGED = (Status.REPRODUCED, Status.DRIFT, Status.REFUTED)


class Foresight:
    """The verdict on a claim as soon as no prediction of the remaining images can change it."""

    def __init__(
        self,
        areas: Mapping[str, NDArray[np.int64]],
        counted: Mapping[str, Matrix],
        judge: Callable[[float], Verdict],
        void: Void | None = None,
    ) -> None:
        """`areas`: (C + 1,) of every image of the split; `counted`: of those done; `judge`: the verdict on a mIoU."""
        self.judge = judge
        self._void = void
        self.total = len(areas)
        self.done = 0
        self._areas = areas
        width = len(next(iter(areas.values())))
        self._matrix: Matrix = np.zeros((width, width - 1), dtype=np.int64)
        self._rest = np.sum(list(areas.values()), axis=0)
        for name, matrix in counted.items():
            self.add(name, matrix)

    def add(self, image_id: str, matrix: Matrix) -> None:
        """One more image is counted."""
        self.done += 1
        self._matrix = self._matrix + matrix
        self._rest = self._rest - self._areas[image_id]

    def bounds(self) -> Bounds:
        """Between which the mIoU of the whole split will lie."""
        return miou_bounds(self._matrix, self._rest, self._void)

    def verdict(self) -> Verdict | None:
        """The one verdict that every mIoU within the bounds gets, without a number; None where they differ."""
        bounds = self.bounds()
        lowest, highest = self.judge(bounds.lowest), self.judge(bounds.highest)
        # Each status but `reproduced` holds on both sides of the claim: the side must be certain as well.
        sides = {
            (end.status, end.status is not Status.REPRODUCED and (end.delta or 0) > 0)
            for end in (lowest, highest)
        }
        if len(sides) > 1 or lowest.status not in _JUDGED:
            return None
        reason = (
            f"certain after {self.done} of {self.total} images: whatever the rest brings, the mIoU will lie "
            f"between {bounds.lowest:.2f} and {bounds.highest:.2f}"
        )
        return msgspec.structs.replace(lowest, measured=None, delta=None, reason=reason, images=self.done)

    def watch(
        self, found: Iterable[Sample | ImageFault], counts_of: Callable[[str], Matrix | None]
    ) -> Iterator[Sample | ImageFault]:
        """Pass `found` on until the verdict is certain."""
        if self.verdict():
            return
        for result in found:
            yield result
            if not isinstance(result, ImageFault):
                matrix = counts_of(result.id)
                assert matrix is not None, "an image is stored before it is reported"
                self.add(result.id, matrix)
                if self.verdict():
                    return
