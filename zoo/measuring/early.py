"""What a number will become, told while its images are counted: hard bounds, the chance of each verdict, and when to stop."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from ...evaluate.count.bootstrap import image_areas, whole_split
from ...evaluate.count.bounds import Bounds, miou_bounds
from ...evaluate.count.confusion import accuracy_scores, averaged, by_rule
from ...evaluate.data.datasets import ImageFault
from ...reports.verdict import Status, Verdict
from .sample import CONFIDENCE, LEAST_IMAGES, Sample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    from ...evaluate.count.confusion import Matrix
    from ...evaluate.data.datasets import Sample as Image
    from ...evaluate.protocol import Void

_JUDGED = (Status.REPRODUCED, Status.DRIFT, Status.REFUTED)


def sampled(
    counted: NDArray[np.int64],
    total: int,
    judges: Mapping[str, Callable[[float], Verdict]],
    void: Void | None = None,
    bounds: Bounds | None = None,
) -> Sample:
    """What some of a split's images say of all `total` of them.

    Args:
        counted: their areas (images, 2, C), as of `bootstrap.image_areas`.
        total: images of the split.
        judges: printed figure -> the verdict on a mIoU of the whole split.
        void: the rule it is scored by.
        bounds: of the whole split's mIoU, where they are known.
    """
    plain = Sample(images=len(counted), of=total, bounds=(bounds.lowest, bounds.highest) if bounds else None)
    drawn = whole_split(counted, total, void) if len(counted) >= LEAST_IMAGES else np.zeros(0)
    drawn = drawn[~np.isnan(drawn)]
    if not len(drawn):
        return plain
    low, high = np.quantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    found = {
        printed: Counter(judge(float(value)).status for value in drawn) for printed, judge in judges.items()
    }
    return msgspec.structs.replace(
        plain,
        interval=(float(low), float(high)),
        chances={
            printed: {one.value: statuses[one] / len(drawn) for one in _JUDGED}
            for printed, statuses in found.items()
            if statuses.keys() <= set(_JUDGED)
        },
    )


class Foresight:
    """A split's mIoU while its images are counted: so far, within which bounds, and with which verdict."""

    def __init__(
        self,
        counted: Iterable[tuple[str, Matrix]],
        total: int,
        judges: Mapping[str, Callable[[float], Verdict]],
        void: Void | None = None,
        areas: Mapping[str, NDArray[np.int64]] | None = None,
    ) -> None:
        """What is known at the start.

        Args:
            counted: ids and matrices of the images that are done.
            total: images of the whole split.
            judges: printed figure -> the verdict on a mIoU; none where no figure is about it.
            void: the rule it is scored by.
            areas: (C + 1,) label areas of every image of the split; None where some are not known.
        """
        self.judges = judges
        self.total = total
        self._void = void
        self._areas = areas
        self._images: dict[str, NDArray[np.int64]] = {}
        self._sum: Matrix | None = None
        self._rest = None if areas is None else np.sum(list(areas.values()), axis=0)
        for name, matrix in counted:
            self.add(name, matrix)

    @property
    def done(self) -> int:
        """Images counted."""
        return len(self._images)

    def add(self, image_id: str, matrix: Matrix) -> None:
        """One more image is counted."""
        (self._images[image_id],) = image_areas([matrix], self._void)
        self._sum = matrix if self._sum is None else self._sum + matrix
        if self._areas is not None and self._rest is not None:
            self._rest = self._rest - self._areas[image_id]

    def miou(self) -> float | None:
        """In percent, of the images so far; None before the first labelled pixel."""
        if self._sum is None:
            return None
        labelled = by_rule(self._sum, self._void)[:-1][averaged(self._sum.shape[1], self._void)].any()
        return accuracy_scores(self._sum, self._void).miou_percent if labelled else None

    def bounds(self) -> Bounds | None:
        """Between which the mIoU of the whole split will lie; None where labels are not known, or label nothing."""
        if self._rest is None:
            return None
        nothing = np.zeros((len(self._rest), len(self._rest) - 1), dtype=np.int64)
        try:
            return miou_bounds(nothing if self._sum is None else self._sum, self._rest, self._void)
        except ValueError:  # not one labelled pixel: the end has no number, and says so
            return None

    def sample(self) -> Sample:
        """What is known of the whole split by now."""
        if self.miou() is None:
            return Sample(images=self.done, of=self.total)
        counted = np.stack(list(self._images.values()))
        return sampled(counted, self.total, self.judges, self._void, self.bounds())

    def verdict(self, printed: str) -> Verdict | None:
        """The one verdict on a figure that every mIoU within the bounds gets, without a number; None where they differ."""
        bounds, judge = self.bounds(), self.judges.get(printed)
        if bounds is None or judge is None:
            return None
        lowest, highest = judge(bounds.lowest), judge(bounds.highest)
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
        self,
        found: Iterable[Image | ImageFault],
        counts_of: Callable[[str], Matrix | None],
        *,
        until_sure_of: str | None = None,
    ) -> Iterator[Image | ImageFault]:
        """Pass `found` on, each image after it was added; ends where the verdict on a figure is certain."""
        if until_sure_of is not None and self.verdict(until_sure_of):
            return
        for result in found:
            if not isinstance(result, ImageFault):
                matrix = counts_of(result.id)
                assert matrix is not None, "an image is stored before it is reported"
                self.add(result.id, matrix)
            yield result
            if until_sure_of is not None and self.verdict(until_sure_of):
                return
