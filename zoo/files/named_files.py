"""Files that somebody names: how a path is understood, and what a flag takes.

One convention for all of them. `~` and `~name` are homes, in flags as in the environment. Links are followed. A name
is found in whichever Unicode form (composed, decomposed) it lies on the disk. What is opened, and how text is read,
stands in `evaluate.regular_files`.
"""

from __future__ import annotations

import argparse
import errno
import os
import sys
from contextlib import suppress
from pathlib import Path

from ...evaluate.regular_files import existing_form, read_text, special_kind, text_of

STANDARD_INPUT = (Path("-"), Path("/dev/stdin"))
PIPE_LIMIT_BYTES = 64 * 2**20
"""Of a document that comes through a pipe, which has no size that could be looked at first."""
_SHOWN_CHARACTERS = 80


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


def named_file_or_folder(text: str) -> Path:
    """For argparse: as `named_file`, or a folder that is there."""
    path = named_path(text)
    return path if path.is_dir() else named_file(text)


# --- reading --------------------------------------------------------------------------------------------


def read_piped_text(path: Path) -> str:
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
