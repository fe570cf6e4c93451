"""How an image becomes a label map: the test protocol behind a published number, as data.

One record describes every protocol of the zoo; `evaluate.inference.plain` interprets it and branches on
its fields only, never on a publisher's name. Facts behind the fields: mmsegmentation 0.18
`mmseg/datasets/pipelines/test_time_aug.py`, `mmseg/models/segmentors/encoder_decoder.py`;
sssegmentation 1.7.0 `ssseg/modules/models/segmentors/base/base.py`.
"""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from .limits import (
    LARGEST_RATIO,
    LARGEST_SIDE,
    MOST_CLASSES,
    MOST_PADDING,
    PADDED_ONE_STEP,
    Breach,
    Checked,
    FieldBreach,
    pair_breaches,
    scale_breaches,
    void_breach,
    window_breach,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Positive = Annotated[int, msgspec.Meta(ge=1)]
Side = Annotated[int, msgspec.Meta(ge=1, le=LARGEST_SIDE)]
"""Of a picture or a window, in pixels."""
Ratio = Annotated[float, msgspec.Meta(gt=0, le=LARGEST_RATIO)]
Divisor = Annotated[float, msgspec.Meta(gt=0)]
Multiple = Annotated[int, msgspec.Meta(ge=1, le=MOST_PADDING)]
Channels = Annotated[int, msgspec.Meta(ge=2, le=MOST_CLASSES)]


class SlidingWindow(Checked, frozen=True, kw_only=True):
    """A window moved over the network's input; overlapping scores are averaged by coverage."""

    crop: tuple[Side, Side]
    """Window (height, width) in pixels. An image smaller than it is one window, not padded."""
    stride: tuple[Side, Side]
    """Steps (vertical, horizontal) in pixels; the last window is pulled back to the edge."""

    @classmethod
    def breaches(cls, values: Mapping[str, Any]) -> Iterator[FieldBreach]:
        """Strides that leave pixels which no window sees."""
        if {"crop", "stride"} <= values.keys() and (
            breach := window_breach(values["crop"], values["stride"])
        ):
            yield FieldBreach("stride", Breach(None, breach))


class Void(Checked, frozen=True, kw_only=True):
    """Classes that no mean is taken over, and what becomes of their pixels; a rule of scoring, not of counting."""

    classes: tuple[int, ...]
    """Class indices, all of them of the data set."""
    pixels: Literal["counted", "labels ignored", "dropped"] = "counted"
    """`counted`: as any class's, in the unions of all others (ESPNet on CamVid). `labels ignored`: pixels labelled so
    count nowhere, those predicted so are misses of their label. `dropped`: pixels labelled or predicted so count
    nowhere."""

    @classmethod
    def breaches(cls, values: Mapping[str, Any]) -> Iterator[FieldBreach]:
        """Classes that cannot be left out of a mean."""
        if "classes" in values and (breach := void_breach(values["classes"])):
            yield FieldBreach("classes", Breach(None, breach))


class EvalProtocol(Checked, frozen=True, kw_only=True):
    """Everything between an image file's pixels and a label map that can change a number."""

    name: str = ""
    """Its key in the manifest; not part of the digest."""
    description: str = ""
    """One sentence for people; not part of the digest."""
    base_scale: tuple[Side, Side] | None
    """(width, height) in pixels that the image is fitted into; None keeps the image's own size."""
    keep_ratio: bool = True
    """True fits the image inside `base_scale`; False stretches it to exactly that size."""
    side_rounding: Literal["nearest", "down"] = "nearest"
    """How the side that `base_scale` leaves open becomes whole: `int(side + 0.5)` (mmcv), or `int(side)` (torchvision)."""
    resize_divisor: Multiple = 1
    """A picture that was resized is resized a second time, each side up to the next multiple of it (mmsegmentation's
    `ResizeToMultiple`)."""
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
    value_divisor: Divisor = 1.0
    """Divides, in float32, what the normalisation has given: 255 where a network was trained so (ESPNet)."""
    size_divisor: Multiple = 1
    """The network's input is padded at its right and lower end, with the value 0 after normalisation, to sides that are
    multiples of it; scores of the padding are cut off (mmsegmentation 1.x `size_divisor`)."""
    score_channels: Channels | None = None
    """Only so many first channels of the scores take part; None for all."""
    compared_at: Literal["label size", "input size"] = "label size"
    """Where scores meet labels: at the label's own size, or at the size to which the image is resized for ratio 1,
    labels resized with it (torchvision's reference script)."""
    label_resize: Literal["pillow nearest", "cv2 nearest"] = "pillow nearest"
    """How labels are resized, where they are: Pillow takes the pixel below the centre, cv2 the one below the corner."""
    void: Void | None = None
    """Classes that count in the unions and in no mean; None where every class is like the others."""

    @classmethod
    def breaches(cls, values: Mapping[str, Any]) -> Iterator[FieldBreach]:
        """What the engine cannot do, and what would change nothing though somebody wrote it."""
        scales, pairs = values.get("scales", (1.0,)), values.get("flip_pairs", ())
        for breach in scale_breaches(scales, values.get("base_scale")):
            yield FieldBreach("scales", breach)
        for breach in pair_breaches(pairs):
            yield FieldBreach("flip_pairs", breach)
        yield from (FieldBreach(field, Breach(None, words)) for field, words in _idle(values))
        for field in ("mean", "std"):
            for place, value in enumerate(values.get(field, ())):
                if not math.isfinite(value):
                    yield FieldBreach(field, Breach(place, f"expected a finite number, found {value}"))
        if math.isinf(values.get("value_divisor", 1.0)):
            yield FieldBreach("value_divisor", Breach(None, "expected a finite number, found inf"))
        if values.get("size_divisor", 1) > 1 and _are(values, window=None, upsampling="one-step"):
            yield FieldBreach("size_divisor", Breach(None, PADDED_ONE_STEP))

    def digest(self) -> str:
        """SHA-256 (hex) over every field that can change a number; names and prose do not count."""
        return scored_digest(self.counts_digest(), self.void)

    def counts_digest(self) -> str:
        """SHA-256 (hex) over every field that can change an image's counts: all but the rule by which they are scored.

        A field that came after numbers were stored counts from its first other value on: old digests stay.
        """
        fields = {
            key: value
            for key, value in msgspec.to_builtins(self).items()
            if key not in _NOT_COUNTED and (key not in _ADDED or value != _ADDED[key])
        }
        return hashlib.sha256(msgspec.json.encode(fields, order="deterministic")).hexdigest()


def _idle(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Fields that say something and would do nothing, with what is missing; values as of `Checked.breaches`."""
    if _are(values, base_scale=None, views="base_scale") and set(values.get("scales", ())) - {1.0}:
        yield (
            "scales",
            "with base_scale: null ratios have nothing to scale; write views: image_scale, which scales the image itself",
        )
    if values.get("base_scale") and _are(values, views="image_scale"):
        yield (
            "base_scale",
            "with views: image_scale ratios scale the image itself; write base_scale: null, or another views",
        )
    if _are(values, compared_at="label size") and values.get("label_resize") == "cv2 nearest":
        yield (
            "label_resize",
            "labels are resized with compared_at: input size only; add it or leave this out",
        )
    if _are(values, flip=False) and values.get("flip_pairs"):
        yield "flip_pairs", "there are mirrored views with flip: true only; add it or leave these out"


def _are(values: Mapping[str, Any], **wanted: object) -> bool:
    """Whether these fields could be read and are so."""
    return all(field in values and values[field] == value for field, value in wanted.items())


def scored_digest(counts_digest: str, void: Void | None) -> str:
    """A protocol's digest from that of its counts and its rule of scoring; counts without a rule keep theirs."""
    if void is None:
        return counts_digest
    rule = msgspec.json.encode([counts_digest, void], order="deterministic")
    return hashlib.sha256(rule).hexdigest()


_NOT_COUNTED = frozenset({"name", "description", "void"})
_ADDED_NAMES = {
    "value_divisor",
    "size_divisor",
    "score_channels",
    "compared_at",
    "label_resize",
    "side_rounding",
    "resize_divisor",
}
_ADDED = {
    field.name: field.default for field in msgspec.structs.fields(EvalProtocol) if field.name in _ADDED_NAMES
}
"""Fields that the first digests did not know -> their defaults."""
