"""`zoo import`: a publisher's table or metafile as manifest entries, printed or added to a file.

A row that the file does not have becomes an entry; one that it has becomes another listing of it, with a
superseding claim where the figure changed. What no table says follows from the rules in a publisher's data (`rules`).
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from ...reports.metrics import METRICS
from ..manifest import (
    CheckpointEntry,
    Claim,
    Document,
    Listing,
    Source,
    Training,
    Weights,
)
from ..manifest.publisher import UNKNOWN_PUBLISHER, Publisher, Rule
from . import SourceError, rules
from .file_names import stem, undated
from .records import quoted
from .row_finder import RowFinder

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ...evaluate.data.datasets import DatasetSpec
    from ..manifest import Checkpoint, Manifest
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
    manifest: Manifest | None,
    datasets: Mapping[str, DatasetSpec],
) -> list[Merged]:
    """What a document's rows make of a manifest, in the document's order.

    Args:
        document: the parsed table or metafile.
        origin: how the manifest calls the document.
        manifest: the zoo to add to; None where there is none yet.
        datasets: the zoo's data sets, whose classes give a network's outputs.

    Raises:
        SourceError: a row lacks what an entry needs, or nothing is known of its method or data set.
    """
    merged = []
    lines: dict[str, int] = {}
    finder = RowFinder(manifest or ())
    for row in document.rows:
        known = _known(finder.find(document.publisher, row))
        if known is None:
            merged.append(Merged(before=None, after=_entry(document, row, origin, datasets)))
        else:
            documents = manifest.documents if manifest else {}
            merged.append(Merged(before=known, after=_extended(known, document, row, origin, documents)))
        name = merged[-1].after.id
        if name in lines:
            raise SourceError(
                f"{document.path}:{row.line}: the row of line {lines[name]} again ({name}); leave one of them out"
            )
        lines[name] = row.line
    return merged


def _known(found: Checkpoint | None) -> CheckpointEntry | None:
    """The entry behind a checkpoint, as the file has it."""
    return found and CheckpointEntry(
        **{name: getattr(found, name) for name in CheckpointEntry.__struct_fields__}
    )


# --- new entries ------------------------------------------------------------------------------------


def _entry(
    document: SourceDocument, row: SourceRow, origin: Provenance, datasets: Mapping[str, DatasetSpec]
) -> CheckpointEntry:
    _require(document, row, datasets)
    assert row.crop
    names = _names(row)
    rule = rules.rule_of(origin.publisher, row)
    training = rules.images_per_gpu(origin.publisher, rule, row.config or row.name)
    layout = origin.publisher.layout
    return CheckpointEntry(
        id=names[0],
        aliases=tuple(names[1:]),
        publisher=document.publisher,
        method=row.method,
        segmentor=row.segmentor,
        backbone=row.backbone,
        dataset=row.dataset,
        crop=row.crop,
        schedule=row.schedule,
        pretrain=row.stated.get("pretraining", ""),
        train_eval_set=row.stated.get("train/eval set", ""),
        architecture=rules.architecture(document, row, rule, len(datasets[row.dataset].classes)),
        weights=Weights(urls=(row.weights_url,), sha256_prefix=_prefix(row.weights_url), layout=layout),
        log_urls=(row.log_url,) if row.log_url else (),
        config_urls=(row.config,) if row.config.startswith("http") else (),
        training=Training(gpus=training[0], batch_per_gpu=training[1]) if training else None,
        claims=tuple(_claims(document, row, origin, training)),
    )


def _require(document: SourceDocument, row: SourceRow, datasets: Mapping[str, DatasetSpec]) -> None:
    """Refuse a row that cannot become an entry, with what is missing."""
    place = f"{document.path}:{row.line}"
    if row.dataset not in datasets:
        known = ", ".join(datasets)
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


def _names(row: SourceRow) -> list[str]:
    """Id and aliases: the files' name without time, hash and the `_train` of 2021, then every other name."""
    file = undated(row.weights_url)
    config = stem(row.config) if row.config else row.name
    return list(dict.fromkeys(name for name in (file.removesuffix("_train"), file, config, row.name) if name))


def _prefix(url: str) -> str | None:
    tail = url.removesuffix(".pth")[-9:]
    return tail[1:] if tail[:1] == "-" and all(digit in "0123456789abcdef" for digit in tail[1:]) else None


def _claims(
    document: SourceDocument, row: SourceRow, origin: Provenance, training: tuple[int, int] | None
) -> Iterable[Claim]:
    """Every metric once, printed or not, in the order of the tables."""
    rule = rules.rule_of(origin.publisher, row)
    figures = _figures(row, rule)
    metrics = [name for name in METRICS if name in figures]
    wanted = {"miou", "train_memory", "fps"} | ({"miou_ms_flip"} if "miou_flip" not in figures else set())
    for metric in [name for name in METRICS if name in wanted.union(metrics)]:
        printed = figures.get(metric)
        memory = metric == "train_memory" and printed is not None
        yield Claim(
            metric=metric,  # type: ignore[arg-type]
            printed=printed,
            protocol=rule.protocols.get(metric) if printed else None,
            device=row.device or None if printed and metric in {"train_memory", "fps"} else None,
            batch=training[1] if memory and training else None,
            crop=row.crop if memory else None,
            source=Source(document=origin.key, section=row.section, row=row.row),
            note=_note(row, rule, metric) if printed else rules.absence(document, row, rule, metric),
        )


def _note(row: SourceRow, rule: Rule, metric: str) -> str | None:
    """What a reader must know of a printed figure."""
    if metric not in row.figures and metric in rule.notes:
        return rule.notes[metric]
    return rules.FROM_MS if metric == "fps" and "fps" not in row.figures else None


def _figures(row: SourceRow, rule: Rule) -> dict[str, str | None]:
    """The row's figures under what they are, a metafile's speed among them."""
    figures = rules.figures_of(row, rule)
    if row.milliseconds and "fps" not in figures and (speed := _images_a_second(row.milliseconds)):
        figures["fps"] = speed
    return figures


def _images_a_second(milliseconds: str) -> str | None:
    """The two-digit fps that a metafile's ms were made of; None where their rounding leaves several.

    mmsegmentation rounds 1000 / fps to two digits (`.dev/md2yml.py`), of which YAML drops zeros at the end.
    """
    half = Decimal("0.005")
    ends = [Decimal(milliseconds) - half, Decimal(milliseconds) + half]
    found = {f"{1000 / end:.2f}" for end in ends if end > 0}
    return found.pop() if len(found) == 1 else None


# --- entries that are there -------------------------------------------------------------------------


def _extended(
    entry: CheckpointEntry,
    document: SourceDocument,
    row: SourceRow,
    origin: Provenance,
    documents: Mapping[str, Document],
) -> CheckpointEntry:
    """An entry with what the row adds: names, links, superseding claims, a listing."""
    names = [name for name in (_names(row) if row.weights_url else [row.name]) if name]
    # A page that lost its headings keeps the order of its tables: the section is the one the claims cite.
    own = next((claim.source.section for claim in entry.claims if claim.source), "")
    place = Listing(
        document=origin.key,
        section=row.section or own,
        row=row.row,
        blank=tuple(name for name in METRICS if name in row.figures and row.figures[name] is None),  # type: ignore[misc]
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
        config_urls=_with(row.config if row.config.startswith("http") else "", entry.config_urls),
        claims=tuple(_revised(entry, document, row, origin, documents)),
        listed_in=(*entry.listed_in, place) if is_new else entry.listed_in,
    )


def _with(url: str, urls: tuple[str, ...]) -> tuple[str, ...]:
    """A page read later is newer: its link is tried first."""
    return urls if not url or url in urls else (url, *urls)


def _revised(
    entry: CheckpointEntry,
    document: SourceDocument,
    row: SourceRow,
    origin: Provenance,
    documents: Mapping[str, Document],
) -> Iterable[Claim]:
    figures = _figures(row, rules.rule_of(origin.publisher, row))
    last = {claim.metric: index for index, claim in enumerate(entry.claims) if claim.printed is not None}
    for index, claim in enumerate(entry.claims):
        text = figures.get(claim.metric)
        printed = {one.printed for one in entry.claims if one.metric == claim.metric}
        if text is None or last.get(claim.metric) != index or text in printed or _same(text, claim.printed):
            yield claim
            continue
        cited = documents.get(claim.source.document) if claim.source else None
        earlier = _superseded(claim, origin.publisher, cited.date if cited else None)
        if earlier.date and origin.date and origin.date < earlier.date:
            raise SourceError(
                f"{document.path}:{row.line}: {entry.id} has a figure of {earlier.date}, this document is of "
                f"{origin.date}; import documents from the oldest to the newest"
            )
        yield earlier
        yield msgspec.structs.replace(
            claim,
            printed=text,
            supersedes=claim.printed,
            source=Source(document=origin.key, section=row.section, row=row.row),
            date=origin.date,
            note=None,
        )


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
