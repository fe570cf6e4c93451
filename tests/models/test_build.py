"""Builders against the key lists dumped from the publishers' own models."""

from __future__ import annotations

import re

import pytest
import torch
from published import SSSEG_ISANET, SSSEG_ISNET, ssseg_architecture

from segbench.models import ArchitectureError, build_model, heads, known_types
from segbench.models.load.weights import convert_keys

MMSEG = [(depth, classes) for depth in (50, 101) for classes in (19, 150, 21)]


def meta_model(builder, **numbers):
    with torch.device("meta"):
        return build_model(builder, **numbers)


def forms(state):
    return {key: (list(value.shape), str(value.dtype)) for key, value in state.items()}


def dumped(keys):
    """The tensors of a key list, without their values."""
    return {key: torch.empty(shape, dtype=getattr(torch, dtype), device="meta") for key, shape, dtype in keys}


@pytest.mark.parametrize(("depth", "classes"), MMSEG)
def test_keys_shapes_and_types_are_mmsegs(golden, depth, classes):
    theirs = dumped(golden(f"keys/mmseg/isanet_r{depth}-d8_{classes}classes.json"))
    assert forms(meta_model("isanet_mmseg", depth=depth, num_classes=classes).state_dict()) == forms(theirs)


@pytest.mark.parametrize("config", SSSEG_ISANET + SSSEG_ISNET)
def test_keys_shapes_and_types_are_sssegs(golden, config):
    builder, numbers = ssseg_architecture(config)
    model = meta_model(builder, **numbers)
    theirs = convert_keys(dumped(golden(f"keys/ssseg/{config}.json")), "ssseg", model)
    assert forms(model.state_dict()) == forms(theirs)


@pytest.mark.parametrize(
    ("depth", "classes", "millions"),
    [
        (50, 19, 37_707_398),
        (50, 150, 37_808_268),
        (50, 21, 37_708_938),
        (101, 19, 56_699_526),
        (101, 150, 56_800_396),
        (101, 21, 56_701_066),
    ],
)
def test_parameter_counts_are_mmsegs(depth, classes, millions):
    model = meta_model("isanet_mmseg", depth=depth, num_classes=classes)
    assert sum(parameter.numel() for parameter in model.parameters()) == millions


def test_models_come_in_evaluation_mode():
    model = meta_model("isnet_ssseg", backbone="resnest101", num_classes=2)
    assert not any(module.training for module in model.modules())


def test_scores_have_stride_8_for_any_size():
    model = meta_model("isanet_ssseg", depth=50, num_classes=7)
    with torch.device("meta"):
        sizes = [tuple(model(torch.zeros(1, 3, *size)).shape) for size in ((1025, 2049), (1, 1), (683, 512))]
    assert sizes == [(1, 7, 129, 257), (1, 7, 1, 1), (1, 7, 86, 64)]


@pytest.mark.parametrize(
    ("builder", "numbers", "message"),
    [
        (
            "isanet_mmsg",
            {},
            (
                "builder: expected one of isanet_mmseg, isanet_ssseg, isnet_ssseg, segmentation_models_pytorch, torchvision, transformers; found isanet_mmsg; "
                "did you mean isanet_mmseg or isanet_ssseg or isnet_ssseg? A builder of your own comes by --builders "
                "FILE_OR_MODULE or ZOO_BUILDERS, an installed one by its package's entry point in segbench.builders."
            ),
        ),
        (
            "isanet_mmseg",
            {"deep": 50, "num_classes": 19},
            (
                "isanet_mmseg: expected depth, num_classes, base_channels, stem_channels, channels, isa_channels, "
                "auxiliary_channels; unknown: deep; missing: depth"
            ),
        ),
        (
            "isanet_mmseg",
            {"depth": 34, "num_classes": 19},
            "backbone resnet: depth: expected one of 18, 50, 101, 152; found 34",
        ),
        (
            "isanet_ssseg",
            {"depth": 50, "num_classes": "19"},
            "isanet_ssseg: num_classes: expected int; found '19'",
        ),
        (
            "isanet_ssseg",
            {"depth": 50, "num_classes": True},
            "isanet_ssseg: num_classes: expected int; found True",
        ),
        (
            "isanet_ssseg",
            {"depth": 50, "num_classes": 0},
            "isanet_ssseg: num_classes: expected a positive number; found 0",
        ),
        (
            "isnet_ssseg",
            {"backbone": "resnest50", "num_classes": 19},
            (
                "isnet_ssseg: backbone: expected one of resnet50, resnet101, resnest101; found resnest50; "
                "did you mean resnet50 or resnest101 or resnet101?"
            ),
        ),
        (
            "isnet_ssseg",
            {"backbone": "resnet50", "num_classes": 19, "activation": "gelu"},
            "isnet_ssseg: activation: expected one of relu, leaky_relu; found gelu; did you mean relu or leaky_relu?",
        ),
        (
            "isnet_ssseg",
            {"backbone": "resnet50", "num_classes": 19, "shortcut": 1},
            "isnet_ssseg: shortcut: expected bool; found 1",
        ),
    ],
)
def test_what_cannot_be_built_is_explained(builder, numbers, message):
    with pytest.raises(ArchitectureError, match=f"^{re.escape(message)}$"):
        build_model(builder, **numbers)


# Compositions

RESNET = {"type": "resnet", "depth": 18, "base_channels": 4}
FCN = {"type": "fcn", "channels": 4}


def test_a_builders_name_stands_for_a_composition():
    """What rows have called `isanet_mmseg` since before networks were composed."""
    named = meta_model("isanet_mmseg", depth=50, num_classes=19)
    composed = meta_model(
        None,
        backbone={"type": "resnet", "depth": 50},
        head={"type": "isa"},
        auxiliary={"type": "fcn", "in_index": 2, "channels": 256, "num_convs": 1, "concat_input": False},
        num_classes=19,
    )
    assert str(named) == str(composed)


def test_lists_of_heads_are_numbered_in_the_keys():
    model = meta_model(
        None,
        backbone=RESNET,
        head=FCN,
        auxiliary=[{**FCN, "in_index": 2}, {**FCN, "in_index": 1}],
        num_classes=3,
    )
    assert {key.rpartition(".conv_seg.")[0] for key in model.state_dict() if ".conv_seg." in key} == {
        "decode_head",
        "auxiliary_head.0",
        "auxiliary_head.1",
    }


class Refined(torch.nn.Module):
    """A second head of a cascade, which adds a half to what the first one says."""

    def __init__(self, in_channels, num_classes):
        super().__init__()
        self.channels = (in_channels, num_classes)

    def forward(self, features, scores):
        return scores + 0.5


def test_each_head_of_a_cascade_sees_the_scores_before():
    model = build_model(backbone=RESNET, head=[FCN, FCN], num_classes=3)
    model.decode_head[1] = Refined((4, 8, 16, 32), 3)
    images = torch.randn(1, 3, 33, 41)
    assert torch.equal(model(images), model.decode_head[0](model.features(images)) + 0.5)


HEAD = """
import torch
from torch import nn

class Brightest(nn.Module):
    def __init__(self, in_channels, num_classes, *, times: int = 1):
        super().__init__()
        self.conv_seg = nn.Conv2d(in_channels[-1], num_classes * times, 1)

    def forward(self, features):
        return self.conv_seg(features[-1])

build = Brightest
"""


def test_a_new_head_is_a_file_and_nothing_else(tmp_path, monkeypatch):
    (tmp_path / "brightest.py").write_text(HEAD, encoding="utf-8")
    monkeypatch.setattr(heads, "__path__", [*heads.__path__, str(tmp_path)])
    assert "brightest" in known_types("head")
    model = meta_model(None, backbone=RESNET, head={"type": "brightest", "times": 2}, num_classes=3)
    assert tuple(model.decode_head.conv_seg.weight.shape) == (6, 32, 1, 1)
    with pytest.raises(
        ArchitectureError, match=r"^head brightest: expected times; unknown: tmes; missing: none$"
    ):
        meta_model(None, backbone=RESNET, head={"type": "brightest", "tmes": 2}, num_classes=3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"head": {"type": "quu"}},
            f"head: expected one of {', '.join(known_types('head'))}; found quu",
        ),
        (
            {"head": {"channels": 3}},
            "head: expected a type and its numbers, {type: ...}; found {'channels': 3}",
        ),
        ({"head": []}, "head: expected a head, or several; found an empty list"),
        ({"head": "fcn"}, "architecture: head: expected dict | list; found 'fcn'"),
        (
            {"head": {**FCN, "in_index": 4}},
            "head fcn: cannot be built of {'channels': 4, 'in_index': 4}: tuple index out of range",
        ),
        ({"head": {**FCN, "in_index": -1}}, "head fcn: in_index: expected a number from 0 on; found -1"),
        ({"head": {**FCN, "kernel": [3, 3]}}, "head fcn: kernel: expected int; found [3, 3]"),
        (
            {"backbone": {**RESNET, "strides": [1, 2, 1]}},
            "backbone resnet: strides: expected a list of 4 numbers; found [1, 2, 1]",
        ),
        (
            {"backbone": {**RESNET, "strides": 8}},
            "backbone resnet: strides: expected a list of 4 numbers; found 8",
        ),
        (
            {"trunk": RESNET},
            (
                "architecture: expected backbone, head, num_classes, auxiliary, neck, align_corners; unknown: trunk; "
                "missing: none"
            ),
        ),
        (
            {"head": {"type": "knet", "generator": {**FCN, "channels": 7}}},
            (
                "head knet: cannot be built of {'generator': {'type': 'fcn', 'channels': 7}}: kernels of 7 channels are not "
                "updated 256 at a time"
            ),
        ),
        (
            {"head": {"type": "knet", "generator": 7}},
            "head: expected a type and its numbers, {type: ...}; found 7",
        ),
        (
            {"neck": {"type": "jpv"}},
            f"neck: expected one of {', '.join(known_types('neck'))}; found jpv; did you mean jpu?",
        ),
    ],
)
def test_a_composition_that_cannot_be_built_is_explained(change, message):
    with pytest.raises(ArchitectureError, match=f"^{re.escape(message)}$"):
        meta_model(None, **{"backbone": RESNET, "head": FCN, "num_classes": 3, **change})


def test_an_architecture_of_neither_kind_is_explained():
    with pytest.raises(ArchitectureError, match=r"^architecture: expected .*; found num_classes$"):
        build_model(num_classes=3)
