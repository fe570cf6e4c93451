"""The manifest: `zoo.yaml` read once, checked whole, and turned into typed records.

Behind `load_manifest` nobody sees YAML again and everybody may trust the types. A wrong file is refused with
all its faults at once, each with its line.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from .checks import CHECKS
from .compact import Expansion, TooMuchError
from .faults import Fault, ManifestError
from .files import Files, yaml_fault
from .records import Manifest, ManifestFile
from .walk import Reader

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .files import Part

PACKAGED = Path(__file__).resolve().parents[2] / "zoo.yaml"
"""The default manifest, beside the four folders both in a checkout and in an installed wheel."""


def load_manifest(path: str | Path | None = None) -> Manifest:
    """Read and check a manifest with all that it includes; None means the packaged zoo.

    Raises:
        ManifestError: a file cannot be read, is no YAML, or says something wrong.
    """
    path = PACKAGED if path is None else Path(path)
    files = Files()
    files.read(path)
    return Manifest(path, _parse(path, files))


def try_manifest(path: Path, instead: Mapping[Path, bytes]) -> Manifest:
    """A manifest as it would be with these files, which are not written yet, by whole path.

    Raises:
        ManifestError: the file cannot be read, is no YAML, or says something wrong.
    """
    files = Files(instead)
    files.read(path)
    return Manifest(path, _parse(path, files))


def _parse(path: Path, files: Files) -> ManifestFile:
    """The content of a manifest's files.

    Raises:
        ManifestError: there is a fault in one of them.
    """
    reader = Reader(yaml.SafeLoader(""), CHECKS)
    content = None
    expansion = Expansion(reader)
    if not files.faults and expansion.fits(files.parts):
        try:
            content = reader.read_file(expansion.whole(files.parts))
        except TooMuchError as error:
            reader.faults = [Fault(path="", line=None, message=str(error))]
        except yaml.YAMLError as error:  # a tag of something that is no value
            reader.faults = [yaml_fault(path, error)]
    faults = [*files.faults, *reader.faults]
    if faults or content is None:
        raise ManifestError(path, _in_order(faults, files.parts))
    return content


def _in_order(faults: Iterable[Fault], parts: Iterable[Part]) -> list[Fault]:
    """By file and line; what a default does to many rows is told once."""
    order = {str(part.path): number for number, part in enumerate(parts)}
    once = {(fault.file, fault.line, fault.message): fault for fault in reversed(list(faults))}
    found = list(once.values())[::-1]
    return sorted(found, key=lambda fault: (order.get(fault.file, len(order)), fault.line or 0))
