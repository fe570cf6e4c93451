"""Operations of networks at the sizes they are given: counted once by tracing, then known without torch."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import metadata
from typing import TYPE_CHECKING, Annotated

import msgspec

from ...evaluate.regular_files import read_document
from ...models.builders import ArchitectureError
from ...models.rooms import is_own
from ..files.writing import write_whole

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ...evaluate.geometry import Size
    from ..manifest import Checkpoint

Wanted = tuple["Checkpoint", "Size"]
"""A row whose network is meant, and an input's (height, width)."""


class Operations:
    """What one forward pass on one image takes, by network and size; kept in a file, which may be missing or damaged."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._gflops = _read(path)
        self._uncountable: set[str] = set()

    def known(self, row: Checkpoint, size: Size) -> float | None:
        """10^9 operations, a multiply-add as two; None where nobody counted them."""
        return self._gflops.get(_name(row, size))

    def lacking(self, wanted: Iterable[Wanted]) -> list[Wanted]:
        """The first row of each network and size that is not counted and could be."""
        named = {_name(row, size): (row, size) for row, size in wanted if not row.not_built}
        return [one for name, one in named.items() if name not in self._gflops.keys() | self._uncountable]

    def count(self, wanted: Iterable[Wanted]) -> None:
        """Count them, a second or so each; what is counted is kept.

        A network that cannot be built or traced here is passed over.
        """
        from ...models.trace.cost import network_cost  # noqa: PLC0415  (torch)
        from ...models.trace.storage import TraceError  # noqa: PLC0415  (torch)

        try:
            for row, size in wanted:
                name = _name(row, size)
                try:
                    self._gflops[name] = network_cost(row.build, size).gflops
                except (ArchitectureError, TraceError):
                    self._uncountable.add(name)
        finally:
            self._keep()

    def _keep(self) -> None:
        kept = {name: gflops for name, gflops in self._gflops.items() if not name.startswith(_OTHERS)}
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self._path, msgspec.json.encode(kept))
        except OSError:  # they are counted anew the next time
            return


_OTHERS = "other "
"""Begins the names of networks whose code is not ours, and may change from one run to the next."""


_Positive = Annotated[float, msgspec.Meta(gt=0)]


def _read(path: Path) -> dict[str, float]:
    try:
        return msgspec.json.decode(read_document(path), type=dict[str, _Positive])
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return {}


def network_digest(row: Checkpoint) -> str:
    """What rows of one network share, whatever they were trained on."""
    numbers = msgspec.json.encode(row.architecture, order="deterministic")
    return hashlib.sha256(_version().encode() + numbers).hexdigest()[:16]


@cache
def _version() -> str:
    """This segbench's; read from a file, and asked for with every row and size."""
    return metadata.version("segbench")


def _name(row: Checkpoint, size: Size) -> str:
    builder = row.architecture.get("builder")
    kind = "" if builder is None or is_own(str(builder)) else _OTHERS
    return f"{kind}{network_digest(row)} {size[0]}x{size[1]}"
