"""A label picture's values: what mode, bit depth and container make of a class index, or why they leave it open.

Publishers do not agree about every file. mmsegmentation reads labels with Pillow and keeps a palette's indices (0.18
`datasets/pipelines/loading.py`, 1.2 `datasets/transforms/loading.py`), sssegmentation with cv2 as grey (1.7.0
`datasets/base.py`). Where only one of them can be meant it is followed; where both could be, and give other classes,
the file is refused. Grey of 1, 2 or 4 bits is the same brightness in 8 bits (PNG specification, section 13.12), as
lossless optimisers rely on: white is 255 in both forms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .datasets import Colour, LabelFiles

ORIENTATION_TAG = 0x0112
UPRIGHT = 1
_WHITE = 255
_WHOLE_NUMBERS = ("P", "L", "1", "I", "I;16", "I;16B")
"""Pillow's names of pictures with one channel of whole numbers."""
_EXACT_CONTAINERS = ("PNG", "TIFF", "BMP", "GIF")
"""Pillow's names of formats that give back what was stored; of PGM it scales the values."""
_LOSSY_TIFF = ("jpeg", "tiff_jpeg", "webp")
_MOST_OF_8_BITS = 255
_NEARLY_GREY = 3
"""Between the channels of a grey that went through a conversion of colours."""


def why_no_labels(picture: Image.Image) -> str:
    """Why an opened picture, whose pixels need not be decoded, is no map of class indices; empty where it is one."""
    if picture.mode not in _WHOLE_NUMBERS:
        if picture.mode == "F":
            return (
                "labels are decimal fractions (Pillow's mode F), expected whole class indices in one channel"
            )
        what = "with transparency" if picture.mode in ("LA", "La", "PA") else "colour"
        return f"labels are a {picture.mode} {what} picture, expected class indices in one channel"
    if picture.format not in _EXACT_CONTAINERS or picture.info.get("compression") in _LOSSY_TIFF:
        return f"labels are stored as {picture.format} in a form that does not keep indices as they are"
    if orientation(picture) != UPRIGHT:
        return "labels carry an EXIF rotation, which cv2 (sssegmentation) applies and Pillow (mmsegmentation) does not"
    greys = [red for red, green, blue in palette(picture) if red == green == blue]
    if greys and len(set(greys)) == len(palette(picture)) and greys != list(range(len(greys))):
        return (
            f"its palette holds other greys ({_some(greys)}) than the indices 0 to {len(greys) - 1}, as lossless "
            "optimisers write for grey labels: cv2 (sssegmentation) reads the greys, Pillow (mmsegmentation) the indices"
        )
    return ""


def why_ambiguous(picture: Image.Image, form: LabelFiles, num_classes: int) -> str:
    """Why a 1-bit picture's white may be class 1 as well as 255; empty where it is no such picture."""
    if picture.mode != "1" or num_classes != 2 or form.reduce_zero or form.value_map:
        return ""
    return "white in 1 bit is 255 for cv2 (sssegmentation) and class 1 for Pillow (mmsegmentation)"


def why_too_large(values: NDArray[np.integer], form: LabelFiles, num_classes: int, ignore_index: int) -> str:
    """Why values past 8 bits have no place among classes that 8 bits hold; empty where they have one."""
    largest = int(values.max(initial=0))
    if largest <= _MOST_OF_8_BITS or max(num_classes, ignore_index, *form.value_map) > _MOST_OF_8_BITS:
        return ""
    is_16_bit = values.dtype == np.uint16
    upper = f", sssegmentation the upper byte ({largest >> 8})" if is_16_bit else ""
    return (
        f"{'16-bit ' * is_16_bit}labels hold {largest}, though {num_classes} classes and the ignored {ignore_index} need 8 bits: "
        f"mmsegmentation reads the remainder by 256 ({largest % 256}){upper}"
    )


def why_greys(picture: Image.Image, values: NDArray[np.integer]) -> str:
    """Why the decoded `values` of a palette are no indices: each one's colour is another grey; empty where they are.

    Pillow's own writers of GIF, and its `quantize`, make such files of grey labels. A palette of colours may hold greys
    too, and a picture may show these alone: it is refused only where the palette is mostly greys.
    """
    if picture.mode != "P":
        return ""
    channels = np.array(picture.getpalette("RGB") or [], np.int64).reshape(-1, 3)
    used = np.unique(values)
    if used.max(initial=0) >= len(channels):
        return ""
    greyish = np.ptp(channels, axis=1) <= _NEARLY_GREY
    distinct = np.unique(channels, axis=0, return_index=True)[1]
    if not greyish[used].all() or 2 * greyish[distinct].sum() < len(distinct):
        return ""
    others = [int(channels[index, 0]) for index in used if channels[index, 0] != index]
    if not others:
        return ""
    return (
        f"its pixels have other greys ({_some(others)}) than their indices: cv2 (sssegmentation) reads the greys, "
        "Pillow (mmsegmentation) the indices"
    )


def stored_values(picture: Image.Image) -> NDArray[np.integer]:
    """The values (H, W) of a picture that `why_no_labels` accepts, in the type of their depth."""
    values = np.array(picture)
    if picture.mode == "1":
        return values.astype(np.uint8) * _WHITE
    if picture.mode == "I" and picture.format == "PNG":
        return values.astype(np.uint16)  # Pillow before 11.3 has no mode of its own for them
    return values.astype(np.uint16) if picture.mode == "I;16B" else values


def advice() -> str:
    """What to do about a label picture that is refused."""
    return "use the data set's own label files, or save them as one channel of class indices (PNG of 8 or 16 bits)"


def palette(picture: Image.Image) -> tuple[Colour, ...]:
    """The colours before the pixels of a PNG; `getpalette` would decode them all."""
    if picture.mode != "P" or picture.palette is None:
        return ()
    layout, channels = picture.palette.getdata()
    if layout != "RGB":
        return ()
    red, green, blue = (channels[start::3] for start in range(3))
    return tuple(zip(red, green, blue, strict=False))


def orientation(picture: Image.Image) -> int:
    """EXIF's, 1 for upright; of a PNG, only where it stands before the pixels: `getexif` would decode them all."""
    if picture.format == "TIFF":
        return UPRIGHT  # Pillow turns it by itself
    if picture.format != "PNG":
        return picture.getexif().get(ORIENTATION_TAG, UPRIGHT)
    exif = Image.Exif()
    exif.load(picture.info.get("exif", b""))
    return exif.get(ORIENTATION_TAG, UPRIGHT)


def _some(values: list[int]) -> str:
    return ", ".join(map(str, values[:4])) + (" ..." if len(values) > 4 else "")
