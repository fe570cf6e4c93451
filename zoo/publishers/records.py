"""What publishers' documents say, as records: rows, documents, faults, and how their cells are read."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from ..files.whole_number import DIGITS, whole_number

Form = Literal["readme", "page", "metafile-0.x", "metafile-1.x"]
"""A Markdown page, one as documentation renders it, or a metafile of one of its two ages."""

STATED = {
    "pretrain": "pretraining",
    "train/eval set": "train/eval set",
    "Training Data": "training data",
    "Training Resources": "training resources",
    "hardware": "hardware of the timing",
    "mode": "precision of the timing",
    "batch size": "batch of the timing",
}
"""Column or metafile key -> what `SourceRow.stated` and messages call it."""
NUMBER = re.compile(rf"(0|[1-9][0-9]{{0,8}})(\.{DIGITS})?")
"""As a manifest's figures are written: without leading zeros."""
BLANK = {"", "-", "–", "—"}
"""Cells that state nothing."""
_SHOWN_CHARACTERS = 60


class SourceError(Exception):
    """A document cannot be read: one message with file and line."""


class SourceFault(msgspec.Struct, frozen=True, kw_only=True):
    """A place that cannot be understood; the rest of the document is read without it."""

    line: int
    """Counted from 1."""
    message: str


def quoted(text: str) -> str:
    """A cell as messages show it: its beginning where it is long."""
    return repr(text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}...")


class CellError(Exception):
    """A cell cannot be understood; its reader knows the line."""


class SourceRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a table or one model of a metafile, as its document has it."""

    line: int
    """Counted from 1."""
    section: str
    """Heading of the table, or the metafile's data set; empty where a page lost its headings."""
    row: int
    """Counted from 1 within the section."""
    method: str = ""
    segmentor: str = ""
    """Of a page about backbones, or about what goes with several segmentors."""
    backbone: str = ""
    dataset: str = ""
    """The manifest's name of the section's data set; empty where the heading names none."""
    crop: tuple[int, int] | None = None
    """Training crop (height, width) in pixels."""
    schedule: str = ""
    figures: dict[str, str | None] = {}
    """Metric -> figure as printed, without a percent sign; None for an empty cell, absent without a column."""
    blank_cells: int = 0
    """Empty cells of the row, links included."""
    device: str = ""
    weights_url: str = ""
    log_url: str = ""
    config: str = ""
    """URL or path of the configuration."""
    name: str = ""
    """The model's name in a metafile."""
    resolution: tuple[int, int] | None = None
    """What a metafile calls the resolution of its inference time."""
    milliseconds: str = ""
    """A metafile's inference time in ms an image, as printed."""
    batch: int | None = None
    """Images a step over all devices, in a 1.x metafile."""
    stated: dict[str, str] = {}
    """What else the row says of itself, as printed: field as messages call it -> text (see `STATED`)."""
    lines: dict[str, int] = {}
    """Metric or field -> its own line, where that is not `line`."""

    def line_of(self, field: str) -> int:
        """The line where a metric or field of this row stands."""
        return self.lines.get(field, self.line)


class Collection(msgspec.Struct, frozen=True, kw_only=True):
    """What a metafile says of its models together."""

    name: str
    line: int
    """Counted from 1."""
    datasets: dict[str, int]
    """Training data as printed -> line."""


class SourceDocument(msgspec.Struct, frozen=True, kw_only=True):
    """One parsed document."""

    path: str
    """As given, for messages."""
    form: Form
    inventor: str = ""
    """Whose form it has: a known publisher, whose rules the rows follow; empty where it is nobody's."""
    publisher: str
    rows: tuple[SourceRow, ...]
    fields: dict[str, tuple[str, int]] = {}
    """A metafile's way of saying things: concept -> its key or form, and the first line of it."""
    faults: tuple[SourceFault, ...] = ()
    collections: tuple[Collection, ...] = ()

    @property
    def is_metafile(self) -> bool:
        """Whether it lists models in YAML, and no table."""
        return self.form.startswith("metafile")


def figure_of(column: str, text: str) -> str | None:
    """A figure as printed, without its percent sign; None where the cell states nothing.

    Raises:
        CellError: the text is no plain number.
    """
    text = text.strip().removesuffix("%").strip()
    if text in BLANK:
        return None
    if not NUMBER.fullmatch(text):
        raise CellError(f"expected a plain number in column {column!r}, found {quoted(text)}")
    return text


def count_of(text: str) -> int:
    """A whole number.

    Raises:
        CellError: the text is none, or one of more digits than anything counted has.
    """
    if (found := whole_number(text)) is None:
        raise CellError(f"expected a whole number, found {quoted(text)}")
    return found


def size_of(text: str) -> tuple[int, int] | None:
    """`512x1024` or `(512,1024)` as (height, width); None where the cell is empty.

    Raises:
        CellError: the text is no size.
    """
    if not text:
        return None
    found = re.fullmatch(rf"\(?({DIGITS})\s*[x,]\s*({DIGITS})\)?", text)
    if not found:
        raise CellError(f"expected a size such as 512x1024, found {quoted(text)}")
    return int(found[1]), int(found[2])
