"""Training memory that this very code foretold before: told again without torch."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ...evaluate.regular_files import read_document
from ...models import rooms
from ..files import places
from ..files.writing import write_whole
from . import training_memory
from .measurement import Measurement
from .training_memory import Setup, claim_protocol, foretell

if TYPE_CHECKING:
    from ..manifest import Checkpoint


class _Kept(msgspec.Struct):
    """What the file holds."""

    code: str = ""
    """By what it was foretold."""
    records: dict[str, Measurement] = {}
    """By checkpoint and step."""


def foretold(checkpoint: Checkpoint, home: Path | None = None) -> Measurement:
    """`foretell` of the claim's own step, or the record that it gave before in `home`, by default `ZOO_HOME`.

    A record is told again only where network, step, our code and torch are those it was foretold with.

    Raises:
        NotTrainable: the manifest's numbers make no training step.
    """
    builder = checkpoint.architecture.get("builder")
    if builder is not None and not rooms.is_own(str(builder)):
        return foretell(checkpoint, Setup())  # its code may be another the next time
    place = (home or places.zoo_home()) / "training_memory.json"
    name, kept = f"{checkpoint.id} {claim_protocol(checkpoint).digest()}", _read(place)
    if name in kept.records:
        return kept.records[name]
    found = foretell(checkpoint, Setup())
    kept.records[name] = found
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        write_whole(place, msgspec.json.encode(kept))
    except OSError:  # it is foretold anew the next time
        pass
    return found


def _read(place: Path) -> _Kept:
    """What is kept of the code of today; nothing where the file is missing or damaged."""
    try:
        kept = msgspec.json.decode(read_document(place), type=_Kept)
    except (OSError, ValueError):
        return _Kept(code_digest())
    return kept if kept.code == code_digest() else _Kept(code_digest())


@lru_cache(maxsize=1)
def code_digest() -> str:
    """SHA-256 (hex) of what foretells: networks, traces and records of ours, and torch's version."""
    digest = hashlib.sha256(metadata.version("torch").encode())
    for path in (*sorted(Path(rooms.__file__).parent.rglob("*.py")), Path(training_memory.__file__)):
        text = path.read_bytes()
        digest.update(len(text).to_bytes(8, "little") + text)
    return digest.hexdigest()
