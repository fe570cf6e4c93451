"""Compositions that had a builder's name before networks were composed: a flat list of numbers to an architecture.

Manifests, evidence and ledgers go by these names, so they stay. A new network needs none: its row says `backbone`,
`head` and `auxiliary`.
"""

from __future__ import annotations

from typing import Any, Literal

from .layers import Activation  # noqa: TC001  (`build` reads the annotations)

Backbone = Literal["resnet50", "resnet101", "resnest101"]


def isanet_mmseg(
    *,
    depth: int,
    num_classes: int,
    base_channels: int = 64,
    stem_channels: int = 64,
    channels: int = 512,
    isa_channels: int = 256,
    auxiliary_channels: int = 256,
) -> dict[str, Any]:
    """ISANet as mmsegmentation publishes it (1.2.2, configs/_base_/models/isanet_r50-d8.py)."""
    return {
        "backbone": _resnet(depth, base_channels, stem_channels),
        "head": {"type": "isa", "channels": channels, "isa_channels": isa_channels},
        "auxiliary": _auxiliary(auxiliary_channels),
        "num_classes": num_classes,
    }


def isanet_ssseg(
    *,
    depth: int,
    num_classes: int,
    base_channels: int = 64,
    stem_channels: int = 64,
    channels: int = 512,
    isa_channels: int = 256,
    auxiliary_channels: int = 512,
) -> dict[str, Any]:
    """ISANet as sssegmentation publishes it (eb1878c1, configs/_base_/segmentors/isanet.py)."""
    variant = {"out_kernel": 3, "value_bias": False}
    return {
        "backbone": _resnet(depth, base_channels, stem_channels),
        "head": {"type": "isa", "channels": channels, "isa_channels": isa_channels, **variant},
        "auxiliary": _auxiliary(auxiliary_channels),
        "num_classes": num_classes,
    }


def isnet_ssseg(
    *,
    backbone: Backbone,
    num_classes: int,
    shortcut: bool = False,
    activation: Activation = "relu",
    base_channels: int = 64,
    stem_channels: int | None = None,
    channels: int = 512,
    transform_channels: int = 256,
    auxiliary_channels: int = 512,
) -> dict[str, Any]:
    """ISNet as sssegmentation publishes it (eb1878c1, configs/_base_/segmentors/isnet.py).

    Args:
        backbone: Family and depth.
        num_classes: Channels of the scores.
        shortcut: Fuse c1 in and give scores at stride 4; LIP only.
        activation: Of both heads and never of the backbone.
        base_channels: Width of the backbone's first stage.
        stem_channels: Channels behind the stem; by default as many as `base_channels`, for ResNeSt twice as many.
        channels: Channels of the decode head.
        transform_channels: Channels of its keys, queries and values.
        auxiliary_channels: Channels of the auxiliary head.
    """
    family = "resnest" if backbone.startswith("resnest") else "resnet"
    return {
        "backbone": {
            "type": family,
            "depth": int(backbone.removeprefix(family)),
            "base_channels": base_channels,
            "stem_channels": stem_channels,
        },
        "head": {
            "type": "isnet",
            "channels": channels,
            "transform_channels": transform_channels,
            "shortcut": shortcut,
            "activation": activation,
        },
        "auxiliary": {**_auxiliary(auxiliary_channels), "activation": activation},
        "num_classes": num_classes,
    }


def _resnet(depth: int, base_channels: int, stem_channels: int) -> dict[str, Any]:
    return {"type": "resnet", "depth": depth, "base_channels": base_channels, "stem_channels": stem_channels}


def _auxiliary(channels: int) -> dict[str, Any]:
    """One 3x3 block and a classifier on c3."""
    return {"type": "fcn", "in_index": 2, "channels": channels, "num_convs": 1, "concat_input": False}


NAMED = {compose.__name__: compose for compose in (isanet_mmseg, isanet_ssseg, isnet_ssseg)}
