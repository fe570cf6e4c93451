"""How an image becomes a label map: the test protocol behind a published number, as data.

One record describes every protocol of the zoo; `evaluate.inference.plain` interprets it and branches on
its fields only, never on a publisher's name. Facts behind the fields: mmsegmentation 0.18
`mmseg/datasets/pipelines/test_time_aug.py`, `mmseg/models/segmentors/encoder_decoder.py`;
sssegmentation 1.7.0 `ssseg/modules/models/segmentors/base/base.py`.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

import msgspec

from .limits import LARGEST_RATIO, LARGEST_SIDE

Positive = Annotated[int, msgspec.Meta(ge=1)]
Side = Annotated[int, msgspec.Meta(ge=1, le=LARGEST_SIDE)]
"""Of a picture or a window, in pixels."""
Ratio = Annotated[float, msgspec.Meta(gt=0, le=LARGEST_RATIO)]
Divisor = Annotated[float, msgspec.Meta(gt=0)]


class SlidingWindow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A window moved over the network's input; overlapping scores are averaged by coverage."""

    crop: tuple[Side, Side]
    """Window (height, width) in pixels. An image smaller than it is one window, not padded."""
    stride: tuple[Side, Side]
    """Steps (vertical, horizontal) in pixels; the last window is pulled back to the edge."""


class EvalProtocol(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything between an image file's pixels and a label map that can change a number."""

    name: str = ""
    """Its key in the manifest; not part of the digest."""
    description: str = ""
    """One sentence for people; not part of the digest."""
    base_scale: tuple[Side, Side] | None
    """(width, height) in pixels that the image is fitted into; None keeps the image's own size."""
    keep_ratio: bool = True
    """True fits the image inside `base_scale`; False stretches it to exactly that size."""
    scales: tuple[Ratio, ...] = (1.0,)
    """Ratios of the multi-scale views, in order of accumulation."""
    flip: bool = False
    """Adds a horizontally mirrored view after each scale's plain one."""
    flip_pairs: tuple[tuple[int, int], ...] = ()
    """Left/right classes whose scores change places in a mirrored view (LIP's arms, legs, shoes)."""
    views: Literal["base_scale", "image_scale", "tensor"] = "base_scale"
    """What a ratio scales: the base scale the original image is refitted into (mmseg 0.x), the
    original image itself (mmseg 1.x), or, by interpolation, the resized and normalised tensor (ssseg)."""
    window: SlidingWindow | None = None
    """None runs the whole view at once."""
    align_corners: bool = False
    """Of every bilinear upsampling of scores."""
    upsampling: Literal["two-step", "one-step"] = "two-step"
    """Scores go stride -> network input -> original size (mmseg) or stride -> original at once (ssseg).
    Under a sliding window both forms reach the window's size first."""
    average: Literal["probabilities", "scores"] = "probabilities"
    """What is averaged over the views."""
    softmax_at: Literal["original size", "window"] = "original size"
    """Where scores become probabilities: after the last upsampling (mmseg) or before the upsampling
    to the original size (ssseg's `use_probs_before_resize`: at the head's stride, or a window's size)."""
    interpolation: Literal["cv2 bilinear", "antialiased bilinear"] = "cv2 bilinear"
    """How an image's uint8 pixels are resized: by both publishers with cv2, by others with Pillow or
    torchvision, which smooth before they shrink (1.5 grey levels apart on average at 0.75)."""
    channels: Literal["RGB", "BGR"] = "RGB"
    """Order in which the network gets them; `mean` and `std` are in the same order."""
    mean: tuple[float, float, float] = (123.675, 116.28, 103.53)
    """Subtracted from values in [0, 255]."""
    std: tuple[Divisor, Divisor, Divisor] = (58.395, 57.12, 57.375)
    """Divides what `mean` has left."""
    normalisation: Literal["float32 division", "float64 multiplication"] = "float32 division"
    """Arithmetic of that: (x - mean) / std in float32 (mmseg), or times 1 / std in float64, then rounded
    (ssseg). They differ in the last bit of 84 of the 768 values a pixel's channels can have."""

    def digest(self) -> str:
        """SHA-256 (hex) over every field that can change a number; names and prose do not count."""
        fields = {
            key: value
            for key, value in msgspec.to_builtins(self).items()
            if key not in ("name", "description")
        }
        return hashlib.sha256(msgspec.json.encode(fields, order="deterministic")).hexdigest()
