"""Evidence from several files in one, and a file of chosen series to give away."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from .file import errors
from .store import EvidenceConflictError, EvidenceError, EvidenceStore, contents_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from .store import EvidenceKey, Use


class Merged(NamedTuple):
    """What became of one file."""

    images: int
    new: int


def merge_files(
    store: EvidenceStore, paths: Iterable[Path], fault_of: Callable[[Use], str] = lambda _: ""
) -> list[Merged]:
    """Take over all that the files hold, or nothing at all where one of them cannot be used.

    Every row is held to what segbench writes itself; `fault_of` says what else is wrong with a description, empty
    where nothing is.

    Raises:
        EvidenceConflictError: an image has other counts in two files; named are both.
        EvidenceError: a file is damaged or holds what no measurement gives, or `store` cannot be written.
    """
    merged = []
    with store.writing():
        for path in paths:
            with EvidenceStore(path, read_only=True) as source:
                images = sum(len(source.measured(key)) for key in source.series())
                merged.append(Merged(images, _take(store, source, source.series(), fault_of)))
    return merged


def merge(store: EvidenceStore, source: EvidenceStore, keys: Iterable[EvidenceKey] | None = None) -> int:
    """Take over the counts and descriptions of `keys`, by default of all series; returns the new images.

    Raises:
        EvidenceConflictError: an image has other counts in the two files; named are both.
        EvidenceError: `source` is damaged, or `store` cannot be written. In either case nothing was taken over.
    """
    with store.writing():
        return _take(store, source, source.series() if keys is None else keys, lambda _: "")


def _take(
    store: EvidenceStore, source: EvidenceStore, keys: Iterable[EvidenceKey], fault_of: Callable[[Use], str]
) -> int:
    source.check()
    try:
        return sum(store.take(key, source.checked(key), _checked_uses(source, key, fault_of)) for key in keys)
    except EvidenceConflictError as error:
        raise EvidenceConflictError(
            f"{error} ({source.path}); nothing was merged. Prune the series from the wrong file, or keep them apart"
        ) from error


def _checked_uses(source: EvidenceStore, key: EvidenceKey, fault_of: Callable[[Use], str]) -> Iterator[Use]:
    for use in source.uses(key):
        with errors(source.path, "read"):
            contents_of(use.split)  # lists no image twice
            if fault := fault_of(use):
                raise ValueError(f"series {key.digest()[:12]}, {use.checkpoint!r}: {fault}")
        yield use


def export(source: EvidenceStore, target: Path, keys: Iterable[EvidenceKey]) -> int:
    """Write series into a new file that is complete in itself; returns its number of images.

    It is an evidence file like any other: any command reads it with `--evidence`, and `merge` takes it over.

    Raises:
        EvidenceError: the file cannot be written, or `source` is damaged.
    """
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        with EvidenceStore(partial) as store:
            count = merge(store, source, keys)
            store.settle()
        with errors(target, "export"):
            partial.replace(target)
    except EvidenceError as error:  # the user knows of one file, the one that was asked for
        raise type(error)(str(error).replace(str(partial), str(target))) from error
    finally:
        for leftover in (partial, *(Path(f"{partial}{end}") for end in ("-wal", "-shm"))):
            with suppress(OSError):  # its folder may be none
                leftover.unlink(missing_ok=True)
    return count
