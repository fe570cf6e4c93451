"""What `zoo list` and `zoo show` print: the manifest for people and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from ...reports.media import tabulate
from ...reports.metrics import METRICS
from ..files.urls import shown_url

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ...evaluate.data.datasets import DatasetSpec
    from ...evaluate.protocol import EvalProtocol
    from ..manifest import Checkpoint, Claim, Cost

NOT_PUBLISHED = "–"


def list_table(checkpoints: Iterable[Checkpoint]) -> str:
    """One line a checkpoint with its published numbers as printed."""
    rows = list(checkpoints)
    metrics = [metric for metric in METRICS if any(_printed(row, metric) for row in rows)]
    header = ["id", "dataset", "backbone", "crop", *(METRICS[metric].title for metric in metrics)]
    body = [
        [
            row.id,
            row.dataset,
            row.backbone,
            _by(row.crop),
            *(_printed(row, metric) or NOT_PUBLISHED for metric in metrics),
        ]
        for row in rows
    ]
    return tabulate(body, header, disable_numparse=True, colalign=("left",) * 4 + ("right",) * len(metrics))


def _printed(checkpoint: Checkpoint, metric: str) -> str:
    """The first printed figure of a metric; a revised one is marked, and `zoo show` tells both."""
    printed = [claim.printed for claim in checkpoint.claims if claim.metric == metric and claim.printed]
    return printed[0] + ("*" if len(printed) > 1 else "") if printed else ""


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def list_records(checkpoints: Iterable[Checkpoint]) -> list[dict[str, Any]]:
    """`zoo list --json`: one object a checkpoint; `value` is the figure as printed, null where there is none."""
    return [_record(checkpoint) for checkpoint in checkpoints]


def _record(checkpoint: Checkpoint) -> dict[str, Any]:
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
        "weights": msgspec.to_builtins(checkpoint.weights) | {"urls": _shown(checkpoint.weights.urls)},
        "log_urls": _shown(checkpoint.log_urls),
        "config_urls": _shown(checkpoint.config_urls),
        "claims": [_claim_record(claim) for claim in checkpoint.claims],
    }


def _shown(urls: Iterable[str]) -> list[str]:
    return [shown_url(url) for url in urls]


def _claim_record(claim: Claim) -> dict[str, Any]:
    fields = msgspec.to_builtins(claim)
    record = {
        "metric": fields.pop("metric"),
        "value": fields.pop("printed"),
        "protocol": fields.pop("protocol", None),
    }
    return record | {key: value for key, value in fields.items() if value not in (None, "", [], {})}


def show_records(checkpoints: Iterable[Checkpoint]) -> list[dict[str, Any]]:
    """`zoo show --json`: the list's objects with architecture, training and whole protocols."""
    return [
        _record(checkpoint)
        | {
            "architecture": msgspec.to_builtins(checkpoint.architecture),
            "training": msgspec.to_builtins(checkpoint.training),
            "protocols": {
                claim.metric: msgspec.to_builtins(checkpoint.protocol(claim.metric))
                for claim in checkpoint.claims
                if claim.protocol
            },
        }
        for checkpoint in checkpoints
    ]


def show_text(checkpoint: Checkpoint) -> str:
    """Everything the manifest knows of one checkpoint, for a person."""
    facts = [
        ("also called", ", ".join(checkpoint.aliases)),
        ("publisher", checkpoint.publisher),
        ("model", f"{checkpoint.method}, {checkpoint.backbone}"),
        ("parameters", f"{checkpoint.parameters:,}" if checkpoint.parameters else ""),
        ("cost", _cost_text(checkpoint.cost)),
        ("data set", _dataset_text(checkpoint.dataset_spec)),
        ("trained", f"crop {_by(checkpoint.crop)}, schedule {checkpoint.schedule}"),
        ("weights", "\n".join(_shown(checkpoint.weights.urls))),
        ("hash", _hash_text(checkpoint)),
        ("log", "\n".join(_shown(checkpoint.log_urls))),
        ("config", "\n".join(_shown(checkpoint.config_urls))),
    ]
    table = tabulate([(name, text) for name, text in facts if text], tablefmt="plain", disable_numparse=True)
    header = ["claim", "printed", "protocol", "source", "note"]
    claims = tabulate(
        [_claim_row(claim) for claim in checkpoint.claims],
        header,
        disable_numparse=True,
        maxcolwidths=[None] * 4 + [60],
    )
    return f"{checkpoint.id}\n\n{table}\n\n{claims}"


def _dataset_text(spec: DatasetSpec) -> str:
    return f"{spec.title}, {spec.split}, {spec.image_count} images, {len(spec.classes)} classes"


def _cost_text(cost: Cost | None) -> str:
    if cost is None:
        return ""
    size = f"one float32 forward pass on {_by(cost.size)} (h x w)"
    return (
        f"{cost.gflops:,.1f} GFLOPs, {cost.peak_activations_mib:,.0f} MiB of live activations at most: {size}"
    )


def _hash_text(checkpoint: Checkpoint) -> str:
    weights = checkpoint.weights
    if weights.sha256:
        return f"sha256 {weights.sha256}"
    if weights.sha256_prefix:
        return f"sha256 begins with {weights.sha256_prefix} (from the file's name)"
    return "none published"


def _claim_row(claim: Claim) -> list[str]:
    metric = METRICS[claim.metric]
    source = claim.source
    where = f"{source.document}, {source.section}, row {source.row}" if source else ""
    return [
        metric.title,
        claim.printed or "not published",
        claim.protocol or claim.device or "",
        f"{where} ({claim.date})" if claim.date else where,
        claim.note or "",
    ]


def protocol_text(protocol: EvalProtocol) -> str:
    """A protocol in words, one step a line, with its digest."""
    size = "the image's own size" if protocol.base_scale is None else _scale_text(protocol)
    kinds = {
        "base_scale": "the original image is resized again for each ratio of the base scale",
        "image_scale": "the original image is resized by each ratio of its own size",
        "tensor": "the resized and normalised image is interpolated by each ratio",
    }
    window = protocol.window
    steps = [
        ("resize", f"{size}, {protocol.interpolation} on uint8"),
        (
            "normalise",
            f"{protocol.channels}, minus {list(protocol.mean)}, by {list(protocol.std)} ({protocol.normalisation})",
        ),
        (
            "views",
            f"scales {', '.join(f'{ratio:g}' for ratio in protocol.scales)}{', each mirrored too' * protocol.flip}",
        ),
        ("made by", kinds[protocol.views] if len(protocol.scales) > 1 else ""),
        ("swap on flip", ", ".join(f"{a}<->{b}" for a, b in protocol.flip_pairs)),
        (
            "window",
            "whole image" if window is None else f"{_by(window.crop)} (h x w), stride {_by(window.stride)}",
        ),
        ("upsampling", f"{protocol.upsampling}, bilinear, align_corners={protocol.align_corners}"),
        (
            "average",
            protocol.average
            + (f", softmax at {protocol.softmax_at}" * (protocol.average == "probabilities")),
        ),
        ("digest", protocol.digest()),
    ]
    table = tabulate([(name, text) for name, text in steps if text], tablefmt="plain", disable_numparse=True)
    title = f"{protocol.name}: {protocol.description}" if protocol.description else protocol.name
    return f"{title}\n{table}"


def _scale_text(protocol: EvalProtocol) -> str:
    assert protocol.base_scale is not None
    width, height = protocol.base_scale
    return f"{'fit into' if protocol.keep_ratio else 'stretch to'} {width}x{height} (w x h)"
