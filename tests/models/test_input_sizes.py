"""Networks that do not run on images of every size say which they take and how they get them, not torch's words."""

import cv2
import golden_files
import numpy as np
import pytest
import torch

from segbench.models import build_model
from segbench.models.input_size import InputSizeError
from segbench.zoo.cli import main

UNET = {"backbone": {"type": "unet", "base_channels": 4}, "num_classes": 12}
HEADS = {
    "fcn": {"type": "fcn", "channels": 8, "in_index": 4, "num_convs": 1, "concat_input": False},
    "psp": {"type": "psp", "channels": 8, "in_index": 4},
    "aspp": {"type": "aspp", "channels": 8, "in_index": 4},
}
LRASPP = {
    "backbone": {"type": "mobilenet_v3", "size": "large"},
    "head": {"type": "lraspp"},
    "num_classes": 5,
    "align_corners": False,
}


def raised(architecture, height, width):
    """What a network says of images of a size, which need no pixels; empty where it scores them."""
    with torch.device("meta"):
        model, images = build_model(**architecture).eval(), torch.empty(1, 3, height, width)
    try:
        with torch.inference_mode():
            assert model(images).shape[:2] == (1, architecture["num_classes"])
    except InputSizeError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("size", [(97, 128), (128, 130), (8, 16), (100, 150)])
def test_a_unet_says_that_sides_are_multiples_of_16_and_how_they_become_so(head, size):
    height, width = size
    architecture = UNET | {"head": HEADS[head], "align_corners": False}
    assert raised(architecture, *size) == (
        "expected images whose sides are multiples of 16 pixels, which U-Net halves four times and doubles again; found "
        f"{height}x{width} (height x width). Pad them: size_divisor: 16 in the protocol."
    )
    padded = [-(-side // 16) * 16 for side in size]
    assert raised(architecture, *padded) == ""


def test_lraspp_says_that_images_are_too_small_for_its_means():
    """49 places of a map at an eighth of the image's size: 385 pixels, of which the last place has one."""
    assert raised(LRASPP, 385, 385) == ""
    assert raised(LRASPP, 97, 600) == (
        "expected images of which LR-ASPP's means over 49x49 places can be taken, some 392 pixels a side or more; found a "
        "map of 13x75 places. Enlarge them: base_scale in the protocol, or a larger window."
    )


def test_san_says_that_images_are_smaller_than_a_patch_of_clips():
    """14 pixels of a copy that is 0.7 as large: 20."""
    small = golden_files.load("networks/san.json")["san_small"]["architecture"]
    assert raised(small, 20, 33) == ""
    assert raised(small, 33, 19) == (
        "expected images of 20 pixels a side or more, a patch of CLIP's; found 33x19 (height x width). Enlarge them: "
        "base_scale in the protocol, or a larger window."
    )


@pytest.mark.parametrize(
    ("architecture", "least"),
    [
        ({"backbone": {"type": "erfnet"}}, 5),
        ({"backbone": {"type": "icnet", "depth": 18}}, 14),
        ({"backbone": {"type": "mit", "depths": [1, 1, 1, 1]}}, 29),
        ({"backbone": {"type": "mit", "depths": [1, 1, 1, 1], "reductions": [2, 8, 2, 1]}}, 57),
        ({"backbone": {"type": "twins", "depths": [1, 1, 1, 1]}}, 29),
        ({"backbone": {"type": "twins", "depths": [2, 2, 2, 2], "window": 7}}, 29),
        ({"backbone": {"type": "poolformer", "size": "s12"}}, 3),
        ({"backbone": {"type": "convnext", "size": "tiny"}}, 32),
    ],
)
def test_a_backbone_says_how_small_images_may_be(architecture, least):
    """From the least on torch's own layers run; below it they fail in words of their own."""
    head = {"type": "fcn", "channels": 8, "in_index": 0, "num_convs": 1, "concat_input": False}
    whole = architecture | {"head": head, "num_classes": 5, "align_corners": False}
    assert raised(whole, least, 200) == raised(whole, 200, least) == ""
    told = raised(whole, 200, least - 1)
    assert told.startswith(f"expected images of {least} pixels a side or more, ")
    assert told.endswith(
        f"; found 200x{least - 1} (height x width). Enlarge them: base_scale in the protocol, or a larger window."
    )


MANIFEST = """
version: 1
include: segbench:datasets.yaml
protocols:
  own-size: {base_scale: null}
  padded: {base_scale: null, size_divisor: 16}
checkpoints:
  - id: unet
    publisher: me
    method: FCN
    backbone: UNet
    dataset: camvid-test
    crop: [64, 64]
    schedule: none
    architecture:
      backbone: {type: unet, base_channels: 4}
      head: {type: fcn, channels: 8, in_index: 4, num_convs: 1, concat_input: false}
      num_classes: 12
      align_corners: false
    weights: {layout: mmseg, urls: ["https://example.org/unet.pth"]}
    claims:
      - {metric: miou, printed: "50.00", protocol: own-size}
      - {metric: macc, printed: "50.00", protocol: padded}
"""


def test_the_command_ends_with_that_sentence_and_does_what_it_says(tmp_path, capsys):
    (tmp_path / "zoo.yaml").write_text(MANIFEST)
    model = build_model(**UNET, head=HEADS["fcn"], align_corners=False)
    torch.save({"state_dict": model.state_dict()}, tmp_path / "unet.pth")
    cv2.imwrite(str(tmp_path / "street.png"), np.zeros((37, 52, 3), np.uint8))
    flags = ["--manifest", tmp_path / "zoo.yaml", "--file", tmp_path / "unet.pth", "--out", tmp_path / "out"]
    command = ["predict", "unet", tmp_path / "street.png", *flags]
    assert main([*map(str, command), "--protocol", "own-size"]) == 3
    told = capsys.readouterr().err
    assert "found 37x52 (height x width). Pad them: size_divisor: 16 in the protocol." in told
    assert "Sizes of tensors" not in told
    assert main([*map(str, command), "--protocol", "padded"]) == 0


def test_a_picture_that_the_network_does_not_run_on_does_not_stop_the_others(tmp_path, capsys):
    (tmp_path / "zoo.yaml").write_text(MANIFEST)
    model = build_model(**UNET, head=HEADS["fcn"], align_corners=False)
    torch.save({"state_dict": model.state_dict()}, tmp_path / "unet.pth")
    for name, width in (("a", 53), ("b", 64)):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.zeros((48, width, 3), np.uint8))
    flags = ["--manifest", tmp_path / "zoo.yaml", "--file", tmp_path / "unet.pth", "--out", tmp_path / "out"]
    pictures = [tmp_path / "a.png", tmp_path / "b.png"]
    assert main([*map(str, ["predict", "unet", *pictures, *flags]), "--protocol", "own-size", "-q"]) == 3
    told = capsys.readouterr()
    assert told.err.startswith(f"zoo: {pictures[0]}: expected images whose sides are multiples of 16 pixels")
    assert told.out.startswith(f"{pictures[1]}: ")
    assert [path.name for path in (tmp_path / "out/unet/labels").iterdir()] == ["b.png"]


def test_no_label_map_is_written_of_scores_that_are_no_numbers(tmp_path, capsys):
    (tmp_path / "zoo.yaml").write_text(MANIFEST)
    state = build_model(**UNET, head=HEADS["fcn"], align_corners=False).state_dict()
    state["decode_head.conv_seg.bias"] = torch.full_like(state["decode_head.conv_seg.bias"], torch.nan)
    torch.save({"state_dict": state}, tmp_path / "unet.pth")
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((48, 64, 3), np.uint8))
    flags = ["--manifest", tmp_path / "zoo.yaml", "--file", tmp_path / "unet.pth", "--out", tmp_path / "out"]
    command = [*map(str, ["predict", "unet", tmp_path / "a.png", *flags]), "--protocol", "own-size", "-q"]
    assert main(command) == 3
    assert capsys.readouterr().err == (
        f"zoo: {tmp_path / 'a.png'}: the network's scores are no numbers (NaN or infinite) at 3072 pixels; zoo "
        "check-weights examines the file\n"
    )
    assert not (tmp_path / "out").exists()
