"""What tools leave beside data is no data, wherever files are listed."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import trees
from PIL import Image

from segbench.evaluate.data.check.checker import check
from segbench.evaluate.data.datasets import DatasetError, locate
from segbench.evaluate.data.file_listing import is_data
from segbench.evaluate.data.folder import folder_spec
from segbench.zoo.engines.own_pictures import find_pictures

LEFT_BY_TOOLS = [
    ".ipynb_checkpoints/a.png",
    ".git/a.png",
    ".@__thumb/a.png",
    "@eaDir/a.png/SYNOPHOTO_THUMB_XL.png",
    "__MACOSX/a.png",
    "._a.png",
    ".a.png.swp.png",
    "$RECYCLE.BIN/a.png",
    "lost+found/a.png",
    "thumbnails/a.png",
    "day/Thumbs/a.png",
    "~$a.png",
    "day/.ipynb_checkpoints/a-checkpoint.png",
]
DATA = ["a.png", "day/a.png", "a copy.png", "git/a.png", "_a.png", "a.b.png", "thumbnails.png"]


@pytest.mark.parametrize("left", LEFT_BY_TOOLS)
def test_what_a_tool_leaves_is_no_image_of_an_own_folder(tmp_path, left):
    for name in (*DATA, left):
        for kind in ("images", "labels"):
            place = tmp_path / kind / name
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.zeros((2, 2), np.uint8)).save(place, format="PNG")
    (tmp_path / "classes.txt").write_text("road\ncar\n")
    spec = folder_spec(tmp_path)
    assert spec.image_count == len(DATA)
    found = [sample.id for sample in locate(spec, tmp_path).samples]
    assert found == sorted(name.removesuffix(".png") for name in DATA)
    predicted = [picture.name for picture in find_pictures([tmp_path / "images"], tmp_path / "out")]
    assert sorted(predicted) == found


@pytest.mark.parametrize(
    "name", [".DS_Store", "Thumbs.db", "desktop.ini", "Desktop.ini", "Icon\r", "a.png~", "#a.png#"]
)
def test_files_of_systems_and_editors_are_no_data(name):
    assert not is_data(name)


def test_a_data_set_of_the_manifest_counts_no_copies(tmp_path):
    """The number of images is checked, so a copy used to make the split unusable."""
    spec = trees.lip(tmp_path)
    for folder in ("val_images", "val_segmentations"):
        shutil.copytree(tmp_path / "LIP" / folder, tmp_path / "LIP" / folder / "@eaDir")
    assert check(spec, tmp_path).findings == ()


@pytest.mark.parametrize("kind", ["images", "labels"])
def test_two_files_of_one_name_in_two_unicode_forms_are_refused(tmp_path, kind):
    """Lists and labels have one form; which of the two files they mean, nothing tells."""
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
        for name in ("caf\u00e9.png", "b.png", *(["cafe\u0301.png"] if folder == kind else [])):
            Image.fromarray(np.zeros((2, 2), np.uint8)).save(tmp_path / folder / name)
    if len(list((tmp_path / kind).iterdir())) == 2:
        return  # a disk that takes the two for one has no such pair
    (tmp_path / "classes.txt").write_text("road\ncar\n")
    message = (
        f"{tmp_path / kind}: two files are called 'caf\u00e9.png', in two Unicode forms ('cafe\\u0301.png' and "
        "'caf\\xe9.png'); nothing tells which one is meant: keep one, or rename it"
    )
    with pytest.raises(DatasetError) as refused:
        locate(folder_spec(tmp_path), tmp_path)
    assert str(refused.value) == message


def test_names_are_judged_below_the_folder_that_was_named(tmp_path):
    """Data in a cache folder are data."""
    hidden = tmp_path / ".cache/images"
    hidden.mkdir(parents=True)
    Image.fromarray(np.zeros((2, 2), np.uint8)).save(hidden / "a.png")
    assert [picture.path for picture in find_pictures([hidden], tmp_path / "out")] == [hidden / "a.png"]


def test_listing_data_stands_in_one_place():
    """Whoever lists a folder of data asks `is_data`."""
    source = Path(sys.modules["segbench.evaluate"].__file__).parent
    listing = {path.name for path in source.rglob("*.py") if "os.walk(" in path.read_text(encoding="utf-8")}
    assert listing == {"datasets.py"}
