"""The manifest: `zoo.yaml` read once, checked whole, and turned into typed records.

Behind `load_manifest` nobody sees YAML again and everybody may trust the types. A wrong file is refused with
all its faults at once, each with its line.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import yaml

from ...evaluate.regular_files import read_document, text_of
from .checks import CHECKS
from .faults import Fault, ManifestError
from .records import Manifest, ManifestFile
from .walk import Reader, nodes_of
from .yaml_nodes import YamlLimitError, compose, root_node

PACKAGED = Path(__file__).resolve().parents[2] / "zoo.yaml"
"""The default manifest, beside the four folders both in a checkout and in an installed wheel."""


def load_manifest(path: str | Path | None = None) -> Manifest:
    """Read and check a manifest; None means the packaged zoo.

    Raises:
        ManifestError: the file cannot be read, is no YAML, or says something wrong.
    """
    path = PACKAGED if path is None else Path(path)
    try:
        data = read_document(path)
        text_of(data)
    except OSError as error:
        advice = "name another file with --manifest, or leave it out for the packaged zoo"
        message = f"cannot read the manifest: {error.strerror or error}; {advice}"
        raise ManifestError(path, [Fault(path="", line=None, message=message)]) from error
    return Manifest(path, _parse(path, data))


class EntryLines(NamedTuple):
    """Where a checkpoint stands in its file, counted from 1."""

    entry: int
    claims: dict[tuple[str, str], int]
    """(metric, date or nothing) of a claim -> line of its printed figure."""


def claim_lines(path: str | Path) -> dict[str, EntryLines]:
    """The lines of every checkpoint of a manifest that `load_manifest` accepts, by id."""
    entries = nodes_of(compose(read_document(Path(path))))["checkpoints"].value
    return {(nodes := nodes_of(entry))["id"].value: _entry_lines(entry, nodes) for entry in entries}


def _entry_lines(entry: Any, nodes: dict[str, Any]) -> EntryLines:
    claims = [nodes_of(claim) for claim in nodes["claims"].value]
    lines = {
        (claim["metric"].value, claim["date"].value if "date" in claim else ""): _line(claim["printed"])
        for claim in claims
    }
    return EntryLines(_line(entry), lines)


def _line(node: Any) -> int:
    return node.start_mark.line + 1


def _parse(path: Path, data: bytes) -> ManifestFile:
    try:
        content, faults = _read(data)
    except yaml.YAMLError as error:
        raise ManifestError(path, [_yaml_fault(error)]) from error
    if faults:
        raise ManifestError(path, sorted(faults, key=lambda fault: fault.line or 0))
    return content


def _read(data: bytes) -> tuple[ManifestFile, list[Fault]]:
    """The file's content, which is good for nothing where there are faults."""
    # The C parser is ten times as fast; PyYAML built without it has the same class in Python.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(data)
    try:
        reader = Reader(loader, CHECKS)
        return reader.read_file(root_node(loader, len(data))), reader.faults
    finally:
        loader.dispose()


def _yaml_fault(error: yaml.YAMLError) -> Fault:
    mark = getattr(error, "problem_mark", None)
    reason = " ".join(str(getattr(error, "problem", None) or error).split())
    message = reason if isinstance(error, YamlLimitError) else f"not valid YAML: {reason}"
    return Fault(path="", line=None if mark is None else mark.line + 1, message=message)
