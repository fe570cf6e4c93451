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

from segbench.zoo.publishers.configs.mmseg_networks import mmseg_network
from segbench.zoo.publishers.configs.parts import Unbuilt
from segbench.zoo.publishers.configs.ssseg_networks import ssseg_network

__all__ = ["Entry", "Unbuilt", "entries"]

CLIP_SCALES = {"san-vit-b16_coco-stuff164k-640x640": 0.5, "san-vit-l14_coco-stuff164k-640x640": 0.7}
"""`encoder_resolution` of mmsegmentation 1.2.2's configurations, which the index leaves out."""

REFERENCE = Path(__file__).resolve().parents[3] / "shared"


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
        return (mmseg_network if self.layout == "mmseg" else ssseg_network)(whole(self.name, self.record))

    def tensors(self) -> list[Any]:
        """Name, shape and type of every tensor."""
        path = REFERENCE / "keys" / self.zoo / f"{self.name}.json.gz"
        return json.loads(gzip.decompress(path.read_bytes()))

    def scores(self) -> dict[str, tuple[np.ndarray, list[int]]]:
        """`logits_HxW`, `aux0_HxW`, `stage0_HxW` and `head_out_N_HxW` (of heads with more than one output), `cls_scores_HxW` and `mask_preds_HxW` (of mask classifiers; of SAN `mask_logits_HxW` and `mask_props_HxW`) -> the scores that are kept, and every how many of each axis."""
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
                if re.fullmatch(
                    r"(logits|aux\d|stage\d|head_out_\d|cls_scores|mask_preds|mask_logits|mask_props)_\d+x\d+(_strided)?",
                    name,
                )
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


def whole(name: str, record: dict[str, Any]) -> dict[str, Any]:
    """An entry with what the index leaves out of its configuration."""
    if name not in CLIP_SCALES:
        return record
    return record | {"backbone": record["backbone"] | {"encoder_resolution": CLIP_SCALES[name]}}


def entries() -> list[Entry]:
    """Every recorded network, those of one backbone together; none where the reference folder is not."""
    found = []
    for zoo in ("mmseg_zoo", "ssseg_zoo"):
        path = REFERENCE / "golden" / zoo / "index.json"
        if path.is_file():
            records = json.loads(path.read_text(encoding="utf-8"))["entries"]
            named = (
                records.items() if isinstance(records, dict) else ((one["config"], one) for one in records)
            )
            found += [Entry(zoo, name, record) for name, record in named]
    return sorted(found, key=lambda entry: (entry.zoo, json.dumps(entry.record["backbone"], sort_keys=True)))
