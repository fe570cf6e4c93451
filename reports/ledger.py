"""The ledger: measurements as JSON lines, appended one by one and never rewritten.

A killed writer leaves at most a torn last line. Reading skips it, and the next append seals it with a mark
and goes on on a fresh line, so that nothing measured before or after is lost.
"""

from __future__ import annotations

import codecs
import io
import os
from typing import TYPE_CHECKING, BinaryIO, TypeVar

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RecordT = TypeVar("RecordT", bound=msgspec.Struct)

MOST_BYTES = 256 << 20
"""Of a ledger; a measurement takes some kilobytes."""
SEAL = b" #torn"
"""Ends a line that its writer did not finish; a whole record ends with a brace, so none can look like it."""


class LedgerError(Exception):
    """The ledger cannot be read or written."""


def append(path: Path, record: msgspec.Struct) -> None:
    """Add one record as a line that is on the disk when this returns.

    The line is one write in append mode, so that two processes do not mix their lines.

    Raises:
        LedgerError: the file cannot be written.
    """
    line = msgspec.json.encode(record) + b"\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b", buffering=0) as file:
            line = _mend(file) + line
            written = file.write(line)
            os.fsync(file.fileno())
    except OSError as error:
        raise LedgerError(f"{path}: cannot append a measurement: {error.strerror or error}") from error
    if written != len(line):
        raise LedgerError(f"{path}: only {written} of {len(line)} bytes were written; the disk took no more")


def _mend(file: BinaryIO | io.FileIO) -> bytes:
    """What must stand before the next line: nothing, an end of line, or a seal on a torn one."""
    size = file.seek(0, io.SEEK_END)
    if size == 0:
        return b""
    file.seek(size - 1)
    if file.read(1) == b"\n":
        return b""
    file.seek(0)
    tail = file.read().rsplit(b"\n", 1)[-1]
    return b"\n" if _is_json(tail) else SEAL + b"\n"


def _is_json(line: bytes) -> bool:
    try:
        msgspec.json.decode(line)
    except (ValueError, RecursionError):
        return False
    return True


def read(path: Path, record_type: type[RecordT]) -> list[RecordT]:
    """Every whole record, oldest first; see `read_with_warnings`.

    Raises:
        LedgerError: the file cannot be read, or a line is not a record.
    """
    return read_with_warnings(path, record_type)[0]


def read_with_warnings(
    path: Path, record_type: type[RecordT], fault_of: Callable[[RecordT], str] | None = None
) -> tuple[list[RecordT], list[str]]:
    """Every whole record, oldest first, and a sentence for every torn line and every kind of unknown field.

    `fault_of` says what is wrong with a record's values; empty where nothing is.

    Raises:
        LedgerError: the file cannot be read, a line is no record, or has impossible values.
    """
    lines = _lines(path)
    records: list[RecordT] = []
    warnings: list[str] = []
    unknown: dict[str, list[int]] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        if _is_torn(line, last=number == len(lines)):
            warnings.append(f"{path}:{number}: skipped a line whose end was never written")
        else:
            records.append(_record(line, record_type, f"{path}:{number}"))
            if fault_of is not None and (fault := fault_of(records[-1])):
                raise LedgerError(f"{path}:{number}: {fault}; mend the line or delete it")
            for name in _unknown_fields(line, record_type):
                unknown.setdefault(name, []).append(number)
    return records, warnings + [
        f"{path}:{numbers[0]}: field {name!r}, unknown to this version, is left out ({len(numbers)} such lines)"
        for name, numbers in unknown.items()
    ]


def _lines(path: Path) -> list[bytes]:
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise LedgerError(f"{path}: cannot read the ledger: {error.strerror or error}") from error
    if len(data) > MOST_BYTES:
        raise LedgerError(
            f"{path}: it has more than {MOST_BYTES // 2**20} MiB, as no ledger has; name another file"
        )
    return data.removeprefix(codecs.BOM_UTF8).split(b"\n")  # which editors put before the first line


def _is_torn(line: bytes, *, last: bool) -> bool:
    """`last` says that no end of line follows: a whole line there comes from an editor, a broken one was torn.

    What does not even begin as a record does was written by nobody who writes ledgers.
    """
    return line.rstrip(b"\r").endswith(SEAL) or (last and line.startswith(b"{") and not _is_json(line))


def _unknown_fields(line: bytes, record_type: type[msgspec.Struct]) -> list[str]:
    names = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
    return [name for name in names if name not in record_type.__struct_fields__]


def _record(line: bytes, record_type: type[RecordT], place: str) -> RecordT:
    try:
        record = msgspec.json.decode(line, type=record_type)
        line.decode()  # of fields that it does not know msgspec reads nothing, whatever their bytes
    except (ValueError, RecursionError) as error:
        raise LedgerError(
            f"{place}: expected one {record_type.__name__} as a JSON object, found {_shown(line)} ({error}); "
            "restore the line or delete it, the other lines stay as they are"
        ) from error
    return record


def _shown(line: bytes, limit: int = 60) -> str:
    text = "".join(c if c.isprintable() else "\ufffd" for c in line.decode("utf-8", errors="replace").strip())
    return text if len(text) <= limit else text[: limit - 3] + "..."
