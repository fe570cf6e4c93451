"""A device that has no memory left: smaller steps instead of an end, and a sentence where none is small enough."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import torch

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
def out_of_memory_named() -> Iterator[None]:
    """Turn torch's own error, from wherever it comes, into ours."""
    try:
        yield
    except torch.cuda.OutOfMemoryError as error:
        raise OutOfMemoryError(_message(error)) from error


def _message(error: torch.cuda.OutOfMemoryError, even: str = "") -> str:
    said = str(error).splitlines()[0].split(". ")[0] if str(error) else "out of memory"
    return (
        f"the device's memory does not suffice{even} ({said}); close what else uses it or take --device cpu: "
        "the images counted so far are kept"
    )
