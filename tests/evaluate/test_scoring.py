"""One call from a model and a folder to every score."""

import msgspec
import numpy as np
import pytest
import torch
from own_builders import CLASSES, own_zoo
from PIL import Image

from segbench.evaluate import EvalProtocol, score
from segbench.evaluate.data.datasets import DatasetError
from segbench.evaluate.inference.plain import NetworkError
from segbench.evaluate.protocol import Void

PROTOCOL = EvalProtocol(base_scale=None)


@pytest.fixture
def folder(tmp_path):
    """Eight pictures whose strongest channel is their label."""
    own_zoo(tmp_path)
    data = tmp_path / "data" / "pictures"
    (data / "classes.txt").write_text("\n".join(CLASSES), encoding="utf-8")
    return data


def colours(images):
    return images


def lamps_are_walls(images):
    floor, wall, lamp = images.unbind(1)
    return torch.stack([floor, wall.maximum(lamp), torch.full_like(lamp, -9)], 1)


def test_a_perfect_function_scores_a_hundred(folder):
    found = score(colours, folder, PROTOCOL)
    assert (found.miou_percent, found.macc_percent, found.aacc_percent, found.mdice_percent) == (
        100,
        100,
        100,
        100,
    )
    assert (found.images, found.counts.sum(), list(found.classes)) == (8, 8 * 64, list(CLASSES))


def test_every_score_is_what_its_definition_says(folder):
    """Lamps called walls: counted by hand from the label files."""
    labels = np.stack([np.asarray(Image.open(path)) for path in sorted((folder / "labels").glob("*.png"))])
    floor, wall, lamp = (int((labels == index).sum()) for index in range(3))
    found = score(lamps_are_walls, folder, PROTOCOL)
    expected = {
        "floor": (100.0, 100.0, 100.0, floor),
        "wall": (100 * wall / (wall + lamp), 100.0, 200 * wall / (2 * wall + lamp), wall),
        "lamp": (0.0, 0.0, 0.0, lamp),
    }
    assert {name: pytest.approx(values) for name, values in expected.items()} == found.classes
    assert found.aacc_percent == pytest.approx(100 * (floor + wall) / labels.size)
    assert found.mdice_percent == pytest.approx((100 + expected["wall"][2]) / 3)
    assert str(found).splitlines()[-1].startswith(f"mIoU {found.miou_percent:.2f}, mAcc {200 / 3:.2f}")


def test_a_stored_run_goes_on_where_it_stopped(folder, tmp_path):
    asked = []

    def counting(images):
        asked.append(images)
        if len(asked) == 5:
            raise KeyboardInterrupt
        return images

    given = {"store": tmp_path / "e.sqlite", "name": "one"}
    with pytest.raises(KeyboardInterrupt):
        score(counting, folder, PROTOCOL, **given)
    assert score(counting, folder, PROTOCOL, **given).miou_percent == 100
    assert 9 <= len(asked) <= 10  # the interrupted image again; another was perhaps under way
    before = len(asked)
    score(counting, folder, PROTOCOL, **given)
    assert len(asked) == before


def test_other_weights_take_no_counts_of_the_same_name(folder, tmp_path):
    layer = torch.nn.Conv2d(3, 3, 1, bias=False).eval()
    values = []
    for sign in (1, -1):
        with torch.no_grad():
            layer.weight.copy_(sign * torch.eye(3)[:, :, None, None])
        values.append(score(layer, folder, PROTOCOL, store=tmp_path / "e.sqlite", name="one").miou_percent)
    assert values == [100.0, 0.0]


def test_a_bar_is_shown_where_asked_for(folder, capsys):
    score(colours, folder, PROTOCOL, progress=True)
    assert "8/8" in capsys.readouterr().err
    score(colours, folder, PROTOCOL)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("model", "arguments", "error", "message"),
    [
        (torch.nn.Conv2d(3, 3, 1), {}, ValueError, "training mode"),
        (colours, {"store": "e.sqlite"}, ValueError, "give one with name="),
        (lambda images: images[:, :2], {}, NetworkError, "scores 2 classes, the data set has 3"),
        (lambda images: images.argmax(1), {}, NetworkError, r"gave \(1, 8, 8\) int64"),
        (lambda images: images[0], {}, NetworkError, r"gave \(3, 8, 8\) float32"),
        (lambda images: torch.cat([images, images]), {}, NetworkError, "scores of 1 images"),
        (lambda images: images[:, :, :0], {}, NetworkError, r"at least one pixel; the network gave \(1, 3, 0, 8\)"),
    ],
)  # fmt: skip
def test_what_would_give_a_wrong_number_is_refused(folder, model, arguments, error, message):
    with pytest.raises(error, match=message):
        score(model, folder, PROTOCOL, **arguments)


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        (5, "score_channels is 5, the network scores 3 classes"),
        (2, "3 classes of which score_channels lets 2 take part, the data set has 3"),
    ],
)
def test_channels_that_cannot_take_part_are_told(folder, kept, message):
    with pytest.raises(NetworkError, match=message):
        score(colours, folder, msgspec.structs.replace(PROTOCOL, score_channels=kept))


def test_a_damaged_picture_is_named(folder):
    (folder / "images" / "3.png").write_bytes(b"no picture")
    with pytest.raises(DatasetError, match=r"1 of 8 images could not be used: .*3\.png"):
        score(colours, folder, PROTOCOL)


def test_another_rule_for_void_predicts_no_image_again(folder, tmp_path):
    """Lamps are void: floor and wall are averaged, and with void dropped nothing is wrong any more."""
    store, asked = tmp_path / "kept.sqlite", []

    def network(images):
        asked.append(len(images))
        return lamps_are_walls(images)

    found = {}
    for pixels in ("counted", "labels ignored"):
        void = Void(classes=(2,), pixels=pixels)
        protocol = msgspec.structs.replace(PROTOCOL, void=void)
        found[pixels] = score(network, folder, protocol, store=store, name="lamps")
    plain = score(network, folder, PROTOCOL, store=store, name="lamps")
    assert sum(asked) == 8
    wall = plain.classes["wall"]
    counted, ignored = found["counted"], found["labels ignored"]
    assert counted.miou_percent == pytest.approx((100 + wall.iou_percent) / 2)
    assert counted.mdice_percent == pytest.approx((100 + wall.dice_percent) / 2)
    assert counted.aacc_percent == counted.macc_percent == 100
    assert (ignored.miou_percent, ignored.mdice_percent, ignored.aacc_percent) == (100, 100, 100)
    assert list(ignored.classes) == list(CLASSES)
