"""Includes with wildcards: what they mean, now and when a manifest was read last."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class Pattern(NamedTuple):
    """An include with wildcards, and what it stood for."""

    folder: str
    glob: str
    names: tuple[str, ...]

    def holds(self) -> bool:
        """Whether it still stands for the same files."""
        return found_names(Path(self.folder), self.glob) == self.names


def found_names(folder: Path, glob: str) -> tuple[str, ...]:
    """The files that a pattern means, relative to its folder, in the order of their names."""
    return tuple(sorted(one.relative_to(folder).as_posix() for one in folder.glob(glob) if one.is_file()))
