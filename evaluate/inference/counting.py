"""Label maps counted where they lie: on the device, without a wait, one copy an image back to the host."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

from ..count.margins import GAINED, JOINED, LEFT, LIMITS, LOST, Closeness

if TYPE_CHECKING:
    from ..count.confusion import Matrix
    from .tiles import Decision


class Counts(NamedTuple):
    """What is kept of one image."""

    matrix: Matrix
    closeness: Closeness


class NoNumbersError(Exception):
    """At so many pixels the scores are no numbers, and no class is the best."""

    def __init__(self, pixels: int) -> None:
        super().__init__(
            f"the network's scores are no numbers (NaN or infinite) at {pixels} pixels; zoo check-weights examines the file"
        )


def require_numbers(decision: Decision) -> None:
    """Waits for the device.

    Raises:
        NoNumbersError: Some of the scores behind a label map are NaN, or infinite for two classes.
    """
    if pixels := int(decision.margins.isnan().sum()):
        raise NoNumbersError(pixels)


class Counting:
    """Counts on their way from the device."""

    def __init__(self, decision: Decision, truth: torch.Tensor, num_classes: int, ignore_index: int) -> None:
        """Begin to count a label map (H, W) against its labels (H, W) on the same device."""
        right = truth.long()
        matrix = confusion(decision.labels, right, num_classes, ignore_index)
        close = close_pixels(decision, right, num_classes, ignore_index)
        self._shapes = matrix.shape, close.shape
        # torch puts the target of a copy that waits for nobody into pinned memory.
        no_numbers = decision.margins.isnan().sum()
        counts = [matrix.flatten(), close.flatten(), no_numbers[None]]
        self._copy = torch.cat(counts).to("cpu", non_blocking=True)
        self._arrived = torch.cuda.Event() if truth.device.type == "cuda" else None
        if self._arrived is not None:
            self._arrived.record()

    def result(self) -> Counts:
        """The counts, as soon as they are there; later work of the device is not waited for.

        Raises:
            NoNumbersError: some of the network's scores are NaN, or infinite for two classes.
        """
        if self._arrived is not None:
            self._arrived.synchronize()
        of_matrix, of_close = self._shapes
        no_numbers = int(self._copy[-1])
        if no_numbers:
            raise NoNumbersError(no_numbers)
        counts, split = self._copy.numpy()[:-1], of_matrix.numel()
        return Counts(counts[:split].reshape(of_matrix), Closeness(counts[split:].reshape(of_close)))


def confusion(labels: torch.Tensor, truth: torch.Tensor, num_classes: int, ignore_index: int) -> torch.Tensor:
    """The (C + 1) x C matrix of `confusion.confusion_matrix`, of tensors (H, W) on one device."""
    stray = (truth < 0) | (truth >= num_classes)
    cells = torch.where(stray, num_classes, truth) * num_classes + labels
    counts = torch.bincount(cells[truth != ignore_index], minlength=(num_classes + 1) * num_classes)
    return counts.reshape(num_classes + 1, num_classes)


def close_pixels(
    decision: Decision, truth: torch.Tensor, num_classes: int, ignore_index: int
) -> torch.Tensor:
    """Labelled pixels of one image by band of margin, effect of a swap and class.

    Args:
        decision: the image's label map with margins and runners-up, each (H, W).
        truth: (H, W) int64 labels, on the same device.
        num_classes: C.
        ignore_index: label value that is not counted.

    Returns:
        (bands, 4, C) int64 on the device; a pixel counts once as its class and once as the runner-up.
    """
    limits = torch.tensor(LIMITS, device=truth.device)
    near = (truth != ignore_index) & (decision.margins < limits[-1])
    band = torch.bucketize(decision.margins[near], limits, right=True)
    right, best, second = truth[near], decision.labels[near].long(), decision.runners_up[near].long()
    losing = torch.where(best == right, LOST, LEFT)
    winning = torch.where(second == right, GAINED, JOINED)
    cells = torch.cat([(4 * band + losing) * num_classes + best, (4 * band + winning) * num_classes + second])
    counts = torch.bincount(cells, minlength=len(LIMITS) * 4 * num_classes)
    return counts.reshape(len(LIMITS), 4, num_classes)
