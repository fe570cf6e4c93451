"""Per-image confusion counts in SQLite: every number can be computed again from them, without a GPU.

One row an image, keyed by what the counts depend on. A measurement asks only for the images that are
missing, so an interrupted run goes on where it stopped. Beside the counts stands what they were made for
(`Use`): checkpoint, metric, classes, and the list of images that the number is defined on, so that the table
follows from the file alone and a finished row proves that each image counted exactly once.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypeAlias

import msgspec
import numpy as np

from ..count.confusion import MOST_CLASSES, Matrix, decode, encode
from ..count.margins import Closeness
from ..protocol import Void
from .file import SCHEMA_VERSION, EvidenceError, connect, connect_read_only, errors, transaction

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path
    from types import TracebackType

    from numpy.typing import NDArray
    from typing_extensions import Self

__all__ = [
    "SCHEMA_VERSION", "Encoded", "EvidenceConflictError", "EvidenceError", "EvidenceKey", "EvidenceStore", "Image", "Split", "Use",
]  # fmt: skip


class Encoded(NamedTuple):
    """What is stored of one image."""

    image: Image
    counts: bytes
    """By `confusion.encode`."""
    closeness: bytes | None
    """Its close pixels, by `margins.Closeness.encode`; None where format 2 wrote it."""


class EvidenceConflictError(EvidenceError):
    """Two evidence files hold different counts of the same image."""


MOST_CHARACTERS = 4096
"""Of a name, a digest or an image's id; paths are no longer."""
MOST_LISTED_BYTES = 128 << 20
"""Of a split's list of images, unpacked: a million of them."""
Text = Annotated[str, msgspec.Meta(max_length=MOST_CHARACTERS)]
Image = tuple[Text, Text]
"""(id, SHA-256 of the image's and label's bytes): counts belong to contents, not to names."""


class EvidenceKey(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a series of counts depends on."""

    weights_sha256: Text
    protocol_digest: Text
    dataset_rules: Text
    """Digest of label form, classes and ignore index; the files themselves count image by image."""
    precision: Text
    """Arithmetic of the network, as in `device.Precision`."""
    device_kind: Text
    """`cpu`, or the GPU's product name: kernels differ between them in the last bits."""
    code: Text = ""
    """Digest of the network's code and numbers where it is not ours; empty where it is, and not in `digest` then."""
    num_classes: Annotated[int, msgspec.Meta(ge=1, le=MOST_CLASSES)]

    def digest(self) -> str:
        """SHA-256 (hex) of all of it: a series' name, the same in every evidence file."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()


class Split(msgspec.Struct, frozen=True, kw_only=True):
    """The images a number is defined on, and how their classes are called."""

    fingerprint: Text
    """SHA-256 (hex) of rules, ids and contents."""
    dataset: Text
    subset: Text = ""
    """Empty for the full split; else what part of it, in words."""
    classes: tuple[Text, ...]
    categories: dict[Text, tuple[Annotated[int, msgspec.Meta(ge=0)], ...]] = {}
    images: tuple[Image, ...]
    """Every image once, in the split's order."""


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """What a series was measured for."""

    checkpoint: Text
    metric: Text
    protocol: Text
    """Its name; the series knows its digest."""
    environment: dict[str, Any] = {}
    """Of the last run that had images to count."""
    void: Void | None = None
    """The protocol's rule of scoring, which the counts do not depend on."""
    split: Split


class EvidenceStore:
    """An open evidence file; use it as a context manager. Writers take turns, image by image."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        with self._errors("open"):
            self._db = connect_read_only(path) if read_only else connect(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.close()

    def _errors(self, verb: str) -> AbstractContextManager[None]:
        return errors(self.path, verb)

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """The database within a transaction: all that the body writes is kept, or nothing."""
        with self._errors("write"), transaction(self._db):
            yield self._db

    def add(self, key: EvidenceKey, image: Image, matrix: Matrix, closeness: Closeness | None = None) -> None:
        """Store one image's counts, whole or not at all; counts of the same image are replaced."""
        self.add_encoded(key, Encoded(image, encode(matrix), closeness and closeness.encode()))

    def add_encoded(self, key: EvidenceKey, found: Encoded) -> None:
        """The same, as another file has it."""
        with self.writing() as database:
            row = (self._use_series(key), *found.image, found.counts, found.closeness)
            database.execute("INSERT OR REPLACE INTO images VALUES (?, ?, ?, ?, ?)", row)

    def counts(self, key: EvidenceKey) -> Iterator[tuple[Image, Matrix]]:
        """Every stored matrix of a series, one at a time (2000 of 150 classes are 360 MB), by image id."""
        for found in self.encoded(key):
            with self._errors("read"):
                matrix = decode(found.counts, key.num_classes)
            yield found.image, matrix

    def closeness(self, key: EvidenceKey) -> Iterator[tuple[Image, Closeness]]:
        """The close pixels of every image of a series that has them, by image id."""
        for found in self.encoded(key):
            if found.closeness is not None:
                with self._errors("read"):
                    closeness = Closeness.decode(found.closeness, key.num_classes)
                yield found.image, closeness

    def encoded(self, key: EvidenceKey) -> Iterator[Encoded]:
        """Every stored image of a series as it is stored, by image id."""
        with self._errors("read"):
            query = "SELECT image_id, content_sha256, counts, closeness FROM images WHERE series_id = ?"
            for row in self._db.execute(query, (self._series(key),)):
                yield _encoded(row)

    def checked(self, key: EvidenceKey) -> Iterator[Encoded]:
        """The same, each with counts that one image can have.

        Raises:
            EvidenceError: some have not.
        """
        for found in self.encoded(key):
            with self._errors("read"), _named(f"image {found.image[0]!r}"):
                matrix = decode(found.counts, key.num_classes)
                if found.closeness is not None:
                    fault = Closeness.decode(found.closeness, key.num_classes).fault(matrix)
                    if fault:
                        raise ValueError(fault)
            yield found

    def get(self, key: EvidenceKey, image: Image) -> Matrix | None:
        """One image's counts, or None."""
        with self._errors("read"):
            query = "SELECT counts FROM images WHERE series_id = ? AND image_id = ? AND content_sha256 = ?"
            found = self._db.execute(query, (self._series(key), *image)).fetchone()
            return decode(found[0], key.num_classes) if found else None

    def measured(self, key: EvidenceKey) -> set[Image]:
        """The images whose counts a series already holds."""
        with self._errors("read"):
            query = "SELECT image_id, content_sha256 FROM images WHERE series_id = ?"
            return set(self._db.execute(query, (self._series(key),)))

    # --- what the counts were made for ---------------------------------------------------------------

    def describe(self, key: EvidenceKey, use: Use) -> None:
        """Write down what a series is measured for; the same again replaces the environment, if counts are missing."""
        complete = set(use.split.images) <= self.measured(key)
        verb = "INSERT OR IGNORE" if complete else "INSERT OR REPLACE"
        with self.writing() as database:
            row = (
                self._use_series(key),
                self._split(use.split),
                use.checkpoint,
                use.metric,
                _void_text(use.void),
                use.protocol,
                json.dumps(use.environment),
            )
            database.execute(f"{verb} INTO uses VALUES (?, ?, ?, ?, ?, ?, ?)", row)

    def series(self) -> list[EvidenceKey]:
        """Every series, in the order in which they were begun."""
        with self._errors("read"):
            query = (
                "SELECT id, weights_sha256, protocol_digest, dataset_rules, precision, device_kind, code, "
                "num_classes FROM series ORDER BY id"
            )
            return [_key(row) for row in self._db.execute(query)]

    def last_used(self, key: EvidenceKey) -> str:
        """When counts or a description were last written to a series: UTC, ISO 8601."""
        with self._errors("read"):
            query = "SELECT last_used FROM series WHERE id = ?"
            found = self._db.execute(query, (self._series(key),)).fetchone()
            return _moment(found[0]).strftime(_MOMENT) if found else ""

    def uses(self, key: EvidenceKey) -> list[Use]:
        """What a series was measured for, by checkpoint and metric; nothing where format 1 wrote it."""
        with self._errors("read"):
            query = (
                "SELECT checkpoint, metric, protocol, environment, void, fingerprint, dataset, subset, classes, "
                "categories, images FROM uses JOIN splits ON splits.id = split_id WHERE series_id = ? "
                "ORDER BY checkpoint, metric, fingerprint, void"
            )
            return [_use(row, key) for row in self._db.execute(query, (self._series(key),))]

    # --- areas of labels, which owe nothing to a network ---------------------------------------------

    def add_label_areas(self, dataset_rules: str, content: str, areas: NDArray[np.int64]) -> None:
        """Keep the pixels of each class, (C + 1,) with those outside the classes last, of one image's label."""
        with self.writing() as database:
            row = (dataset_rules, content, areas.astype("<i8").tobytes())
            database.execute("INSERT OR REPLACE INTO labels VALUES (?, ?, ?)", row)

    def label_areas(self, dataset_rules: str) -> dict[str, NDArray[np.int64]]:
        """Content -> pixels of each class, (C + 1,), of every label that was looked at under these rules."""
        with self._errors("read"):
            query = "SELECT content_sha256, areas FROM labels WHERE dataset_rules = ?"
            rows = self._db.execute(query, (dataset_rules,))
            return {content: np.frombuffer(areas, dtype="<i8") for content, areas in rows}

    # --- several series at once -----------------------------------------------------------------------

    def take(self, key: EvidenceKey, images: Iterable[Encoded], uses: Iterable[Use]) -> int:
        """Add another file's counts of a series within `writing`; returns how many images are new.

        Raises:
            EvidenceConflictError: the same image has other counts here, or a split other images.
        """
        series, new = self._use_series(key), 0
        query = "SELECT counts FROM images WHERE series_id = ? AND image_id = ? AND content_sha256 = ?"
        for image, counts, closeness in images:
            found = self._db.execute(query, (series, *image)).fetchone()
            if found is None:
                row = (series, *image, counts, closeness)
                self._db.execute("INSERT INTO images VALUES (?, ?, ?, ?, ?)", row)
                new += 1
            elif found[0] != counts:
                raise EvidenceConflictError(_conflict(self.path, key, image, found[0], counts))
            else:
                self._complete(series, image, closeness)
        for use in uses:
            row = (series, self._split(use.split), use.checkpoint, use.metric, _void_text(use.void))
            facts = use.protocol, json.dumps(use.environment)
            self._db.execute("INSERT OR IGNORE INTO uses VALUES (?, ?, ?, ?, ?, ?, ?)", (*row, *facts))
        return new

    def _complete(self, series: int, image: Image, closeness: bytes | None) -> None:
        """Add close pixels that an earlier format did not keep."""
        query = (
            "UPDATE images SET closeness = ? WHERE series_id = ? AND image_id = ? AND content_sha256 = ? "
            "AND closeness IS NULL"
        )
        self._db.execute(query, (closeness, series, *image))

    def forget(self, keys: Iterable[EvidenceKey]) -> int:
        """Delete series with their counts and descriptions; returns how many images went."""
        gone = 0
        with self.writing() as database:
            for key in keys:
                series = (self._series(key),)
                gone += database.execute("DELETE FROM images WHERE series_id = ?", series).rowcount
                database.execute("DELETE FROM uses WHERE series_id = ?", series)
                database.execute("DELETE FROM series WHERE id = ?", series)
            database.execute("DELETE FROM splits WHERE id NOT IN (SELECT split_id FROM uses)")
        with self._errors("write"):
            self._db.execute("VACUUM")
        return gone

    def settle(self) -> None:
        """Make the file complete in itself, without a log beside it, so that it can be copied or sent."""
        with self._errors("write"):
            self._db.execute("PRAGMA journal_mode = DELETE")

    def check(self) -> None:
        """Read every page.

        Raises:
            EvidenceError: some of them are damaged.
        """
        with self._errors("read"):
            found = self._db.execute("PRAGMA integrity_check(1)").fetchone()[0]
            if found != "ok":
                raise ValueError(found)

    # --- rows of the small tables ----------------------------------------------------------------------

    def _series(self, key: EvidenceKey) -> int | None:
        query = (
            "SELECT id FROM series WHERE weights_sha256 = ? AND protocol_digest = ? AND dataset_rules = ? "
            "AND precision = ? AND device_kind = ? AND code = ?"
        )
        found = self._db.execute(query, msgspec.structs.astuple(key)[:-1]).fetchone()
        return found[0] if found else None

    def _use_series(self, key: EvidenceKey) -> int:
        """The id of a series, made where it is new, and the moment noted."""
        query = (
            "INSERT INTO series (weights_sha256, protocol_digest, dataset_rules, precision, device_kind, "
            "code, num_classes, last_used) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (weights_sha256, "
            "protocol_digest, dataset_rules, precision, device_kind, code) DO UPDATE SET last_used = excluded.last_used"
        )
        self._db.execute(query, (*msgspec.structs.astuple(key), self._now(key)))
        series = self._series(key)
        assert series is not None, "it was made above"
        (classes,) = self._db.execute("SELECT num_classes FROM series WHERE id = ?", (series,)).fetchone()
        if classes != key.num_classes:
            raise EvidenceConflictError(
                f"{self.path}: series {key.digest()[:12]} is of {classes} classes here, not of {key.num_classes}"
            )
        return series

    def _now(self, key: EvidenceKey) -> str:
        """This moment, later than all that were noted even where the clock was set back: their order decides."""
        now = datetime.now(timezone.utc)
        (text,) = self._db.execute("SELECT max(last_used) FROM series").fetchone()
        newest = _moment(text) if text else now
        if now < newest and self.last_used(key) != text:
            newest += timedelta(seconds=1)
        return max(now, newest).strftime(_MOMENT)

    def _split(self, split: Split) -> int:
        """The id of a split, made where it is new."""
        query = "SELECT id, classes, categories, images FROM splits WHERE fingerprint = ?"
        found = self._db.execute(query, (split.fingerprint,)).fetchone()
        if found:
            series_split, *listed = found
            if _listed(*listed) != _Listed(split.classes, split.categories, split.images):
                raise EvidenceConflictError(
                    f"{self.path}: {split.dataset}, fingerprint {split.fingerprint[:12]}: two different lists of images "
                    "or classes"
                )
            return series_split
        row = (
            split.fingerprint,
            split.dataset,
            split.subset,
            json.dumps(split.classes),
            json.dumps(split.categories),
            zlib.compress(msgspec.json.encode(split.images)),
        )
        insert = (
            "INSERT INTO splits (fingerprint, dataset, subset, classes, categories, images) "
            "VALUES (?, ?, ?, ?, ?, ?)"
        )
        self._db.execute(insert, row)
        return self._db.execute(query, (split.fingerprint,)).fetchone()[0]


# --- rows as they must be -------------------------------------------------------------------------------

_MOMENT = "%Y-%m-%dT%H:%M:%SZ"


@contextmanager
def _named(row: str) -> Iterator[None]:
    """What is wrong with a row says which one it is."""
    try:
        yield
    except (ValueError, zlib.error, RecursionError) as error:
        raise ValueError(f"{row}: {error}") from error


def _moment(text: object) -> datetime:
    """When a series was last used.

    Raises:
        ValueError: it is no such moment.
    """
    if not isinstance(text, str):
        raise ValueError(f"a series was last used at {text!r}, expected a date and time")  # noqa: TRY004
    return datetime.strptime(text, _MOMENT).replace(tzinfo=timezone.utc)


def _key(row: tuple[object, ...]) -> EvidenceKey:
    with _named(f"series {row[0]}"):
        return msgspec.convert(dict(zip(EvidenceKey.__struct_fields__, row[1:], strict=True)), EvidenceKey)


_COLUMNS: TypeAlias = tuple[Image, bytes, bytes | None]


def _encoded(row: tuple[object, ...]) -> Encoded:
    with _named(f"image {row[0]!r}"):
        image, counts, closeness = msgspec.convert((row[:2], *row[2:]), _COLUMNS)
        return Encoded(image, counts, closeness)


class _Listed(NamedTuple):
    """The long columns of a split."""

    classes: tuple[str, ...]
    categories: dict[str, tuple[int, ...]]
    images: tuple[Image, ...]


def _listed(classes: object, categories: object, images: object) -> _Listed:
    columns = msgspec.convert((classes, categories, images), tuple[str, str, bytes])
    unpacking = zlib.decompressobj()
    unpacked = unpacking.decompress(columns[2], MOST_LISTED_BYTES)
    if not unpacking.eof:
        raise ValueError(f"the list of images is torn, or unpacks to more than {MOST_LISTED_BYTES} bytes")
    return _Listed(
        msgspec.json.decode(columns[0], type=tuple[Text, ...]),
        msgspec.json.decode(columns[1], type=dict[str, tuple[int, ...]]),
        msgspec.json.decode(unpacked, type=tuple[Image, ...]),
    )


def _use(row: tuple[Any, ...], key: EvidenceKey) -> Use:
    """A `Use` from the columns that `EvidenceStore.uses` asks for, as it fits its series."""
    checkpoint, metric, protocol, environment, void, fingerprint, dataset, subset, *listed = row
    with _named(f"series {key.digest()[:12]}, {checkpoint!r}"):
        split = {"fingerprint": fingerprint, "dataset": dataset, "subset": subset} | _listed(
            *listed
        )._asdict()
        facts = msgspec.json.decode(msgspec.convert(environment, str), type=dict[str, Any])
        rule = msgspec.json.decode(msgspec.convert(void, str), type=Void | None)
        named = {
            "checkpoint": checkpoint,
            "metric": metric,
            "protocol": protocol,
            "environment": facts,
            "void": rule,
        }
        use = msgspec.convert(named | {"split": split}, Use)
        if len(use.split.classes) != key.num_classes:
            raise ValueError(f"{len(use.split.classes)} names of {key.num_classes} classes")
        if (
            max((max(members, default=0) for members in use.split.categories.values()), default=0)
            >= key.num_classes
        ):
            raise ValueError(f"a category has a class beyond the {key.num_classes} there are")
    return use


def _void_text(void: Void | None) -> str:
    """One text for one rule: it is part of what a use is told apart by."""
    return msgspec.json.encode(void, order="deterministic").decode()


def _conflict(path: Path, key: EvidenceKey, image: Image, ours: bytes, theirs: bytes) -> str:
    found = [f"{hashlib.sha256(counts).hexdigest()[:12]}" for counts in (ours, theirs)]
    return (
        f"{path}: series {key.digest()[:12]}, image {image[0]} (contents {image[1][:12]}): two different counts, "
        f"{found[0]} here and {found[1]} in the other file"
    )


def contents_of(split: Split) -> Mapping[str, str]:
    """Contents by image id.

    Raises:
        ValueError: an id stands there twice.
    """
    contents = dict(split.images)
    if len(contents) != len(split.images):
        raise ValueError(f"{split.dataset}: {len(split.images) - len(contents)} images are listed twice")
    return contents
