"""Neighbouring protocols and known mistakes: what a number may have been measured with instead.

Every suspect is data, a protocol and a reading of the label files, run by the same engine as the
published protocol. Facts: mmsegmentation's and sssegmentation's differences from each other (mmseg 0.18, 1.2;
ssseg 1.7.0), openseg.pytorch (BGR, std 1), ESPNet (`/ 255` after the normalisation, void a class), and what users of these libraries reported (mmseg #855, #1509,
#2182, #2504).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from ..data.datasets import LabelFiles
from ..limits import RecordError
from ..protocol import EvalProtocol, SlidingWindow

if TYPE_CHECKING:
    from collections.abc import Iterator

_USUAL_DIVISOR = 32
Change = tuple[str, str, dict[str, Any]]
"""Name, description, the protocol's fields that differ."""


class Suspect(msgspec.Struct, frozen=True, kw_only=True):
    """One way in which a measurement may differ from the published protocol."""

    name: str
    description: str
    """What was done instead, as a clause: `channels are fed as BGR`."""
    protocol: EvalProtocol
    labels: LabelFiles

    def identity(self) -> tuple[str, bytes]:
        """Equal for two suspects that are one measurement."""
        return self.protocol.digest(), msgspec.json.encode(self.labels)


def suspects(
    protocol: EvalProtocol, labels: LabelFiles, crop: tuple[int, int], num_classes: int
) -> list[Suspect]:
    """The mistakes that can be made about a protocol and a label form, each a measurement of its own.

    Args:
        protocol: the published one.
        labels: the form in which the data set's labels lie here.
        crop: training crop (height, width): the window of somebody who slides where the publisher does not.
        num_classes: of the data set.
    """
    changes = [
        *_pixel_mistakes(protocol),
        *_score_mistakes(protocol),
        *_view_mistakes(protocol, crop),
        *_comparison_mistakes(protocol, num_classes),
        *_void_mistakes(protocol, num_classes),
    ]
    candidates = [
        Suspect(name=name, description=description, protocol=changed, labels=labels)
        for name, description, change in changes
        if (changed := _changed(protocol, name, change))
    ] + [
        Suspect(name=name, description=description, protocol=protocol, labels=form)
        for name, description, form in _label_mistakes(labels, num_classes)
    ]
    published = Suspect(name="", description="", protocol=protocol, labels=labels).identity()
    distinct = {one.identity(): one for one in reversed(candidates)}
    distinct.pop(published, None)
    return list(reversed(distinct.values()))


def _changed(protocol: EvalProtocol, name: str, change: dict[str, Any]) -> EvalProtocol | None:
    """The protocol with a mistake; None where the engine cannot do it, or nothing would come of it."""
    try:
        return msgspec.structs.replace(protocol, name=name, **change)
    except RecordError:
        return None


def _pixel_mistakes(protocol: EvalProtocol) -> Iterator[Change]:
    mean, std = protocol.mean, protocol.std
    other = "BGR" if protocol.channels == "RGB" else "RGB"
    yield "channels swapped", f"channels are fed as {other}", {"channels": other}
    yield (
        "mean and std swapped",
        f"mean and std stand in {other} order, the channels do not",
        {"mean": mean[::-1], "std": std[::-1]},
    )
    yield "std left out", "the mean is subtracted, nothing is divided", {"std": (1.0, 1.0, 1.0)}
    yield (
        "scale mixed up",
        "pixels are scaled to [0, 1], mean and std are those of [0, 255]",
        {"mean": _times(mean, 255.0), "std": _times(std, 255.0)},
    )
    yield (
        "mean and std of 0.5",
        "pixels are brought to [-1, 1] instead",
        {"mean": (127.5, 127.5, 127.5), "std": (127.5, 127.5, 127.5)},
    )
    if protocol.value_divisor == 1:
        words = "values are divided by 255 once more after the normalisation"
        yield "divided by 255 again", words, {"value_divisor": 255.0}
    else:
        words = f"values are not divided by {protocol.value_divisor:g} after the normalisation"
        yield "not divided afterwards", words, {"value_divisor": 1.0}
    yield (
        "antialiased resize",
        "images are resized by Pillow or torchvision, which smooth, not by cv2",
        {"interpolation": "antialiased bilinear"},
    )
    yield from _resize_mistakes(protocol)


def _resize_mistakes(protocol: EvalProtocol) -> Iterator[Change]:
    if protocol.base_scale is not None:
        yield "not resized", "images keep their own size", {"base_scale": None}
        yield (
            "stretched",
            "images are stretched to the base scale instead of fitted into it",
            {"keep_ratio": not protocol.keep_ratio},
        )
    if protocol.side_rounding == "down":
        yield (
            "side rounded",
            "the other side is rounded to the nearest, not cut",
            {"side_rounding": "nearest"},
        )
    if protocol.resize_divisor > 1:
        words = f"images are not resized a second time, to multiples of {protocol.resize_divisor}"
        yield "not resized twice", words, {"resize_divisor": 1}


def _times(values: tuple[float, float, float], factor: float) -> tuple[float, ...]:
    return tuple(value * factor for value in values)


def _score_mistakes(protocol: EvalProtocol) -> Iterator[Change]:
    aligned = not protocol.align_corners
    yield (
        f"align_corners={aligned}",
        f"scores are upsampled with align_corners={aligned}",
        {"align_corners": aligned},
    )
    other = "one-step" if protocol.upsampling == "two-step" else "two-step"
    yield f"{other} upsampling", f"scores are upsampled in {other.replace('-', ' ')}", {"upsampling": other}
    if len(protocol.scales) > 1 or protocol.flip:
        yield (
            "scores averaged",
            "scores are averaged over the views, not probabilities",
            {"average": "scores"},
        )
    for place in ("original size", "window"):
        yield (
            f"softmax at {place}",
            f"probabilities are averaged, taken at the {place.replace('window', 'head or window')}",
            {"average": "probabilities", "softmax_at": place},
        )
    if protocol.flip_pairs:
        yield (
            "no pair swap",
            "left and right classes do not change places in mirrored views",
            {"flip_pairs": ()},
        )


def _view_mistakes(protocol: EvalProtocol, crop: tuple[int, int]) -> Iterator[Change]:
    if protocol.window is not None:
        yield "whole for slide", "the whole image is run at once, without windows", {"window": None}
    else:
        stride = (max(1, crop[0] * 2 // 3), max(1, crop[1] * 2 // 3))
        yield (
            "slide for whole",
            f"windows of the training crop {crop[0]}x{crop[1]} slide over the image",
            {"window": SlidingWindow(crop=crop, stride=stride)},
        )
    if protocol.size_divisor > 1:
        words = f"the network's input is not padded to multiples of {protocol.size_divisor}"
        yield "not padded", words, {"size_divisor": 1}
    else:
        words = f"the network's input is padded to multiples of {_USUAL_DIVISOR} (mmsegmentation 1.x size_divisor)"
        # Instead of a second resize, which leaves nothing to pad.
        yield f"padded to {_USUAL_DIVISOR}", words, {"size_divisor": _USUAL_DIVISOR, "resize_divisor": 1}
    if protocol.flip:
        yield "no flip", "no mirrored views", {"flip": False, "flip_pairs": ()}
    if len(protocol.scales) > 1:
        yield from _multi_scale_mistakes(protocol)


def _multi_scale_mistakes(protocol: EvalProtocol) -> Iterator[Change]:
    yield (
        "1.x scales",
        "ratios scale the image's own size (mmsegmentation 1.x --tta), not the base scale",
        {"views": "image_scale", "base_scale": None},
    )
    yield (
        "views from the tensor",
        "ratios scale the resized and normalised tensor (sssegmentation), not the image",
        {"views": "tensor"},
    )
    yield (
        "views from the image",
        "ratios scale the base scale that the image is fitted into (mmsegmentation 0.x)",
        {"views": "base_scale"},
    )
    yield "single scale", "only the scale 1 is run", {"scales": (1.0,)}
    yield "five scales", "the largest scale is left out", {"scales": protocol.scales[:-1]}
    yield "seven scales", "a scale of 2 is added", {"scales": (*protocol.scales, 2.0)}


def _comparison_mistakes(protocol: EvalProtocol, num_classes: int) -> Iterator[Change]:
    if protocol.compared_at == "input size":
        other = "cv2 nearest" if protocol.label_resize == "pillow nearest" else "pillow nearest"
        yield f"labels by {other}", f"labels are resized by {other}", {"label_resize": other}
        yield (
            "compared at the label's size",
            "scores are brought to the label's own size, and labels are not resized",
            {"compared_at": "label size", "label_resize": "pillow nearest"},
        )
    elif protocol.base_scale is not None:
        yield (
            "compared at the input's size",
            "labels are resized with the image, and compared at that size",
            {"compared_at": "input size"},
        )
    if protocol.score_channels is not None and protocol.score_channels < num_classes:
        words = f"all channels of the scores take part, not the first {protocol.score_channels}"
        yield "all channels", words, {"score_channels": num_classes}


def _void_mistakes(protocol: EvalProtocol, num_classes: int) -> Iterator[Change]:
    if protocol.void is None:
        return
    yield "void averaged", "the mean is over all classes, void ones too", {"void": None}
    for pixels, words in _VOID_PIXELS.items():
        yield f"void {pixels}", words, {"void": msgspec.structs.replace(protocol.void, pixels=pixels)}
    kept = num_classes - len(protocol.void.classes)
    if min(protocol.void.classes) == kept >= 2 and protocol.score_channels is None:
        yield (
            "void channels removed",
            "the channels of void classes are removed before the argmax, pixels labelled void are ignored",
            {
                "score_channels": kept,
                "void": msgspec.structs.replace(protocol.void, pixels="labels ignored"),
            },
        )


_VOID_PIXELS: dict[str, str] = {
    "counted": "void is a class as any other in the unions",
    "labels ignored": "pixels labelled void are ignored, those predicted as void are misses",
    "dropped": "pixels labelled or predicted as void are dropped",
}


def _label_mistakes(labels: LabelFiles, num_classes: int) -> Iterator[tuple[str, str, LabelFiles]]:
    replace = msgspec.structs.replace
    if labels.reduce_zero:
        yield "labels not reduced", "label values are taken as they are", replace(labels, reduce_zero=False)
    if labels.value_map:
        yield "labels not mapped", "label values are taken as they are", replace(labels, value_map={})
    for step, words in ((-1, "one too low"), (1, "one too high")):
        # Below the first class lies the ignore index; above the last one a label that is no class, as in
        # mmseg 0.18 `core/evaluation/metrics.py`: its pixels' predictions still count.
        reading = _reading(labels, num_classes)
        shifted = {value: index + step for value, index in reading.items() if index + step >= 0}
        form = replace(labels, reduce_zero=False, value_map=shifted)
        yield f"labels {words}", f"every label is {words}, as after a reduction too many or too few", form


def _reading(labels: LabelFiles, num_classes: int) -> dict[int, int]:
    """File value -> class index of a label form."""
    if labels.value_map:
        return labels.value_map
    first = 1 if labels.reduce_zero else 0
    return {value + first: value for value in range(num_classes)}
