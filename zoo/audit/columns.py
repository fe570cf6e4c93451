"""Audit checks of the manifest's columns and entries: a figure against its neighbours, an entry against itself."""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter, defaultdict
from decimal import Decimal
from itertools import islice
from statistics import median
from typing import TYPE_CHECKING, Any

from ...reports.metrics import METRICS
from ..quantities import quantity_of
from .sources import ROW_FIELDS, finding, latest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from ...evaluate.protocol import EvalProtocol
    from ..manifest import Checkpoint, Claim
    from .findings import AuditFinding, Kind
    from .sources import AuditSources

MIOU = tuple(quantity_of("miou").metrics)
FAR = 2
"""A figure beyond this many times its neighbours' largest, or below this part of their smallest, is out of line."""
NEAR = Decimal("1.25")
"""How far from its neighbours a figure may lie to be one of them once its point, or its unit, is put right."""
EQUALS = 16
"""Earlier rows with a figure that a row is held against: a column of one figure needs no pair of its rows told."""

EQUAL_BY_CHANCE = 0.0032
"""How often two rows that differ in one thing agree in a figure of two decimals.

Their figures lie 0.76 apart in the median, with a deviation of 0.76 (see `claims.TRAINING_NOISE`); a normal distribution has
0.32 of itself a point there, and a hundredth of that falls on one figure.
"""

Cell = tuple["Checkpoint", "Claim"]


def _tables(sources: AuditSources) -> Iterator[list[Cell]]:
    """Figures of one metric that are alike: of a publisher's data set; memory and speed of one method and crop."""
    tables: dict[tuple[object, ...], list[Cell]] = defaultdict(list)
    for one in sources.manifest:
        for claim in {claim.metric: claim for claim in one.published}.values():
            cost = None if METRICS[claim.metric].unit == "%" else (one.method, one.crop, _alike(one.backbone))
            tables[one.publisher, one.dataset, claim.metric, cost].append((one, claim))
    yield from tables.values()


def _alike(backbone: str) -> str:
    """What networks of like cost have in common: ResNets of 50 and 101 layers are, a ViT-T and a ViT-L are not."""
    return re.sub(r"(?<=^[RS]-)(50|101)b?(?!\d)", "", backbone)


def _number(claim: Claim) -> Decimal:
    return Decimal(claim.printed or 0)


def misplaced_figures(sources: AuditSources) -> Iterator[AuditFinding]:
    """Figures far from all neighbours that a moved point, or fps for ms, would bring among them."""
    usual = _usual_decimals(sources)
    for cells in _tables(sources):
        sound = [(one, claim) for one, claim in cells if not _is_told_elsewhere(claim)]
        found = [(cell, others) for cell, others in _ends_and_others(sound) if _misplaced(cell[1], others)]
        # A misplaced figure makes others look misplaced: those with unusual decimals are, else the farthest.
        odd = [one for one in found if _decimals(one[0][1]) != usual[one[0][0].publisher, one[0][1].metric]]
        for (one, claim), others in odd or sorted(found, key=_distance)[-1:]:
            kind, words = _misplaced(claim, others) or ("point-moved", "")
            span = " to ".join(dict.fromkeys((str(min(others)), str(max(others)))))
            what = f"{METRICS[claim.metric].title} {claim.printed} {words}: its neighbours have {span}"
            yield finding(kind, one.id, what, *sources.places(one, claim))


def _ends_and_others(cells: list[Cell]) -> Iterator[tuple[Cell, list[Decimal]]]:
    """The lowest and the highest figure, each with all others: no figure between them is far from its neighbours."""
    numbers = [_number(claim) for _, claim in cells]
    ends = {numbers.index(end(numbers)) for end in (min, max)} if len(cells) > 1 else ()
    for index in sorted(ends):
        yield cells[index], numbers[:index] + numbers[index + 1 :]


def _distance(found: tuple[Cell, list[Decimal]]) -> Decimal:
    """How many times a figure is its neighbours' median, or that is it."""
    (_, claim), others = found
    ratio = _number(claim) / median(others)
    return max(ratio, 1 / ratio)


def _usual_decimals(sources: AuditSources) -> dict[tuple[str, str], int]:
    """Publisher and metric -> digits after the point of most figures."""
    counts: dict[tuple[str, str], Counter[int]] = defaultdict(Counter)
    for one in sources.manifest:
        for claim in one.published:
            counts[one.publisher, claim.metric][_decimals(claim)] += 1
    return {column: count.most_common(1)[0][0] for column, count in counts.items()}


def _decimals(claim: Claim) -> int:
    return len((claim.printed or "").partition(".")[2])


def _is_told_elsewhere(claim: Claim) -> bool:
    """A fraction, more than everything, or nothing: other checks find these."""
    value = _number(claim)
    return value == 0 or (METRICS[claim.metric].unit == "%" and not 1 <= value <= 100)


def _misplaced(claim: Claim, others: list[Decimal]) -> tuple[Kind, str] | None:
    """What was done to a figure that is out of line: whichever correction brings it nearest to a neighbour."""
    value = _number(claim)
    if min(others) / FAR <= value <= max(others) * FAR:
        return None
    corrections: list[tuple[Decimal, Kind, str]] = [
        (moved, "point-moved", f"looks like {moved:f} with its point moved")
        for moved in (value.scaleb(places) for places in (-1, 1, -2, 2))
    ]
    if claim.metric == "fps":
        speed = 1000 / value
        corrections.append((speed, "unit-mixup", f"can only be ms an image ({speed:.2f} fps)"))
    fitting = [one for one in corrections if min(others) / NEAR <= one[0] <= max(others) * NEAR]
    if not fitting:
        return None
    _, kind, words = min(fitting, key=lambda one: min(abs(one[0] / other - 1) for other in others))
    return kind, words


def repeated_accuracies(sources: AuditSources) -> Iterator[AuditFinding]:
    """A multi-view figure equal to the single-scale one, and equal figures of rows that differ in one thing.

    A row is told against the first earlier one that has its figure, not against each; and only where a publisher has more
    such rows than chance makes.
    """
    for one in sources.manifest:
        single = latest(one, "miou")
        for metric in MIOU[1:]:
            several = latest(one, metric)
            if single and several and single.printed == several.printed:
                what = f"mIoU and {METRICS[metric].title} are both {single.printed}"
                places = (*sources.places(one, single), *sources.places(one, several))
                yield finding("equal-accuracy", one.id, what, *places)
    equal: dict[str, list[_Pair]] = defaultdict(list)
    expected: Counter[str] = Counter()
    for field in ("backbone", "crop", "schedule"):
        for pair in _equal_pairs(sources.manifest, field):
            equal[pair[0].publisher].append(pair)
        for publisher, compared in _pairs_compared(sources.manifest, field).items():
            expected[publisher] += compared
    for publisher, pairs in equal.items():
        chance = expected[publisher] * EQUAL_BY_CHANCE
        if len(pairs) > chance + 2 * chance**0.5:
            yield from (_equal_rows(sources, *pair) for pair in pairs)


_Pair = tuple["Checkpoint", "Checkpoint", list[tuple["Claim", "Claim"]]]
"""An earlier and a later row that differ in one thing, with their equal accuracies."""


def _equal_rows(
    sources: AuditSources, one: Checkpoint, other: Checkpoint, same: list[tuple[Claim, Claim]]
) -> AuditFinding:
    figures = " and ".join(f"{METRICS[ours.metric].title} {ours.printed}" for ours, _ in same)
    places = [
        place
        for ours, theirs in same
        for place in (*sources.places(other, theirs), *sources.places(one, ours))
    ]
    return finding("equal-accuracy", other.id, f"{figures} as in {one.id}", *places)


def _pairs_compared(rows: Iterable[Checkpoint], field: str) -> Counter[str]:
    """Publisher -> how many pairs of figures differ in one field of their rows alone."""
    groups: Counter[tuple[object, ...]] = Counter()
    others = [name for name in ROW_FIELDS if name != field]
    for row in rows:
        for metric in MIOU:
            if latest(row, metric):
                groups[(metric, *(getattr(row, name) for name in others))] += 1
    compared: Counter[str] = Counter()
    for (_, publisher, *_), count in groups.items():
        compared[str(publisher)] += count * (count - 1) // 2
    return compared


def _equal_pairs(rows: Iterable[Checkpoint], field: str) -> Iterator[_Pair]:
    """Rows that differ in one field, the earlier first, with their equal accuracies."""
    earlier: dict[tuple[object, ...], dict[tuple[object, ...], Checkpoint]] = defaultdict(dict)
    others = [name for name in ROW_FIELDS if name != field]
    for row in rows:
        claims = [claim for metric in MIOU if (claim := latest(row, metric))]
        group = tuple(getattr(row, name) for name in others)
        figures = tuple((claim.metric, claim.printed) for claim in claims)
        found: dict[str, tuple[Checkpoint, list[tuple[Claim, Claim]]]] = {}
        for figure in figures:
            alike = earlier[(*group, *figure)]
            for one in islice(alike.values(), EQUALS):
                same = _equal(one, row) if getattr(one, field) != getattr(row, field) else []
                if same:
                    found[one.id] = one, same
                    break
            alike.setdefault((figures, getattr(row, field)), row)
        yield from ((one, row, same) for one, same in found.values())


def _equal(one: Checkpoint, other: Checkpoint) -> list[tuple[Claim, Claim]]:
    """Accuracies that two rows have in common; none where the whole row is copied, which is told as such."""
    pairs = [
        (ours, theirs)
        for metric in MIOU
        if (ours := latest(one, metric)) and (theirs := latest(other, metric))
    ]
    same = [pair for pair in pairs if pair[0].printed == pair[1].printed]
    return same if len(same) < len(pairs) or len(pairs) == 1 else []


def mixed_devices(sources: AuditSources) -> Iterator[AuditFinding]:
    """Speed or memory that is said to be of another device than most of its table."""
    for cells in _tables(sources):
        usual, _ = Counter(claim.device for _, claim in cells).most_common(1)[0]
        for one, claim in cells:
            if METRICS[claim.metric].unit != "%" and claim.device and usual and claim.device != usual:
                what = f"{METRICS[claim.metric].title} {claim.printed} of {claim.device}, {usual} elsewhere in its table"
                yield finding("mixed-devices", one.id, what, sources.claim_place(one, claim))


# --- entries against themselves ---------------------------------------------------------------------


def other_networks(sources: AuditSources) -> Iterator[AuditFinding]:
    """Entries whose architecture is not their backbone's, or that differ in parameters from an equal architecture."""
    counts: dict[str, Counter[int]] = defaultdict(Counter)
    for one in sources.manifest:
        if one.parameters:
            counts[str(sorted(one.architecture.items()))][one.parameters] += 1
    for one in sources.manifest:
        texts = list(_other_backbone(one))
        alike = counts[str(sorted(one.architecture.items()))]
        usual = alike.most_common(1)[0][0] if alike else None
        if one.parameters and usual != one.parameters:
            texts.append(f"{one.parameters} parameters, {usual} in rows of the same architecture")
        if texts:
            yield finding("architecture-differs", one.id, "; ".join(texts), sources.entry_place(one))


def _other_backbone(one: Checkpoint) -> Iterator[str]:
    """Depth, and family where the architecture names it: R is a ResNet, S a ResNeSt."""
    printed = re.match(r"([RS])-(\d+)", one.backbone)
    if not printed:
        return
    family, depth = backbone_of(one.architecture)
    if family not in (None, "resnet", "resnest"):
        return  # a network that holds its ResNet inside
    if depth is not None and str(depth) != printed[2]:
        yield f"backbone {one.backbone}, the architecture has depth {depth}"
    if family not in (None, {"R": "resnet", "S": "resnest"}[printed[1]]):
        yield f"backbone {one.backbone}, the architecture has {family}"


def backbone_of(architecture: Mapping[str, Any]) -> tuple[Any, Any]:
    """Family and depth of the backbone, as far as the architecture says."""
    backbone = architecture.get("backbone", "")
    if isinstance(backbone, dict):
        return backbone.get("type"), backbone.get("depth")
    named = re.fullmatch(r"(resnet|resnest)(\d+)", str(backbone))
    return (named[1], named[2]) if named else (None, architecture.get("depth"))


def other_protocols(sources: AuditSources) -> Iterator[AuditFinding]:
    """Accuracies by other views than the metric's name promises, memory of another training than the row's."""
    for one in sources.manifest:
        for claim in one.published:
            protocol = sources.manifest.protocols.get(claim.protocol or "")
            if claim.metric in MIOU and protocol and (found := _views(protocol)) != claim.metric:
                what = f"{METRICS[claim.metric].title} {claim.printed} by {protocol.name}, which is for {METRICS[found].title}"
                yield finding("protocol-differs", one.id, what, sources.claim_place(one, claim))
            elif claim.metric == "train_memory" and (what := _other_training(one, claim)):
                yield finding("protocol-differs", one.id, what, sources.claim_place(one, claim))


def _other_training(one: Checkpoint, claim: Claim) -> str:
    """How a memory's batch and crop differ from the row's; empty where they do not."""
    figure, images = f"Mem (GB) {claim.printed}", one.training and one.training.batch_per_gpu
    if claim.batch and images and claim.batch != images:
        return f"{figure} of {claim.batch} images a device, the row trains with {images}"
    if claim.crop and claim.crop != one.crop:
        return f"{figure} at {claim.crop[0]}x{claim.crop[1]}, the row trains at {one.crop[0]}x{one.crop[1]}"
    return ""


def _views(protocol: EvalProtocol) -> str:
    """The metric that a protocol measures."""
    if len(protocol.scales) > 1:
        return "miou_ms_flip"
    return "miou_flip" if protocol.flip else "miou"


def shared_places(sources: AuditSources) -> Iterator[AuditFinding]:
    """Rows of a document that two checkpoints cite, and checkpoints that cite two rows of one table."""
    owners: dict[tuple[str, str, int], dict[str, Cell]] = defaultdict(dict)
    for one in sources.manifest:
        for claim in one.claims:
            if claim.source:
                place = (claim.source.document, claim.source.section, claim.source.row)
                owners[place].setdefault(one.id, (one, claim))
    for (document, section, row), cells in owners.items():
        if len(cells) > 1:
            what = f"{section}, row {row} of {document} is cited by {' and '.join(cells)}"
            places = [sources.claim_place(one, claim) for one, claim in cells.values()]
            yield finding("cited-twice", next(iter(cells)), what, *places)


def impossible_dates(sources: AuditSources) -> Iterator[AuditFinding]:
    """Documents and claims of a day to come, and figures older than those they replace."""
    today = dt.datetime.now(tz=dt.timezone.utc).date().isoformat()
    manifest = sources.manifest
    for key, document in manifest.documents.items():
        if document.date and document.date > today:
            what = f"dated {document.date}, which is to come"
            yield finding("impossible-date", key, what, sources.document_place(key))
    for one in manifest:
        dates = {(claim.metric, claim.printed): claim.date for claim in one.published}
        for claim in one.published:
            earlier = dates.get((claim.metric, claim.supersedes))
            if claim.date and claim.date > today:
                what = f"{METRICS[claim.metric].title} {claim.printed} of {claim.date}, which is to come"
            elif claim.date and earlier and claim.date < earlier:
                what = f"{METRICS[claim.metric].title} {claim.printed} of {claim.date} replaces {claim.supersedes} of {earlier}"
            else:
                continue
            yield finding("impossible-date", one.id, what, sources.claim_place(one, claim))


COLUMN_CHECKS: tuple[Callable[[AuditSources], Iterator[AuditFinding]], ...] = (
    misplaced_figures,
    repeated_accuracies,
    mixed_devices,
    other_networks,
    other_protocols,
    shared_places,
    impossible_dates,
)
