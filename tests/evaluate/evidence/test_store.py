"""The evidence file: what goes in comes out, a killed writer loses nothing, trouble has a name."""

import os
import sqlite3
import subprocess
import sys

import msgspec
import numpy as np
import pytest

from segbench.evaluate.count.confusion import encode
from segbench.evaluate.count.margins import JOINED, LIMITS, LOST, Closeness
from segbench.evaluate.evidence import (
    EvidenceError,
    EvidenceKey,
    EvidenceStore,
    Split,
    Use,
)
from segbench.evaluate.evidence.exchange import export, merge
from segbench.evaluate.evidence.file import SCHEMA_VERSION
from segbench.evaluate.protocol import Void

KEY = EvidenceKey(
    weights_sha256="w",
    protocol_digest="p",
    dataset_rules="d",
    precision="fp32",
    device_kind="cpu",
    num_classes=3,
)
A, B = ("a", "hash of a"), ("b", "hash of b")


def matrix(seed):
    return np.random.RandomState(seed).randint(0, 9, (4, 3)).astype(np.int64)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "folder" / "evidence.sqlite"


def test_counts_are_kept_by_image(path):
    with EvidenceStore(path) as store:
        store.add(KEY, B, matrix(1))
        store.add(KEY, A, matrix(2))
    with EvidenceStore(path) as store:
        counts = dict(store.counts(KEY))
        assert store.measured(KEY) == {A, B}
    np.testing.assert_array_equal(counts[B], matrix(1))
    np.testing.assert_array_equal(counts[A], matrix(2))


def test_an_image_counts_once(path):
    """Measuring an image again replaces its counts."""
    with EvidenceStore(path) as store:
        store.add(KEY, A, matrix(1))
        store.add(KEY, A, matrix(2))
        assert list(dict(store.counts(KEY))) == [A]
        np.testing.assert_array_equal(dict(store.counts(KEY))[A], matrix(2))


def test_counts_belong_to_contents(path):
    """A file that changed under the same name has no counts yet; the old ones stay."""
    with EvidenceStore(path) as store:
        store.add(KEY, A, matrix(1))
        assert ("a", "another hash") not in store.measured(KEY)
        assert A in dict(store.counts(KEY))


@pytest.mark.parametrize(
    "field", ["weights_sha256", "protocol_digest", "dataset_rules", "precision", "device_kind"]
)
def test_every_part_of_the_key_separates(path, field):
    """Counts of other weights, protocol, data, arithmetic or device are never taken for these."""
    with EvidenceStore(path) as store:
        store.add(KEY, A, matrix(1))
        assert dict(store.counts(msgspec.structs.replace(KEY, **{field: "other"}))) == {}


def test_a_killed_writer_keeps_what_was_stored(path):
    """A process killed between two images leaves the first one readable."""
    program = (
        "import os, signal, sys; sys.path[:0] = eval(sys.argv[2]);"
        "import numpy as np; from pathlib import Path;"
        "from segbench.evaluate.evidence import EvidenceKey, EvidenceStore;"
        "key = EvidenceKey(weights_sha256='w', protocol_digest='p', dataset_rules='d', precision='fp32',"
        "device_kind='cpu', num_classes=3); store = EvidenceStore(Path(sys.argv[1]));"
        "store.add(key, ('a', 'hash of a'), np.ones((4, 3), np.int64)); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path), repr(sys.path)], check=False)
    assert done.returncode == -9
    with EvidenceStore(path) as store:
        assert store.measured(KEY) == {A}


def test_a_newer_file_is_refused(path):
    EvidenceStore(path).__exit__(None, None, None)
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(EvidenceError) as error:
        EvidenceStore(path)
    assert str(error.value) == (
        f"{path}: evidence format 99 is newer than this segbench reads (5); "
        "update segbench or choose another file with --evidence"
    )


def test_a_file_of_something_else_is_refused(path):
    path.parent.mkdir()
    path.write_bytes(b"not a database, but long enough to be read as one" * 40)
    with pytest.raises(EvidenceError, match="no evidence that can be read: file is not a database"):
        EvidenceStore(path)


def test_damaged_counts_are_refused(path):
    with EvidenceStore(path) as store:
        store.add(KEY, A, matrix(1))
    database = sqlite3.connect(path)
    database.execute("UPDATE images SET counts = x'00'")
    database.commit()
    database.close()
    with EvidenceStore(path) as store, pytest.raises(EvidenceError, match="damaged"):
        list(store.counts(KEY))


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(EvidenceError, match="cannot open the evidence"):
        EvidenceStore(tmp_path / "file" / "evidence.sqlite")


# --- formats, and trouble with a name -------------------------------------------------------------------

VERSION_1 = """
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
PRAGMA user_version = 1;
"""
"""The first format's own text."""

USE = Use(
    checkpoint="row",
    metric="miou",
    protocol="plain",
    environment={"device": "cpu"},
    split=Split(fingerprint="f", dataset="streets", classes=("x", "y", "z"), images=(A, B)),
)


@pytest.fixture
def old(path):
    """A file of format 1 with two images."""
    path.parent.mkdir()
    database = sqlite3.connect(path)
    database.executescript(VERSION_1)
    database.execute("INSERT INTO series VALUES (7, 'w', 'p', 'd', 'fp32', 'cpu', 3)")
    for image, seed in ((A, 1), (B, 2)):
        database.execute("INSERT INTO images VALUES (7, ?, ?, ?)", (*image, encode(matrix(seed))))
    database.commit()
    database.close()
    return path


def version_of(path):
    database = sqlite3.connect(path)
    version = database.execute("PRAGMA user_version").fetchone()[0]
    database.close()
    return version


def test_the_first_format_is_brought_up_with_every_count(old):
    with EvidenceStore(old) as store:
        assert store.series() == [KEY]
        assert store.uses(KEY) == []
        assert store.last_used(KEY)
        np.testing.assert_array_equal(store.get(KEY, A), matrix(1))
        store.describe(KEY, USE)
        store.add(KEY, A, matrix(3))
        assert store.uses(KEY) == [USE]
        assert [found.image for found in store.encoded(KEY)] == [A, B]
    assert version_of(old) == SCHEMA_VERSION == 5


def test_uses_of_the_fourth_format_are_those_of_no_rule(path):
    """What was described before protocols had rules of scoring is found again as it was."""
    with EvidenceStore(path) as store:
        store.describe(KEY, USE)
        store.add(KEY, A, matrix(1))
    database = sqlite3.connect(path, isolation_level=None)
    database.executescript(
        """
        CREATE TABLE before (series_id INTEGER NOT NULL REFERENCES series (id), split_id INTEGER NOT NULL REFERENCES
          splits (id), checkpoint TEXT NOT NULL, metric TEXT NOT NULL, protocol TEXT NOT NULL, environment TEXT NOT NULL,
          PRIMARY KEY (series_id, split_id, checkpoint, metric)) WITHOUT ROWID;
        INSERT INTO before SELECT series_id, split_id, checkpoint, metric, protocol, environment FROM uses;
        DROP TABLE uses;
        """
    )
    definition = """CREATE TABLE uses (
    series_id INTEGER NOT NULL REFERENCES series (id),
    split_id INTEGER NOT NULL REFERENCES splits (id),
    checkpoint TEXT NOT NULL,
    metric TEXT NOT NULL,
    protocol TEXT NOT NULL,
    environment TEXT NOT NULL,
    PRIMARY KEY (series_id, split_id, checkpoint, metric)
) WITHOUT ROWID"""
    database.executescript(
        f"{definition}; INSERT INTO uses SELECT * FROM before; DROP TABLE before; PRAGMA user_version = 4;"
    )
    database.close()
    with EvidenceStore(path, read_only=True) as store:
        assert store.uses(KEY) == [USE]
        store.check()
    assert version_of(path) == 4
    with EvidenceStore(path) as store:
        assert store.uses(KEY) == [USE]
    assert version_of(path) == SCHEMA_VERSION


def test_one_series_serves_every_rule_of_scoring(path):
    """The counts are the same; each rule is a use of its own, told again by its own words."""
    rules = [None, Void(classes=(2,)), Void(classes=(2,), pixels="dropped")]
    uses = [msgspec.structs.replace(USE, void=rule) for rule in rules]
    with EvidenceStore(path) as store:
        for use in uses:
            store.describe(KEY, use)
            store.describe(KEY, use)
        assert sorted(store.uses(KEY), key=uses.index) == uses
        store.check()


def test_the_first_format_is_read_without_touching_it(old):
    before = old.read_bytes()
    with EvidenceStore(old, read_only=True) as store:
        assert store.measured(KEY) == {A, B}
        assert store.uses(KEY) == []
    assert old.read_bytes() == before


def test_a_description_comes_back_and_is_stored_once(path):
    with EvidenceStore(path) as store:
        store.describe(KEY, USE)
        store.describe(KEY, USE)
        assert store.uses(KEY) == [USE]
        assert store.measured(KEY) == set()


def test_reading_needs_a_file(path):
    with pytest.raises(EvidenceError) as error:
        EvidenceStore(path, read_only=True)
    assert str(error.value) == (
        f"{path}: no evidence there; run zoo verify first or name a file with --evidence"
    )
    assert not path.exists()


def test_a_reader_writes_nothing(path):
    with EvidenceStore(path) as store:
        store.add(KEY, A, matrix(1))
    with EvidenceStore(path, read_only=True) as store, pytest.raises(EvidenceError) as error:
        store.add(KEY, B, matrix(1))
    assert str(error.value) == (
        f"{path}: cannot write the evidence: attempt to write a readonly database: make it and its "
        "folder writable, or name another file with --evidence"
    )


def test_a_name_with_bytes_that_are_no_text_is_a_name_like_any_other(tmp_path):
    path = tmp_path / os.fsdecode(b"evid\xffence?mode=x%20#.sqlite")
    with EvidenceStore(path) as store:
        store.add(KEY, A, matrix(1))
    with EvidenceStore(path, read_only=True) as store:
        assert store.measured(KEY) == {A}


def test_a_pipe_is_no_evidence(path):
    path.parent.mkdir()
    os.mkfifo(path)
    with pytest.raises(EvidenceError, match="found something that is no regular file"):
        EvidenceStore(path)


def test_a_writer_that_holds_the_file_is_named(path, monkeypatch):
    monkeypatch.setattr("segbench.evaluate.evidence.file.LOCK_WAIT_SECONDS", 0.2)
    with EvidenceStore(path) as store:
        holder = sqlite3.connect(path, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(EvidenceError, match="another process has been writing to it"):
            store.add(KEY, A, matrix(1))
        holder.close()
        store.add(KEY, A, matrix(1))
        assert store.measured(KEY) == {A}


def test_a_file_that_another_process_is_rewriting_is_not_read_meanwhile(path, monkeypatch):
    """An exported file has no log beside it; read regardless of its lock, it might be half of each."""
    monkeypatch.setattr("segbench.evaluate.evidence.file.LOCK_WAIT_SECONDS", 0.2)
    with EvidenceStore(path) as store:
        store.add(KEY, A, matrix(1))
        store.settle()
    program = (
        "import sqlite3, sys; db = sqlite3.connect(sys.argv[1], isolation_level=None); db.execute('BEGIN EXCLUSIVE');"
        "print(flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        holder.stdout.readline()
        for read_only in (True, False):
            with pytest.raises(EvidenceError, match="another process has been writing to it for more than"):
                EvidenceStore(path, read_only=read_only)
        holder.stdin.close()
    with EvidenceStore(path, read_only=True) as store:
        assert store.measured(KEY) == {A}


def test_a_name_that_differs_in_case_alone_is_another_image(path):
    with EvidenceStore(path) as store:
        for name in ("A", "a", "\u00e9", "e\u0301"):
            store.add(KEY, (name, "c"), matrix(1))
        assert len(store.measured(KEY)) == 4


def test_a_full_disk_is_named_and_what_was_stored_stays(path):
    """SQLite's own limit of pages stands for the disk's: the same error, from the same place."""
    rule = np.random.RandomState(0)
    big = msgspec.structs.replace(KEY, num_classes=150)
    with EvidenceStore(path) as store:
        store.add(big, A, rule.randint(1, 9, (151, 150)))
        pages = store._db.execute("PRAGMA page_count").fetchone()[0]
        store._db.execute(f"PRAGMA max_page_count = {pages + 3}")
        with pytest.raises(
            EvidenceError, match=r"the disk is full; make room and run the same command again"
        ):
            store.add(big, B, rule.randint(1, 9, (151, 150)))
        store._db.execute("PRAGMA max_page_count = 1000000")
        assert store.measured(big) == {A}
        store.add(big, B, rule.randint(1, 9, (151, 150)))
        assert store.measured(big) == {A, B}


def test_a_damaged_page_is_found_before_anything_is_taken_over(path, tmp_path):
    with EvidenceStore(path) as store:
        for number in range(200):
            store.add(KEY, (f"{number:03}", "c"), matrix(number))
        store.settle()
    data = bytearray(path.read_bytes())
    data[-3000:-1000] = bytes(2000)
    path.write_bytes(data)
    with (
        EvidenceStore(tmp_path / "other.sqlite") as target,
        EvidenceStore(path, read_only=True) as source,
        pytest.raises(EvidenceError, match="damaged"),
    ):
        merge(target, source)


# --- several files ----------------------------------------------------------------------------------------


def test_files_come_together(path, tmp_path):
    """Each shard's own file, merged: every image once, the description too; merging again adds nothing."""
    other = tmp_path / "other.sqlite"
    with EvidenceStore(path) as store, EvidenceStore(other) as second:
        store.describe(KEY, USE)
        second.describe(KEY, USE)
        store.add(KEY, A, matrix(1))
        second.add(KEY, A, matrix(1))
        second.add(KEY, B, matrix(2))
        assert merge(store, second) == 1
        assert merge(store, second) == 0
        assert store.measured(KEY) == {A, B}
        assert store.uses(KEY) == [USE]


def test_a_contradiction_names_both_and_takes_over_nothing(path, tmp_path):
    other = tmp_path / "other.sqlite"
    with EvidenceStore(path) as store, EvidenceStore(other) as second:
        store.add(KEY, B, matrix(1))
        second.add(KEY, A, matrix(1))
        second.add(KEY, B, matrix(2))
        with pytest.raises(EvidenceError) as error:
            merge(store, second)
        assert store.measured(KEY) == {B}
    said = str(error.value)
    assert said.startswith(
        f"{path}: series {KEY.digest()[:12]}, image b (contents hash of b): two different counts"
    )
    assert f"({other}); nothing was merged" in said


def test_an_export_is_one_file_that_merges_back(path, tmp_path):
    """Chosen series only, no log beside it, readable in a folder that takes no file."""
    second = msgspec.structs.replace(KEY, protocol_digest="q")
    place = tmp_path / "given"
    place.mkdir()
    with EvidenceStore(path) as store:
        store.describe(KEY, USE)
        store.add(KEY, A, matrix(1))
        store.add(second, A, matrix(2))
        assert export(store, place / "away.sqlite", [KEY]) == 1
    assert [file.name for file in place.iterdir()] == ["away.sqlite"]
    with EvidenceStore(place / "away.sqlite", read_only=True) as given, EvidenceStore(tmp_path / "n") as new:
        assert given.series() == [KEY]
        assert merge(new, given) == 1
        assert new.uses(KEY) == [USE]


def test_forgotten_series_leave_nothing(path):
    second = msgspec.structs.replace(KEY, protocol_digest="q")
    with EvidenceStore(path) as store:
        for key in (KEY, second):
            store.describe(key, USE)
            store.add(key, A, matrix(1))
        assert store.forget([KEY]) == 1
        assert store.series() == [second]
        assert store.uses(second) == [USE]
        assert store.measured(KEY) == set()


def test_a_disk_that_takes_no_more_is_named_by_the_real_system(path):
    """A process that may write no larger file: the system's own refusal, and what was stored stays."""
    program = (
        "import resource, signal, sys; sys.path[:0] = eval(sys.argv[2]);"
        "import numpy as np; from pathlib import Path;"
        "from segbench.evaluate.evidence import EvidenceKey, EvidenceStore;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (900000,) * 2);"
        "key = EvidenceKey(weights_sha256='w', protocol_digest='p', dataset_rules='d', precision='fp32',"
        "device_kind='cpu', num_classes=150); store = EvidenceStore(Path(sys.argv[1]));"
        "[store.add(key, (str(n), 'c'), np.ones((151, 150), np.int64)) for n in range(9)]"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path), repr(sys.path)],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "cannot write the evidence: " in done.stderr
    assert "the disk may be full" in done.stderr
    with EvidenceStore(path) as store:
        (key,) = store.series()
        kept = sorted(name for name, _ in store.measured(key))
    assert kept == [str(number) for number in range(len(kept))]
    assert 1 <= len(kept) < 9


def test_merging_adds_the_close_pixels_that_an_earlier_format_lacked(tmp_path):
    """The same counts without and with close pixels: merged, they are there, and nothing counts as new."""
    close = Closeness(np.zeros((len(LIMITS), 4, 3), dtype=np.int64))
    close.counts[0, LOST, 0] = close.counts[0, JOINED, 1] = 1
    with EvidenceStore(tmp_path / "a.sqlite") as store, EvidenceStore(tmp_path / "b.sqlite") as newer:
        store.add(KEY, A, matrix(1))
        newer.add(KEY, A, matrix(1), close)
        assert list(store.closeness(KEY)) == []
        assert merge(store, newer) == 0
        ((image, found),) = store.closeness(KEY)
        assert (image, found.counts.tolist()) == (A, close.counts.tolist())
