"""What a number of images a second means: the settings of a timed run, as data. Knows no torch."""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec

IMAGES, WARM_UP = 200, 5
"""Of mmsegmentation's benchmark: the first 200 images in order, of which the first 5 are not timed
(mmsegmentation 0.18 `tools/benchmark.py`)."""

SpeedPrecision = Literal["fp32", "tf32", "fp16", "bf16"]


class SpeedProtocol(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that decides what a number of images a second means."""

    accuracy_protocol: str
    """Digest of the `EvalProtocol` that is timed."""
    images: int = IMAGES
    """Images asked for, the warm-up's included; a smaller data set has fewer."""
    warm_up: int = WARM_UP
    batch: int = 1
    source: Literal["data set", "synthetic"] = "data set"
    """Synthetic images have the data set's typical size."""
    precision: SpeedPrecision = "fp32"
    compiled: bool = False
    channels_last: bool = False

    @property
    def is_the_claims(self) -> bool:
        """True where nothing but the images' source differs from how fps columns are made."""
        return self == SpeedProtocol(accuracy_protocol=self.accuracy_protocol, source=self.source)

    def name(self) -> str:
        """In words, what differs from the published protocol first: `fps, fp16, batch 4`."""
        parts = [
            self.precision if self.precision != "fp32" else "",
            "compiled" if self.compiled else "",
            "channels last" if self.channels_last else "",
            f"batch {self.batch}" if self.batch > 1 else "",
            f"{self.images - self.warm_up} images" if self.images != IMAGES else "",
            "synthetic images" if self.source == "synthetic" else "",
        ]
        return ", ".join(["fps", *(part for part in parts if part)])

    def digest(self) -> str:
        """SHA-256 (hex) over every field."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()
