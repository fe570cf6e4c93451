"""Data sets as people have them on disk: which files form a split, and what their labels mean.

A `DatasetSpec` is data (it stands in the manifest); this module turns it into a list of samples and
a fingerprint. Pixels are read in `evaluate.pixels`.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

ClassCount = Annotated[int, msgspec.Meta(ge=1)]
Colour = tuple[int, int, int]


class LabelFiles(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One form in which a data set's labels lie on disk."""

    folder: str
    """Below the data set's root; mirrors the folder tree of the images."""
    suffix: str
    """What replaces the image's suffix, extension included: `_gtFine_labelTrainIds.png`."""
    format: Literal["png", "mat"] = "png"
    """`png`: index or palette image read as indices; `mat`: a MATLAB file's array `S` (COCO-Stuff)."""
    reduce_zero: bool = False
    """0 becomes the ignore index, every other value moves down by one (ADE20K)."""
    value_map: dict[int, int] = {}
    """File value -> class index; where given, every value it does not name is ignored."""


class DatasetSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a data set is: classes, files of the evaluated split, and the meaning of label values."""

    name: str = ""
    """Its key in the manifest."""
    title: str
    """As tables head it: `Pascal VOC 2012 + Aug`."""
    split: str
    """Evaluated split, in the data set's own words."""
    image_count: ClassCount
    """Number of images in the full split; fewer found means an incomplete copy."""
    roots: tuple[str, ...]
    """Folder names tried below a data root, in order."""
    images: str
    """Folder of the split's images below the data set's root."""
    image_suffix: str
    """What an image file's name ends with; the sample's id is its path below `images` without it."""
    labels: tuple[LabelFiles, ...]
    """Accepted label forms; the first one present is used."""
    id_list: str = ""
    """File below the root that lists the split's ids in order, one a line; else all files, sorted."""
    classes: tuple[str, ...]
    """Class names; the position is the class index."""
    palette: tuple[Colour, ...] = ()
    """RGB colours in [0, 255], one a class."""
    ignore_index: int = 255
    """Label value that counts nowhere."""
    homepage: str = ""
    """Official page it can be had from."""
    how_to_get: str = ""
    """One sentence: registration, archive, what to unpack where."""
