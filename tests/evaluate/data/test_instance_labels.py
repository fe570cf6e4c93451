"""Label files drawn of outlines are those of torchvision's reference script: categories, overlaps, crowds, what is left out."""

import json

import numpy as np
import pytest
import trees
from PIL import Image

from segbench.evaluate.data.datasets import DatasetError
from segbench.evaluate.data.instance_labels import drawn, missing_labels
from segbench.zoo.cli import main

CATEGORIES = trees.packaged_spec("coco-val2017-voc").made_of.categories
PERSON, CAT, BUS, APPLE = 1, 17, 6, 53


def box(category, image, left, top, right, bottom):
    """A rectangle's outline: pixels of columns left to right - 1 and rows top to bottom - 1."""
    outline = [left, top, right, top, right, bottom, left, bottom]
    return {"image_id": image, "category_id": category, "iscrowd": 0, "segmentation": [outline]}


def crowd(category, image, runs, size):
    """Runs of pixels down the columns, of none and of the crowd in turns."""
    return {
        "image_id": image, "category_id": category, "iscrowd": 1, "segmentation": {"counts": runs, "size": size},
    }  # fmt: skip


def coco(root, objects, count=3, size=(6, 8)):
    """A folder as COCO's archives leave it."""
    (root / "coco/val2017").mkdir(parents=True)
    (root / "coco/annotations").mkdir()
    images = []
    for number in range(count):
        name = f"{number:012}.jpg"
        Image.fromarray(np.full((*size, 3), 90 + number, np.uint8)).save(root / "coco/val2017" / name)
        images.append({"id": number, "file_name": name, "height": size[0], "width": size[1]})
    content = json.dumps({"images": images, "annotations": objects})
    (root / "coco/annotations/instances_val2017.json").write_text(content)
    return root


def labels(root):
    folder = root / "coco/voc_labels/val2017"
    return {path.name: np.asarray(Image.open(path)).tolist() for path in sorted(folder.iterdir())}


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools' own
def test_objects_overlaps_and_crowds_are_drawn_and_other_categories_left_out(tmp_path, capsys):
    pytest.importorskip("pycocotools", reason="pycocotools, the extra segbench[coco], is not installed")
    objects = [
        box(PERSON, 0, 0, 0, 4, 4), box(CAT, 0, 2, 2, 6, 6), box(APPLE, 0, 6, 0, 8, 2),
        crowd(BUS, 2, [0, 3, 42, 3], [6, 8]),
    ]  # fmt: skip
    root = coco(tmp_path, objects)
    arguments = ["data", "coco-val2017-voc", "--data-root", str(root), "--make-labels", "--quiet"]
    main(arguments)
    first, nothing, third = np.zeros((3, 6, 8), int)
    first[0:4, 0:4], first[2:6, 2:6], first[2:4, 2:4] = 15, 8, 255
    third[0:3, 0], third[3:6, 7] = 6, 6
    expected = {f"{n:012}.png": one.tolist() for n, one in enumerate((first, nothing, third))}
    assert labels(root) == expected
    kept = root / "coco/voc_labels/val2017/000000000001.png"
    Image.fromarray(np.full((6, 8), 7, np.uint8)).save(kept)
    (kept.parent / "000000000000.png").unlink()
    main(arguments)
    assert labels(root) == expected | {kept.name: np.full((6, 8), 7).tolist()}
    capsys.readouterr()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot read the annotations: No such file"),
        ("[1, 2]", "no annotations in COCO's form"),
        ('{"images": []}', r"no annotations in COCO's form \(KeyError: 'annotations'\)"),
        ('{"images": [{"id": "x"}], "annotations": []}', "no annotations in COCO's form"),
    ],
)
def test_what_is_no_file_of_annotations_is_one_message(tmp_path, content, message):
    root = coco(tmp_path, [])
    path = root / "coco/annotations/instances_val2017.json"
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(DatasetError, match=message):
        missing_labels(trees.packaged_spec("coco-val2017-voc"), root / "coco")


def test_a_data_set_that_has_label_files_needs_none_made(tmp_path, capsys):
    trees.lip(tmp_path)
    assert main(["data", "lip", "--data-root", str(tmp_path), "--make-labels"]) == 3
    assert "its labels are files of its own; there is nothing to make them of" in capsys.readouterr().err


def test_without_the_rasteriser_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pycocotools", None)
    with pytest.raises(DatasetError, match=r"pip install 'segbench\[coco\]'"):
        drawn([box(PERSON, 0, 0, 0, 4, 4)], (6, 8), CATEGORIES, 255)
