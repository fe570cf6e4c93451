"""Where the cache lies: a full disk, one that is read only, one that tells no case, and a clock that is wrong."""

import hashlib
import json
import os
import subprocess
import sys

import full_disk
import msgspec
import pytest
from checkpoint_files import checkpoint_file

from segbench.zoo.commands.fetch import list_cache, verify_cache
from segbench.zoo.fetch import (
    FetchError,
    Patience,
    fetch,
    wanted_weights,
    weights_path,
)

DATA = checkpoint_file(3_000, seed=0)
OTHER = checkpoint_file(3_000, seed=1)
SHA256 = hashlib.sha256(DATA).hexdigest()
ONCE = Patience(connect_seconds=2, read_seconds=1, tries=1, backoff_seconds=0)


def on_a_full_disk(server, tmp_path, hashes, how):
    server.file("/f.pth", DATA)
    places = {
        "ZOO_HOME": str(tmp_path / "disk" / "home"),
        "ZOO_LOCK": str(tmp_path / "disk" / "locked" / "zoo.lock"),
    }
    environment = os.environ | places | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, full_disk.__file__, f"{server.url}/f.pth", hashes.get("sha256", ""), how]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize("how", ["operations", "bytes"])
@pytest.mark.parametrize("hashes", [{}, {"sha256": SHA256}], ids=["recorded", "published"])
def test_a_disk_that_is_full_anywhere_is_told_and_the_next_run_has_the_file(server, tmp_path, hashes, how):
    """Whichever write, rename, link or folder is refused: a message with the place, no wrong file, nothing left over."""
    runs = on_a_full_disk(server, tmp_path, hashes, how)
    assert len(runs) > 5
    for run in runs:
        assert (run["again"], run["stray"]) == (DATA.hex(), [])
        assert run["told"] is None or "cannot write: " in run["told"]
        assert run["told"] is None or str(tmp_path / "disk") in run["told"]
    assert sum(run["told"] is not None for run in runs) > 3


def test_a_name_that_differs_in_case_alone_is_another_checkpoint(server, checkpoint, tmp_path):
    """A link stands for a disk on which both names are one folder: neither gets the other's file."""
    server.file("/f.pth", DATA)
    server.file("/g/f.pth", OTHER)
    upper = msgspec.structs.replace(checkpoint(f"{server.url}/f.pth"), id="MODEL")
    lower = msgspec.structs.replace(checkpoint(f"{server.url}/g/f.pth"), id="model")
    folder = fetch(upper, patience=ONCE).parent
    folder.with_name("model").symlink_to(folder)
    for work in (lambda: fetch(lower, patience=ONCE), lambda: fetch(lower, patience=ONCE, offline=True)):
        with pytest.raises(FetchError) as error:
            work()
        assert str(error.value) == (
            f"{folder.with_name('model')}: this disk takes it for the folder 'MODEL', which is another checkpoint's; "
            "rename one of the two, or set ZOO_HOME to a disk that tells their names apart"
        )
    wanted = [wanted_weights(lower)]
    assert verify_cache(wanted, tmp_path / "zoo-home").exit_code == 4
    listed = list_cache(wanted)
    assert (listed.faults, listed.records[0]["state"]) == ((str(error.value),), "another checkpoint's folder")
    assert fetch(upper, patience=ONCE).read_bytes() == DATA
    assert list(json.loads((tmp_path / "zoo.lock").read_text())["files"]) == ["MODEL"]


def test_names_that_differ_in_case_alone_are_two_where_the_disk_tells_them_apart(server, checkpoint):
    server.file("/f.pth", DATA)
    server.file("/g/f.pth", OTHER)
    upper = msgspec.structs.replace(checkpoint(f"{server.url}/f.pth"), id="MODEL")
    lower = msgspec.structs.replace(checkpoint(f"{server.url}/g/f.pth"), id="model")
    assert [fetch(one, patience=ONCE).read_bytes() for one in (upper, lower)] == [DATA, OTHER]


def test_two_ids_with_one_file_name_have_a_file_each(server, checkpoint, tmp_path):
    server.file("/f.pth", DATA)
    server.file("/g/f.pth", OTHER)
    rows = [
        msgspec.structs.replace(checkpoint(f"{server.url}{url}"), id=name)
        for name, url in (("a", "/f.pth"), ("a--f.pth", "/g/f.pth"))
    ]
    assert [fetch(row, patience=ONCE).read_bytes() for row in rows] == [DATA, OTHER]
    assert [fetch(row, patience=ONCE, offline=True).read_bytes() for row in rows] == [DATA, OTHER]


def test_a_last_rename_that_is_refused_leaves_one_name_and_the_next_run_has_the_file(
    server, checkpoint, tmp_path, monkeypatch
):
    """A partial file is written to; a second name of it among the blobs would change with it."""
    server.file("/f.pth", DATA)
    row = checkpoint(f"{server.url}/f.pth", sha256=SHA256)
    target, replace = weights_path(row), type(tmp_path).replace

    def refuse(path, new):
        if new == target:
            raise OSError(28, os.strerror(28))
        return replace(path, new)

    with monkeypatch.context() as patch:
        patch.setattr(type(tmp_path), "replace", refuse)
        with pytest.raises(FetchError, match="cannot write: No space left on device"):
            fetch(row, patience=ONCE)
    assert [path.stat().st_nlink for path in target.parent.glob("*.part")] == [1]
    assert fetch(row, patience=ONCE).read_bytes() == DATA
    assert sorted(path.name for path in target.parent.iterdir()) == ["f.pth"]
    assert len(server.bodies()) == 1


def test_a_clock_that_was_set_back_changes_nothing(server, checkpoint, monkeypatch):
    """The second half of a file comes in 1970, from a server that lives today."""
    server.file("/f.pth", DATA, cuts=[1000])
    row = checkpoint(f"{server.url}/f.pth")
    with pytest.raises(FetchError):
        fetch(row, patience=ONCE)
    monkeypatch.setattr("time.time", lambda: 0.0)
    assert fetch(row, patience=ONCE).read_bytes() == DATA
    assert server.bodies()[-1] == (1000, len(DATA) - 1000)


def test_a_pause_that_is_a_date_beyond_a_clock_set_back_is_told(server, checkpoint, monkeypatch):
    monkeypatch.setattr("time.time", lambda: 0.0)
    server.file("/f.pth", DATA, statuses=[503], headers={"Retry-After": "Wed, 01 Sep 2021 05:47:39 GMT"})
    with pytest.raises(FetchError, match="asks to come back after Wed, 01 Sep 2021 05:47:39 GMT"):
        fetch(checkpoint(f"{server.url}/f.pth"), patience=Patience(tries=3, backoff_seconds=0))


@pytest.fixture
def read_only(monkeypatch):
    """A function that makes a folder read only for everybody, root too."""
    frozen = []

    def refuse(event, arguments):
        changes = event in ("os.rename", "os.link", "os.mkdir") or (
            event == "open" and arguments[2] & full_disk.WRITING
        )
        if changes and any(str(arguments[0]).startswith(str(folder)) for folder in frozen):
            raise OSError(30, os.strerror(30))

    sys.addaudithook(refuse)
    yield frozen.append
    frozen.clear()


def test_a_read_only_cache_serves_what_it_has_and_tells_what_it_lacks(
    server, checkpoint, tmp_path, read_only
):
    server.file("/f.pth", DATA)
    row = checkpoint(f"{server.url}/f.pth", sha256=SHA256)
    fetch(row, patience=ONCE)
    read_only(tmp_path / "zoo-home")
    assert fetch(row, patience=ONCE).read_bytes() == DATA
    lacking = msgspec.structs.replace(
        row, id="another", weights=msgspec.structs.replace(row.weights, sha256="0" * 64)
    )
    with pytest.raises(FetchError) as error:
        fetch(lacking, patience=ONCE)
    assert str(error.value) == (
        f"{weights_path(lacking)}: cannot write: Read-only file system; set ZOO_HOME to another place"
    )
