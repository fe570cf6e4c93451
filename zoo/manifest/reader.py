"""The manifest: `zoo.yaml` and what it includes, read once, checked whole, and turned into typed records.

Behind `load_manifest` nobody sees YAML again and everybody may trust the types. A wrong file is refused with
all its faults at once, each with its file and line.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from . import compiled
from .records import Manifest, ManifestFile, Publishers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .publisher import Publisher

PACKAGED = Path(__file__).resolve().parents[2] / "zoo.yaml"
"""The default manifest, beside the four folders both in a checkout and in an installed wheel."""


def load_manifest(path: str | Path | None = None) -> Manifest:
    """Read and check a manifest with all that it includes; None means the packaged zoo.

    Raises:
        ManifestError: a file cannot be read, is no YAML, or says something wrong.
    """
    path = PACKAGED if path is None else Path(path)
    content = compiled.kept(path, ManifestFile)
    if content is None:
        from .reading import read_manifest  # noqa: PLC0415  (YAML, which a copy in the cache spares)

        content, files = read_manifest(path)
        compiled.keep(path, content, files.contents, files.patterns)
        if path == PACKAGED:
            compiled.keep(path, Publishers(publishers=content.publishers), files.contents, files.patterns)
    return Manifest(path, content, _known_publishers(path, content))


def try_manifest(path: Path, instead: Mapping[Path, bytes]) -> Manifest:
    """A manifest as it would be with these files, which are not written yet, by whole path.

    Raises:
        ManifestError: there is a fault in it.
    """
    from .reading import read_manifest  # noqa: PLC0415

    content, _ = read_manifest(path, instead)
    return Manifest(path, content, _known_publishers(path, content))


def _known_publishers(path: Path, content: ManifestFile) -> Mapping[str, Publisher]:
    """The packaged zoo's publishers, where a manifest has rows of somebody it does not describe itself."""
    if path == PACKAGED or {entry.publisher for entry in content.checkpoints} <= content.publishers.keys():
        return {}
    return packaged_publishers()


def packaged_publishers() -> dict[str, Publisher]:
    """The packaged zoo's publishers, without its rows where a copy is kept: other manifests need no more of it."""
    found = compiled.kept(PACKAGED, Publishers)
    return load_manifest().publishers if found is None else found.publishers
