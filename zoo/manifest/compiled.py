"""A manifest's records, and their lines, kept in the cache, so that commands need not read YAML that has not changed.

A copy is one file: a digest of all that follows, a header, and the content, both as MessagePack. It is taken only where
the digest fits, every file of the manifest has the bytes it had, every pattern means the same files, and segbench is
the one that wrote it; else the YAML is read, and no word said. Copies are data: nothing in one is run.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from ...evaluate.regular_files import FILE_LIMIT_BYTES, read_bytes, read_document
from ..files import places
from ..files.writing import write_whole
from .file_patterns import Pattern

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Content = TypeVar("Content")

_DIGEST_BYTES = 32
_WORTH_BYTES = 16_384
"""Manifests of less are read as fast as a copy of them."""
_MOST_COPIES = 200
"""In the cache, above which all are removed: a manifest in a temporary folder leaves its copy behind."""
_ROOT = Path(__file__).resolve().parents[2]
_READS = (
    "zoo/manifest/**/*.py",
    "zoo/published/counted.json",
    "zoo/files/*.py",
    "zoo/quantities/*.py",
    "reports/*.py",
    "models/builders.py",
    "models/rooms.py",
    "models/adapters/__init__.py",
    "models/load/*.py",
    "evaluate/*.py",
    "evaluate/data/*.py",
)
"""What says how a manifest is read and what rows have that do not say it, and may change in a checkout whose version stays."""


class _Header(msgspec.Struct, frozen=True, array_like=True):
    """What has to be so for a copy to be taken."""

    writer: str
    files: dict[str, str]
    """Whole path of each file -> SHA-256 of its bytes."""
    patterns: tuple[Pattern, ...]


def writer() -> str:
    """This segbench: the state of the code that reads manifests, which an installation of another one changes."""
    code = sorted(path for pattern in _READS for path in _ROOT.glob(pattern))
    states = [(path.name, stat.st_size, stat.st_mtime_ns) for path in code for stat in [path.stat()]]
    return hashlib.sha256(repr(states).encode()).hexdigest()


def kept(path: Path, kind: type[Content]) -> Content | None:
    """What of this kind there is of a manifest in its copy; None where there is none that can be trusted."""
    with suppress(OSError, places.PlaceError, msgspec.MsgspecError, ValueError):
        data = read_bytes(_place(path, kind), FILE_LIMIT_BYTES)
        digest, rest = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
        if hashlib.sha256(rest).digest() != digest:
            return None
        length = int.from_bytes(rest[:8], "big")
        header = msgspec.msgpack.decode(rest[8 : 8 + length], type=_Header)
        if _holds(header):
            return msgspec.msgpack.decode(rest[8 + length :], type=kind, dec_hook=_from_text)
    return None


def keep(path: Path, content: Any, files: Mapping[Path, bytes], patterns: Iterable[Pattern]) -> None:
    """Write a manifest's copy of what was read of it, where the cache can be written."""
    if sum(map(len, files.values())) < _WORTH_BYTES:
        return
    digests = {str(one): hashlib.sha256(data).hexdigest() for one, data in files.items()}
    header = msgspec.msgpack.encode(_Header(writer(), digests, tuple(patterns)))
    rest = len(header).to_bytes(8, "big") + header + msgspec.msgpack.encode(content, enc_hook=str)
    with suppress(OSError, places.PlaceError):
        place = _place(path, type(content))
        _make_room(place.parent)
        write_whole(place, hashlib.sha256(rest).digest() + rest, sync=False)


def _from_text(kind: type, text: Any) -> Any:
    return kind(text)


def _place(path: Path, kind: type) -> Path:
    """Of each way to name a manifest, for lines are told of files named in the same way."""
    name = hashlib.sha256(
        "\0".join([kind.__name__, str(path.resolve()), str(path)]).encode("utf-8", "surrogateescape")
    ).hexdigest()
    return places.zoo_home() / "compiled" / f"{name[:32]}.msgpack"


def _holds(header: _Header) -> bool:
    if header.writer != writer() or not all(pattern.holds() for pattern in header.patterns):
        return False
    return all(
        hashlib.sha256(read_document(Path(name))).hexdigest() == digest
        for name, digest in header.files.items()
    )


def _make_room(folder: Path) -> None:
    copies = list(folder.glob("*.msgpack"))
    if len(copies) >= _MOST_COPIES:
        for copy in copies:
            copy.unlink(missing_ok=True)
