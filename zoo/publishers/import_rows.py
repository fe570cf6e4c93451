"""Rows of an import as a file of their own, which the manifest includes; no text of the manifest itself is touched.

Only a manifest that includes nothing yet gets one line more.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import yaml

from ...evaluate.regular_files import read_document
from ..manifest import VERSION, CheckpointEntry, ManifestError
from ..manifest.reader import try_manifest
from ..manifest.reading.source_files import PACKAGED_PREFIX
from ..manifest.shorten import sections
from ..manifest.writing import plain, yaml_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ...evaluate.protocol import EvalProtocol
    from ..manifest import Claim, Document, Manifest
    from .import_table import Merged

_BASE = tuple(f"{PACKAGED_PREFIX}{name}.yaml" for name in ("datasets", "protocols"))
"""What a new manifest begins with."""


class EditError(Exception):
    """The manifest cannot include another file, or would not mean what it should."""


def rows_text(
    documents: Mapping[str, Document], protocols: Mapping[str, EvalProtocol], merged: Sequence[Merged]
) -> str:
    """A file of new documents, protocols and rows, and of what known rows gain."""
    content = tables_of(documents, protocols)
    if new := [one.after for one in merged if one.before is None]:
        content |= sections(new)
    if additions := [_addition(one) for one in merged if one.before not in (None, one.after)]:
        content.setdefault("sections", []).append({"additions": additions})
    return yaml_text(content)


def tables_of(documents: Mapping[str, Document], protocols: Mapping[str, EvalProtocol]) -> dict[str, Any]:
    """What a file begins with: documents and protocols by name."""
    content: dict[str, Any] = {}
    for key, records in (("documents", documents), ("protocols", protocols)):
        if records:
            content[key] = {name: plain(one) for name, one in records.items()}
            for fields in content[key].values():
                fields.pop("name", None)  # the key says it
    return content


def _addition(one: Merged) -> dict[str, Any]:
    """What an entry has after the import and had not before."""
    before, after = one.before, one.after
    assert before is not None
    fields: dict[str, Any] = {"id": after.id}
    fields["aliases"] = [name for name in after.aliases if name not in before.aliases]
    urls = [url for url in after.weights.urls if url not in before.weights.urls]
    fields["weights"] = {"urls": urls} if urls else {}
    for name in ("log_urls", "config_urls"):
        fields[name] = [url for url in getattr(after, name) if url not in getattr(before, name)]
    fields["claims"] = [_claim(claim, before) for claim in after.claims if claim not in before.claims]
    fields["listed_in"] = [plain(listing) for listing in after.listed_in if listing not in before.listed_in]
    return {name: value for name, value in fields.items() if value}


def _claim(claim: Claim, before: CheckpointEntry) -> dict[str, Any]:
    """A new claim; of one that is there, only what completes it."""
    fields = plain(claim)
    known = {(one.metric, one.printed) for one in before.claims}
    if (claim.metric, claim.printed) not in known:
        return fields
    return {name: fields[name] for name in ("metric", "printed", "date", "note") if name in fields}


def files_to_write(
    into: Path, text: str, key: str, *, merged: Sequence[Merged], before: Manifest | None
) -> dict[Path, bytes]:
    """The new file of rows and, where it does not include that yet, the manifest; nothing is written.

    Raises:
        EditError: the manifest cannot take an include, or would not mean the old one with these entries.
    """
    folder = into.with_suffix("") if into.suffix else into.with_name(f"{into.name}-rows")
    taken = [int(one.name[:3]) for one in folder.glob("[0-9][0-9][0-9]-*.yaml")]
    name = f"{max(taken, default=0) + 1:03}-{re.sub(r'[^A-Za-z0-9._-]', '-', key)}.yaml"
    files = {folder / name: text.encode()}
    pattern = f"{folder.name}/*.yaml"
    if before is None:
        include = yaml_text({"version": VERSION, "include": [*_BASE, pattern]})
        files[into] = include.encode()
    elif not _includes(into, pattern):
        files[into] = _with_include(into, pattern)
    try:
        manifest = try_manifest(into, {path.resolve(): data for path, data in files.items()})
    except ManifestError as error:
        raise EditError(f"the result would be no manifest: {error}") from error
    _check(manifest, before, merged)
    return files


def _includes(path: Path, pattern: str) -> bool:
    included = (yaml.safe_load(read_document(path)) or {}).get("include", [])
    return pattern in ([included] if isinstance(included, str) else included)


def _with_include(path: Path, pattern: str) -> bytes:
    """The manifest's bytes with one line more, behind its version.

    Raises:
        EditError: it includes other files already, or its version has no line of its own.
    """
    lines = read_document(path).split(b"\n")
    places = [index for index, line in enumerate(lines) if re.match(rb"(\xef\xbb\xbf)?version:\s*1\b", line)]
    if any(line.startswith(b"include:") for line in lines) or len(places) != 1:
        raise EditError(
            f"{path}: add {pattern!r} to the files that it includes (include: [{pattern}]), then import again"
        )
    end = b"\r" if lines[places[0]].endswith(b"\r") else b""
    lines.insert(places[0] + 1, f"include: [{yaml_text(pattern).splitlines()[0]}]".encode() + end)
    return b"\n".join(lines)


def _as_stated(read: dict[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """A row as it was read, without what was counted where the row was to state nothing."""
    counted = {name: None for name in ("parameters", "cost") if name in wanted and wanted[name] is None}
    return {**read, **counted}


def _check(manifest: Manifest, before: Manifest | None, merged: Sequence[Merged]) -> None:
    """Whether a manifest means exactly the old one with the merged entries."""
    wanted = {} if before is None else {one.id: _fields(one) for one in before}
    wanted |= {one.after.id: _fields(one.after) for one in merged}
    found = {one.id: _as_stated(_fields(one), wanted.get(one.id, {})) for one in manifest}
    if wanted != found:
        different = sorted(key for key in wanted.keys() | found.keys() if wanted.get(key) != found.get(key))
        raise EditError(
            f"{manifest.path}: the result would not mean what it should for {', '.join(different)}"
        )


def _fields(entry: CheckpointEntry) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in CheckpointEntry.__struct_fields__}
