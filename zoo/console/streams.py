"""stdout and stderr of the command: neither a reader that leaves nor a full disk changes what it answers."""

from __future__ import annotations

import codecs
import errno
import io
import os
import select
import sys
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Buffer

PLAINER = {"→": "->", "–": "-", "…": "...", "\N{MULTIPLICATION SIGN}": "x", "±": "+-"}
"""Sign -> what is written where an encoding lacks it; any other becomes a question mark."""
_READER_LEFT = (errno.EPIPE, errno.ECONNRESET)


class LastingFile(io.FileIO):
    """A descriptor to write to; from the first write that fails on, everything is dropped and `trouble` says why."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "wb", closefd=False)
        self.trouble: OSError | None = None

    def write(self, data: Buffer, /) -> int:
        """All of the data count as written, whatever became of them."""
        rest = memoryview(data).cast("B")
        size = len(rest)
        while rest and self.trouble is None:
            rest = rest[self._write_some(rest) :]
        return size

    def _write_some(self, rest: memoryview) -> int:
        try:
            written = super().write(rest)
        except OSError as error:
            self.trouble = error
            return 0
        if written is None:  # a descriptor that does not block, and is full for the moment
            select.select([], [self], [])
        return written or 0


@contextmanager
def lasting_streams() -> Iterator[list[LastingFile]]:
    """Make `sys.stdout` and `sys.stderr` such files for the body; yields stdout's, where it is one.

    A stream that was closed leads nowhere instead: Python would print stderr's lines to stdout, and the next file
    that is opened, such as the evidence, would get the descriptor that libraries write their complaints to.
    Streams that are no files, as in a notebook, stay as they are.
    """
    _occupy_standard_descriptors()
    before = sys.stdout, sys.stderr
    try:
        sys.stdout, sys.stderr = _lasting(sys.stdout), _lasting(sys.stderr)
        raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
        yield [raw] if isinstance(raw, LastingFile) else []
    finally:
        for now, old in zip((sys.stdout, sys.stderr), before, strict=True):
            if now is not old:
                now.flush()
        sys.stdout, sys.stderr = before


_answers: TextIO | None = None
"""stdout, while `print` leads elsewhere."""


def answers() -> TextIO:
    """Where a command's answer goes: stdout, whatever `print` writes to."""
    return sys.stdout if _answers is None else _answers


@contextmanager
def answers_alone() -> Iterator[None]:
    """Keep stdout for answers in the body: what code of others prints, such as a builder's, goes to stderr."""
    global _answers  # noqa: PLW0603  (a stream of the process, as sys.stdout is)
    before, _answers = _answers, answers()
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        _answers = before


def write_trouble(files: list[LastingFile]) -> str:
    """Why not all of stdout was written; empty where it was, or where its reader had had enough (`zoo list | head`)."""
    sys.stdout.flush()
    trouble = next((file.trouble for file in files if file.trouble is not None), None)
    if trouble is None or trouble.errno in _READER_LEFT:
        return ""
    return trouble.strerror or str(trouble)


def _occupy_standard_descriptors() -> None:
    """Descriptors 0, 1 and 2 are open afterwards; what was closed reads and writes nothing."""
    null = os.open(os.devnull, os.O_RDWR)
    while null <= 2:  # the lowest free one is given out first
        null = os.open(os.devnull, os.O_RDWR)
    os.close(null)


def _lasting(stream: TextIO | None) -> TextIO:
    if stream is None:
        return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123  (as long as the command)
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError, AttributeError):
        return stream
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(LastingFile(descriptor)),
        encoding=stream.encoding,
        errors=_errors(stream),
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def _errors(stream: io.TextIOWrapper) -> str:
    """Signs that the stream's encoding lacks, as on an old console, become others rather than an error."""
    codecs.register_error("plainer", _plainer)
    lacks_signs = stream.errors == "surrogateescape" and codecs.lookup(stream.encoding).name != "utf-8"
    return "plainer" if lacks_signs or stream.errors == "strict" else stream.errors or "strict"


def _plainer(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    lost = error.object[error.start : error.end]
    return "".join(PLAINER.get(sign, "?") for sign in lost), error.end
