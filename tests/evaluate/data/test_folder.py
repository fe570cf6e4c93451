"""One's own data: a folder of images, label maps and class names as a data set."""

import re

import numpy as np
import pytest
import trees
from PIL import Image

from segbench.evaluate import DatasetSpec, LabelFiles
from segbench.evaluate.data.check.checker import check
from segbench.evaluate.data.datasets import DatasetError, locate
from segbench.evaluate.data.folder import folder_spec


@pytest.fixture
def folder(tmp_path):
    """Two images with labels 0, 1 and 255, one of them in a folder of its own."""
    for number, name in enumerate(["b", "day/a"]):
        trees.write_image(tmp_path / f"own/images/{name}.jpg", number)
        labels = np.full(trees.SIZE, 255)
        labels[4:10] = 0
        labels[10:] = 1
        trees.write_index(tmp_path / f"own/labels/{name}.png", labels)
    (tmp_path / "own/classes.txt").write_text("road\ntraffic light\n")
    return tmp_path / "own"


def test_a_folder_becomes_a_data_set(folder):
    assert folder_spec(folder) == DatasetSpec(
        name="folder:own",
        title="own",
        split="all images",
        image_count=2,
        roots=(),
        images="images",
        image_suffix=".jpg",
        labels=(LabelFiles(folder="labels", suffix=".png"),),
        classes=("road", "traffic light"),
    )


def test_it_is_found_and_right(folder):
    spec = folder_spec(folder)
    assert [sample.id for sample in locate(spec, folder).samples] == ["b", "day/a"]
    report = check(spec, folder)
    assert report.findings == ()
    assert report.fingerprint.label_pixels == {"road": 2 * 6 * 64, "traffic light": 2 * 22 * 64}
    assert report.fingerprint.ignored_pixels == 2 * 4 * 64


def test_classes_may_have_colours_and_another_ignore_index(folder):
    (folder / "classes.txt").write_text("ignore: 7\n\nroad 128 64 128\ntraffic light 250 170 30\r\n")
    spec = folder_spec(folder)
    assert (spec.classes, spec.palette, spec.ignore_index) == (
        ("road", "traffic light"),
        ((128, 64, 128), (250, 170, 30)),
        7,
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ": no class in it, expected one a line"),
        ("ignore: 255\n", ": no class in it, expected one a line"),
        ("road\nroad\n", ":2: class 'road' stands there more than once"),
        ("ignore: 9\n\ncaf\u00e9\ncafe\u0301\n", ":4: class 'cafe\u0301' stands there more than once"),
        ("road 1 2 3\ncar\n", ": give every class a colour or none; 'car' has none"),
        (
            "ignore: 1\nroad\ncar\n",
            (
                ": label value 1 cannot be ignored, it is one of the 2 classes; choose one from 255 to 65535 and mark the labels "
                "with it"
            ),
        ),
        (
            "".join(f"c{number}\n" for number in range(300)),
            (
                ": label value 255 cannot be ignored, it is one of the 300 classes; choose one from 300 to 65535 and mark the "
                "labels with it; name it in a first line, ignore: 65535"
            ),
        ),
        ("ignore: 70000\nroad\n", ": expected a label value from 0 to 65535, found 70000"),
        ("".join(f"c{number}\n" for number in range(4097)), ": expected at most 4096 classes, found 4097"),
    ],
)
def test_a_wrong_class_file_is_told(folder, text, message):
    (folder / "classes.txt").write_text(text, encoding="utf-8")
    with pytest.raises(DatasetError) as error:
        folder_spec(folder)
    assert str(error.value) == f"{folder / 'classes.txt'}{message}"


@pytest.mark.parametrize(
    ("line", "meaning"),
    [
        ("# my classes", "a comment; every line is a class, so leave it out"),
        ("0 road", "an index; the line's place is the index, so give the name alone"),
        ("0: road", "an index; the line's place is the index, so give the name alone"),
        ("0:road", "an index; the line's place is the index, so give the name alone"),
        ("0,road", "an index; the line's place is the index, so give the name alone"),
        ("road,128,64,128", "a comma; write `name` or `name R G B`, parted by spaces, one class a line"),
        ("road, car", "a comma; write `name` or `name R G B`, parted by spaces, one class a line"),
        ("ignore: 255", "the ignored value, which only a first line `ignore: N` gives"),
        ("ignore = 255", "the ignored value, which only a first line `ignore: N` gives"),
    ],
)
def test_a_line_that_is_no_class_is_refused_with_its_place(folder, line, meaning):
    """Taken for a class it would move every class below it by one, without a word."""
    (folder / "classes.txt").write_text(f"car\n\n{line}\nbus\n")
    with pytest.raises(DatasetError) as error:
        folder_spec(folder)
    assert str(error.value) == f"{folder / 'classes.txt'}:3: {line!r} looks like {meaning}"


def test_names_may_hold_digits_and_blanks(folder):
    (folder / "classes.txt").write_text("3d printer\ntraffic light 2\nbus-stop (old)\n")
    assert folder_spec(folder).classes == ("3d printer", "traffic light 2", "bus-stop (old)")


def test_a_wrong_colour_has_its_line(folder):
    (folder / "classes.txt").write_text("road 1 2 3\ncar 1 2 300\n")
    with pytest.raises(DatasetError) as error:
        folder_spec(folder)
    assert str(error.value) == (
        f"{folder / 'classes.txt'}:2: expected a colour as three numbers from 0 to 255, found 'car 1 2 300'"
    )


@pytest.mark.parametrize("lacking", ["images", "labels"])
def test_a_missing_folder_says_what_is_expected(folder, lacking):
    (folder / lacking).rename(folder / "other")
    with pytest.raises(DatasetError) as error:
        folder_spec(folder)
    assert str(error.value) == (
        f"{folder / lacking}: no such folder; expected images/, labels/ (index PNGs of the same names) and classes.txt "
        "(one class a line)"
    )


def test_a_missing_class_file_says_what_is_expected(folder):
    (folder / "classes.txt").unlink()
    with pytest.raises(
        DatasetError, match=r"classes.txt: cannot read the classes: No such file or directory; expected"
    ):
        folder_spec(folder)


def test_images_of_two_kinds_are_refused(folder):
    trees.write_image(folder / "images/c.png", 2)
    with pytest.raises(DatasetError) as error:
        folder_spec(folder)
    assert str(error.value) == (
        f"{folder / 'images'}: images of one file ending are needed, found 2 .jpg, 1 .png; convert or rename them"
    )


@pytest.mark.parametrize("name", ["lost.heic", "lost.jfif", "lost"])
def test_a_labelled_picture_of_a_form_that_is_not_read_is_no_fewer_images(folder, name):
    """It would count nowhere; what has an image beside it, or no label, is no picture that is lost."""
    (folder / "images" / name).write_bytes(b"whatever")
    (folder / "images/notes.txt").write_bytes(b"")
    first = min(folder.glob("images/**/*.jpg"))
    first.with_suffix(".json").write_bytes(b"{}")
    before = folder_spec(folder).image_count
    assert before == len(list(folder.glob("images/**/*.jpg")))
    (folder / "labels/lost.png").write_bytes(b"whatever")
    with pytest.raises(
        DatasetError, match="it has a label, and its file ending is none of those that are read"
    ) as error:
        folder_spec(folder)
    assert str(error.value).startswith(f"{folder / 'images' / name}: ")


def test_no_images_are_told(folder):
    for path in folder.glob("images/**/*.jpg"):
        path.unlink()
    with pytest.raises(DatasetError, match=r"images: no images \(.jpg, "):
        folder_spec(folder)


def colour_labels(folder):
    for path in folder.glob("labels/**/*.png"):
        with Image.open(path) as image:
            image.convert("RGB").save(path)


def smaller_labels(folder):
    for path in folder.glob("labels/**/*.png"):
        trees.write_index(path, np.zeros((16, 32)))


def stray_labels(folder):
    for path in folder.glob("labels/**/*.png"):
        trees.write_index(path, np.arange(trees.SIZE[0] * trees.SIZE[1]).reshape(trees.SIZE) % 7)


def labels_from_one_on(folder):
    for number, path in enumerate(sorted(folder.glob("labels/**/*.png"))):
        trees.write_index(path, np.arange(trees.SIZE[0] * trees.SIZE[1]).reshape(trees.SIZE) % (2 + number))


def no_label(folder):
    (folder / "labels/b.png").unlink()


@pytest.mark.parametrize(
    ("plant", "kind"),
    [
        (colour_labels, "colour labels"),
        (smaller_labels, "size mismatch"),
        (stray_labels, "values outside map"),
        (labels_from_one_on, "labels not reduced"),
        (no_label, "no partner"),
    ],
)
def test_what_is_said_of_ones_own_data_names_no_archive_and_no_published_number(folder, plant, kind):
    plant(folder)
    (finding,) = check(folder_spec(folder), folder).findings
    assert finding.kind == kind
    assert not {"archive", "published", "release"} & set(
        re.findall(r"\w+", f"{finding.effect} {finding.remedy}")
    )


def test_void_past_the_last_class_is_told_as_what_it_may_be(folder):
    """CamVid's labels mark void by the number after the last class."""
    for path in folder.glob("labels/**/*.png"):
        labels = np.full(trees.SIZE, 2)
        labels[4:10] = 0
        labels[10:] = 1
        trees.write_index(path, labels)
    (finding,) = check(folder_spec(folder), folder).findings
    assert (finding.kind, finding.what) == (
        "values outside map",
        (
            "2 of 2 sampled labels hold values 2 (12.50% of pixels), expected 0 to 1 and 255 (ignored); if 2 marks unlabelled "
            "pixels, it is the ignore index and must be given as that; b, day/a"
        ),
    )
    (folder / "classes.txt").write_text("ignore: 2\nroad\ntraffic light\n")
    assert check(folder_spec(folder), folder).findings == ()


@pytest.mark.parametrize("classes", ["road 1 2 " + "2" * 5000 + "\n", "ignore: " + "9" * 5000 + "\nroad\n"])
def test_a_number_of_thousands_of_digits_is_refused_as_any_that_is_too_large(folder, classes):
    """Python converts no more than 4,300."""
    (folder / "classes.txt").write_text(classes)
    with pytest.raises(DatasetError, match=r"classes\.txt"):
        folder_spec(folder)
