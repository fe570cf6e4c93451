"""What decoders written in C say on the process's stderr, caught; nothing else that is written there is lost."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_STDERR = 2
_LOCK = threading.RLock()
"""Descriptor 2 belongs to the whole process: one thread at a time."""


@contextmanager
def decoder_words(sign: str) -> Iterator[list[str]]:
    """Collect the lines that hold `sign` (`JPEG`, `libpng`) and are written to stderr in the body; others pass."""
    said: list[str] = []
    with _LOCK:
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
                _sort_out(written.read(), sign, said)


def _flush() -> None:
    with suppress(OSError, ValueError, AttributeError):
        sys.stderr.flush()


def _sort_out(written: bytes, sign: str, said: list[str]) -> None:
    """The lines with the sign to the list, others to where they were meant to go."""
    for line in written.splitlines(keepends=True):
        text = line.decode("utf-8", "replace")
        if sign in text:
            said.append(text.strip())
        else:
            with suppress(OSError):  # its reader has left
                os.write(_STDERR, line)
