"""Whole predictions against both publishers' code: same labels wherever the recorded margin decides them."""

import json

import cv2
import msgspec
import numpy as np
import pytest
import torch
from published import ssseg_architecture

from segbench.evaluate import EvalProtocol, SlidingWindow, predict
from segbench.evaluate.inference.plain import unflip, view_scores, views
from segbench.evaluate.inference.tiles import predict_labels

TOLERANCE = {"scores": 1e-3, "probabilities": 1e-4}
"""What another number of threads or build of torch moves by; where the best two are twice that apart, labels hold."""
CLASSES = {"city": 19, "ade": 150, "voc": 21}


def mmseg_protocol(base_scale, test_cfg, ratios, mode, version):
    """The protocol of mmsegmentation `version`, single scale or ms+flip, for a recorded setup."""
    window = test_cfg and SlidingWindow(crop=tuple(test_cfg["crop_size"]), stride=tuple(test_cfg["stride"]))
    protocol = EvalProtocol(base_scale=tuple(base_scale), window=window, align_corners=bool(window))
    if mode == "msflip":
        made = {} if version == "0.x" else {"views": "image_scale", "base_scale": None}
        return msgspec.structs.replace(protocol, scales=tuple(ratios), flip=True, **made)
    # 1.x takes the argmax of the raw scores where 0.x applies the softmax first.
    return protocol if version == "0.x" else msgspec.structs.replace(protocol, average="scores")


def assert_labels(picture, model, protocol, recorded, decided):
    """The plain path and the tiles both give the recorded labels wherever these are decided."""
    assert decided.mean() > 0.9
    labels, scores = predict(model, picture, protocol)
    np.testing.assert_array_equal(labels[decided], recorded[decided])
    tiled = predict_labels(model, picture, protocol).labels.numpy()
    np.testing.assert_array_equal(tiled[decided], recorded[decided])
    return scores


def versions(setups_and_modes):
    """(setup, mode, version): each with both versions of mmsegmentation; of several scales 1.x's for one setup, 0.x's for the others, the rest `golden`."""

    def marks(setup, mode, version):
        return [pytest.mark.golden] * (mode == "msflip" and (version == "1.x") != (setup == "voc"))

    found = [(*one, version) for one in setups_and_modes for version in ("0.x", "1.x")]
    return [pytest.param(*one, marks=marks(*one)) for one in found]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("setup", "mode", "version"),
    versions(
        (setup, mode) for setup in ("city_whole", "city_slide", "ade", "voc") for mode in ("single", "msflip")
    ),
)
def test_mmseg_predictions(golden, remembering_model, setup, mode, version):
    """A street scene through four setups, both modes, both versions of mmsegmentation."""
    name = f"{setup}|{mode}|{version}"
    recorded, meta = golden(f"mmseg/{version}.npz"), golden(f"mmseg/{version}.json")[name]
    protocol = mmseg_protocol(meta["base_scale"], meta["test_cfg"], meta["ratios"], mode, version)
    model = remembering_model("isanet_mmseg", depth=50, num_classes=CLASSES[setup.split("_")[0]])
    pictures = golden("pictures.npz")
    picture = pictures["b"] if setup.startswith("city") else cv2.imdecode(pictures["b|jpg"], cv2.IMREAD_COLOR)
    tolerance = TOLERANCE["scores" if (mode, version) == ("single", "1.x") else "probabilities"]
    decided = recorded[f"{name}|margin"] > 2 * tolerance
    scores = assert_labels(picture, model, protocol, recorded[f"{name}|pred"], decided)
    np.testing.assert_allclose(scores[:, ::4, ::4], recorded[f"{name}|score_s4"], rtol=0, atol=tolerance)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "window", "align_corners"),
    [
        ("whole_r50_19_align0", None, False),
        ("slide769_r50_19_align1_onewindow", ((769, 769), (513, 513)), True),
        ("slide_r50_19_align1_65x65_s43", ((65, 65), (43, 43)), True),
        ("slide_r50_19_align1_49x65_s33x40", ((49, 65), (33, 40)), True),
        ("slide_r50_19_align0_49x65_s33x40", ((49, 65), (33, 40)), False),
    ],
)
def test_mmseg_scores_at_the_networks_size(golden, rule_model, name, window, align_corners):
    """encode_decode and slide_inference, before the resize to the original: equal to 1e-3."""
    recorded = golden("mmseg/infer.npz")
    view = torch.from_numpy(recorded["in_97x129"])
    protocol = EvalProtocol(
        base_scale=None,
        window=window and SlidingWindow(crop=window[0], stride=window[1]),
        align_corners=align_corners,
        average="scores",
    )
    with torch.inference_mode():
        scores = view_scores(rule_model("isanet_mmseg", depth=50, num_classes=19), view, protocol, (97, 129))
    np.testing.assert_allclose(scores.numpy(), recorded[name], atol=1e-3)


SSSEG = [
    "isanet_tiny_slide_msflip_probs",
    "isanet_tiny_slide_single",
    pytest.param("isanet_tiny_whole_msflip_logits", marks=pytest.mark.golden),  # ISNet's below
    "isanet_tiny_whole_single",
    pytest.param("isanet_voc_config_single", marks=pytest.mark.golden),
    "isnet_lip_config_flip",
    pytest.param("isnet_lip_config_single", marks=pytest.mark.golden),  # mirrored too above
    pytest.param("isnet_tiny_slide_msflip_probs", marks=pytest.mark.golden),  # ISANet's above
    "isnet_tiny_slide_swapped_msflip_logits",
    "isnet_tiny_whole_msflip_logits",
    "isnet_tiny_whole_msflip_probs",
    "isnet_tiny_whole_single",
]


def ssseg_protocol(meta):
    """The protocol of a recorded sssegmentation run."""
    forward, tta = meta["inference"]["forward"], meta["inference"]["tta"]
    resize = next(arguments for kind, arguments in meta["test_pipelines"] if kind == "Resize")
    slides = forward["mode"] == "slide"
    return EvalProtocol(
        base_scale=tuple(resize["output_size"]),
        keep_ratio=resize["keep_ratio"],
        scales=tuple(tta["multiscale"]),
        flip=tta["flip"],
        flip_pairs=tuple(map(tuple, tta.get("fixed_seg_target_pairs", ()))) if tta["flip"] else (),
        views="tensor",
        window=SlidingWindow(crop=tuple(forward["cropsize"]), stride=tuple(forward["stride"]))
        if slides
        else None,
        upsampling="one-step",
        average="probabilities" if tta["use_probs_before_resize"] else "scores",
        softmax_at="window",
        normalisation="float64 multiplication",
    )


@pytest.mark.slow
@pytest.mark.parametrize("case", SSSEG)
def test_ssseg_predictions(golden, remembering_model, case):
    """Street scenes through twelve recorded runs of sssegmentation's networks, transforms and test loop."""
    recorded, pictures = golden(f"ssseg/predict_{case}.npz"), golden("pictures.npz")
    meta = json.loads(str(recorded["meta"]))
    protocol = ssseg_protocol(meta)
    builder, numbers = ssseg_architecture(meta["name"])
    model = remembering_model(builder, **numbers)
    names = [key.removeprefix("label_") for key in recorded if key.startswith("label_")]
    assert names
    for name in names:
        tolerance = TOLERANCE[protocol.average]
        decided = recorded[f"margin_{name}"] > 2 * tolerance
        scores = assert_labels(pictures[name], model, protocol, recorded[f"label_{name}"], decided)
        np.testing.assert_allclose(scores[:, ::8, ::8], recorded[f"scores_{name}"], rtol=0, atol=tolerance)


def colour_model(images):
    """Three classes that score the three colour channels at stride 2: a model without weights."""
    return images[:, :, ::2, ::2]


@pytest.fixture
def picture():
    return np.random.RandomState(0).randint(0, 256, (40, 60, 3), dtype=np.uint8)


def test_a_window_as_large_as_the_view_is_whole_inference(picture):
    whole = EvalProtocol(base_scale=None)
    slid = EvalProtocol(base_scale=None, window=SlidingWindow(crop=(40, 60), stride=(10, 10)))
    for ours, theirs in zip(
        predict(colour_model, picture, slid), predict(colour_model, picture, whole), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_flipping_swaps_the_named_classes_and_nothing_else():
    scores = torch.arange(24.0).reshape(1, 4, 2, 3)
    swapped = unflip(scores, ((1, 2),))
    assert torch.equal(swapped, scores[:, [0, 2, 1, 3]].flip(3))
    assert torch.equal(unflip(swapped, ((2, 1),)), scores)


def test_views_come_in_the_order_of_the_scales(picture):
    protocol = EvalProtocol(base_scale=(120, 80), scales=(0.5, 1.0, 1.75))
    shapes = [tuple(view.shape) for view in views(picture, protocol, torch.device("cpu"))]
    assert shapes == [(1, 3, 40, 60), (1, 3, 80, 120), (1, 3, 140, 210)]


def test_predictions_have_the_pictures_size(picture):
    labels, scores = predict(colour_model, picture, EvalProtocol(base_scale=(33, 17)))
    assert (labels.shape, labels.dtype) == ((40, 60), np.uint8)
    assert (scores.shape, scores.dtype) == ((3, 40, 60), np.float32)
    np.testing.assert_allclose(scores.sum(axis=0), 1, rtol=1e-5)


def test_a_grey_picture_is_refused():
    with pytest.raises(ValueError) as error:
        predict(colour_model, np.zeros((4, 4), np.uint8), EvalProtocol(base_scale=None))
    assert str(error.value) == "expected an H x W x 3 BGR uint8 image, found shape (4, 4) of uint8"


def test_the_digest_counts_what_changes_numbers_and_not_names():
    protocol = EvalProtocol(name="a", description="one", base_scale=(2048, 1024))
    renamed = msgspec.structs.replace(protocol, name="b", description="two")
    assert renamed.digest() == protocol.digest()
    digests = {
        msgspec.structs.replace(protocol, **change).digest()
        for change in (
            {}, {"flip": True}, {"scales": (1.0, 0.5)}, {"align_corners": True}, {"average": "scores"},
            {"upsampling": "one-step"}, {"views": "tensor"}, {"base_scale": (2049, 1025)}, {"keep_ratio": False},
            {"softmax_at": "window"}, {"flip": True, "flip_pairs": ((1, 2),)}, {"mean": (0.0, 0.0, 0.0)},
            {"window": SlidingWindow(crop=(769, 769), stride=(513, 513))},
            {"normalisation": "float64 multiplication"}, {"std": (1.0, 1.0, 1.0)},
        )
    }  # fmt: skip
    assert len(digests) == 15


def test_bgr_is_what_predict_takes(picture):
    """`cv2.imread` gives BGR; the network sees RGB, so class 0 of the colour model is red."""
    red = np.zeros((8, 8, 3), np.uint8)
    red[:, :, 2] = 255
    labels, _ = predict(colour_model, red, EvalProtocol(base_scale=None))
    assert set(np.unique(labels)) == {0}
    assert (
        predict(colour_model, cv2.cvtColor(red, cv2.COLOR_BGR2RGB), EvalProtocol(base_scale=None))[0].min()
        == 2
    )


def test_padding_is_zeros_after_the_normalisation_and_is_cut_off_before_the_last_step():
    """Right and below, as in mmsegmentation 1.x (`utils/misc.py`, `stack_batch`), cut at the padded size (`segmentors/base.py`)."""
    image = np.random.default_rng(3).integers(0, 256, (37, 50, 3), dtype=np.uint8)
    protocol = EvalProtocol(base_scale=None, size_divisor=32, average="scores", flip=True)
    network = torch.nn.Conv2d(3, 4, 3, stride=4, padding=1).requires_grad_(False)
    values = (image[:, :, ::-1].astype(np.float32) - np.float32(protocol.mean)) / np.float32(protocol.std)
    total = 0
    for mirrored in (False, True):
        side = values[:, ::-1] if mirrored else values
        whole = np.zeros((64, 64, 3), np.float32)
        whole[:37, :50] = side
        scores = network(torch.from_numpy(whole.transpose(2, 0, 1).copy())[None])
        scores = torch.nn.functional.interpolate(scores, (64, 64), mode="bilinear", align_corners=False)
        found = scores[0, :, :37, :50]
        total = total + (found.flip(2) if mirrored else found)
    _, scores = predict(network, image, protocol)
    torch.testing.assert_close(torch.from_numpy(scores), total / 2, atol=1e-5, rtol=1e-5)


def test_a_network_gets_values_divided_once_more():
    """ESPNet's: (x - mean) / std in float32, then / 255."""
    image = np.random.default_rng(4).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    protocol = EvalProtocol(base_scale=None, channels="BGR", value_divisor=255.0)
    expected = (
        (image.astype(np.float32) - np.float32(protocol.mean)) / np.float32(protocol.std) / np.float32(255)
    )
    (view,) = views(image, protocol, torch.device("cpu"))
    assert (view[0].numpy() == expected.transpose(2, 0, 1)).all()


def test_padding_that_could_not_be_cut_off_is_refused():
    with pytest.raises(
        ValueError, match=r"^EvalProtocol: size_divisor: size_divisor pads the network's input, and one-step"
    ):
        EvalProtocol(name="mine", base_scale=None, size_divisor=32, upsampling="one-step")


def test_scores_come_at_the_size_of_comparison_with_the_channels_that_take_part():
    protocol = EvalProtocol(base_scale=(60, 30), compared_at="input size", score_channels=2)
    labels, scores = predict(lambda images: images, np.zeros((20, 30, 3), np.uint8), protocol)
    assert labels.shape == (30, 45)
    assert scores.shape == (2, 30, 45)
