"""Data sets as people have them on disk: which files form a split, and what their labels mean.

A `DatasetSpec` is data (it stands in the manifest); this module turns it into a list of samples and
a fingerprint. Pixels are read in `evaluate.pixels`.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import msgspec

from ..limits import MOST_IMAGES, class_breaches, colour_breaches, ignore_breach, value_map_breaches
from ..protocol import Side
from ..regular_files import composed, existing_form, read_text
from .file_listing import is_data

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

OWN_FOLDER = "folder:"
"""What the name of a data set begins with that is a folder of the user's own."""
_PNG_HEAD = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
_ONE_BIT_GREY = b"\x01\x00"
"""Bit depth and colour type of a PNG's header."""
ImageCount = Annotated[int, msgspec.Meta(ge=1, le=MOST_IMAGES)]
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


class InstanceLabels(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Outlines of objects in COCO's form, of which `zoo data NAME --make-labels` makes the label files."""

    annotations: str
    """JSON file below the data set's root."""
    categories: dict[int, int]
    """COCO's category -> class index; objects of others are background, 0, and several at one place count nowhere."""


class DatasetSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a data set is: classes, files of the evaluated split, and the meaning of label values."""

    name: str = ""
    """Its key in the manifest."""
    title: str
    """As tables head it: `Pascal VOC 2012 + Aug`."""
    split: str
    """Evaluated split, in the data set's own words."""
    image_count: ImageCount
    """Number of images in the full split; fewer found means an incomplete copy."""
    typical_size: tuple[Side, Side] | None = None
    """(height, width) of a typical image, where costs are stated for one; sizes vary in most data sets."""
    roots: tuple[str, ...]
    """Folder names tried below a data root, in order."""
    images: str
    """Folder of the split's images below the data set's root."""
    other_images: tuple[str, ...] = ()
    """Further names of that folder in layouts people have, tried in order where `images` is absent."""
    image_suffix: str
    """What an image file's name ends with; the sample's id is its path below `images` without it."""
    labels: tuple[LabelFiles, ...]
    """Accepted label forms; the one that labels most of the split is used, the first of equals."""
    made_of: InstanceLabels | None = None
    """What label files of the first form are made of, where the data set comes without any."""
    lookalikes: dict[str, str] = {}
    """Endings of files beside the labels that are none of these forms, and what they are."""
    stray_values: dict[int, str] = {}
    """Values that no label of the data set has -> what labels are that hold them: the largest value up to the
    smallest stray one tells."""
    label_folders: dict[str, str] = {}
    """Names of folders on an image's path below `images` -> their names on its label's: `origin: mask`."""
    withheld: tuple[str, ...] = ()
    """What ids of images begin with whose labels are not public: the cities of a test split."""
    id_prefixes: tuple[str, ...] = ()
    """What ids of the split begin with, where that tells them from those of other splits."""
    id_list: str = ""
    """File below the root that lists the split's ids in order, one a line; else all files, sorted."""
    id_list_names: Literal["images", "folders"] = "images"
    """What a line of `id_list` names: an image, or a folder below `images` all of whose images belong to the split."""
    classes: tuple[str, ...]
    """Class names; the position is the class index."""
    palette: tuple[Colour, ...] = ()
    """RGB colours in [0, 255], one a class."""
    categories: dict[str, tuple[str, ...]] = {}
    """Category -> its classes, where the data set's own evaluation also scores categories."""
    ignore_index: int = 255
    """Label value that counts nowhere."""
    has_void: bool = False
    """Whether nearly every published label has pixels that count nowhere; a sample without any is suspicious."""
    void_class: str = ""
    """The class that stands for what nobody labelled, where published labels have one; what it counts for, a protocol says."""
    unscored: str = ""
    """Why nothing can be scored on it here, such as labels that are not public; empty where it can."""
    homepage: str = ""
    """Official page it can be had from."""
    how_to_get: str = ""
    """One sentence: registration, archive, what to unpack where."""

    @property
    def is_own(self) -> bool:
        """Whether it is the user's own folder: there is no archive to take it from and no published number on it."""
        return self.name.startswith(OWN_FOLDER)

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

    def ids_sha256(self) -> str:
        """SHA-256 (hex) of the samples' ids in order, one a line."""
        return hashlib.sha256(
            "".join(f"{sample.id}\n" for sample in self.samples).encode("utf-8", "surrogateescape")
        ).hexdigest()

    def contents(self) -> dict[str, str]:
        """SHA-256 (hex) of each sample's image and label bytes, by id, in the samples' order.

        Reads every file once: seconds for a validation set, against hours of inference whose counts may
        then be used again for exactly the files they were made from.
        """
        return {sample.id: content_sha256(sample) for sample in self.samples}

    def fingerprint(self, contents: dict[str, str]) -> str:
        """SHA-256 (hex) of the whole data set as evaluated: rules, ids in order, contents.

        File dates and the root's place do not count, so two copies of one data set have the same.
        """
        return hashlib.sha256(msgspec.json.encode([self.rules_digest(), list(contents.items())])).hexdigest()


def content_sha256(sample: Sample) -> str:
    """SHA-256 (hex) of an image's and its label's bytes; a file that is not there has a mark of its own.

    So has a label of 1-bit grey, whose white was once read as 1: counts made from it then are not used again.
    """
    digest, data = hashlib.sha256(), b""
    for path in (sample.image, sample.label):
        data = path.read_bytes() if path.is_file() else b"missing"
        digest.update(len(data).to_bytes(8, "little") + data)
    if data[:16] == _PNG_HEAD and data[24:26] == _ONE_BIT_GREY:
        digest.update(b"white is 255")
    return digest.hexdigest()


class Place(NamedTuple):
    """Where a data set's files lie."""

    root: Path
    images: Path


def locate(spec: DatasetSpec, data_root: Path | None) -> Dataset:
    """Find a data set below `data_root`, or at it, and list the samples of its split.

    A sample whose label file is missing is listed all the same: it is named when it is evaluated.

    Raises:
        DatasetError: nothing is scored on it, its classes and label values contradict each other, no root given,
            nothing there, no labels in any accepted form, or another number of images than the split has.
    """
    if refusal := spec.unscored or next(_breaches(spec), ""):
        raise DatasetError(f"{spec.title} {spec.split}: {refusal}")
    place = find_place(spec, data_root)
    ids = _ids(spec, place)
    dataset = Dataset(
        spec=spec,
        root=place.root,
        label_files=_find_labels(spec, place.root, ids),
        samples=(),
    )
    dataset = msgspec.structs.replace(dataset, samples=samples(dataset, place.images, ids))
    if len(ids) != spec.image_count:
        raise DatasetError(
            f"{spec.title} {spec.split}: found {len(ids)} images in {place.images}, expected "
            f"{spec.image_count}: the number is defined on the full split; complete the copy"
        )
    return dataset


def _breaches(spec: DatasetSpec) -> Iterator[str]:
    """What a manifest's reader would have refused, for a spec that was made in Python."""
    classes = len(spec.classes)
    for breach in (*class_breaches(spec.classes), *colour_breaches(spec.palette, classes)):
        yield breach.message
    reduced = any(form.reduce_zero for form in spec.labels)
    if breach := ignore_breach(spec.ignore_index, classes, reduce_zero=reduced):
        yield breach
    for form in spec.labels:
        if form.reduce_zero and form.value_map:
            yield "reduce_zero and value_map exclude each other; give 1 and up in the map"
        yield from (found for _, found in value_map_breaches(form.value_map, classes, spec.ignore_index))


def samples(dataset: Dataset, images: Path, ids: Iterable[str]) -> tuple[Sample, ...]:
    """The image and label file of each id; none is opened."""
    spec, form = dataset.spec, dataset.label_files
    labels = dataset.root / form.folder
    return tuple(
        Sample(
            id=name,
            image=existing_form(images / f"{name}{spec.image_suffix}"),
            label=existing_form(labels / f"{_exchanged(name, spec.label_folders)}{form.suffix}"),
        )
        for name in ids
    )


def _exchanged(name: str, folders: dict[str, str]) -> str:
    """An id whose folders have the names that `folders` gives them."""
    if not folders:
        return name
    *above, last = name.split("/")
    return "/".join([*(folders.get(folder, folder) for folder in above), last])


def places(spec: DatasetSpec, data_root: Path) -> Iterator[Place]:
    """Every place below `data_root`, or at it, that holds the split's image folder; the first one is used.

    `data_root` itself has no telling name: where the split has a list file, it must be there, lest any folder
    called `images` passes for a data set.
    """
    here = [data_root] if not spec.id_list or (data_root / spec.id_list).is_file() else []
    for root in (*(data_root / name for name in spec.roots), *here):
        for folder in (spec.images, *spec.other_images):
            if _is_folder(root / folder):
                yield Place(root, root / folder)


def _is_folder(path: Path) -> bool:
    """Whether there is a folder that this user may see."""
    try:
        return path.is_dir()
    except OSError:
        return False


def find_place(spec: DatasetSpec, data_root: Path | None) -> Place:
    """Where a data set lies below `data_root`, or at it.

    Raises:
        DatasetError: no root given, or it is not there.
    """
    if data_root is None:
        raise DatasetError(f"{spec.title}: no data root; set --data-root or ZOO_DATA_ROOT{_advice(spec)}")
    found = next(places(spec, data_root), None)
    if found is not None:
        return found
    looked = ", ".join(
        str(Path(name) / folder) for name in (*spec.roots, "") for folder in (spec.images, *spec.other_images)
    )
    raise DatasetError(
        f"{spec.title} not found under {data_root} (looked for {looked}): set --data-root or ZOO_DATA_ROOT"
        f"{_advice(spec)}"
    )


def _advice(spec: DatasetSpec) -> str:
    return f"; get it from {spec.homepage}" if spec.homepage else ""


def files_below(folder: Path) -> set[str]:
    """Paths of all files below a folder, relative to it, with `/`; linked folders are followed.

    What is no data (`file_listing.is_data`) is left out, folders with all that is in them. A folder is listed once,
    under its own name before any link to it; one that is not there has no files.

    Raises:
        DatasetError: a folder must not be listed, or names in it are one but for their Unicode form.
    """
    found, seen = set(), set()
    for place, folders, names in os.walk(folder, followlinks=True, onerror=_refuse_unlisted):
        real = os.path.realpath(place)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = filter(is_data, folders)
        folders.sort(key=lambda name: (os.path.islink(os.path.join(place, name)), name))  # noqa: PTH114, PTH118
        below = Path(place).relative_to(folder).as_posix()
        start = "" if below == "." else f"{below}/"
        found.update(start + name for name in filter(is_data, names))
    _require_distinct(folder, found)
    return found


def _require_distinct(folder: Path, names: set[str]) -> None:
    """Lists and labels name a file in one Unicode form, whichever it has on the disk: two of one name are one too many."""
    first: dict[str, str] = {}
    for name in sorted(name for name in names if not name.isascii()):
        if (other := first.setdefault(composed(name), name)) != name:
            raise DatasetError(
                f"{folder}: two files are called {composed(name)!r}, in two Unicode forms ({other!a} and {name!a}); nothing tells "
                "which one is meant: keep one, or rename it"
            )


def _refuse_unlisted(error: OSError) -> None:
    if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
        raise DatasetError(f"{error.filename}: cannot list the folder: {error.strerror or error}") from error


def ids_with(suffix: str, files: Iterable[str]) -> set[str]:
    """The ids of the files whose names end in `suffix`, in the Unicode form that lists are written in."""
    return {composed(name.removesuffix(suffix)) for name in files if name.endswith(suffix)}


def label_ids(spec: DatasetSpec, form: LabelFiles, files: Iterable[str]) -> set[str]:
    """The ids that have a label file of this form; files that only look like one do not count."""
    others = tuple(spec.lookalikes)
    found = ids_with(form.suffix, (name for name in files if not (others and name.endswith(others))))
    back = {theirs: ours for ours, theirs in spec.label_folders.items()}
    return {_exchanged(name, back) for name in found} if back else found


def choose_labels(spec: DatasetSpec, root: Path, ids: Iterable[str]) -> LabelFiles | None:
    """The accepted form that labels most of `ids`, the first of equals; None where there is no label file."""
    wanted = set(ids)
    present = [(form, label_ids(spec, form, files_below(root / form.folder))) for form in spec.labels]
    best = max(present, key=lambda pair: (len(pair[1] & wanted), bool(pair[1])))
    return best[0] if best[1] else None


def _find_labels(spec: DatasetSpec, root: Path, ids: Iterable[str]) -> LabelFiles:
    form = choose_labels(spec, root, ids)
    if form is None:
        wanted = " or ".join(f"{form.folder}/**/*{form.suffix}" for form in spec.labels)
        raise DatasetError(f"{spec.title}: no label files in {root}, expected {wanted}{_advice(spec)}")
    return form


def _ids(spec: DatasetSpec, place: Place) -> list[str]:
    if spec.id_list:
        ids = listed_ids(place.root / spec.id_list)
        if len(set(ids)) < len(ids):
            raise DatasetError(f"{place.root / spec.id_list}: ids stand there more than once; see zoo data")
        if spec.id_list_names == "folders":
            return images_in(ids, ids_with(spec.image_suffix, files_below(place.images)))
        return ids
    ids = sorted(ids_with(spec.image_suffix, files_below(place.images)))
    strange = next((name for name in ids if not _is_unicode(name)), None)
    if strange is not None:
        raise DatasetError(f"{place.images}: the file name {strange!a} is not UTF-8; rename it")
    return ids


def images_in(folders: Iterable[str], ids: Iterable[str]) -> list[str]:
    """The ids of the images in each folder, in the folders' order and by name; a folder without any stands for itself."""
    within: dict[str, list[str]] = {folder.rstrip("/"): [] for folder in folders}
    for name in sorted(ids):
        parts = name.split("/")
        above = ("/".join(parts[:depth]) for depth in range(1, len(parts)))
        for folder in above:
            if folder in within:
                within[folder].append(name)
                break
    return [name for folder, names in within.items() for name in names or [folder]]


def _is_unicode(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def listed_ids(path: Path) -> list[str]:
    """The ids of a list file, in its order; a byte order mark and Windows line ends do no harm.

    Raises:
        DatasetError: the file is missing or no text.
    """
    try:
        lines = read_text(path).split("\n")
    except OSError as error:
        raise DatasetError(f"{path}: cannot read the split's list: {error.strerror or error}") from error
    return [composed(line.strip()) for line in lines if line.strip()]
