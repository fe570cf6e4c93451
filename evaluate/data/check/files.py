"""A data set's file names: is it there, is it whole, has every image its label? Opens none but the id list.

Covers every file of the split; folders are listed once, so tens of thousands of files take a second.
"""

from __future__ import annotations

import codecs
from collections import Counter
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import msgspec

from ..datasets import (
    DatasetError,
    DatasetSpec,
    LabelFiles,
    Place,
    choose_labels,
    files_below,
    ids_with,
    images_in,
    label_ids,
    listed_ids,
    places,
)
from ..file_listing import is_data
from .findings import Finding, some

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

_SEARCH_DEPTH = 3
_SEARCH_FOLDERS = 500
_REFUSED = "zoo verify refuses it: no number"


class Inventory(msgspec.Struct, frozen=True, kw_only=True):
    """The names of a data set's files, sorted out."""

    spec: DatasetSpec
    place: Place
    form: LabelFiles | None
    ids: tuple[str, ...]
    """The split's ids in order: listed, or those of all images."""
    images: frozenset[str]
    """Ids with an image file."""
    labels: frozenset[str]
    """Ids with a label file of the form that is used."""
    findings: tuple[Finding, ...]

    @property
    def pairs(self) -> list[str]:
        """Ids with both files, each once, in order."""
        return [name for name in dict.fromkeys(self.ids) if name in self.images and name in self.labels]


def take_inventory(spec: DatasetSpec, data_root: Path | None) -> Inventory | Finding:
    """List a data set's files and say what is wrong with their names; the finding alone where it is absent."""
    found = _distinct(places(spec, data_root)) if data_root else []
    if not found:
        return _not_found(spec, data_root)
    place = found[0]
    files = files_below(place.images)
    images = ids_with(spec.image_suffix, files)
    ids, list_findings = _split_ids(spec, place, images)
    form, label_files = _labels(spec, place.root, ids)
    labels = label_ids(spec, form, label_files) if form else set()
    inventory = Inventory(
        spec=spec,
        place=place,
        form=form,
        ids=tuple(ids),
        images=frozenset(images),
        labels=frozenset(labels),
        findings=(),
    )
    findings = [*_several_roots(found), *list_findings, *_name_findings(inventory, files, label_files)]
    return msgspec.structs.replace(inventory, findings=tuple(findings))


def _distinct(found: Iterable[Place]) -> list[Place]:
    """Places that are not another name of an earlier one, nor a folder around the first."""
    once = list({place.images.resolve(): place for place in reversed(list(found))}.values())[::-1]
    return [place for place in once if place.images not in once[0].images.parents]


def _several_roots(found: list[Place]) -> Iterator[Finding]:
    if len(found) > 1:
        others = ", ".join(str(place.images) for place in found[1:])
        yield Finding(
            kind="several roots",
            gravity="note",
            what=f"{found[0].images} is used; {others} would fit as well",
            effect="none, if the one that is used is the one you mean",
            remedy="point --data-root at the copy you mean, or rename the other",
        )


# --- not there ---------------------------------------------------------------------------------------


def _not_found(spec: DatasetSpec, data_root: Path | None) -> Finding:
    near = list(_near(data_root)) if data_root and data_root.is_dir() else []
    right = next((folder for folder in near if _looks_like(spec, folder)), None)
    if right:
        remedy = f"{next(places(spec, right)).images} is there: use --data-root {right}"
    else:
        how = " ".join(
            part for part in (spec.how_to_get, spec.homepage and f"Official page: {spec.homepage}") if part
        )
        remedy = f"{how}\n{_part(spec, near)}Expected below the data root:\n{expected_tree(spec)}".lstrip(
            "\n"
        )
    return Finding(
        kind="not found",
        gravity="error",
        what=_where_looked(spec, data_root),
        effect="no number can be measured on it",
        remedy=remedy,
    )


def _where_looked(spec: DatasetSpec, data_root: Path | None) -> str:
    if data_root is None:
        return "no data root is set: give --data-root or ZOO_DATA_ROOT"
    if not data_root.is_dir():
        return f"the data root {data_root} is no folder"
    folders = " or ".join((spec.images, *spec.other_images))
    roots = ", ".join(f"{name}/" for name in spec.roots)
    listed = f", where {spec.id_list} must lie as well" if spec.id_list else ""
    inside = f" (looked in {roots} and in the folder itself{listed})" if roots else ""
    return f"no {folders} in {data_root}{inside}"


def _near(data_root: Path) -> Iterator[Path]:
    """Folders a few levels up and down from a data root where nothing was found, and itself."""
    yield from list(data_root.absolute().parents)[:_SEARCH_DEPTH]
    yield data_root
    yield from _folders_below(data_root)


def _part(spec: DatasetSpec, near: list[Path]) -> str:
    """Where the images lie without labels beside them, as two archives unpacked apart leave them."""
    if "/" not in spec.images:
        return ""  # a name too common to tell anything
    found = next((folder / spec.images for folder in near if (folder / spec.images).is_dir()), None)
    return (
        f"{found} is there, but not with the labels beside it: put both together as drawn.\n" if found else ""
    )


def _looks_like(spec: DatasetSpec, folder: Path) -> bool:
    try:
        place = next(places(spec, folder), None)
        if place is None or (spec.id_list and not _lists_the_split(spec, place.root / spec.id_list)):
            return False
        labels = [(place.root / form.folder, form.suffix) for form in spec.labels]
        return _has_file(place.images, spec.image_suffix) and any(_has_file(*label) for label in labels)
    except (OSError, DatasetError):
        return False


def _lists_the_split(spec: DatasetSpec, path: Path) -> bool:
    """Whether a list is as long as the split's: VOC 2007 lies in the same folders as VOC 2012."""
    try:
        return len(set(listed_ids(path))) == spec.image_count
    except DatasetError:
        return False


def _has_file(folder: Path, suffix: str) -> bool:
    return bool(ids_with(suffix, files_below(folder)))


def _folders_below(top: Path) -> Iterator[Path]:
    """Folders down to a few levels, nearest first, at most a few thousand: a hint must not take minutes."""
    level, seen = [top], 0
    for _ in range(_SEARCH_DEPTH):
        level = [folder for parent in level for folder in _subfolders(parent)]
        for folder in level:
            seen += 1
            if seen > _SEARCH_FOLDERS:
                return
            yield folder


def _subfolders(folder: Path) -> list[Path]:
    try:
        return sorted(entry for entry in folder.iterdir() if entry.is_dir() and is_data(entry.name))
    except OSError:
        return []


def expected_tree(spec: DatasetSpec) -> str:
    """The data set's folders as a drawing."""
    top = f"{spec.roots[0]}/" if spec.roots else "./"
    here = "".join(f"{name}/" for name in spec.label_folders)
    there = "".join(f"{name}/" for name in spec.label_folders.values())
    lines = [f"{spec.images}/**/{here}*{spec.image_suffix}  ({spec.image_count} images)"]
    for number, form in enumerate(spec.labels):
        lines.append(f"{form.folder}/**/{there}*{form.suffix}  ({'or these' if number else 'labels'})")
    lists = f"{spec.id_list}  (a folder a line)" if spec.id_list_names == "folders" else spec.id_list
    lines += [lists] if spec.id_list else []
    branches = ["├── "] * (len(lines) - 1) + ["└── "]
    return "\n".join([top, *(branch + line for branch, line in zip(branches, lines, strict=True))])


# --- which ids ---------------------------------------------------------------------------------------


def _split_ids(spec: DatasetSpec, place: Place, images: set[str]) -> tuple[list[str], list[Finding]]:
    if not spec.id_list:
        return sorted(images), []
    path = place.root / spec.id_list
    try:
        listed = listed_ids(path)
    except DatasetError as error:
        return [], [_list_unreadable(path, str(error))]
    if spec.id_list_names == "folders":
        twice = _listed_twice(path, listed)
        return images_in(listed, images), [*twice, *_list_bytes(path)]
    plain = [_plain_id(name, spec, images) for name in listed]
    return plain, [*_list_form(path, listed, plain), *_list_bytes(path)]


def _list_unreadable(path: Path, message: str) -> Finding:
    return Finding(
        kind="id list",
        gravity="error",
        what=message,
        effect="which images belong to the split is unknown: no number",
        remedy=f"unpack {path.name} from the data set's archive; it is a text file of one id a line",
    )


def _plain_id(line: str, spec: DatasetSpec, images: set[str]) -> str:
    """The id that a line means: as it stands, or without further columns, folders and file endings."""
    if line in images:
        return line
    first = line.split(maxsplit=1)[0]
    endings = (spec.image_suffix, *(form.suffix for form in spec.labels))
    for ending in endings:
        first = first.removesuffix(ending)
    name = PurePosixPath(first).name
    return next((candidate for candidate in (first, name) if candidate in images), line)


def _list_form(path: Path, listed: list[str], plain: list[str]) -> Iterator[Finding]:
    odd = [line for line, name in zip(listed, plain, strict=True) if line != name]
    if odd:
        example = plain[listed.index(odd[0])]
        yield Finding(
            kind="id list",
            gravity="error",
            what=f"{path}: {len(odd)} of {len(listed)} lines hold more than an id, first {odd[0]!r}, expected {example!r}",
            effect=f"images named {odd[0]!r} do not exist; {_REFUSED}",
            remedy="keep one id a line, without folders, file endings and further columns",
        )
    yield from _listed_twice(path, plain)


def _listed_twice(path: Path, listed: Iterable[str]) -> Iterator[Finding]:
    twice = [name for name, count in Counter(listed).items() if count > 1]
    if twice:
        yield Finding(
            kind="id list",
            gravity="error",
            what=f"{path}: {len(twice)} ids stand there more than once: {some(twice)}",
            effect=f"their pixels would count twice, as in no published number; {_REFUSED}",
            remedy="leave each id once; the original list is in the data set's archive",
        )


def _list_bytes(path: Path) -> Iterator[Finding]:
    data = path.read_bytes()
    habits = [
        name
        for name, there in (
            ("a byte order mark", data.startswith(codecs.BOM_UTF8)),
            ("Windows line ends", b"\r\n" in data),
        )
        if there
    ]
    if habits:
        yield Finding(
            kind="id list",
            gravity="note",
            what=f"{path} has {' and '.join(habits)}",
            effect="none here; other tools look for images with such characters in their names",
            remedy="save it as plain UTF-8 with Unix line ends",
        )


# --- images, labels, pairs ---------------------------------------------------------------------------


def _labels(spec: DatasetSpec, root: Path, ids: Iterable[str]) -> tuple[LabelFiles | None, set[str]]:
    """The label form that is used and the files of its folder; those of the first folder where none is."""
    form = choose_labels(spec, root, ids)
    return form, files_below(root / (form or spec.labels[0]).folder)


def _name_findings(inventory: Inventory, files: set[str], label_files: set[str]) -> Iterator[Finding]:
    withheld = [name for name in inventory.ids if name.startswith(inventory.spec.withheld or ("\0",))]
    if withheld:
        yield _withheld(inventory, withheld)
        return
    cased = list(_suffix_case(inventory, files))
    yield from cased
    if cased:
        return  # the same files would be named again as missing
    if inventory.form is None:
        yield _no_labels(inventory, label_files, files)
        return
    partners = list(_partners(inventory))
    yield from _of_other_splits(inventory)
    yield from [] if partners else _several_forms(inventory)  # which says that there is nothing to do
    yield from _counts(inventory)
    yield from partners


def _withheld(inventory: Inventory, withheld: list[str]) -> Finding:
    spec = inventory.spec
    return Finding(
        kind="labels withheld",
        gravity="error",
        what=f"{len(withheld)} of {len(inventory.ids)} images in {inventory.place.images} are of a split whose labels "
        f"are not public: {some(withheld)}; expected {spec.split}",
        effect="their label files hold no class, so every pixel is ignored: no number, or one of the other images",
        remedy=f"put the {spec.split} images and labels there; only the data set's server scores the test split",
    )


def _of_other_splits(inventory: Inventory) -> Iterator[Finding]:
    """Images whose names are not of this split, where its names tell."""
    spec = inventory.spec
    other = [name for name in inventory.ids if not name.rpartition("/")[2].startswith(spec.id_prefixes)]
    if spec.id_prefixes and other:
        yield Finding(
            kind="other split",
            gravity="error",
            what=f"{len(other)} of {len(inventory.ids)} images in {inventory.place.images} are not of {spec.split}, as their "
            f"names tell: {some(other)}",
            effect="splits are mixed: the number is of other images, and a network has seen those it was trained on",
            remedy=f"keep the {spec.split} images alone in this folder, as the data set's archive has them",
        )


def _cased(suffix: str, files: Iterable[str]) -> list[str]:
    """Files whose ending differs from `suffix` by upper and lower case alone."""
    return [name for name in files if name.lower().endswith(suffix.lower()) and not name.endswith(suffix)]


def _suffix_case(inventory: Inventory, files: set[str]) -> Iterator[Finding]:
    spec, place = inventory.spec, inventory.place
    yield from _case_of(inventory, place.images, spec.image_suffix, files, inventory.images)
    forms = [inventory.form] if inventory.form else spec.labels
    folders = {(place.root / form.folder, form.suffix) for form in forms}
    for folder, suffix in sorted(folders):
        yield from _case_of(inventory, folder, suffix, files_below(folder), inventory.labels)


def _case_of(
    inventory: Inventory, folder: Path, suffix: str, files: set[str], have: Collection[str]
) -> Iterator[Finding]:
    """Files in one folder that would be the split's if their endings were written otherwise."""
    wanted = set(inventory.ids) if inventory.spec.id_list else None
    stems = {name: name[: -len(suffix)] for name in _cased(suffix, files)}
    odd = [name for name, stem in stems.items() if stem not in have and (wanted is None or stem in wanted)]
    if odd:
        yield Finding(
            kind="suffix case",
            gravity="error",
            what=f"{folder}: {len(odd)} files end in {min(odd)[-len(suffix) :]}, expected {suffix}: {some(odd)}",
            effect=f"they are not found where names are told apart by case; {_REFUSED}",
            remedy=f"rename them so that they end in {suffix}",
        )


def _no_labels(inventory: Inventory, label_files: set[str], files: set[str]) -> Finding:
    spec, root = inventory.spec, inventory.place.root
    wanted = " or ".join(f"{form.folder}/**/*{form.suffix}" for form in spec.labels)
    return Finding(
        kind="no labels",
        gravity="error",
        what=f"no label files in {root}, expected {wanted}{_instead(spec, label_files, files)}",
        effect=f"nothing to compare predictions with; {_REFUSED}",
        remedy=spec.how_to_get or "put the labels there",
    )


def _instead(spec: DatasetSpec, label_files: set[str], files: set[str]) -> str:
    """What lies in the label folder, or beside the images, instead of labels."""
    for ending, meaning in spec.lookalikes.items():
        count = sum(name.endswith(ending) for name in label_files | files)
        if count:
            return f"; its {count} files *{ending} are {meaning}"
    return f"; found {some(label_files)}" if label_files else ""


def _several_forms(inventory: Inventory) -> Iterator[Finding]:
    spec, used = inventory.spec, inventory.form
    for form in spec.labels:
        have = label_ids(spec, form, files_below(inventory.place.root / form.folder))
        if form is not used and used and have & set(inventory.ids):
            yield Finding(
                kind="several label forms",
                gravity="note",
                what=f"labels lie there as *{used.suffix} and as *{form.suffix}; {used.folder}/**/*{used.suffix} are used",
                effect="none: both forms give the same classes, as far as the sample shows",
                remedy="nothing to do",
            )


def _counts(inventory: Inventory) -> Iterator[Finding]:
    spec, ids = inventory.spec, set(inventory.ids)
    if not ids and spec.id_list and not _is_blank(inventory.place.root / spec.id_list):
        return  # the list could not be read, which is said already
    lost = {name for name in ids if name not in inventory.images and name not in inventory.labels}
    if spec.id_list and len(ids) != spec.image_count:
        yield _wrong_list(inventory, lost)
        return
    if lost:
        yield _wrong_count(inventory, len(ids) - len(lost), f"; missing are {some(lost)}")
        return
    orphans = 0 if spec.id_list else len(inventory.labels - inventory.images)
    if len(ids) != spec.image_count and len(ids) + orphans != spec.image_count:
        yield _wrong_count(inventory, len(ids), "")


def _is_blank(path: Path) -> bool:
    return path.is_file() and not path.read_bytes().strip()


def _wrong_list(inventory: Inventory, lost: set[str]) -> Finding:
    spec = inventory.spec
    unknown = f"; {len(lost)} of them have neither image nor label: {some(lost)}" if lost else ""
    listed = "names folders with" if spec.id_list_names == "folders" else "lists"
    return Finding(
        kind="id list",
        gravity="error",
        what=f"{inventory.place.root / spec.id_list} {listed} {len(set(inventory.ids))} ids, expected {spec.image_count} "
        f"({spec.split}){unknown}",
        effect=f"a number over other images is another number; {_REFUSED}",
        remedy=f"take the list of {spec.split} from the data set's archive",
    )


def _wrong_count(inventory: Inventory, found: int, which: str) -> Finding:
    spec = inventory.spec
    return Finding(
        kind="wrong count",
        gravity="error",
        what=f"found {found} images in {inventory.place.images}, expected {spec.image_count} ({spec.split}){which}",
        effect=f"the published number is defined on the full split; {_REFUSED}",
        remedy="complete the copy from the data set's archive"
        if found < spec.image_count
        else f"keep the {spec.split} images alone in this folder",
    )


def _partners(inventory: Inventory) -> Iterator[Finding]:
    spec, form = inventory.spec, inventory.form
    if form is None:
        return
    ids = set(inventory.ids)
    bare = {name for name in ids & inventory.images if name not in inventory.labels}
    within = inventory.labels & ids if spec.id_list else inventory.labels
    orphans = within - inventory.images
    labels = inventory.place.root / form.folder
    if bare:
        yield _no_partner(
            f"{len(bare)} of {len(ids)} images have no label *{form.suffix} in {labels}: {some(bare)}",
            _labelled_otherwise(inventory, form, bare) or _completed(spec),
        )
    if orphans:
        yield _no_partner(
            f"{len(orphans)} labels in {labels} have no image in {inventory.place.images}: {some(orphans)}",
            _completed(spec),
        )


def _labelled_otherwise(inventory: Inventory, used: LabelFiles, bare: set[str]) -> str:
    """What to do where labels of another form lie there for images that lack the used one; empty where none do."""
    spec, root = inventory.spec, inventory.place.root
    for form in spec.labels:
        have = label_ids(spec, form, files_below(root / form.folder)) if form is not used else set()
        if have & bare:
            lack = set(inventory.ids) - have
            return (
                f"{len(have & bare)} of them have a *{form.suffix}, but one form is read for the whole split: add the "
                f"*{used.suffix} of these {len(bare)}, or the *{form.suffix} of the {len(lack)} images that lack it "
                f"and delete the *{used.suffix}"
            )
    return ""


def _completed(spec: DatasetSpec) -> str:
    how = "add what is missing" if spec.is_own else "complete the copy from the data set's archive"
    return f"{how}; images and labels must have the same names"


def _no_partner(what: str, remedy: str) -> Finding:
    return Finding(
        kind="no partner",
        gravity="error",
        what=what,
        effect=f"the images left over are another set; {_REFUSED}",
        remedy=remedy,
    )
