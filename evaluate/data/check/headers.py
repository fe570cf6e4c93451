"""The heads and tails of image and label files: size, rotation, colour mode, completeness. Decodes no pixels."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import msgspec
from PIL import Image, UnidentifiedImageError

from ...geometry import Size
from ...pixels import ends_properly, mat_shape, read_image
from ...regular_files import open_regular
from ..datasets import Colour, DatasetError, Sample
from ..label_pictures import advice, orientation, palette, why_ambiguous, why_no_labels
from ..open_picture import open_picture
from .findings import Finding, some

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from ..datasets import DatasetSpec, LabelFiles

_END_BYTES = 64
_NOT_PICTURES = {
    b"<": "an HTML or XML page, such as a login form saved in its place",
    b"version https://git-lfs": "a Git LFS pointer; run git lfs pull",
}
_UNUSUAL_AREA_RATIO = 1.5
_REFUSED = "zoo verify refuses the image: no number"


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """What the header of one file says."""

    size: Size | None = None
    """(height, width) as stored; None where the file cannot be read."""
    mode: str = ""
    """Pillow's colour mode; empty for a MATLAB file."""
    palette: tuple[Colour, ...] = ()
    """RGB colours of a palette picture's values, from 0 on."""
    orientation: int = 1
    """EXIF's, 1 for upright, 5 to 8 for a quarter turn."""
    fault: str = ""
    """Why the file cannot be read."""
    refusal: str = ""
    """Of a label: why its values are no class indices, or not the same ones for every publisher."""

    @property
    def shown_size(self) -> Size | None:
        """(height, width) once cv2 has applied EXIF's rotation."""
        return (self.size[1], self.size[0]) if self.size and self.orientation >= 5 else self.size


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """The headers of an image and of its label."""

    sample: Sample
    image: Picture
    label: Picture

    @property
    def faults(self) -> list[str]:
        """Why its files cannot be read."""
        return [picture.fault for picture in (self.image, self.label) if picture.fault]


def read_pair(sample: Sample, form: LabelFiles, num_classes: int) -> Pair:
    """Look at the headers of a sample's files; what is wrong with one is its picture's `fault` or `refusal`."""

    def refusal(picture: Image.Image) -> str:
        return why_no_labels(picture) or why_ambiguous(picture, form, num_classes)

    label = _mat_header(sample.label) if form.format == "mat" else _header(sample.label, refusal)
    return Pair(sample=sample, image=_header(sample.image), label=label)


def _header(path: Path, refusal: Callable[[Image.Image], str] | None = None) -> Picture:
    try:
        head, tail = _ends(path)
        if not head:
            return Picture(fault=f"{path}: the file is empty")
        with open_picture(path) as image:
            picture = Picture(
                size=(image.height, image.width),
                mode=image.mode,
                palette=palette(image),
                orientation=orientation(image),
                refusal=refusal(image) if refusal else "",
            )
        if not ends_properly(head + tail):
            read_image(path)  # something odd at its end: only decoding tells whether a part is missing
    except UnidentifiedImageError:
        return Picture(fault=f"{path}: not a picture but {_nature(path)}")
    except DatasetError as error:
        return Picture(fault=str(error))
    except (OSError, SyntaxError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else None
        return Picture(fault=f"{path}: cannot be read: {why or error}")
    return picture


def _ends(path: Path) -> tuple[bytes, bytes]:
    """The first and the last bytes of a file."""
    with open_regular(path) as file:
        head = file.read(_END_BYTES)
        file.seek(max(0, file.seek(0, io.SEEK_END) - _END_BYTES))
        return head, file.read(_END_BYTES)


def _nature(path: Path) -> str:
    head = _ends(path)[0]
    known = (meaning for start, meaning in _NOT_PICTURES.items() if head.lstrip().startswith(start))
    return next(known, f"data that begin with {head[:8]!r}")


def _mat_header(path: Path) -> Picture:
    try:
        return Picture(size=mat_shape(path))
    except DatasetError as error:
        return Picture(fault=str(error))


# --- findings ----------------------------------------------------------------------------------------


def header_findings(pairs: Sequence[Pair], spec: DatasetSpec) -> Iterator[Finding]:
    """What the headers of all examined pairs say together."""
    yield from unreadable([fault for pair in pairs for fault in pair.faults], len(pairs))
    whole = [pair for pair in pairs if not pair.faults]
    refused = [pair for pair in whole if pair.label.refusal]
    if refused:
        yield _no_indices(refused, whole, spec)
    thin = [pair for pair in whole if pair.label.mode == "1" and not pair.label.refusal]
    if thin:
        yield _one_bit(thin, len(whole))
    yield from _sizes(whole, spec)
    yield from _unusual_size(whole, spec)


def unreadable(faults: list[str], examined: int) -> Iterator[Finding]:
    """One finding over all files that cannot be read."""
    if faults:
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        yield Finding(
            kind="unreadable",
            gravity="error",
            what=f"{len(faults)} files of {examined} examined pairs cannot be read: {faults[0]}{more}",
            effect="without them the number is not the full split's; zoo verify refuses it: no number",
            remedy="mend what the message names, or copy or unpack these files again",
        )


def _no_indices(refused: list[Pair], whole: list[Pair], spec: DatasetSpec) -> Finding:
    first = refused[0].label
    coloured = first.mode.startswith(("RGB", "CMYK", "LA", "YCbCr"))
    return Finding(
        kind="colour labels" if coloured else "unfit labels",
        gravity="error",
        what=f"{len(refused)} of {len(whole)} examined labels are no plain class indices, first "
        f"{refused[0].sample.label}: {first.refusal}",
        effect="which classes they mean is not known; zoo verify refuses the image: no number",
        remedy="save the labels as one channel of class indices, PNG of 8 or 16 bits"
        if spec.is_own
        else "take the label files of the data set's archive as they are; saving them again in RGB loses the indices"
        if coloured
        else advice(),
    )


def _one_bit(pairs: list[Pair], examined: int) -> Finding:
    return Finding(
        kind="1-bit labels",
        gravity="warning",
        what=f"{len(pairs)} of {examined} examined labels are stored with 1 bit, where white is 255: "
        f"{some([pair.sample.id for pair in pairs])}",
        effect="read as cv2 and sssegmentation read them, 0 and 255; mmsegmentation's reader takes white for class 1",
        remedy="nothing to do if white was 255 before the file was made smaller; else save the labels with 8 bits",
    )


def _sizes(pairs: list[Pair], spec: DatasetSpec) -> Iterator[Finding]:
    uneven = [pair for pair in pairs if pair.image.shown_size != pair.label.size]
    rotated = [pair for pair in uneven if pair.image.size == pair.label.size]
    others = [pair for pair in uneven if pair not in rotated]
    if rotated:
        yield _rotated(rotated, len(pairs))
    if others:
        yield _size_mismatch(others, len(pairs), spec)
    turned = [
        pair for pair in pairs if pair.image.orientation in (2, 3, 4, 6, 7, 8, 5) and pair not in uneven
    ]
    if turned:
        yield _turned(turned, len(pairs))


def _rotated(pairs: list[Pair], examined: int) -> Finding:
    first = pairs[0]
    return Finding(
        kind="EXIF rotation",
        gravity="error",
        what=f"{len(pairs)} of {examined} examined images carry an EXIF rotation that their labels do not follow, first "
        f"{first.sample.image} (orientation {first.image.orientation}): shown {_by(first.image.shown_size)}, "
        f"labelled {_by(first.label.size)}",
        effect=f"cv2 turns the image as both publishers' loaders do, the label stays; {_REFUSED}",
        remedy="remove the orientation from the image's EXIF data (exiftool -Orientation= -n FILE), pixels untouched",
    )


def _turned(pairs: list[Pair], examined: int) -> Finding:
    first = pairs[0]
    return Finding(
        kind="EXIF rotation",
        gravity="note",
        what=f"{len(pairs)} of {examined} examined images carry an EXIF orientation, first {first.sample.image} "
        f"({first.image.orientation}); their labels have the turned image's size",
        effect="cv2 turns the image as both publishers' loaders do; wrong only if the label shows the image unturned",
        remedy="look at one image with its label; where they do not agree, remove the orientation from the EXIF data",
    )


def _size_mismatch(pairs: list[Pair], examined: int, spec: DatasetSpec) -> Finding:
    first = pairs[0]
    return Finding(
        kind="size mismatch",
        gravity="error",
        what=f"{len(pairs)} of {examined} examined labels differ from their image in size, first {first.sample.label}: "
        f"{_by(first.label.size)}, its image {_by(first.image.shown_size)} (height x width); "
        f"{some([pair.sample.id for pair in pairs])}",
        effect=f"labels are compared pixel by pixel and never resized; {_REFUSED}",
        remedy="use labels of the images' own sizes; do not resize either"
        if spec.is_own
        else "take images and labels from the same archive; do not resize either",
    )


def _unusual_size(pairs: list[Pair], spec: DatasetSpec) -> Iterator[Finding]:
    sizes = sorted(pair.image.size for pair in pairs if pair.image.size)
    if not sizes or spec.typical_size is None:
        return
    by_area = sorted(sizes, key=_area)
    middle, typical = by_area[len(by_area) // 2], spec.typical_size
    if not 1 / _UNUSUAL_AREA_RATIO <= _area(middle) / _area(typical) <= _UNUSUAL_AREA_RATIO:
        yield Finding(
            kind="unusual size",
            gravity="warning",
            what=f"images are {_by(middle)} in the middle of {len(sizes)} examined, expected about {_by(typical)} "
            "(height x width): a resized copy?",
            effect="labels of another size give another mIoU, and a resized image has lost detail: the number is not "
            "comparable with the published one",
            remedy="use the data set as published; protocols resize by themselves",
        )


def _area(size: Size) -> int:
    return size[0] * size[1]


def _by(size: Size | None) -> str:
    return f"{size[0]} x {size[1]}" if size else "unknown"


def usable_pairs(pairs: Iterable[Pair]) -> list[Pair]:
    """Pairs whose pixels can be compared: readable, of one size, labels with one channel."""
    return [
        pair
        for pair in pairs
        if not pair.faults and not pair.label.refusal and pair.image.shown_size == pair.label.size
    ]
