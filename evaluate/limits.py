"""What the engine can do, asked at the door: of a manifest when it is read, of an own folder when it is described.

Each rule yields what breaks it, so that whoever reads a file adds the place. Nothing here reads a file.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args, get_origin

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


MOST_CLASSES = 4096
"""The counts of an image, (C + 1) x C int64, are 134 MB then."""
LARGEST_LABEL = 65_535
"""Label files have 8 or 16 bits."""
LARGEST_SIDE = 32_767
"""Pixels: OpenCV counts places of a picture that it resamples in 16 bits with a sign."""
LARGEST_RATIO = 16
"""Of a view to the image; 1.75 is the largest published."""
MOST_PADDING = 4096
"""Of the number that an input's sides are made multiples of; 32 and 64 are usual."""
PADDED_ONE_STEP = (
    "size_divisor pads the network's input, and one-step upsampling has no scores at that size to cut the padding off; "
    "take upsampling: two-step, or a window"
)
MOST_IMAGES = 100_000_000
"""Images that a split may have at most."""
MOST_IN_BATCH = 65_536
DEFAULT_IGNORED = 255
"""The label value that counts nowhere where none is named."""


class Breach(NamedTuple):
    """One limit that is broken."""

    where: int | None
    """Position in the sequence that was asked about; None for the whole."""
    message: str


def class_breaches(names: Sequence[str]) -> Iterator[Breach]:
    """Class names: some, not too many, each once and of something to read.

    Names that differ only in Unicode form look the same to everybody but a computer.
    """
    if not names:
        yield Breach(None, "expected at least one class, found none")
    if len(names) > MOST_CLASSES:
        yield Breach(None, f"expected at most {MOST_CLASSES} classes, found {len(names)}")
    seen: dict[str, int] = {}
    for index, name in enumerate(names):
        plain = unicodedata.normalize("NFC", name).strip()
        if not plain or not plain.isprintable():
            yield Breach(index, f"class {index} has no name that can be read: {name!a}")
        elif plain in seen:
            yield Breach(index, f"class {name!r} stands there more than once")
        elif plain != unicodedata.normalize("NFC", name):
            yield Breach(index, f"class {name!r} begins or ends with a blank; write {plain!r}")
        seen.setdefault(plain, index)


def colour_breaches(palette: Sequence[Sequence[int]], classes: int) -> Iterator[Breach]:
    """RGB colours: one a class, each of three whole numbers from 0 to 255. Two classes may share one."""
    if palette and len(palette) != classes:
        yield Breach(None, f"expected {classes} colours, one a class, found {len(palette)}")
    for index, colour in enumerate(palette):
        if not all(0 <= channel <= 255 for channel in colour):
            yield Breach(
                index,
                f"expected a colour as three numbers from 0 to 255, found {', '.join(map(str, colour))}",
            )


def ignore_breach(index: int, classes: int, *, reduce_zero: bool = False) -> str:
    """Why a label value cannot be the ignored one; empty where it can.

    With `reduce_zero` files hold 1 to C, and the ignored value is looked for among them.
    """
    if not 0 <= index <= LARGEST_LABEL:
        return f"expected a label value from 0 to {LARGEST_LABEL}, found {index}"
    lowest = max(classes + reduce_zero, DEFAULT_IGNORED)
    advice = (
        f"choose one from {lowest} to {LARGEST_LABEL} and mark the labels with it"
        if lowest <= LARGEST_LABEL
        else "so many classes leave no value for it"
    )
    if index < classes:
        return f"label value {index} cannot be ignored, it is one of the {classes} classes; {advice}"
    if reduce_zero and index == classes:
        return f"label value {index} cannot be ignored, it is the last class before 0 is taken away; {advice}"
    return ""


def value_map_breaches(
    value_map: Mapping[int, int], classes: int, ignore_index: int
) -> Iterator[tuple[int, str]]:
    """(file value, what is wrong) of a map from file values to class indices."""
    for value, index in value_map.items():
        if not 0 <= value <= LARGEST_LABEL:
            yield value, f"expected label file values from 0 to {LARGEST_LABEL}, found {value}"
        if index != ignore_index and not 0 <= index < classes:
            yield (
                value,
                f"{value}: {index} is no class, expected 0 to {classes - 1} or the ignored {ignore_index}",
            )


def window_breach(window: tuple[int, int], strides: tuple[int, int]) -> str:
    """Why windows of this (height, width) at these strides leave pixels that none sees; empty where they leave none."""
    for axis, crop, stride in zip(("vertical", "horizontal"), window, strides, strict=True):
        if stride > crop:
            return (
                f"the {axis} stride {stride} is larger than the window's {crop} pixels, so no window would see the "
                f"pixels between; expected at most {crop}"
            )
    return ""


def pair_breaches(pairs: Sequence[tuple[int, int]], classes: int | None = None) -> Iterator[Breach]:
    """Left and right classes: two of each pair, no class in two of them, all within the classes where they are known."""
    members = Counter(index for pair in pairs for index in pair)
    for position, pair in enumerate(pairs):
        outside = [index for index in pair if index < 0 or (classes is not None and index >= classes)]
        twice = [index for index in pair if members[index] > 1]
        if outside:
            known = f"0 to {classes - 1}" if classes is not None else "0 or more"
            yield Breach(position, f"{outside[0]} is no class, expected {known}")
        elif pair[0] == pair[1]:
            yield Breach(position, f"class {pair[0]} cannot change places with itself")
        elif twice:
            yield Breach(position, f"class {twice[0]} stands in more than one pair")


def void_breach(void: Sequence[int], classes: int | None = None) -> str:
    """Why these classes cannot be left out of the means; empty where they can. `classes` of them are known, or none."""
    if not void:
        return "expected at least one class, found none"
    for place, index in enumerate(void):
        if index < 0 or (classes is not None and index >= classes):
            known = f"0 to {classes - 1}" if classes is not None else "0 or more"
            return f"{index} is no class, expected {known}"
        if index in void[:place]:
            return f"class {index} stands there more than once"
    if classes is not None and len(void) >= classes:
        return f"all of the {classes} classes are void: no mean is left"
    return ""


def protocol_breach(pairs: Sequence[tuple[int, int]], void: Sequence[int], classes: int) -> str:
    """Why a protocol does not suit a data set of so many classes; empty where it does.

    Args:
        pairs: left and right classes, sound for themselves (`pair_breaches`).
        void: classes that no mean is taken over, sound for themselves (`void_breach`); none for all counting.
        classes: of the data set.
    """
    for breach in pair_breaches(pairs, classes):
        return f"flip_pairs: {breach.message}"
    if void and (told := void_breach(void, classes)):
        return f"void: {told}"
    return ""


def channels_breach(channels: int, classes: int, void: Sequence[int], kept: int | None = None) -> str:
    """Why a network's scores do not fit a data set's classes under a protocol; empty where they do.

    Args:
        channels: of the network's scores.
        classes: of the data set.
        void: its classes that no mean is taken over; a network need not know the last of them.
        kept: how many first channels the protocol lets take part; None for all.
    """
    if kept is not None and kept > channels:
        return f"score_channels is {kept}, but the network has {channels} channels"
    found = min(channels, channels if kept is None else kept)
    if found > classes or not set(range(found, classes)) <= set(void):
        taken = f" of which {kept} take part" if kept is not None else ""
        return f"num_classes is {channels}{taken}, but the data set has {classes} classes"
    return ""


def scale_breaches(scales: Sequence[float], base_scale: tuple[int, int] | None) -> Iterator[Breach]:
    """Ratios: some, and none that leaves the base scale (width, height) without a pixel or makes a side too long."""
    if not scales:
        yield Breach(None, "expected at least one scale, found none")
    for position, ratio in enumerate(scales):
        if base_scale is not None and int(min(base_scale) * ratio) < 1:
            width, height = base_scale
            yield Breach(position, f"{ratio:g} of the base scale {width} x {height} leaves no pixel")
        elif base_scale is not None and max(base_scale) * ratio > LARGEST_SIDE:
            width, height = base_scale
            yield Breach(
                position,
                f"{ratio:g} of the base scale {width} x {height} makes a side of more than {LARGEST_SIDE} pixels",
            )


class RecordError(ValueError):
    """A record was made of values that it cannot have; the message names record and field, what is expected and found."""


class FieldBreach(NamedTuple):
    """A rule that values break which their types allow."""

    field: str
    breach: Breach


class Checked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A record that is refused where it is made, by whoever makes it, if a value breaks its type or a rule.

    What converts without loss is converted, so that equal records are equal and have one digest: lists become tuples,
    whole numbers floats where the field is one.
    """

    @classmethod
    def breaches(cls, values: Mapping[str, Any]) -> Iterator[FieldBreach]:
        """What is wrong between values that each have their type.

        Args:
            values: By field, defaults too. One that could not be read is missing, and its rules are passed over.
        """
        del values
        yield from ()

    def __post_init__(self) -> None:
        try:
            read = msgspec.convert(self, _plain(type(self)), from_attributes=True)
        except msgspec.ValidationError as error:
            raise RecordError(f"{type(self).__name__}: {_told(self, str(error))}") from None
        values = {name: getattr(read, name) for name in self.__struct_fields__}
        for field, (where, message) in self.breaches(values):
            place = field if where is None else f"{field}[{where}]"
            raise RecordError(f"{type(self).__name__}: {place}: {message}")
        for name, value in values.items():
            msgspec.structs.force_setattr(self, name, value)


@lru_cache
def _plain(kind: type[msgspec.Struct]) -> type[msgspec.Struct]:
    """A record of the same fields that nothing is asked of but their types."""
    fields = msgspec.structs.fields(kind)
    return msgspec.defstruct(kind.__name__, [(field.name, field.type) for field in fields], kw_only=True)


def _told(record: msgspec.Struct, message: str) -> str:
    """One of msgspec's messages with the field, what it may hold and what it holds."""
    what, _, place = message.partition(" - at `$.")
    name, *steps = re.findall(r"\w+", place)
    found: Any = getattr(record, name)
    kind = next(field.type for field in msgspec.structs.fields(type(record)) if field.name == name)
    for step in steps:
        found = found[step] if isinstance(found, dict) else list(found)[int(step)]
    expected = what[:1].lower() + what[1:].partition(", got")[0].replace("`", "")
    if get_origin(kind) is Literal:
        expected = f"expected one of {', '.join(map(repr, get_args(kind)))}"
    return f"{place.rstrip('`')}: {expected}, found {found!r:.80}"
