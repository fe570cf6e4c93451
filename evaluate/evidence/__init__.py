"""Per-image counts, stored the moment they exist, under everything that they depend on.

One SQLite file (`file`); `store` reads and writes it, `exchange` gives it away and takes others' in.
"""

from __future__ import annotations

from .file import EvidenceError
from .store import (
    MOST_CHARACTERS,
    MOST_LISTED_BYTES,
    Encoded,
    EvidenceConflictError,
    EvidenceKey,
    EvidenceStore,
    Image,
    Split,
    Text,
    Use,
    contents_of,
)

__all__ = [
    "MOST_CHARACTERS",
    "MOST_LISTED_BYTES",
    "Encoded",
    "EvidenceConflictError",
    "EvidenceError",
    "EvidenceKey",
    "EvidenceStore",
    "Image",
    "Split",
    "Text",
    "Use",
    "contents_of",
]
