"""Label maps made tile by tile against the plain path, over every protocol of the manifest, both corner conventions."""

import msgspec
import numpy as np
import pytest
import torch

from segbench.evaluate import EvalProtocol, SlidingWindow
from segbench.evaluate.geometry import compared_size
from segbench.evaluate.inference.plain import forward, predict_scores, views
from segbench.evaluate.inference.tiles import decide, predict_labels, scored_views
from segbench.zoo.manifest import load_manifest

CPU = torch.device("cpu")
ROUNDING = 1e-5
PROTOCOLS = load_manifest().protocols


def small(protocol):
    """The same protocol at an eighth of its sizes, so that every kind of step remains."""
    window = protocol.window and SlidingWindow(
        crop=tuple(max(length // 8, 9) for length in protocol.window.crop),
        stride=tuple(max(length // 8, 7) for length in protocol.window.stride),
    )
    base = protocol.base_scale and tuple(length // 8 for length in protocol.base_scale)
    return msgspec.structs.replace(protocol, base_scale=base, window=window)


class Noise:
    """A network that answers each input with scores drawn for its turn and its pixels, at stride 8."""

    def __init__(self, classes, strength=4.0, seed=0):
        self.classes, self.strength = classes, strength
        self.generator = torch.Generator().manual_seed(seed)

    def __call__(self, images):
        size = [(length + 7) // 8 for length in images.shape[2:]]
        return self.strength * torch.randn(len(images), self.classes, *size, generator=self.generator)


def both_ways(protocol, size, classes=20, strength=4.0, tile=None):
    """Plain scores, and the tiled decision, from the same network answers."""
    image = np.random.RandomState(1).randint(0, 256, (*size, 3), dtype=np.uint8)
    with torch.inference_mode():
        plain = predict_scores(Noise(classes, strength), image, protocol, CPU)
        inputs = list(views(image, protocol, CPU))
        compared = compared_size(size, protocol)
        (found,) = scored_views(Noise(classes, strength), [inputs], compared, protocol)
        return plain, decide(found, compared, protocol, tile)


def assert_same_labels(plain, decision):
    best = plain.topk(2, dim=0)
    margins = best.values[0] - best.values[1]
    decided = margins > ROUNDING
    assert decided.float().mean() > 0.99
    assert torch.equal(decision.labels[decided].long(), best.indices[0][decided])
    size = float(plain.abs().max())  # raw scores are rounded where they are large
    torch.testing.assert_close(decision.margins, margins, atol=ROUNDING * max(1, size / 4), rtol=1e-5)
    clear = decided & (plain.topk(3, dim=0).values.diff(dim=0)[1] < -ROUNDING)
    assert torch.equal(decision.runners_up[clear].long(), best.indices[1][clear])


@pytest.mark.slow
@pytest.mark.parametrize("size", [(61, 83), (96, 64)])
@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("name", PROTOCOLS)
def test_every_protocol_of_the_zoo(name, align_corners, size):
    """Labels, margins and runners-up equal those of the plain path, with tiles that do not divide the image."""
    protocol = msgspec.structs.replace(small(PROTOCOLS[name]), align_corners=align_corners)
    assert_same_labels(*both_ways(protocol, size, tile=(10, 24)))


@pytest.mark.parametrize("change", [
    {"average": "scores"}, {"softmax_at": "window"}, {"upsampling": "one-step"}, {"views": "tensor"},
    {"flip_pairs": ((1, 2), (5, 3))}, {"views": "image_scale", "base_scale": None}, {"views": "tensor", "base_scale": None},
], ids=str)  # fmt: skip
@pytest.mark.parametrize(
    "window", [None, SlidingWindow(crop=(33, 41), stride=(20, 26))], ids=["whole", "slide"]
)
def test_every_field_that_a_label_map_depends_on(window, change):
    """Odd sizes, six scales, mirrored, in whole views and in windows."""
    protocol = EvalProtocol(base_scale=(101, 75), scales=(0.5, 0.75, 1.0, 1.75), flip=True, window=window)
    assert_same_labels(*both_ways(msgspec.structs.replace(protocol, **change), (59, 77)))


@pytest.mark.parametrize("tile", [(1, 1000), (1000, 1), (7, 5), (1000, 1000)], ids=str)
def test_the_tile_is_no_part_of_the_answer(tile):
    protocol = EvalProtocol(base_scale=(101, 75), scales=(0.5, 1.0), flip=True)
    assert_same_labels(*both_ways(protocol, (23, 31), tile=tile))


def test_scores_far_apart_do_not_underflow():
    """Neighbours whose scores lie thousands apart: exponentials shifted at the source would all be 0 between them."""
    plain, decision = both_ways(EvalProtocol(base_scale=(101, 75)), (75, 101), strength=2000.0)
    assert torch.isfinite(decision.margins).all()
    decided = decision.margins > 1e-2  # the rounding of scores in the thousands
    assert decided.float().mean() > 0.95
    assert torch.equal(decision.labels[decided].long(), plain.argmax(dim=0)[decided])


def test_neighbours_of_one_size_run_at_once():
    """Answers come in order, whatever ran together."""
    seen = []

    def model(images):
        seen.append(tuple(images.shape))
        return images.mean(dim=(2, 3), keepdim=True)

    inputs = [torch.full((1, 3, height, 4), float(index)) for index, height in enumerate((4, 4, 4, 5, 5, 4))]
    assert [float(found[0, 0, 0, 0]) for found in forward(model, inputs, 2)] == [0, 1, 2, 3, 4, 5]
    assert seen == [(2, 3, 4, 4), (1, 3, 4, 4), (2, 3, 5, 4), (1, 3, 4, 4)]


@pytest.mark.slow
@pytest.mark.parametrize(
    "window", [None, SlidingWindow(crop=(65, 65), stride=(40, 40))], ids=["whole", "slide"]
)
def test_batched_views_give_the_same_labels(rule_model, window):
    """A real network, mirrored views and windows four at once: batched kernels change last bits only."""
    protocol = EvalProtocol(base_scale=(129, 97), scales=(0.5, 1.0), flip=True, window=window)
    image = np.random.RandomState(1).randint(0, 256, (97, 129, 3), dtype=np.uint8)
    model = rule_model("isanet_mmseg", depth=50, num_classes=19)
    one = predict_labels(model, image, protocol)
    four = predict_labels(model, image, protocol, batch=4)
    decided = one.margins > 1e-4
    assert decided.float().mean() > 0.9
    assert torch.equal(one.labels[decided], four.labels[decided])


@pytest.mark.parametrize("classes", [256, 257, 847])
@pytest.mark.parametrize("window", [None, SlidingWindow(crop=(32, 32), stride=(24, 24))])
def test_label_maps_name_as_many_classes_as_the_network_has(classes, window):
    """Beyond 256 an 8-bit label map would give class 256 the number 0."""
    protocol = EvalProtocol(base_scale=(64, 64), window=window)
    plain, decision = both_ways(protocol, (64, 64), classes)
    assert_same_labels(plain, decision)
    assert decision.labels.max() > 200


def test_what_a_label_map_cannot_hold_is_refused():
    protocol = EvalProtocol(base_scale=(16, 16))
    image = np.zeros((8, 8, 3), np.uint8)
    with pytest.raises(ValueError, match="expected at most 4096 classes, found 4097"):
        predict_labels(Noise(4097), image, protocol)
    with pytest.raises(ValueError, match="H x W x 3"):
        predict_labels(Noise(2), image[:0], protocol)


ADDED = {
    "padded, two steps": {"size_divisor": 16},
    "padded and mirrored": {"size_divisor": 16, "flip": True, "scales": (0.5, 1.0, 1.25)},
    "padded windows": {"size_divisor": 32, "flip": True, "window": SlidingWindow(crop=(24, 24), stride=(16, 16))},
    "padded windows, one step": {
        "size_divisor": 32, "upsampling": "one-step", "window": SlidingWindow(crop=(24, 24), stride=(16, 16)),
    },
    "softmax before the padding is cut": {"size_divisor": 16, "softmax_at": "window", "flip": True},
    "first channels": {"score_channels": 7, "flip": True},
    "compared at the input's size": {"compared_at": "input size", "scales": (1.0, 1.5), "flip": True},
    "all of it": {
        "size_divisor": 16, "score_channels": 9, "compared_at": "input size", "value_divisor": 255.0, "flip": True,
    },
}  # fmt: skip


@pytest.mark.parametrize("size", [(61, 83), (47, 32)])
@pytest.mark.parametrize("fields", ADDED.values(), ids=ADDED)
def test_padding_channels_and_the_size_of_comparison(fields, size):
    """Both paths cut the padding of mirrored views and windows off alike, and stop at the same size and class."""
    protocol = EvalProtocol(base_scale=(70, 50), **fields)
    image = np.random.RandomState(1).randint(0, 256, (*size, 3), dtype=np.uint8)
    with torch.inference_mode():
        plain = predict_scores(Noise(20), image, protocol, CPU)
        decision = predict_labels(Noise(20), image, protocol)
    assert_same_labels(plain, decision)
    assert decision.labels.max() < protocol.score_channels if protocol.score_channels else len(plain) == 20
