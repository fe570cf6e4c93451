"""Work in a forked process, in milliseconds, that is killed or refused by the disk at a chosen place."""

import json
import os
import signal
import sqlite3
from typing import NamedTuple

from full_disk import FullDisk, short_files


class Ended(NamedTuple):
    """How a process ended."""

    killed: bool
    told: str
    """What the work returned, or `<Error>: <message>` of what it raised."""
    steps: int
    """How often it changed the disk, where it was not killed."""


def steps_of(work, folder):
    """How many steps there are at which `work` can be disturbed; every one of them is a change below `folder`."""
    return run(work, folder).steps


def run(work, folder, *, kill_at=None, refuse_at=None, size=None, kill=False):
    """Do `work` in a process of its own.

    Args:
        work: What to do; may return a text.
        folder: Whose changes count as steps: a file opened for writing, renamed, linked, flushed, a folder made, some
            work of SQLite.
        kill_at: The step at which the process is killed; the last bytes of a file may be missing then.
        refuse_at: The step that fails because the disk is full, those of SQLite left out; the next one does not.
        size: No file grows beyond so many bytes: what would is refused.
        kill: Writing beyond `size` is the end of the process instead.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os._exit(
            _work(work, str(folder), writing, kill_at=kill_at, refuse_at=refuse_at, size=size, kill=kill)
        )
    os.close(writing)
    with os.fdopen(reading) as pipe:
        told = pipe.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, -signal.SIGKILL, -signal.SIGXFSZ), status
    return Ended(True, "", 0) if status else Ended(False, *json.loads(told))


def _work(work, folder, writing, *, kill_at, refuse_at, size, kill):
    disk = _Steps(folder, kill_at=kill_at, refuse_at=refuse_at)
    os.fsync = disk.flush
    if refuse_at is None:
        sqlite3.connect = disk.connect
    try:
        if size is None:
            told = work()
        else:
            with short_files(size, signal.SIG_DFL if kill else signal.SIG_IGN):
                told = work()
    except BaseException as error:  # noqa: BLE001  (the test judges it)
        told = f"{type(error).__name__}: {error}"
    os.write(writing, json.dumps([told or "", disk.taken]).encode())
    return 0


class _Steps(FullDisk):
    def __init__(self, folder, *, kill_at, refuse_at):
        self.kill_at, self.refuse_at, self.taken = kill_at, refuse_at, 0
        super().__init__(folder)

    def _see(self, event, arguments):
        if self.changes(event, arguments):
            self.step()

    def step(self):
        now, self.taken = self.taken, self.taken + 1
        if now == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        if now == self.refuse_at:
            self.refuse()

    def flush(self, file, *, flush=os.fsync):
        self.step()
        flush(file)

    def connect(self, *arguments, connect=sqlite3.connect, **settings):
        """A database of which every few hundred instructions are a step."""
        database = connect(*arguments, **settings)
        database.set_progress_handler(self.step, 100)
        return database
