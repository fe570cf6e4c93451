"""Data sets as people have them on disk: which files form a split, and what their labels mean.

A `DatasetSpec` is data (it stands in the manifest); this module turns it into a list of samples and
a fingerprint. Pixels are read in `evaluate.pixels`.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Literal

import msgspec

ClassCount = Annotated[int, msgspec.Meta(ge=1)]
Colour = tuple[int, int, int]


class DatasetError(Exception):
    """A data set, or one of its files, cannot be used; the message says which, why and what to do."""


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
    typical_size: tuple[ClassCount, ClassCount] | None = None
    """(height, width) of a typical image, where costs are stated for one; sizes vary in most data sets."""
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
    categories: dict[str, tuple[str, ...]] = {}
    """Category -> its classes, where the data set's own evaluation also scores categories."""
    ignore_index: int = 255
    """Label value that counts nowhere."""
    homepage: str = ""
    """Official page it can be had from."""
    how_to_get: str = ""
    """One sentence: registration, archive, what to unpack where."""

    def category_indices(self) -> dict[str, tuple[int, ...]]:
        """Category -> class indices."""
        position = {name: index for index, name in enumerate(self.classes)}
        return {
            name: tuple(position[member] for member in members) for name, members in self.categories.items()
        }


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One image and its label file; neither is opened before it is evaluated."""

    id: str
    image: Path
    label: Path


class ImageFault(msgspec.Struct, frozen=True, kw_only=True):
    """An image that could not be counted, and why; every other image is kept."""

    image_id: str
    message: str


class Dataset(msgspec.Struct, frozen=True, kw_only=True):
    """A data set found on this machine."""

    spec: DatasetSpec
    root: Path
    label_files: LabelFiles
    samples: tuple[Sample, ...]

    def rules_digest(self) -> str:
        """SHA-256 (hex) of what turns label files into class indices: label form, classes, ignore index."""
        form = msgspec.to_builtins(self.label_files, str_keys=True)
        rules = [form, self.spec.classes, self.spec.ignore_index]
        return hashlib.sha256(msgspec.json.encode(rules, order="deterministic")).hexdigest()

    def contents(self) -> dict[str, str]:
        """SHA-256 (hex) of each sample's image and label bytes, by id, in the samples' order.

        Reads every file once: seconds for a validation set, against hours of inference whose counts may
        then be used again for exactly the files they were made from.
        """
        return {sample.id: _content(sample) for sample in self.samples}

    def fingerprint(self, contents: dict[str, str]) -> str:
        """SHA-256 (hex) of the whole data set as evaluated: rules, ids in order, contents.

        File dates and the root's place do not count, so two copies of one data set have the same.
        """
        return hashlib.sha256(msgspec.json.encode([self.rules_digest(), list(contents.items())])).hexdigest()


def _content(sample: Sample) -> str:
    digest = hashlib.sha256()
    for path in (sample.image, sample.label):
        data = path.read_bytes() if path.is_file() else b"missing"
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()


def locate(spec: DatasetSpec, data_root: Path | None) -> Dataset:
    """Find a data set below `data_root`, or at it, and list the samples of its split.

    A sample whose label file is missing is listed all the same: it is named when it is evaluated.

    Raises:
        DatasetError: no root given, nothing there, no labels in any accepted form, or another number of
            images than the split has.
    """
    root = _find_root(spec, data_root)
    form = _find_labels(spec, root)
    samples = tuple(
        Sample(
            id=name,
            image=root / spec.images / f"{name}{spec.image_suffix}",
            label=root / form.folder / f"{name}{form.suffix}",
        )
        for name in _ids(spec, root)
    )
    if len(samples) != spec.image_count:
        raise DatasetError(
            f"{spec.title} {spec.split}: found {len(samples)} images in {root / spec.images}, expected "
            f"{spec.image_count}: the number is defined on the full split; complete the copy"
        )
    return Dataset(spec=spec, root=root, label_files=form, samples=samples)


def _find_root(spec: DatasetSpec, data_root: Path | None) -> Path:
    if data_root is None:
        raise DatasetError(f"{spec.title}: no data root; set --data-root or ZOO_DATA_ROOT{_advice(spec)}")
    for root in (*(data_root / name for name in spec.roots), data_root):
        if (root / spec.images).is_dir():
            return root
    places = ", ".join(str(Path(name) / spec.images) for name in (*spec.roots, ""))
    raise DatasetError(
        f"{spec.title} not found under {data_root} (looked for {places}): set --data-root or ZOO_DATA_ROOT"
        f"{_advice(spec)}"
    )


def _advice(spec: DatasetSpec) -> str:
    return f"; get it from {spec.homepage}" if spec.homepage else ""


def _find_labels(spec: DatasetSpec, root: Path) -> LabelFiles:
    """The first accepted form of which at least one file exists."""
    for form in spec.labels:
        folder = root / form.folder
        if folder.is_dir() and next(folder.rglob(f"*{form.suffix}"), None) is not None:
            return form
    wanted = " or ".join(f"{form.folder}/**/*{form.suffix}" for form in spec.labels)
    raise DatasetError(f"{spec.title}: no label files in {root}, expected {wanted}{_advice(spec)}")


def _ids(spec: DatasetSpec, root: Path) -> list[str]:
    if spec.id_list:
        return _listed_ids(root / spec.id_list)
    folder = root / spec.images
    names = (path.relative_to(folder).as_posix() for path in folder.rglob(f"*{spec.image_suffix}"))
    return sorted(name.removesuffix(spec.image_suffix) for name in names)


def _listed_ids(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise DatasetError(f"{path}: cannot read the split's list: {error.strerror or error}") from error
    return [line.strip() for line in lines if line.strip()]
