"""How many images fit into this machine's memory at once; what one takes is seen on the first.

Linux tells both. Elsewhere nothing is known, and the number of cores alone decides.
"""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

AMPLE = 8 * 2**30
"""Bytes an image that no image is known to take: with that much for each, the first one need not be watched."""
_PAUSE = 0.02
"""Seconds between two looks; a layer that holds more than others takes longer than that."""
_MACHINE = Path("/proc/meminfo")
_PROCESS = Path("/proc/self/statm")
_GROUP = Path("/sys/fs/cgroup")
"""Of a container, whose own limit stands at the root (Linux, admin-guide/cgroup-v2: memory.max, memory.current, memory.stat)."""


def free_bytes() -> int | None:
    """What processes may still take: of the machine, or of the container where that has less; None where nobody says."""
    return min((free for free in (_free_here(), _free_in_container()) if free is not None), default=None)


def _free_here() -> int | None:
    try:
        lines = _MACHINE.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")), None)


def _free_in_container() -> int | None:
    try:
        limit = int((_GROUP / "memory.max").read_text(encoding="ascii"))
        taken = int((_GROUP / "memory.current").read_text(encoding="ascii"))
        lines = (_GROUP / "memory.stat").read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):  # no such file, or "max": no limit
        return None
    reclaimable = next((int(line.split()[1]) for line in lines if line.startswith("inactive_file ")), 0)
    return max(0, limit - taken + reclaimable)


class Growth:
    """How much resident memory a process took in a block, as far as it was seen."""

    bytes: int | None = None
    """At the highest look beyond those before the block; None where nobody says."""


@contextmanager
def growth_watched() -> Iterator[Growth]:
    """Look from a thread, while the block runs, at the resident memory of this process."""
    found, before, ended, most = Growth(), _resident(), threading.Event(), 0

    def look() -> None:
        nonlocal most
        while not ended.wait(_PAUSE):
            most = max(most, _resident() or 0)

    thread = threading.Thread(target=look, name="segbench-memory", daemon=True)
    thread.start()
    try:
        yield found
    finally:
        ended.set()
        thread.join()
        if before is not None:
            found.bytes = max(0, most - before)


def _resident() -> int | None:
    try:
        return int(_PROCESS.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None


def fitting(wanted: int, free: int | None, each: int | None) -> int:
    """How many of the wanted images fit; at least one.

    Args:
        wanted: As many as there are cores for.
        free: Bytes that may still be taken while one image's memory is given back; None where nobody says.
        each: Bytes that an image takes; likewise.
    """
    return wanted if free is None or not each else max(1, min(wanted, free // each))
