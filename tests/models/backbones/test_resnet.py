"""Backbones against features recorded from mmsegmentation 1.2.2 and sssegmentation 1.7.0."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from segbench.models import build_model

TOLERANCE = 2e-4  # measured: nothing with the two threads of the recording, 4e-5 with one


@pytest.mark.parametrize("depth", [50, pytest.param(101, marks=pytest.mark.slow)])
def test_features_of_every_stage_are_mmsegs(golden, rule_model, depth):
    recorded = golden("mmseg/heads.npz")
    model = rule_model("isanet_mmseg", depth=depth, num_classes=19)
    features = model.backbone(torch.from_numpy(recorded["in_97x129"]))
    for number, feature in enumerate(features, 1):
        wide = feature.double()
        stats = [wide.mean().item(), wide.std().item(), wide.min().item(), wide.max().item()]
        corner = feature[0, :16, :4, :4].numpy()
        assert np.allclose(stats, recorded[f"feat_r{depth}_layer{number}_stats"], rtol=0, atol=TOLERANCE)
        assert np.abs(corner - recorded[f"feat_r{depth}_layer{number}_corner"]).max() < TOLERANCE


@pytest.mark.parametrize(
    ("size", "expected"),
    [((97, 129), [(25, 33), (13, 17), (13, 17), (13, 17)]), ((64, 128), [(16, 32)] + 3 * [(8, 16)])],
)
@pytest.mark.parametrize("backbone", ["resnet50", "resnest101"])
def test_strides_are_4_8_8_8_and_round_up(backbone, size, expected):
    with torch.device("meta"):
        model = build_model("isnet_ssseg", backbone=backbone, num_classes=3)
        features = model.backbone(torch.zeros(1, 3, *size))
    assert [tuple(feature.shape) for feature in features] == [
        (1, channels, *hw) for channels, hw in zip((256, 512, 1024, 2048), expected, strict=True)
    ]


def test_first_block_of_a_dilated_stage_is_dilated_half_as_much():
    with torch.device("meta"):
        backbone = build_model("isanet_mmseg", depth=50, num_classes=3).backbone
    dilations = [
        [block.conv2.dilation[0] for block in stage]
        for stage in (backbone.layer1, backbone.layer2, backbone.layer3, backbone.layer4)
    ]
    assert dilations == [[1, 1, 1], [1, 1, 1, 1], [1, 2, 2, 2, 2, 2], [2, 4, 4]]


def test_resnest_pools_behind_its_split_attention_in_the_striding_block_only():
    """The original ResNeSt also pools, at stride 1, in layer3.0 and layer4.0; sssegmentation does not."""
    with torch.device("meta"):
        backbone = build_model("isnet_ssseg", backbone="resnest101", num_classes=3).backbone
    pools = [name for name, part in backbone.named_modules() if isinstance(part, nn.AvgPool2d)]
    assert [name for name in pools if "downsample" not in name] == ["layer2.0.pool"]
    assert [name for name in pools if "downsample" in name] == [
        f"layer{i}.0.downsample.0" for i in (1, 2, 3, 4)
    ]
