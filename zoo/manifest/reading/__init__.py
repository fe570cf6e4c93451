"""A manifest's files read: composed, made whole, walked and checked; this is what a copy in the cache spares."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

import yaml

from ..counted import read_counts, with_counts
from ..faults import Fault, ManifestError
from .checks import CHECKS
from .compact import Expansion, TooMuchError
from .source_files import Files, yaml_fault
from .walk import Reader

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from ..records import ManifestFile
    from .source_files import Part


def read_manifest(path: Path, instead: Mapping[Path, bytes] | None = None) -> tuple[ManifestFile, Files]:
    """A manifest's records, with what was counted of their networks, and the files they stand in.

    Args:
        path: the manifest.
        instead: contents of files as they are to become, by whole path.

    Raises:
        ManifestError: a file cannot be read, is no YAML, or says something wrong.
    """
    with _no_collection():
        files = Files(instead)
        files.read(path)
        content = _parse(path, files)
    return with_counts(content, read_counts()), files


@contextmanager
def _no_collection() -> Iterator[None]:
    """Nodes by the hundred thousand, none of them garbage: looking through them again and again is a third of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _parse(path: Path, files: Files) -> ManifestFile:
    """The content of a manifest's files.

    Raises:
        ManifestError: there is a fault in one of them.
    """
    reader = Reader(yaml.SafeLoader(""), CHECKS)
    content = None
    expansion = Expansion(reader)
    if not files.faults and expansion.fits(files.parts):
        try:
            content = reader.read_file(expansion.whole(files.parts))
        except TooMuchError as error:
            reader.faults = [Fault(path="", line=None, message=str(error))]
        except yaml.YAMLError as error:  # a tag of something that is no value
            reader.faults = [yaml_fault(path, error)]
    faults = [*files.faults, *reader.faults]
    if faults or content is None:
        raise ManifestError(path, _in_order(faults, files.parts))
    return content


def _in_order(faults: Iterable[Fault], parts: Iterable[Part]) -> list[Fault]:
    """By file and line; what a default does to many rows is told once."""
    order = {str(part.path): number for number, part in enumerate(parts)}
    once = {(fault.file, fault.line, fault.message): fault for fault in reversed(list(faults))}
    found = list(once.values())[::-1]
    return sorted(found, key=lambda fault: (order.get(fault.file, len(order)), fault.line or 0))
