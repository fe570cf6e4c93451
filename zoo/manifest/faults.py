"""What is wrong in a manifest, each fault with its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One thing wrong in a manifest."""

    path: str
    """`checkpoints[3].claims[1]`; empty for the file as a whole."""
    line: int | None
    """Counted from 1; None where there is nothing to point at."""
    message: str
    file: str = ""
    """The file it stands in, where that may be another than the manifest itself."""


class ManifestError(Exception):
    """A manifest cannot be used; carries every fault of its files and prints one a line."""

    def __init__(self, path: Path, faults: Iterable[Fault]) -> None:
        self.path = path
        self.faults = tuple(faults)
        super().__init__("\n".join(self._line(fault) for fault in self.faults))

    def _line(self, fault: Fault) -> str:
        file = fault.file or str(self.path)
        place = file if fault.line is None else f"{file}:{fault.line}"
        return ": ".join(part for part in (place, fault.path, fault.message) if part)
