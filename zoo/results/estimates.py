"""How long a verification will take, before anything runs, and what that estimate rests on."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from typing import TYPE_CHECKING, Literal

import msgspec

from ...evaluate.data.datasets import OWN_FOLDER
from ...evaluate.geometry import padded_size, sliding_windows, view_size
from ..quantities import names
from ..quantities.counted import Counted
from .operations import network_digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ...evaluate.geometry import Size
    from ...evaluate.protocol import EvalProtocol
    from ..manifest import Checkpoint
    from ..measuring.measurement import Measurement
    from .operations import Operations, Wanted

Basis = Literal["measured", "network", "family", "probed", "scaled", "stated", "unknown"]

MEANINGS: dict[Basis, str] = {
    "measured": "seconds an image of this row and protocol, from the ledger",
    "network": "operations of this row at the speed of this very network, by another protocol or of another row",
    "family": "operations of this row at the median speed of networks with its backbone and head",
    "probed": "operations of this row at the speed of its network or family on one picture, timed just now",
    "scaled": "operations of this row at the median speed of the ledger's measurements",
    "stated": "operations of this row at the throughput given with --tflops; nothing was measured",
    "unknown": "its operations, or the speed of anything near it, are not known; not in the total",
}


class Speeds(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a device."""

    device: str
    """Product name, or `cpu`; empty where nothing was measured."""
    seconds_per_image: dict[tuple[str, str], float] = {}
    """By checkpoint and protocol digest."""
    networks: dict[str, float] = {}
    """Network's digest -> 10^9 operations a second, the median over its measurements."""
    families: dict[str, float] = {}
    """The same by `family`."""
    probes: dict[str, float] = {}
    """The same, of networks and families that were timed for this plan."""
    gflops_per_second: float | None = None
    """Median over the measurements whose operations are known; None without any."""


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """One accuracy claim's share of the work."""

    checkpoint: str
    metric: str
    images: int
    gflops_per_image: float | None
    """All views, mirrored views and windows of a typical image."""
    is_counted: bool
    """True where the operations were counted at these very sizes; False where they are taken as proportional to pixels."""
    seconds_per_image: float | None
    basis: Basis

    @property
    def seconds(self) -> float:
        """On one device; 0 where unknown."""
        return self.images * (self.seconds_per_image or 0.0)


def family(row: Checkpoint) -> str:
    """What networks that run at one speed share: the types of backbone and head, or the builder."""
    parts = row.architecture
    if "builder" in parts:
        return str(parts["builder"])
    return " ".join(_type(parts.get(key)) for key in ("backbone", "head"))


def _type(part: object) -> str:
    parts = part if isinstance(part, list | tuple) else [part]
    return "+".join(str(one.get("type", "")) for one in parts if isinstance(one, dict))


def typical_size(row: Checkpoint, protocol: EvalProtocol) -> Size | None:
    """(height, width) of an image of the row's data set as far as it is on record, else that of the protocol's scale."""
    known = row.dataset_spec.typical_size or (row.cost.size if row.cost else None)
    if known is not None or protocol.base_scale is None:
        return known
    return protocol.base_scale[1], protocol.base_scale[0]


def network_inputs(size: Size, protocol: EvalProtocol) -> Counter[Size]:
    """(height, width) of what the network is given for one image -> how often: scales, mirrored views and windows."""
    found: Counter[Size] = Counter()
    for ratio in protocol.scales:
        height, width = view_size(size, protocol, ratio)
        if protocol.views == "tensor":
            height, width = int(height * ratio), int(width * ratio)
        whole = padded_size((height, width), protocol)
        if protocol.window is None:
            found[whole] += 1
            continue
        for place in sliding_windows(whole, protocol.window):
            found[place.bottom - place.top, place.right - place.left] += 1
    return Counter({one: times * (2 if protocol.flip else 1) for one, times in found.items()})


def work_gflops(
    row: Checkpoint, protocol: EvalProtocol, operations: Operations | None = None
) -> tuple[float, bool] | None:
    """10^9 operations on a typical image over all views, and whether they were counted at these sizes.

    What is not counted is taken from the manifest's cost at one size, as if operations went with pixels. None where
    there is neither.
    """
    size = typical_size(row, protocol)
    if size is None:
        return None
    inputs = network_inputs(size, protocol)
    found = {one: operations.known(row, one) for one in inputs} if operations else {}
    counted = [times * gflops for one, times in inputs.items() if (gflops := found.get(one)) is not None]
    if len(counted) == len(inputs):
        return math.fsum(counted), True
    if row.cost is None:
        return None
    pixels = sum(height * width * times for (height, width), times in inputs.items())
    return row.cost.gflops * pixels / (row.cost.size[0] * row.cost.size[1]), False


def wanted_operations(rows: Iterable[Checkpoint], known: Speeds, *, measured: bool) -> Iterator[Wanted]:
    """The networks and sizes of protocols that are `measured`, whose speed is to be known, or of those that are not."""
    for row in rows:
        for protocol in _protocols(row).values():
            size = typical_size(row, protocol)
            if size is not None and ((row.id, protocol.digest()) in known.seconds_per_image) == measured:
                yield from ((row, one) for one in network_inputs(size, protocol))


def measured_seconds(records: Iterable[Measurement], device: str | None = None) -> Speeds:
    """Seconds an image that were measured in float32 on a device, by default the one that was measured on last."""
    timed = [
        record
        for record in records
        if record.new_images and record.seconds and _device(record) and record.precision == "fp32"
        if not record.dataset.startswith(OWN_FOLDER)  # of other sizes than the row's images
    ]
    device = device or (_device(timed[-1]) if timed else "")
    found = {
        (record.checkpoint, record.protocol_digest): _seconds_per_image(record)
        for record in timed
        if _device(record) == device
    }
    return Speeds(device=device, seconds_per_image=found)


def with_rates(known: Speeds, rows: Iterable[Checkpoint], operations: Operations | None = None) -> Speeds:
    """The same with operations a second: of each network, of each family, and of all."""
    ids = {name for name, _ in known.seconds_per_image}
    networks: dict[str, list[float]] = {}
    families: dict[str, list[float]] = {}
    for row in rows:
        if row.id not in ids:
            continue
        for protocol in _protocols(row).values():
            seconds = known.seconds_per_image.get((row.id, protocol.digest()))
            work = work_gflops(row, protocol, operations) if seconds else None
            if seconds and work:
                networks.setdefault(network_digest(row), []).append(work[0] / seconds)
                families.setdefault(family(row), []).append(work[0] / seconds)
    rates = [rate for found in families.values() for rate in found]
    return msgspec.structs.replace(
        known,
        networks=_medians(networks),
        families=_medians(families),
        gflops_per_second=statistics.median(rates) if rates else None,
    )


def _medians(found: Mapping[str, list[float]]) -> dict[str, float]:
    return {name: statistics.median(values) for name, values in found.items()}


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


def without_speed(rows: Iterable[Checkpoint], known: Speeds) -> list[Checkpoint]:
    """The first row of each family that something is to be estimated of and no measurement is of."""
    lacking = {
        family(row): row
        for row in reversed(list(rows))
        for protocol in _protocols(row).values()
        if (row.id, protocol.digest()) not in known.seconds_per_image
        and not row.not_built
        and network_digest(row) not in known.networks
        and family(row) not in known.families
    }
    return list(reversed(lacking.values()))


def protocol_to_probe(row: Checkpoint, known: Speeds) -> EvalProtocol | None:
    """The first protocol that a row is not measured by."""
    found = (one for one in _protocols(row).values() if (row.id, one.digest()) not in known.seconds_per_image)
    return next(found, None)


def estimates(
    rows: Iterable[Checkpoint], known: Speeds, tflops: float | None, operations: Operations | None = None
) -> list[Estimate]:
    """The work of every accuracy that the rows claim."""
    return [
        _estimate(row, metric, protocol, known, tflops, operations)
        for row in rows
        for metric, protocol in _protocols(row).items()
    ]


def _estimate(
    row: Checkpoint,
    metric: str,
    protocol: EvalProtocol,
    known: Speeds,
    tflops: float | None,
    operations: Operations | None,
) -> Estimate:
    work = work_gflops(row, protocol, operations)
    seconds, basis = known.seconds_per_image.get((row.id, protocol.digest())), "measured"
    if seconds is None and work is not None:
        rate, basis = _rate(row, known, tflops)
        seconds = work[0] / rate if rate else None
    return Estimate(
        checkpoint=row.id,
        metric=metric,
        images=row.dataset_spec.image_count,
        gflops_per_image=work[0] if work else None,
        is_counted=bool(work and work[1]),
        seconds_per_image=seconds,
        basis=basis if seconds is not None else "unknown",
    )


def _rate(row: Checkpoint, known: Speeds, tflops: float | None) -> tuple[float | None, Basis]:
    """10^9 operations a second from what lies nearest to the row, and what that is."""
    network, kind = network_digest(row), family(row)
    nearest: list[tuple[float | None, Basis]] = [
        (known.networks.get(network), "network"),
        (known.families.get(kind), "family"),
        (known.probes.get(network), "probed"),
        (known.probes.get(kind), "probed"),
        (known.gflops_per_second, "scaled"),
        (1000 * tflops if tflops else None, "stated"),
    ]
    return next((one for one in nearest if one[0]), (None, "unknown"))


def devices_within(seconds: float, hours: float) -> int:
    """How many devices that share the work out evenly are done within so many hours; at least one."""
    return max(1, math.ceil(seconds / (3600 * hours)))
