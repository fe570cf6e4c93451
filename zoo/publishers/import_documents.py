"""Several states of a publisher's document as one file of rows: what the packaged zoo's files are made by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..manifest.shorten import sections
from ..manifest.writing import yaml_text
from .import_rows import tables_of
from .import_table import import_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..manifest import CheckpointEntry, Document
    from . import SourceDocument
    from .import_table import Provenance
    from .row_facts import Known


def entries_of(states: Sequence[tuple[SourceDocument, Provenance]], known: Known) -> list[CheckpointEntry]:
    """The rows of a document's newest state, in its order, with what its earlier states say of them.

    Args:
        states: from the oldest to the newest.
        known: data sets, protocols and configurations.

    Raises:
        SourceError: a row lacks what an entry needs, or nothing is known of its method or data set.
    """
    entries: dict[str, CheckpointEntry] = {}
    documents: dict[str, Document] = {}
    newest: list[CheckpointEntry] = []
    for document, origin in states:
        merged = import_rows(document, origin, list(entries.values()), documents, known)
        for one in merged:
            if one.before is not None:
                del entries[one.before.id]
            entries[one.after.id] = one.after
        documents[origin.key] = origin.document
        newest = [one.after for one in merged]
    return newest


def file_text(states: Sequence[tuple[SourceDocument, Provenance]], entries: Sequence[CheckpointEntry]) -> str:
    """The file of a method: its documents and rows, in short."""
    documents = {origin.key: origin.document for _, origin in states}
    return yaml_text(tables_of(documents, {}) | sections(entries))
