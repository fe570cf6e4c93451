"""Faults planted into the demo's scenes, whose labels lie on their images; photographs that are right are left alone."""

import shutil

import cv2
import numpy as np
import pytest
from PIL import Image

from segbench.evaluate.data.check.checker import check
from segbench.evaluate.data.folder import folder_spec
from segbench.zoo.demo import STREETS

CLASSES = ["road", "sidewalk", "building", "pole", "vegetation", "sky", "person", "car"]


def unchanged(pixels):
    return pixels


def kinds(folder, label=unchanged, image=None, suffix=".png"):
    """What is found in the demo's scenes with their labels (H, W), and images (H, W, BGR), changed."""
    for kind in ("images", "labels"):
        (folder / kind).mkdir()
    for path in (STREETS / "images/val").iterdir():
        with Image.open(STREETS / f"annotations/val/{path.stem}.png") as picture:
            values = np.array(picture)
        Image.fromarray(label(values).astype(np.uint8)).save(folder / f"labels/{path.stem}.png")
        if image is None:
            shutil.copy(path, folder / "images")
        else:
            cv2.imwrite(str(folder / f"images/{path.stem}{suffix}"), image(cv2.imread(str(path))))
    (folder / "classes.txt").write_text("\n".join(CLASSES))
    return [(finding.gravity, finding.kind) for finding in check(folder_spec(folder), folder).findings]


def shifted(by):
    return lambda values: np.where(values == 255, 255, (values.astype(int) + by) % len(CLASSES))


def softened(sigma):
    return lambda pixels: cv2.GaussianBlur(pixels, (0, 0), sigma)


@pytest.mark.parametrize(
    ("label", "words"),
    [
        (lambda values: values[:, ::-1], "left to right"),
        (lambda values: values[::-1], "upside down"),
        (lambda values: values[::-1, ::-1], "by half a turn"),
    ],
)
def test_mirrored_labels_are_told_with_how_they_lie(tmp_path, label, words):
    assert kinds(tmp_path, label) == [("warning", "mirrored labels")]
    (finding,) = check(folder_spec(tmp_path), tmp_path).findings
    assert f"once the label is turned {words}, by a factor of" in finding.what


def test_mirrored_images_are_told_likewise(tmp_path):
    assert kinds(tmp_path, image=lambda pixels: pixels[:, ::-1]) == [("warning", "mirrored labels")]


@pytest.mark.parametrize("by", [1, 2, -1])
def test_values_moved_by_a_class_are_told_by_their_sky_and_not_as_negatives(tmp_path, by):
    assert kinds(tmp_path, shifted(by)) == [("warning", "misplaced sky")]


def test_what_only_the_right_labels_could_tell_is_not_guessed(tmp_path):
    assert kinds(tmp_path, lambda values: np.where(values == 255, 255, 7 - values.astype(int))) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("image", "suffix", "named"),
    [
        (softened(3), ".png", [("warning", "blurred images")]),
        (softened(8), ".jpg", [("warning", "blurred images")]),
        (lambda pixels: pixels * np.array([0, 0, 1], np.uint8), ".jpg", [("error", "empty channels")]),
        (lambda pixels: pixels * np.array([0, 1, 1], np.uint8), ".png", [("error", "empty channels")]),
        (lambda pixels: 255 - pixels, ".jpg", [("warning", "inverted images")]),
        (lambda pixels: pixels // 3, ".png", []),
        (softened(1), ".jpg", []),
        (unchanged, ".jpg", []),
    ],
    ids=["blur", "more blur", "red in JPEG", "no blue", "negative", "dusk", "soft", "saved again"],
)
def test_images_that_are_no_photographs_are_told(tmp_path, image, suffix, named):
    assert kinds(tmp_path, image=image, suffix=suffix) == named


CAMVID = [
    "sky",
    "building",
    "pole",
    "road",
    "pavement",
    "tree",
    "sign",
    "fence",
    "car",
    "pedestrian",
    "bicyclist",
]


def findings_of_camvid(photographs, tmp_path, split, classes):
    """Those that are more than a note."""
    root = tmp_path / split
    root.mkdir()
    for kind, source in (("images", "images"), ("labels", "annotations")):
        (root / kind).symlink_to(photographs / "camvid" / source / split)
    (root / "classes.txt").write_text("\n".join(["ignore: 11", *classes]))
    found = check(folder_spec(root), root).findings
    return [finding.kind for finding in found if finding.gravity != "note"]


@pytest.mark.slow
@pytest.mark.parametrize("split", ["val", "test"])
def test_right_photographs_raise_nothing(photographs, tmp_path, split):
    assert findings_of_camvid(photographs, tmp_path, split, CAMVID) == []


@pytest.mark.slow
@pytest.mark.parametrize("classes", [CAMVID[::-1], CAMVID[3:] + CAMVID[:3]], ids=["reversed", "rotated"])
def test_photographs_whose_classes_stand_in_another_order_are_told(photographs, tmp_path, classes):
    """By what is called sky: riders, or signs, of which few images have much."""
    assert findings_of_camvid(photographs, tmp_path, "test", classes) == ["misplaced sky"]
