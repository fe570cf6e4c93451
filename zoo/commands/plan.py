"""`zoo plan`: how long a verification will take, from measured speeds."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import msgspec

from ...reports.media import tabulate
from ..console.exit_codes import ExitCode
from ..files import places
from ..manifest import load_manifest
from ..results.estimates import (
    MEANINGS,
    devices_within,
    estimates,
    family,
    measured_seconds,
    network_inputs,
    protocol_to_probe,
    typical_size,
    wanted_operations,
    with_rates,
    without_speed,
)
from ..results.operations import Operations, network_digest
from .shared import flags
from .shared.answer import CommandError, json_text, write
from .shared.arguments import recorded, selected
from .shared.progress import counted_bar, row_bar

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from ..manifest import Checkpoint
    from ..results.estimates import Estimate, Speeds

MOST_COUNTED = 60
"""Networks and sizes that are counted without being asked to; each takes up to a second."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Which rows, on what, by when, and where speeds come from."""
    flags.add_selection(parser)
    parser.add_argument(
        "--gpus", type=flags.count, default=1, metavar="N", help="devices that share the work (default: 1)"
    )
    parser.add_argument(
        "--within",
        type=flags.positive_number,
        metavar="HOURS",
        help="say how many such devices are done by then",
    )
    parser.add_argument(
        "--on", metavar="NAME", help="the device whose measurements count (default: the ledger's last)"
    )
    parser.add_argument(
        "--probe",
        action="store_true",
        help="time networks that no measurement is of on --device: one picture each, seconds",
    )
    flags.add_device(parser)
    parser.add_argument(
        "--count",
        action="store_true",
        help=f"count the operations of however many networks (default: of up to {MOST_COUNTED} networks and sizes)",
    )
    parser.add_argument(
        "--tflops",
        type=flags.positive_number,
        metavar="N",
        help="10^12 operations a second to reckon with where the ledger has no measurement",
    )
    flags.add_ledger(parser)
    flags.add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """The work of every claim, and how long it takes."""
    chosen, manifest = selected(arguments), load_manifest(arguments.manifest)
    records = recorded(arguments.ledger) if arguments.ledger.is_file() else []
    on = _probed_kind(arguments.device) if arguments.probe and not arguments.on else arguments.on
    known = measured_seconds(records, on)
    if arguments.on and not known.seconds_per_image:
        raise CommandError(f"--on {arguments.on}: {arguments.ledger} has no measurement on it")
    if not (known.seconds_per_image or arguments.tflops or arguments.probe):
        raise CommandError(
            f"{arguments.ledger}: no measured speed there; run zoo verify --limit 20 on one row first, or state "
            "your device's throughput with --tflops",
            ExitCode.CANNOT_MEASURE,
        )
    operations = Operations(places.zoo_home() / "operations.json")
    _count(chosen, list(manifest), known, operations, everything=arguments.count)
    known = with_rates(known, manifest, operations)
    if arguments.probe:
        known = _probed(chosen, known, operations, arguments.device)
    found = estimates(chosen, known, arguments.tflops, operations)
    write(
        json_text(_record(found, known, arguments.gpus, arguments.within))
        if arguments.json
        else _text(found, known, arguments)
    )
    return ExitCode.OK


def _count(
    chosen: Sequence[Checkpoint],
    rows: Sequence[Checkpoint],
    known: Speeds,
    operations: Operations,
    *,
    everything: bool,
) -> None:
    """Count the operations that the plan rests on, unless that would take long; nothing where all is measured."""
    wanted = list(wanted_operations(chosen, known, measured=False))
    lacking = operations.lacking(
        [*wanted, *(wanted_operations(rows, known, measured=True) if wanted else ())]
    )
    if len(lacking) > MOST_COUNTED and not everything:
        print(
            f"zoo: operations of {len(lacking)} networks and sizes are not counted yet; --count counts them once, in up to "
            f"{duration(len(lacking))}, and they are kept",
            file=sys.stderr,
        )
        return
    if lacking:
        operations.count(counted_bar(lacking, "operations"))


def _probed_kind(device: str) -> str:
    from ...evaluate.inference.device import device_kind, resolve_device

    return device_kind(resolve_device(device))


def _probed(chosen: Sequence[Checkpoint], known: Speeds, operations: Operations, name: str) -> Speeds:
    """The same with the speed of a network of each family that no measurement is of."""
    from ...evaluate.inference.device import resolve_device
    from ..measuring.probe import probe_seconds, probed_picture

    device, probes = resolve_device(name), {}
    for row in row_bar(without_speed(chosen, known), "probes", quiet=False):
        protocol = protocol_to_probe(row, known)
        size = typical_size(row, protocol) if protocol else None
        if size is None or protocol is None:
            continue
        picture, one_view = probed_picture(size, protocol)
        inputs = network_inputs(picture, one_view)
        operations.count(operations.lacking((row, one) for one in inputs))
        counted = [operations.known(row, one) for one in inputs]
        if any(gflops is None for gflops in counted):
            continue
        rate = sum(filter(None, counted)) / probe_seconds(row, picture, one_view, device)
        probes |= {network_digest(row): rate, family(row): rate}
    return msgspec.structs.replace(known, probes=probes)


def _text(found: Sequence[Estimate], known: Speeds, arguments: argparse.Namespace) -> str:
    """A line a claim, the total, and what it rests on."""
    rows = [
        [
            estimate.checkpoint,
            estimate.metric,
            estimate.images,
            _gflops_text(estimate),
            "–" if estimate.seconds_per_image is None else f"{estimate.seconds_per_image:.3g}",
            "–" if estimate.seconds_per_image is None else duration(estimate.seconds),
            estimate.basis,
        ]
        for estimate in found
    ]
    header = ["id", "metric", "images", "GFLOPs an image", "s an image", "on one device", "basis"]
    notes = [f"{basis}: {MEANINGS[basis]}" for basis in MEANINGS if any(e.basis == basis for e in found)]
    if any(one.gflops_per_image is not None and not one.is_counted for one in found):
        notes.append(
            "~: as if operations went with pixels, which those of attention over a whole image do not"
        )
    total = _total(found, known, arguments.gpus, arguments.tflops)
    is_known = any(one.basis != "unknown" for one in found)
    deadline = [_deadline(found, arguments.within)] if arguments.within and is_known else []
    return "\n\n".join([tabulate(rows, header, disable_numparse=True), total, *deadline, *notes])


def _gflops_text(estimate: Estimate) -> str:
    if estimate.gflops_per_image is None:
        return "–"
    return f"{'' if estimate.is_counted else '~'}{estimate.gflops_per_image:,.0f}"


def _deadline(found: Sequence[Estimate], hours: float) -> str:
    devices = devices_within(sum(one.seconds for one in found), hours)
    return f"Within {hours:g} h: {devices} such device{'s' if devices > 1 else ''}{_left_out(found)}"


def _left_out(found: Sequence[Estimate]) -> str:
    unknown = sum(one.basis == "unknown" for one in found)
    return (
        f", {unknown} of {len(found)} claims not counted in, since their time is not known" if unknown else ""
    )


def _total(found: Sequence[Estimate], known: Speeds, gpus: int, tflops: float | None) -> str:
    seconds = sum(estimate.seconds for estimate in found)
    on = known.device or (f"devices of {tflops:g} TFLOP/s" if tflops else "unknown devices")
    devices = "1 device" if gpus == 1 else f"{gpus} devices"
    if all(one.basis == "unknown" for one in found):
        return "How long this takes is not known: --probe times a picture, zoo verify --limit 20 a few, --tflops states a speed"
    return (
        f"{duration(seconds / gpus)} on {devices} ({duration(seconds)} of device time, {on}); without downloads "
        f"and loading, and as if work could be shared out evenly{_left_out(found)}"
    )


def duration(seconds: float) -> str:
    """`3 h 05 min`, `12 min`, `40 s`."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02} min" if minutes >= 60 else f"{minutes} min"


def _record(found: Sequence[Estimate], known: Speeds, gpus: int, hours: float | None) -> dict[str, Any]:
    """The plan as plain data."""
    seconds = sum(estimate.seconds for estimate in found)
    return {
        "gpus": gpus,
        "device": known.device,
        "device_seconds": seconds,
        "wall_seconds": seconds / gpus,
        **({"within_hours": hours, "devices_within": devices_within(seconds, hours)} if hours else {}),
        "unknown": sum(estimate.basis == "unknown" for estimate in found),
        "claims": [msgspec.to_builtins(estimate) | {"seconds": estimate.seconds} for estimate in found],
    }
