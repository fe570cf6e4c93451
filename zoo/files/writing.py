"""Files that are written whole or not at all, with the modes that the user's umask gives."""

from __future__ import annotations

import errno
import os
import stat
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_TAKES_NO_OTHER_FILE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY, errno.EXDEV)
"""Of a folder that may not be written, and of a file that is a mount of its own, as containers have them."""


@contextmanager
def replacing(path: Path, fresh: Path | None = None, *, sync: bool = True) -> Iterator[Path]:
    """A new file's path, to be written in the body; it takes the place of `path` after it, unless the body fails.

    Folders are made. A link stays one: what it leads to is replaced. A file that was there hands on its mode.

    Args:
        path: The file to be.
        fresh: The new file beside it, where what a kill leaves of it has to have a certain name.
        sync: Wait until it is on the disk.

    Raises:
        OSError: a folder or file cannot be written.
    """
    target = path.resolve()
    if target.exists() and not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    # Not the file's own name with something added, which may be longer than names can be.
    fresh = fresh or target.with_name(f".zoo-{os.getpid()}-{threading.get_ident()}.new")
    try:
        yield fresh
        with suppress(OSError):  # nothing there yet, or a file system without modes
            fresh.chmod(stat.S_IMODE(target.stat().st_mode))
        if sync:
            with fresh.open("rb") as file:
                os.fsync(file.fileno())
        fresh.replace(target)
    finally:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)


def write_whole(
    path: Path, data: bytes | memoryview, fresh: Path | None = None, *, sync: bool = True
) -> None:
    """Put `data` in place of a file's content, as `replacing` does; a pipe or device gets them as they are.

    A pipe that nobody reads is refused: to wait for a reader may take for ever.

    Raises:
        OSError: it cannot be written; what was there is still there, unless its folder takes no other file.
    """
    if path.exists() and not path.is_file():
        _pour(path, data)
        return
    try:
        with replacing(path, fresh, sync=sync) as new:
            new.write_bytes(data)
    except OSError as error:
        if error.errno not in _TAKES_NO_OTHER_FILE or not path.is_file():
            raise
        path.write_bytes(data)


def _pour(path: Path, data: bytes | memoryview) -> None:
    flags = os.O_WRONLY | getattr(os, "O_NONBLOCK", 0)
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        raise OSError(errno.ENXIO, "nobody reads what comes through it", str(path)) from error
    with os.fdopen(descriptor, "wb") as file:
        if flags != os.O_WRONLY:
            os.set_blocking(descriptor, True)
        file.write(data)
