"""The data-set doctor: silent on right trees, and each planted fault is named, and only it."""

import os
import re
import shutil

import cv2
import msgspec
import numpy as np
import pytest
import trees
from PIL import Image

from segbench.evaluate import LabelFiles
from segbench.evaluate.data.check.checker import check, spread
from segbench.evaluate.data.check.contents import decoder_complaints
from segbench.evaluate.data.check.tally import Tally
from segbench.evaluate.data.check.values import faultless_miou
from segbench.evaluate.data.datasets import DatasetError, locate
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


@pytest.mark.parametrize("layout", trees.PREPARED)
def test_prepared_data_sets_read_to_the_classes_meant(tmp_path, layout):
    """What was unlabelled counts nowhere, or is background where the data set has nothing unlabelled."""
    spec = trees.LAYOUTS[layout](tmp_path)
    found = locate(spec, tmp_path)
    tree = trees.PREPARED[layout]
    assert [sample.id.rpartition("night/GOPR0356/")[2] for sample in found.samples] == list(tree.ids)
    for number, sample in enumerate(found.samples):
        expected = trees.truth(spec, number)
        if tree.stored is trees.without_void:
            expected = trees.without_void(expected, spec)
        assert (read_label(sample.label, found.label_files, spec.ignore_index) == expected).all()


def test_hidden_files_and_linked_folders_do_no_harm(tmp_path):
    """A Mac leaves `._NAME` beside every file it copies; city folders are often links to another disk."""
    spec = trees.cityscapes(tmp_path, forms=("labelIds",))
    city = tmp_path / "cityscapes/leftImg8bit/val/munster"
    (city / "._munster_000001_000019_leftImg8bit.png").write_bytes(b"resource fork")
    shutil.move(city, tmp_path / "elsewhere")
    city.symlink_to(tmp_path / "elsewhere")
    assert check(spec, tmp_path).findings == ()


def test_a_folder_that_links_back_to_itself_is_listed_once(tmp_path):
    spec = trees.lip(tmp_path)
    (tmp_path / "LIP/val_images/again").symlink_to(tmp_path / "LIP/val_images")
    assert check(spec, tmp_path).findings == ()


def test_forms_that_give_other_classes_are_told(tmp_path):
    """The form that is used may be somebody's faulty conversion of the other."""
    spec = trees.cityscapes(tmp_path)
    label = first(spec, tmp_path).label
    trees.write_index(label, values_of(label)[::-1])
    report = check(spec, tmp_path)
    assert kinds(report) == [("note", "several label forms"), ("error", "label forms differ")]
    assert report.findings[1].what == (
        "*_gtFine_labelTrainIds.png, which is used, and *_gtFine_labelIds.png give other classes in 1 of 4 sampled "
        "images: frankfurt/frankfurt_000000_000019"
    )


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
    trees.write_image(
        sample.image.with_name(sample.image.name.replace("ADE_val_", "ADE_train_")), trees.COUNT
    )
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


def one_as_label_ids(spec, root):
    label = first(spec, root).label
    trees.write_index(label, trees.to_label_ids(values_of(label), spec))


def of_the_test_split(spec, root):
    """The test split's images and its label files, in which nothing is labelled, in the place of val's."""
    form = locate(spec, root).label_files
    shutil.rmtree(root / "cityscapes")
    trees.cityscapes(
        root, forms=(form.suffix.removeprefix("_gtFine_").removesuffix(".png"),), cities=("berlin", "bonn")
    )
    change_labels(spec, root, lambda values: np.full_like(values, 3 if form.value_map else 255))


def dead_link(spec, root):
    image = first(spec, root).image
    image.unlink()
    image.symlink_to(root / "nowhere.jpg")


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


def change_images(change, count=trees.COUNT):
    """A fault that writes the first images again as PNG of `change(pixels)`, under their own names."""

    def plant(spec, root):
        for sample in locate(spec, root).samples[:count]:
            with Image.open(sample.image) as image:
                pixels = change(np.array(image))
            sample.image.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())

    plant.__name__ = change.__name__
    return plant


def of_12_bits(pixels):
    """A 12-bit sensor's values in 16 bits, of which cv2 keeps the upper byte."""
    return pixels.astype(np.uint16) * 16


def from_0_to_1(pixels):
    return pixels // 128


def nearly_white(pixels):
    return 224 + pixels // 9


def one_colour(pixels):
    return np.full_like(pixels, 90)


def in_grey(pixels):
    return pixels[:, :, 0]


def with_unknown_colours_reordered(spec, root):
    """Colours of nobody's palette; in the last file an optimiser dealt out two indices anew, pixels and colours alike."""
    colours = [(7 * number + 3, 11, 250 - number) for number in range(len(spec.classes))]
    *others, last = [sample.label for sample in locate(spec, root).samples]
    for label in others:
        trees.write_palette(label, values_of(label), colours)
    swapped = np.array([1, 0, *range(2, len(colours))])
    trees.write_palette(last, swapped[values_of(last)], [colours[1], colours[0], *colours[2:]])


def of_16_bits(value):
    """One pixel of the first label far beyond 8 bits."""

    def plant(spec, root):
        label = first(spec, root).label
        values = values_of(label).astype(np.uint16)
        values[10, 10] = value
        Image.fromarray(values).save(label)

    plant.__name__ = f"of_16_bits_{value}"
    return plant


def with_red_alone(pixels):
    """In OpenCV's order of channels."""
    return pixels * np.array([0, 0, 1], np.uint8)


def same_labels(spec, root):
    first_label, *others = [sample.label for sample in locate(spec, root).samples]
    for label in others:
        shutil.copy(first_label, label)


def as_jpeg_inside(spec, root):
    label = first(spec, root).label
    with Image.open(label) as image:
        image.save(label, format="JPEG", quality=100)


def with_one_bit(spec, root):
    label = first(spec, root).label
    values = values_of(label)
    Image.fromarray(np.where(values == 3, 0, 255).astype(np.uint8)).convert("1").save(label)


def as_grey(spec, root):
    for sample in locate(spec, root).samples:
        with Image.open(sample.label) as image:
            image.convert("RGB").convert("L").save(sample.label)


def as_palette_again(spec, root):
    """To RGB and back: each file's values are dealt out anew, the colours stay."""
    for sample in locate(spec, root).samples:
        with Image.open(sample.label) as image:
            image.convert("RGB").quantize().save(sample.label)


def with_a_palette_from_one_on(spec, root):
    """Right indices, in colours that begin one later."""
    for sample in locate(spec, root).samples:
        trees.write_palette(sample.label, values_of(sample.label), [*spec.palette[1:], (1, 2, 3)])


def with_foreign_colours(spec, root):
    for sample in locate(spec, root).samples:
        trees.write_palette(
            sample.label, values_of(sample.label), [(n, 255 - n, 7) for n in range(len(spec.classes))]
        )


def void_as_background(spec, root):
    """Grey PNGs without the borders, as some converters write them."""
    change_labels(spec, root, lambda values: np.where(values == 255, 0, values))


def void_as_road(spec, root):
    change_labels(spec, root, lambda values: np.where(values == 1, 7, values))


def void_as_one_class_more(spec, root):
    change_labels(spec, root, lambda values: np.where(values == 255, len(spec.classes), values))


def classes_from_one_on_as_label_ids(spec, root):
    """0 for void and 1 to 19, in files named as raw ids."""
    as_train_ids(spec, root)
    change_labels(spec, root, lambda values: np.where(values == 255, 0, values + 1))


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


def overwrite_the_middle(spec, root):
    """A byte of the compressed pixels; the end is as it should be."""
    image = first(spec, root).image
    data = bytearray(image.read_bytes())
    data[len(data) // 2] ^= 0x55
    image.write_bytes(data)


def same_image_twice(spec, root):
    one, other = locate(spec, root).samples[:2]
    other.image.write_bytes(one.image.read_bytes())


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


def with_training_images(spec, root):
    """All three splits in one folder, as a copy for training and testing on everything has them."""
    found = locate(spec, root)
    for number, stem in enumerate(("0016E5_00390", "0006R0_f00930"), 7):
        trees.write_image(found.samples[0].image.with_name(f"{stem}.png"), number)
        trees.write_index(
            found.samples[0].label.with_name(f"{stem}.png"), trees.with_void(trees.truth(spec, number))
        )


def a_training_image_for_one_of_the_split(spec, root):
    """As many images as there should be, and one of them is not of the split."""
    sample = locate(spec, root).samples[0]
    for path in (sample.image, sample.label):
        path.rename(path.with_name("0001TP_006690.png"))


def void_as_255(spec, root):
    """What mmsegmentation and others are given, where void is to be ignored."""
    for number, sample in enumerate(locate(spec, root).samples):
        classes = trees.truth(spec, number)
        trees.write_index(sample.label, np.where(classes == 11, 255, classes))


def original_classes(spec, root):
    """The 32 original classes as indices under the names of SegNet's files."""
    for number, sample in enumerate(locate(spec, root).samples):
        trees.write_index(sample.label, np.arange(32 * 64).reshape(32, 64) // 7 % 32 + 0 * number)


def original_colours(spec, root):
    """`NAME_L.png` in 32 colours, as the authors of CamVid publish the annotations."""
    for number, sample in enumerate(locate(spec, root).samples):
        trees.write_image(sample.label.with_name(f"{sample.id}_L.png"), number)
        sample.label.unlink()


def mmseg_conversion(spec, root):
    """What mmsegmentation's converter leaves where the original .mat files were deleted."""
    for number, sample in enumerate(locate(spec, root).samples):
        trees.write_index(
            sample.label.with_name(f"{sample.id}_labelTrainIds.png"), trees.truth(spec, number) % 171
        )
    for path in sample.label.parent.glob("*.mat"):
        path.unlink()


def full_ade20k(spec, root):
    """The full ADE20K: pictures by scene, and labels in colours beside them."""
    found = locate(spec, root)
    for number, sample in enumerate(found.samples):
        place = sample.image.parent / "a/abbey"
        place.mkdir(parents=True, exist_ok=True)
        sample.image.rename(place / sample.image.name)
        trees.write_image(place / f"{sample.id}_seg.png", number)
    shutil.rmtree(found.root / "annotations")


def in_colours(spec, root):
    """Labels as the authors publish them, in the colours of their classes."""
    colours = np.array([*spec.palette, (0, 0, 0)], np.uint8)
    for number, sample in enumerate(locate(spec, root).samples):
        classes = np.minimum(trees.truth(spec, number), len(spec.classes))
        Image.fromarray(colours[classes]).save(sample.label)


def whole_tiles(spec, root):
    """The pictures before they are cut into pieces, under names that begin like the pieces'."""
    found = locate(spec, root)
    for sample in found.samples[2:]:
        sample.image.unlink()
        sample.label.unlink()
    for number, sample in enumerate(found.samples[:2]):
        trees.write_image(sample.image, number, size=(256, 512))
        trees.write_index(sample.label, np.tile(values_of(sample.label), (8, 8)))


def of_another_split(to):
    """A pair of the training split in the place of one of this one."""

    def plant(spec, root):
        form = locate(spec, root).label_files
        sample = first(spec, root)
        sample.image.rename(sample.image.with_name(to + spec.image_suffix))
        sample.label.rename(sample.label.with_name(to + form.suffix))

    plant.__name__ = f"of_another_split_{to}"
    return plant


def as_downloaded(spec, root):
    """Masks of 0 and 255, which both publishers' preparation divides by 128."""
    change_labels(spec, root, lambda values: values * np.uint8(255))


def of_the_second_observer(ending):
    def plant(spec, root):
        found = locate(spec, root)
        for sample in found.samples:
            sample.label.rename(sample.label.with_name(f"{sample.id}{ending}"))

    plant.__name__ = f"of_the_second_observer_{ending}"
    return plant


def with_values_up_to(most):
    """Labels of another list of classes, or numbers of objects."""

    def plant(spec, root):
        area = np.arange(trees.SIZE[0] * trees.SIZE[1]).reshape(trees.SIZE)
        for number, sample in enumerate(locate(spec, root).samples):
            trees.write_index(sample.label, (area // 3 + number) % (most + 1))

    plant.__name__ = f"with_values_up_to_{most}"
    return plant


def of_full_size(spec, root):
    """The release from which a smaller one was made."""
    for number, sample in enumerate(locate(spec, root).samples):
        trees.write_image(sample.image, number, size=(64, 128))
        trees.write_index(sample.label, values_of(sample.label).repeat(2, 0).repeat(2, 1))


def as_stuff_pixelmaps(spec, root):
    """COCO's maps of stuff alone, from 92 on, in which things are one value more."""
    area = np.arange(trees.SIZE[0] * trees.SIZE[1]).reshape(trees.SIZE)
    for number, sample in enumerate(locate(spec, root).samples):
        trees.write_index(sample.label, 92 + (area // 3 + number) % 92)


def raw_under_converted_names(spec, root):
    """COCO's ids in files named as the 171 classes'."""
    stored = trees.as_raw_coco(0)
    for number, sample in enumerate(locate(spec, root).samples):
        trees.write_index(sample.label, stored(trees.truth(spec, number), spec))


def of_the_59_classes_alone(spec, root):
    """Background 255, classes from 0 on, as some converters write them."""
    change_labels(spec, root, lambda values: values - np.uint8(1))


def without_a_video(spec, root):
    shutil.rmtree(locate(spec, root).root / "data/1002_QXQ_QoswLOs")


def with_a_video_twice(spec, root):
    path = locate(spec, root).root / "val.txt"
    path.write_text(path.read_text() + "1001_5z_ijQjUf_0\n")


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
    ("cityscapes trainIds", one_as_label_ids, "labelIds as trainIds"),
    ("cityscapes trainIds", of_the_test_split, "labels withheld"),
    ("cityscapes labelIds", of_the_test_split, "labels withheld"),
    ("ade20k", dead_link, "unreadable"),
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
    ("voc", change_images(of_12_bits), "dark images"),
    ("ade20k", change_images(of_12_bits, 1), "warning: dark images"),
    ("lip", change_images(from_0_to_1), "dark images"),
    ("lip", change_images(nearly_white), "bright images"),
    ("cityscapes labelIds", change_images(one_colour), "flat images"),
    ("voc", change_images(one_colour, 2), "warning: flat images"),
    ("ade20k", change_images(in_grey), "warning: grey images"),
    ("ade20k", same_labels, "identical labels"),
    ("lip", of_16_bits(256), "unreadable"),
    ("ade20k", of_16_bits(256), "unreadable"),
    ("cityscapes labelIds", of_16_bits(300), "unreadable"),
    ("voc", change_images(with_red_alone), "empty channels"),
    ("lip", change_images(with_red_alone, 1), "warning: empty channels"),
    ("lip", as_jpeg_inside, "unfit labels"),
    ("lip", with_one_bit, "warning: 1-bit labels"),
    ("voc", as_palette_again, "palette disagrees"),
    ("lip", with_a_palette_from_one_on, "warning: palette disagrees"),
    ("lip", with_unknown_colours_reordered, "palette disagrees"),
    ("voc", void_as_background, "warning: nothing ignored"),
    ("cityscapes trainIds", void_as_background, "warning: nothing ignored"),
    ("cityscapes labelIds", void_as_road, "warning: nothing ignored"),
    ("cityscapes trainIds", void_as_one_class_more, "values outside map"),
    ("cityscapes trainIds", raise_labels, "labels not reduced"),
    ("cityscapes labelIds", classes_from_one_on_as_label_ids, "warning: trainIds as labelIds"),
    ("cityscapes trainIds", ignore_everything, "everything ignored"),
    ("voc", ignore_everything, "everything ignored"),
    ("ade20k", ignore_half, "warning: everything ignored"),
    ("voc", lose_a_class, "note: class never present"),
    ("ade20k", truncate_image, "unreadable"),
    ("cityscapes labelIds", truncate_image, "unreadable"),
    ("ade20k", truncate_label, "unreadable"),
    ("cocostuff10k mat", truncate_label, "unreadable"),
    ("ade20k", overwrite_the_middle, "warning: damaged image"),
    ("voc", same_image_twice, "warning: identical images"),
    ("lip", empty_image, "unreadable"),
    ("voc", empty_label, "unreadable"),
    ("cocostuff10k mat", empty_label, "unreadable"),
    ("ade20k", page_for_image, "unreadable"),
    ("ade20k", git_lfs_pointer, "unreadable"),
    ("lip", turn_by_exif, "EXIF rotation"),
    ("cityscapes labelIds", turn_by_exif, "EXIF rotation"),
    ("lip", mirror_by_exif, "note: EXIF rotation"),
    ("ade20k", upper_case_images, "suffix case"),
    ("voc", upper_case_images, "suffix case"),
    ("lip", upper_case_labels, "suffix case"),
    ("camvid", remove_root, "not found"),
    ("camvid", a_training_image_for_one_of_the_split, "other split"),
    ("camvid", void_as_255, "void as ignored"),
    ("camvid", original_classes, "values outside map"),
    ("camvid", original_colours, "no labels"),
    ("camvid by parts", resize_everything, "warning: unusual size"),
    ("camvid", as_colours, "colour labels"),
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
FAULTS += [
    ("ade20k", full_ade20k, "no labels"),
    ("pascal_context", remove_root, "not found"),
    ("pascal_context", with_values_up_to(200), "values outside map"),
    ("pascal_context_59", with_values_up_to(200), "values outside map"),
    ("pascal_context", of_the_59_classes_alone, "values outside map"),
    ("pascal_context_59", of_the_59_classes_alone, "labels reduced twice"),
    ("pascal_context_59", as_colours, "colour labels"),
    ("cocostuff10k_171", reduce_labels, "labels reduced twice"),
    ("cocostuff10k_171", with_values_up_to(182), "values outside map"),
    ("cocostuff10k_171 as downloaded", remove_labels, "no labels"),
    ("cocostuff164k", raw_under_converted_names, "labelIds as trainIds"),
    ("cocostuff164k as downloaded", as_stuff_pixelmaps, "values outside map"),
    ("cihp", with_values_up_to(30), "values outside map"),
    ("cihp", remove_label, "no partner"),
    ("atr", change_list(lambda data: data.replace(b"\n", b".jpg\n")), "id list"),
    ("atr", same_labels, "identical labels"),
    ("vspw", without_a_video, "id list"),
    ("vspw", with_a_video_twice, "id list"),
    ("vspw", remove_label, "no partner"),
    ("vspw", of_full_size, "warning: unusual size"),
    ("vspw", with_values_up_to(130), "values outside map"),
    ("loveda", in_colours, "colour labels"),
    ("loveda", reduce_labels, "labels reduced twice"),
    ("potsdam", in_colours, "colour labels"),
    ("potsdam", of_another_split("2_10_0_0_512_512"), "other split"),
    ("vaihingen", in_colours, "colour labels"),
    ("vaihingen", of_another_split("area30_0_0_512_512"), "other split"),
    ("vaihingen", reduce_labels, "labels reduced twice"),
    ("isaid", in_colours, "colour labels"),
    ("isaid", of_the_second_observer("_instance_id_RGB.png"), "no labels"),
    ("drive", as_downloaded, "values outside map"),
    ("drive", of_the_second_observer("_manual2.png"), "no labels"),
    ("drive", of_another_split("21"), "other split"),
    ("stare", as_downloaded, "values outside map"),
    ("stare", of_the_second_observer(".vk.png"), "no labels"),
    ("stare", of_another_split("im0139"), "other split"),
    ("chase_db1", as_downloaded, "values outside map"),
    ("chase_db1", of_the_second_observer("_2ndHO.png"), "no labels"),
    ("chase_db1", of_another_split("Image_10R"), "other split"),
    ("hrf", as_downloaded, "values outside map"),
    ("hrf", of_another_split("05_h"), "other split"),
    ("mapillary_vistas", with_values_up_to(123), "values outside map"),
    ("dark_zurich", as_label_ids, "labelIds as trainIds"),
    ("dark_zurich labelIds", as_train_ids, "trainIds as labelIds"),
    ("night_driving", as_label_ids, "labelIds as trainIds"),
    ("night_driving", void_as_background, "warning: nothing ignored"),
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


HINTS = {
    ("drive", as_downloaded): "these are vessels of the masks as downloaded, 0 and 255",
    ("stare", of_the_second_observer(".vk.png")): "its 4 files *.vk.png are the second observer's",
    ("mapillary_vistas", with_values_up_to(123)): "these are of version 2.0, which has 124 classes",
    ("cocostuff164k as downloaded", as_stuff_pixelmaps): "these are of stuff_pixelmaps",
    ("cihp", with_values_up_to(30)): "Instance_ids or Human_ids number persons",
    ("pascal_context", with_values_up_to(200)): "these are of the full list of 459 classes",
    ("pascal_context", of_the_59_classes_alone): "these are of the 59 classes alone",
    ("ade20k", full_ade20k): "its 4 files *_seg.png are the full ADE20K's",
    (
        "vspw",
        without_a_video,
    ): "names folders with 3 ids, expected 4 (val); 1 of them have neither image nor label: 1002_QXQ",
    (
        "isaid",
        of_the_second_observer("_instance_id_RGB.png"),
    ): "are instance masks, a colour an object, not classes",
}


@pytest.mark.parametrize(
    ("layout", "plant"), HINTS, ids=[f"{layout}-{plant.__name__}" for layout, plant in HINTS]
)
def test_known_mistakes_are_called_by_name(tmp_path, layout, plant):
    """A description of a data set says what it is mistaken for; the check quotes it."""
    spec = trees.LAYOUTS[layout](tmp_path)
    plant(spec, tmp_path)
    assert HINTS[layout, plant] in only(check(spec, tmp_path)).what


def test_tiles_that_were_not_cut_are_too_few_and_too_large(tmp_path):
    spec = trees.LAYOUTS["potsdam"](tmp_path)
    whole_tiles(spec, tmp_path)
    assert kinds(check(spec, tmp_path)) == [("error", "wrong count"), ("warning", "unusual size")]


def test_the_expected_tree_shows_labels_beside_their_images(tmp_path):
    assert only(check(trees.small("vspw"), tmp_path)).remedy.splitlines()[-4:] == [
        "VSPW_480p/",
        "├── data/**/origin/*.jpg  (4 images)",
        "├── data/**/mask/*.png  (labels)",
        "└── val.txt  (a folder a line)",
    ]


@pytest.mark.parametrize("name", ["cityscapes_test", "nyu"])
def test_what_is_never_scored_says_why(tmp_path, name):
    spec = trees.small(name)
    report = check(spec, tmp_path)
    assert (only(report).kind, report.usable) == ("not scored", False)
    assert only(report).what == f"{spec.title} {spec.split}: {spec.unscored}"
    with pytest.raises(DatasetError, match=re.escape(spec.unscored)):
        locate(spec, tmp_path)


def test_splits_in_one_folder_are_told_by_number_and_by_name(tmp_path):
    spec = trees.camvid(tmp_path)
    with_training_images(spec, tmp_path)
    assert kinds(check(spec, tmp_path)) == [("error", "other split"), ("error", "wrong count")]


@pytest.mark.parametrize(
    ("start", "hint"),
    [("cityscapes/leftImg8bit", "cityscapes"), ("cityscapes/leftImg8bit/val", "cityscapes"), ("..", "")],
)
def test_a_data_root_too_deep_or_too_high_gets_a_hint(tmp_path, start, hint):
    """Pointed at a folder inside the data set, or above the data root."""
    spec = trees.cityscapes(tmp_path / "sets", forms=("labelIds",))
    root = tmp_path / "sets" / hint
    finding = only(check(spec, (tmp_path / "sets" / start).resolve()))
    images = tmp_path / "sets/cityscapes/leftImg8bit/val"
    assert finding.remedy == f"{images} is there: use --data-root {root}"


def test_another_years_data_set_is_no_hint(tmp_path):
    """VOC 2007 has the same folders and another list."""
    spec = trees.voc(tmp_path, folder="VOCdevkit/VOC2007")
    years_later = msgspec.structs.replace(spec, image_count=spec.image_count + 1)
    hint = f"{tmp_path}/VOCdevkit/VOC2007/JPEGImages is there: use --data-root {tmp_path}/VOCdevkit/VOC2007"
    assert only(check(spec, tmp_path)).remedy == hint
    assert "VOC2007" not in only(check(years_later, tmp_path)).remedy


def test_archives_unpacked_apart_are_to_be_put_together(tmp_path):
    """Many file managers unpack each archive into a folder of its own."""
    trees.cityscapes(tmp_path, forms=("labelIds",))
    for folder, archive in (("leftImg8bit", "leftImg8bit_trainvaltest"), ("gtFine", "gtFine_trainvaltest")):
        (tmp_path / archive).mkdir()
        (tmp_path / "cityscapes" / folder).rename(tmp_path / archive / folder)
    remedy = only(check(trees.small("cityscapes"), tmp_path)).remedy.splitlines()
    images = tmp_path / "leftImg8bit_trainvaltest/leftImg8bit/val"
    assert remedy[1:3] == [
        f"{images} is there, but not with the labels beside it: put both together as drawn.",
        "Expected below the data root:",
    ]


def test_a_missing_data_root_is_told(tmp_path):
    finding = only(check(trees.small("lip"), tmp_path / "nowhere"))
    assert (finding.kind, finding.what) == ("not found", f"the data root {tmp_path / 'nowhere'} is no folder")
    assert (
        only(check(trees.small("lip"), None)).what == "no data root is set: give --data-root or ZOO_DATA_ROOT"
    )


def test_a_foreign_folder_called_images_is_no_coco_stuff(tmp_path):
    trees.write_image(tmp_path / "images/holiday.jpg", 0)
    finding = only(check(trees.small("cocostuff10k"), tmp_path))
    assert finding.kind == "not found"
    assert finding.what.startswith(f"no images in {tmp_path} (looked in cocostuff10k/, COCOStuff10k/, ")
    assert finding.what.endswith(" and in the folder itself, where imageLists/test.txt must lie as well)")


# --- what is said ------------------------------------------------------------------------------------


def findings_after(tmp_path, layout, plant):
    spec = trees.LAYOUTS[layout](tmp_path)
    plant(spec, tmp_path)
    return only(check(spec, tmp_path))


def test_not_found_draws_the_expected_tree(tmp_path):
    finding = only(check(trees.small("cityscapes"), tmp_path))
    assert msgspec.to_builtins(finding) == {
        "kind": "not found",
        "gravity": "error",
        "what": f"no leftImg8bit/val in {tmp_path} (looked in cityscapes/, Cityscapes/, CityScapes/ and in the folder itself)",
        "effect": "no number can be measured on it",
        "remedy": "Register, then download leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip and unpack both into one "
        "folder called cityscapes. Official page: https://www.cityscapes-dataset.com\n"
        "Expected below the data root:\n"
        "cityscapes/\n"
        "├── leftImg8bit/val/**/*_leftImg8bit.png  (4 images)\n"
        "├── gtFine/val/**/*_gtFine_labelTrainIds.png  (labels)\n"
        "└── gtFine/val/**/*_gtFine_labelIds.png  (or these)",
    }


def test_label_ids_for_train_ids_in_full(tmp_path):
    finding = findings_after(tmp_path, "cityscapes trainIds", one_as_label_ids)
    assert msgspec.to_builtins(finding) == {
        "kind": "labelIds as trainIds",
        "gravity": "error",
        "what": "1 of 4 sampled *_gtFine_labelTrainIds.png hold raw ids as in *_gtFine_labelIds.png: values 19, 20, 21, 22, 23, "
        "24, 25, 26 ..., expected 0 to 18 and 255; frankfurt/frankfurt_000000_000019",
        "effect": "road is read as traffic sign; a model right in every pixel would score 70.2% mIoU on the sample",
        "remedy": "delete the *_gtFine_labelTrainIds.png where *_gtFine_labelIds.png lie beside them, else rename them to "
        "that: raw ids are converted while reading; or make them again by the data set's own preparation",
    }


def test_a_scrambled_palette_in_full(tmp_path):
    """Every file says by itself which colour stands for which value."""
    spec = trees.voc(tmp_path)
    for sample in locate(spec, tmp_path).samples[:1]:
        values = values_of(sample.label)
        colours = [spec.palette[2], *spec.palette[1:2], spec.palette[0], *spec.palette[3:]]
        trees.write_palette(sample.label, values, colours)
    expected_pixels = int(np.isin(values, (0, 2)).sum())
    finding = only(check(spec, tmp_path))
    assert msgspec.to_builtins(finding) == {
        "kind": "palette disagrees",
        "gravity": "error",
        "what": "1 of 4 sampled palette labels draw classes in other classes' colours: in 2007_000000 0 is background and has "
        "the colour of bicycle; 2007_000000",
        "effect": f"{100 * expected_pixels / (4 * 32 * 64):.2f}% of the pixels count as another class than the one they show",
        "remedy": "use the palette PNGs as they were made; whatever opens them as RGB and saves a palette again deals out the "
        "indices anew",
    }


@pytest.fixture
def eight(tmp_path, monkeypatch):
    """A function that examines a VOC tree of eight images, the mask of each holding `values(number)`."""

    def examined(values):
        monkeypatch.setattr(trees, "COUNT", 8)
        spec = msgspec.structs.replace(trees.voc(tmp_path), image_count=8)
        for number, sample in enumerate(locate(spec, tmp_path).samples):
            mask = np.resize(values(number), trees.SIZE)
            mask[:2] = 255
            trees.write_index(sample.label, mask)
        return check(spec, tmp_path)

    return examined


@pytest.mark.parametrize(
    ("values", "named"),
    [
        (lambda _: [0], ("error", "few classes")),
        (lambda number: [0, number % 2], ("warning", "few classes")),
        (lambda number: range(1 + number % 4), ("warning", "instance masks")),
    ],
    ids=["empty", "binary", "instances"],
)
def test_masks_of_something_else_are_named(eight, values, named):
    assert kinds(eight(values))[0] == named


def test_masks_of_classes_are_not_taken_for_numbers(eight):
    """One file with a gap is enough: 0 and 15 is a person."""
    found = eight(lambda number: [0, 15] if number == 3 else range(1 + number % 4))
    assert kinds(found) == [("note", "class never present")]


def test_colours_of_nobodys_palette_are_no_fault(tmp_path):
    spec = trees.voc(tmp_path)
    with_foreign_colours(spec, tmp_path)
    assert check(spec, tmp_path).findings == ()


def test_what_is_not_libjpegs_still_reaches_stderr(capfd):
    with decoder_complaints() as said:
        os.write(2, b"Corrupt JPEG data: 3 extraneous bytes before marker 0xd9\nsomething else\n")
    assert said == ["Corrupt JPEG data: 3 extraneous bytes before marker 0xd9"]
    assert capfd.readouterr().err == "something else\n"


def test_labels_reduced_twice_in_full(tmp_path):
    finding = findings_after(tmp_path, "ade20k", reduce_labels)
    assert msgspec.to_builtins(finding) == {
        "kind": "labels reduced twice",
        "gravity": "error",
        "what": "the labels are reduced already (0 is wall, not unlabelled), and reading them reduces again: in 4 sampled labels "
        "value 255 occurs, which the original labels never have, and 150 does not occur",
        "effect": "wall is read as unlabelled; a model right in every pixel would score 0.0% mIoU on the sample",
        "remedy": "use the label files of the archive as they are (0 unlabelled, 1 to 150 classes)",
    }


def test_stray_values_in_full(tmp_path):
    """8 of 4 x 2048 pixels: 0.10%."""
    finding = findings_after(tmp_path, "voc", stray_values)
    assert msgspec.to_builtins(finding) == {
        "kind": "values outside map",
        "gravity": "error",
        "what": "1 of 4 sampled labels hold values 77 (0.10% of pixels), expected 0 to 20 and 255 (ignored); 2007_000000",
        "effect": "the metric drops 0.10% of the pixels from the label areas while predictions there still enlarge the unions: "
        "every class predicted there loses IoU",
        "remedy": "use the label files of the data set's archive; labels of another release or another class list do not fit",
    }


def test_withheld_labels_in_full(tmp_path):
    finding = findings_after(tmp_path, "cityscapes labelIds", of_the_test_split)
    images = tmp_path / "cityscapes/leftImg8bit/val"
    assert msgspec.to_builtins(finding) == {
        "kind": "labels withheld",
        "gravity": "error",
        "what": f"4 of 4 images in {images} are of a split whose labels are not public: berlin/berlin_000000_000019, "
        "berlin/berlin_000001_000019, bonn/bonn_000002_000019 and 1 more; expected val",
        "effect": "their label files hold no class, so every pixel is ignored: no number, or one of the other images",
        "remedy": "put the val images and labels there; only the data set's server scores the test split",
    }


def test_the_conversion_of_mmsegmentation_is_named_as_such(tmp_path):
    finding = findings_after(tmp_path, "cocostuff10k mat", mmseg_conversion)
    assert finding.what == (
        f"no label files in {tmp_path / 'cocostuff10k'}, expected annotations/**/*.mat or annotations/**/*.png; its 4 files "
        "*_labelTrainIds.png are mmsegmentation's conversion to 171 classes from 0 on, not the data set's 182 ids"
    )


def test_two_halves_of_two_label_forms_are_no_incomplete_archive(tmp_path):
    """One city has trainIds and the other labelIds: a whole split, of which one form is read."""
    spec = trees.cityscapes(tmp_path)
    for city, form in (("frankfurt", "labelIds"), ("munster", "labelTrainIds")):
        for path in (tmp_path / "cityscapes/gtFine/val" / city).glob(f"*_{form}.png"):
            path.unlink()
    finding = only(check(spec, tmp_path))
    assert finding.kind == "no partner"
    assert finding.remedy == (
        "2 of them have a *_gtFine_labelIds.png, but one form is read for the whole split: add the "
        "*_gtFine_labelTrainIds.png of these 2, or the *_gtFine_labelIds.png of the 2 images that lack it and delete "
        "the *_gtFine_labelTrainIds.png"
    )


@pytest.mark.parametrize("layout", ["voc", "lip"])
def test_the_missing_partner_is_named(tmp_path, layout):
    name = {"voc": "2007_000000", "lip": "100034_0"}[layout]
    finding = findings_after(tmp_path, layout, remove_image)
    assert finding.what.endswith(f": {name}")
    assert finding.what.startswith("1 labels in ")


# --- the arithmetic behind it ------------------------------------------------------------------------


def test_what_a_mistake_costs_is_computed():
    """Three classes, a pixel each, and one pixel outside; by hand."""
    spec = msgspec.structs.replace(trees.packaged_spec("lip"), classes=("a", "b", "c"), palette=())
    tally = Tally(spec=spec, form=LabelFiles(folder="", suffix=".png"))
    tally.add("one", np.array([[0, 1, 2, 3]]))
    swapped = LabelFiles(folder="", suffix=".png", value_map={0: 0, 1: 2, 2: 1, 3: 255})
    assert faultless_miou(tally, swapped, ["one"]) == pytest.approx(100 / 3)
    assert faultless_miou(tally, tally.form, ["one"]) == 100
    shifted = LabelFiles(folder="", suffix=".png", reduce_zero=True)
    assert faultless_miou(tally, shifted, ["one"]) == 0
    tally.add("two", np.array([[0, 1, 2, 2]]))
    assert faultless_miou(tally, swapped, []) == 100
    # a: 2 of 2; b: 1 of 3, since one of each is taken for the other; c: 2 of 4.
    assert faultless_miou(tally, swapped, ["one"]) == pytest.approx((100 + 100 / 3 + 100 / 2) / 3)


@pytest.mark.parametrize(
    ("count", "expected"),
    [(1, [0]), (2, [0, 9]), (4, [0, 3, 6, 9]), (10, list(range(10))), (99, list(range(10)))],
)
def test_a_sample_is_spread_over_the_whole_split(count, expected):
    assert spread(list(range(10)), count) == expected


def test_an_empty_list_file_is_an_error(tmp_path):
    spec = trees.voc(tmp_path)
    (tmp_path / spec.roots[0] / spec.id_list).write_text("")
    assert [finding.kind for finding in check(spec, tmp_path).findings if finding.gravity == "error"] == [
        "id list"
    ]
