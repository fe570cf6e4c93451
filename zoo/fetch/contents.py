"""What a downloaded file is, told from its bytes: a checkpoint's container, or the page that came instead."""

from __future__ import annotations

import re
import zipfile
from html import unescape
from typing import TYPE_CHECKING

import msgspec

from ...models.load.containers import ContainerError, container, opened, require_stored, safetensors_end

if TYPE_CHECKING:
    from pathlib import Path

HEAD_BYTES = 4096
"""How much of a file's beginning the functions here look at."""

_TITLE_TAGS = (b"title", b"message", b"code")
_LOG_FIELDS = ("mode", "iter", "step", "epoch", "env_info", "config", "mIoU")
_HTML = re.compile(rb"<!doctype html|<html|<head|<body|<title", re.IGNORECASE)


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
    except (ValueError, RecursionError):
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
    """Why a file cannot be called a whole checkpoint, told without unpickling; None where nothing speaks against it.

    A zip archive has its directory at the end and a checksum for every record; a safetensors file says in its
    header how long it is. A pickle of before torch 1.6 says neither.
    """
    with opened(path) as file:
        head = file.read(HEAD_BYTES)
    kind = container(head)
    if kind is None:
        found = page(head) or (f"a file that begins with {head[:8].hex(' ')}" if head else "an empty file")
        return f"expected a checkpoint (zip, legacy pickle or safetensors), found {found}"
    if kind == "legacy pickle":
        return (
            "a checkpoint in torch's format of before 1.6, which does not tell whether it is whole, and no sha256 is "
            "known that would: state its sha256 in the manifest, or have it converted with zoo convert"
        )
    return _zip_fault(path) if kind == "zip" else _safetensors_fault(path)


def is_cut_short(path: Path) -> bool:
    """True for a checkpoint that lacks its end, by what its container says."""
    with opened(path) as file:
        kind = container(file.read(HEAD_BYTES))
        if kind == "safetensors":
            file.seek(0)
            try:
                return path.stat().st_size < safetensors_end(file)
            except ContainerError as fault:
                return fault.is_short
    try:
        return kind == "zip" and not zipfile.is_zipfile(path)
    except zipfile.BadZipFile:  # it has an end, which says what cannot be
        return False


def _zip_fault(path: Path) -> str | None:
    try:
        with zipfile.ZipFile(path) as archive:
            require_stored(archive, path.stat().st_size)
            damaged = archive.testzip()
    except ContainerError as error:
        return f"a zip archive with {error}, as torch.save never writes it"
    except Exception as error:  # noqa: BLE001  (a damaged directory raises whatever it happens to decode to)
        return f"a zip archive that is cut short or damaged ({error})"
    return f"a zip archive whose record {damaged!r} is damaged" if damaged else None


def _safetensors_fault(path: Path) -> str | None:
    size = path.stat().st_size
    with opened(path) as file:
        try:
            promised = safetensors_end(file)
        except ContainerError as fault:
            return str(fault)
    return (
        None if size == promised else f"a safetensors file of {size} bytes whose header promises {promised}"
    )
