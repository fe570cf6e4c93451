"""What a decoder says of sampled images, and no header gives away: damage in the middle."""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from .findings import Finding, some

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_STDERR = 2
_LIBJPEG = "JPEG"
"""Occurs in whatever libjpeg says of bad data: `Corrupt JPEG data: 45 extraneous bytes before marker 0xd9`."""


@contextmanager
def decoder_complaints() -> Iterator[list[str]]:
    """Collect what libjpeg says while images are decoded; nothing else that is written to stderr is lost.

    cv2 decodes a damaged JPEG and reports success; libjpeg's words on the process's stderr are the only sign. For one
    thread at a time: descriptor 2 belongs to the whole process.
    """
    said: list[str] = []
    try:
        stderr = os.dup(_STDERR)
    except OSError:  # a process without stderr
        yield said
        return
    with tempfile.TemporaryFile() as written:
        _flush()
        os.dup2(written.fileno(), _STDERR)
        try:
            yield said
        finally:
            _flush()
            os.dup2(stderr, _STDERR)
            os.close(stderr)
            written.seek(0)
            _sort_out(written.read(), said)


def _flush() -> None:
    with suppress(OSError, ValueError, AttributeError):
        sys.stderr.flush()


def _sort_out(written: bytes, said: list[str]) -> None:
    """Libjpeg's lines to the list, others to where they were meant to go."""
    for line in written.splitlines(keepends=True):
        text = line.decode("utf-8", "replace")
        if _LIBJPEG in text:
            said.append(text.strip())
        else:
            with suppress(OSError):  # its reader has left
                os.write(_STDERR, line)


def damaged_images(complaints: dict[Path, str], examined: int) -> Iterator[Finding]:
    """Images that decode, though their decoder found bad data in them."""
    if complaints:
        path, said = next(iter(complaints.items()))
        yield Finding(
            kind="damaged image",
            gravity="warning",
            what=f"{len(complaints)} of {examined} sampled images hold bad data, first {path} ({said}); "
            f"{some([one.name for one in complaints])}",
            effect="they are decoded all the same, here and by the publishers' loaders, with wrong pixels from the damage on",
            remedy="copy these images again and compare their hashes with the archive's; a few archives have such images",
        )
