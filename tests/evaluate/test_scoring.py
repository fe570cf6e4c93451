"""One call from a model and a folder to every score."""

import msgspec
import numpy as np
import pytest
import torch
from own_builders import CLASSES, own_zoo
from PIL import Image

from segbench.evaluate import EvalProtocol, SlidingWindow, score
from segbench.evaluate.accuracy import Loading
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


class Keeping(torch.nn.Module):
    """Keeps its input while another thread may run, as hooks for features do."""

    def forward(self, images):
        self.images = images
        for _ in range(40):
            torch.rand(40, 40) @ torch.rand(40, 40)
        return self.images


def same_memory():
    kept = torch.empty(1, 3, 8, 8)
    return lambda images: kept.copy_(images)[:]


def spoils_its_input(images):
    found = images.clone()
    images.neg_()
    return found


def in_order_of_asking():
    """Answers that were made before, handed out one by one."""
    given = []

    def answer(images):
        given.append(images.clone())
        return given[-1]

    return answer


WINDOWS = EvalProtocol(base_scale=None, window=SlidingWindow(crop=(8, 8), stride=(4, 4)))


@pytest.mark.parametrize("workers", [None, 0, 3])
@pytest.mark.parametrize("protocol", [PROTOCOL, EvalProtocol(base_scale=None, flip=True)])
@pytest.mark.parametrize("make", [Keeping, same_memory, in_order_of_asking, lambda: spoils_its_input])
def test_what_a_network_does_with_memory_changes_no_number(request, folder, make, protocol, workers):
    torch.set_num_threads(2)
    request.addfinalizer(lambda: torch.set_num_threads(1))
    model = make()
    model = model.eval() if isinstance(model, torch.nn.Module) else model
    assert score(model, folder, protocol, loading=Loading(workers=workers)).miou_percent == 100


def test_an_input_changed_in_place_spoils_no_other_window(folder):
    for path in [*(folder / "images").iterdir(), *(folder / "labels").iterdir()]:
        with Image.open(path) as picture:
            picture.resize((16, 16), Image.Resampling.NEAREST).save(path)
    assert score(spoils_its_input, folder, WINDOWS).miou_percent == 100


def test_images_are_asked_for_in_their_order(request, folder):
    torch.set_num_threads(2)
    request.addfinalizer(lambda: torch.set_num_threads(1))
    asked = []

    def network(images):
        asked.append(images.clone())
        return images

    score(network, folder, PROTOCOL)
    again = list(asked)
    asked.clear()
    score(network, folder, PROTOCOL, loading=Loading(workers=0))
    assert all(map(torch.equal, again, asked))


def with_dropout():
    return torch.nn.Sequential(torch.nn.Conv2d(3, 3, 1), torch.nn.Sequential(torch.nn.Dropout())).eval()


def test_a_part_in_training_mode_is_named(folder):
    model = with_dropout()
    model[1][0].train()
    for one, whose in (
        (model, "1.0 of the model, a Dropout, is"),
        (lambda images: model(images) + 0, "1.0 of a Sequential that the model runs, a Dropout, is"),
    ):
        with pytest.raises(ValueError, match=f"{whose} in training mode"):
            score(one, folder, PROTOCOL)


def test_autocast_around_it_is_refused(folder):
    with (
        torch.autocast("cpu", dtype=torch.bfloat16),
        pytest.raises(ValueError, match=r"autocast is on here.*precision='bf16'"),
    ):
        score(colours, folder, PROTOCOL)


class Scaling(torch.nn.Module):
    """By a number that no state dict has."""

    def __init__(self, factor):
        super().__init__()
        self.register_buffer("factor", torch.tensor(float(factor)), persistent=False)

    def forward(self, images):
        return images * self.factor

    def get_extra_state(self):
        return {"seen": (1, None)}


@pytest.mark.parametrize("wrapped", [False, True])
def test_every_tensor_that_can_be_seen_belongs_to_the_name(folder, tmp_path, wrapped):
    def scored(factor):
        network = Scaling(factor).eval()
        model = (lambda images: network(images) + 0) if wrapped else network
        return score(model, folder, PROTOCOL, store=tmp_path / "e.sqlite", name="one").miou_percent

    assert [scored(1), scored(-1), scored(1)] == [100.0, 0.0, 100.0]


def test_a_model_that_draws_at_random_is_told(folder, caplog):
    score(lambda images: torch.nn.functional.dropout(images, 0.5, training=True), folder, PROTOCOL)
    told = "random numbers were drawn while the model ran; where it was the model, another run gives another number"
    assert [record.getMessage() for record in caplog.records] == [told]


def test_labels_of_no_class_are_told(folder, caplog):
    path = min((folder / "labels").iterdir())
    with Image.open(path) as picture:
        values = np.array(picture)
    values[0, :5] = 77
    Image.fromarray(values).save(path)
    found = score(colours, folder, PROTOCOL)
    assert found.counts[-1].sum() == 5
    assert [record.getMessage() for record in caplog.records] == [
        f"{folder}: 5 of 512 counted pixels have label values outside the 3 classes; see zoo data"
    ]


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
