"""What the publishers' configuration names mean in numbers of our builders."""

from __future__ import annotations

from typing import Any

SSSEG_CLASSES = {"voc": 21, "ade20k": 150, "cityscapes": 19, "cocostuff10k": 182, "lip": 20}

SSSEG_ISANET = [
    f"isanet_resnet{depth}os8_{dataset}" for depth in (50, 101) for dataset in ("voc", "ade20k", "cityscapes")
]
SSSEG_ISNET = [
    f"isnet_{backbone}os8_{dataset}"
    for backbone in ("resnet50", "resnet101", "resnest101")
    for dataset in ("ade20k", "cityscapes", "cocostuff10k", "lip")
]


def ssseg_architecture(config: str) -> tuple[str, dict[str, Any]]:
    """Builder and numbers of one of sssegmentation's 18 configurations, e.g. `isnet_resnet50os8_lip`."""
    method, backbone, dataset = config.replace("os8", "").split("_")
    numbers: dict[str, Any] = {"num_classes": SSSEG_CLASSES[dataset]}
    if method == "isanet":
        return "isanet_ssseg", numbers | {"depth": int(backbone.removeprefix("resnet"))}
    numbers["backbone"] = backbone
    if dataset == "lip":
        numbers |= {"shortcut": True, "activation": "leaky_relu"}
    return "isnet_ssseg", numbers
