"""Where things stand in a manifest's files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from . import compiled
from .reading.checks import CHECKS
from .reading.compact import Expansion
from .reading.source_files import Files
from .reading.walk import Reader

if TYPE_CHECKING:
    from collections.abc import Iterator


class Place(NamedTuple):
    """A line, counted from 1."""

    file: Path
    line: int


class EntryPlaces(NamedTuple):
    """Where a checkpoint stands."""

    entry: Place
    claims: tuple[Place, ...]
    """Of each claim's printed figure, in the record's order."""
    urls: dict[str, Place]


class Places(NamedTuple):
    """Where the documents and checkpoints of a manifest stand."""

    documents: dict[str, Place]
    """Key of a document -> its date, or its first fact where it has none."""
    checkpoints: dict[str, EntryPlaces]
    """By id."""


def find_places(path: Path) -> Places:
    """The places of a manifest that `load_manifest` accepts, read from its files again where no copy is kept.

    Raises:
        ManifestError: the file cannot be read any more.
    """
    found = compiled.kept(path, Places)
    if found is None:
        files = Files()
        found = _read_places(path, files)
        compiled.keep(path, found, files.contents, files.patterns)
    return found


def _read_places(path: Path, files: Files) -> Places:
    files.read(path)
    root = dict(_items(Expansion(Reader(yaml.SafeLoader(""), CHECKS)).whole(files.parts)))
    documents = {
        key: _place(dict(_items(node)).get("date", node)) for key, node in _items(root.get("documents"))
    }
    entries = (dict(_items(node)) | {"": node} for node in root["checkpoints"].value)
    return Places(documents, {fields["id"].value: _entry_places(fields) for fields in entries})


def _entry_places(fields: dict[str, Any]) -> EntryPlaces:
    claims = tuple(_place(dict(_items(claim))["printed"]) for claim in fields["claims"].value)
    lists = (dict(_items(fields["weights"])).get("urls"), fields.get("log_urls"), fields.get("config_urls"))
    urls = {url.value: _place(url) for found in lists if found for url in found.value}
    return EntryPlaces(_place(fields[""]), claims, urls)


def _place(node: Any) -> Place:
    return Place(Path(node.start_mark.name), node.start_mark.line + 1)


def _items(mapping: Any) -> Iterator[tuple[str, Any]]:
    """Keys and nodes of a mapping; none where there is no mapping."""
    yield from ((key.value, value) for key, value in (mapping.value if mapping else ()))
