"""Per-image confusion counts in SQLite: every number can be computed again from them, without a GPU.

One row an image, keyed by what the counts depend on. A measurement asks only for the images that are
missing, so an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from .confusion import Matrix, decode, encode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

    from typing_extensions import Self

SCHEMA_VERSION = 1
_LOCK_WAIT_SECONDS = 30

Image = tuple[str, str]
"""(id, SHA-256 of the image's and label's bytes): counts belong to contents, not to names."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS series (
    id INTEGER PRIMARY KEY,
    weights_sha256 TEXT NOT NULL,
    protocol_digest TEXT NOT NULL,
    dataset_rules TEXT NOT NULL,
    precision TEXT NOT NULL,
    device_kind TEXT NOT NULL,
    num_classes INTEGER NOT NULL,
    UNIQUE (weights_sha256, protocol_digest, dataset_rules, precision, device_kind)
);
CREATE TABLE IF NOT EXISTS images (
    series_id INTEGER NOT NULL REFERENCES series (id),
    image_id TEXT NOT NULL,
    content_sha256 TEXT NOT NULL,
    counts BLOB NOT NULL,
    PRIMARY KEY (series_id, image_id, content_sha256)
) WITHOUT ROWID;
"""


class EvidenceError(Exception):
    """The evidence file cannot be used; the message says why and what to do."""


class EvidenceKey(msgspec.Struct, frozen=True, kw_only=True):
    """What a series of counts depends on."""

    weights_sha256: str
    protocol_digest: str
    dataset_rules: str
    """Digest of label form, classes and ignore index; the files themselves count image by image."""
    precision: str
    """Arithmetic of the network: `fp32`, `tf32`."""
    device_kind: str
    """`cpu`, or the GPU's product name: kernels differ between them in the last bits."""
    num_classes: int


class EvidenceStore:
    """An open evidence file; use it as a context manager. One process writes at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._errors("open"):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=_LOCK_WAIT_SECONDS, isolation_level=None)
            try:
                self._prepare()
            except BaseException:
                self._db.close()
                raise

    def _prepare(self) -> None:
        # WAL with synchronous=NORMAL: a killed process loses nothing, a power cut at most the last images.
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise EvidenceError(
                f"{self.path}: evidence format {version} is newer than this segbench reads ({SCHEMA_VERSION}); "
                "update segbench or choose another file with --evidence"
            )
        if version < SCHEMA_VERSION:
            self._db.executescript(_SCHEMA)
            self._db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.close()

    @contextmanager
    def _errors(self, verb: str) -> Iterator[None]:
        """Turn the database's errors into ours, with the file's name and a next step."""
        try:
            yield
        except sqlite3.OperationalError as error:
            raise EvidenceError(
                f"{self.path}: cannot {verb} the evidence: {error}; another zoo process may hold it, the disk may "
                "be full or read-only; nothing that was stored is lost"
            ) from error
        except (sqlite3.DatabaseError, ValueError) as error:
            raise EvidenceError(
                f"{self.path}: the evidence is damaged or no evidence file ({error}); move it away and measure again"
            ) from error
        except OSError as error:
            raise EvidenceError(
                f"{self.path}: cannot {verb} the evidence: {error.strerror or error}"
            ) from error

    def add(self, key: EvidenceKey, image: Image, matrix: Matrix) -> None:
        """Store one image's counts, whole or not at all; counts of the same image are replaced."""
        with self._errors("write"):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                row = (self._series(key, create=True), *image, encode(matrix))
                self._db.execute("INSERT OR REPLACE INTO images VALUES (?, ?, ?, ?)", row)
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def counts(self, key: EvidenceKey) -> Iterator[tuple[Image, Matrix]]:
        """Every stored matrix of a series, one at a time (2000 of 150 classes are 360 MB), by image id."""
        with self._errors("read"):
            query = "SELECT image_id, content_sha256, counts FROM images WHERE series_id = ?"
            for name, content, counts in self._db.execute(query, (self._series(key),)):
                yield (name, content), decode(counts, key.num_classes)

    def measured(self, key: EvidenceKey) -> set[Image]:
        """The images whose counts a series already holds."""
        with self._errors("read"):
            query = "SELECT image_id, content_sha256 FROM images WHERE series_id = ?"
            return set(self._db.execute(query, (self._series(key),)))

    def _series(self, key: EvidenceKey, *, create: bool = False) -> int | None:
        *names, num_classes = msgspec.structs.astuple(key)
        if create:
            query = (
                "INSERT OR IGNORE INTO series (weights_sha256, protocol_digest, dataset_rules, precision, "
                "device_kind, num_classes) VALUES (?, ?, ?, ?, ?, ?)"
            )
            self._db.execute(query, (*names, num_classes))
        query = (
            "SELECT id FROM series WHERE weights_sha256 = ? AND protocol_digest = ? AND dataset_rules = ? "
            "AND precision = ? AND device_kind = ?"
        )
        found = self._db.execute(query, names).fetchone()
        return found[0] if found else None
