"""Files that somebody names: how a path is understood, what is opened, and how text in it is read.

One convention for all of them. `~` and `~name` are homes, in flags as in the environment. Links are followed. A name
is found in whichever Unicode form (composed, decomposed) it lies on the disk. Only regular files are opened: a pipe
hangs and a device never ends. Text is UTF-8, with a byte order mark or without. Whatever cannot be used is an
`OSError` whose `strerror` says why, as the system's own.
"""

from __future__ import annotations

import argparse
import codecs
import errno
import os
import stat
import sys
import unicodedata
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

STANDARD_INPUT = (Path("-"), Path("/dev/stdin"))
PIPE_LIMIT_BYTES = 64 * 2**20
"""Of a document that comes through a pipe, which has no size that could be looked at first."""
FILE_LIMIT_BYTES = 256 * 2**20
"""Of a document in a file, which is read whole: a manifest of 34 rows has 100 KB, a training log some megabytes."""
_SHOWN_CHARACTERS = 80
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


# --- paths ----------------------------------------------------------------------------------------------


def expanded(text: str) -> Path:
    """A path as it was written, with `~` and `~name` replaced.

    Raises:
        ValueError: it is empty, or nobody of that name has a home.
    """
    if not text:
        raise ValueError("expected a path, found nothing")
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise ValueError("there is no home that ~ could stand for; write the whole path") from error


def existing_form(path: Path) -> Path:
    """The path as it is spelled on the disk, where that differs by the Unicode form of its names alone."""
    if str(path).isascii() or os.path.lexists(path):
        return path
    found = Path(path.anchor)
    for part in path.parts[1 if path.anchor else 0 :]:
        found /= part if os.path.lexists(found / part) else _spelled(found, part)
    return found


def _spelled(folder: Path, name: str) -> str:
    alike = unicodedata.normalize("NFC", name)
    try:
        entries = [entry.name for entry in folder.iterdir()]
    except OSError:
        return name
    return next((entry for entry in entries if unicodedata.normalize("NFC", entry) == alike), name)


def named_path(text: str) -> Path:
    """For argparse: a path that may be, or may come to be, whatever the flag is for."""
    shown = text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."
    try:
        path = existing_form(expanded(text))
        with suppress(FileNotFoundError, NotADirectoryError):
            path.stat()
    except OSError as error:  # a loop of links, a name too long, a folder that may not be entered
        raise argparse.ArgumentTypeError(f"{shown}: {error.strerror}") from error
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{shown}: {error}") from error
    return path


def named_file(text: str) -> Path:
    """For argparse: a path of a regular file, or of one to be written; the null device stands for an empty one."""
    path = named_path(text)
    if (kind := special_kind(path)) and path != Path(os.devnull):
        raise argparse.ArgumentTypeError(f"{text}: expected a regular file, found {kind}")
    return path


# --- reading --------------------------------------------------------------------------------------------


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


def read_bytes(path: Path) -> bytes:
    """All of a file.

    Raises:
        OSError: it cannot be read, is none, or has more bytes than `FILE_LIMIT_BYTES`.
    """
    with open_regular(path) as file:
        data = file.read(FILE_LIMIT_BYTES + 1)
    if len(data) > FILE_LIMIT_BYTES:
        raise OSError(
            errno.EFBIG, f"it has more than {FILE_LIMIT_BYTES // 2**20} MiB, as no such document has"
        )
    return data


def read_text(path: Path) -> str:
    """A whole text in UTF-8, with Unix line ends.

    Raises:
        OSError: it cannot be read, is no file, or no such text.
    """
    return text_of(read_bytes(path))


def read_document(path: Path) -> str:
    """As `read_text`; `-`, `/dev/stdin` and a shell's `<(command)` are read through, up to `PIPE_LIMIT_BYTES`.

    Raises:
        OSError: as for `read_text`, or more comes than that.
    """
    if path not in STANDARD_INPUT and not (path.parts[:3] == ("/", "dev", "fd") and special_kind(path)):
        return read_text(path)
    with sys.stdin.buffer if path in STANDARD_INPUT else path.open("rb") as file:
        data = file.read(PIPE_LIMIT_BYTES + 1)
    if len(data) > PIPE_LIMIT_BYTES:
        raise OSError(
            errno.EFBIG, f"more than {PIPE_LIMIT_BYTES // 2**20} MiB come through the pipe; name a file"
        )
    return text_of(data)


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
