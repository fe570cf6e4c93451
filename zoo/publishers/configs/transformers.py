"""Transformers of configurations in our words; both publishers give them the same numbers by the same names."""

from __future__ import annotations

from typing import Any


def transformer(record: dict[str, Any]) -> dict[str, Any] | None:
    """Our backbone for a publisher's; None where it is no transformer."""
    known = {
        "MixVisionTransformer": _mit,
        "SwinTransformer": _swin,
        "PCPVT": _twins,
        "SVT": _twins,
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
