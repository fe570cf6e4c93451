"""What some images of a split say of all of them: an interval, hard bounds and the chance of each verdict."""

from __future__ import annotations

import msgspec

LEAST_IMAGES = 10
"""Of fewer, draws are the same few images again and again, and promise more than is known."""
CONFIDENCE = 0.95
"""Share of the drawn splits whose mIoU lies in the interval that is told."""


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """A sample's word on a whole split's mIoU."""

    images: int
    of: int
    interval: tuple[float, float] | None = None
    """In percent: where the whole split's mIoU lies in 95 % of the draws; None where the images are too few."""
    bounds: tuple[float, float] | None = None
    """In percent: between which it lies whatever the others bring; None where some label's areas are not known."""
    chances: dict[str, dict[str, float]] = {}
    """Printed figure -> verdict -> share of the draws that get it, 0 to 1; none where nothing is held against it."""

    def text(self, printed: str) -> str:
        """As a verdict's reason tells it of one figure; empty where the images are too few."""
        if not self.interval:
            return ""
        whole = f"the whole would have an mIoU from {self.interval[0]:.2f} to {self.interval[1]:.2f} (95 %)"
        chances = _chances_text(self.chances.get(printed, {}))
        return f"were the others like these, {whole}{chances and f', {chances}'}"

    def bar_text(self, printed: str) -> str:
        """As a progress bar shows it of one figure, after the mIoU so far; empty where nothing is known."""
        inside = self.bounds and f"certain {self.bounds[0]:.2f} to {self.bounds[1]:.2f}"
        drawn = _chances_text(self.chances.get(printed, {}))
        if self.interval and not drawn:
            drawn = f"95 % from {self.interval[0]:.2f} to {self.interval[1]:.2f}"
        return "; ".join(filter(None, (inside, drawn and f"{drawn} (bootstrap of {self.images} images)")))


def _chances_text(chances: dict[str, float]) -> str:
    return ", ".join(f"{status} {_percent(share)}" for status, share in chances.items())


def _percent(share: float) -> str:
    """A chance is never none and never certain: that is what bounds say."""
    return "<1 %" if share < 0.005 else ">99 %" if share >= 0.995 else f"{100 * share:.0f} %"
