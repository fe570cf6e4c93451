"""Audit checks of reason: what a manifest's claims say against each other and against what models cost."""

from __future__ import annotations

import heapq
import itertools
import re
from collections import Counter, defaultdict
from decimal import Decimal
from difflib import SequenceMatcher
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ...evaluate.geometry import sliding_windows, view_size
from ...reports.metrics import METRICS
from ...reports.tolerance import half_unit
from ..files.whole_number import whole_number
from ..publishers.file_names import contradiction, is_named, other_run, recipe_in, trained_at, undated
from ..quantities import quantity_of
from .columns import backbone_of
from .findings import Place, number_of
from .sources import ROW_FIELDS, finding, has_earlier_file, latest
from .statements import told_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ..manifest import Checkpoint, Claim
    from .findings import AuditFinding, Kind
    from .sources import AuditSources

MIOU = tuple(quantity_of("miou").metrics)
TOLD = 8
"""Rows that a finding names as better than its own, the best ones: where there are more, that is said."""
MIB = 1 << 20

V100_MS_PER_GFLOP = (0.101, 0.120)
"""What a GFLOP of ResNet-101's 17 added blocks costs a V100 in float32, lowest and highest.

From the R-101 minus R-50 steps of mmsegmentation's PSPNet, DANet and CCNet tables (configs/*/README.md), whose
blocks are the same whatever head follows: 126.6 to 131.7 ms of 1241 GFLOPs (Cityscapes whole), 290.8 to
301.4 ms of 2851 (769x769 windows), 23.0 to 23.3 ms of 208.5 (ADE20K), 24.4 to 24.9 ms of 208.5 (VOC).
"""
SISTER_SPREAD = 0.04
"""How far the sister tables lie from each other at one input: no step is out of line within this."""
MEMORY_UNITS = {"MiB / 1000": 1.0, "GiB": 1000 / 1024, "GB": MIB / 1e6}
"""Unit -> its figure for 1000 MiB."""
MEMORY_SPREAD = 0.012
"""Half the distance between MiB / 1000 and GiB (2.4 %): closer than this, the unit is beyond doubt."""
TRAINING_NOISE = Decimal("1.6")
"""mIoU points that a row may lie below one that it should beat, without anything to explain.

From mmsegmentation's metafiles: of 193 pairs of rows that differ in their schedule alone, the longer training ends 0.76
higher in the median, with a deviation of 0.76 (1.4826 times the median distance from that); of 186 in mIoU(ms+flip) 0.71
and 0.68. Three deviations below the median are -1.51 and -1.34; this is the larger, rounded outwards.
"""
RARE_HOST, ALIKE_HOST = 10, 0.8
"""So many times the links of another domain, and so much of its letters (`difflib`), make a domain a mistyped one."""
UNLIKELY_GB = 1000
"""No device has this much memory; a figure above is in another unit."""


def _groups(sources: AuditSources, *but: str) -> Iterator[list[Checkpoint]]:
    """Checkpoints equal in everything but the named fields, two or more at a time; so are their names but for these."""
    fields = [name for name in ROW_FIELDS if name not in but]
    groups: dict[tuple[object, ...], list[Checkpoint]] = defaultdict(list)
    for one in sources.manifest:
        groups[(recipe_in(one.id), *(getattr(one, name) for name in fields))].append(one)
    return (group for group in groups.values() if len(group) > 1)


def _title(metric: str) -> str:
    return METRICS[metric].title


def _setup(one: Checkpoint) -> str:
    return f"{one.method} {one.dataset} {one.crop[0]}x{one.crop[1]} ({one.publisher})"


def impossible_figures(sources: AuditSources) -> Iterator[AuditFinding]:
    """Accuracy beyond 100 %, speed or memory of nothing."""
    for one in sources.manifest:
        for claim in one.published:
            value = Decimal(claim.printed or 0)
            if value == 0 or (METRICS[claim.metric].unit == "%" and value > 100):
                yield finding(
                    "impossible-figure",
                    one.id,
                    f"{_title(claim.metric)} {claim.printed}",
                    *sources.places(one, claim),
                )


def figures_in_another_unit(sources: AuditSources) -> Iterator[AuditFinding]:
    """Memory that can only be MiB under a heading of GB, accuracy that can only be a fraction under percent."""
    for one in sources.manifest:
        for claim in one.published:
            value = Decimal(claim.printed or 0)
            if claim.metric == "train_memory" and value >= UNLIKELY_GB:
                what = f"{_title(claim.metric)} {claim.printed} can only be MiB"
            elif METRICS[claim.metric].unit == "%" and 0 < value < 1:
                what = f"{_title(claim.metric)} {claim.printed} can only be a fraction, not percent"
            else:
                continue
            yield finding("unit-mixup", one.id, what, *sources.places(one, claim))


def views_that_cost_accuracy(sources: AuditSources) -> Iterator[AuditFinding]:
    """Multi-scale or flip below the single scale."""
    for one in sources.manifest:
        singles = {claim.earlier_file: claim for claim in one.published if claim.metric == "miou"}
        for metric in ("miou_ms_flip", "miou_flip"):
            for claim in one.published:
                single = singles.get(claim.earlier_file)
                if single and claim.metric == metric and _number(claim) < _number(single):
                    what = f"{_title(metric)} {claim.printed} is below mIoU {single.printed}"
                    yield finding(
                        "ms-flip-below-single",
                        one.id,
                        what,
                        *sources.places(one, claim),
                        *sources.places(one, single),
                    )


def _number(claim: Claim) -> Decimal:
    return Decimal(claim.printed or 0)


def copied_cells(sources: AuditSources) -> Iterator[AuditFinding]:
    """Speed and memory equal to the last digit in rows of one network; one finding a publisher, whose habit it is."""
    copied: dict[str, list[tuple[str, list[tuple[Checkpoint, Claim, Claim]]]]] = defaultdict(list)
    for group in _groups(sources, "schedule"):
        equal: dict[tuple[str, str], list[tuple[Checkpoint, Claim, Claim]]] = defaultdict(list)
        for one in group:
            memory, speed = latest(one, "train_memory"), latest(one, "fps")
            if memory and speed:
                equal[memory.printed or "", speed.printed or ""].append((one, memory, speed))
        for (memory, speed), rows in equal.items():
            if len(rows) > 1:
                cells = f"Mem (GB) {memory} and Inf time (fps) {speed}"
                what = f"{cells} of {_setup(group[0])} {group[0].backbone}"
                copied[group[0].publisher].append((what, rows))
    for publisher, found in copied.items():
        cells = [cell for _, rows in found for cell in rows]
        what = f"{len(found)} pairs of memory and speed stand in {number_of(len(cells), 'row')}"
        places = [place for one, *claims in cells for claim in claims for place in sources.places(one, claim)]
        yield finding("copied-cells", publisher, f"{what}, such as {found[0][0]}", *places)


def copied_accuracies(sources: AuditSources) -> Iterator[AuditFinding]:
    """Two rows of a data set with the same single-scale and the same multi-view figure."""
    seen: dict[tuple[str, ...], tuple[Checkpoint, list[Claim]]] = {}
    for one in sources.manifest:
        claims = [claim for claim in (latest(one, metric) for metric in MIOU) if claim]
        if len(claims) < 2:
            continue
        key = (one.publisher, one.dataset, *(claim.printed or "" for claim in claims))
        if key in seen:
            other, its = seen[key]
            figures = " and ".join(f"{_title(claim.metric)} {claim.printed}" for claim in claims)
            places = [
                place
                for row, theirs in ((one, claims), (other, its))
                for claim in theirs
                for place in sources.places(row, claim)
            ]
            yield finding("copied-accuracy", one.id, f"{figures} are also those of {other.id}", *places)
        seen.setdefault(key, (one, claims))


def lost_decimals(sources: AuditSources) -> Iterator[AuditFinding]:
    """Figures with fewer digits after the point than most of their column."""
    columns: dict[tuple[str, str, str], list[tuple[Checkpoint, Claim]]] = defaultdict(list)
    for one in sources.manifest:
        for claim in one.published:
            if not sources.is_of_metafile(claim):  # whose numbers lose their zeros, whoever printed them
                columns[one.publisher, one.method, claim.metric].append((one, claim))
    for (publisher, method, metric), cells in columns.items():
        usual, _ = Counter(_decimals(claim.printed or "") for _, claim in cells).most_common(1)[0]
        short = [(one, claim) for one, claim in cells if _decimals(claim.printed or "") < usual]
        if short:
            printed = ", ".join(str(claim.printed) for _, claim in short)
            what = f"{printed} in a column of {usual} decimals"
            places = [place for one, claim in short for place in sources.places(one, claim)]
            yield finding("lost-decimals", f"{_title(metric)} of {method} ({publisher})", what, *places)


def _decimals(printed: str) -> int:
    return len(printed.partition(".")[2])


def larger_models_that_do_worse(sources: AuditSources) -> Iterator[AuditFinding]:
    """Models below one of fewer parameters and of the same kind, trained alike.

    That is: with the same schedule, or each the only one of its backbone.
    """
    tables = _Tables("larger-model-worse")
    for group in _groups(sources, "backbone", "schedule"):
        per_backbone = Counter(one.backbone for one in group)
        alike: dict[tuple[object, ...], list[Checkpoint]] = defaultdict(list)
        for one in group:
            alike[_kind(one), one.schedule].append(one)
            if per_backbone[one.backbone] == 1:
                alike[_kind(one), None].append(one)
        better = [_better(rows, lambda one: one.parameters or 0) for rows in alike.values()]
        tables.add(sources, group, better, lambda other: other.backbone)
    yield from tables.findings()


def _kind(one: Checkpoint) -> tuple[str, ...]:
    """What a network is but for its size: `R-50-D8` is to `R-101-D8` as Swin-T to Swin-B, and to no DeiT and no R-101-D16.

    ResNeSt (`S`) counts as a ResNet: it is one with split attention.
    """
    family, size, rest = (*one.backbone.split("-", 2), "", "")[:3]
    size = re.sub(r"(?i)^(xl|[stmblh]|tiny|small|base|large)$|[0-9]+", "", size)
    return one.segmentor, re.sub(r"^S$|[0-9]+", lambda found: "R" * (found[0] == "S"), family), size, rest


def longer_schedules_that_do_worse(sources: AuditSources) -> Iterator[AuditFinding]:
    """Rows below one that trained for fewer iterations and is equal otherwise."""
    tables = _Tables("longer-schedule-worse")
    for group in _groups(sources, "schedule"):
        timed = [one for one in group if whole_number(one.schedule) is not None]
        better = [_better(timed, lambda one: whole_number(one.schedule) or 0)]
        tables.add(sources, group, better, lambda other: other.schedule)
    yield from tables.findings()


Cell = tuple["Checkpoint", "Claim"]
Better = dict[tuple[str, str], list[Cell]]
"""Id and accuracy of a row -> the best of the rows that it should beat and does not: `TOLD`, and one more."""


def _better(rows: list[Checkpoint], size: Callable[[Checkpoint], int]) -> Better:
    """For each row, those of smaller size with a greater figure; one pass from the smallest to the largest."""
    found: Better = {}
    ordered = sorted(rows, key=size)
    for metric in MIOU:
        printed = [(one, claim) for one in ordered if (claim := latest(one, metric))]
        best: list[Cell] = []
        for _, equal in itertools.groupby(printed, key=lambda cell: size(cell[0])):
            cells = list(equal)
            for one, claim in cells:
                found[one.id, metric] = [
                    cell for cell in best if _figure(cell) > _number(claim) + TRAINING_NOISE
                ]
            best = heapq.nlargest(TOLD + 1, [*best, *cells], key=_figure)
    return found


def _figure(cell: Cell) -> Decimal:
    return _number(cell[1])


class _Tables:
    """Rows below those that they should beat, by the table they stand in: one finding each."""

    def __init__(self, kind: Kind) -> None:
        self._kind: Kind = kind
        self._found: dict[str, tuple[list[str], list[Place]]] = defaultdict(lambda: ([], []))

    def add(
        self,
        sources: AuditSources,
        group: list[Checkpoint],
        better: list[Better],
        name: Callable[[Checkpoint], str],
    ) -> None:
        """All accuracies of a group's rows that lie below those of rows they should beat."""
        order = {one.id: place for place, one in enumerate(group)}
        for one, metric in itertools.product(group, MIOU):
            cells = (cell for found in better for cell in found.get((one.id, metric), ()))
            above = {other.id: (other, theirs) for other, theirs in cells}
            ours = latest(one, metric)
            if not ours or not above:
                continue
            texts, places = self._found[f"{one.method} {one.dataset} ({one.publisher})"]
            told = heapq.nlargest(TOLD, above.values(), key=_figure)
            for other, theirs in sorted(told, key=lambda cell: order[cell[0].id]):
                below = (
                    f"{_title(metric)} {ours.printed} of {one.id} is below {theirs.printed} of {name(other)}"
                )
                texts.append(below)
                places += [*sources.places(one, ours), *sources.places(other, theirs)]
            if len(above) > TOLD:
                texts.append(f"{_title(metric)} of more rows is above it too")

    def findings(self) -> Iterator[AuditFinding]:
        """One a table."""
        for subject, (texts, places) in self._found.items():
            what = f"{'; '.join(texts)} (told beyond {TRAINING_NOISE} points, the spread of trainings)"
            yield finding(self._kind, subject, what, *places)


# --- what 17 more blocks cost -----------------------------------------------------------------------


def _pairs(sources: AuditSources) -> Iterator[tuple[Checkpoint, Checkpoint]]:
    """R-50-D8 and R-101-D8 of everything else equal."""
    for group in _groups(sources, "backbone"):
        found = {one.backbone: one for one in group if backbone_of(one.architecture)[0] in (None, "resnet")}
        if {"R-50-D8", "R-101-D8"} <= found.keys():
            yield found["R-50-D8"], found["R-101-D8"]


def _steps(sources: AuditSources, metric: str) -> Iterator[tuple[Checkpoint, Claim, Checkpoint, Claim]]:
    """Pairs with both figures; figures copied to other schedules count once."""
    seen = set()
    for small, large in _pairs(sources):
        low, high = latest(small, metric), latest(large, metric)
        # A figure of nothing is told as impossible.
        if not low or not high or not _number(low) or not _number(high):
            continue
        if (key := (_setup(small), low.printed, high.printed)) not in seen:
            seen.add(key)
            yield small, low, large, high


def fps_steps(sources: AuditSources) -> Iterator[AuditFinding]:
    """R-101 minus R-50 in ms an image, against what the same blocks cost in the publisher's other tables.

    Out of line is a step that no value within the figures' rounding brings into the sister tables' range,
    widened by their own spread. On devices without a reference only a step that gains time is told.
    """
    for small, low, large, high in _steps(sources, "fps"):
        shortest, longest = _milliseconds(low, high)
        gflops = _added_gflops(small, large)
        expected = (0.0, float("inf"))
        if low.device == high.device == "V100" and gflops > 0:
            expected = (V100_MS_PER_GFLOP[0] * gflops, V100_MS_PER_GFLOP[1] * gflops)
        if shortest > expected[1] * (1 + SISTER_SPREAD) or longest < expected[0] * (1 - SISTER_SPREAD):
            step = 1000 / float(high.printed or 0) - 1000 / float(low.printed or 0)
            rule = (
                f"{expected[0]:.0f} to {expected[1]:.0f} ms"
                if expected[1] < float("inf")
                else "more time, not less"
            )
            what = (
                f"R-101 takes {step:+.0f} ms over R-50 ({high.printed} and {low.printed} fps), where its added "
                f"blocks, {gflops:,.0f} GFLOPs, cost {rule} elsewhere"
            )
            yield finding(
                "fps-step", _setup(small), what, *sources.places(small, low), *sources.places(large, high)
            )


def _milliseconds(low: Claim, high: Claim) -> tuple[float, float]:
    """Shortest and longest step in ms that two figures allow within half a unit of their last digits."""
    slow, fast = (_interval(claim) for claim in (high, low))
    return 1000 / slow[1] - 1000 / fast[0], 1000 / slow[0] - 1000 / fast[1]


def _interval(claim: Claim) -> tuple[float, float]:
    half = half_unit(claim.printed or "0")
    return float(max(_number(claim) - half, Decimal("0.001"))), float(_number(claim) + half)


def _added_gflops(small: Checkpoint, large: Checkpoint) -> float:
    """Operations that the larger backbone adds to one image, windows counted."""
    if not small.cost or not large.cost:
        return 0.0
    protocol, typical = small.protocols.get("miou"), small.dataset_spec.typical_size
    windows = 1
    if protocol and protocol.window and typical:
        windows = len(sliding_windows(view_size(typical, protocol, 1.0), protocol.window))
    return (large.cost.gflops - small.cost.gflops) * windows


def added_memory_mib(batch: int, crop: tuple[int, int]) -> float:
    """What ResNet-101 adds to ResNet-50's training step at output stride 8, in MiB.

    17 bottleneck blocks (1024-256-256-1024 channels at 1/8). Each keeps for the backward pass, in float32: the
    inputs of its normalisations and, activations being in place, those of the next convolutions, 2 x (256 + 256 +
    1024) channels; and four copies of its parameters: weight, gradient, momentum, all-reduce bucket. A trace
    of the whole step with fake tensors gives the same (3554 MiB for 2 x 512x1024, 4039 for 2 x 769x769).
    """
    blocks, kept_channels = 17, 2 * (256 + 256 + 1024)
    pixels = batch * -(-crop[0] // 8) * -(-crop[1] // 8)
    parameters = 2 * 1024 * 256 + 9 * 256 * 256 + 2 * (256 + 256 + 1024)
    return blocks * 4 * (kept_channels * pixels + 4 * parameters) / MIB


_Step = tuple["Checkpoint", "Claim", "Checkpoint", "Claim"]


def _memory_ratios(sources: AuditSources) -> Iterator[tuple[float, float, _Step]]:
    """Printed over predicted step in thousandths of a MiB, its rounding, and the pair."""
    for step in _steps(sources, "train_memory"):
        _, low, _, high = step
        if low.batch and low.crop and (low.batch, low.crop) == (high.batch, high.crop):
            predicted = added_memory_mib(low.batch, low.crop) / 1000
            rounding = float(half_unit(low.printed or "0") + half_unit(high.printed or "0")) / predicted
            yield float(_number(high) - _number(low)) / predicted, rounding, step


def _nearest_unit(ratio: float) -> str:
    return min(MEMORY_UNITS, key=lambda unit: abs(MEMORY_UNITS[unit] - ratio))


def memory_steps(sources: AuditSources) -> Iterator[AuditFinding]:
    """R-101 minus R-50 in training memory, against what the added blocks keep; and which unit fits each method's column."""
    columns: dict[tuple[str, str], list[tuple[float, float, _Step]]] = defaultdict(list)
    for ratio, rounding, step in _memory_ratios(sources):
        columns[step[0].publisher, step[0].method].append((ratio, rounding, step))
    fitting: dict[tuple[str, str], list[tuple[str, _Step]]] = defaultdict(list)
    for (publisher, method), found in columns.items():
        unit, _ = Counter(_nearest_unit(ratio) for ratio, *_ in found).most_common(1)[0]
        for ratio, rounding, step in found:
            near = _nearest_unit(ratio)
            if abs(ratio - MEMORY_UNITS[near]) > MEMORY_SPREAD + rounding:
                said = sources.manifest.publishers[publisher].memory_unit
                yield _memory_step(sources, said.unit if said else unit, *step)
            elif near == unit and _is_sure(ratio, rounding, unit):
                fitting[publisher, unit].append((method, step))
    yield from _other_units(sources, fitting)


def _is_sure(ratio: float, rounding: float, unit: str) -> bool:
    """Whether a step fits a unit, and within the figures' rounding no other."""
    others = (value for name, value in MEMORY_UNITS.items() if name != unit)
    near = abs(ratio - MEMORY_UNITS[unit]) <= MEMORY_SPREAD
    return near and all(abs(ratio - value) > rounding for value in others)


def _other_units(
    sources: AuditSources, fitting: dict[tuple[str, str], list[tuple[str, _Step]]]
) -> Iterator[AuditFinding]:
    """Columns headed GB whose figures can only be in another unit."""
    for (publisher, unit), found in fitting.items():
        said = sources.manifest.publishers[publisher].memory_unit
        if unit == "GB" or (said and said.unit == unit):
            continue
        methods = " and ".join(dict.fromkeys(method for method, _ in found))
        places = [place for _, (small, low, *_) in found for place in sources.places(small, low)]
        what = f"headed GB, but {number_of(len(found), 'step')} from R-50 to R-101 of {methods} fit {unit} and no other unit"
        what += f"; the publisher says {said.unit} ({said.source})" if said else ""
        yield finding("mixed-unit", "Mem (GB)", what, *places)


def _memory_step(
    sources: AuditSources, unit: str, small: Checkpoint, low: Claim, large: Checkpoint, high: Claim
) -> AuditFinding:
    assert low.batch
    assert low.crop
    needed = added_memory_mib(low.batch, low.crop) / 1000 * MEMORY_UNITS[unit]
    what = (
        f"R-101 takes {_number(high) - _number(low):+} over R-50 ({high.printed} and {low.printed}), "
        f"where its added blocks need {needed:.3f} {unit}"
    )
    return finding(
        "memory-step", _setup(small), what, *sources.places(small, low), *sources.places(large, high)
    )


# --- links, names, gaps -----------------------------------------------------------------------------


def logs_elsewhere(sources: AuditSources) -> Iterator[AuditFinding]:
    """A log that lies neither with any of its row's weights files nor in a folder of the same run's."""
    for one in sources.manifest:
        for url in one.log_urls:
            reasons = [other_run(url, weights) for weights in one.weights.urls]
            if reasons and all(reasons):
                what = f"{url} {reasons[0]} {one.weights.urls[0]}"
                places = (*sources.link_places(one, url), *sources.link_places(one, one.weights.urls[0])[1:])
                yield finding("log-path", one.id, what, *places)


def misleading_names(sources: AuditSources) -> Iterator[AuditFinding]:
    """Links whose file name says another method, backbone, crop, schedule or data set than the row; one finding a row.

    What a document says of its own row already is told there.
    """
    for one in sources.manifest:
        if any(told_of(sources, document, row) for document, row in sources.rows_of(one)):
            continue
        urls = (*one.weights.urls, *one.log_urls, *one.config_urls)
        reasons = {url: reason for url in urls if (reason := contradiction(url, one))}
        if reasons:
            url, reason = next(iter(reasons.items()))
            more = f"; {number_of(len(reasons) - 1, 'link')} more so" if len(reasons) > 1 else ""
            places = (place for link in reasons for place in sources.link_places(one, link))
            yield finding("weights-name", one.id, f"{url}: {reason}{more}", *places)


def shared_files(sources: AuditSources) -> Iterator[AuditFinding]:
    """One file linked by two rows."""
    owner: dict[str, Checkpoint] = {}
    for one in sources.manifest:
        for url in (*one.weights.urls, *one.log_urls):
            other = owner.setdefault(url, one)
            if other is not one:
                yield finding(
                    "shared-file",
                    one.id,
                    f"{url} is also linked by {other.id}",
                    sources.url_place(one, url),
                    sources.url_place(other, url),
                )


def several_names(sources: AuditSources) -> Iterator[AuditFinding]:
    """Rows whose weights and configuration go by names of different schemes."""
    renamed: dict[str, list[tuple[Checkpoint, list[str]]]] = defaultdict(list)
    for one in sources.manifest:
        names = dict.fromkeys(map(undated, filter(is_named, (*one.weights.urls, *one.config_urls))))
        if len(names) > 1:
            renamed[one.publisher].append((one, list(names)))
    for publisher, rows in renamed.items():
        _, names = rows[0]
        what = f"{number_of(len(rows), 'row')} with several names, such as {' and '.join(names)}"
        yield finding("old-and-new-names", publisher, what, *(sources.entry_place(one) for one, _ in rows))


def mistyped_hosts(sources: AuditSources) -> Iterator[AuditFinding]:
    """Domains of few links that are spelt nearly as the one of many of the publisher's is; one finding a row."""
    links: dict[str, dict[str, list[tuple[Checkpoint, str]]]] = defaultdict(lambda: defaultdict(list))
    for one in sources.manifest:
        for url in (*one.weights.urls, *one.log_urls, *one.config_urls):
            domain = ".".join(urlsplit(url).netloc.split(".")[-2:])
            links[one.publisher][domain].append((one, url))
    for domains in links.values():
        for (rare, few), (usual, many) in itertools.permutations(domains.items(), 2):
            if len(few) * RARE_HOST >= len(many) or SequenceMatcher(None, rare, usual).ratio() < ALIKE_HOST:
                continue
            for one, urls in {
                row.id: (row, [url for own, url in few if own is row]) for row, _ in few
            }.values():
                what = f"{urls[0]} is of {rare}, {number_of(len(many), 'link')} of its publisher of {usual}"
                places = [place for url in urls for place in sources.link_places(one, url)]
                yield finding("mistyped-host", one.id, what, *places)


def missing_hashes(sources: AuditSources) -> Iterator[AuditFinding]:
    """Rows without anything to check a fetched file against."""
    bare: dict[str, list[Checkpoint]] = defaultdict(list)
    for one in sources.manifest:
        if not (one.weights.sha256 or one.weights.sha256_prefix):
            bare[one.publisher].append(one)
    for publisher, rows in bare.items():
        what = f"no hash is published for the weights of {number_of(len(rows), 'row')}"
        yield finding("no-hash", publisher, what, *(sources.entry_place(one) for one in rows))


def unpublished_figures(sources: AuditSources) -> Iterator[AuditFinding]:
    """Metrics that a publisher prints for none or only some of its rows."""
    absent: dict[str, dict[str, list[tuple[Checkpoint, Claim]]]] = defaultdict(lambda: defaultdict(list))
    for one in sources.manifest:
        for claim in one.claims:
            if claim.printed is None:
                absent[one.publisher][claim.metric].append((one, claim))
    for publisher, metrics in absent.items():
        texts = [f"{_title(metric)} of {number_of(len(found), 'row')}" for metric, found in metrics.items()]
        places = [sources.claim_place(one, claim) for found in metrics.values() for one, claim in found]
        yield finding("not-published", publisher, f"{', '.join(texts)} is not published", *places)


def revised_claims(sources: AuditSources) -> Iterator[AuditFinding]:
    """Figures that their authors replaced, with the file or without it; one finding a row and kind."""
    for one in sources.manifest:
        first = {(claim.metric, claim.printed): claim for claim in reversed(one.published)}
        told: dict[Kind, list[tuple[Claim, Claim]]] = defaultdict(list)
        for claim in one.published:
            if claim.supersedes is not None:
                earlier = first[claim.metric, claim.supersedes]
                told[_revision(claim, earlier)].append((claim, earlier))
        for kind, pairs in told.items():
            texts = [_became(claim, earlier) for claim, earlier in pairs]
            texts += _became_in_documents(sources, one, pairs) if kind == "file-replaced" else []
            what = ", ".join(texts)
            notes = dict.fromkeys(
                note for _, earlier in pairs for note in (earlier.note or "").split("; ") if note
            )
            what += f"; of the earlier one: {'; '.join(notes)}" if notes else ""
            places = [place for pair in pairs for claim in pair for place in sources.places(one, claim)]
            if kind == "file-replaced":
                what += f"; today's is {one.weights.urls[0].rsplit('/', 1)[-1]}{_older(sources, one)}"
                places += [
                    Place(file=document.path, line=row.line_of("weights"))
                    for document, row in sources.rows_of(one)
                ]
            yield finding(kind, one.id, what, *places)


def _became_in_documents(
    sources: AuditSources, one: Checkpoint, pairs: list[tuple[Claim, Claim]]
) -> Iterator[str]:
    """Figures of a replaced file that the manifest has not kept, as documents print them."""
    kept = {claim.metric for claim, _ in pairs}
    for _, row in sources.rows_of(one):
        for metric, text in row.figures.items() if has_earlier_file(one, row.weights_url) else ():
            claim = latest(one, metric)
            if metric not in kept and claim and text and text != claim.printed:
                kept.add(metric)
                yield f"{_title(metric)} {text} became {claim.printed}"


def _older(sources: AuditSources, one: Checkpoint) -> str:
    """That a file which replaced another was trained before it, where a document has the other's link."""
    begun = trained_at(one.weights.urls[0])
    earlier = (trained_at(row.weights_url) for _, row in sources.rows_of(one))
    later = max((when for when in earlier if when > begun), default="") if begun else ""
    return f", trained before the one it replaced ({begun[:8]}, not {later[:8]})" if later else ""


def _revision(claim: Claim, earlier: Claim) -> Kind:
    if claim.printed == claim.supersedes:
        return "revised-to-itself"
    return "file-replaced" if earlier.earlier_file else "revised-claim"


def _became(claim: Claim, earlier: Claim) -> str:
    since = f" of {earlier.date}" if earlier.date else ""
    on = f" on {claim.date}" if claim.date else ""
    return f"{_title(claim.metric)} {claim.supersedes}{since} became {claim.printed}{on}"


def other_orders(sources: AuditSources) -> Iterator[AuditFinding]:
    """Documents that list the rows in another order than the one the claims cite."""
    positions: dict[str, list[tuple[Checkpoint, tuple[str, int]]]] = defaultdict(list)
    for one in sources.manifest:
        for listing in one.listed_in:
            positions[listing.document].append((one, (listing.section, listing.row)))
    for document, rows in positions.items():
        sections = itertools.groupby(rows, key=lambda row: row[1][0])
        moved = [row for _, group in sections for row in _out_of_order(list(group))]
        if moved:
            what = (
                f"{len(moved)} of its {len(rows)} rows stand at other places than in the page the claims cite"
            )
            yield finding("row-order", document, what, *(sources.entry_place(one) for one, _ in moved))


def _out_of_order(
    rows: list[tuple[Checkpoint, tuple[str, int]]],
) -> Iterable[tuple[Checkpoint, tuple[str, int]]]:
    ranks = {place: rank for rank, place in enumerate(sorted(place for _, place in rows))}
    return [row for index, row in enumerate(rows) if ranks[row[1]] != index]


CLAIM_CHECKS: tuple[Callable[[AuditSources], Iterator[AuditFinding]], ...] = (
    impossible_figures,
    figures_in_another_unit,
    views_that_cost_accuracy,
    copied_accuracies,
    copied_cells,
    lost_decimals,
    larger_models_that_do_worse,
    longer_schedules_that_do_worse,
    fps_steps,
    memory_steps,
    logs_elsewhere,
    misleading_names,
    shared_files,
    several_names,
    missing_hashes,
    unpublished_figures,
    mistyped_hosts,
    revised_claims,
    other_orders,
)
