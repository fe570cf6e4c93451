"""What audit checks look at: the manifest with its lines, and the publishers' documents with their rows matched."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from .findings import Finding, Place

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .audit_logs import RowLog
    from .findings import Kind
    from .manifest import Checkpoint, Claim, Manifest
    from .sources import SourceDocument, SourceRow


class Evidence:
    """What the checks look at: the manifest with its lines, and the documents with their rows matched."""

    def __init__(
        self, manifest: Manifest, documents: Sequence[SourceDocument] = (), logs: Sequence[RowLog] = ()
    ) -> None:
        self.manifest = manifest
        self.documents = tuple(documents)
        self.logs = tuple(logs)
        self.file = shown(manifest.path)
        self._entry_lines, self._claim_lines = _lines(manifest)
        self.matched = {
            id(row): find_checkpoint(manifest, document, row)
            for document in documents
            for row in document.rows
        }
        """Identity of a document's row -> its checkpoint."""

    def checkpoint(self, row: SourceRow) -> Checkpoint | None:
        """The manifest's checkpoint that a document's row is about."""
        return self.matched[id(row)]

    def rows_of(self, checkpoint: Checkpoint) -> Iterable[tuple[SourceDocument, SourceRow]]:
        """Every document's row about a checkpoint."""
        for document in self.documents:
            for row in document.rows:
                found = self.checkpoint(row)
                if found is not None and found.id == checkpoint.id:
                    yield document, row

    def entry_place(self, checkpoint: Checkpoint) -> Place:
        """Where the manifest's entry begins."""
        return Place(file=self.file, line=self._entry_lines[checkpoint.id])

    def claim_place(self, checkpoint: Checkpoint, claim: Claim) -> Place:
        """Where the manifest has a claim."""
        index = checkpoint.claims.index(claim)
        return Place(file=self.file, line=self._claim_lines[checkpoint.id][index])

    def places(self, checkpoint: Checkpoint, claim: Claim) -> tuple[Place, ...]:
        """Where a claim's figure is printed: the manifest and every given document that has the same text."""
        printed = [
            Place(file=document.path, line=row.line_of(claim.metric))
            for document, row in self.rows_of(checkpoint)
            if row.figures.get(claim.metric) == claim.printed and claim.printed is not None
        ]
        return (self.claim_place(checkpoint, claim), *printed)


def finding(kind: Kind, subject: str, what: str, *places: Place) -> Finding:
    """A finding with each of its places once, in their order."""
    return Finding(kind=kind, subject=subject, what=what, where=tuple(dict.fromkeys(places)))


def latest(checkpoint: Checkpoint, metric: str) -> Claim | None:
    """The printed claim of a metric that counts today: the last one of its revisions."""
    claims = [claim for claim in checkpoint.published if claim.metric == metric]
    return claims[-1] if claims else None


def find_checkpoint(manifest: Manifest, document: SourceDocument, row: SourceRow) -> Checkpoint | None:
    """The checkpoint that a row is about: by its name in a metafile, else by what its columns say.

    A page without headings leaves the data set open: backbone, crop and schedule have to suffice.
    """
    if row.name and row.name in manifest:
        return manifest[row.name]
    alike = [
        one
        for one in manifest
        if one.publisher == document.publisher
        and (one.method, one.backbone, one.schedule) == (row.method, row.backbone, row.schedule)
        and row.crop in (None, one.crop)
        and row.dataset in ("", one.dataset)
    ]
    return alike[0] if len(alike) == 1 else None


def shown(path: Path) -> str:
    """A path as a user would type it: relative where it lies below the current folder."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _lines(manifest: Manifest) -> tuple[dict[str, int], dict[str, list[int]]]:
    """Checkpoint id -> line of its entry, and -> lines of its claims in their order."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(manifest.path.read_bytes())
    try:
        root: Any = loader.get_single_node()
    finally:
        loader.dispose()
    entries = next(value for key, value in root.value if key.value == "checkpoints").value
    entry_lines, claim_lines = {}, {}
    for checkpoint, node in zip(manifest, entries, strict=True):
        claims = next(value for key, value in node.value if key.value == "claims").value
        entry_lines[checkpoint.id] = node.start_mark.line + 1
        claim_lines[checkpoint.id] = [claim.start_mark.line + 1 for claim in claims]
    return entry_lines, claim_lines
