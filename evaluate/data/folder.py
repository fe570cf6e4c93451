"""One's own data without a manifest: a folder of images, label maps and class names becomes a `DatasetSpec`.

    my-data/
    ├── images/       pictures, folders inside allowed
    ├── labels/       PNGs of class indices with the same names
    └── classes.txt   one class a line, from index 0 on

A line of `classes.txt` is a name, or a name and its colour (`road 128 64 128`). A first line `ignore: 11` says
which label value counts nowhere; without it, 255 does. Empty lines are skipped; comments, indices and commas are
refused, since a line taken for a class would move all the others by one.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from ..limits import LARGEST_LABEL, class_breaches, ignore_breach
from ..regular_files import composed, read_text
from .datasets import OWN_FOLDER, Colour, DatasetError, DatasetSpec, LabelFiles, files_below, ids_with

if TYPE_CHECKING:
    from pathlib import Path

IMAGES, LABELS, CLASSES = "images", "labels", "classes.txt"
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
_IGNORE_LINE = re.compile(r"ignore:\s*(\d+)", re.IGNORECASE)
_NO_CLASS_LINES = (
    (re.compile(r"#.*"), "a comment; every line is a class, so leave it out"),
    (
        re.compile(r"\d+\W*\s\S.*|\d+[:;.)=,].*"),
        "an index; the line's place is the index, so give the name alone",
    ),
    (
        re.compile(r"[^,;\t\n]*[,;\t].*"),
        "a comma; write `name` or `name R G B`, parted by spaces, one class a line",
    ),
    (
        re.compile(r"ignore\s*[:=].*", re.IGNORECASE),
        "the ignored value, which only a first line `ignore: N` gives",
    ),
)
"""What people write where a class is expected."""
_COLOUR_LINE = re.compile(r"(.*\S)\s+(\d+)\s+(\d+)\s+(\d+)")


def folder_spec(folder: Path) -> DatasetSpec:
    """Describe a folder as a data set; its data root is the folder itself.

    Raises:
        DatasetError: something of it is missing, or `classes.txt` cannot be understood.
    """
    for name in (IMAGES, LABELS):
        if not (folder / name).is_dir():
            raise DatasetError(f"{folder / name}: no such folder; {_EXPECTED}")
    suffix, count = _images(folder / IMAGES)
    _require_every_image(folder, suffix)
    classes, palette, ignore_index = _read_classes(folder / CLASSES)
    return DatasetSpec(
        name=f"{OWN_FOLDER}{folder.resolve().name}",
        title=folder.resolve().name,
        split="all images",
        image_count=count,
        roots=(),
        images=IMAGES,
        image_suffix=suffix,
        labels=(LabelFiles(folder=LABELS, suffix=".png"),),
        classes=classes,
        palette=palette,
        ignore_index=ignore_index,
    )


_EXPECTED = f"expected {IMAGES}/, {LABELS}/ (index PNGs of the same names) and {CLASSES} (one class a line)"


def _images(folder: Path) -> tuple[str, int]:
    """The images' one file ending, and how many they are."""
    endings = Counter(
        PurePosixPath(name).suffix
        for name in files_below(folder)
        if PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES
    )
    if not endings:
        raise DatasetError(f"{folder}: no images ({', '.join(IMAGE_SUFFIXES)})")
    if len(endings) > 1:
        found = ", ".join(f"{count} {ending}" for ending, count in sorted(endings.items()))
        raise DatasetError(
            f"{folder}: images of one file ending are needed, found {found}; convert or rename them"
        )
    return endings.popitem()


def _require_every_image(folder: Path, suffix: str) -> None:
    """Refuse what has a label and would count nowhere: a picture of a form that is not read, or without an ending.

    Raises:
        DatasetError: there is such a file.
    """
    names = files_below(folder / IMAGES)
    labelled = ids_with(".png", files_below(folder / LABELS)) - ids_with(suffix, names)
    others = sorted(name for name in names if not name.endswith(suffix))
    lost = [name for name in others if composed(str(PurePosixPath(name).with_suffix(""))) in labelled]
    lost += [name for name in others if composed(name) in labelled and name not in lost]
    if lost:
        more = f" (and {len(lost) - 1} more)" if len(lost) > 1 else ""
        raise DatasetError(
            f"{folder / IMAGES / lost[0]}{more}: it has a label, and its file ending is none of those that are read as images "
            f"({', '.join(IMAGE_SUFFIXES)}), so it would count nowhere; convert it to {suffix}, or take its label away"
        )


def _read_classes(path: Path) -> tuple[tuple[str, ...], tuple[Colour, ...], int]:
    """Class names, their colours (all or none) and the ignore index."""
    lines = _lines(path)
    ignored = _IGNORE_LINE.fullmatch(lines[0][1]) if lines else None
    entries = [_entry(path, number, text) for number, text in lines[1 if ignored else 0 :]]
    if not entries:
        raise DatasetError(f"{path}: no class in it, expected one a line")
    names = tuple(name for name, _ in entries)
    for where, message in class_breaches(names):
        place = path if where is None else f"{path}:{lines[where + bool(ignored)][0]}"
        raise DatasetError(f"{place}: {message}")
    colours = tuple(colour for _, colour in entries if colour is not None)
    if colours and len(colours) < len(names):
        lacking = next(name for name, colour in entries if colour is None)
        raise DatasetError(f"{path}: give every class a colour or none; {lacking!r} has none")
    return names, colours, _ignore_index(path, ignored, len(names))


def _lines(path: Path) -> list[tuple[int, str]]:
    try:
        lines = read_text(path).split("\n")
    except OSError as error:
        raise DatasetError(
            f"{path}: cannot read the classes: {error.strerror or error}; {_EXPECTED}"
        ) from error
    return [(number, line.strip()) for number, line in enumerate(lines, 1) if line.strip()]


def _entry(path: Path, number: int, text: str) -> tuple[str, Colour | None]:
    mistaken = next((meaning for pattern, meaning in _NO_CLASS_LINES if pattern.fullmatch(text)), None)
    if mistaken:
        raise DatasetError(f"{path}:{number}: {text!r} looks like {mistaken}")
    match = _COLOUR_LINE.fullmatch(text)
    if match is None:
        return text, None
    name, *parts = match.groups()
    red, green, blue = map(_whole, parts)
    if max(red, green, blue) > 255:
        raise DatasetError(
            f"{path}:{number}: expected a colour as three numbers from 0 to 255, found {text!r}"
        )
    return name, (red, green, blue)


def _whole(digits: str) -> int:
    """A number of any length: Python refuses more than 4,300 digits, and nine are too many here already."""
    return int(digits.lstrip("0")[:9] or "0")


def _ignore_index(path: Path, ignored: re.Match[str] | None, classes: int) -> int:
    index = _whole(ignored.group(1)) if ignored else 255
    if breach := ignore_breach(index, classes):
        first = "" if ignored else f"; name it in a first line, ignore: {LARGEST_LABEL}"
        raise DatasetError(f"{path}: {breach}{first}")
    return index
