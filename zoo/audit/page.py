"""The findings as a page for the maintainers of the documents: by publisher and kind, each with what stands in its sources."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ...evaluate.regular_files import read_document
from ...reports.media import markdown, markdown_link
from ..files.urls import shown_text
from .findings import count_text, number_of
from .sources import cited_in, config_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..publishers import SourceDocument
    from .findings import AuditFinding, Kind, Place
    from .sources import AuditSources

SHOWN = 4
"""Places of a finding that are shown; where it has more, that is said."""
_LONGEST = 160
"""Characters of a line that are shown."""


class _Source(NamedTuple):
    publisher: str
    label: str
    url: str
    """Of the document in its publisher's repository; empty where the manifest knows none."""


class Page:
    """What is known of the documents that findings point at."""

    def __init__(self, sources: AuditSources) -> None:
        self._sources = {one.path: _source(sources, one) for one in sources.documents}
        self._publishers = sorted({one.publisher for one in sources.manifest})
        self._manifest = sources.manifest
        self._lines: dict[str, list[str]] = {}

    def text(self, findings: Sequence[AuditFinding], scope: str = "") -> str:
        """Markdown: a section a publisher, in it a table a kind."""
        lines = ["# What `zoo audit` finds in the publishers' documents", "", _head(findings, scope)]
        by_publisher: dict[str, list[AuditFinding]] = defaultdict(list)
        for one in findings:
            by_publisher[self._publisher(one)].append(one)
        for publisher in (*self._publishers, "all publishers"):
            if publisher in by_publisher:
                lines += ["", f"## {markdown(publisher)}"]
                lines += self._kinds(by_publisher[publisher])
        return "\n".join(lines)

    def _kinds(self, findings: list[AuditFinding]) -> Iterator[str]:
        kinds: dict[Kind, list[AuditFinding]] = defaultdict(list)
        for one in findings:
            kinds[one.kind].append(one)
        for kind, found in kinds.items():
            yield from (
                "",
                f"### {kind}: {number_of(len(found), found[0].gravity)}",
                "",
                found[0].meaning,
                "",
            )
            yield from ("| row | finding | here | there |", "| --- | --- | --- | --- |")
            yield from (self._row(one) for one in found)

    def _row(self, one: AuditFinding) -> str:
        places = [place for place in one.where if place.file in self._sources]
        cells = [self._cell(place) for place in places[:SHOWN]] or self._cited(one.subject)
        there = "<br>".join([*cells[1:], *self._configs(one)])
        if len(places) > SHOWN:
            there += f"<br>and {len(places) - SHOWN} more"
        return f"| {markdown(self._short(one.subject))} | {markdown(self._short(one.what))} | {cells[0] if cells else ''} | {there} |"

    def _configs(self, one: AuditFinding) -> list[str]:
        """The configurations that a finding is about, as the row links them."""
        if one.kind != "config-differs" or one.subject not in self._manifest:
            return []
        urls = self._manifest[one.subject].config_urls
        return [
            markdown_link(f"{path}.py", url)
            for url in urls
            if f"{(path := config_path(url))}.py of " in one.what
        ]

    def _cited(self, subject: str) -> list[str]:
        """Where the manifest's documents have a row, of which none of the given ones has what is told."""
        if subject not in self._manifest:
            return []
        documents = self._manifest.documents
        return [
            f"{markdown_link(documents[key].title, documents[key].url or '')}: row {number} of its table"
            for key, number in cited_in(self._manifest[subject]).items()
        ]

    def _short(self, text: str) -> str:
        """A text without the folders of the given documents."""
        for path, source in self._sources.items():
            if path in text:
                text = text.replace(path, source.label)
        return text

    def _cell(self, place: Place) -> str:
        source = self._sources[place.file]
        label = f"{source.label}:{place.line}"
        plain = "?plain=1" if source.url.endswith(".md") else ""
        address = f"{source.url}{plain}#L{place.line}"
        link = markdown_link(label, address) if source.url else markdown(label)
        return f"{link}: {markdown(self._line(place))}"

    def _line(self, place: Place) -> str:
        """What stands there: a table's row without its links."""
        if place.file not in self._lines:
            self._lines[place.file] = _lines_of(Path(place.file))
        lines = self._lines[place.file]
        text = lines[place.line - 1].strip() if place.line <= len(lines) else ""
        if text.startswith("|"):
            cells = (cell.strip() for cell in text.strip("|").split("|"))
            text = " / ".join(cell for cell in cells if "](" not in cell)
        text = re.sub(r"https?://\S+/(?=[^\s/])", ".../", shown_text(text))
        return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."

    def _publisher(self, one: AuditFinding) -> str:
        """Whose document or row a finding is about."""
        told = (self._sources[place.file].publisher for place in one.where if place.file in self._sources)
        own = self._manifest[one.subject].publisher if one.subject in self._manifest else ""
        named = next((name for name in self._publishers if name in one.subject), "")
        return own or next(told, "") or named or "all publishers"


def _head(findings: Sequence[AuditFinding], scope: str) -> str:
    return f"{count_text(findings)}; {scope}" if scope else count_text(findings)


def _lines_of(path: Path) -> list[str]:
    """A document's lines; none where it is no file any more, as a pipe."""
    try:
        return read_document(path).decode("utf-8", "replace").splitlines()
    except OSError:
        return []


def _source(sources: AuditSources, document: SourceDocument) -> _Source:
    """A document as its publisher's repository has it, where the manifest cites one of its release for its rows."""
    release = sources.release_of(document)
    cited: Counter[str] = Counter()
    for row in document.rows:
        one = sources.checkpoint(row)
        for key in cited_in(one) if one else ():
            known = sources.manifest.documents[key]
            if known.url and (not release or known.revision == release.revision):
                cited[known.url] += 1
    ((url, _),) = cited.most_common(1) or (("", 0),)
    found = re.search(r"/blob/([^/]+/.+)$", url)
    return _Source(document.publisher, found[1] if found else document.path, url)
