"""What an examination of a data set says: findings, the fingerprint and the report that holds them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from ..datasets import LabelFiles

if TYPE_CHECKING:
    from collections.abc import Collection

Kind = Literal[
    "not scored",
    "not found",
    "several roots",
    "several label forms",
    "label forms differ",
    "id list",
    "wrong count",
    "other split",
    "suffix case",
    "no labels",
    "no partner",
    "labels withheld",
    "unreadable",
    "damaged image",
    "flat images",
    "dark images",
    "bright images",
    "grey images",
    "blurred images",
    "empty channels",
    "inverted images",
    "mirrored labels",
    "misplaced sky",
    "identical images",
    "identical labels",
    "size mismatch",
    "EXIF rotation",
    "unusual size",
    "colour labels",
    "unfit labels",
    "1-bit labels",
    "values outside map",
    "labelIds as trainIds",
    "trainIds as labelIds",
    "labels reduced twice",
    "labels not reduced",
    "palette disagrees",
    "everything ignored",
    "nothing ignored",
    "void as ignored",
    "few classes",
    "instance masks",
    "class never present",
]
Gravity = Literal["error", "warning", "note"]
_SHOWN_NAMES = 3


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing seen in a data set that a reader of its numbers must know."""

    kind: Kind
    gravity: Gravity
    """`error`: no number, or a wrong one; `warning`: it looks wrong but may be right; `note`: harmless."""
    what: str
    """What was found where, and what was expected."""
    effect: str
    """What it does to the mIoU."""
    remedy: str
    """How to mend it."""


class Fingerprint(msgspec.Struct, frozen=True, kw_only=True):
    """Tells two copies of a data set apart without reading all of it."""

    ids_sha256: str
    """SHA-256 (hex) of the split's ids in order, one a line."""
    sample_sha256: str
    """SHA-256 (hex) over the ids and contents (image and label bytes) of the sampled images."""
    sampled_ids: tuple[str, ...]
    label_pixels: dict[str, int]
    """Class name -> labelled pixels of the sample."""
    ignored_pixels: int
    """Pixels of the sample that count nowhere."""
    stray_pixels: int
    """Pixels of the sample whose value is neither a class nor ignored."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A data set examined."""

    dataset: str
    """Its key in the manifest, or `folder:NAME`."""
    title: str
    split: str
    expected_images: int
    found_images: int = 0
    root: Path | None = None
    """None where it was not found."""
    images: Path | None = None
    label_files: LabelFiles | None = None
    """The label form that is used; None where there is none."""
    headers_read: int = 0
    """Pairs whose files were opened for size, mode and completeness."""
    pixels_read: int = 0
    """Pairs that were decoded whole."""
    fingerprint: Fingerprint | None = None
    findings: tuple[Finding, ...] = ()
    seconds: float = 0.0

    @property
    def usable(self) -> bool:
        """Whether a number measured on it would mean what its name says, as far as this examination sees."""
        return not any(finding.gravity == "error" for finding in self.findings)

    @property
    def absent(self) -> bool:
        """Whether there is nothing of it at the data root."""
        return self.root is None


def some(names: Collection[str]) -> str:
    """The first few names in order, and how many more there are."""
    shown = ", ".join(sorted(names)[:_SHOWN_NAMES])
    more = len(names) - _SHOWN_NAMES
    return f"{shown} and {more} more" if more > 0 else shown
