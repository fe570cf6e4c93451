"""Sizes and windows, in whole pixels: the arithmetic that decides which pixels a network sees.

Pure functions without tensors. Sizes are (height, width); base scales are (width, height), as both
publishers write them. Rounding is `int(x + 0.5)`, never `round()`: Python's rounds 1024.5 down to
1024 where the publishers get 1025 (mmcv 1.3.13 `mmcv/image/geometric.py`, `_scale_size`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from .protocol import EvalProtocol, SlidingWindow

Size = tuple[int, int]
"""(height, width) in pixels."""


class Window(NamedTuple):
    """A rectangle of the network's input; `bottom` and `right` are exclusive."""

    top: int
    left: int
    bottom: int
    right: int


def fitted_size(
    size: Size, scale: tuple[int, int], *, keep_ratio: bool = True, rounding: str = "nearest"
) -> Size:
    """The size (height, width) an image of `size` is resized to for a `scale` of (width, height).

    With `keep_ratio` the long edge is fitted into the longer and the short edge into the shorter number
    of `scale`, whichever binds first; small images are enlarged. Without, the result is the scale itself.
    `rounding` is a protocol's `side_rounding`.
    """
    if not keep_ratio:
        return scale[1], scale[0]
    height, width = size
    if rounding == "down":
        return _cut_size(size, scale)
    factor = min(max(scale) / max(height, width), min(scale) / min(height, width))
    return int(height * factor + 0.5), int(width * factor + 0.5)


def _cut_size(size: Size, scale: tuple[int, int]) -> Size:
    """The edge that binds gets its number, the other one is cut to a whole number.

    torchvision 0.24 `transforms/functional.py`, `_compute_resized_output_size`: `int(520 * long / short)`.
    """
    short, long = min(size), max(size)
    fitted = min(scale), int(min(scale) * long / short)
    if fitted[1] > max(scale):
        fitted = int(max(scale) * fitted[0] / fitted[1]), max(scale)
    return fitted if size[0] == short else (fitted[1], fitted[0])


def view_size(size: Size, protocol: EvalProtocol, ratio: float) -> Size:
    """The size (height, width) to which an image of `size` is resized in the end, on its pixels, for one view.

    `tensor` views are made from the resized image later on, so their ratio does not count here.
    """
    return resizes(size, protocol, ratio)[-1]


def resizes(size: Size, protocol: EvalProtocol, ratio: float) -> tuple[Size, ...]:
    """The sizes (height, width) to which an image's pixels are resized for one view, one after another.

    A second one is of multiples: mmcv 2.1 `image/geometric.py`, `imresize_to_multiple`, rounds sides up.
    """
    first = _first_size(size, protocol, ratio)
    return (first,) if protocol.resize_divisor == 1 else (first, _multiples(first, protocol.resize_divisor))


def _multiples(size: Size, divisor: int) -> Size:
    """Each side rounded up to a multiple."""
    height, width = (-(-side // divisor) * divisor for side in size)
    return height, width


def _first_size(size: Size, protocol: EvalProtocol, ratio: float) -> Size:
    if protocol.views == "image_scale":
        # mmcv 2.1 `transforms/processing.py`: a scale from the image's own size, then a second fit into it.
        height, width = size
        return fitted_size(size, (int(width * ratio + 0.5), int(height * ratio + 0.5)))
    if protocol.base_scale is None:
        return size
    width, height = protocol.base_scale
    if protocol.views == "base_scale":
        # mmseg 0.18 `pipelines/test_time_aug.py`: int(), not rounding, of the scaled base scale.
        width, height = int(width * ratio), int(height * ratio)
    return fitted_size(size, (width, height), keep_ratio=protocol.keep_ratio, rounding=protocol.side_rounding)


def compared_size(size: Size, protocol: EvalProtocol) -> Size:
    """The size (height, width) at which scores of an image of `size` meet its labels."""
    return size if protocol.compared_at == "label size" else view_size(size, protocol, 1.0)


def padded_size(size: Size, protocol: EvalProtocol) -> Size:
    """The size (height, width) of the network's input for a view of `size`: sides are multiples of the divisor.

    mmsegmentation 1.x `models/data_preprocessor.py` pads right and below (`utils/misc.py`, `stack_batch`).
    """
    return _multiples(size, protocol.size_divisor)


def sliding_windows(size: Size, window: SlidingWindow) -> list[Window]:
    """The windows that cover an input of `size`, row by row from the top left.

    The last window of a row or column is pulled back to the edge; an input smaller than the window
    is one window as large as the input (mmseg 0.18 `segmentors/encoder_decoder.py`, `slide_inference`;
    sssegmentation `segmentors/base/base.py` counts alike).
    """
    (height, width), (crop_h, crop_w) = size, window.crop
    return [
        Window(top, left, min(top + crop_h, height), min(left + crop_w, width))
        for top in _starts(height, crop_h, window.stride[0])
        for left in _starts(width, crop_w, window.stride[1])
    ]


def _starts(length: int, crop: int, stride: int) -> list[int]:
    steps = max(length - crop + stride - 1, 0) // stride + 1
    return [max(min(step * stride + crop, length) - crop, 0) for step in range(steps)]
