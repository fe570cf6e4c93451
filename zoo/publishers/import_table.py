"""`zoo import`: a publisher's table or metafile as manifest entries, printed or added to a file.

A row that the file does not have becomes an entry; one that it has becomes another listing of it, with a
superseding claim where the figure changed. What no table says follows from the rules in a publisher's data (`rules`).
"""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from ...reports.metrics import METRICS
from ..manifest import (
    CheckpointEntry,
    Claim,
    Document,
    Listing,
    Source,
    Weights,
)
from ..manifest.publisher import UNKNOWN_PUBLISHER, Publisher, Rule
from ..manifest.records import EARLIER_FILE
from . import SourceError, rules
from .file_names import stem, undated
from .records import quoted
from .row_facts import Known, RowFacts, facts_of
from .row_finder import RowFinder

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from . import SourceDocument, SourceRow


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    """The document that figures are taken from."""

    key: str
    """Its name among the manifest's documents."""
    document: Document
    listed: str | None = None
    """When its figures were first listed; the document's date where nothing else is known."""
    publisher: Publisher = UNKNOWN_PUBLISHER
    """Whose rules its rows follow."""

    @property
    def date(self) -> str | None:
        """The date of a figure that replaces another."""
        return self.listed or self.document.date


class Merged(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of the file after the import."""

    before: CheckpointEntry | None
    """None for a new entry."""
    after: CheckpointEntry


def provenance(
    document: SourceDocument,
    publishers: Mapping[str, Publisher],
    *,
    key: str = "",
    url: str | None = None,
    date: str | None = None,
    listed: str | None = None,
) -> Provenance:
    """Names a document after its publisher, methods and form, where the caller does not."""
    methods = list(dict.fromkeys(row.method for row in document.rows))
    kind = "metafile" if document.is_metafile else "README"
    prefix = publishers.get(document.publisher, UNKNOWN_PUBLISHER).prefix or document.publisher
    known = Document(
        title=f"{' and '.join(methods)} {kind} of {document.publisher}",
        publisher=document.publisher,
        url=url,
        date=date,
    )
    name = "-".join([prefix, *methods, kind]).casefold().replace(" ", "-")
    inventor = rules.publisher_of(document, publishers)
    return Provenance(key=key or name, document=known, listed=listed, publisher=inventor)


def import_rows(
    document: SourceDocument,
    origin: Provenance,
    entries: Iterable[CheckpointEntry],
    documents: Mapping[str, Document],
    known: Known,
) -> list[Merged]:
    """What a document's rows make of a manifest, in the document's order.

    Args:
        document: the parsed table or metafile.
        origin: how the manifest calls the document.
        entries: the zoo to add to.
        documents: those that the zoo cites.
        known: data sets, protocols and configurations.

    Raises:
        SourceError: a row lacks what an entry needs, or nothing is known of its method or data set.
    """
    merged = []
    lines: dict[str, int] = {}
    finder = RowFinder(entries, {row.weights_url for row in document.rows})
    shared = _names_of_several(document)
    for row in document.rows:
        facts = facts_of(document, row, origin.publisher, known)
        before = _known(finder.find(document.publisher, row))
        new = _New(document, facts, origin, shared)
        after = new.entry() if before is None else _extended(before, new, documents)
        merged.append(Merged(before=before, after=after))
        name = merged[-1].after.id
        if name in lines:
            raise SourceError(
                f"{document.path}:{row.line}: the row of line {lines[name]} again ({name}); leave one of them out"
            )
        lines[name] = row.line
    return merged


def _known(found: CheckpointEntry | None) -> CheckpointEntry | None:
    """The entry behind a checkpoint, as the file has it."""
    return found and CheckpointEntry(
        **{name: getattr(found, name) for name in CheckpointEntry.__struct_fields__}
    )


def _names_of_several(document: SourceDocument) -> set[str]:
    """Names that several rows of a document have, which are so no row's own."""
    counts = Counter(name for row in document.rows for name in {row.name, stem(row.config)} if name)
    return {name for name, count in counts.items() if count > 1}


# --- new entries ------------------------------------------------------------------------------------


class _New(NamedTuple):
    """A row on its way to an entry."""

    document: SourceDocument
    facts: RowFacts
    origin: Provenance
    shared: set[str]
    """Names that are other rows' too."""

    @property
    def row(self) -> SourceRow:
        return self.facts.row

    @property
    def rule(self) -> Rule:
        return rules.rule_of(self.origin.publisher, self.row)

    @property
    def config_url(self) -> str:
        """The configuration's address: of a path within a repository, beside the document's own."""
        own = self.origin.document.url or ""
        repository, folder, _ = own.partition("/configs/")
        is_path = bool(folder) and self.row.config.startswith("configs/")
        config = f"{repository}/{self.row.config}" if is_path else self.row.config
        return config if config.startswith("http") else ""

    def entry(self) -> CheckpointEntry:
        """As a document says it that is the first to have the row.

        Raises:
            SourceError: it lacks what an entry needs.
        """
        row, facts = self.row, self.facts
        self._require()
        assert row.crop
        assert facts.architecture
        names = self.names()
        return CheckpointEntry(
            id=names[0],
            aliases=tuple(names[1:]),
            publisher=self.document.publisher,
            method=row.method,
            segmentor=row.segmentor,
            backbone=row.backbone,
            dataset=row.dataset,
            crop=row.crop,
            schedule=row.schedule,
            pretrain=row.stated.get("pretraining", ""),
            train_eval_set=row.stated.get("train/eval set", ""),
            architecture=facts.architecture,
            weights=self.weights,
            log_urls=(row.log_url,) if row.log_url else (),
            config_urls=(self.config_url,) if self.config_url else (),
            training=facts.training,
            claims=tuple(_claims(self)),
        )

    @property
    def weights(self) -> Weights:
        url = self.row.weights_url
        return Weights(urls=(url,), sha256_prefix=_prefix(url), layout=self.origin.publisher.layout)

    def _require(self) -> None:
        """Refuse a row that cannot become an entry, with what is missing."""
        row, place = self.row, f"{self.document.path}:{self.row.line}"
        if not row.dataset:
            known = ", ".join(self.origin.publisher.headings)
            raise SourceError(
                f"{place}: no data set is known by the heading {quoted(row.section)}; known are {known}"
            )
        wanted = {
            "weights link": row.weights_url,
            "backbone": row.backbone,
            "crop size": row.crop,
            "schedule": row.schedule,
        }
        missing = [name for name, value in wanted.items() if not value]
        if missing:
            raise SourceError(
                f"{place}: a new entry needs {' and '.join(missing)}, which the row has not; import a document that has "
                "it first, then this one as another listing of the same rows"
            )
        if self.facts.architecture is None:
            raise SourceError(
                f"{place}: no rule gives a network for {row.method:.60} {row.backbone:.60} of {self.document.publisher}; "
                f"give its configurations with --configs, or add a rule to those of {self.document.inventor or 'its publisher'}"
            )

    def names(self) -> list[str]:
        """Id and aliases: the files' name without time, hash and the `_train` of 2021, then every other name."""
        row = self.row
        file = undated(row.weights_url)
        others = [stem(row.config) if row.config else row.name, row.name]
        own = [name for name in others if name not in self.shared]
        return list(dict.fromkeys(name for name in (file.removesuffix("_train"), file, *own) if name))


def _prefix(url: str) -> str | None:
    tail = url.removesuffix(".pth")[-9:]
    return tail[1:] if tail[:1] == "-" and all(digit in "0123456789abcdef" for digit in tail[1:]) else None


def _claims(new: _New) -> Iterable[Claim]:
    """Every metric once, printed or not, in the order of the tables."""
    figures = _figures(new.row, new.rule)
    wanted = {"train_memory", "fps"}
    if not figures.keys() & {"mdice", "dice", "rmse"}:  # which such tables print instead
        wanted |= {"miou"} | ({"miou_ms_flip"} if "miou_flip" not in figures else set())
    for metric in [name for name in METRICS if name in wanted.union(figures)]:
        yield _claim(new, metric, figures.get(metric))


def _claim(new: _New, metric: str, printed: str | None) -> Claim:
    """A metric's claim; with the reason where nothing is printed."""
    row, training = new.row, new.facts.training
    memory = metric == "train_memory" and printed is not None
    note = _note(new, metric) if printed else rules.absence(new.document, row, new.rule, metric)
    return Claim(
        metric=metric,
        printed=printed,
        protocol=new.facts.protocols.get(metric) if printed else None,
        device=row.device or None if printed and metric in {"train_memory", "fps"} else None,
        batch=training.batch_per_gpu if memory and training else None,
        crop=row.crop if memory else None,
        source=Source(document=new.origin.key, section=row.section, row=row.row),
        note=note,
    )


def _note(new: _New, metric: str) -> str | None:
    """What a reader must know of a printed figure."""
    row, rule = new.row, new.rule
    if metric not in row.figures and metric in rule.notes:
        return rule.notes[metric]
    needs_protocol = "protocol" in METRICS[metric].claim_needs
    if new.facts.unmet and needs_protocol and metric not in new.facts.protocols:
        return f"no protocol: {new.facts.unmet}"
    if metric != "fps" or "fps" in row.figures:
        return None
    speed = _images_a_second(row.milliseconds) or ""
    lost = "" if len(speed.partition(".")[2]) == 2 else ", which leave further digits open"
    return f"{row.milliseconds} ms{lost}"


def _figures(row: SourceRow, rule: Rule) -> dict[str, str | None]:
    """The row's figures under what they are, a metafile's speed among them."""
    figures = rules.figures_of(row, rule)
    if row.milliseconds and "fps" not in figures and (speed := _images_a_second(row.milliseconds)):
        figures["fps"] = speed
    return figures


def _images_a_second(milliseconds: str) -> str | None:
    """The fps that a metafile's ms were made of, with as many of its two digits as their rounding leaves certain.

    mmsegmentation rounds 1000 / fps to two digits (`.dev/md2yml.py`), of which YAML drops zeros at the end. None where
    not even whole images a second are certain.
    """
    half = Decimal("0.005")
    ends = [Decimal(milliseconds) - half, Decimal(milliseconds) + half]
    for digits in (2, 1, 0):
        found = {f"{1000 / end:.{digits}f}" for end in ends if end > 0}
        if len(found) == 1:
            return found.pop()
    return None


# --- entries that are there -------------------------------------------------------------------------


def _extended(before: CheckpointEntry, new: _New, documents: Mapping[str, Document]) -> CheckpointEntry:
    """An entry with what the row adds: names, links, superseding claims, a listing."""
    row, origin = new.row, new.origin
    hashes = {_prefix(row.weights_url), before.weights.sha256_prefix} - {None}
    entry = _replaced(before, new) if len(hashes) > 1 else before
    names = [name for name in (new.names() if row.weights_url else [row.name]) if name]
    # A page that lost its headings keeps the order of its tables: the section is the one the claims cite.
    own = next((claim.source.section for claim in entry.claims if claim.source), "")
    place = Listing(
        document=origin.key,
        section=row.section or own,
        row=row.row,
        blank=tuple(name for name in METRICS if name in row.figures and row.figures[name] is None),
    )
    cited = {claim.source.document for claim in entry.claims[:1] if claim.source}
    listed = {(listing.document, listing.section, listing.row) for listing in entry.listed_in}
    is_new = (place.document, place.section, place.row) not in listed and place.document not in cited
    weights = msgspec.structs.replace(entry.weights, urls=_with(row.weights_url, entry.weights.urls))
    return msgspec.structs.replace(
        entry,
        aliases=(*entry.aliases, *(name for name in names if name not in (entry.id, *entry.aliases))),
        weights=weights,
        log_urls=_with(row.log_url, entry.log_urls),
        config_urls=_with(new.config_url, entry.config_urls),
        training=new.facts.training if "training resources" in row.stated else entry.training,
        claims=tuple(_revised(entry, new, documents)),
        listed_in=(*entry.listed_in, place) if is_new else entry.listed_in,
    )


def _replaced(before: CheckpointEntry, new: _New) -> CheckpointEntry:
    """An entry whose row has another file now: the file's, with the earlier one's figures as such."""
    own = new.entry()
    protocols = {claim.metric: claim.protocol for claim in own.claims}
    claims = [
        _of_earlier_file(claim, before, protocols.get(claim.metric)) if claim.printed else claim
        for claim in before.claims
    ]
    names = dict.fromkeys((own.id, *own.aliases, before.id, *before.aliases))
    return msgspec.structs.replace(
        own, aliases=tuple(names)[1:], claims=tuple(claims), listed_in=before.listed_in
    )


def _of_earlier_file(claim: Claim, before: CheckpointEntry, protocol: str | None) -> Claim:
    """A figure that stays a figure of its file; without a protocol where today's file was measured by another one."""
    own = claim.protocol if protocol in (None, claim.protocol) else None
    by = f"by {claim.protocol}, today's by {protocol}" if own != claim.protocol else ""
    notes = [claim.note, EARLIER_FILE.format(before.weights.sha256_prefix), by]
    return msgspec.structs.replace(claim, protocol=own, note="; ".join(filter(None, notes)))


def _with(url: str, urls: tuple[str, ...]) -> tuple[str, ...]:
    """A page read later is newer: its link is tried first, but for one of another host alone, which may be mistyped."""
    if not url or url in urls:
        return urls
    is_moved = url.rpartition("://")[2].partition("/")[2] in {
        one.rpartition("://")[2].partition("/")[2] for one in urls
    }
    return (*urls, url) if is_moved else (url, *urls)


def _revised(entry: CheckpointEntry, new: _New, documents: Mapping[str, Document]) -> Iterable[Claim]:
    """The entry's claims and those that the row supersedes or adds, in the order of the tables."""
    row, origin = new.row, new.origin
    figures = _figures(row, new.rule)
    last = {claim.metric: index for index, claim in enumerate(entry.claims)}
    found = [_claim(new, metric, text) for metric, text in figures.items() if text and metric not in last]
    for index, claim in enumerate(entry.claims):
        text = figures.get(claim.metric)
        printed = {one.printed for one in entry.claims if one.metric == claim.metric}
        if text is None or last[claim.metric] != index or text in printed or _same(text, claim.printed):
            found.append(claim)
            continue
        if claim.printed is None:
            found.append(_claim(new, claim.metric, text))
            continue
        cited = documents.get(claim.source.document) if claim.source else None
        earlier = _superseded(claim, origin.publisher, cited.date if cited else None)
        if earlier.date and origin.date and origin.date < earlier.date:
            raise SourceError(
                f"{new.document.path}:{row.line}: {entry.id} has a figure of {earlier.date}, this document is of "
                f"{origin.date}; import documents from the oldest to the newest"
            )
        later = msgspec.structs.replace(
            claim,
            printed=text,
            supersedes=claim.printed,
            protocol=claim.protocol or new.facts.protocols.get(claim.metric),
            source=Source(document=origin.key, section=row.section, row=row.row),
            date=origin.date,
            note=_note(new, claim.metric),
        )
        found += [earlier, later]
    order = list(METRICS)
    return sorted(found, key=lambda claim: order.index(claim.metric))


def _same(text: str, printed: str | None) -> bool:
    return printed is not None and float(text) == float(printed)


def _superseded(claim: Claim, publisher: Publisher, cited: str | None) -> Claim:
    """An earlier figure says when it was listed, and what its authors left open.

    Args:
        claim: the figure that is replaced.
        publisher: whose figure it is.
        cited: date of the document that the earlier figure cites.
    """
    date = claim.date or cited
    gap = publisher.unrecorded
    is_open = gap is not None and claim.metric in gap.metrics and date is not None and date < gap.before
    note = claim.note or (gap.note if gap and is_open else None)
    return msgspec.structs.replace(claim, date=date, note=note)
