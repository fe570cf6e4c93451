"""Pack a publisher's documents and the facts of its configurations: `record.py mmsegmentation METAFILES WHEELS`.

METAFILES holds a folder for each release with its metafiles, WHEELS a folder for each with the unpacked wheel. Only the
configurations that the rows of the documents name, or their weights files, are kept.
"""

from __future__ import annotations

import io
import sys
import tarfile
from pathlib import Path

import msgspec

from segbench.zoo.publishers import SourceError, SourceRow, read_source
from segbench.zoo.publishers.configs import mmsegmentation as mmseg
from segbench.zoo.publishers.configs import sssegmentation as ssseg
from segbench.zoo.publishers.configs.published_config import release_bytes
from segbench.zoo.publishers.file_names import stem, undated

RELEASES = ("0.30.0", "1.2.2")


def mmsegmentation(metafiles: Path, wheels: Path) -> dict[str, bytes]:
    """Name within the archive -> bytes."""
    files = {}
    rows = []
    for release in RELEASES:
        for path in sorted((metafiles / release).iterdir()):
            files[f"{release}/{path.name}"] = path.read_bytes()
            rows += read_source(path).rows
    wanted = {name for row in rows for name in (stem(row.config), undated(row.weights_url))}
    for release in RELEASES:
        read = mmseg.read_folder(wheels / release / "mmseg" / ".mim" / "configs", f"v{release}")
        kept = {path: one for path, one in read.configs.items() if path.rpartition("/")[2] in wanted}
        files[f"{release}/configs.json"] = release_bytes(msgspec.structs.replace(read, configs=kept))
    return files


def sssegmentation(pages: Path, configs: Path) -> dict[str, bytes]:
    """The pages with rows, but those of the two methods whose rows cite other documents; `ssseg/configs` at eb1878c1."""
    files: dict[str, bytes] = {}
    wanted: set[str] = set()
    for path in sorted(pages.glob("*.md")):
        rows = () if path.stem in {"isanet", "isnet"} else _rows(path)
        if rows:
            files[path.name] = path.read_bytes()
            wanted |= {stem(row.config) for row in rows}
    read = ssseg.read_folder(configs, "eb1878c1")
    kept = {path: one for path, one in read.configs.items() if path.rpartition("/")[2] in wanted}
    files["configs.json"] = release_bytes(msgspec.structs.replace(read, configs=kept))
    return files


def _rows(path: Path) -> tuple[SourceRow, ...]:
    """Of a page; none where it has no table of results."""
    try:
        return read_source(path).rows
    except SourceError:
        return ()


def main() -> None:
    """Write the archive beside this file; the same input gives the same bytes."""
    name, *folders = sys.argv[1:]
    files = {"mmsegmentation": mmsegmentation, "sssegmentation": sssegmentation}[name](*map(Path, folders))
    with tarfile.open(Path(__file__).with_name(f"{name}.tar.xz"), "w:xz", preset=9) as archive:
        for path, data in sorted(files.items()):
            member = tarfile.TarInfo(path)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


if __name__ == "__main__":
    main()
