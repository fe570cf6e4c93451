"""Audit checks of documents: what each one says against the manifest, and metafiles against each other."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from decimal import ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING

from ...evaluate.geometry import view_size
from ...reports.metrics import METRICS
from ...reports.tolerance import half_unit
from ..files.whole_number import DIGITS
from ..publishers.file_names import contradiction, other_run, same_file, stem
from .findings import Place, number_of
from .rows import files_text
from .sources import cited_in, finding, has_earlier_file
from .statements import told_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..manifest import Checkpoint, Claim
    from ..publishers import SourceDocument, SourceRow
    from .findings import AuditFinding
    from .sources import AuditSources

UNIT_FACTORS = {1000: "1000 times", 1024: "1024 times", 100: "100 times"}
"""Factors between the units that publishers use: MiB and GB, fractions and percent."""
CLOSE = Decimal("0.001")
"""Relative distance at which a ratio counts as such a factor: figures have three or four digits."""
ROUNDED = Decimal("0.005")
"""The same for a reciprocal: fps have two digits after the point, but sometimes only three in all."""
MEMORY_FACTORS = {
    Decimal(1024) / 1000: "one of them is in GiB, the other in MiB / 1000",
    Decimal(1024**2) / 10**6: "one of them is in 10^9 bytes, the other in MiB / 1000",
}
"""Ratio of two figures of one memory in the units that a heading of GB is used for."""
LEGACY_HEADING = {"miou_ms_flip": "miou_flip"}
"""Heading -> the metric that its figure may really be."""


def _at(document: SourceDocument, row: SourceRow, field: str = "") -> Place:
    return Place(file=document.path, line=row.line_of(field))


def _matched(sources: AuditSources) -> Iterator[tuple[SourceDocument, SourceRow, Checkpoint]]:
    for document in sources.documents:
        for row in document.rows:
            checkpoint = sources.checkpoint(row)
            if checkpoint is not None:
                yield document, row, checkpoint


def _row_text(row: SourceRow) -> str:
    crop = f"{row.crop[0]}x{row.crop[1]}" if row.crop else ""
    parts = (row.name, row.method, row.backbone, row.section, crop, row.schedule)
    return " ".join(part for part in parts if part)


# --- rows -------------------------------------------------------------------------------------------


def unknown_rows(sources: AuditSources) -> Iterator[AuditFinding]:
    """Rows of a document that no checkpoint of the manifest is."""
    for document in sources.documents:
        for row in document.rows:
            if sources.checkpoint(row) is None:
                yield finding(
                    "unknown-row", _row_text(row), "the manifest has no such row", _at(document, row)
                )


def missing_rows(sources: AuditSources) -> Iterator[AuditFinding]:
    """Rows of the manifest that a document of their publisher and method, with their data set, does not have."""
    for document in sources.documents:
        found = [(row, one) for row in document.rows if (one := sources.checkpoint(row))]
        key = sources.document_key(document)
        present = {one.id for _, one in found}
        covered = {(one.publisher, one.method, one.dataset) for _, one in found}
        first = {one.dataset: row for row, one in reversed(found)}
        for one in sources.manifest:
            is_covered = (one.publisher, one.method, one.dataset) in covered and key in cited_in(one)
            if is_covered and one.id not in present:
                place = Place(file=document.path, line=first[one.dataset].line)
                yield finding(
                    "missing-row",
                    one.id,
                    f"{document.path} has no such row",
                    place,
                    sources.entry_place(one),
                )


def other_places(sources: AuditSources) -> Iterator[AuditFinding]:
    """Tables whose rows stand in the order of no document that the manifest cites for them."""
    moved: dict[str, list[Place]] = defaultdict(list)
    for document in sources.documents:
        if document.is_metafile:
            continue
        tables: dict[str, dict[str, tuple[SourceRow, Checkpoint]]] = defaultdict(dict)
        for row in document.rows:
            if row.section and (one := sources.checkpoint(row)):
                tables[row.section].setdefault(one.id, (row, one))
        for rows in tables.values():
            moved[document.path] += [_at(document, row) for row in _least_out_of_order(list(rows.values()))]
    for path, places in moved.items():
        if places:
            what = f"{number_of(len(places), 'row')} in another order than in any document the manifest cites"
            yield finding("row-order", path, what, *places)


def _least_out_of_order(rows: list[tuple[SourceRow, Checkpoint]]) -> list[SourceRow]:
    """The rows that stand elsewhere than in the cited document whose order is nearest."""
    orders = [cited_in(one) for _, one in rows]
    shared = set.intersection(*map(set, orders)) if orders else set()
    wrong = []
    for document in shared:
        ranked = sorted(range(len(rows)), key=lambda index: orders[index][document])
        wrong.append([rows[index][0] for rank, index in enumerate(ranked) if rank != index])
    return min(wrong, key=len, default=[])


def lost_headings(sources: AuditSources) -> Iterator[AuditFinding]:
    """Documents whose rows do not say which data set they are about."""
    for document in sources.documents:
        bare = [row for row in document.rows if not row.section]
        if bare:
            what = f"{number_of(len(bare), 'row')} under no heading: the data set is not said"
            yield finding("headings-lost", document.path, what, *(_at(document, row) for row in bare))


def blank_cells(sources: AuditSources) -> Iterator[AuditFinding]:
    """Empty cells in a table's columns of figures."""
    for document in sources.documents:
        blank = [row for row in document.rows if None in row.figures.values()]
        if blank:
            what = f"{number_of(sum(row.blank_cells for row in blank), 'empty cell')} in {number_of(len(blank), 'row')}"
            yield finding("blank-cells", document.path, what, *(_at(document, row) for row in blank))


# --- figures ----------------------------------------------------------------------------------------


def other_figures(sources: AuditSources) -> Iterator[AuditFinding]:
    """Figures that are not the manifest's: another number, another unit, or one it does not have."""
    keys = {document.path: sources.document_key(document) for document in sources.documents}
    for document, row, one in _matched(sources):
        for metric, text in row.figures.items():
            if text is None or _relabelled(one, metric, text) or has_earlier_file(one, row.weights_url):
                continue
            claims = [claim for claim in one.published if claim.metric == metric]
            place = _at(document, row, metric)
            if not claims:
                what = f"{METRICS[metric].title} {text}, which the manifest has not"
                yield finding("unlisted-figure", one.id, what, place, sources.entry_place(one))
            elif all(Decimal(text) != Decimal(claim.printed or 0) for claim in claims):
                own = [
                    claim for claim in claims if claim.source and claim.source.document == keys[document.path]
                ]
                yield _difference(sources, one, (own or claims)[-1], text, place)


def _difference(
    sources: AuditSources, one: Checkpoint, claim: Claim, text: str, place: Place
) -> AuditFinding:
    title, printed = METRICS[claim.metric].title, claim.printed or ""
    other = _other_unit(claim.metric, Decimal(text), Decimal(printed))
    what = f"{title} {text} in {place.file}, {printed} in the manifest"
    if other:
        return finding("unit-mixup", one.id, f"{what}: {other}", place, sources.claim_place(one, claim))
    return finding("numbers-differ", one.id, what, place, sources.claim_place(one, claim))


def _other_unit(metric: str, ours: Decimal, theirs: Decimal) -> str:
    """Which other unit a figure is in; empty where none fits."""
    if not ours or not theirs:
        return ""
    if metric == "fps" and abs(1000 / ours / theirs - 1) < ROUNDED:
        return "it is ms an image"
    if metric == "train_memory":
        ratio = max(ours, theirs) / min(ours, theirs)
        for factor, words in MEMORY_FACTORS.items():
            if abs(ratio / factor - 1) < CLOSE:
                return words
    factor = _unit_factor(ours, theirs)
    return f"{factor} off" if factor else ""


def _unit_factor(ours: Decimal, theirs: Decimal) -> str:
    """Which change of unit turns one figure into the other; empty where none does."""
    if not ours or not theirs:
        return ""
    ratio = max(ours, theirs) / min(ours, theirs)
    return next((words for factor, words in UNIT_FACTORS.items() if abs(ratio / factor - 1) < CLOSE), "")


def inference_times(sources: AuditSources) -> Iterator[AuditFinding]:
    """A metafile's ms an image, which is 1000 over the table's fps."""
    for document, row, one in _matched(sources):
        speeds = [claim for claim in one.published if claim.metric == "fps"]
        if row.milliseconds and not speeds and not has_earlier_file(one, row.weights_url):
            what = f"inference time {row.milliseconds} ms, of which the manifest has no speed"
            yield finding(
                "unlisted-figure", one.id, what, _at(document, row, "fps"), sources.entry_place(one)
            )
        if not row.milliseconds or not speeds or not Decimal(speeds[-1].printed or 0):
            continue  # a speed of nothing is told as impossible
        claim, cent = speeds[-1], Decimal("0.01")
        expected = (1000 / Decimal(claim.printed or 1)).quantize(cent, ROUND_HALF_EVEN)
        given = Decimal(row.milliseconds)
        near = (
            abs(1000 / given - Decimal(claim.printed or 0)) <= half_unit(claim.printed or "0")
            if given
            else False
        )
        if near or abs(given - expected) <= cent:
            continue
        place = _at(document, row, "fps")
        what = f"inference time {row.milliseconds} ms in {place.file}, {claim.printed} fps ({expected} ms) in the manifest"
        is_fps = Decimal(row.milliseconds) == Decimal(claim.printed or 0)
        kind = (
            "unit-mixup" if is_fps or _unit_factor(Decimal(row.milliseconds), expected) else "numbers-differ"
        )
        yield finding(kind, one.id, what, place, sources.claim_place(one, claim))


def batch_sizes(sources: AuditSources) -> Iterator[AuditFinding]:
    """A metafile's total batch, which is GPUs times images a GPU."""
    for document, row, one in _matched(sources):
        training = one.training
        told = told_of(sources, document, row).keys() & {"GPUs", "images a GPU", "images a step"}
        if told or sources.config_of(document, row):
            continue
        if row.batch and training and row.batch != training.gpus * training.batch_per_gpu:
            what = f"batch of {row.batch}, {training.gpus} GPUs x {training.batch_per_gpu} in the manifest"
            yield finding(
                "numbers-differ", one.id, what, _at(document, row, "batch"), sources.entry_place(one)
            )


def shortened_figures(sources: AuditSources) -> Iterator[AuditFinding]:
    """Figures equal in value to the manifest's but printed with fewer digits."""
    short: dict[str, list[tuple[str, Place]]] = defaultdict(list)
    for document, row, one in _matched(sources):
        for claim in () if document.is_metafile else one.published:  # its numbers are floats
            text = row.figures.get(claim.metric)
            if text and Decimal(text) == Decimal(claim.printed or 0) and len(text) < len(claim.printed or ""):
                short[document.path].append((f"{text} for {claim.printed}", _at(document, row, claim.metric)))
    for path, cells in short.items():
        what = ", ".join(dict.fromkeys(text for text, _ in cells))
        yield finding("lost-decimals", path, what, *(place for _, place in cells))


def _relabelled(one: Checkpoint, metric: str, text: str) -> bool:
    """True where a figure stands under another heading than the manifest's metric for it."""
    claims = [claim for claim in one.published if claim.metric == LEGACY_HEADING.get(metric)]
    own = any(claim.metric == metric for claim in one.published)
    return not own and any(Decimal(text) == Decimal(claim.printed or 0) for claim in claims)


def relabelled_columns(sources: AuditSources) -> Iterator[AuditFinding]:
    """Headings that promise another protocol than the one the manifest records for their figures."""
    rows: dict[tuple[str, str], list[Place]] = defaultdict(list)
    for document, row, one in _matched(sources):
        for metric, text in row.figures.items():
            if text and _relabelled(one, metric, text):
                rows[document.path, metric].append(_at(document, row, metric))
    for (path, metric), places in rows.items():
        titles = METRICS[metric].title, METRICS[LEGACY_HEADING[metric]].title
        yield finding(
            "relabelled-column",
            path,
            f"{number_of(len(places), 'figure')} under the heading {titles[0]}: really {titles[1]}",
            *places,
        )


# --- links and fields -------------------------------------------------------------------------------


def links(sources: AuditSources) -> Iterator[AuditFinding]:
    """Links that lead elsewhere than the row or the manifest says; the gravest reason of each is told."""
    for document, row, one in _matched(sources):
        if has_earlier_file(one, row.weights_url):
            continue
        told = told_of(sources, document, row)
        for field, url, known in (
            ("weights", row.weights_url, one.weights.urls),
            ("log", row.log_url, one.log_urls),
        ):
            if not url or (url in known and (url == known[0] or same_file(url) != same_file(known[0]))):
                continue
            place = _at(document, row, field)
            if told:
                continue
            if reason := contradiction(url, one):
                yield finding("weights-name", one.id, f"{url}: {reason}", place)
            elif field == "log" and row.weights_url and (reason := other_run(url, row.weights_url)):
                yield finding("log-path", one.id, f"{url} {reason} {row.weights_url}", place)
            else:
                where = "another document's, for the same file" if url in known else "the manifest's"
                what = f"{url} is not {where}: {known[0] if known else 'none'}"
                others = [link for other in known[:1] for link in sources.link_places(one, other)]
                yield finding("link-differs", one.id, what, place, *others, sources.entry_place(one))
        is_known = stem(row.config) in (one.id, *one.aliases) or sources.is_named_twice(document, row)
        if row.config and not told and not is_known:
            what = f"configuration {row.config} is none of {', '.join((one.id, *one.aliases))}"
            place = _at(document, row, "config")
            yield finding("link-differs", one.id, what, place, sources.entry_place(one))


def crops_as_resolutions(sources: AuditSources) -> Iterator[AuditFinding]:
    """A metafile's resolution of the timing that is the training crop, where other sizes were timed; all files as one."""
    pasted: dict[str, list[tuple[SourceRow, Place]]] = defaultdict(list)
    for document, row, one in _matched(sources):
        typical, protocol = one.dataset_spec.typical_size, one.protocols.get("miou")
        if row.resolution is None or typical is None or protocol is None:
            continue
        if row.resolution == one.crop != view_size(typical, protocol, 1.0):
            pasted[document.path].append((row, _at(document, row, "resolution")))
    rows = [cell for cells in pasted.values() for cell in cells]
    if rows:
        sizes = " and ".join(dict.fromkeys(f"{row.crop[0]}x{row.crop[1]}" for row, _ in rows if row.crop))
        what = f"the resolution of {len(rows)} inference times is the crop, {sizes}, not the images' size"
        files = [(path, cells[0][1]) for path, cells in pasted.items()]
        yield finding("resolution-is-crop", files_text(files), what, *(place for _, place in rows))


def dropped_fields(sources: AuditSources) -> Iterator[AuditFinding]:
    """What metafiles do not have although the manifest, or another metafile, does; those that lack the same as one."""
    files = [document for document in sources.documents if document.fields]
    present = {field for one in files for field, (form, _) in one.fields.items() if form == "present"}
    lacking: dict[str, list[tuple[str, Place]]] = defaultdict(list)
    for document in files:
        gone = [
            field for field, (form, _) in document.fields.items() if form == "absent" and field in present
        ]
        if document.fields.get("inference time (ms/im)", ("", 0))[0] == "absent":
            found = [sources.checkpoint(row) for row in document.rows]
            speeds = [one for one in found if one and any(claim.metric == "fps" for claim in one.published)]
            gone = [field for field in gone if field != "inference time (ms/im)"]
            gone += ["inference time (fps in the table)"] if speeds else []
        if gone:
            place = Place(file=document.path, line=document.rows[0].line)
            lacking[f"has no {', no '.join(gone)}"].append((document.path, place))
    for what, lines in lacking.items():
        yield finding("dropped-field", files_text(lines), what, *(place for _, place in lines))


OWN_FIELDS = {"collection", "first model's name"}
"""What is each metafile's own: other versions of the same one word it otherwise, other metafiles have another."""


def renamed_fields(sources: AuditSources) -> Iterator[AuditFinding]:
    """What several metafiles word differently: keys, forms, the collection's name, the models' names."""
    forms: dict[str, dict[tuple[str, str], list[Place]]] = defaultdict(lambda: defaultdict(list))
    for document in sources.documents:
        found = (one for row in document.rows if (one := sources.checkpoint(row)))
        owner = next((one.id for one in found), document.path) if document.fields else ""
        for field, (form, line) in document.fields.items():
            if form not in {"absent", "present"}:
                key = owner if field in OWN_FIELDS else ""
                forms[field][key, _wording(field, form)].append(Place(file=document.path, line=line))
    for field, places in forms.items():
        owners = Counter(owner for owner, _ in places)
        told = {key: lines for key, lines in places.items() if owners[key[0]] > 1}
        if told:
            first = next(iter(told))[0]
            words = ", ".join(repr(form) for owner, form in told if owner == first)
            more = len({owner for owner, _ in told}) - 1
            what = f"is {words} in different metafiles" + (f", and so in {more} more" if more else "")
            yield finding(
                "renamed-field", field, what, *(place for lines in told.values() for place in lines)
            )


def _wording(field: str, form: str) -> str:
    """How a field is worded, whatever it says: of resources the numbers and devices are what they say."""
    if field != "training resources":
        return form
    return re.sub(r"(?<=N x ).*(?= GPUS?)", "DEVICE", re.sub(rf"^{DIGITS}\s*x", "N x", form))


DOCUMENT_CHECKS: tuple[Callable[[AuditSources], Iterator[AuditFinding]], ...] = (
    unknown_rows,
    missing_rows,
    other_places,
    lost_headings,
    blank_cells,
    other_figures,
    inference_times,
    batch_sizes,
    shortened_figures,
    relabelled_columns,
    links,
    crops_as_resolutions,
    dropped_fields,
    renamed_fields,
)
