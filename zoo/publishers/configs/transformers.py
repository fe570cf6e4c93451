"""Transformers of configurations in our words; both publishers give them the same numbers by the same names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def transformer(record: dict[str, Any]) -> dict[str, Any] | None:
    """Our backbone for a publisher's; None where it is no transformer."""
    known = {
        "MixVisionTransformer": _mit,
        "SwinTransformer": _swin,
        "PCPVT": _twins,
        "SVT": _twins,
        "VisionTransformer": _vit,
        "BEiT": _beit,
        "MAE": _beit,
    }
    kind = record.get("type")
    return known[kind](record) if kind in known else None


def _mit(record: dict[str, Any]) -> dict[str, Any]:
    return {"type": "mit", "channels": record["embed_dims"], "depths": record["num_layers"]}


def _swin(record: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "swin",
        "channels": record["embed_dims"],
        "depths": record["depths"],
        "heads": record["num_heads"],
        "window": record["window_size"],
    }


def _twins(record: dict[str, Any]) -> dict[str, Any]:
    names = {"embed_dims": "channels", "num_heads": "heads", "mlp_ratios": "mlp_ratios", "depths": "depths"}
    local = {"window": record["windiow_sizes"][0], "norm_outputs": True} if record["type"] == "SVT" else {}
    return {"type": "twins", **{names[key]: record[key] for key in names if key in record}, **local}


def _vit(record: dict[str, Any]) -> dict[str, Any]:
    ours = "structure_type" in record  # sssegmentation's
    last = record["num_layers"] - 1
    return {
        "type": "vit",
        **_tokens(record),
        "outputs": record.get("out_indices", [last]),
        "resize": record.get("interpolate_mode", "bilinear" if ours else "bicubic"),
        "class_token": record.get("with_cls_token", True),
        "class_outputs": record.get("output_cls_token", False),
        "final_norm": record.get("final_norm", False),
        "patch_bias": record.get("patch_bias", ours),
        "norm_eps": (record.get("norm_cfg") or {}).get("eps", 1e-6 if ours else 1e-5),
    }


def _beit(record: dict[str, Any]) -> dict[str, Any]:
    mae = {"mae": True} if record["type"] == "MAE" else {}
    outputs = record.get("out_indices", [3, 5, 7, 11])
    return {"type": "beit", **_tokens(record), "outputs": outputs, **mae}


def _tokens(record: dict[str, Any]) -> dict[str, Any]:
    """Numbers that all of them have; sssegmentation leaves BEiT's out where they are those of its code."""
    side = record.get("img_size", 640)
    side = side if isinstance(side, int) else side[0]
    return {
        "channels": record.get("embed_dims", 768),
        "depth": record.get("num_layers", 12),
        "heads": record.get("num_heads", 12),
        "grid": side // record.get("patch_size", 16),
    }


def _maskformer(record: dict[str, Any]) -> dict[str, Any]:
    return {
        "channels": record["feat_channels"],
        "queries": record["num_queries"],
        "layers": record["transformer_decoder"]["num_layers"],
    }


def _segmenter(record: dict[str, Any]) -> dict[str, Any]:
    return {"channels": record["embed_dims"], "depth": record["num_layers"], "heads": record["num_heads"]}


def _dpt(record: dict[str, Any]) -> dict[str, Any]:
    return {"channels": record["channels"], "level_channels": record["post_process_channels"]}


def _setr_mla(record: dict[str, Any]) -> dict[str, Any]:
    return {"channels": record["mla_channels"]}


TRANSFORMER_HEADS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "maskformer": _maskformer,
    "mask2former": _maskformer,
    "segmenter": _segmenter,
    "dpt": _dpt,
    "setr_mla": _setr_mla,
}
"""Our head -> its numbers by mmsegmentation's configuration of it."""
