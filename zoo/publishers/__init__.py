"""Publishers' own documents as records: README tables, pages rendered from them, metafiles.

Tolerant of layout (widths, alignment, order of columns, links or none, bold type, marks of footnotes), strict about
meaning: a cell that should be a number and is none, or a results column nobody knows, is a fault with its line. It
ends an import; an audit tells it and goes on with the rest. Both read documents through here only.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from ..files.named_files import read_piped_text
from ..manifest import packaged_publishers
from .metafiles import read_metafiles
from .records import SourceDocument, SourceError, SourceFault, SourceRow
from .rules import named
from .tables import HEADER_OF_A_PAGE, read_markdown, read_page

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ..manifest.publisher import Publisher

__all__ = [
    "SourceDocument",
    "SourceError",
    "SourceFault",
    "SourceRow",
    "read_source",
    "read_sources",
]


def read_source(path: Path, publishers: Mapping[str, Publisher] | None = None) -> SourceDocument:
    """Parse the one document of a file; its form is recognised by what it contains.

    Raises:
        SourceError: the file cannot be read, has no known form, holds several documents, or says something that cannot
            be understood.
    """
    documents = read_sources(path, publishers)
    if len(documents) > 1:
        raise SourceError(
            f"{path}: expected one document, found {len(documents)} metafiles; give each a file"
        )
    (document,) = documents
    if document.faults:
        first = min(document.faults, key=lambda fault: fault.line)
        raise SourceError(f"{document.path}:{first.line}: {first.message}")
    return document


def read_sources(path: Path, publishers: Mapping[str, Publisher] | None = None) -> list[SourceDocument]:
    """Parse every document of a file; what cannot be understood is on record in their `faults`.

    So is whatever else a reader meets in it: one document ends no audit of the others.

    Args:
        path: the file.
        publishers: name -> whose forms, methods and headings are known; None for the packaged zoo's.

    Raises:
        SourceError: the file cannot be read or has no known form.
    """
    try:
        text = read_piped_text(path)
    except OSError as error:
        raise SourceError(f"{path}: cannot read the document: {error.strerror or error}") from error
    try:
        return _parsed(str(path), text, packaged_publishers() if publishers is None else publishers)
    except SourceError:
        raise
    except Exception as error:  # noqa: BLE001  (whatever a document makes of its reader is that document's)
        what = f"cannot be understood ({type(error).__name__}: {error!s:.200})"
        fault = SourceFault(line=1, message=what)
        return [SourceDocument(path=str(path), form="readme", publisher="", rows=(), faults=(fault,))]


def _parsed(path: str, text: str, publishers: Mapping[str, Publisher]) -> list[SourceDocument]:
    if re.search(r"^[^\S\n]*\"?Models\"?[^\S\n]*:", text, re.MULTILINE):
        found = read_metafiles(path, text)
    elif any(line.strip() == HEADER_OF_A_PAGE for line in text.splitlines()):
        found = [read_page(path, text, publishers)]
    else:
        found = [read_markdown(path, text, publishers)]
    return [msgspec.structs.replace(one, rows=named(one, publishers)) for one in found]
