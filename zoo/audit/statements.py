"""Audit checks of a document's row against itself: what its columns, its name and its links' names say of one thing."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from ..files.whole_number import DIGITS, whole_number
from ..publishers import rules
from ..publishers.file_names import dataset_in, facts_in, is_named, network_in, stem, undated
from .findings import Place, number_of
from .sources import finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..manifest.publisher import Publisher
    from ..publishers import SourceDocument, SourceRow
    from .findings import AuditFinding, Kind
    from .sources import AuditSources

LINKS = {"weights": "the weights' name", "log": "the log's name", "config": "the configuration's name"}
"""Sources that are links, in words: what they say is their file's name."""


class Statement(NamedTuple):
    """One thing that a row says of itself in one place."""

    source: str
    """Where, as `SourceRow.line_of` and messages call it: `name`, `weights`, `schedule`."""
    value: str
    """In one spelling whatever the source, so that equal values mean the same."""


def statements(row: SourceRow, document: SourceDocument, publisher: Publisher) -> dict[str, list[Statement]]:
    """Fact -> everything that a row says of it."""
    found: dict[str, list[Statement]] = defaultdict(list)
    for source, name in _names(row):
        for fact, value in facts_in(name, publisher.file_words).items():
            found[fact].append(Statement(source, value))
    for fact, source, value in _printed(row, document, publisher):
        if value:
            found[fact].append(Statement(source, value))
    return found


def _names(row: SourceRow) -> Iterator[tuple[str, str]]:
    yield "name", row.name
    yield "config", stem(row.config)
    yield from (
        (field, undated(url))
        for field, url in (("weights", row.weights_url), ("log", row.log_url))
        if is_named(url)
    )


def _printed(
    row: SourceRow, document: SourceDocument, publisher: Publisher
) -> Iterator[tuple[str, str, str]]:
    """Fact, source and value of the columns; what a metafile's name alone says is no column."""
    own = (lambda field: field in row.lines) if document.is_metafile else (lambda _: True)
    headings = rules.known_headings({document.inventor: publisher})
    for source, text in (("dataset", row.section), ("training data", row.stated.get("training data", ""))):
        yield "data set", source, _dataset(rules.dataset_of(text, headings), text, publisher)
    if row.crop and own("crop"):
        yield "crop", "crop", f"{row.crop[0]}x{row.crop[1]}"
    if own("schedule") and (iterations := whole_number(row.schedule)) is not None:
        yield "schedule", "schedule", f"{iterations / 1000:g}k"
    yield "backbone", "backbone", network_in(row.backbone)
    resources = re.match(rf"({DIGITS})\s*x\b", row.stated.get("training resources", ""))
    yield "GPUs", "training resources", resources[1] if resources else ""
    yield "images a step", "batch", str(row.batch or "")


def _dataset(dataset: str, heading: str, publisher: Publisher) -> str:
    """The word for a data set in its publisher's file names; a heading that means none is its own word."""
    known = publisher.file_words.get(dataset, ())
    return dataset_in(known[0], publisher.file_words) if known else f"{heading!r}" if heading else ""


def disagreeing(found: dict[str, list[Statement]], publisher: Publisher) -> dict[str, list[Statement]]:
    """The facts of which a row says two things.

    Of GPUs and images a GPU that differ only the first is told of, and a batch where its factors agree.
    """
    told = {
        fact: said
        for fact, said in found.items()
        if len({_spelling(fact, one.value, publisher) for one in said}) > 1
        and not (fact == "backbone" and _only_stems_left_out(said))
    }
    if "GPUs" in told or "images a GPU" in told:
        told.pop("images a step", None)
    return told


def _only_stems_left_out(said: list[Statement]) -> bool:
    """Whether the column alone says that a ResNet has the plain stem: `R-50b`, where the names say `R-50`."""
    names = {one.value for one in said if one.source != "backbone"}
    return len(names) == 1 and {one.value.removesuffix("b") for one in said} == names


def _spelling(fact: str, value: str, publisher: Publisher) -> str:
    """A data set's words of the two schemes as one."""
    if fact != "data set":
        return value
    known = ({word.replace("-", "_") for word in words} for words in publisher.file_words.values())
    return next((min(words) for words in known if value in words), value)


def _kind(fact: str, said: list[Statement], publisher: Publisher) -> Kind:
    """Whether one of its links differs from a row that agrees with itself, or the row contradicts itself."""
    values = [(one.source in LINKS, _spelling(fact, one.value, publisher)) for one in said]
    own, links = ({value for is_link, value in values if is_link == wanted} for wanted in (False, True))
    return "weights-name" if len(own) == 1 and len(links) > 1 else "row-differs"


def told_of(sources: AuditSources, document: SourceDocument, row: SourceRow) -> dict[str, list[Statement]]:
    """The facts of which a document's row says two things."""
    if (told := sources.told.get(id(row))) is None:
        publisher = rules.publisher_of(document, sources.publishers)
        told = sources.told[id(row)] = disagreeing(statements(row, document, publisher), publisher)
    return dict(told)


def rows_against_themselves(sources: AuditSources) -> Iterator[AuditFinding]:
    """Rows that say two things of themselves: one finding a row, graver than that a link's name differs."""
    for document in sources.documents:
        publisher = rules.publisher_of(document, sources.publishers)
        alike: dict[tuple[Kind, str], list[tuple[str, list[Place]]]] = defaultdict(list)
        for row in document.rows:
            told = told_of(sources, document, row)
            if not told:
                continue
            kinds = [_kind(fact, said, publisher) for fact, said in told.items()]
            kind: Kind = "row-differs" if "row-differs" in kinds else "weights-name"
            what = "; ".join(f"{fact} {_told(said)}" for fact, said in told.items())
            first = [next(iter(same)).source for said in told.values() for same in _by_value(said).values()]
            fields = dict.fromkeys([*first, *(one.source for said in told.values() for one in said)])
            places = [Place(file=document.path, line=row.line_of(source)) for source in fields]
            one = sources.checkpoint(row)
            alike[kind, what].append((one.id if one else row.name or row.method, places))
        for (kind, what), rows in alike.items():
            places = [place for _, own in rows for place in own]
            more = f", and so in {number_of(len(rows) - 1, 'row')} more" if len(rows) > 1 else ""
            yield finding(kind, rows[0][0], f"{what}{more}", *places)


def spoken(source: str) -> str:
    """A source as messages call it."""
    return LINKS.get(source) or {"dataset": "data set", "crop": "crop size", "batch": "batch size"}.get(
        source, source
    )


def _told(said: list[Statement]) -> str:
    """`160k by name and the weights' name, 320k by schedule`."""
    return ", ".join(
        f"{value} by {' and '.join(spoken(one.source) for one in same)}"
        for value, same in _by_value(said).items()
    )


def _by_value(said: list[Statement]) -> dict[str, list[Statement]]:
    found: dict[str, list[Statement]] = defaultdict(list)
    for one in said:
        found[one.value].append(one)
    return found


def names_told_twice(sources: AuditSources) -> Iterator[AuditFinding]:
    """Names that a metafile gives to several models."""
    for document in sources.documents:
        models: dict[str, list[SourceRow]] = defaultdict(list)
        for row in document.rows:
            if row.name:
                models[row.name].append(row)
        for name, rows in models.items():
            if len(rows) > 1:
                files = dict.fromkeys(undated(row.weights_url) for row in rows)
                what = f"names {number_of(len(rows), 'model')} of {document.path}, whose weights are {' and '.join(files)}"
                places = [
                    Place(file=document.path, line=row.line_of(field))
                    for row in rows
                    for field in ("name", "weights")
                ]
                yield finding("name-twice", name, what, *places)


def odd_devices(sources: AuditSources) -> Iterator[AuditFinding]:
    """Training resources whose device is no device: a number stands there, of another column."""
    for document in sources.documents:
        said = [(row, row.stated.get("training resources", "")) for row in document.rows]
        odd = [(row, text) for row, text in said if re.match(rf"{DIGITS}\s*x\s*{DIGITS}\.{DIGITS}\b", text)]
        if odd:
            what = f"training resources {', '.join(text for _, text in odd)}: the devices are numbers"
            places = (Place(file=document.path, line=row.line_of("training resources")) for row, _ in odd)
            yield finding("row-differs", document.path, what, *places)


def collections(sources: AuditSources) -> Iterator[AuditFinding]:
    """Data sets that a metafile's collections name and no model has, and the reverse."""
    for document in sources.documents:
        if not document.collections or not document.rows:
            continue
        named = {name: line for one in document.collections for name, line in one.datasets.items()}
        rows = {row.section: row.line_of("dataset") for row in reversed(document.rows)}
        same = _same_dataset(sources, document)
        idle = {name: line for name, line in named.items() if not any(same(name, other) for other in rows)}
        missing = {name: line for name, line in rows.items() if not any(same(name, other) for other in named)}
        texts = [f"its collection names {' and '.join(idle)}, which no model has"] if idle else []
        texts += [f"its collection lacks {' and '.join(missing)}, which models have"] if missing else []
        if texts:
            places = (Place(file=document.path, line=line) for line in (*idle.values(), *missing.values()))
            yield finding("collection-differs", document.path, "; ".join(texts), *places)


def _same_dataset(sources: AuditSources, document: SourceDocument) -> Callable[[str, str], bool]:
    own = rules.publisher_of(document, sources.publishers)
    headings = rules.known_headings({document.inventor: own})

    def same(one: str, other: str) -> bool:
        known = rules.dataset_of(one, headings)
        return one == other or bool(known and known == rules.dataset_of(other, headings))

    return same


STATEMENT_CHECKS: tuple[Callable[[AuditSources], Iterator[AuditFinding]], ...] = (
    rows_against_themselves,
    names_told_twice,
    odd_devices,
    collections,
)
