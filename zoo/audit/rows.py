"""Audit checks of what documents say about their rows beside the figures: data, training, devices, rows told twice."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING

from ...reports.metrics import METRICS
from ..files.whole_number import DIGITS
from ..publishers import rules
from ..publishers.file_names import undated, words
from .findings import Place, number_of
from .sources import ROW_FIELDS, finding, has_earlier_file, latest
from .statements import told_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from ..manifest import Checkpoint
    from ..manifest.publisher import Publisher
    from ..publishers import SourceDocument, SourceRow
    from .findings import AuditFinding
    from .sources import AuditSources

Fault = tuple[str, str]
"""Field of the row, for its line, and what is wrong with it."""


def unreadable_cells(sources: AuditSources) -> Iterator[AuditFinding]:
    """Cells, columns and values that cannot be understood."""
    for document in sources.documents:
        for fault in document.faults:
            place = Place(file=document.path, line=fault.line)
            yield finding("unreadable-cell", document.path, fault.message, place)


def rows_told_otherwise(sources: AuditSources) -> Iterator[AuditFinding]:
    """Rows whose data set, network, training or device is not the manifest's; one finding a row.

    What a row says otherwise of itself already is told by `statements`.
    """
    for document in sources.documents:
        for row in document.rows:
            one = sources.checkpoint(row)
            if one is None:
                continue
            told = told_of(sources, document, row)
            if sources.is_named_twice(document, row):
                told["name"] = []
            faults = [*_identity(row, one, told), *_conditions(sources, document, row, one, told)]
            if faults:
                places = [Place(file=document.path, line=row.line_of(field)) for field, _ in faults]
                what = "; ".join(text for _, text in faults)
                yield finding("row-differs", one.id, what, *places, sources.entry_place(one))


def _identity(row: SourceRow, one: Checkpoint, told: Collection[str]) -> Iterator[Fault]:
    """What a row is: one found by its name or its weights file may say something else in its columns."""
    is_own_file = undated(row.weights_url) == undated(one.weights.urls[0])
    if row.name and row.name not in (one.id, *one.aliases) and not told and is_own_file:
        yield "name", f"name {row.name}, but the weights of {one.id}"
    if row.section and row.dataset != one.dataset and "data set" not in told:
        yield "dataset", f"results on {row.section}, {one.dataset_spec.title} in the manifest"
    for field in ("method", "backbone", "schedule"):  # a metafile's method is its collection's name
        said, known = getattr(row, field), getattr(one, field)
        is_printed = field in row.lines or not row.name
        if said and is_printed and field not in told and not _same_words(said, known):
            yield field, f"{field} {said}, {known} in the manifest"
    if row.crop and row.crop != one.crop and "crop" not in told and ("crop" in row.lines or not row.name):
        yield "crop", f"crop {row.crop[0]}x{row.crop[1]}, {one.crop[0]}x{one.crop[1]} in the manifest"


def _same_words(said: str, known: str) -> bool:
    """Whether one text has the other's words and more: `Twins-PCPVT-S` and `PCPVT-S`, `ViT-B + MLN` and `ViT-B`."""
    one, other = (set(re.findall(r"[a-z0-9]+", text.casefold())) for text in (said, known))
    return one <= other or other <= one


def _conditions(
    sources: AuditSources, document: SourceDocument, row: SourceRow, one: Checkpoint, told: Collection[str]
) -> Iterator[Fault]:
    """Everything else that a row states, against the manifest or against what the publisher always does."""
    publisher = rules.publisher_of(document, sources.publishers)
    headings = rules.known_headings(sources.publishers) | rules.known_headings({document.inventor: publisher})
    training_data = row.stated.get("training data", "")
    if training_data and "data set" not in told and rules.dataset_of(training_data, headings) != one.dataset:
        yield "training data", f"trained on {training_data}, the row is {one.dataset_spec.title}"
    yield from _devices(row, one, told)
    for field, known in rules.rule_of(publisher, row).states.items():
        said = row.stated.get(field, "")
        if said and said != known and not _is_said_elsewhere(field, said, row, one, publisher):
            yield field, f"{field} {said}, {known} elsewhere by this publisher"


def _is_said_elsewhere(field: str, said: str, row: SourceRow, one: Checkpoint, publisher: Publisher) -> bool:
    """Whether the row's name, its data set's split or its heading says already that it is unlike the others."""
    if field == "precision of the timing":
        return said.casefold() in words(f"{row.name}_{undated(row.weights_url)}")
    splits = (
        split for known in publisher.splits.values() for split, name in known.items() if name == one.dataset
    )
    return field == "train/eval set" and (
        said.rpartition("/")[2] in splits or not re.fullmatch(r"\w+/\w+", said)
    )


def _devices(row: SourceRow, one: Checkpoint, told: Collection[str]) -> Iterator[Fault]:
    """A timing's device against the speed's, a training's against the memory's of the same file."""
    resources = row.stated.get("training resources", "")
    timed = row.stated.get("hardware of the timing", "")
    metrics = ("fps", "train_memory") if timed or not resources else ("train_memory",)
    claims = [claim for metric in metrics if (claim := latest(one, metric))]
    known = {claim.device for claim in claims if claim.device}
    said = timed or row.device
    if said and known and said not in known and not has_earlier_file(one):
        field = next(
            (name for name in ("hardware of the timing", "training resources") if name in row.stated),
            "device",
        )
        yield field, f"device {said}, {' and '.join(sorted(known))} in the manifest"
    count = re.match(rf"({DIGITS})\s*x\b", resources)
    if count and one.training and int(count[1]) != one.training.gpus and "GPUs" not in told:
        yield "training resources", f"{resources}, {one.training.gpus} GPUs in the manifest"


def other_pretraining(sources: AuditSources) -> Iterator[AuditFinding]:
    """Rows of one document and backbone that begin from other weights than most of them."""
    for document in sources.documents:
        usual: dict[str, Counter[str]] = defaultdict(Counter)
        for row in document.rows:
            usual[row.backbone][row.stated.get("pretraining", "")] += 1
        for row in document.rows:
            said, common = row.stated.get("pretraining", ""), usual[row.backbone].most_common(1)[0][0]
            if said != common and said and common:
                one = sources.checkpoint(row)
                what = f"pretraining {said}, {common} in the other {row.backbone} rows"
                place = Place(file=document.path, line=row.line)
                yield finding("row-differs", one.id if one else row.backbone, what, place)


def rows_told_twice(sources: AuditSources) -> Iterator[AuditFinding]:
    """Rows that a document, or the manifest, has more than once."""
    for document in sources.documents:
        places: dict[str, list[Place]] = defaultdict(list)
        for row in document.rows:
            if one := sources.checkpoint(row):
                places[one.id].append(Place(file=document.path, line=row.line))
        for name, lines in places.items():
            if len(lines) > 1:
                what = f"stands {len(lines)} times in {document.path}"
                yield finding("duplicate-row", name, what, *lines)
    alike: dict[tuple[object, ...], list[Checkpoint]] = defaultdict(list)
    for one in sources.manifest:
        alike[(one.weights.urls, *(getattr(one, name) for name in ROW_FIELDS))].append(one)
    for rows in alike.values():
        if len(rows) > 1:
            what = f"is the same row as {' and '.join(one.id for one in rows[1:])}: their file is one too"
            yield finding("duplicate-row", rows[0].id, what, *map(sources.entry_place, rows))


def contradicting_documents(sources: AuditSources) -> Iterator[AuditFinding]:
    """Rows that the manifest does not have, but several documents have with different figures."""
    alike: dict[tuple[object, ...], list[tuple[SourceDocument, SourceRow]]] = defaultdict(list)
    for document in sources.documents:
        for row in document.rows:
            if sources.checkpoint(row) is None:
                name = undated(row.weights_url) or row.name
                key = (
                    document.publisher,
                    name,
                    row.method,
                    row.backbone,
                    row.section,
                    row.crop,
                    row.schedule,
                )
                alike[key].append((document, row))
    for rows in alike.values():
        for metric in METRICS:
            cells = [(document, row, text) for document, row in rows if (text := row.figures.get(metric))]
            if len({Decimal(text) for *_, text in cells}) > 1:
                _, row, _ = cells[0]
                told = ", ".join(f"{text} in {document.path}" for document, _, text in cells)
                places = (Place(file=document.path, line=row.line_of(metric)) for document, row, _ in cells)
                subject = f"{row.method} {row.backbone} {row.section} {row.schedule}".strip()
                yield finding("numbers-differ", subject, f"{METRICS[metric].title} {told}", *places)


def unstated_conditions(sources: AuditSources) -> Iterator[AuditFinding]:
    """What no model of a metafile says although its figures depend on it; metafiles that lack the same as one."""
    lacking: dict[str, list[tuple[str, Place]]] = defaultdict(list)
    for document in sources.documents:
        if not document.is_metafile or not document.rows:
            continue
        counted = any(re.match(r"\d+\s*x", row.stated.get("training resources", "")) for row in document.rows)
        missing = [] if counted else ["number of devices"]
        missing += [
            name for name in ("torch version", "ms+flip protocol") if document.fields[name][0] == "absent"
        ]
        if missing:
            place = Place(file=document.path, line=document.rows[0].line)
            lacking[f"has no {', no '.join(missing)}"].append((document.path, place))
    for what, files in lacking.items():
        yield finding("unstated-condition", files_text(files), what, *(place for _, place in files))


def files_text(files: list[tuple[str, Place]]) -> str:
    """One file by its path, several by their number."""
    return files[0][0] if len(files) == 1 else f"each of {number_of(len(files), 'metafile')}"


ROW_CHECKS: tuple[Callable[[AuditSources], Iterator[AuditFinding]], ...] = (
    unreadable_cells,
    rows_told_otherwise,
    other_pretraining,
    rows_told_twice,
    contradicting_documents,
    unstated_conditions,
)
