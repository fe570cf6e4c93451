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
}
MMSEG_BACKBONES = {"ResNet": "resnet", "ResNetV1c": "resnet", "ResNeSt": "resnest"}
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
}
SSSEG_BACKBONES = {"ResNet": "resnet", "ResNeSt": "resnest"}
STRIDES = {
    8: ([1, 2, 1, 1], [1, 1, 2, 4]),
    16: ([1, 2, 2, 1], [1, 1, 1, 2]),
    32: ([1, 2, 2, 2], [1, 1, 1, 1]),
}
"""Output stride -> strides and dilations of the stages, in sssegmentation's ResNet."""

RENAMED = {"kernel_size": "kernel"}
NUMBERS = {
    "depth", "strides", "dilations", "multi_grid",
    "in_index", "channels", "num_convs", "concat_input", "dilation", "kernel_size", "pool_scales", "c1_channels", "isa_channels",
    "reduction", "ratio", "recurrence", "pam_channels",
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

    def scores(self) -> dict[str, np.ndarray]:
        """`logits_HxW`, `aux0_HxW` and `head_out_N_HxW` (of heads with more than one output), where kept whole."""
        with np.load(REFERENCE / "golden" / self.zoo / f"{self.name}.npz") as arrays:
            return {
                name: arrays[name]
                for name in arrays.files
                if re.fullmatch(r"(logits|aux0|head_out_\d)_\d+x\d+", name)
            }

    def images(self, size: str) -> torch.Tensor:
        """(1, 3, H, W)."""
        return torch.from_numpy(np.load(REFERENCE / "golden" / self.zoo / "inputs.npz")[f"x_{size}"])


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
    backbone = record["backbone"] or {}
    ours = {"type": _type("backbone", backbone.get("type"), MMSEG_BACKBONES), **_numbers(backbone)}
    if backbone.get("type") == "ResNet":
        ours["stem"] = "plain"
    if record["neck"]:
        raise Unbuilt(f"neck {record['neck']['type']}")

    def head(one: dict[str, Any]) -> dict[str, Any]:
        return {"type": _type("head", one.get("type"), MMSEG_HEADS), **_numbers(one)}

    def heads(some: Any) -> Any:
        return [head(one) for one in some] if isinstance(some, list) else head(some or {})

    architecture = {
        "backbone": ours,
        "head": heads(record["decode_head"]),
        "num_classes": record["num_classes"],
        "align_corners": record["align_corners"],
    }
    return architecture | ({"auxiliary": heads(record["auxiliary_head"])} if record["auxiliary_head"] else {})


def _ssseg(record: dict[str, Any]) -> dict[str, Any]:
    backbone, head, auxiliary = record["backbone"], record["head"], record["auxiliary"]
    strides, dilations = STRIDES[backbone["outstride"]] if "outstride" in backbone else (None, None)
    ours = {"type": _type("backbone", backbone["type"], SSSEG_BACKBONES), "depth": backbone["depth"]}
    own = _type("segmentor", record["segmentor"], SSSEG_HEADS)
    numbers = {key: head[key] for key in ("pool_scales", "dilations") if key in head}
    aux = {
        "type": "fcn",
        "in_index": 2,
        "channels": auxiliary["out_channels"],
        "num_convs": 1,
        "concat_input": False,
    }
    return {
        "backbone": {**ours, "strides": strides, "dilations": dilations},
        "head": {**own, **numbers, "channels": head["feats_channels"]},
        "auxiliary": aux,
        "num_classes": record["classes"],
    }
