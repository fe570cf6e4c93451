"""Evidence from elsewhere: whatever is wrong with a file, it is named, and merging it changes nothing."""

import json
import sqlite3
import struct
import tracemalloc
import zlib

import numpy as np
import pytest

from segbench.evaluate import evidence
from segbench.evaluate.count.confusion import MOST_CLASSES, MOST_PIXELS
from segbench.evaluate.count.margins import JOINED, LIMITS, LOST, Closeness
from segbench.evaluate.evidence import EvidenceError, EvidenceKey, EvidenceStore, Split, Use
from segbench.evaluate.evidence.exchange import merge_files

A, B = ("a", "hash of a"), ("b", "hash of b")
KEY = EvidenceKey(
    weights_sha256="w", protocol_digest="p", dataset_rules="d", precision="fp32", device_kind="cpu", num_classes=3
)  # fmt: skip
USE = Use(
    checkpoint="row",
    metric="miou",
    protocol="plain",
    environment={"device": "cpu"},
    split=Split(
        fingerprint="f", dataset="streets", classes=("x", "y", "z"), categories={"c": (0, 1)}, images=(A, B)
    ),
)
MATRIX = np.array([[9, 1, 0], [0, 5, 0], [0, 0, 3], [0, 0, 1]])


def written(path, matrix=MATRIX):
    close = Closeness(np.zeros((len(LIMITS), 4, 3), dtype=np.int64))
    close.counts[0, LOST, 0] = close.counts[0, JOINED, 1] = 1
    with EvidenceStore(path) as store:
        store.describe(KEY, USE)
        for image in (A, B):
            store.add(KEY, image, matrix, close)
        store.settle()
    return path


def dump(path):
    database = sqlite3.connect(path)
    lines = list(database.iterdump())
    database.close()
    return lines


def pairs(*numbers):
    return struct.pack(f"<{len(numbers)}q", *numbers)


def packed(images):
    return zlib.compress(json.dumps(images).encode())


def bomb():
    """128 MiB and a little more of blanks around an empty list."""
    packer = zlib.compressobj()
    blanks = b" " * (1 << 20)
    return b"".join(packer.compress(blanks) for _ in range(129)) + packer.compress(b"[]") + packer.flush()


DEEP = "[" * 100_000
LONG = "n" * (evidence.MOST_CHARACTERS + 1)
ROWS = [
    ("UPDATE series SET num_classes = 'three'", (), "series 1: "),
    ("UPDATE series SET num_classes = 0", (), "series 1: "),
    ("UPDATE series SET num_classes = ?", (MOST_CLASSES + 1,), "series 1: "),
    ("UPDATE series SET num_classes = 2", (), "of 3 classes here, not of 2"),
    ("UPDATE series SET weights_sha256 = x'00ff'", (), "series 1: "),
    ("UPDATE series SET weights_sha256 = ?", (LONG,), "series 1: "),
    ("UPDATE series SET device_kind = CAST(x'ff' AS TEXT)", (), "device_kind"),
    ("UPDATE images SET counts = 'nine'", (), "image 'a': "),
    ("UPDATE images SET counts = ?", (b"123",), "image 'a': counts of 3 bytes"),
    ("UPDATE images SET counts = ?", (pairs(1_000_000, 1),), "image 'a': counts name cell 1000000 of 12"),
    ("UPDATE images SET counts = ?", (pairs(-1, 1),), "image 'a': counts name cell -1"),
    ("UPDATE images SET counts = ?", (pairs(2, 1, 2, 1),), "image 'a': counts name a cell twice"),
    ("UPDATE images SET counts = ?", (pairs(0, -9),), "image 'a': counts from -9"),
    ("UPDATE images SET counts = ?", (pairs(0, MOST_PIXELS + 1),), "image 'a': counts from"),
    ("UPDATE images SET counts = ?", (pairs(*[n for c in range(12) for n in (c, 2**62)]),), "image 'a': counts from"),
    ("UPDATE images SET counts = zeroblob(?)", (65 << 20,), "too big|counts|from"),
    ("UPDATE images SET closeness = ?", (pairs(0, 99),), "image 'a': a class has more close pixels than pixels"),
    ("UPDATE images SET closeness = ?", (pairs(0, 1),), "image 'a': close pixels are not counted once"),
    ("UPDATE images SET closeness = 1.5", (), "image 'a': "),
    ("UPDATE images SET image_id = ? WHERE image_id = 'a'", (LONG,), "image 'nnn"),
    ("UPDATE images SET content_sha256 = x'07'", (), "image 'a': "),
    ("UPDATE splits SET images = 'text'", (), "series [0-9a-f]{12}, 'row': "),
    ("UPDATE splits SET images = ?", (bomb(),), "'row': the list of images is torn, or unpacks to more than 134217728 bytes"),
    ("UPDATE splits SET images = ?", (packed([A, B])[:-5],), "'row': the list of images is torn"),
    ("UPDATE splits SET images = ?", (b"no zlib",), "'row': "),
    ("UPDATE splits SET images = ?", (packed([A, B, A]),), "1 images are listed twice"),
    ("UPDATE splits SET images = ?", (packed([["a"], 3]),), "'row': "),
    ("UPDATE splits SET images = ?", (zlib.compress(DEEP.encode()),), "'row': "),
    ("UPDATE splits SET classes = '{}'", (), "'row': "),
    ("UPDATE splits SET classes = '[\"x\"]'", (), "'row': 1 names of 3 classes"),
    ("UPDATE splits SET categories = '{\"c\": [3]}'", (), "'row': a category has a class beyond the 3"),
    ("UPDATE splits SET categories = '{\"c\": [-1]}'", (), "'row': "),
    ("UPDATE uses SET environment = ?", ('{"a": ' + DEEP,), "'row': "),
    ("UPDATE uses SET environment = '[]'", (), "'row': "),
    ("UPDATE uses SET environment = '{\"a\": NaN}'", (), "'row': "),
    ("UPDATE uses SET void = 'counted'", (), "'row': "),
    ("UPDATE uses SET void = '{\"classes\": [-1]}'", (), "Void: classes: -1 is no class"),
    ("UPDATE uses SET void = '{\"classes\": [0], \"pixels\": \"eaten\"}'", (), "'row': "),
    ("UPDATE uses SET checkpoint = x'00'", (), "series [0-9a-f]{12}, b"),
    ("UPDATE uses SET metric = 4", (), "the description is unknown"),
    ("CREATE TRIGGER t AFTER INSERT ON images BEGIN DELETE FROM images; END", (), "trigger t not as evidence has it"),
    ("CREATE VIEW v AS SELECT 1", (), "view v not as evidence has it"),
    ("CREATE INDEX i ON images (counts)", (), "index i not as evidence has it"),
    ("CREATE TABLE more (x)", (), "table more not as evidence has it"),
    ("ALTER TABLE images ADD COLUMN g AS (abs(1))", (), "table images not as evidence has it"),
    ("DROP TABLE labels", (), "table labels missing"),
    ("PRAGMA user_version = -1", (), "format -1"),
    ("PRAGMA user_version = 1", (), "of format 1: "),
]  # fmt: skip


@pytest.mark.parametrize(
    ("statement", "values", "said"), ROWS, ids=[f"{row[0][:60]} {n}" for n, row in enumerate(ROWS)]
)
def test_what_no_measurement_writes_is_named_and_nothing_is_merged(tmp_path, statement, values, said):
    good, bad = written(tmp_path / "good.sqlite"), written(tmp_path / "bad.sqlite")
    database = sqlite3.connect(bad)
    database.execute(statement, values)
    database.commit()
    database.close()
    target = tmp_path / "target.sqlite"
    with EvidenceStore(target):
        pass
    before = dump(target)

    def fault_of(use):
        return "" if use.metric == "miou" else "the description is unknown"

    with EvidenceStore(target) as store, pytest.raises(EvidenceError, match=said) as error:
        merge_files(store, [good, bad], fault_of)
    assert str(bad) in str(error.value)
    assert len(str(error.value)) < 10_000
    assert dump(target) == before


def test_a_view_in_the_place_of_a_table_is_refused(tmp_path):
    path = written(tmp_path / "a.sqlite")
    database = sqlite3.connect(path)
    database.execute("ALTER TABLE images RENAME TO hidden")
    database.execute("CREATE VIEW images AS SELECT * FROM hidden, (SELECT 1 UNION SELECT 2)")
    database.commit()
    database.close()
    for read_only in (True, False):
        with pytest.raises(
            EvidenceError, match=r"table hidden, view images not as evidence has it; table images missing"
        ):
            EvidenceStore(path, read_only=read_only)


@pytest.mark.slow
def test_a_list_that_unpacks_to_more_than_the_limit_costs_no_more_memory(tmp_path):
    path = written(tmp_path / "a.sqlite")
    database = sqlite3.connect(path)
    database.execute("UPDATE splits SET images = ?", (bomb() * 3,))
    database.commit()
    database.close()
    tracemalloc.start()
    with EvidenceStore(path, read_only=True) as store, pytest.raises(EvidenceError, match="unpacks to more"):
        store.uses(KEY)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * evidence.MOST_LISTED_BYTES


def test_files_that_are_sound_merge_whole(tmp_path):
    one, other = written(tmp_path / "one.sqlite"), written(tmp_path / "other.sqlite")
    with EvidenceStore(tmp_path / "target.sqlite") as store:
        assert merge_files(store, [one, other]) == [(2, 2), (2, 0)]
        assert store.uses(KEY) == [USE]


def test_a_fingerprint_stands_for_one_list_of_images(tmp_path):
    """Another file's list under the same fingerprint would decide which images a number is of."""
    forged = Use(checkpoint="row", metric="miou", protocol="plain", split=Split(
        fingerprint="f", dataset="streets", classes=("x", "y", "z"), images=(A,)
    ))  # fmt: skip
    path = written(tmp_path / "a.sqlite")
    with (
        EvidenceStore(path) as store,
        pytest.raises(EvidenceError, match="two different lists of images or classes"),
    ):
        store.describe(KEY, forged)


def test_a_clock_set_back_keeps_the_order_of_use(tmp_path, monkeypatch):
    second = EvidenceKey(
        **{name: getattr(KEY, name) for name in KEY.__struct_fields__} | {"precision": "fp16"}
    )
    with EvidenceStore(tmp_path / "a.sqlite") as store:
        store.add(KEY, A, MATRIX)
        with store.writing() as database:
            database.execute("UPDATE series SET last_used = '2999-01-01T00:00:00Z'")
        store.add(second, A, MATRIX)
        assert store.last_used(KEY) == "2999-01-01T00:00:00Z"
        assert store.last_used(second) == "2999-01-01T00:00:01Z"
        store.add(second, B, MATRIX)
        assert store.last_used(second) == "2999-01-01T00:00:01Z"
        store.add(KEY, B, MATRIX)
        assert store.last_used(KEY) == "2999-01-01T00:00:02Z"
