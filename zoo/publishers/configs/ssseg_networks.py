"""sssegmentation's networks in our words: what a configuration calls parts and their numbers, and what we do."""

from __future__ import annotations

from typing import Any

from .parts import known_type, numbers_of, types_alone
from .transformers import transformer

SSSEG_HEADS: dict[str, dict[str, Any]] = {
    "FCN": {"type": "fcn", "concat_input": False},
    "PSPNet": {"type": "psp"},
    "Deeplabv3": {"type": "aspp", "pool_last": True},
    "Deeplabv3Plus": {"type": "sep_aspp", "pool_last": True},
    "NonLocalNet": {"type": "nl"},
    "DNLNet": {"type": "dnl"},
    "GCNet": {"type": "gc"},
    "CCNet": {"type": "cc"},
    "DANet": {"type": "da", "pam_bias": False},
    "ANNNet": {"type": "ann", "bias": False},
    "APCNet": {"type": "apc"},
    "DMNet": {"type": "dm"},
    "EMANet": {"type": "ema"},
    "ENCNet": {"type": "enc"},
    "PSANet": {"type": "psa"},
    "CE2P": {"type": "ce2p"},
    "MCIBI": {"type": "mcibi"},
    "MCIBIPlusPlus": {"type": "mcibi_pp"},
    "IDRNet": {"type": "idr"},
    "UPerNet": {"type": "uper"},
    "Segformer": {"type": "segformer"},
    "SETRUP": {"type": "setr_up", "norm": False},
    "SETRMLA": {"type": "setr_mla"},
    "MaskFormer": {"type": "maskformer", "pixel_decoder": "uper", "loss_weights": True},
    "Mask2Former": {"type": "mask2former", "loss_weights": True},
    "OCRNet": {"type": "ocr", "out_kernel": 3, "dropout": False},
    "SemanticFPN": {"type": "fpn"},
    "PointRend": {"type": "point", "norm": True},
    "LRASPPNet": {"type": "lraspp", "gate_norm": True},
    "ICNet": {"type": "fcn", "num_convs": 1, "concat_input": False},
    "DepthwiseSeparableFCN": {"type": "sep_fcn", "between": True},
}
SSSEG_BACKBONES = {
    "ResNet": "resnet",
    "ResNeSt": "resnest",
    "MobileNetV2": "mobilenet_v2",
    "MobileNetV3": "mobilenet_v3",
    "HRNet": "hrnet",
    "UNet": "unet",
    "BiSeNetV1": "bisenet_v1",
    "BiSeNetV2": "bisenet_v2",
    "FastSCNN": "fast_scnn",
    "MobileViT": "mobilevit",
    "MobileViTV2": "mobilevit_v2",
    "ConvNeXt": "convnext",
    "CGNet": "cgnet",
    "ERFNet": "erfnet",
}
SSSEG_NECKS: dict[str, dict[str, Any]] = {
    "SemanticFPN": {"type": "fpn", "norm": True},
    "PointRend": {"type": "fpn", "norm": True},
    "ICNet": {"type": "cff"},
}
TRANSFORMER_NECKS: dict[str, dict[str, Any]] = {
    "vit": {"type": "norms"},
    "beit": {"type": "feature2pyramid"},
}
"""Backbone -> what stands between it and all heads."""
STRIDES = {
    8: ([1, 2, 1, 1], [1, 1, 2, 4]),
    16: ([1, 2, 2, 1], [1, 1, 1, 2]),
    32: ([1, 2, 2, 2], [1, 1, 1, 1]),
}
"""Output stride -> strides and dilations of the stages, in sssegmentation's ResNet; those of its other backbones are ours."""


AUXILIARY_MAP = {"hrnet": 0, "unet": 3, "mobilevit": 3, "mobilevit_v2": 3}
"""Number of the map that the one auxiliary head reads, where it is not the third; beside a JPU it is the second of two."""

FUSION_FIRST = {"bisenet_v1", "bisenet_v2"}
"""Backbones whose first map is the decode head's, where sssegmentation has it last."""

VARIANTS = {
    "bisenet_v2": {"bias": False},
    "cgnet": {"norm_eps": 1e-5},
    "erfnet": {"bias": False, "norm_eps": 1e-5},
    "fast_scnn": {"between": True},
}
"""What sssegmentation's backbone of a type has otherwise than mmsegmentation's."""


def ssseg_network(record: dict[str, Any]) -> dict[str, Any]:
    """The architecture that a configuration describes.

    Args:
        record: its `segmentor`, `backbone`, `head`, `auxiliary`, `act_cfg` and `classes`.

    Raises:
        Unbuilt: a part is not there yet.
    """
    backbone, head = record["backbone"], record["head"]
    kind, jpu = record.get("fastfcn_segmentor", record["segmentor"]), head.get("jpu")
    ours = transformer(backbone) or _ssseg_backbone(backbone)
    leaky = {"activation": "leaky_relu"} if record["act_cfg"]["type"] == "LeakyReLU" else {}  # of heads alone
    own = {**leaky, **_own_head(kind, record)}
    if kind == "ICNet":
        ours = {"type": "icnet", "depth": ours["depth"], "levels_first": False}
    neck = {"type": "jpu"} if jpu else _neck(kind, ours["type"], head)
    architecture = {"backbone": ours, "num_classes": record["classes"]} | ({"neck": neck} if neck else {})
    if kind == "PointRend":
        first = {"type": "fpn", "channels": head["scale_head_channels"], "dropout": False}
        return architecture | {"head": [first, {**own, "channels": head["feats_channels"]}]}
    first = int(ours["type"] in FUSION_FIRST)
    if first:
        own["in_index"] = 0
    several = isinstance(record["auxiliary"], list)
    auxiliaries = [
        _enlarged_auxiliary(kind, index, one)
        if ours["type"] == "vit"
        else {
            "type": "fcn",
            "in_index": index + first if several else AUXILIARY_MAP.get(ours["type"], 1 if jpu else 2),
            "channels": one["out_channels"],
            "num_convs": one.get("num_convs", 1),
            "concat_input": False,
            **leaky,
        }
        for index, one in enumerate(record["auxiliary"] if several else [record["auxiliary"] or {}])
        if one
    ]
    if kind == "OCRNet":  # the auxiliary head is the first of two
        return architecture | {"head": [{**auxiliaries[0], "dropout": False}, own]}
    auxiliary = auxiliaries if several else next(iter(auxiliaries), None)
    return architecture | {"head": own} | ({"auxiliary": auxiliary} if auxiliary else {})


def _own_head(kind: str, record: dict[str, Any]) -> dict[str, Any]:
    head, ours = record["head"], known_type("segmentor", kind, SSSEG_HEADS)
    if kind in {"MaskFormer", "Mask2Former"}:
        return ours
    if kind == "SETRMLA":
        return {**ours, "channels": head["mla_up_channels"]}
    own = {
        **ours,
        **{key: head[key] for key in ("pool_scales", "dilations", "num_convs") if key in head},
        "channels": head.get("scale_head_channels", head["feats_channels"]),
    }
    if kind in {"MCIBI", "MCIBIPlusPlus", "IDRNet"}:
        return own | _of_classes(record)
    return own | (numbers_of(head) if kind == "SETRUP" else {})


def _neck(kind: str, backbone: str, head: dict[str, Any]) -> dict[str, Any] | None:
    if head.get("downsample_backbone", {"stride": 1})["stride"] > 1:
        return {"type": "strided"}
    if kind == "SETRMLA":
        return {"type": "mla", "channels": head["mla_feats_channels"]}
    return TRANSFORMER_NECKS.get(backbone) or SSSEG_NECKS.get(kind)


def _enlarged_auxiliary(kind: str, index: int, one: dict[str, Any]) -> dict[str, Any]:
    """An auxiliary head on a map of ViT."""
    own = {"listed_as": "decoders"} if kind.startswith("SETR") else {"mode": "nearest"}
    return {
        "type": "setr_up",
        "in_index": index + 1 if kind == "SETRMLA" else index,  # of maps from the deepest on, without that
        "channels": one["out_channels"],
        **numbers_of(one.get("upsample", {})),
        **numbers_of(one),
        "norm": False,
        **own,
    }


def _ssseg_backbone(backbone: dict[str, Any]) -> dict[str, Any]:
    kind = known_type("backbone", backbone["type"], SSSEG_BACKBONES)
    if kind == "hrnet":
        width, _, small = backbone["arch"].removeprefix("hrnetv2_w").partition("_")
        stem = {"stem_relu": False} if backbone.get("mcibi_version") else {}
        return {"type": kind, "width": int(width), "small": bool(small), "joined": True, **stem}
    if kind == "bisenet_v1":
        return {"type": kind, "depth": backbone["backbone_cfg"]["depth"], "stem": "deep"}
    if kind == "mobilevit_v2":  # a width of 0.5 is written 050, and has half of 32 channels in its stem
        return {"type": kind, "stem_channels": int(backbone["structure_type"][-3:]) * 32 // 100}
    if kind in VARIANTS:
        prelu = {"activation": "prelu"} if backbone.get("act_cfg", {}).get("type") == "PReLU" else {}
        return {"type": kind, **VARIANTS[kind], **prelu}
    ours = {"type": kind, **numbers_of(backbone)}
    if "depth" in ours:
        ours["strides"], ours["dilations"] = STRIDES[backbone["outstride"]]
    return ours


def _of_classes(record: dict[str, Any]) -> dict[str, Any]:
    """The numbers of heads that keep something of each class."""
    head = record["head"]
    context = head.get("context_within_image", {})
    if record["segmentor"] == "MCIBI":
        return {"dilations": context["cfg"]["dilations"]}
    if record["segmentor"] == "MCIBIPlusPlus":
        decoders = head["decoder"]
        return {
            "context": context["type"] if context["is_on"] else "none",
            "look_up_by_features": head["force_use_preds_pr"],
            "attend_memory": context.get("use_self_attention", True),
            "fpn_channels": head["fpn"]["out_channels"] if "fpn" in head else 0,
            "kernel": decoders["cls"].get("kernel_size", 1),
            "context_kernel": decoders["cwi"].get("kernel_size", 1),
            "features_kernel": decoders["pr"].get("kernel_size", 1),
            "downsample": head["downsample_before_sa"],
        }
    refined = ("before", "after")
    return {
        "context": head.get("coarse_context", {}).get("type", "none"),
        "refine": next((when for when in refined if head[f"use_sa_on_coarsecontext_{when}"]), "never"),
        "fpn_channels": head["fpn"]["out_channels"] if "fpn" in head else 0,
        "first_of_features": head["force_stage1_use_oripr"],
    }


def ssseg_types(record: dict[str, Any]) -> dict[str, Any]:
    """What is known of a network that is not built yet: see `parts.types_alone`."""
    theirs = {
        "backbone": record["backbone"]["type"],
        "head": record.get("fastfcn_segmentor", record["segmentor"]),
    }
    known = {"backbone": SSSEG_BACKBONES, "head": {name: one["type"] for name, one in SSSEG_HEADS.items()}}
    ours = {key: known[key][name] for key, name in theirs.items() if name in known[key]}
    ours |= {"backbone": one["type"]} if (one := transformer(record["backbone"])) else {}
    return {**types_alone(theirs, ours), "num_classes": record["classes"]}
