"""Rows of the manifest as plain data and as words, as `zoo list` and `zoo show` give them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from ...files.urls import shown_url

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ...manifest import Checkpoint, Claim


def row_record(checkpoint: Checkpoint) -> dict[str, Any]:
    """One object a checkpoint; a claim's `value` is the figure as printed, null where there is none."""
    return {
        "id": checkpoint.id,
        "aliases": list(checkpoint.aliases),
        "publisher": checkpoint.publisher,
        "method": checkpoint.method,
        "backbone": checkpoint.backbone,
        "dataset": checkpoint.dataset,
        "crop": list(checkpoint.crop),
        "schedule": checkpoint.schedule,
        "parameters": checkpoint.parameters,
        "cost": msgspec.to_builtins(checkpoint.cost),
        "weights": msgspec.to_builtins(checkpoint.weights) | {"urls": shown_urls(checkpoint.weights.urls)},
        "log_urls": shown_urls(checkpoint.log_urls),
        "config_urls": shown_urls(checkpoint.config_urls),
        "claims": [_claim_record(claim) for claim in checkpoint.claims],
    }


def _claim_record(claim: Claim) -> dict[str, Any]:
    fields = msgspec.to_builtins(claim)
    record = {
        "metric": fields.pop("metric"),
        "value": fields.pop("printed"),
        "protocol": fields.pop("protocol", None),
    }
    return record | {key: value for key, value in fields.items() if value not in (None, "", [], {})}


def shown_urls(urls: Iterable[str]) -> list[str]:
    """Without what is secret in them."""
    return [shown_url(url) for url in urls]


def by(size: tuple[int, int]) -> str:
    """`512x1024`."""
    return f"{size[0]}x{size[1]}"
