"""Whole or not at all, through links, with the umask's modes."""

import os
import stat
from pathlib import Path

import pytest

from segbench.evaluate.evidence import EvidenceStore
from segbench.zoo.files import writing
from segbench.zoo.files.writing import replacing, write_whole


@pytest.fixture
def umask():
    """A function that sets the umask for one test."""
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


def mode(path):
    return oct(stat.S_IMODE(path.stat().st_mode))


@pytest.mark.parametrize(("mask", "expected"), [(0o002, "0o664"), (0o077, "0o600"), (0o022, "0o644")])
def test_files_get_the_modes_of_the_umask(tmp_path, umask, mask, expected):
    """The evidence too, with what SQLite puts beside it: a group shares its cache."""
    umask(mask)
    write_whole(tmp_path / "a/b", b"1")
    with EvidenceStore(tmp_path / "evidence.sqlite") as store, store.writing():
        beside = [path for path in tmp_path.iterdir() if path.name.startswith("evidence")]
        assert len(beside) == 3
        assert {mode(path) for path in (tmp_path / "a/b", *beside)} == {expected}


def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"old")
    target.chmod(0o640)
    link.symlink_to(target)
    write_whole(link, b"new")
    assert (link.is_symlink(), target.read_bytes(), mode(target)) == (True, b"new", "0o640")


def test_what_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail():
        with replacing(path) as fresh:
            fresh.write_bytes(b"ne")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert [(one.name, one.read_bytes()) for one in tmp_path.iterdir() if one.name != "zoo-home"] == [
        ("file", b"old")
    ]


def test_a_name_as_long_as_names_can_be_is_written(tmp_path):
    write_whole(tmp_path / ("x" * 255), b"1")
    assert (tmp_path / ("x" * 255)).read_bytes() == b"1"


def test_a_file_that_cannot_be_replaced_is_written_in_place(tmp_path, monkeypatch):
    """A file that is a mount of its own, as in a container, is busy for ever."""
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def busy(*_):
        raise OSError(writing.errno.EBUSY, "Device or resource busy")

    monkeypatch.setattr(type(path), "replace", busy)
    write_whole(path, b"new")
    assert [(one.name, one.read_bytes()) for one in tmp_path.iterdir() if one.name != "zoo-home"] == [
        ("file", b"new")
    ]


def test_a_device_gets_the_bytes_as_they_are():
    write_whole(Path(os.devnull), b"1")
    assert Path(os.devnull).is_char_device()


def test_a_pipe_that_nobody_reads_is_told_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="nobody reads what comes through it"):
        write_whole(tmp_path / "pipe", b"1")


def test_a_pipe_with_a_reader_gets_everything(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write_whole(tmp_path / "pipe", b"all of it")
    assert os.read(reader, 100) == b"all of it"
    os.close(reader)
