"""Builders against the key lists dumped from the publishers' own models."""

from __future__ import annotations

import re

import pytest
import torch
from published import SSSEG_ISANET, SSSEG_ISNET, ssseg_architecture

from segbench.models import ArchitectureError, build_model
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
                "builder: expected one of isanet_mmseg, isanet_ssseg, isnet_ssseg; found isanet_mmsg; "
                "did you mean isanet_mmseg or isanet_ssseg or isnet_ssseg?"
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
