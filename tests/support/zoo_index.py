"""The recorded architectures of both publishers' zoos as records of ours: what `index.json` says, in our words.

`../shared/golden/mmseg_zoo` and `ssseg_zoo` hold an entry for every distinct network that the publishers offer weights
for. An entry that names a part nobody has built yet says which; a part's own numbers go by the publisher's names where
ours are the same.
"""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import weights_rule

REFERENCE = Path(__file__).resolve().parents[3] / "shared"

MMSEG_HEADS = {
    "FCNHead": "fcn",
    "PSPHead": "psp",
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
}
MMSEG_BACKBONES = {
    "ResNet": "resnet",
    "ResNetV1c": "resnet",
    "ResNeSt": "resnest",
    "MobileNetV2": "mobilenet_v2",
    "MobileNetV3": "mobilenet_v3",
    "ICNet": "icnet",
}
MMSEG_NECKS = {"JPU": "jpu", "FPN": "fpn", "ICNeck": "cff"}
SEVERAL = {"enc", "uper", "fpn", "lraspp", "point"}
"""Heads that read every map, or always the same, so that no number says which."""
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
    "OCRNet": {"type": "ocr", "out_kernel": 3, "dropout": False},
    "SemanticFPN": {"type": "fpn"},
    "PointRend": {"type": "point", "norm": True},
    "LRASPPNet": {"type": "lraspp", "gate_norm": True},
    "ICNet": {"type": "fcn", "num_convs": 1, "concat_input": False},
}
SSSEG_BACKBONES = {
    "ResNet": "resnet",
    "ResNeSt": "resnest",
    "MobileNetV2": "mobilenet_v2",
    "MobileNetV3": "mobilenet_v3",
}
SSSEG_NECKS: dict[str, dict[str, Any]] = {
    "SemanticFPN": {"type": "fpn", "norm": True},
    "PointRend": {"type": "fpn", "norm": True},
    "ICNet": {"type": "cff"},
}
STRIDES = {
    8: ([1, 2, 1, 1], [1, 1, 2, 4]),
    16: ([1, 2, 2, 1], [1, 1, 1, 2]),
    32: ([1, 2, 2, 2], [1, 1, 1, 1]),
}
"""Output stride -> strides and dilations of the stages, in sssegmentation's ResNet; those of its other backbones are ours."""

RENAMED = {"kernel_size": "kernel", "arch": "size", "arch_type": "size"}
NUMBERS = {
    "depth", "strides", "dilations", "multi_grid",
    "in_index", "channels", "num_convs", "concat_input", "dilation", "kernel_size", "pool_scales", "c1_channels", "isa_channels",
    "reduction", "ratio", "recurrence", "pam_channels", "project_channels",
    "key_pool_scales", "filter_sizes", "ema_channels", "num_bases", "num_codes", "mask_size", "shrink_factor",
    "ocr_channels", "arch", "arch_type",
}  # fmt: skip
"""What of a configuration is a number of ours; the rest is the same for all, or training's."""


class Unbuilt(Exception):  # noqa: N818  (no error: the part is yet to come)
    """An entry needs what is not there; the message names it."""


class Entry(NamedTuple):
    """A recorded network."""

    zoo: str
    """Folder of the recordings: `mmseg_zoo`, `ssseg_zoo`."""
    name: str
    record: dict[str, Any]
    """Its entry in the index."""

    @property
    def layout(self) -> str:
        return self.zoo.removesuffix("_zoo")

    def architecture(self) -> dict[str, Any]:
        """Ours.

        Raises:
            Unbuilt: a part is not there yet.
        """
        return (_mmseg if self.layout == "mmseg" else _ssseg)(self.record)

    def tensors(self) -> list[Any]:
        """Name, shape and type of every tensor."""
        path = REFERENCE / "keys" / self.zoo / f"{self.name}.json.gz"
        return json.loads(gzip.decompress(path.read_bytes()))

    def scores(self) -> dict[str, tuple[np.ndarray, list[int]]]:
        """`logits_HxW`, `aux0_HxW`, `stage0_HxW` and `head_out_N_HxW` (of heads with more than one output) -> the scores that are kept, and every how many of each axis."""
        thinned = self.record.get("strided") or self.record.get("notes") or {}
        with np.load(REFERENCE / "golden" / self.zoo / f"{self.name}.npz") as arrays:
            return {
                name.removesuffix("_strided"): (
                    arrays[name],
                    thinned[name.removesuffix("_strided")]["strides"]
                    if name.endswith("_strided")
                    else [1] * arrays[name].ndim,
                )
                for name in arrays.files
                if re.fullmatch(r"(logits|aux\d|stage\d|head_out_\d)_\d+x\d+(_strided)?", name)
            }

    def images(self, size: str) -> torch.Tensor:
        """(1, 3, H, W)."""
        inputs = np.load(REFERENCE / "golden" / self.zoo / "inputs.npz")
        if f"x_{size}" in inputs:
            return torch.from_numpy(inputs[f"x_{size}"])
        height, width = map(int, size.split("x"))
        if (height, width) == (96, 128):
            return torch.from_numpy(inputs["x_97x129"])[:, :, :height, :width]
        return torch.from_numpy(weights_rule.widened(inputs["x_64x128"], height, width))


def entries() -> list[Entry]:
    """Every recorded network; none where the reference folder is not."""
    found = []
    for zoo in ("mmseg_zoo", "ssseg_zoo"):
        path = REFERENCE / "golden" / zoo / "index.json"
        if path.is_file():
            records = json.loads(path.read_text(encoding="utf-8"))["entries"]
            named = (
                records.items() if isinstance(records, dict) else ((one["config"], one) for one in records)
            )
            found += [Entry(zoo, name, record) for name, record in named]
    return found


def _type(kind: str, name: str | None, known: dict[str, Any]) -> Any:
    if name not in known:
        raise Unbuilt(f"{kind} {name}")
    return known[name]


def _numbers(record: dict[str, Any]) -> dict[str, Any]:
    return {RENAMED.get(key, key): value for key, value in record.items() if key in NUMBERS}


def _mmseg(record: dict[str, Any]) -> dict[str, Any]:
    backbone, neck = record["backbone"] or {}, record["neck"]
    ours = {
        "type": _type("backbone", backbone.get("type"), MMSEG_BACKBONES),
        **_numbers(
            backbone.get("backbone_cfg", backbone)
        ),  # ICNet's ResNet, of the strides that are ours anyway
    }
    if backbone.get("type") == "ResNet":
        ours["stem"] = "plain"
    if "backbone_cfg" in backbone:
        ours = {key: ours[key] for key in ("type", "depth")}

    def heads(some: Any) -> Any:
        return [_mmseg_head(one) for one in some] if isinstance(some, list) else _mmseg_head(some or {})

    architecture = {
        "backbone": ours,
        "head": heads(record["decode_head"]),
        "num_classes": record["num_classes"] or record["decode_head"]["kernel_generate_head"]["num_classes"],
        "align_corners": record["align_corners"],
    }
    if neck:
        architecture["neck"] = {"type": _type("neck", neck["type"], MMSEG_NECKS), **_numbers(neck)}
    return architecture | ({"auxiliary": heads(record["auxiliary_head"])} if record["auxiliary_head"] else {})


def _mmseg_head(one: dict[str, Any]) -> dict[str, Any]:
    kind = _type("head", one.get("type"), MMSEG_HEADS)
    if kind == "knet":
        return {
            "type": kind,
            "stages": one["num_stages"],
            "generator": _mmseg_head(one["kernel_generate_head"]),
        }
    numbers = {key: value for key, value in _numbers(one).items() if key != "in_index" or kind not in SEVERAL}
    undropped = one.get("dropout_ratio", 0.1) <= 0 and kind != "point"
    return {"type": kind, **numbers, **({"dropout": False} if undropped else {})}


def _ssseg(record: dict[str, Any]) -> dict[str, Any]:
    backbone, head = record["backbone"], record["head"]
    kind, jpu = record.get("fastfcn_segmentor", record["segmentor"]), head.get("jpu")
    ours = {"type": _type("backbone", backbone["type"], SSSEG_BACKBONES), **_numbers(backbone)}
    leaky = {"activation": "leaky_relu"} if record["act_cfg"]["type"] == "LeakyReLU" else {}  # of heads alone
    own = {
        **leaky,
        **_type("segmentor", kind, SSSEG_HEADS),
        **{key: head[key] for key in ("pool_scales", "dilations") if key in head},
        "channels": head.get("scale_head_channels", head["feats_channels"]),
    }
    if kind in {"MCIBI", "MCIBIPlusPlus", "IDRNet"}:
        own |= _of_classes(record)
    if kind == "ICNet":
        ours |= {"type": "icnet", "levels_first": False}
    elif "depth" in ours:
        ours["strides"], ours["dilations"] = STRIDES[backbone["outstride"]]
    neck = {"type": "jpu"} if jpu else SSSEG_NECKS.get(kind)
    architecture = {"backbone": ours, "num_classes": record["classes"]} | ({"neck": neck} if neck else {})
    if kind == "PointRend":
        first = {"type": "fpn", "channels": head["scale_head_channels"], "dropout": False}
        return architecture | {"head": [first, {**own, "channels": head["feats_channels"]}]}
    several = isinstance(record["auxiliary"], list)
    auxiliaries = [
        {
            "type": "fcn",
            "in_index": index if several else 1 if jpu else 2,
            "channels": one["out_channels"],
            "num_convs": 1,
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


def _of_classes(record: dict[str, Any]) -> dict[str, Any]:
    """The numbers of heads that keep something of each class."""
    head = record["head"]
    if head.get("downsample_backbone", {"stride": 1})["stride"] > 1 or "norm_cfg" in head:
        raise Unbuilt("a norm or a convolution between backbone and head of MCIBI")
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
