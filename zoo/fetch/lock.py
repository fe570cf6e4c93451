"""`zoo.lock`: what the first download of a file was, where its publisher gives no hash to compare.

From then on the recorded SHA-256 is required, until `zoo fetch --update-lock` says otherwise. The lock lies beside
the manifest, to be committed with it; where that folder cannot be written, or belongs to an installed package
that the next upgrade replaces, additions go to `ZOO_HOME`. `ZOO_LOCK` names another file instead.

The digest of the tensors needs torch, which `zoo fetch` does without: `zoo check-weights` reads the tensors anyway
and completes the entry.
"""

from __future__ import annotations

import os
import tempfile
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Annotated

import msgspec
from filelock import FileLock

from ...evaluate.regular_files import read_document
from ..files import places
from ..files.urls import shown_url
from ..files.writing import write_whole
from .download import LocalError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ..manifest import Checkpoint

NAME = "zoo.lock"
VERSION = 1


class LockError(LocalError):
    """The lock file cannot be read or written."""


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file as it was when it first came."""

    file: str
    url: str
    """Where it came from, as it may be shown; empty for a file that was found in the cache."""
    sha256: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$(?!\n)")]
    size_bytes: Annotated[int, msgspec.Meta(ge=0)]
    content_digest: str | None = None
    """`models.load.health.content_digest`: equal for equal tensors in any container; None until it was computed."""
    recorded: str
    """Date, YYYY-MM-DD."""


class _Content(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    version: int = VERSION
    files: dict[str, Entry] = {}
    """Checkpoint id -> entry."""


class Lock:
    """The lock of a manifest: read from where it was published, written where writing is possible."""

    def __init__(self, path: Path, published: Path | None = None) -> None:
        self.path = path.resolve()
        """The file that is written; what it says comes first."""
        self.published = None if published is None or published.resolve() == self.path else published

    def get(self, checkpoint_id: str) -> Entry | None:
        """What was recorded of a checkpoint's file.

        Raises:
            LockError: a lock file cannot be read.
        """
        return self._found(checkpoint_id)[0]

    def where(self, checkpoint_id: str) -> Path:
        """The file that says it, or would."""
        return self._found(checkpoint_id)[1]

    def _found(self, checkpoint_id: str) -> tuple[Entry | None, Path]:
        for path in (self.path, self.published):
            if path is not None and (entry := _read(path).files.get(checkpoint_id)):
                return entry, path
        return None, self.path

    def record(self, checkpoint_id: str, entry: Entry) -> None:
        """Write an entry, replacing one.

        Raises:
            LockError: the lock file cannot be read or written.
        """
        self._change(lambda content: content.files.update({checkpoint_id: entry}))

    def complete(self, checkpoint_id: str, sha256: str, content_digest: str) -> None:
        """Add the digest of the tensors to the entry of this very file, where it is missing."""
        entry = self.get(checkpoint_id)
        if entry and entry.sha256 == sha256 and entry.content_digest is None:
            self.record(checkpoint_id, msgspec.structs.replace(entry, content_digest=content_digest))

    def require_writable(self) -> None:
        """Find out before a download that its hash could not be recorded.

        Raises:
            LockError: the lock file cannot be read or written.
        """
        _read(self.path)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with _guard(self.path), tempfile.TemporaryFile(dir=self.path.parent):
                pass
        except OSError as error:
            raise _cannot_write(self.path, error) from error

    def _change(self, change: Callable[[_Content], object]) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with _guard(self.path):
                content = _read(self.path)
                change(content)
                _write(self.path, content)
        except OSError as error:
            raise _cannot_write(self.path, error) from error


def _guard(path: Path) -> FileLock:
    """What whoever writes `path` must hold: beside it, so that it is the same one for every cache."""
    return FileLock(path.with_name(f".{path.name}.guard"))


def _cannot_write(path: Path, error: OSError) -> LockError:
    return LockError(f"{path}: cannot write: {error.strerror or error}; name another file with ZOO_LOCK")


def entry_of(path: Path, sha256: str, url: str) -> Entry:
    """The entry of a file that is there."""
    return Entry(
        file=path.name,
        url=url,
        sha256=sha256,
        size_bytes=path.stat().st_size,
        recorded=datetime.now(timezone.utc).date().isoformat(),
    )


def lock_for(checkpoint: Checkpoint, home: Path | None = None) -> Lock:
    """The lock that holds for a checkpoint; a cache of one's own (`home`) keeps additions to itself."""
    if chosen := places.lock_file():
        return Lock(chosen)
    beside = checkpoint.manifest.parent / NAME if checkpoint.manifest else None
    if home is None and beside is not None and _is_ours_to_write(beside):
        return Lock(beside)
    return Lock((home or places.zoo_home()) / NAME, beside)


def _is_ours_to_write(path: Path) -> bool:
    installed = {"site-packages", "dist-packages"} & set(path.absolute().parts)
    return not installed and os.access(path if path.exists() else path.parent, os.W_OK)


def _read(path: Path) -> _Content:
    try:
        content = msgspec.json.decode(read_document(path), type=_Content)
    except FileNotFoundError:
        return _Content()
    except (OSError, ValueError, msgspec.DecodeError, RecursionError) as error:
        raise LockError(
            f"{path}: cannot read the lock: {error}; mend it, or take it back from version control"
        ) from error
    if content.version != VERSION:
        raise LockError(f"{path}: version {content.version} is not supported, this segbench reads {VERSION}")
    return content


def _write(path: Path, content: _Content) -> None:
    # An entry of before may have a password in its URL.
    files = {
        name: msgspec.structs.replace(entry, url=shown_url(entry.url))
        for name, entry in sorted(content.files.items())
    }
    ordered = msgspec.structs.replace(content, files=files)
    write_whole(path, msgspec.json.format(msgspec.json.encode(ordered), indent=2) + b"\n")
