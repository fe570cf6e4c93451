"""`zoo predict` on the demo zoo: the publishers' own label maps, and what is said when pictures are amiss."""

import json
import shutil

import numpy as np
import pytest
from golden_files import GOLDEN
from PIL import Image

from segbench.zoo.cli import main
from segbench.zoo.demo import STREETS, demo_checkpoints, serve
from segbench.zoo.fetch import fetch

pytestmark = pytest.mark.slow

ISANET = "isanet_r50-d8_w16_256x512_0.8k_streets"
IMAGES = STREETS / "images/val"
MANIFEST = ("--manifest", str(STREETS / "zoo.yaml"))


@pytest.fixture
def fetched():
    """The demo's weights in this test's cache."""
    with serve(STREETS) as server:
        for checkpoint in demo_checkpoints(server):
            fetch(checkpoint)


def predict(*arguments, out):
    return main(["predict", ISANET, *map(str, arguments), "--out", str(out), "-q", *MANIFEST])


@pytest.mark.usefixtures("fetched")
@pytest.mark.parametrize(
    ("protocol", "recorded"),
    [
        ((), "mmseg_miou"),
        pytest.param(
            ("--protocol", "mmseg-streets-whole-ms-flip"), "mmseg_miou_ms_flip", marks=pytest.mark.golden
        ),
    ],
)
def test_label_maps_are_the_publishers_own(tmp_path, protocol, recorded):
    """Equal to what mmsegmentation predicted, pixel for pixel, but for rounding at equal scores."""
    names = ["street_000", "street_005"]
    assert predict(*[IMAGES / f"{name}.jpg" for name in names], *protocol, out=tmp_path) == 0
    for name in names:
        ours = np.array(Image.open(tmp_path / ISANET / "labels" / f"{name}.png"))
        theirs = np.array(Image.open(GOLDEN / "demo/predictions" / recorded / f"{name}.png"))
        assert (ours != theirs).mean() < 1e-4


@pytest.mark.usefixtures("fetched")
def test_a_folder_keeps_its_tree_and_a_bad_picture_does_not_stop_the_rest(tmp_path, capsys):
    """Exit 3 names the bad file; the good one is written; JSON tells of both."""
    shots = tmp_path / "shots"
    (shots / "am").mkdir(parents=True)
    shutil.copy(IMAGES / "street_001.jpg", shots / "am/one.JPG")
    (shots / "broken.png").write_bytes(b"<html>not here</html>")
    (shots / "notes.txt").write_text("no picture")
    out = tmp_path / "out"
    assert predict(shots, "--json", out=out) == 3
    captured = capsys.readouterr()
    good, bad = json.loads(captured.out)
    assert good["image"] == str(shots / "am/one.JPG")
    assert good["labels"] == str(out / ISANET / "labels/am/one.png")
    assert sum(good["classes"].values()) == pytest.approx(1)
    assert bad == {
        "image": str(shots / "broken.png"),
        "labels": None,
        "overlay": None,
        "classes": {},
        "fault": f"{shots / 'broken.png'}: not an image that cv2 can decode (21 bytes); where another "
        "program opens it, save it anew there, else copy it again",
    }
    assert sorted(path.name for path in out.rglob("*") if path.is_file()) == ["one.jpg", "one.png"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere.jpg",), "nowhere.jpg: no such file or folder"),
        ((IMAGES, "--protocol", "mmseg"), "unknown protocol 'mmseg'; there are mmseg-streets-whole, "),
        ((STREETS / "weights",), "no pictures below this folder (looked for .jpg, "),
    ],
)
def test_a_wrong_command_is_refused_before_anything_is_loaded(tmp_path, capsys, arguments, message):
    assert predict(*arguments, out=tmp_path) == 2
    assert message in capsys.readouterr().err


def test_two_pictures_of_one_name_are_refused(tmp_path, capsys):
    twins = [tmp_path / "a/x.jpg", tmp_path / "b/x.jpg"]
    for path in twins:
        path.parent.mkdir()
        Image.new("RGB", (4, 4)).save(path)
    assert predict(*twins, out=tmp_path / "out") == 2
    assert capsys.readouterr().err == (
        f"zoo: {twins[0]} and {twins[1]} would both be written as 'x.jpg'; predict them with two commands, each with "
        "an --out of its own\n"
    )


@pytest.mark.usefixtures("fetched")
def test_a_folder_is_predicted_twice_alike(tmp_path):
    """Suffixes keep pictures of one stem apart; hidden files and the first run's own pictures are no input."""
    for name in ("x.jpg", "x.png", "._x.png"):
        Image.new("RGB", (16, 8)).save(tmp_path / name)
    for _ in range(2):
        assert predict(tmp_path, out=tmp_path / "out") == 0
        made = sorted(
            str(path.relative_to(tmp_path / "out" / ISANET)) for path in (tmp_path / "out").rglob("*.*g")
        )
        assert made == ["labels/x.jpg.png", "labels/x.png.png", "overlays/x.jpg.jpg", "overlays/x.png.jpg"]


@pytest.mark.usefixtures("fetched")
def test_names_that_differ_in_case_alone_are_two_pictures_where_the_disk_tells_them_apart(tmp_path, capsys):
    """A link stands for a disk that does not: the second picture is told of, and the first one's map stays."""
    for name in ("A", "a", "\u00e9", "e\u0301"):
        Image.new("RGB", (16, 8)).save(tmp_path / f"{name}.png")
    assert predict(tmp_path, out=tmp_path / "out") == 0
    labels = tmp_path / "out" / ISANET / "labels"
    assert len(list(labels.iterdir())) == 4
    (labels / "a.png").unlink()
    (labels / "a.png").symlink_to(labels / "A.png")
    capsys.readouterr()
    assert predict(tmp_path / "A.png", tmp_path / "a.png", out=tmp_path / "out") == 3
    assert capsys.readouterr().err == (
        f"zoo: {tmp_path / 'a.png'}: this disk takes 'a' for 'A', which is written already; predict it with a command "
        "of its own and another --out\n"
    )


@pytest.mark.usefixtures("fetched")
def test_a_place_that_takes_no_files_is_told(tmp_path, capsys):
    (tmp_path / "taken").write_text("a file")
    assert predict(IMAGES / "street_000.jpg", out=tmp_path / "taken") == 3
    assert "cannot write: " in capsys.readouterr().err
