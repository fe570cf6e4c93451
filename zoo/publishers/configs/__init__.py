"""Publishers' training configurations: what they say of a row's network, protocol and batch.

Python is read and never run. What was read once is kept as JSON (`Release`), so that rows can be made again without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..records import SourceError
from . import mmsegmentation, sssegmentation
from .published_config import Configs, Found, PublishedConfig, Release, read_release, release_bytes

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Configs", "Found", "PublishedConfig", "Release", "read_configs", "release_bytes"]

_READERS = {
    "_base_/models": mmsegmentation.read_folder,
    "_base_/segmentors": sssegmentation.read_folder,
}
"""Folder that a publisher's configurations have -> what reads them."""


def read_configs(path: Path) -> Release:
    """A release's configurations: a folder of them, or what was kept of one.

    Raises:
        SourceError: it is neither, or a configuration cannot be read.
    """
    if not path.is_dir():
        return read_release(path)
    for folder, read in _READERS.items():
        if (path / folder).is_dir():
            return read(path, path.resolve().name)
    raise SourceError(f"{path}: expected a publisher's configurations, a folder with {' or '.join(_READERS)}")
