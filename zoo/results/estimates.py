"""How long a verification will take, before anything runs, and what that estimate rests on."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Literal

import msgspec

from ...evaluate.geometry import padded_size, sliding_windows, view_size
from ..quantities import names
from ..quantities.counted import Counted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ...evaluate.geometry import Size
    from ...evaluate.protocol import EvalProtocol
    from ..manifest import Checkpoint
    from ..measuring.measurement import Measurement

Basis = Literal["measured", "scaled", "stated", "unknown"]

MEANINGS: dict[Basis, str] = {
    "measured": "seconds an image of this row and protocol, from the ledger",
    "scaled": "operations of this row at the median speed of the ledger's measurements",
    "stated": "operations of this row at the throughput given with --tflops; nothing was measured",
    "unknown": "neither measured nor are its operations counted; not in the total",
}


class Speeds(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a device."""

    device: str
    """Product name, or `cpu`; empty where nothing was measured."""
    seconds_per_image: dict[tuple[str, str], float] = {}
    """By checkpoint and protocol digest."""
    gflops_per_second: float | None = None
    """Median over the measurements whose operations are known; None without any."""


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """One accuracy claim's share of the work."""

    checkpoint: str
    metric: str
    images: int
    gflops_per_image: float | None
    """All views and windows of a typical image; operations are taken as proportional to pixels."""
    seconds_per_image: float | None
    basis: Basis

    @property
    def seconds(self) -> float:
        """On one device; 0 where unknown."""
        return self.images * (self.seconds_per_image or 0.0)


def work_gflops(checkpoint: Checkpoint, protocol: EvalProtocol) -> float | None:
    """10^9 operations on a typical image, over all views; None where the manifest has no cost."""
    cost = checkpoint.cost
    if cost is None:
        return None
    size = checkpoint.dataset_spec.typical_size or cost.size
    pixels = sum(_pixels(size, protocol, ratio) for ratio in protocol.scales) * (2 if protocol.flip else 1)
    return cost.gflops * pixels / (cost.size[0] * cost.size[1])


def _pixels(size: Size, protocol: EvalProtocol, ratio: float) -> int:
    """Pixels that one view of an image puts through the network."""
    height, width = view_size(size, protocol, ratio)
    if protocol.views == "tensor":
        height, width = int(height * ratio), int(width * ratio)
    height, width = padded_size((height, width), protocol)
    if protocol.window is None:
        return height * width
    windows = sliding_windows((height, width), protocol.window)
    return sum((place.bottom - place.top) * (place.right - place.left) for place in windows)


def speeds(records: Iterable[Measurement], rows: Iterable[Checkpoint], device: str | None = None) -> Speeds:
    """What measurements say of a device, by default of the one that was measured on last."""
    timed = [record for record in records if record.new_images and record.seconds and _device(record)]
    device = device or (_device(timed[-1]) if timed else "")
    found = {
        (record.checkpoint, record.protocol_digest): _seconds_per_image(record)
        for record in timed
        if _device(record) == device
    }
    work = {
        (row.id, protocol.digest()): work_gflops(row, protocol)
        for row in rows
        for protocol in _protocols(row).values()
    }
    rates = [gflops / found[name] for name, gflops in work.items() if gflops and name in found]
    return Speeds(
        device=device,
        seconds_per_image=found,
        gflops_per_second=statistics.median(rates) if rates else None,
    )


def _device(record: Measurement) -> str:
    return str(record.environment.get("device", ""))


def _seconds_per_image(record: Measurement) -> float:
    """Of one device: a cluster's wall time is shared by its slots."""
    return record.seconds * record.environment.get("slots", 1) / record.new_images


def _protocols(row: Checkpoint) -> dict[str, EvalProtocol]:
    """Metric -> protocol of the accuracies that a row claims; of metrics with one protocol, and so one run, the first."""
    found = {
        claim.metric: row.protocol(claim.metric)
        for claim in row.claims
        if claim.metric in names(Counted) and claim.protocol and claim.printed is not None
    }
    first = {protocol.digest(): metric for metric, protocol in reversed(found.items())}
    return {metric: protocol for metric, protocol in found.items() if first[protocol.digest()] == metric}


def estimates(rows: Iterable[Checkpoint], known: Speeds, tflops: float | None) -> list[Estimate]:
    """The work of every accuracy that the rows claim."""
    return [
        _estimate(row, metric, protocol, known, tflops)
        for row in rows
        for metric, protocol in _protocols(row).items()
    ]


def _estimate(
    row: Checkpoint, metric: str, protocol: EvalProtocol, known: Speeds, tflops: float | None
) -> Estimate:
    gflops = work_gflops(row, protocol)
    seconds, basis = known.seconds_per_image.get((row.id, protocol.digest())), "measured"
    if seconds is None and gflops is not None and known.gflops_per_second:
        seconds, basis = gflops / known.gflops_per_second, "scaled"
    elif seconds is None and gflops is not None and tflops:
        seconds, basis = gflops / (1000 * tflops), "stated"
    return Estimate(
        checkpoint=row.id,
        metric=metric,
        images=row.dataset_spec.image_count,
        gflops_per_image=gflops,
        seconds_per_image=seconds,
        basis=basis if seconds is not None else "unknown",
    )
