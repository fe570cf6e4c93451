"""A process that fetches one URL while the disk refuses, once for every place where it can; tells how each time went.

Run as `full_disk.py URL SHA256 HOW`: `operations` lets the n-th opening for writing, renaming, linking or making of a
folder fail, for every n; `bytes` lets every file end after so many bytes, for several numbers.
"""

import contextlib
import itertools
import json
import os
import resource
import shutil
import signal
import sys
from pathlib import Path

ENOSPC = 28
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
SIZES = (0, 20, 150, 250, 350, 500, 5_000, 100_000)
"""Around the lengths of a note (some 250 bytes), a lock (some 350) and the file."""


class FullDisk:
    """Counts what would change the disk below `folder`, and refuses one of it."""

    def __init__(self, folder):
        self.folder = folder
        self.left = -1
        sys.addaudithook(self._see)

    def changes(self, event, arguments):
        """True for what would change the disk below the folder."""
        is_change = event in ("os.rename", "os.link", "os.mkdir") or (
            event == "open" and arguments[2] & WRITING
        )
        return is_change and str(arguments[0]).startswith(self.folder)

    def refuse(self):
        raise OSError(ENOSPC, os.strerror(ENOSPC))

    def _see(self, event, arguments):
        if self.left >= 0 and self.changes(event, arguments):
            self.left -= 1
            if self.left < 0:
                self.refuse()


def main(url, sha256, how):
    import msgspec

    from segbench.zoo.fetch import FetchError, Patience, fetch
    from segbench.zoo.manifest import load_manifest

    row = load_manifest()["isanet_r50-d8_512x1024_40k_cityscapes"]
    weights = msgspec.structs.replace(row.weights, urls=(url,), sha256=sha256 or None, sha256_prefix=None)
    row = msgspec.structs.replace(row, weights=weights)
    home = Path(os.environ["ZOO_HOME"])
    disk = FullDisk(str(home.parent))

    def attempt():
        try:
            return None, fetch(row, patience=Patience(tries=1), tell=lambda _: None)
        except FetchError as error:
            return str(error), None
        except Exception as error:  # noqa: BLE001
            return f"UNFORESEEN {error!r}", None

    for number in itertools.count() if how == "operations" else SIZES:
        for path in (home, home.parent / "locked"):
            shutil.rmtree(path, ignore_errors=True)
        with refused(disk, number) if how == "operations" else short_files(number):
            told, path = attempt()
            was_refused = how == "bytes" or disk.left < 0
        _, path = attempt()
        stray = [one.name for one in home.parent.rglob("*.new")]
        print(json.dumps({"told": told, "again": path and path.read_bytes().hex(), "stray": stray}))
        if not was_refused:
            return


@contextlib.contextmanager
def refused(disk, number):
    disk.left = number
    yield
    disk.left = -1


@contextlib.contextmanager
def short_files(size, reaction=signal.SIG_IGN):
    """No file grows beyond `size` bytes; what would is refused, or as `reaction` says."""
    signal.signal(signal.SIGXFSZ, reaction)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


if __name__ == "__main__":
    main(*sys.argv[1:])
