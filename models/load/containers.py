"""What a checkpoint's container says of itself, told from its bytes alone: no torch, and nothing of it is executed."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections import Counter
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import zipfile
    from io import BufferedReader
    from pathlib import Path
    from typing import BinaryIO

Container = Literal["zip", "legacy pickle", "safetensors"]
"""`torch.save` since torch 1.6, `torch.save` before, and Hugging Face's format without any code."""

SAFETENSORS_HEADER_BYTES = 10_000_000
"""The longest header that is read: 80,000 tensors. The format allows ten times that, and no published file needs it."""

LEGACY_MARK = b"\x80"
"""The first byte of every pickle since protocol 2."""


class ContainerError(Exception):
    """Why a file is no whole container: a part of a sentence, after "found"."""

    def __init__(self, message: str, *, is_short: bool = False) -> None:
        super().__init__(message)
        self.is_short = is_short
        """True where more bytes could mend it."""


def opened(path: Path) -> BufferedReader:
    """A regular file, open for reading; a pipe or a device, which may never end, is not waited for.

    Raises:
        OSError: It cannot be opened, or is no regular file.
    """
    # Opening a pipe that nobody writes to would wait for ever; looking at it first would leave a moment to swap it.
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
    descriptor = os.open(path, flags)
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        kind = "Is a directory" if stat.S_ISDIR(mode) else "Not a regular file"
        raise OSError(errno.EINVAL, kind, str(path))
    return os.fdopen(descriptor, "rb")


def container(head: bytes) -> Container | None:
    """By a file's first bytes, nine at least; None for anything else."""
    if head.startswith(b"PK\x03\x04"):
        return "zip"
    if head[:1] == LEGACY_MARK and 0 < int.from_bytes(head[1:2], "little") <= 5:
        return "legacy pickle"
    return "safetensors" if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 2**40 else None


def require_stored(archive: zipfile.ZipFile, size: int) -> None:
    """A `torch.save` archive stores its records as they are, each once, so it never unpacks to more than its size.

    Args:
        archive: The archive; none of its records is read.
        size: Bytes of the file.

    Raises:
        ContainerError: It would unpack to more, or has two records of one name.
    """
    records = archive.infolist()
    unpacked = sum(record.file_size for record in records)
    if unpacked > size:
        raise ContainerError(f"records of {unpacked} bytes packed into it")
    if len({record.filename for record in records}) < len(records):
        raise ContainerError("two records of one name")


def safetensors_end(file: BinaryIO) -> int:
    """The length in bytes that a safetensors file should have, by its header.

    Raises:
        ContainerError: The header is longer than `SAFETENSORS_HEADER_BYTES`, is cut short or damaged, or names
            a tensor twice.
    """
    size = int.from_bytes(file.read(8), "little")
    if size > SAFETENSORS_HEADER_BYTES:
        raise ContainerError(
            f"a safetensors header of {size} bytes, where at most {SAFETENSORS_HEADER_BYTES} are read"
        )
    header = file.read(size)
    if len(header) < size:
        raise ContainerError("a safetensors file whose header is cut short or damaged", is_short=True)
    try:
        tensors: dict[str, Any] = json.loads(header, object_pairs_hook=_each_once)
        ends = [entry["data_offsets"][1] for name, entry in tensors.items() if name != "__metadata__"]
        return 8 + size + max(map(int, ends), default=0)
    except (
        ValueError,
        KeyError,
        IndexError,
        TypeError,
        AttributeError,
        OverflowError,
        RecursionError,
    ) as error:
        raise ContainerError("a safetensors file whose header is cut short or damaged") from error


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        [(twice, _)] = Counter(name for name, _ in pairs).most_common(1)
        raise ContainerError(f"a safetensors header that has {twice[:100]!r} twice")
    return content
