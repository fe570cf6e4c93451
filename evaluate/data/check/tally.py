"""Label values of a sample, counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from ...pixels import map_values
from ..datasets import Colour, DatasetSpec, LabelFiles

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ...pixels import Labels


class Tally(msgspec.Struct, kw_only=True):
    """Values of the sampled label files, as stored."""

    spec: DatasetSpec
    form: LabelFiles
    pixels: dict[int, int] = {}
    """Value -> pixels, over the sample."""
    files: dict[str, dict[int, int]] = {}
    """Id -> value -> pixels, of its label."""
    palettes: dict[str, tuple[Colour, ...]] = {}
    """Id -> the colours of its label's values, of those that have any."""

    def add(self, name: str, values: Labels) -> None:
        """Count one label file."""
        found, counts = np.unique(values.astype(np.int64), return_counts=True)
        self.files[name] = dict(zip(found.tolist(), counts.tolist(), strict=True))
        for value, count in self.files[name].items():
            self.pixels[value] = self.pixels.get(value, 0) + count

    @property
    def total(self) -> int:
        """Pixels of the sample."""
        return sum(self.pixels.values())

    def share(self, values: Iterable[int]) -> float:
        """Percentage of the sample's pixels that have one of these values."""
        return 100.0 * sum(self.pixels.get(value, 0) for value in values) / max(1, self.total)

    def meaning(self, form: LabelFiles | None = None) -> dict[int, int]:
        """Stored value -> class index by the form's rule."""
        values = np.array(sorted(self.pixels), dtype=np.int64)
        mapped = map_values(values, form or self.form, self.spec.ignore_index)
        return dict(zip(values.tolist(), mapped.tolist(), strict=True))

    def stray(self) -> set[int]:
        """Stored values that mean neither a class nor the ignore index."""
        if (
            self.spec.ignore_index in self.form.value_map.values()
        ):  # it names what is void: all values there are
            return self.pixels.keys() - self.form.value_map.keys()
        if self.form.value_map:  # its other values are void by design; beyond its largest there are none
            return {value for value in self.pixels if value > max(self.form.value_map) or value < -1}
        return {
            value
            for value, index in self.meaning().items()
            if index != self.spec.ignore_index and not 0 <= index < len(self.spec.classes)
        }

    def class_pixels(self) -> tuple[dict[str, int], int, int]:
        """Pixels of each class, pixels ignored, and pixels that are neither."""
        counts, ignored, stray = dict.fromkeys(self.spec.classes, 0), 0, 0
        for value, index in self.meaning().items():
            pixels = self.pixels[value]
            if index == self.spec.ignore_index:
                ignored += pixels
            elif 0 <= index < len(self.spec.classes):
                counts[self.spec.classes[index]] += pixels
            else:
                stray += pixels
        return counts, ignored, stray
