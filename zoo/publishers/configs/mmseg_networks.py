"""mmsegmentation's networks in our words: what a configuration calls parts and their numbers, and what we do."""

from __future__ import annotations

from typing import Any

from .parts import Unbuilt, known_type, numbers_of, types_alone
from .transformers import TRANSFORMER_HEADS, transformer

MMSEG_HEADS = {
    "FCNHead": "fcn",
    "PSPHead": "psp",
    "LightHamHead": "ham",
    "DDRHead": "ddr",
    "PIDHead": "pid",
    "ASPPHead": "aspp",
    "DepthwiseSeparableASPPHead": "sep_aspp",
    "ISAHead": "isa",
    "NLHead": "nl",
    "DNLHead": "dnl",
    "GCHead": "gc",
    "CCHead": "cc",
    "DAHead": "da",
    "ANNHead": "ann",
    "APCHead": "apc",
    "DMHead": "dm",
    "EMAHead": "ema",
    "EncHead": "enc",
    "PSAHead": "psa",
    "UPerHead": "uper",
    "OCRHead": "ocr",
    "FPNHead": "fpn",
    "PointHead": "point",
    "LRASPPHead": "lraspp",
    "IterativeDecodeHead": "knet",
    "SegformerHead": "segformer",
    "DepthwiseSeparableFCNHead": "sep_fcn",
    "STDCHead": "stdc",
    "SETRUPHead": "setr_up",
    "SETRMLAHead": "setr_mla",
    "DPTHead": "dpt",
    "SegmenterMaskTransformerHead": "segmenter",
    "MaskFormerHead": "maskformer",
    "Mask2FormerHead": "mask2former",
    "SideAdapterCLIPHead": "san",
}
MMSEG_BACKBONES = {
    "ResNet": "resnet",
    "ResNetV1c": "resnet",
    "ResNeSt": "resnest",
    "MobileNetV2": "mobilenet_v2",
    "MobileNetV3": "mobilenet_v3",
    "ICNet": "icnet",
    "mmcls.ConvNeXt": "convnext",
    "mmcls.PoolFormer": "poolformer",
    "mmpretrain.ConvNeXt": "convnext",
    "mmpretrain.PoolFormer": "poolformer",
    "MSCAN": "mscan",
    "CGNet": "cgnet",
    "ERFNet": "erfnet",
    "DDRNet": "ddrnet",
    "PIDNet": "pidnet",
    "HRNet": "hrnet",
    "UNet": "unet",
    "BiSeNetV1": "bisenet_v1",
    "BiSeNetV2": "bisenet_v2",
    "STDCContextPathNet": "stdc",
    "FastSCNN": "fast_scnn",
}
MMSEG_NECKS = {
    "JPU": "jpu",
    "FPN": "fpn",
    "ICNeck": "cff",
    "MultiLevelNeck": "mln",
    "Feature2Pyramid": "feature2pyramid",
    "MLANeck": "mla",
}
SEVERAL = {"enc", "uper", "fpn", "lraspp", "point", "segformer"}
"""Heads that read every map, or always the same, so that no number says which."""
WIDTHS = {
    "mscan": ("embed_dims", "depths"),
    "unet": ("base_channels",),
    "ddrnet": ("channels", "ppm_channels"),
    "pidnet": ("channels", "ppm_channels", "num_stem_blocks", "num_branch_blocks"),
}
"""What is a number of such a backbone alone."""


def mmseg_network(record: dict[str, Any]) -> dict[str, Any]:
    """The architecture that a configuration describes.

    Args:
        record: `backbone`, `neck`, `decode_head`, `auxiliary_head`, `num_classes` and `align_corners` of its `model`.

    Raises:
        Unbuilt: a part is not there yet.
    """
    backbone, neck = record["backbone"] or {}, record["neck"]
    if "image_encoder" in backbone:
        return _of_images_and_texts(record)
    ours = transformer(backbone) or _mmseg_backbone(backbone)

    def heads(some: Any) -> Any:
        return [_mmseg_head(one) for one in some] if isinstance(some, list) else _mmseg_head(some or {})

    architecture = {
        "backbone": ours,
        "head": heads(record["decode_head"]),
        "num_classes": record["num_classes"] or record["decode_head"]["kernel_generate_head"]["num_classes"],
        "align_corners": record["align_corners"],
    }
    if neck:
        architecture["neck"] = _mmseg_neck(neck)
    return architecture | ({"auxiliary": heads(record["auxiliary_head"])} if record["auxiliary_head"] else {})


SAN_IS = {
    "embed_dims": 240,
    "patch_size": 16,
    "fusion_index": [0, 1, 2, 3],
    "cfg_encoder": {"num_encode_layer": 8, "num_heads": 6, "mlp_ratio": 4},
    "sos_token_format": "cls_token",
    "cross_attn": False,
    "final_norm": True,
}
"""What our head is, whatever a configuration says."""


def _of_images_and_texts(record: dict[str, Any]) -> dict[str, Any]:
    """SAN: its backbone is two encoders, of which its head holds that of texts."""
    both, head = record["backbone"], record["decode_head"]
    image, text = both["image_encoder"], both["text_encoder"]
    side, last = head["san_cfg"], head["maskgen_cfg"]
    said = {**last, **side}
    if any(said[key] != value for key, value in SAN_IS.items()) or text["templates"] != "vild":
        raise Unbuilt(f"head {head['type']}")
    return {
        "backbone": {
            "type": "clip",
            "scale": both["encoder_resolution"],
            "patch": image["patch_size"],
            "grid": image["img_size"][0] // image["patch_size"],
            "channels": image["embed_dims"],
            "depth": image["num_layers"],
            "heads": image["num_heads"],
            "outputs": image["out_indices"],
        },
        "head": {
            "type": known_type("head", head["type"], MMSEG_HEADS),
            "vocabulary": text["dataset_name"],
            "queries": side["num_queries"],
            "depth": last["num_layers"],
            "heads": last["num_heads"],
            "out_channels": last["out_dims"],
            "text_channels": text["embed_dims"],
            "text_depth": text["num_layers"],
            "text_heads": text["num_heads"],
        },
        "num_classes": record["num_classes"],
        "align_corners": record["align_corners"],
    }


def _mmseg_backbone(backbone: dict[str, Any]) -> dict[str, Any]:
    name = backbone.get("type")
    kind = known_type("backbone", name, MMSEG_BACKBONES)
    within = backbone.get("backbone_cfg", {})
    if kind in {"icnet", "bisenet_v1"}:  # the strides of its ResNet are ours anyway
        return {"type": kind, "depth": within["depth"]}
    if kind == "stdc":
        return {"type": kind, "number": int(within["stdc_type"].removeprefix("STDCNet"))}
    if kind in {"bisenet_v2", "fast_scnn", "cgnet", "erfnet"}:
        return {"type": kind}
    if kind == "hrnet":
        last = backbone["extra"]["stage4"]
        return {"type": kind, "width": last["num_channels"][0], "small": last["num_blocks"][0] == 2}
    if kind in WIDTHS:
        return {"type": kind, **{name: backbone[name] for name in WIDTHS[kind] if name in backbone}}
    undilated = {"strides": [1, 2, 2, 2], "dilations": [1, 1, 1, 1]} if kind == "resnet" else {}
    stem = {"stem": "plain"} if name == "ResNet" else {}
    return {"type": kind, **undilated, **numbers_of(backbone), **stem}


def _mmseg_neck(neck: dict[str, Any]) -> dict[str, Any]:
    kind = known_type("neck", neck["type"], MMSEG_NECKS)
    width = {"channels": neck["out_channels"]} if kind in {"mln", "mla"} else {}
    return {"type": kind, **numbers_of(neck), **width}


def _mmseg_head(one: dict[str, Any]) -> dict[str, Any]:
    kind = known_type("head", one.get("type"), MMSEG_HEADS)
    if kind == "knet":
        return {
            "type": kind,
            "stages": one["num_stages"],
            "generator": _mmseg_head(one["kernel_generate_head"]),
        }
    if kind in TRANSFORMER_HEADS:
        return {"type": kind, **TRANSFORMER_HEADS[kind](one)}
    numbers = {
        key: value for key, value in numbers_of(one).items() if key != "in_index" or kind not in SEVERAL
    }
    if one.get("input_transform") == "resize_concat":
        numbers["joined"] = bool(numbers.pop("in_index"))
    index = numbers.get("in_index")
    if isinstance(index, int) and index < 0:  # Fast-SCNN, of three maps
        numbers["in_index"] = index % 3
    if kind == "ham":
        return {
            "type": kind,
            "channels": one["channels"],
            "ham_channels": one["ham_channels"],
            "bases": one["ham_kwargs"]["MD_R"],
        }
    if kind in {"sep_fcn", "stdc"}:
        numbers.pop("concat_input", None)
    undropped = one.get("dropout_ratio", 0.1) <= 0 and kind not in {"point", "ddr"}
    return {"type": kind, **numbers, **({"dropout": False} if undropped else {})}


def mmseg_types(record: dict[str, Any]) -> dict[str, Any]:
    """What is known of a network that is not built yet: see `parts.types_alone`."""
    head = record["decode_head"]
    last = head[-1] if isinstance(head, list) else head or {}
    parts = {"backbone": record["backbone"] or {}, "neck": record["neck"], "head": last}
    theirs = {
        key: str(one.get("type", record.get("segmentor", "")))
        for key, one in parts.items()
        if one is not None
    }
    known = {"backbone": MMSEG_BACKBONES, "neck": MMSEG_NECKS, "head": MMSEG_HEADS}
    ours = {key: known[key][name] for key, name in theirs.items() if name in known[key]}
    ours |= {"backbone": one["type"]} if (one := transformer(parts["backbone"])) else {}
    return {**types_alone(theirs, ours), "num_classes": record["num_classes"]}
