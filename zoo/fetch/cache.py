"""The cache on disk: `ZOO_HOME/weights/<id>/<publisher's name>`, the same bytes as `ZOO_HOME/blobs/<sha256>`.

The readable name and the blob are hard links to one file, so that two rows that share a file share its bytes, and a
row whose URL moved finds what it had. A file system without hard links keeps the readable name only: nothing but
the sharing is lost. Logs and configs lie in `logs/<id>` and `configs/<id>`, lock files in `locks`; `manifests`
names the manifests whose files these are.
"""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ..files.urls import shown_url
from ..files.writing import write_whole
from .download import file_sha256, read_note, remove_partial

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

FOLDERS = ("weights", "logs", "configs")
PARTIAL_SUFFIX = ".part"
MAX_NAME_BYTES = 200
"""Of a file's name; file systems allow 255, and partial files and their notes have longer names."""
_SHA256 = re.compile(r"[0-9a-f]{64}")
_WRONG = re.compile(r"\.wrong-([0-9a-f]{8})\Z")
_PARTIAL = re.compile(r"(.+?)(?:\.from-[0-9a-f]{8})?\.part(?:\.json(?:\.new)?)?")


def namesake(target: Path) -> str | None:
    """The folder that this disk takes for the target's: a name that differs in case or Unicode form alone; else None."""
    folder = target.parent
    spellings = {
        folder.name.swapcase(),
        *(unicodedata.normalize(form, folder.name) for form in ("NFC", "NFD")),
    }
    others = [folder.with_name(one) for one in spellings - {folder.name}]
    if not any(one.exists() and folder.exists() and one.samefile(folder) for one in others):
        return None
    here = folder.stat()
    with os.scandir(folder.parent) as entries:
        names = [one.name for one in entries if os.path.samestat(here, one.stat(follow_symlinks=False))]
    return None if folder.name in names else next(iter(names), None)


def partial_path(target: Path, url: str = "") -> Path:
    """Where a file lies while it arrives: from whichever URL, or from this one alone."""
    origin = f".from-{hashlib.sha256(os.fsencode(shown_url(url))).hexdigest()[:8]}" if url else ""
    return target.with_name(f"{target.name}{origin}{PARTIAL_SUFFIX}")


def partial_paths(target: Path) -> list[Path]:
    """The partial files of a target that are there, those of single URLs too."""
    if not target.parent.is_dir():
        return []
    return sorted(
        path
        for path in target.parent.iterdir()
        if path.name.endswith(PARTIAL_SUFFIX) and target_name(path.name) == target.name
    )


def target_name(name: str) -> str:
    """The name of the file that a partial file, or the note beside one, is to become; other names as they are."""
    found = _PARTIAL.fullmatch(name)
    return found[1] if found else name


def guard_path(target: Path, home: Path) -> Path:
    """The lock file by which processes agree who downloads `target`."""
    name = "--".join(target.relative_to(home).parts)
    if len(os.fsencode(name)) > MAX_NAME_BYTES:
        name = hashlib.sha256(os.fsencode(name)).hexdigest()
    return home / "locks" / f"{name}.lock"


def blobs_folder(home: Path) -> Path:
    """Where files lie under their SHA-256."""
    return home / "blobs"


def adopt(partial: Path, target: Path, sha256: str, home: Path) -> None:
    """Give a verified partial file its names; killed in between, the partial file is still there and whole."""
    blob = blobs_folder(home) / sha256
    blob.parent.mkdir(parents=True, exist_ok=True)
    if blob.exists() and file_sha256(blob) != sha256:
        blob.unlink()
    with suppress(OSError):  # no hard links here, or the blob is there already
        os.link(partial, blob)
    try:
        partial.replace(target)
    except OSError:
        if blob.exists() and blob.samefile(partial):  # a partial file may be written to, a blob may not
            blob.unlink()
        raise
    if blob.exists() and not blob.samefile(target):
        _link(blob, target)
    for leftover in (partial, *partial_paths(target)):
        remove_partial(leftover)


def link_known(target: Path, expected: str, home: Path) -> bool:
    """Give `target` the bytes of a blob whose SHA-256 begins with `expected`; False where there is none.

    A blob that is no longer what its name says is deleted.
    """
    for blob in known_blobs(expected, home):
        if file_sha256(blob) == blob.name:
            target.parent.mkdir(parents=True, exist_ok=True)
            return _link(blob, target)
        blob.unlink()
    return False


def known_blobs(expected: str, home: Path) -> list[Path]:
    """Blobs whose name begins with `expected`; none for an empty one."""
    return sorted(blobs_folder(home).glob(f"{expected.lower()}*")) if expected else []


def set_aside(partial: Path, target: Path, sha256: str) -> Path:
    """Keep wrong bytes under a telling name, for whoever wants to know what came."""
    aside = target.with_name(f"{target.name}.wrong-{sha256[:8]}")
    partial.replace(aside)
    remove_partial(partial)
    return aside


def files(home: Path) -> Iterator[Path]:
    """Every file of the cache's folders, in order."""
    for folder in (*FOLDERS, "blobs"):
        yield from sorted(path for path in (home / folder).rglob("*") if path.is_file())


def is_blob(path: Path) -> bool:
    """True for a file whose name is a SHA-256."""
    return _SHA256.fullmatch(path.name) is not None and path.is_file()


def is_made_here(path: Path, home: Path, blobs: Container[int]) -> bool:
    """True for a file of the cache's folders that only `zoo fetch` can have written.

    That is a second name of a blob, a partial file with its note, or wrong bytes under their own SHA-256. A file
    system without hard links leaves fetched files without a proof.

    Args:
        path: The file.
        home: The cache.
        blobs: Inode numbers of the blobs.
    """
    parts = path.relative_to(home).parts
    if len(parts) != 3 or parts[0] not in FOLDERS:
        return False
    if path.stat().st_ino in blobs:
        return True
    if target_name(path.name) != path.name:
        end = path.name.rindex(PARTIAL_SUFFIX) + len(PARTIAL_SUFFIX)
        return read_note(path.with_name(path.name[:end])) is not None
    wrong = _WRONG.search(path.name)
    return wrong is not None and file_sha256(path).startswith(wrong[1])


def remember_manifest(manifest: Path | None, home: Path) -> None:
    """Write down that this manifest's files may lie here, so that no other manifest's pruning takes them."""
    if manifest is None:
        return
    name = str(manifest.absolute())
    marker = home / "manifests" / hashlib.sha256(name.encode()).hexdigest()[:16]
    with suppress(OSError):  # a cache that only others may write
        if not marker.exists():
            marker.parent.mkdir(parents=True, exist_ok=True)
            write_whole(marker, os.fsencode(name))


def remembered_manifests(home: Path) -> dict[Path, Path]:
    """Where it is written down -> the manifest that used this cache."""
    markers = sorted((home / "manifests").glob("[!.]*"))
    return {marker: Path(os.fsdecode(marker.read_bytes())) for marker in markers}


def _link(blob: Path, target: Path) -> bool:
    fresh = target.with_name(f"{target.name}.{os.getpid()}.link")
    try:
        os.link(blob, fresh)
        fresh.replace(target)
    except OSError:
        return False
    finally:
        fresh.unlink(missing_ok=True)
    return True
