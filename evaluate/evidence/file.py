"""The evidence file as a database: opening, format versions, migration, and what its errors mean."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCHEMA_VERSION = 5
MOST_VALUE_BYTES = 64 << 20
"""Of one value in the file: counts of an image take some kilobytes, a list of 100,000 images seven megabytes."""
_SQLITE_LIMIT_LENGTH = 0
"""SQLite's number of the limit (sqlite3.h); `sqlite3` has its name from Python 3.11 on, and `setlimit` with it."""
LOCK_WAIT_SECONDS = 30.0

_VERSION_1 = (
    """
CREATE TABLE IF NOT EXISTS series (
    id INTEGER PRIMARY KEY,
    weights_sha256 TEXT NOT NULL,
    protocol_digest TEXT NOT NULL,
    dataset_rules TEXT NOT NULL,
    precision TEXT NOT NULL,
    device_kind TEXT NOT NULL,
    num_classes INTEGER NOT NULL,
    UNIQUE (weights_sha256, protocol_digest, dataset_rules, precision, device_kind)
)""",
    """
CREATE TABLE IF NOT EXISTS images (
    series_id INTEGER NOT NULL REFERENCES series (id),
    image_id TEXT NOT NULL,
    content_sha256 TEXT NOT NULL,
    counts BLOB NOT NULL,
    PRIMARY KEY (series_id, image_id, content_sha256)
) WITHOUT ROWID""",
)
_VERSION_2 = (
    "ALTER TABLE series ADD COLUMN last_used TEXT NOT NULL DEFAULT ''",
    "UPDATE series SET last_used = strftime('%Y-%m-%dT%H:%M:%SZ', 'now')",
    """
CREATE TABLE splits (
    id INTEGER PRIMARY KEY,
    fingerprint TEXT NOT NULL UNIQUE,
    dataset TEXT NOT NULL,
    subset TEXT NOT NULL,
    classes TEXT NOT NULL,
    categories TEXT NOT NULL,
    images BLOB NOT NULL
)""",
    """
CREATE TABLE uses (
    series_id INTEGER NOT NULL REFERENCES series (id),
    split_id INTEGER NOT NULL REFERENCES splits (id),
    checkpoint TEXT NOT NULL,
    metric TEXT NOT NULL,
    protocol TEXT NOT NULL,
    environment TEXT NOT NULL,
    PRIMARY KEY (series_id, split_id, checkpoint, metric)
) WITHOUT ROWID""",
    """
CREATE TABLE labels (
    dataset_rules TEXT NOT NULL,
    content_sha256 TEXT NOT NULL,
    areas BLOB NOT NULL,
    PRIMARY KEY (dataset_rules, content_sha256)
) WITHOUT ROWID""",
)
_VERSION_3 = ("ALTER TABLE images ADD COLUMN closeness BLOB",)
_VERSION_4 = (
    """
CREATE TABLE series_with_code (
    id INTEGER PRIMARY KEY,
    weights_sha256 TEXT NOT NULL,
    protocol_digest TEXT NOT NULL,
    dataset_rules TEXT NOT NULL,
    precision TEXT NOT NULL,
    device_kind TEXT NOT NULL,
    code TEXT NOT NULL,
    num_classes INTEGER NOT NULL,
    last_used TEXT NOT NULL,
    UNIQUE (weights_sha256, protocol_digest, dataset_rules, precision, device_kind, code)
)""",
    """
INSERT INTO series_with_code
SELECT id, weights_sha256, protocol_digest, dataset_rules, precision, device_kind, '', num_classes, last_used
FROM series""",
    "DROP TABLE series",
    "ALTER TABLE series_with_code RENAME TO series",
)
_VERSION_5 = (
    # The rule of scoring joins what a use is told apart by: SQLite changes no key in place, and its integrity check
    # wants a key's columns first (3.40 finds NULL in others that hold none).
    """
CREATE TABLE scored_uses (
    series_id INTEGER NOT NULL REFERENCES series (id),
    split_id INTEGER NOT NULL REFERENCES splits (id),
    checkpoint TEXT NOT NULL,
    metric TEXT NOT NULL,
    void TEXT NOT NULL,
    protocol TEXT NOT NULL,
    environment TEXT NOT NULL,
    PRIMARY KEY (series_id, split_id, checkpoint, metric, void)
) WITHOUT ROWID""",
    "INSERT INTO scored_uses SELECT series_id, split_id, checkpoint, metric, 'null', protocol, environment FROM uses",
    "DROP TABLE uses",
    "ALTER TABLE scored_uses RENAME TO uses",
)
_STEPS = (_VERSION_1, _VERSION_2, _VERSION_3, _VERSION_4, _VERSION_5)
"""What makes format N of format N - 1, in order; an empty file has format 0."""


class EvidenceError(Exception):
    """The evidence file cannot be used; the message says why and what to do."""


class DamagedEvidenceError(EvidenceError):
    """What the file holds is not what segbench writes."""


def connect(path: Path) -> sqlite3.Connection:
    """Open an evidence file for reading and writing; it is made, or brought to the present format.

    Raises:
        EvidenceError: it is of a newer segbench.
        sqlite3.Error, OSError: see `errors`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and not path.is_file():
        raise EvidenceError(f"{path}: expected an evidence file, found something that is no regular file")
    path.touch()  # with the modes of the user's umask, which SQLite's own files then take from it
    database = _guarded(sqlite3.connect(path, timeout=LOCK_WAIT_SECONDS, isolation_level=None))
    try:
        _require_format(database, path)
        # WAL with synchronous=NORMAL: a killed process loses nothing, a power cut at most the last images.
        _use_wal(database)
        database.execute("PRAGMA synchronous = NORMAL")
        _migrate(database, path)
    except BaseException:
        database.close()
        raise
    return database


def connect_read_only(path: Path) -> sqlite3.Connection:
    """Open an evidence file without changing a byte of it; one of an older format is brought up in memory.

    Raises:
        EvidenceError: it is not there, or of a newer segbench.
        sqlite3.Error, OSError: see `errors`.
    """
    if not path.is_file():
        raise EvidenceError(f"{path}: no evidence there; run zoo verify first or name a file with --evidence")
    logs = [path.with_name(f"{path.name}{end}") for end in ("-wal", "-journal")]
    # Reading a WAL file makes a helper file beside it; in a folder that takes none, a file at rest is read as it is.
    settled = not any(log.is_file() and log.stat().st_size for log in logs)
    database = _read(path, "mode=ro")
    try:
        try:
            version = _require_format(database, path)
        except sqlite3.OperationalError as error:
            if not settled or "locked" in str(error):
                raise
            database.close()
            database = _read(path, "mode=ro&immutable=1")
            version = _require_format(database, path)
        return database if version == SCHEMA_VERSION else _migrated_copy(database, path)
    except BaseException:
        database.close()
        raise


def _read(path: Path, mode: str) -> sqlite3.Connection:
    address = f"file:{quote(os.fsencode(path.absolute()))}?{mode}"
    return _guarded(sqlite3.connect(address, uri=True, timeout=LOCK_WAIT_SECONDS, isolation_level=None))


def _guarded(database: sqlite3.Connection) -> sqlite3.Connection:
    """The connection with what SQLite recommends for files of others (sqlite.org/security.html)."""
    set_limit = getattr(database, "setlimit", None)
    if set_limit is not None:
        set_limit(_SQLITE_LIMIT_LENGTH, MOST_VALUE_BYTES)
    database.execute("PRAGMA trusted_schema = OFF")
    database.execute("PRAGMA cell_size_check = ON")
    return database


def _migrated_copy(database: sqlite3.Connection, path: Path) -> sqlite3.Connection:
    copy = sqlite3.connect(":memory:", isolation_level=None)
    database.backup(copy)
    database.close()
    _migrate(copy, path)
    return copy


def _require_format(database: sqlite3.Connection, path: Path) -> int:
    """The format's number; its tables are exactly those that this number stands for.

    Triggers, views in the place of tables, and generated columns would act when the file is read or written.
    """
    with _snapshot(database):
        version = _refuse_newer(database, path)
        found = _objects(database)
    expected = _expected_objects(version)
    begun = version == 0 and found.items() <= _expected_objects(1).items()
    if found == expected or begun:
        return version
    strange = sorted(
        f"{kind} {name}" for kind, name in found if found[kind, name] != expected.get((kind, name))
    )
    missing = sorted(f"{kind} {name}" for kind, name in expected.keys() - found.keys())
    told = [f"{', '.join(strange)} not as evidence has it"] if strange else []
    told += [f"{', '.join(missing)} missing"] if missing else []
    raise EvidenceError(
        f"{path}: no evidence file of format {version}: {'; '.join(told)}; name another file with --evidence, or move "
        "this one away and measure again"
    )


@contextmanager
def _snapshot(database: sqlite3.Connection) -> Iterator[None]:
    """What the body reads belongs together, whoever writes meanwhile."""
    database.execute("BEGIN")
    try:
        yield
    finally:
        database.execute("ROLLBACK")


def _objects(database: sqlite3.Connection) -> dict[tuple[str, str], str]:
    """(`table`, name) -> its definition; without SQLite's own indexes and statistics."""
    rows = database.execute("SELECT type, name, sql FROM sqlite_master").fetchall()
    return {
        (str(kind), str(name)): " ".join(str(sql).split())
        for kind, name, sql in rows
        if kind not in ("table", "index") or not str(name).startswith("sqlite_")
    }


@lru_cache
def _expected_objects(version: int) -> dict[tuple[str, str], str]:
    database = sqlite3.connect(":memory:")
    for step in _STEPS[:version]:
        for statement in step:
            database.execute(statement)
    objects = _objects(database)
    database.close()
    return objects


def _refuse_newer(database: sqlite3.Connection, path: Path) -> int:
    version = database.execute("PRAGMA user_version").fetchone()[0]
    if version < 0:
        raise ValueError(f"format {version}")
    if version > SCHEMA_VERSION:
        raise EvidenceError(
            f"{path}: evidence format {version} is newer than this segbench reads ({SCHEMA_VERSION}); "
            "update segbench or choose another file with --evidence"
        )
    return version


def _use_wal(database: sqlite3.Connection) -> None:
    """Switch to a write-ahead log; SQLite's own wait does not cover this step when several processes begin."""
    deadline = time.monotonic() + LOCK_WAIT_SECONDS
    while not _switched(database, last=time.monotonic() > deadline):
        time.sleep(0.01)


def _switched(database: sqlite3.Connection, *, last: bool) -> bool:
    try:
        database.execute("PRAGMA journal_mode = WAL")
    except sqlite3.OperationalError as error:
        if last or "locked" not in str(error):
            raise
        return False
    return True


def _migrate(database: sqlite3.Connection, path: Path) -> None:
    """Bring a file to the present format, whole or not at all."""
    if _refuse_newer(database, path) == SCHEMA_VERSION:
        return
    with transaction(database):
        version = _refuse_newer(database, path)  # another process may have been faster
        for step in _STEPS[version:]:
            for statement in step:
                database.execute(statement)
        database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """Everything in the body is written, or nothing; waits for other writers at its start."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise


@contextmanager
def errors(path: Path, verb: str) -> Iterator[None]:
    """Turn the database's errors into ours, with the file's name, the cause and a next step."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise EvidenceError(f"{path}: cannot {verb} the evidence: {_cause(error)}") from error
    except (sqlite3.DatabaseError, ValueError, OverflowError, RecursionError) as error:
        raise DamagedEvidenceError(
            f"{path}: no evidence that can be read: {error}; name another file with --evidence, or move this one away "
            "and measure again"
        ) from error
    except OSError as error:
        raise EvidenceError(f"{path}: cannot {verb} the evidence: {error.strerror or error}") from error


_CAUSES = {
    "locked": (
        f"another process has been writing to it for more than {LOCK_WAIT_SECONDS:g} s; "
        "wait for it, or name another file with --evidence and merge them later"
    ),
    "full": "the disk is full; make room and run the same command again, nothing that was stored is lost",
    "disk I/O": "the disk may be full or failing; look after it and run the same command again, nothing stored is lost",
    "readonly": "make it and its folder writable, or name another file with --evidence",
    "unable to open": "check the folder and its permissions",
}
"""What SQLite's message contains -> what is known of it here, or what to do. `sqlite_errorcode` needs Python 3.11."""


def _cause(error: sqlite3.OperationalError) -> str:
    said = str(error)
    known = next((meaning for part, meaning in _CAUSES.items() if part in said), None)
    return f"{said}: {known}" if known else f"{said}; nothing that was stored is lost"
