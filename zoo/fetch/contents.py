"""What a downloaded file is, told from its bytes: a checkpoint's container, or the page that came instead."""

from __future__ import annotations

import re
import zipfile
from html import unescape
from typing import TYPE_CHECKING

import msgspec

from .legacy_pickle import LegacyError, require_whole

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

HEAD_BYTES = 4096
"""How much of a file's beginning the functions here look at."""
MAX_SAFETENSORS_HEADER_BYTES = 100_000_000
"""The limit of the safetensors format itself."""

_TITLE_TAGS = (b"title", b"message", b"code")
_LOG_FIELDS = ("mode", "iter", "step", "epoch", "env_info", "config", "mIoU")
_HTML = re.compile(rb"<!doctype html|<html|<head|<body|<title", re.IGNORECASE)


def container(head: bytes) -> str | None:
    """`zip`, `legacy pickle` or `safetensors` by a file's first bytes; None for anything else."""
    if head.startswith(b"PK\x03\x04"):
        return "zip"
    if head[:1] == b"\x80" and 0 < int.from_bytes(head[1:2], "little") <= 5:
        return "legacy pickle"
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= MAX_SAFETENSORS_HEADER_BYTES:
        return "safetensors"
    return None


def page(head: bytes) -> str | None:
    """What a server sent instead of a file, with its title: a web page, an XML or JSON message; None for others.

    No more than `HEAD_BYTES` are looked at.
    """
    head = head[:HEAD_BYTES]
    if container(head) is not None:
        return None  # a safetensors file may begin with any byte, `{` and `<` too
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"<"):
        kind = "an HTML page" if _HTML.search(text) else "an XML message"
    elif text.startswith(b"{"):
        kind = "a JSON message"
    elif text.startswith(b"version https://git-lfs"):
        kind = "a Git LFS pointer"
    else:
        return None
    title = _title(text)
    return f"{kind} titled {title!r}" if title else kind


def web_page(head: bytes) -> str | None:
    """`page` for training logs, whose lines may be JSON: an object counts where it is alone and has no log's fields."""
    try:
        content = msgspec.json.decode(head, type=dict)
    except (msgspec.DecodeError, ValueError):
        content = None
    is_log = head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{") and (
        content is None or not content.keys().isdisjoint(_LOG_FIELDS)
    )
    return None if is_log else page(head)


def _title(text: bytes) -> str:
    """What stands in the first whole element that has a title's name; empty where none does."""
    found = [span for tag in _TITLE_TAGS if (span := _first_element(text.lower(), tag))]
    begin, end = min(found, default=(0, 0))
    return " ".join(unescape(text[begin:end].decode("utf-8", "replace")).split())[:120]


def _first_element(text: bytes, tag: bytes) -> tuple[int, int] | None:
    """Where the content of the first such element begins and ends; each byte is looked at once."""
    tag_ends = text.find(b">", text.find(b"<" + tag)) + 1 if b"<" + tag in text else 0
    end = text.find(b"</" + tag, tag_ends) if tag_ends else -1
    return None if end < 0 else (tag_ends, end)


def checkpoint_fault(path: Path) -> str | None:
    """Why a file cannot be a whole checkpoint, told without unpickling; None where nothing speaks against it.

    A zip archive has its directory at the end and a checksum for every record; a safetensors file says in its
    header how long it is; a legacy pickle's length follows from the storages it names.
    """
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    kind = container(head)
    if kind is None:
        found = page(head) or (f"a file that begins with {head[:8].hex(' ')}" if head else "an empty file")
        return f"expected a checkpoint (zip, legacy pickle or safetensors), found {found}"
    if kind == "zip":
        return _zip_fault(path)
    return _safetensors_fault(path) if kind == "safetensors" else _legacy_fault(path)


def is_cut_short(path: Path) -> bool:
    """True for a checkpoint that lacks its end, by what its container says."""
    with path.open("rb") as file:
        kind = container(file.read(HEAD_BYTES))
    if kind == "zip":
        return not zipfile.is_zipfile(path)
    if kind == "safetensors":
        with path.open("rb") as file:
            promised = _safetensors_length(file)
        return promised is None or path.stat().st_size < promised
    try:
        if kind == "legacy pickle":
            require_whole(path)
    except LegacyError as fault:
        return fault.is_short
    return False


def _legacy_fault(path: Path) -> str | None:
    try:
        require_whole(path)
    except LegacyError as fault:
        return str(fault)
    return None


def _zip_fault(path: Path) -> str | None:
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except Exception as error:  # noqa: BLE001  (a damaged directory raises whatever it happens to decode to)
        return f"a zip archive that is cut short or damaged ({error})"
    return f"a zip archive whose record {damaged!r} is damaged" if damaged else None


def _safetensors_length(file: BinaryIO) -> int | None:
    """Bytes that a file's header promises; None where the header is not whole."""
    header_bytes = int.from_bytes(file.read(8), "little")
    try:
        tensors = msgspec.json.decode(file.read(header_bytes), type=dict[str, dict])
        ends = [entry["data_offsets"][1] for name, entry in tensors.items() if name != "__metadata__"]
        return 8 + header_bytes + max(ends, default=0)
    except (msgspec.DecodeError, ValueError, KeyError, IndexError, TypeError):
        return None


def _safetensors_fault(path: Path) -> str | None:
    with path.open("rb") as file:
        promised = _safetensors_length(file)
    if promised is None:
        return "a safetensors file whose header is cut short or damaged"
    size = path.stat().st_size
    return (
        None if size == promised else f"a safetensors file of {size} bytes whose header promises {promised}"
    )
