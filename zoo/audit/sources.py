"""What audit checks look at: the manifest with its lines, and the publishers' documents with their rows matched."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from ..files.urls import shown_text
from ..manifest.places import find_places
from ..publishers.file_names import undated
from ..publishers.row_finder import RowFinder
from .findings import AuditFinding, Place, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..manifest import Checkpoint, Claim, Manifest
    from ..manifest.places import Place as FilePlace
    from ..publishers import SourceDocument, SourceRow
    from .findings import Kind
    from .row_logs import RowLog


ROW_FIELDS = ("publisher", "method", "backbone", "dataset", "crop", "schedule")
"""What tells one row of a publisher's table from another."""


class AuditSources:
    """What the checks look at: the manifest with its lines, and the documents with their rows matched."""

    def __init__(
        self, manifest: Manifest, documents: Sequence[SourceDocument] = (), logs: Sequence[RowLog] = ()
    ) -> None:
        self.manifest = manifest
        self.documents = tuple(documents)
        self.logs = tuple(logs)
        self.file = shown(manifest.path)
        self._places = find_places(manifest.path)
        finder = RowFinder(manifest)
        self.matched = {
            key: one for document in documents for key, one in _matches(manifest, finder, document).items()
        }
        """Identity of a document's row -> its checkpoint."""
        self._rows: dict[str, list[tuple[SourceDocument, SourceRow]]] = defaultdict(list)
        for document in documents:
            for row in document.rows:
                if one := self.matched[id(row)]:
                    self._rows[one.id].append((document, row))

    def checkpoint(self, row: SourceRow) -> Checkpoint | None:
        """The manifest's checkpoint that a document's row is about."""
        return self.matched[id(row)]

    def rows_of(self, checkpoint: Checkpoint) -> Iterable[tuple[SourceDocument, SourceRow]]:
        """Every document's row about a checkpoint."""
        return self._rows.get(checkpoint.id, ())

    def document_key(self, document: SourceDocument) -> str:
        """The manifest's document that a file is: the one cited for most of its figures; empty where none is."""
        votes: Counter[str] = Counter()
        for row in document.rows:
            one = self.checkpoint(row)
            for claim in one.published if one else ():
                if claim.source and row.figures.get(claim.metric) == claim.printed:
                    votes[claim.source.document] += 1
        return votes.most_common(1)[0][0] if votes else ""

    def entry_place(self, checkpoint: Checkpoint) -> Place:
        """Where the manifest's entry begins."""
        return _shown_place(self._places.checkpoints[checkpoint.id].entry)

    def claim_place(self, checkpoint: Checkpoint, claim: Claim) -> Place:
        """Where the manifest has a claim."""
        places = self._places.checkpoints[checkpoint.id].claims
        return _shown_place(places[checkpoint.claims.index(claim)])

    def url_place(self, checkpoint: Checkpoint, url: str) -> Place:
        """Where the manifest's entry has a link."""
        return _shown_place(self._places.checkpoints[checkpoint.id].urls[url])

    def document_place(self, key: str) -> Place:
        """Where the manifest says when a document was published, else where it describes it."""
        return _shown_place(self._places.documents[key])

    def places(self, checkpoint: Checkpoint, claim: Claim) -> tuple[Place, ...]:
        """Where a claim's figure is printed: the manifest and every given document that has the same text."""
        printed = [
            Place(file=document.path, line=row.line_of(claim.metric))
            for document, row in self.rows_of(checkpoint)
            if row.figures.get(claim.metric) == claim.printed and claim.printed is not None
        ]
        return (self.claim_place(checkpoint, claim), *printed)


def _shown_place(place: FilePlace) -> Place:
    return Place(file=shown(place.file), line=place.line)


def finding(kind: Kind, subject: str, what: str, *places: Place) -> AuditFinding:
    """A finding with each of its places once, in their order; what it says of a URL may be shown."""
    return AuditFinding(kind=kind, subject=subject, what=shown_text(what), where=tuple(dict.fromkeys(places)))


def latest(checkpoint: Checkpoint, metric: str) -> Claim | None:
    """The printed claim of a metric that counts today: the last one of its revisions."""
    claims = [claim for claim in checkpoint.published if claim.metric == metric]
    return claims[-1] if claims else None


def _matches(manifest: Manifest, finder: RowFinder, document: SourceDocument) -> dict[int, Checkpoint | None]:
    """Identity of each row -> the checkpoint its columns mean.

    A row that means none, or one that another row means too, is the checkpoint of its weights file where no other
    row is that: then one of its cells is wrong.
    """
    found = {id(row): finder.find(document.publisher, row) for row in document.rows}
    taken = Counter(one.id for one in found.values() if one)
    for row in document.rows:
        one, name = found[id(row)], undated(row.weights_url) if row.weights_url else ""
        if (one is None or taken[one.id] > 1) and name in manifest and not taken[manifest[name].id]:
            taken.subtract([one.id] if one else [])
            found[id(row)] = manifest[name]
            taken[manifest[name].id] += 1
    return found
