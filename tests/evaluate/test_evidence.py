"""The evidence file: what goes in comes out, a killed writer loses nothing, trouble has a name."""

import sqlite3
import subprocess
import sys

import msgspec
import numpy as np
import pytest

from segbench.evaluate.evidence import EvidenceError, EvidenceKey, EvidenceStore

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
        f"{path}: evidence format 99 is newer than this segbench reads (2); "
        "update segbench or choose another file with --evidence"
    )


def test_a_file_of_something_else_is_refused(path):
    path.parent.mkdir()
    path.write_bytes(b"not a database, but long enough to be read as one" * 40)
    with pytest.raises(EvidenceError, match="damaged or no evidence file"):
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
