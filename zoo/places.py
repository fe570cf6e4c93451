"""Where things lie on the user's machine: the cache, the data root, torch's own cache."""

from __future__ import annotations

import os
from pathlib import Path

from .fetch.download import FetchError


def zoo_home() -> Path:
    """`ZOO_HOME`, else `segbench` in the user's cache folder."""
    chosen = os.environ.get("ZOO_HOME")
    if chosen:
        return _expanded(chosen)
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return _expanded(cache) / "segbench"


def torch_checkpoints() -> Path:
    """The folder in which `torch.hub` keeps checkpoints (`TORCH_HOME`), without importing torch."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("TORCH_HOME") or f"{cache}/torch"
    return _expanded(home) / "hub" / "checkpoints"


def _expanded(text: str) -> Path:
    """A path with `~` and `~name` replaced; where there is no such home, what was written is no place.

    Raises:
        FetchError: nobody of this name has a home.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise FetchError(
            f"{text}: {error}; set ZOO_HOME or TORCH_HOME to a folder that can be found"
        ) from error


def data_root() -> Path | None:
    """`ZOO_DATA_ROOT`, where set."""
    chosen = os.environ.get("ZOO_DATA_ROOT")
    return Path(chosen).expanduser() if chosen else None


def is_offline() -> bool:
    """True where `ZOO_OFFLINE` is set to anything but 0."""
    return os.environ.get("ZOO_OFFLINE", "0") not in ("", "0")


def lock_file() -> Path | None:
    """`ZOO_LOCK`, where set: the one lock file to read and write."""
    chosen = os.environ.get("ZOO_LOCK")
    return Path(chosen).expanduser() if chosen else None
