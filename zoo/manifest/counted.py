"""Parameters and costs of published networks, counted once, for rows that do not state them themselves.

They stand in one generated file, by a digest of the architecture, since rows that differ in their training share a network;
`make costs` adds what is missing, and a test recounts them.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ...evaluate.geometry import padded_size, view_size
from ...evaluate.regular_files import read_document
from .faults import Fault, ManifestError
from .records import CheckpointEntry, Cost

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...evaluate.data.datasets import DatasetSpec
    from ...evaluate.geometry import Size
    from ...evaluate.protocol import EvalProtocol
    from .records import ManifestFile

COUNTED = Path(__file__).resolve().parents[1] / "published" / "counted.json"
_KEY_DIGITS = 20


class Count(msgspec.Struct, array_like=True):
    """What was counted of one network."""

    parameters: int
    """As `CheckpointEntry.parameters`."""
    costs: dict[str, tuple[float, float]] = {}
    """Network input, by `name_of` -> GFLOPs and peak activations in MiB, as of `Cost`."""


def name_of(size: Size) -> str:
    """What a network's input (height, width) is called in the file: `512x1024`."""
    return f"{size[0]}x{size[1]}"


def key_of(architecture: Mapping[str, Any]) -> str:
    """What an architecture's record is called in the file: the first digits of its SHA-256."""
    record = msgspec.json.encode(architecture, order="deterministic")
    return hashlib.sha256(record).hexdigest()[:_KEY_DIGITS]


def read_counts(path: Path = COUNTED) -> dict[str, Count]:
    """Key of an architecture -> what was counted of it.

    Raises:
        ManifestError: the file cannot be read, or holds something else.
    """
    try:
        return msgspec.json.decode(read_document(path), type=dict[str, Count])
    except (OSError, ValueError) as error:
        message = (
            f"expected counted parameters and costs, found {error}; install segbench again, or in a checkout "
            "restore the file (git) and run make costs"
        )
        raise ManifestError(path, [Fault(path="", line=None, message=message)]) from error


def counted_size(row: CheckpointEntry, protocol: EvalProtocol | None, dataset: DatasetSpec) -> Size:
    """Network input (height, width) that a row's cost is counted for.

    One window of its first protocol, or its view of a typical image; where neither is known, the training crop.
    """
    if protocol is None:
        return row.crop
    if protocol.window:
        return protocol.window.crop
    fixed = protocol.base_scale is not None and not protocol.keep_ratio
    size = dataset.typical_size or ((1, 1) if fixed else None)
    return row.crop if size is None else padded_size(view_size(size, protocol, 1.0), protocol)


def with_counts(content: ManifestFile, counts: Mapping[str, Count]) -> ManifestFile:
    """A manifest's records, with what was counted where a row states nothing and its network was counted."""
    rows = tuple(_completed(row, content, counts) for row in content.checkpoints)
    return msgspec.structs.replace(content, checkpoints=rows)


def _completed(row: CheckpointEntry, content: ManifestFile, counts: Mapping[str, Count]) -> CheckpointEntry:
    if row.parameters is not None and row.cost is not None:
        return row
    count = counts.get(key_of(row.architecture))
    if count is None:
        return row
    size = counted_size(row, first_protocol(row, content.protocols), content.datasets[row.dataset])
    found = count.costs.get(name_of(size))
    return msgspec.structs.replace(
        row,
        parameters=row.parameters or count.parameters,
        cost=row.cost or (found and Cost(size=size, gflops=found[0], peak_activations_mib=found[1])),
    )


def first_protocol(row: CheckpointEntry, protocols: Mapping[str, EvalProtocol]) -> EvalProtocol | None:
    """How a row's first accuracy is measured, as `Checkpoint.first_protocol`; None where no claim names a protocol."""
    name = next((claim.protocol for claim in row.claims if claim.protocol), None)
    return protocols[name] if name else None
