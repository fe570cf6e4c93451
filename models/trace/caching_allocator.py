"""How torch's CUDA allocator turns requests into blocks, so that their peak can be foretold without a GPU.

`torch.cuda.max_memory_allocated` counts blocks, not requests: a request is rounded up to 512 bytes, and a large
block keeps up to 1 MiB more where the rest would be too small to be split off. Rules and sizes: PyTorch,
c10/cuda/CUDACachingAllocator.cpp, the same from 1.4 to 1.9 and still the defaults.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import NamedTuple

MIB = 2**20
ROUNDING = 512
"""Every block is a multiple of this (`kMinBlockSize`)."""
SMALL_LIMIT = MIB
"""Requests up to here share small segments, and no rest up to here is split off a large block (`kSmallSize`)."""
SMALL_SEGMENT = 2 * MIB
LARGE_SEGMENT = 20 * MIB
"""What is asked of the device for a request below `OWN_SEGMENT_FROM` (`kLargeBuffer`)."""
OWN_SEGMENT_FROM = 10 * MIB
SEGMENT_ROUNDING = 2 * MIB
"""Larger requests get a segment of their own, of a multiple of this (`kRoundLarge`)."""


class _Span(NamedTuple):
    """A free stretch of a segment; the order is that of the search: smallest first, then lowest."""

    size: int
    start: int


class _Block(NamedTuple):
    """A stretch in use."""

    start: int
    size: int
    small: bool


class CachingAllocator:
    """One device, one stream, nothing ever given back: how a training run looks.

    Addresses are made up; segments lie apart, so that no two of them ever join.

    Attributes:
        allocated: Bytes of all blocks in use.
        reserved: Bytes asked of the device so far.
    """

    def __init__(self) -> None:
        self.allocated = 0
        self.reserved = 0
        self._next_segment = 0
        self._used: dict[int, _Block] = {}
        self._free: dict[bool, list[_Span]] = {True: [], False: []}
        self._begins: dict[int, _Span] = {}
        self._ends: dict[int, _Span] = {}

    def allocate(self, number: int, nbytes: int) -> int:
        """Serves request `number` of `nbytes` > 0; returns the size of its block."""
        size = -(-nbytes // ROUNDING) * ROUNDING
        small = size <= SMALL_LIMIT
        span = self._find(size, small=small) or self._new_segment(size, small=small)
        rest = span.size - size
        if rest >= ROUNDING if small else rest > SMALL_LIMIT:
            self._add_free(_Span(rest, span.start + size), small=small)
            span = _Span(size, span.start)
        self._used[number] = _Block(span.start, span.size, small)
        self.allocated += span.size
        return span.size

    def release(self, number: int) -> None:
        """Takes the block of request `number` back and joins it with its free neighbours."""
        start, size, small = self._used.pop(number)
        self.allocated -= size
        before, after = self._ends.get(start), self._begins.get(start + size)
        for neighbour in (before, after):
            if neighbour is not None:
                self._remove_free(neighbour, small=small)
                start, size = min(start, neighbour.start), size + neighbour.size
        self._add_free(_Span(size, start), small=small)

    def sizes(self) -> dict[int, int]:
        """Request -> size of its block, of all in use."""
        return {number: block.size for number, block in self._used.items()}

    def _find(self, size: int, *, small: bool) -> _Span | None:
        spans = self._free[small]
        index = bisect_left(spans, _Span(size, -1))
        if index == len(spans):
            return None
        span = spans[index]
        self._remove_free(span, small=small)
        return span

    def _new_segment(self, size: int, *, small: bool) -> _Span:
        if small:
            size = SMALL_SEGMENT
        elif size < OWN_SEGMENT_FROM:
            size = LARGE_SEGMENT
        else:
            size = -(-size // SEGMENT_ROUNDING) * SEGMENT_ROUNDING
        span = _Span(size, self._next_segment)
        self._next_segment += size + ROUNDING
        self.reserved += size
        return span

    def _add_free(self, span: _Span, *, small: bool) -> None:
        insort(self._free[small], span)
        self._begins[span.start] = self._ends[span.start + span.size] = span

    def _remove_free(self, span: _Span, *, small: bool) -> None:
        spans = self._free[small]
        del spans[bisect_left(spans, span)]
        del self._begins[span.start], self._ends[span.start + span.size]
