"""Is a data set what its numbers will be said to be measured on? Seconds, before hours of inference.

What is looked at, and how much of it: the names of every file; the size in bytes of every file of the split;
the headers of `HEADERS` pairs; the pixels of `SAMPLE` pairs, both spread evenly over the split. A fault in one
file that no sample met is found by `zoo verify` all the same, which reads every file and names it.
"""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from ...pixels import map_values, read_image, read_label, read_values
from ..datasets import Dataset, DatasetError, Sample, content_sha256, samples
from ..subsets import spread
from .contents import damaged_images, decoder_complaints
from .files import Inventory, take_inventory
from .findings import Finding, Fingerprint, Report, some
from .headers import Pair, header_findings, read_pair, unreadable, usable_pairs
from .images import Look, identical_labels, image_findings, look_at, sky_class
from .tally import Tally
from .values import value_findings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from ..datasets import DatasetSpec, LabelFiles

    Watch = Callable[[Sequence[Sample], str], Iterable[Sample]]
    """Passes samples on and may show how far the named work is."""

SAMPLE = 32
"""Images decoded with their labels: 2 to 4 s for 2048 x 1024 pictures on one core."""
HEADERS = 512
"""Pairs whose headers are read: the whole of Cityscapes, and under a second from a local disk."""


def check(
    spec: DatasetSpec,
    data_root: Path | None,
    *,
    sample: int = SAMPLE,
    headers: int = HEADERS,
    watch: Watch | None = None,
) -> Report:
    """Examine a data set below `data_root`, or at it; whatever is wrong is a finding, nothing is raised.

    Args:
        spec: what the data set should be.
        data_root: as for `locate`; None gives the finding that it is not set.
        sample: pairs whose pixels are read, spread evenly over the split.
        headers: pairs whose headers are read; never fewer than `sample`.
        watch: shows progress.
    """
    started = time.monotonic()
    try:
        inventory = _unscored(spec) if spec.unscored else take_inventory(spec, data_root)
    except DatasetError as error:
        inventory = _unlisted(error)
    if isinstance(inventory, Finding):
        report = msgspec.structs.replace(_report(spec), findings=(inventory,))
    else:
        report = _Examination(inventory, sample, max(headers, sample), watch or _unwatched).report()
    return msgspec.structs.replace(report, seconds=round(time.monotonic() - started, 3))


def _report(spec: DatasetSpec) -> Report:
    """A report before anything was found."""
    return Report(dataset=spec.name, title=spec.title, split=spec.split, expected_images=spec.image_count)


def _unscored(spec: DatasetSpec) -> Finding:
    return Finding(
        kind="not scored",
        gravity="error",
        what=f"{spec.title} {spec.split}: {spec.unscored}",
        effect="no number can be measured on it",
        remedy="nothing to do here",
    )


def _unlisted(error: DatasetError) -> Finding:
    return Finding(
        kind="unreadable",
        gravity="error",
        what=str(error),
        effect="which files are there is unknown: no number",
        remedy="mend what the message names: give yourself the right to read the folder, or rename the file",
    )


def _unwatched(items: Sequence[Sample], label: str) -> Iterable[Sample]:
    del label
    return items


class _Examination:
    """The files of one data set that was found, opened as far as needed."""

    def __init__(self, inventory: Inventory, sample: int, headers: int, watch: Watch) -> None:
        self.inventory = inventory
        self.spec = inventory.spec
        self.sample = sample
        self.headers = headers
        self.watch = watch

    def report(self) -> Report:
        form = self.inventory.form
        found = len(set(self.inventory.ids) & self.inventory.images)
        report = msgspec.structs.replace(
            _report(self.spec),
            found_images=found,
            root=self.inventory.place.root,
            images=self.inventory.place.images,
            label_files=form,
            findings=self.inventory.findings,
        )
        return report if form is None else self._opened(report, self._dataset())

    def _dataset(self) -> Dataset:
        """The split as listed, whatever is missing from it."""
        form = self.inventory.form
        assert form is not None
        dataset = Dataset(spec=self.spec, root=self.inventory.place.root, label_files=form, samples=())
        listed = samples(dataset, self.inventory.place.images, dict.fromkeys(self.inventory.ids))
        return msgspec.structs.replace(dataset, samples=listed)

    def _opened(self, report: Report, dataset: Dataset) -> Report:
        """Empty files, headers of a larger and pixels of a smaller sample."""
        complete = set(self.inventory.pairs)
        paired = [sample for sample in dataset.samples if sample.id in complete]
        pairs = self._headers(paired, dataset)
        usable = usable_pairs(pairs)
        tally, looks, faults, complaints = self._pixels(spread(usable, self.sample), dataset)
        whole = len(tally.files) == self.spec.image_count
        values = value_findings(tally, whole=whole) if tally.files and not self._withheld() else []
        if not any(finding.gravity == "error" for finding in values):
            values += identical_labels(tally.files, looks)
            values += _differing_forms(dataset, self.inventory.place.images, tally)
        return msgspec.structs.replace(
            report,
            headers_read=len(pairs),
            pixels_read=len(tally.files),
            fingerprint=_fingerprint(dataset, tally),
            findings=(
                *report.findings,
                *header_findings(pairs, self.spec),
                *unreadable(faults, len(pairs)),
                *damaged_images(complaints, len(tally.files)),
                *image_findings(looks),
                *values,
            ),
        )

    def _withheld(self) -> bool:
        return any(finding.kind == "labels withheld" for finding in self.inventory.findings)

    def _headers(self, paired: list[Sample], dataset: Dataset) -> list[Pair]:
        """The headers of a spread of pairs, and of every pair with an empty file."""
        chosen = {sample.id for sample in spread(paired, self.headers)}
        chosen |= {sample.id for sample in paired if _is_empty(sample)}
        looked = [sample for sample in paired if sample.id in chosen]
        return [
            read_pair(sample, dataset.label_files, len(self.spec.classes))
            for sample in self.watch(looked, "headers")
        ]

    def _pixels(
        self, chosen: list[Pair], dataset: Dataset
    ) -> tuple[Tally, dict[str, Look], list[str], dict[Path, str]]:
        """Values of the chosen labels, looks of their images, why pairs cannot be used, what the decoder said."""
        palettes = {pair.sample.id: pair.label.palette for pair in chosen if pair.label.palette}
        tally = Tally(spec=self.spec, form=dataset.label_files, palettes=palettes)
        looks: dict[str, Look] = {}
        faults, complaints = [], {}
        for sample in self.watch([pair.sample for pair in chosen], "pixels"):
            with decoder_complaints() as said:
                fault = _count(sample, tally, looks)
            faults += [fault] if fault else []
            complaints |= {sample.image: said[0]} if said and not fault else {}
        return tally, looks, faults, complaints


def _count(sample: Sample, tally: Tally, looks: dict[str, Look]) -> str:
    """Decode a pair, look at its image and tally its label; why it cannot be, or nothing."""
    try:
        image = read_image(sample.image)
        values = read_values(sample.label, tally.form, tally.spec.ignore_index, len(tally.spec.classes))
    except DatasetError as error:
        return str(error)
    if image.shape[:2] != values.shape:
        return f"{sample.image}: decodes to {image.shape[:2]} (height, width), its label to {values.shape}"
    tally.add(sample.id, values)
    classes = map_values(values, tally.form, tally.spec.ignore_index)
    looks[sample.id] = look_at(image, classes, sky_class(tally.spec.classes))
    return ""


def _differing_forms(dataset: Dataset, images: Path, tally: Tally) -> Iterator[Finding]:
    """Label forms that lie beside the one that is used and read to other classes in the sampled images."""
    used = dataset.label_files
    for form in dataset.spec.labels:
        if form is used:
            continue
        twins = samples(msgspec.structs.replace(dataset, label_files=form), images, tally.files)
        ours = samples(dataset, images, tally.files)
        pairs = [(one, twin) for one, twin in zip(ours, twins, strict=True) if twin.label.is_file()]
        unlike = [one.id for one, twin in pairs if not _same_classes(one, used, twin, form, dataset.spec)]
        if unlike:
            yield Finding(
                kind="label forms differ",
                gravity="error",
                what=f"*{used.suffix}, which is used, and *{form.suffix} give other classes in {len(unlike)} of {len(pairs)} "
                f"sampled images: {some(unlike)}",
                effect="one of the two is wrong, and the number is that of the form that is used",
                remedy=f"find out which form is as published and remove the other; *{used.suffix} may be a faulty conversion",
            )


def _same_classes(
    one: Sample, form: LabelFiles, other: Sample, other_form: LabelFiles, spec: DatasetSpec
) -> bool:
    try:
        first = read_label(one.label, form, spec.ignore_index, len(spec.classes))
        second = read_label(other.label, other_form, spec.ignore_index, len(spec.classes))
    except DatasetError:
        return False
    return np.array_equal(first, second)


def _is_empty(sample: Sample) -> bool:
    """Whether one of its files has no bytes, or is a link to nothing."""
    try:
        return any(path.stat().st_size == 0 for path in (sample.image, sample.label))
    except OSError:
        return True


def _fingerprint(dataset: Dataset, tally: Tally) -> Fingerprint:
    sampled = [sample for sample in dataset.samples if sample.id in tally.files]
    contents = [
        [sample.id.encode("utf-8", "surrogateescape").hex(), content_sha256(sample)] for sample in sampled
    ]
    classes, ignored, stray = tally.class_pixels()
    return Fingerprint(
        ids_sha256=dataset.ids_sha256(),
        sample_sha256=hashlib.sha256(msgspec.json.encode(contents)).hexdigest(),
        sampled_ids=tuple(sample.id for sample in sampled),
        label_pixels=classes,
        ignored_pixels=ignored,
        stray_pixels=stray,
    )
