"""What each rule of foretold training memory is worth: the printed figures, with one rule left out at a time.

Differences in percent of the printed figure. Nothing here is a choice: docs/memory.md says where each rule is from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from unittest import mock

import torch
from tabulate import tabulate

from segbench.models.trace import training
from segbench.models.trace.memory import MemoryPrediction, training_memory
from segbench.models.trace.storage import StorageTrace
from segbench.models.trace.training import BUCKET, TrainingStep
from segbench.zoo.manifest import load_manifest
from segbench.zoo.measuring.training_memory import UNIT_BYTES, Setup, memory_claim

if TYPE_CHECKING:
    from collections.abc import Callable

    from segbench.zoo.manifest import Checkpoint


def distinct_rows() -> list[Checkpoint]:
    """One row of each printed figure."""
    rows = [row for row in load_manifest() if memory_claim(row)]
    return list({memory_claim(row).printed: row for row in reversed(rows)}.values())[::-1]


def trace(row: Checkpoint) -> MemoryPrediction:
    setup = Setup().completed(row)
    return training_memory(row.architecture, TrainingStep(setup.batch, setup.crop))


def plain_softmax(x: torch.Tensor, axis: int, logarithm: bool) -> torch.Tensor:  # noqa: FBT001  (as it is called)
    """As torch has it since 1.11."""
    return torch.log_softmax(x, axis) if logarithm else torch.softmax(x, axis)


def forget(*_: object) -> None:
    """In place of a method; a mock would keep its arguments, and with them every tensor, alive."""


def differences(size: Callable[[MemoryPrediction], int]) -> list[str]:
    printed = [(row, float(memory_claim(row).printed) * UNIT_BYTES) for row in distinct_rows()]
    return [f"{100 * (size(trace(row)) / published - 1):+.2f}" for row, published in printed]


def main() -> None:
    table = {
        "every rule": differences(lambda found: found.peak_bytes),
        "live storage, no blocks": differences(lambda found: found.requested_bytes),
        "no all-reduce bucket": differences(lambda found: found.peak_bytes - found.breakdown[BUCKET]),
    }
    with mock.patch.object(StorageTrace, "_add_workspace", forget):
        table["no convolution workspace"] = differences(lambda found: found.peak_bytes)
    with mock.patch.object(training.SoftmaxKeepingItsInput, "apply", plain_softmax):
        table["softmax forgets its input"] = differences(lambda found: found.peak_bytes)
    header = [
        f"R-{row.architecture['depth']} {row.dataset} {row.crop[0]}x{row.crop[1]}" for row in distinct_rows()
    ]
    body = [[title, *(table[name][index] for name in table)] for index, title in enumerate(header)]
    print(
        tabulate(
            body, ["", *table], tablefmt="github", disable_numparse=True, colalign=("left", *["right"] * 5)
        )
    )


if __name__ == "__main__":
    main()
