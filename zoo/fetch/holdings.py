"""What the cache holds: `zoo fetch --list`; whether it is still whole: `--verify`; what nobody needs: `--prune`."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from filelock import FileLock, Timeout

from ...reports.media import tabulate
from . import Action, Wanted, cache, folder_fault, target_fault, torchs_file, unforeseen, wanted_action
from .download import FetchError, file_sha256

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


class Holding(msgspec.Struct, frozen=True, kw_only=True):
    """One wanted file as the disk has it."""

    checkpoint: str
    kind: str
    state: str
    """An `Action` in words, or that the place is another checkpoint's."""
    path: str
    size_bytes: int | None = None
    """Bytes that are there, of a partial file too."""
    expected: str = ""
    """SHA-256 or its beginning, as far as anybody knows it."""
    witness: str = ""
    """Who says what the bytes should be."""
    sha256: str | None = None
    """Of the bytes on disk, where they were hashed."""
    fault: str | None = None
    """Why the file is not to be used, and what to do."""


_UNCHECKED = "in torch's cache, not checked"
_NAMESAKES = "another checkpoint's folder"
_STATES = {Action.DOWNLOAD: "not fetched", Action.REUSE: _UNCHECKED}


def survey(wanted: Wanted) -> Holding:
    """What is there, without reading it."""
    if fault := folder_fault(wanted):
        return Holding(
            checkpoint=wanted.checkpoint.id,
            kind=wanted.kind,
            state=_NAMESAKES,
            path=str(wanted.target),
            fault=fault,
        )
    action = wanted_action(wanted)
    path = torchs_file(wanted) if action is Action.REUSE else wanted.target
    seen = cache.partial_paths(wanted.target) if action is Action.RESUME else [path]
    return Holding(
        checkpoint=wanted.checkpoint.id,
        kind=wanted.kind,
        state=_STATES.get(action, action.value),
        path=str(path),
        size_bytes=max((one.stat().st_size for one in seen if one.is_file()), default=None),
        expected=wanted.expected,
        witness=wanted.witness if wanted.expected else "",
    )


def examine(wanted: Wanted) -> Holding:
    """`survey`, and the file's bytes hashed and compared."""
    found = survey(wanted)
    if found.fault:
        return found
    if found.state == _UNCHECKED:
        return _examine_torchs(wanted, found)
    path = wanted.target
    if not path.is_file():
        return found
    try:
        sha256 = file_sha256(path)
        fault = target_fault(wanted, sha256, path)
    except OSError as error:
        sha256, fault = None, f"{path}: cannot be read: {error.strerror or error}"
    except Exception as error:  # noqa: BLE001  (one odd file must not stop the check of the others)
        sha256, fault = None, f"{path}: cannot be examined: {unforeseen(error)}"
    return msgspec.structs.replace(found, sha256=sha256, fault=fault)


def _examine_torchs(wanted: Wanted, found: Holding) -> Holding:
    """Another tool's file is a holding where its hash agrees, and else none of our business."""
    try:
        sha256 = file_sha256(torchs_file(wanted))
    except OSError:
        sha256 = None
    if sha256 is not None and sha256.startswith(wanted.expected):
        return msgspec.structs.replace(found, state=Action.REUSE.value, sha256=sha256)
    return msgspec.structs.replace(found, state="not fetched", path=str(wanted.target), size_bytes=None)


def damaged_blobs(home: Path) -> list[Holding]:
    """Every blob that is no longer what its name says."""
    found = []
    for path in sorted(filter(cache.is_blob, cache.blobs_folder(home).glob("*"))):
        try:
            sha256 = file_sha256(path)
            fault = f"{path}: its name is not its sha256 any more; delete it"
        except OSError as error:
            sha256, fault = None, f"{path}: cannot be read: {error.strerror or error}"
        if sha256 != path.name:
            found.append(
                Holding(
                    checkpoint="",
                    kind="blob",
                    state="damaged",
                    path=str(path),
                    size_bytes=path.stat().st_size,
                    expected=path.name,
                    sha256=sha256,
                    fault=fault,
                )
            )
    return found


def faults_told(holdings: Iterable[Holding]) -> list[str]:
    """A sentence for every damaged file; one that lies under several names is told once, with the other names."""
    names: dict[object, list[Holding]] = {}
    for holding in holdings:
        if holding.fault:
            names.setdefault(_identity(holding.path), []).append(holding)
    return [_told_once(first, others) for first, *others in names.values()]


def _identity(path: str) -> object:
    """Equal for two names of one file."""
    try:
        status = Path(path).stat()
    except OSError:  # gone by now
        return path
    return status.st_dev, status.st_ino


def _told_once(first: Holding, others: list[Holding]) -> str:
    if not others:
        return str(first.fault)
    return f"{first.fault}; the same bytes lie in {', '.join(one.path for one in others)}"


def holdings_text(holdings: Iterable[Holding]) -> str:
    """The holdings for a person."""
    rows = [
        [one.checkpoint, one.kind, one.state, _size(one.size_bytes), _hash(one), one.path] for one in holdings
    ]
    return tabulate(rows, ["id", "file", "state", "size", "sha256", "where"], disable_numparse=True)


def _size(size: int | None) -> str:
    return "" if size is None else f"{size / 2**20:.1f} MiB"


def _hash(holding: Holding) -> str:
    if not holding.expected:
        return "nobody says"
    return f"{holding.expected[:8]} {'published' if 'published' in holding.witness else 'recorded'}"


def holding_records(holdings: Iterable[Holding]) -> list[dict[str, Any]]:
    """The holdings as plain data."""
    return [msgspec.to_builtins(one) for one in holdings]


# --- pruning ------------------------------------------------------------------------------------------------


class Waste(msgspec.Struct, frozen=True, kw_only=True):
    """What of a cache no wanted file needs."""

    ours: tuple[Path, ...] = ()
    """Other rows' files, partial and wrong ones, unused blobs: all of them provably written by `zoo fetch`."""
    foreign: tuple[Path, ...] = ()
    """Files that somebody else may have put there."""


def superfluous(home: Path, wanted: Sequence[Wanted]) -> Waste:
    """Files of the cache that belong to no wanted file.

    A partial file that a process is filling just now is left alone.
    """
    needed = {one.target for one in wanted}
    blobs = [path for path in cache.blobs_folder(home).glob("*") if cache.is_blob(path)]
    inodes = {path.stat().st_ino for path in blobs}
    named = [path for path in cache.files(home) if path not in blobs]
    unneeded = [path for path in named if path not in needed and not _is_being_filled(path, home)]
    ours = [path for path in unneeded if cache.is_made_here(path, home, inodes)]
    kept = {path.stat().st_ino for path in named if path not in ours}
    return Waste(
        ours=(*ours, *(path for path in sorted(blobs) if path.stat().st_ino not in kept)),
        foreign=tuple(path for path in unneeded if path not in ours),
    )


def _is_being_filled(path: Path, home: Path) -> bool:
    guard = cache.guard_path(path.with_name(cache.target_name(path.name)), home)
    if cache.target_name(path.name) == path.name or not guard.exists():
        return False
    try:
        with FileLock(guard, timeout=0):
            return False
    except Timeout:
        return True


def prune(paths: Iterable[Path], home: Path) -> tuple[list[Path], int]:
    """Delete files and the folders they leave empty: which, and the number of bytes on disk that became free.

    A file that a process began to fetch in the meantime stays.

    Raises:
        FetchError: a file cannot be deleted.
    """
    freed = {path: _deleted(path, home) for path in paths}
    gone = {path: size for path, size in freed.items() if size is not None}
    return list(gone), sum(gone.values())


def _deleted(path: Path, home: Path) -> int | None:
    """Delete a file; the bytes on disk that became free, or None where it is being fetched."""
    try:
        with _guarded(path, home):
            status = path.stat()
            path.unlink()
            if path.parent != home and not any(path.parent.iterdir()):
                path.parent.rmdir()
    except Timeout:
        return None
    except OSError as error:
        raise FetchError(f"{path}: cannot delete: {error.strerror or error}") from error
    return status.st_size if status.st_nlink == 1 else 0


@contextmanager
def _guarded(path: Path, home: Path) -> Iterator[None]:
    """Keep every process from fetching a file; raises Timeout where one is at it."""
    if path.parent == cache.blobs_folder(home):
        yield  # nobody fetches a blob, and a link to one that is gone fails harmlessly
        return
    guard = cache.guard_path(path.with_name(cache.target_name(path.name)), home)
    guard.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(guard, timeout=0):
        yield
