"""Audit checks of what documents say about their rows beside the figures: data, training, devices, rows told twice."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING

from ...reports.metrics import METRICS
from ..files.whole_number import DIGITS
from ..publishers import rules
from .findings import Place
from .sources import ROW_FIELDS, finding, latest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..manifest import Checkpoint
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
    """Rows whose data set, network, training or device is not the manifest's; one finding a row."""
    for document in sources.documents:
        for row in document.rows:
            one = sources.checkpoint(row)
            faults = [] if one is None else [*_identity(row, one), *_conditions(sources, document, row, one)]
            if one and faults:
                places = [Place(file=document.path, line=row.line_of(field)) for field, _ in faults]
                what = "; ".join(text for _, text in faults)
                yield finding("row-differs", one.id, what, *places, sources.entry_place(one))


def _identity(row: SourceRow, one: Checkpoint) -> Iterator[Fault]:
    """What a row is: one found by its name or its weights file may say something else in its columns."""
    if row.name and row.name not in (one.id, *one.aliases):
        yield "name", f"name {row.name}, but the weights of {one.id}"
    if row.section and row.dataset != one.dataset:
        yield "dataset", f"results on {row.section}, {one.dataset_spec.title} in the manifest"
    for field in ("method", "backbone", "schedule"):
        said, known = getattr(row, field), getattr(one, field)
        if said and said != known:
            yield field, f"{field} {said}, {known} in the manifest"
    if row.crop and row.crop != one.crop:
        yield "crop", f"crop {row.crop[0]}x{row.crop[1]}, {one.crop[0]}x{one.crop[1]} in the manifest"


def _conditions(
    sources: AuditSources, document: SourceDocument, row: SourceRow, one: Checkpoint
) -> Iterator[Fault]:
    """Everything else that a row states, against the manifest or against what the publisher always does."""
    publishers = sources.manifest.publishers
    training_data = row.stated.get("training data", "")
    if training_data and rules.dataset_of(training_data, rules.known_headings(publishers)) != one.dataset:
        yield "training data", f"trained on {training_data}, the row is {one.dataset_spec.title}"
    yield from _devices(row, one)
    for field, known in rules.rule_of(rules.publisher_of(document, publishers), row).states.items():
        said = row.stated.get(field, "")
        if said and said != known:
            yield field, f"{field} {said}, {known} elsewhere by this publisher"


def _devices(row: SourceRow, one: Checkpoint) -> Iterator[Fault]:
    claims = [claim for claim in (latest(one, "fps"), latest(one, "train_memory")) if claim]
    known = {claim.device for claim in claims if claim.device}
    resources = row.stated.get("training resources", "")
    said = row.stated.get("hardware of the timing") or row.device
    if said and known and said not in known:
        field = next(
            (name for name in ("hardware of the timing", "training resources") if name in row.stated),
            "device",
        )
        yield field, f"device {said}, {' and '.join(sorted(known))} in the manifest"
    count = re.match(rf"({DIGITS})\s*x\b", resources)
    if count and one.training and int(count[1]) != one.training.gpus:
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
        alike[tuple(getattr(one, name) for name in ROW_FIELDS)].append(one)
    for rows in alike.values():
        if len(rows) > 1:
            what = f"is the same row as {' and '.join(one.id for one in rows[1:])}"
            yield finding("duplicate-row", rows[0].id, what, *map(sources.entry_place, rows))


def contradicting_documents(sources: AuditSources) -> Iterator[AuditFinding]:
    """Rows that the manifest does not have, but several documents have with different figures."""
    alike: dict[tuple[object, ...], list[tuple[SourceDocument, SourceRow]]] = defaultdict(list)
    for document in sources.documents:
        for row in document.rows:
            if sources.checkpoint(row) is None:
                key = (document.publisher, row.method, row.backbone, row.section, row.crop, row.schedule)
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
    """What no model of a metafile says although its figures depend on it."""
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
            yield finding("unstated-condition", document.path, f"has no {', no '.join(missing)}", place)


ROW_CHECKS: tuple[Callable[[AuditSources], Iterator[AuditFinding]], ...] = (
    unreadable_cells,
    rows_told_otherwise,
    other_pretraining,
    rows_told_twice,
    contradicting_documents,
    unstated_conditions,
)
