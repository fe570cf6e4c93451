"""Files as they lie on the disk: under which form of a name, of which kind, and what their text is.

Only regular files are opened: a pipe hangs and a device never ends. Text is UTF-8, with a byte order mark or without.
Whatever cannot be used is an `OSError` whose `strerror` says why, as the system's own.
"""

from __future__ import annotations

import codecs
import errno
import os
import stat
import unicodedata
from pathlib import Path
from typing import BinaryIO

FILE_LIMIT_BYTES = 256 * 2**20
"""Of a document, which is read whole: a manifest of 34 rows has 100 KB, a training log some megabytes."""
_SPECIAL = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_OTHER_ENCODINGS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
"""Byte order marks, the longer ones first: UTF-32's begins with UTF-16's."""


def composed(name: str) -> str:
    """A name in the Unicode form (NFC) that keyboards and lists write; macOS's older disks hold the other one."""
    return unicodedata.normalize("NFC", name)


def existing_form(path: Path) -> Path:
    """The path as it is spelled on the disk, where that differs by the Unicode form of its names alone."""
    if str(path).isascii() or os.path.lexists(path):
        return path
    found = Path(path.anchor)
    for part in path.parts[1 if path.anchor else 0 :]:
        found /= part if os.path.lexists(found / part) else _spelled(found, part)
    return found


def _spelled(folder: Path, name: str) -> str:
    alike = composed(name)
    try:
        entries = [entry.name for entry in folder.iterdir()]
    except OSError:
        return name
    return next((entry for entry in entries if composed(entry) == alike), name)


def special_kind(path: Path) -> str:
    """What there is that is neither file nor folder: `a pipe`; empty where it is one of them, or nothing is there."""
    try:
        return _SPECIAL.get(stat.S_IFMT(path.stat().st_mode), "")
    except OSError:
        return ""


def open_regular(path: Path) -> BinaryIO:
    """Open a file for reading.

    Raises:
        OSError: it cannot be opened, or is none.
    """
    if (kind := special_kind(path)) and path != Path(os.devnull):
        raise OSError(errno.EINVAL, f"expected a regular file, found {kind}")
    return path.open("rb")


def read_bytes(path: Path, limit_bytes: int | None = None) -> bytes:
    """All of a file.

    Raises:
        OSError: it cannot be read, is none, or has more bytes than `limit_bytes`.
    """
    with open_regular(path) as file:
        data = file.read(-1 if limit_bytes is None else limit_bytes + 1)
    if limit_bytes is not None and len(data) > limit_bytes:
        raise OSError(errno.EFBIG, f"it has more than {limit_bytes // 2**20} MiB, as no such document has")
    return data


def read_document(path: Path) -> bytes:
    """All of a manifest, a list, a log, ...: `read_bytes` up to `FILE_LIMIT_BYTES`.

    Raises:
        OSError: as `read_bytes`.
    """
    return read_bytes(path, FILE_LIMIT_BYTES)


def read_text(path: Path) -> str:
    """A document's text in UTF-8, with Unix line ends.

    Raises:
        OSError: it cannot be read, is no file, or no such text.
    """
    return text_of(read_document(path))


def text_of(data: bytes) -> str:
    """Bytes of a text as such, without a byte order mark and with Unix line ends.

    Raises:
        OSError: they are no text in UTF-8.
    """
    other = next((name for mark, name in _OTHER_ENCODINGS if data.startswith(mark)), None)
    if other:
        raise OSError(errno.EILSEQ, f"expected text in UTF-8, found {other}; save it as UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, byte = data.count(b"\n", 0, error.start) + 1, data[error.start]
        message = (
            f"expected text in UTF-8, found byte 0x{byte:02x} in line {line}, which is none; save it as UTF-8"
        )
        raise OSError(errno.EILSEQ, message) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")
