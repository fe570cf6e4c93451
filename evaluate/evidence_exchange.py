"""Evidence from several files in one, and a file of chosen series to give away."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from .evidence import EvidenceConflictError, EvidenceStore
from .evidence_file import errors

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .evidence import EvidenceKey


def merge(store: EvidenceStore, source: EvidenceStore, keys: Iterable[EvidenceKey] | None = None) -> int:
    """Take over the counts and descriptions of `keys`, by default of all series; returns the new images.

    Raises:
        EvidenceConflictError: an image has other counts in the two files; named are both.
        EvidenceError: `source` is damaged, or `store` cannot be written. In either case nothing was taken over.
    """
    source.check()
    try:
        with store.writing():
            chosen = source.series() if keys is None else keys
            return sum(store.take(key, source.encoded(key), source.uses(key)) for key in chosen)
    except EvidenceConflictError as error:
        raise EvidenceConflictError(
            f"{error} ({source.path}); nothing was merged. Prune the series from the wrong file, or keep them apart"
        ) from error


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
    finally:
        for leftover in (partial, *(Path(f"{partial}{end}") for end in ("-wal", "-shm"))):
            leftover.unlink(missing_ok=True)
    return count
