"""What `zoo import` does with files: read the document, merge, and make the manifest's new text."""

from __future__ import annotations

import datetime as dt
import fnmatch
from pathlib import Path

import msgspec

from ..files.urls import shown_url
from ..manifest import Manifest, load_manifest
from . import SourceDocument, SourceError, read_source
from .configs.protocol_names import ProtocolNames
from .configs.published_config import NO_CONFIGS, Configs
from .file_names import stem
from .import_rows import files_to_write, rows_text
from .import_table import Merged, Provenance, import_rows, provenance
from .row_facts import Known


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What a user says of a document besides its file."""

    key: str = ""
    """Name among the manifest's documents; made of publisher and method where empty."""
    publisher: str = ""
    url: str | None = None
    """Where the document is published; a manifest is passed on, so only `shown_url` of it is written."""
    date: str | None = None
    listed: str | None = None
    only: tuple[str, ...] = ()
    """Globs of weights file names or metafile names; all rows where empty."""


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome: YAML, and what it adds in one line."""

    text: str
    """A file of rows, as a manifest may include it."""
    files: dict[Path, bytes] = {}
    """What is to be written, where the rows go into a manifest; nothing where they change nothing."""
    summary: str
    left_out: str
    """Fields of new entries that have to be filled in by hand or stay empty."""


def import_file(
    path: Path, request: Request, into: Path | None = None, configs: Configs = NO_CONFIGS
) -> Imported:
    """Read a document and make YAML of it; nothing is written.

    Args:
        path: a README with result tables, or a metafile.
        request: how to call the document, and which rows to take.
        configs: its publisher's configurations, where they are at hand; rows without one follow the publisher's rules.
        into: the manifest to add to; a new one includes the packaged data sets and protocols. None only makes the
            text of a file of rows.

    Raises:
        SourceError: the document cannot be read, or a row cannot become an entry.
        EditError: the manifest cannot include the rows.
        ManifestError: the manifest that is there is wrong.
    """
    before = load_manifest(into) if into is not None and into.exists() else None
    known = before or load_manifest()
    document = _chosen(read_source(path, known.publishers), request)
    origin = provenance(
        document,
        known.publishers,
        key=request.key,
        url=shown_url(request.url) if request.url else None,
        date=_day(request.date),
        listed=_day(request.listed),
    )
    names = ProtocolNames(known.protocols)
    more = Known(datasets=known.datasets, configs=configs, names=names)
    entries, documents = (before or (), before.documents if before else {})
    merged = import_rows(document, origin, entries, documents, more)
    if before is not None and _replaces_figures(merged):
        origin = _dated(document, origin, before, chosen=bool(request.key))
        merged = import_rows(document, origin, entries, documents, more)
    is_new = before is None or origin.key not in before.documents
    changes = any(one.before != one.after for one in merged)
    text = rows_text({origin.key: origin.document} if is_new else {}, names.added, merged)
    files = {}
    if into is not None and (changes or before is None):
        files = files_to_write(into, text, origin.key, merged=merged, before=before)
    left_out = "parameters, cost" if any(one.before is None for one in merged) else ""
    return Imported(text=text, files=files, summary=_summary(merged), left_out=left_out)


def _replaces_figures(merged: list[Merged]) -> bool:
    """Whether the document prints figures that supersede the file's."""
    return any(one.before is not None and len(one.after.claims) > len(one.before.claims) for one in merged)


def _dated(document: SourceDocument, origin: Provenance, before: Manifest, *, chosen: bool) -> Provenance:
    """A document whose figures replace others is a state of its own, with a day and a name of its own.

    Raises:
        SourceError: nobody says which day, or the name given is another state's.
    """
    if origin.date is None:
        raise SourceError(
            f"{document.path}: its figures replace some of {before.path}; say with --date when this state was published"
        )
    known = before.documents.get(origin.key)
    if known is None or (known.date == origin.document.date and origin.document.url in (None, known.url)):
        return origin
    if chosen:
        raise SourceError(
            f"{document.path}: {origin.key!r} is already the state of {known.date or 'an unknown day'}; "
            "name this one otherwise with --document"
        )
    return msgspec.structs.replace(origin, key=f"{origin.key}-{origin.date}")


def _chosen(document: SourceDocument, request: Request) -> SourceDocument:
    rows = [
        row
        for row in document.rows
        if not request.only
        or any(
            fnmatch.fnmatch(name, glob) for glob in request.only for name in (stem(row.weights_url), row.name)
        )
    ]
    if not rows:
        raise SourceError(
            f"{document.path}: --only {' '.join(request.only)} fits none of {len(document.rows)} rows"
        )
    publisher = request.publisher or document.publisher
    return msgspec.structs.replace(document, rows=tuple(rows), publisher=publisher)


def _day(text: str | None) -> str | None:
    try:
        return None if text is None else dt.date.fromisoformat(text).isoformat()
    except ValueError as error:
        raise SourceError(f"expected a date such as 2021-10-13, found {text!r}") from error


def _summary(merged: list[Merged]) -> str:
    new = sum(one.before is None for one in merged)
    changed = sum(one.before not in (None, one.after) for one in merged)
    return f"{new} entries added, {changed} extended, {len(merged) - new - changed} as they were"
