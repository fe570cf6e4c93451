"""Publishers' own documents as records: README tables, pages rendered from them, metafiles.

Tolerant of layout (widths, alignment, order of columns, links or none, bold type, marks of footnotes), strict about
meaning: a cell that should be a number and is none, or a results column nobody knows, is a fault with its line. It
ends an import; an audit tells it and goes on with the rest. Both read documents through here only.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .source_metafiles import read_metafile
from .source_records import SourceDocument, SourceError, SourceFault, SourceRow, dataset_of
from .source_tables import HEADER_OF_A_PAGE, read_markdown, read_page

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["SourceDocument", "SourceError", "SourceFault", "SourceRow", "dataset_of", "read_source"]


def read_source(path: Path, *, tolerant: bool = False) -> SourceDocument:
    """Parse a document; its form is recognised by what it contains.

    Args:
        path: the file.
        tolerant: whether what cannot be understood is put on record in `faults` instead of raised.

    Raises:
        SourceError: the file cannot be read, has no known form, or, unless tolerant, says something that cannot be
            understood.
    """
    document = _read(path)
    if document.faults and not tolerant:
        first = min(document.faults, key=lambda fault: fault.line)
        raise SourceError(f"{document.path}:{first.line}: {first.message}")
    return document


def _read(path: Path) -> SourceDocument:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SourceError(f"{path}: cannot read the document: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise SourceError(f"{path}: expected text in UTF-8, found byte {error.start} to be none") from error
    if re.search(r"^\s*\"?Models\"?\s*:", text, re.MULTILINE):
        return read_metafile(str(path), text)
    if any(line.strip() == HEADER_OF_A_PAGE for line in text.splitlines()):
        return read_page(str(path), text)
    return read_markdown(str(path), text)
