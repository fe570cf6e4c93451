"""The data-set doctor: silent on right trees, and each planted fault is named, and only it."""

import shutil

import msgspec
import numpy as np
import pytest
import trees
from PIL import Image

from segbench.evaluate.dataset_check import check
from segbench.evaluate.datasets import locate
from segbench.evaluate.pixels import read_label


def kinds(report):
    return [(finding.gravity, finding.kind) for finding in report.findings]


def only(report):
    (finding,) = report.findings
    return finding


def values_of(path):
    with Image.open(path) as image:
        return np.array(image)


def change_labels(spec, root, change):
    """Write every label again as `change(stored values)`."""
    for sample in locate(spec, root).samples:
        trees.write_index(sample.label, change(values_of(sample.label)))


# --- right trees -------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", [name for name in trees.LAYOUTS if name != "cityscapes"])
def test_a_right_tree_raises_nothing(tmp_path, layout):
    spec = trees.LAYOUTS[layout](tmp_path)
    report = check(spec, tmp_path)
    assert report.findings == ()
    assert (report.usable, report.found_images, report.headers_read, report.pixels_read) == (True, 4, 4, 4)


def test_two_right_label_forms_are_a_note_that_says_which_is_used(tmp_path):
    report = check(trees.cityscapes(tmp_path), tmp_path)
    assert kinds(report) == [("note", "several label forms")]
    assert only(report).what == (
        "labels lie there as *_gtFine_labelTrainIds.png and as *_gtFine_labelIds.png; "
        "gtFine/val/**/*_gtFine_labelTrainIds.png are used"
    )
    assert report.usable


@pytest.mark.parametrize(
    ("one", "other"),
    [("cityscapes trainIds", "cityscapes labelIds"), ("cocostuff10k mat", "cocostuff10k png")],
)
def test_both_forms_of_a_data_set_read_to_the_same_classes(tmp_path, one, other):
    """And to the classes that were meant when the trees were made."""
    read = []
    for layout in (one, other):
        spec = trees.LAYOUTS[layout](tmp_path / layout)
        found = locate(spec, tmp_path / layout)
        read.append(
            [read_label(sample.label, found.label_files, spec.ignore_index) for sample in found.samples]
        )
    for number, (first, second) in enumerate(zip(*read, strict=True)):
        assert (first == second).all()
        assert (first == trees.truth(spec, number)).all()


@pytest.mark.parametrize("layout", ["ade20k", "voc", "lip"])
def test_the_other_data_sets_read_to_the_classes_meant(tmp_path, layout):
    spec = trees.LAYOUTS[layout](tmp_path)
    found = locate(spec, tmp_path)
    for number, sample in enumerate(found.samples):
        expected = trees.truth(spec, number)
        expected = trees.without_ignored(expected) if layout == "lip" else expected
        assert (read_label(sample.label, found.label_files, spec.ignore_index) == expected).all()


def test_hidden_files_and_linked_folders_do_no_harm(tmp_path):
    """A Mac leaves `._NAME` beside every file it copies; city folders are often links to another disk."""
    spec = trees.cityscapes(tmp_path, forms=("labelIds",))
    city = tmp_path / "cityscapes/leftImg8bit/val/munster"
    (city / "._munster_000001_000019_leftImg8bit.png").write_bytes(b"resource fork")
    shutil.move(city, tmp_path / "elsewhere")
    city.symlink_to(tmp_path / "elsewhere")
    assert check(spec, tmp_path).findings == ()


def test_the_fullest_label_form_is_used(tmp_path):
    """Two of four trainIds files, all labelIds files: the latter label the split."""
    spec = trees.cityscapes(tmp_path)
    shutil.rmtree(tmp_path / "kept", ignore_errors=True)
    for path in sorted((tmp_path / "cityscapes/gtFine/val/munster").glob("*_labelTrainIds.png")):
        path.unlink()
    report = check(spec, tmp_path)
    assert kinds(report) == [("note", "several label forms")]
    assert report.label_files.suffix == "_gtFine_labelIds.png"


# --- planted faults ----------------------------------------------------------------------------------


def first(spec, root):
    return locate(spec, root).samples[0]


def remove_root(spec, root):
    shutil.rmtree(next(root.iterdir()))


def one_level_down(spec, root):
    inside = list(root.iterdir())
    (root / "data/sets").mkdir(parents=True)
    for path in inside:
        path.rename(root / "data/sets" / path.name)


def copy_under_another_root(spec, root):
    shutil.copytree(root / "ADEChallengeData2016", root / "ade20k")


def remove_pair(spec, root):
    sample = first(spec, root)
    sample.image.unlink()
    sample.label.unlink()


def remove_label(spec, root):
    first(spec, root).label.unlink()


def remove_image(spec, root):
    first(spec, root).image.unlink()


def add_pair(spec, root):
    sample = first(spec, root)
    shutil.copy(sample.image, sample.image.with_name(sample.image.name.replace("ADE_val_", "ADE_train_")))
    shutil.copy(sample.label, sample.label.with_name(sample.label.name.replace("ADE_val_", "ADE_train_")))


def remove_labels(spec, root):
    for sample in locate(spec, root).samples:
        sample.label.unlink()


def resize_label(spec, root):
    label = first(spec, root).label
    trees.write_index(label, values_of(label)[:16])


def resize_everything(spec, root):
    for number, sample in enumerate(locate(spec, root).samples):
        trees.write_image(sample.image, number, size=(16, 32))
        trees.write_index(sample.label, values_of(sample.label)[::2, ::2])


def as_label_ids(spec, root):
    change_labels(spec, root, lambda classes: trees.to_label_ids(classes, spec))


def as_train_ids(spec, root):
    train_ids = msgspec.structs.replace(spec, labels=spec.labels[1:])
    found = locate(train_ids, root)
    for sample in found.samples:
        trees.write_index(sample.label, read_label(sample.label, found.label_files, spec.ignore_index))


def as_train_ids_without_ignored(spec, root):
    as_train_ids(spec, root)
    change_labels(spec, root, trees.without_ignored)


def reduce_labels(spec, root):
    """What a script that reduces on disk leaves: 0 -> 255, the rest one lower."""
    change_labels(spec, root, lambda values: values - np.uint8(1))


def reduce_labels_without_void(spec, root):
    """Reduced, and the unlabelled pixels given to class 0."""
    change_labels(spec, root, lambda values: np.where(values == 0, 0, values - np.uint8(1)))
    for sample in locate(spec, root).samples:
        values = values_of(sample.label)
        values[:20] = 0
        trees.write_index(sample.label, values)


def raise_labels(spec, root):
    """0 unlabelled and classes from 1 on, in a data set that has its first class at 0."""
    change_labels(spec, root, lambda values: values + np.uint8(1))
    label = first(spec, root).label
    values = values_of(label)
    values[values == len(spec.classes)] = 1
    trees.write_index(label, values)
    for sample in locate(spec, root).samples:
        values = values_of(sample.label)
        values[:2] = 0
        trees.write_index(sample.label, values)


def stray_values(spec, root):
    label = first(spec, root).label
    values = values_of(label)
    values[10, :8] = 77
    trees.write_index(label, values)


def too_large_ids(spec, root):
    label = first(spec, root).label
    values = values_of(label)
    values[10, :8] = 77
    trees.write_index(label, values)


def as_colours(spec, root):
    for sample in locate(spec, root).samples:
        with Image.open(sample.label) as image:
            image.convert("RGB").save(sample.label)


def as_grey(spec, root):
    for sample in locate(spec, root).samples:
        with Image.open(sample.label) as image:
            image.convert("RGB").convert("L").save(sample.label)


def ignore_everything(spec, root):
    change_labels(spec, root, lambda values: np.full_like(values, 255))


def ignore_half(spec, root):
    for sample in locate(spec, root).samples[:2]:
        trees.write_index(sample.label, np.zeros(trees.SIZE))


def lose_a_class(spec, root):
    change_labels(spec, root, lambda values: np.where(values == 3, 0, values))


def truncate_image(spec, root):
    image = first(spec, root).image
    image.write_bytes(image.read_bytes()[:-400])


def truncate_label(spec, root):
    label = first(spec, root).label
    label.write_bytes(label.read_bytes()[:-60])


def empty_image(spec, root):
    first(spec, root).image.write_bytes(b"")


def empty_label(spec, root):
    first(spec, root).label.write_bytes(b"")


def page_for_image(spec, root):
    first(spec, root).image.write_text("<!DOCTYPE html><html><body>Please log in</body></html>")


def git_lfs_pointer(spec, root):
    first(spec, root).image.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")


def turn_by_exif(spec, root):
    image = first(spec, root).image
    exif = Image.Exif()
    exif[0x0112] = 6
    trees.write_image(image, 0, exif=exif)


def mirror_by_exif(spec, root):
    image = first(spec, root).image
    exif = Image.Exif()
    exif[0x0112] = 3
    trees.write_image(image, 0, exif=exif)


def upper_case_images(spec, root):
    for sample in locate(spec, root).samples:
        sample.image.rename(sample.image.with_suffix(".JPG"))


def upper_case_labels(spec, root):
    for sample in locate(spec, root).samples:
        sample.label.rename(sample.label.with_suffix(".PNG"))


def change_list(change):
    def plant(spec, root):
        path = locate(spec, root).root / spec.id_list
        path.write_bytes(change(path.read_bytes()))

    return plant


def remove_list(spec, root):
    (locate(spec, root).root / spec.id_list).unlink()


def mmseg_conversion(spec, root):
    """What mmsegmentation's converter leaves where the original .mat files were deleted."""
    for number, sample in enumerate(locate(spec, root).samples):
        trees.write_index(
            sample.label.with_name(f"{sample.id}_labelTrainIds.png"), trees.truth(spec, number) % 171
        )
    for path in sample.label.parent.glob("*.mat"):
        path.unlink()


FAULTS = [
    ("ade20k", remove_root, "not found"),
    ("ade20k", one_level_down, "not found"),
    ("voc", one_level_down, "not found"),
    ("cocostuff10k mat", remove_root, "not found"),
    ("lip", remove_root, "not found"),
    ("ade20k", copy_under_another_root, "note: several roots"),
    ("cityscapes labelIds", remove_pair, "wrong count"),
    ("ade20k", add_pair, "wrong count"),
    ("voc", remove_pair, "wrong count"),
    ("cityscapes labelIds", remove_label, "no partner"),
    ("ade20k", remove_label, "no partner"),
    ("lip", remove_image, "no partner"),
    ("voc", remove_image, "no partner"),
    ("cocostuff10k mat", remove_label, "no partner"),
    ("lip", remove_labels, "no labels"),
    ("cityscapes trainIds", remove_labels, "no labels"),
    ("cocostuff10k mat", mmseg_conversion, "no labels"),
    ("ade20k", resize_label, "size mismatch"),
    ("cityscapes trainIds", resize_label, "size mismatch"),
    ("cityscapes trainIds", resize_everything, "warning: unusual size"),
    ("cityscapes trainIds", as_label_ids, "labelIds as trainIds"),
    ("cityscapes labelIds", as_train_ids, "trainIds as labelIds"),
    ("cityscapes labelIds", as_train_ids_without_ignored, "warning: trainIds as labelIds"),
    ("ade20k", reduce_labels, "labels reduced twice"),
    ("ade20k", reduce_labels_without_void, "warning: labels reduced twice"),
    ("cocostuff10k png", reduce_labels, "labels reduced twice"),
    ("lip", raise_labels, "labels not reduced"),
    ("ade20k", stray_values, None),
    ("lip", stray_values, "values outside map"),
    ("voc", stray_values, "values outside map"),
    ("cityscapes labelIds", too_large_ids, "values outside map"),
    ("voc", as_colours, "colour labels"),
    ("voc", as_grey, "colour labels"),
    ("ade20k", as_colours, "colour labels"),
    ("cityscapes trainIds", ignore_everything, "everything ignored"),
    ("voc", ignore_everything, "everything ignored"),
    ("ade20k", ignore_half, "warning: everything ignored"),
    ("voc", lose_a_class, "note: class never present"),
    ("ade20k", truncate_image, "unreadable"),
    ("cityscapes labelIds", truncate_image, "unreadable"),
    ("ade20k", truncate_label, "unreadable"),
    ("cocostuff10k mat", truncate_label, "unreadable"),
    ("lip", empty_image, "unreadable"),
    ("voc", empty_label, "unreadable"),
    ("cocostuff10k mat", empty_label, "unreadable"),
    ("ade20k", page_for_image, "unreadable"),
    ("ade20k", git_lfs_pointer, "unreadable"),
    ("lip", turn_by_exif, "EXIF rotation"),
    ("lip", mirror_by_exif, "note: EXIF rotation"),
    ("ade20k", upper_case_images, "suffix case"),
    ("voc", upper_case_images, "suffix case"),
    ("lip", upper_case_labels, "suffix case"),
    ("voc", remove_list, "id list"),
    ("voc", change_list(lambda data: data + data[:12]), "id list"),
    ("voc", change_list(lambda data: data.replace(b"\n", b".jpg\n")), "id list"),
    ("voc", change_list(lambda data: data.replace(b"\n", b" 1\n")), "id list"),
    ("voc", change_list(lambda data: b"/JPEGImages/" + data), "id list"),
    ("voc", change_list(lambda data: data[:-12]), "id list"),
    ("voc", change_list(lambda data: data + b"2011_000003\n"), "id list"),
    ("voc", change_list(lambda data: b"\xef\xbb\xbf" + data), "note: id list"),
    ("voc", change_list(lambda data: data.replace(b"\n", b"\r\n")), "note: id list"),
    ("voc", change_list(lambda data: b"\xff\xfe" + data), "id list"),
]
FAULTS = [fault for fault in FAULTS if fault[2]]


@pytest.mark.parametrize(
    ("layout", "plant", "named"), FAULTS, ids=[f"{layout}-{plant.__name__}" for layout, plant, _ in FAULTS]
)
def test_a_planted_fault_is_named_and_only_it(tmp_path, layout, plant, named):
    spec = trees.LAYOUTS[layout](tmp_path)
    assert check(spec, tmp_path).usable
    plant(spec, tmp_path)
    report = check(spec, tmp_path)
    gravity, kind = named.split(": ") if ": " in named else ("error", named)
    assert kinds(report) == [(gravity, kind)]
    assert report.usable is (gravity != "error")
