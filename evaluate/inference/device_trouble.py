"""Trouble with a device: smaller steps where memory ends, and a sentence where nothing helps."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import torch

from .device import DeviceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Result = TypeVar("Result")


class OutOfMemoryError(Exception):
    """The device's memory does not suffice for the smallest step; the message says what to do."""


class Halving:
    """A step size, such as a batch or a tile's rows, that is halved whenever the device runs out of memory.

    What fitted once is where the next call begins: a run pays for the search once.
    """

    def __init__(self, size: int, *, least: int = 1, what: str = "batch") -> None:
        if size < least or least < 1:
            raise ValueError(f"{what}: expected a size from {least} on, at least 1, found {size}")
        self.size = size
        self.least = least
        self.what = what

    def run(self, work: Callable[[int], Result]) -> Result:
        """`work(size)` with the largest size that fits; it must be able to start again from its beginning.

        Raises:
            OutOfMemoryError: `least` does not fit either.
        """
        while True:
            try:
                return work(self.size)
            except torch.cuda.OutOfMemoryError as error:
                if self.size <= self.least:
                    raise OutOfMemoryError(
                        _message(error, f" even with a {self.what} of {self.size}")
                    ) from error
                self.size = max(self.least, self.size // 2)
            # Outside the handler: there the failed call's frames would still hold their tensors.
            release()


def release() -> None:
    """Give cached blocks back to the device, so that fragments do not count as used."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


@contextmanager
def device_trouble_named() -> Iterator[None]:
    """Turn torch's own errors about a device, from wherever they come, into ours.

    Raises:
        OutOfMemoryError: its memory does not suffice; the next, smaller work may succeed.
        DeviceError: it failed or was lost: after that, nothing on it works within this process.
    """
    try:
        yield
    except torch.cuda.OutOfMemoryError as error:
        raise OutOfMemoryError(_message(error)) from error
    except MemoryError as error:
        raise OutOfMemoryError(_ON_THE_CPU) from error
    except RuntimeError as error:
        if "DefaultCPUAllocator" in str(error):
            raise OutOfMemoryError(_ON_THE_CPU) from error
        if "CUDA error" not in str(error) and "cuDNN error" not in str(error):
            raise
        raise DeviceError(
            f"the GPU failed ({str(error).splitlines()[0]}); look at it with nvidia-smi and run the same command "
            "again: the images counted so far are kept"
        ) from error


_ON_THE_CPU = (
    "this machine's memory does not suffice; work on fewer images at once with --workers 1 and --batch 1, or close "
    "what else uses it: the images counted so far are kept"
)


def _message(error: torch.cuda.OutOfMemoryError, even: str = "") -> str:
    said = str(error).splitlines()[0].split(". ")[0] if str(error) else "out of memory"
    return (
        f"the device's memory does not suffice{even} ({said}); close what else uses it or take --device cpu: "
        "the images counted so far are kept"
    )
