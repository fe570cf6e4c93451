"""Image and label files to arrays, byte for byte as the publishers read them.

Images: cv2, BGR uint8, EXIF rotation applied, resized by cv2's bilinear on uint8 (no antialias; Pillow's
and torchvision's antialiased resizes give other pixels). Labels: Pillow, indices as stored, never resized.
Sources: mmsegmentation 0.18 `datasets/pipelines/loading.py`, mmcv 1.3.13 `image/photometric.py`,
sssegmentation 1.7.0 `modules/datasets/pipelines/transforms.py`; of labels `label_pictures`.
"""

from __future__ import annotations

import io
import zlib
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from .data.datasets import DatasetError
from .data.decoder_words import decoder_words
from .data.label_pictures import advice, stored_values, why_ambiguous, why_greys, why_no_labels, why_too_large
from .data.mat_file import MatError, described, numbers
from .data.open_picture import open_picture
from .regular_files import read_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from .data.datasets import LabelFiles
    from .geometry import Size

Pixels = NDArray[np.uint8]
"""H x W x 3, BGR, 0 to 255."""
Labels = NDArray[np.integer]
"""H x W, class indices or the ignore index."""

MAT_ARRAY = "S"
"""Of a MATLAB file: the label map (COCO-Stuff 10k, README)."""

T = TypeVar("T")

_ADVICE = "where another program opens it, save it anew there, else copy it again"
_TRAILERS = {b"\xff\xd8": b"\xff\xd9", b"\x89PNG": b"IEND"}
_TRAILER_WINDOW_BYTES = 64
_PNG_HEAD = b"\x89PNG\r\n\x1a\n"


def read_image(path: Path) -> Pixels:
    """Decode an image file to H x W x 3 BGR uint8.

    Raises:
        DatasetError: the file cannot be opened or decoded, or ends early. (cv2 fills the missing part of a
            truncated JPEG with grey and says nothing, which would change the number without a word.)
    """
    try:
        data = read_bytes(path)
    except OSError as error:
        raise DatasetError(f"{path}: cannot read the image: {error.strerror or error}") from error
    if not data:
        raise DatasetError(f"{path}: the image file is empty; copy it again")
    if not ends_properly(data):
        _require_complete(path, data)
    with _quiet_decoder(data) as said:
        pixels = _decoded(path, data)
    if pixels is None:
        why = said[-1] if said else f"{len(data)} bytes"
        raise DatasetError(f"{path}: not an image that cv2 can decode ({why}); {_ADVICE}")
    return np.asarray(pixels, dtype=np.uint8)


def _decoded(path: Path, data: bytes) -> Pixels | None:
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)  # pyright: ignore[reportReturnType]
    except cv2.error as error:
        raise DatasetError(f"{path}: cv2 cannot decode the image: {error.err or error}") from error


_SILENT = 0
"""OpenCV's LOG_LEVEL_SILENT."""


@contextmanager
def _quiet_decoder(data: bytes) -> Iterator[list[str]]:
    """Keep libpng's words on what it will complain of, and OpenCV's log, off stderr; the former are given.

    Only such files are decoded one after another: catching words takes the process's stderr for a moment.
    """
    set_level = getattr(cv2, "setLogLevel", None) or cv2.utils.logging.setLogLevel  # OpenCV 4.8, and 5
    level = set_level(_SILENT)
    try:
        with decoder_words("libpng") if _is_odd_png(data) else nullcontext([]) as said:
            yield said
    finally:
        set_level(level)


def _is_odd_png(data: bytes) -> bool:
    """Whether a PNG has a wrong checksum, is cut within a chunk, or has a colour profile, of which many are odd."""
    if not data.startswith(_PNG_HEAD):
        return False
    place = len(_PNG_HEAD)
    while place + 12 <= len(data):
        size = int.from_bytes(data[place : place + 4], "big")
        body, end = place + 4, place + 8 + size
        if data[body : body + 4] == b"iCCP" or zlib.crc32(memoryview(data)[body:end]) != int.from_bytes(
            data[end : end + 4], "big"
        ):
            return True
        if data[body : body + 4] == b"IEND":
            return False
        place = end + 4
    return True


def ends_properly(data: bytes) -> bool:
    """True where the format's end marker stands at the end, or the format is one without a cheap check.

    A file's first and last 64 bytes are enough.
    """
    markers = [end for start, end in _TRAILERS.items() if data.startswith(start)]
    return all(end in data[-_TRAILER_WINDOW_BYTES:] for end in markers)


def _require_complete(path: Path, data: bytes) -> None:
    """Let Pillow, which refuses truncated data, decide about a file with something odd at its end."""
    try:
        with open_picture(io.BytesIO(data)) as image:
            image.load()
    except (OSError, SyntaxError, ValueError) as error:
        raise DatasetError(
            f"{path}: the image has no proper end, and Pillow says: {error}; {_ADVICE}"
        ) from error


def read_label(path: Path, form: LabelFiles, ignore_index: int, num_classes: int = 0) -> Labels:
    """Read a label file to H x W class indices, `ignore_index` where a pixel counts nowhere.

    Args:
        path: of the file.
        form: how its values are meant.
        ignore_index: the label that counts nowhere.
        num_classes: of the data set; 0 where nobody asks whether the stored values can be meant for so many.

    Raises:
        DatasetError: missing or unreadable file, no class indices in it, or such that publishers read otherwise.
    """
    return map_values(read_values(path, form, ignore_index, num_classes), form, ignore_index)


def read_values(path: Path, form: LabelFiles, ignore_index: int, num_classes: int = 0) -> Labels:
    """Read a label file to H x W values as they are stored, before the form's rule; arguments and errors of `read_label`.

    Raises:
        DatasetError: as `read_label`.
    """
    values = _read_mat(path) if form.format == "mat" else _read_indices(path, form, num_classes)
    fault = why_too_large(values, form, num_classes, ignore_index) if num_classes else ""
    if fault:
        raise DatasetError(f"{path}: {fault}; {advice()}")
    return values


def map_values(values: Labels, form: LabelFiles, ignore_index: int) -> Labels:
    """File values to class indices by the label form's rule."""
    if form.reduce_zero:
        # mmseg 0.18 `datasets/custom.py`: 0 -> 255, minus one, 254 -> 255.
        mapped = values.astype(np.int64) - 1
        mapped[(values == 0) | (values == ignore_index)] = ignore_index
        return mapped
    if form.value_map:
        mapped = np.full(values.shape, ignore_index, dtype=np.int64)
        for value, index in form.value_map.items():
            mapped[values == value] = index
        return mapped
    return values


def _read_indices(path: Path, form: LabelFiles, num_classes: int) -> Labels:
    try:
        with open_picture(io.BytesIO(read_bytes(path))) as image:
            fault = why_no_labels(image) or why_ambiguous(image, form, num_classes)
            if fault:
                raise DatasetError(f"{path}: {fault}; {advice()}")
            values = stored_values(image)
            if fault := why_greys(image, values):
                raise DatasetError(f"{path}: {fault}; {advice()}")
            return values
    except FileNotFoundError as error:
        raise DatasetError(f"{path}: the label file is missing") from error
    except UnidentifiedImageError as error:
        raise DatasetError(
            f"{path}: cannot read the labels: no picture that Pillow knows; {_ADVICE}"
        ) from error
    except (OSError, SyntaxError, ValueError) as error:
        if (
            isinstance(error, OSError) and error.strerror
        ):  # the system's word, which says nothing about the content
            raise DatasetError(f"{path}: cannot read the labels: {error.strerror}") from error
        raise DatasetError(f"{path}: cannot read the labels: {error}; {_ADVICE}") from error


def mat_shape(path: Path) -> tuple[int, int]:
    """(height, width) of a MATLAB file's array `S`, from its header.

    Raises:
        DatasetError: missing or unreadable file, or no such array in it.
    """
    arrays = _mat(path, described)
    shape = next((array.shape for array in arrays if array.name == MAT_ARRAY), ())
    if len(shape) != 2:
        found = ", ".join(array.name for array in arrays) or "nothing"
        raise DatasetError(f"{path}: no label array {MAT_ARRAY!r} in the MATLAB file, found {found}")
    return shape


def _read_mat(path: Path) -> Labels:
    values = _mat(path, lambda data: numbers(data, MAT_ARRAY))
    if values is None:
        mat_shape(path)  # says what there is instead
        raise DatasetError(
            f"{path}: expected {MAT_ARRAY!r} to be height x width whole numbers, found no numbers"
        )
    is_whole = values.dtype.kind in "iu" or (np.isfinite(values) & (values == np.round(values))).all()
    if values.ndim != 2 or not is_whole:
        raise DatasetError(
            f"{path}: expected {MAT_ARRAY!r} to be height x width whole numbers, found {values.dtype} of shape {values.shape}"
        )
    return values


def _mat(path: Path, read: Callable[[bytes], T]) -> T:
    try:
        return read(read_bytes(path))
    except FileNotFoundError as error:
        raise DatasetError(f"{path}: the label file is missing") from error
    except OSError as error:
        raise DatasetError(f"{path}: cannot read the MATLAB file: {error.strerror or error}") from error
    except MatError as error:
        raise DatasetError(f"{path}: cannot read the MATLAB file: {error}") from error


def resize(pixels: Pixels, size: Size, interpolation: str = "cv2 bilinear") -> Pixels:
    """Resize H x W x 3 uint8 to `size` (height, width) by a protocol's `interpolation`.

    Raises:
        DatasetError: a side of no pixels, as very long and narrow images get by the publishers' rule.
    """
    if pixels.shape[:2] == size:
        return pixels
    if 0 in size:
        raise DatasetError(
            f"an image of {pixels.shape[0]} x {pixels.shape[1]} pixels would become {size[0]} x {size[1]} (height x width)"
        )
    target = (size[1], size[0])
    if interpolation == "antialiased bilinear":
        return np.asarray(Image.fromarray(pixels).resize(target, Image.Resampling.BILINEAR), dtype=np.uint8)
    return np.asarray(cv2.resize(pixels, target, interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


def resize_labels(labels: Labels, size: Size, rule: str) -> Labels:
    """Resize H x W labels to `size` (height, width): each pixel is that of its place in the original, none is made up.

    Args:
        labels: class indices.
        size: of the result.
        rule: `pillow nearest` takes row floor((i + 0.5) * scale), `cv2 nearest` row floor(i * scale); columns likewise.
    """
    if labels.shape == size:
        return labels
    if rule == "cv2 nearest":
        return cv2.resize(
            labels.astype(np.float64), (size[1], size[0]), interpolation=cv2.INTER_NEAREST
        ).astype(labels.dtype)
    picture = Image.fromarray(labels.astype(np.int32)).resize((size[1], size[0]), Image.Resampling.NEAREST)
    return np.asarray(picture).astype(labels.dtype)
