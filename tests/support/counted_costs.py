"""Parameters and costs of the packaged rows' networks, counted; run as a program, it adds those that are missing.

A network costs seconds, all of them half an hour: what stands in the file already is not counted again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import torch

from segbench.models.build import build_model
from segbench.models.trace.cost import forward_cost
from segbench.zoo.files.writing import write_whole
from segbench.zoo.manifest import load_manifest
from segbench.zoo.manifest.counted import COUNTED, Count, counted_size, key_of, name_of, read_counts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from segbench.zoo.manifest import Checkpoint

DECIMALS = 2
SAVED_EVERY = 20


def size_of(row: Checkpoint) -> tuple[int, int]:
    """Height and width that the row's cost is counted for."""
    protocol = row.first_protocol() if row.protocols else None
    return counted_size(row, protocol, row.dataset_spec)


def counted_parameters(architecture: Mapping[str, Any]) -> int:
    """Trainable parameters, the auxiliary head's included."""
    with torch.device("meta"):
        return sum(one.numel() for one in build_model(**architecture).parameters())


def counted_cost(architecture: Mapping[str, Any], size: tuple[int, int]) -> tuple[float, float]:
    """GFLOPs and peak activations in MiB on one image."""
    cost = forward_cost(architecture, size)
    return round(cost.gflops, DECIMALS), round(cost.peak_activations_mib, DECIMALS)


def save(counts: Mapping[str, Count]) -> None:
    """One line a network that was counted, in the order of their keys."""
    lines = [
        f'"{key}":{msgspec.json.encode(one).decode()}' for key, one in sorted(counts.items()) if one.costs
    ]
    write_whole(COUNTED, ("{\n" + ",\n".join(lines) + "\n}\n").encode())


def main() -> None:
    """Count what is missing, the smallest crops first; forget networks that no row has any more."""
    rows = sorted((one for one in load_manifest() if not one.not_built), key=lambda one: one.crop)
    wanted = {(key_of(one.architecture), size_of(one)): one for one in rows}
    known, counts = read_counts(), dict[str, Count]()
    for key, size in wanted:
        before = known.get(key, Count(0))
        count = counts.setdefault(key, Count(before.parameters))
        count.costs |= {one: cost for one, cost in before.costs.items() if one == name_of(size)}
    missing = [
        (key, size, row) for (key, size), row in wanted.items() if name_of(size) not in counts[key].costs
    ]
    for number, (key, size, row) in enumerate(missing, 1):
        counts[key].parameters = counted_parameters(row.architecture)
        counts[key].costs[name_of(size)] = counted_cost(row.architecture, size)
        print(f"{number}/{len(missing)} {row.id}", flush=True)
        if number % SAVED_EVERY == 0:
            save(counts)
    save(counts)


if __name__ == "__main__":
    main()
