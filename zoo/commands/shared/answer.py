"""What a command gives back: text for stdout or a file, one message and an exit code where it cannot go on."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

from ....reports.media import short_lines
from ...console.exit_codes import ExitCode
from ...console.streams import answers
from ...files.writing import write_whole

if TYPE_CHECKING:
    from pathlib import Path


class Data(str):
    """Text that programs read: nothing of it is left out, however long its lines are."""

    __slots__ = ()


class CommandError(Exception):
    """A user's mistake, or with another exit code a missing thing: one message."""

    def __init__(self, message: str, exit_code: int = ExitCode.USAGE) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def fail(message: str, code: int) -> int:
    """Say why on stderr; returns the code."""
    print(f"zoo: {message}", file=sys.stderr)
    return code


def write(text: str) -> None:
    """To stdout, with one line end; for people lines are cut at a length beyond all reading."""
    print((text if isinstance(text, Data) else short_lines(text)).rstrip("\n"), file=answers())


def json_text(data: object) -> Data:
    """As every `--json` prints it."""
    return Data(json.dumps(data, indent=2, ensure_ascii=False))


def write_out(text: str, out: Path | None) -> None:
    """A whole document, to a file where one is named, else to stdout."""
    if out is None:
        write(Data(text))
        return
    require_file_place("--out", out)
    write_file(out, text.rstrip("\n") + "\n")


def write_file(path: Path, text: str) -> None:
    """Into a file, whole or not at all; its folders are made."""
    try:
        write_whole(path, text.encode("utf-8", "surrogateescape"))
    except OSError as error:
        raise CommandError(f"{path}: cannot write: {error.strerror or error}") from error


def require_file_place(flag: str, path: Path | None) -> None:
    """Refuse a place that cannot take a file before hours of measuring, not after."""
    if path is None:
        return
    existing = next(place for place in (path, *path.absolute().parents) if place.exists())
    if path.is_dir() or not (existing.is_dir() or existing == path) or not os.access(existing, os.W_OK):
        found = "a folder" if path.is_dir() else f"{existing}, which cannot take it"
        raise CommandError(f"{flag} {path}: expected a file that can be written, found {found}")
