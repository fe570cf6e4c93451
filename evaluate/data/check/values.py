"""Label values of a sample against what a data set's labels are said to mean.

A wrong set of labels seldom crashes anything: it gives a number, and a low one. What tells wrong sets apart
are values that the right one never holds; where a sample cannot prove a fault, the finding is a warning.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from ...count.confusion import accuracy_scores
from .findings import Finding, some
from .palettes import palette_findings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..datasets import DatasetSpec, LabelFiles
    from .tally import Tally


_MANY_IGNORED = 0.25
_MUCH_ZERO = 20.0
_FAR_MORE = 1.5
_LUMA = (0.299, 0.587, 0.114)


_MANY_FILES = 8
"""Sampled labels from which on a lack of classes means something."""
_MANY_CLASSES = 15
"""Classes from which on labels without gaps are odd."""
_SHARE_OF_CLASSES = 10
"""A sample with at most one class in so many is suspicious."""


def value_findings(tally: Tally, *, whole: bool) -> list[Finding]:
    """What the values say; `whole` where the sample is the whole split."""
    drawn = list(palette_findings(tally))
    if any(finding.gravity == "error" for finding in drawn):
        return drawn
    fault = _wrong_labels(tally)
    if fault is not None:
        return [fault]  # explains whatever else is odd about the values
    odd = [*drawn, *_ignored(tally), *_void_as_ignored(tally), *_monotonous(tally)]
    odd = odd or [*_numbered(tally), *_nothing_ignored(tally)]
    return odd or (list(_never_present(tally)) if whole else [])


def _wrong_labels(tally: Tally) -> Finding | None:
    if tally.form.value_map:
        known = _train_ids_mapped(tally)
    elif tally.form.reduce_zero:
        known = _reduced_twice(tally)
    else:
        known = _label_ids_unmapped(tally) or _grey_palette(tally) or _not_reduced(tally)
    return known or _outside(tally)


# --- labelIds and trainIds ---------------------------------------------------------------------------


def _label_ids_unmapped(tally: Tally) -> Finding | None:
    """Files in the place of class indices that hold values which another form of the data set maps."""
    stray = tally.stray()
    for form in tally.spec.labels:
        if not form.value_map or not stray & set(form.value_map) or max(stray) > max(form.value_map):
            continue
        if stray == {len(tally.spec.classes)}:
            continue  # classes counted from 1, or void written as one more class: no sign of raw ids
        files = [name for name, values in tally.files.items() if stray & values.keys()]
        return Finding(
            kind="labelIds as trainIds",
            gravity="error",
            what=f"{len(files)} of {len(tally.files)} sampled *{tally.form.suffix} hold raw ids as in *{form.suffix}: "
            f"values {_list(stray)}, expected 0 to {len(tally.spec.classes) - 1} and {tally.spec.ignore_index}; "
            f"{some(files)}",
            effect=_misread(tally, form, files),
            remedy=f"delete the *{tally.form.suffix} where *{form.suffix} lie beside them, else rename them to that: raw ids are "
            "converted while reading; or make them again by the data set's own preparation",
        )
    return None


def _train_ids_mapped(tally: Tally) -> Finding | None:
    """Files in the place of raw ids that hold class indices already."""
    files, evidence = _holding_indices(tally)
    if not files:
        return None
    proven = tally.spec.ignore_index in tally.pixels
    return Finding(
        kind="trainIds as labelIds",
        gravity="error" if proven else "warning",
        what=f"{len(files)} of {len(tally.files)} sampled *{tally.form.suffix} {'' if proven else 'seem to '}hold class indices "
        f"instead of raw ids: {evidence}; {some(files)}",
        effect=_misread(tally, _plain(tally.form), files),
        remedy=f"unpack the *{tally.form.suffix} of the data set's archive again; class indices belong in files named "
        + " or ".join(f"*{form.suffix}" for form in tally.spec.labels if not form.value_map),
    )


def _holding_indices(tally: Tally) -> tuple[list[str], str]:
    """The files that hold class indices, and what shows it: the ignore index, or in all of them small values."""
    ignore, last = tally.spec.ignore_index, len(tally.spec.classes) - 1
    indices = set(range(last + 1))
    if ignore in tally.form.value_map:
        return [], ""  # raw ids have it too
    marked = [name for name, values in tally.files.items() if {ignore} <= values.keys() <= indices | {ignore}]
    if marked:
        return marked, f"value {ignore}, which raw ids never have, and none above {last}"
    if tally.pixels.keys() <= indices | {last + 1}:
        return list(
            tally.files
        ), f"no value above {max(tally.pixels)}, though raw ids reach {max(tally.form.value_map)}"
    return [], ""


# --- 0 as a class or as unlabelled -------------------------------------------------------------------


def _reduced_twice(tally: Tally) -> Finding | None:
    """Labels that hold class indices already, where reading takes 0 for unlabelled and moves the rest down."""
    spec, last = tally.spec, len(tally.spec.classes)
    present = set(tally.pixels)
    if last in present or tally.stray():
        return None  # value `last` exists before the reduction only
    proven = {0, spec.ignore_index} <= present
    if spec.ignore_index in present:
        evidence = f"value {spec.ignore_index} occurs, which the original labels never have"
    elif _mostly_zero(tally):
        evidence = f"{tally.share([0]):.1f}% of the pixels are 0, far more than go unlabelled"
    else:
        return None
    return Finding(
        kind="labels reduced twice",
        gravity="error" if proven else "warning",
        what=f"the labels {'are' if proven else 'seem to be'} reduced already (0 is {spec.classes[0]}, not unlabelled), and "
        f"reading them reduces again: in {len(tally.files)} sampled labels {evidence}, and {last} does not occur",
        effect=_misread(tally, _plain(tally.form), tally.files),
        remedy=f"use the label files of the archive as they are (0 unlabelled, 1 to {last} classes)",
    )


def _mostly_zero(tally: Tally) -> bool:
    """Whether 0 is so frequent that it will be the first class rather than what nobody labelled.

    A few percent of ADE20K and COCO-Stuff are unlabelled; a first class that took those pixels in has more.
    """
    others = max((pixels for value, pixels in tally.pixels.items() if value), default=0)
    return tally.share([0]) >= _MUCH_ZERO and tally.pixels[0] >= _FAR_MORE * others


def _not_reduced(tally: Tally) -> Finding | None:
    """Labels that hold 1 to C with 0 unlabelled, where reading takes 0 for the first class.

    One value past the last class is either that or the mark of unlabelled pixels; what is unlabelled occurs in
    most files, so the rarer of the two values is the class.
    """
    spec, past = tally.spec, len(tally.spec.classes)
    if tally.stray() != {past} or spec.ignore_index in tally.pixels:
        return None
    with_zero, with_past = (sum(value in values for values in tally.files.values()) for value in (0, past))
    if with_zero <= with_past:
        return None
    reduced = msgspec.structs.replace(tally.form, reduce_zero=True)
    return Finding(
        kind="labels not reduced",
        gravity="error",
        what=f"the labels look unreduced (0 unlabelled, 1 to {past} classes), expected 0 to {past - 1}: value {past} occurs in "
        f"{with_past} and 0 in {with_zero} of {len(tally.files)} sampled labels",
        effect=_misread(tally, reduced, tally.files),
        remedy="put a class for 0 first into classes.txt, or save the labels one lower with 255 for 0"
        if spec.is_own
        else "set reduce_zero: true for this label form, or use labels whose first class is 0",
    )


# --- other values ------------------------------------------------------------------------------------


def _grey_palette(tally: Tally) -> Finding | None:
    """Palette labels that were saved as grey pictures: each value is the brightness of a palette colour."""
    greys = {round(sum(w * c for w, c in zip(_LUMA, colour, strict=True))) for colour in tally.spec.palette}
    near = {grey + offset for grey in greys | {255, 220} for offset in (-1, 0, 1)}
    stray = tally.stray()
    if len(stray) < 2 or not stray <= near or not tally.spec.palette:
        return None
    return Finding(
        kind="colour labels",
        gravity="error",
        what=f"the labels are grey pictures of the palette's colours: values {_list(stray)} are their brightness, expected "
        f"0 to {len(tally.spec.classes) - 1}",
        effect=_dropped(tally, stray),
        remedy="take the palette PNGs as they were; never convert them to grey or RGB",
    )


def _outside(tally: Tally) -> Finding | None:
    stray = tally.stray()
    if not stray:
        return None
    spec, form = tally.spec, tally.form
    expected = _expected_values(spec, form)
    past = len(spec.classes)
    hint = _known_stray(spec, min(stray))
    if not hint and stray == {past} and not form.value_map and not form.reduce_zero:
        hint = f"; if {past} marks unlabelled pixels, it is the ignore index and must be given as that"
    files = [name for name, values in tally.files.items() if stray & values.keys()]
    return Finding(
        kind="values outside map",
        gravity="error",
        what=f"{len(files)} of {len(tally.files)} sampled labels hold values {_list(stray)} ({tally.share(stray):.2f}% of pixels), "
        f"expected {expected}{hint}; {some(files)}",
        effect=_unmapped(tally, stray) if form.value_map else _dropped(tally, stray),
        remedy="complete classes.txt, or name the value that counts nowhere in its first line (ignore: N)"
        if spec.is_own
        else "use the label files of the data set's archive; labels of another release or another class list do not fit",
    )


def _known_stray(spec: DatasetSpec, value: int) -> str:
    """What labels with this value are, where the data set's own description knows."""
    known = max((one for one in spec.stray_values if one <= value), default=None)
    return "" if known is None else f": these are {spec.stray_values[known]}"


def _expected_values(spec: DatasetSpec, form: LabelFiles) -> str:
    if spec.ignore_index in form.value_map.values():
        return f"the {len(form.value_map)} ids of its map"
    if form.value_map:
        return f"ids up to {max(form.value_map)}"
    if form.reduce_zero:
        return f"0 (unlabelled) and 1 to {len(spec.classes)}"
    return f"0 to {len(spec.classes) - 1} and {spec.ignore_index} (ignored)"


def _unmapped(tally: Tally, stray: set[int]) -> str:
    return (
        f"{tally.share(stray):.2f}% of the pixels are ignored without a word: the number rests on the others"
    )


def _dropped(tally: Tally, stray: set[int]) -> str:
    return (
        f"the metric drops {tally.share(stray):.2f}% of the pixels from the label areas while predictions there still "
        "enlarge the unions: every class predicted there loses IoU"
    )


def _ignored(tally: Tally) -> Iterator[Finding]:
    meaning, ignore = tally.meaning(), tally.spec.ignore_index
    empty = [name for name, values in tally.files.items() if {meaning[value] for value in values} == {ignore}]
    if not empty or (len(empty) < 2 < len(tally.files)) or len(empty) < _MANY_IGNORED * len(tally.files):
        return
    everything = len(empty) == len(tally.files)
    yield Finding(
        kind="everything ignored",
        gravity="error" if everything else "warning",
        what=f"{len(empty)} of {len(tally.files)} sampled labels have no pixel of any class, only values "
        f"{_list(set().union(*(tally.files[name] for name in empty)))}: {some(empty)}",
        effect="no pixel counts: no number"
        if everything
        else "these images count nowhere: the number rests on the others",
        remedy="use the labels of an annotated split; those of a test split are often empty",
    )


def _void_as_ignored(tally: Tally) -> Iterator[Finding]:
    """Labels whose void pixels were given to the ignore index, where the published ones have a class for them."""
    spec = tally.spec
    classes, ignored, _ = tally.class_pixels()
    if not spec.void_class or not ignored:
        return
    index, left = spec.classes.index(spec.void_class), classes[spec.void_class]
    files = [name for name, values in tally.files.items() if spec.ignore_index in values]
    yield Finding(
        kind="void as ignored",
        gravity="error",
        what=f"{len(files)} of {len(tally.files)} sampled labels hold {spec.ignore_index}, which the published ones never do, and "
        f"{left} pixels are {spec.void_class!r} (class {index}): void was rewritten from {index} to {spec.ignore_index}; {some(files)}",
        effect="pixels that a protocol may count as a class count nowhere: its number comes out higher",
        remedy=f"use the label files of the data set's archive, in which void is {index}; a protocol says what it counts for",
    )


def _nothing_ignored(tally: Tally) -> Iterator[Finding]:
    """Labels without a single ignored pixel where nearly every published one has some."""
    classes, ignored, _ = tally.class_pixels()
    void = tally.spec.void_class
    if void and not classes[void] and len(tally.files) >= _MANY_FILES:
        yield Finding(
            kind="nothing ignored",
            gravity="warning",
            what=f"{len(tally.files)} sampled labels have no pixel of {void!r}, expected some in nearly every one",
            effect="void pixels count as another class here, as in no published number",
            remedy="use the label files of the data set's archive; a conversion has given void pixels to a class",
        )
    if tally.spec.has_void and not ignored and any(classes.values()):
        yield Finding(
            kind="nothing ignored",
            gravity="warning",
            what=f"{len(tally.files)} sampled labels have no pixel that counts nowhere, expected some in nearly every one",
            effect="void pixels count as a class here, as in no published number",
            remedy="use the label files of the data set's archive; a conversion has given void pixels to a class",
        )


def _monotonous(tally: Tally) -> Iterator[Finding]:
    """Labels of one class only, or next to none, where a split has many: masks of something else."""
    found = {name for name, pixels in tally.class_pixels()[0].items() if pixels}
    few = max(1, len(tally.spec.classes) // _SHARE_OF_CLASSES)
    if not found or len(found) > few or len(tally.files) < _MANY_FILES or len(tally.spec.classes) < 3:
        return
    yield Finding(
        kind="few classes",
        gravity="error" if len(found) == 1 else "warning",
        what=f"{len(tally.files)} sampled labels hold {len(found)} of {len(tally.spec.classes)} classes: "
        f"{', '.join(sorted(found))}",
        effect="the number is about these classes alone",
        remedy="make sure that these are the class labels, not binary, instance or empty masks",
    )


def _numbered(tally: Tally) -> Iterator[Finding]:
    """Labels that count objects: in every file the values go from 1 on without a gap, to another end each time."""
    if len(tally.files) < _MANY_FILES or len(tally.spec.classes) < _MANY_CLASSES or not _is_plain(tally.form):
        return
    objects = [values.keys() - {0, tally.spec.ignore_index} for values in tally.files.values()]
    if all(found == set(range(1, len(found) + 1)) for found in objects) and len(set(map(len, objects))) > 2:
        yield Finding(
            kind="instance masks",
            gravity="warning",
            what=f"each of {len(objects)} sampled labels holds the values from 1 to some number up to "
            f"{max(map(len, objects))} without a gap, as masks that number objects do; classes leave gaps",
            effect="the number of an object is taken for a class",
            remedy="use the class masks, which often lie in a folder beside (VOC: SegmentationClass, not SegmentationObject)",
        )


def _never_present(tally: Tally) -> Iterator[Finding]:
    lacking = [name for name, pixels in tally.class_pixels()[0].items() if not pixels]
    if lacking:
        yield Finding(
            kind="class never present",
            gravity="note",
            what=f"{len(lacking)} of {len(tally.spec.classes)} classes have no pixel in the split: {some(lacking)}",
            effect="such a class is left out of the mean where it is never predicted, and counts as 0 where it is",
            remedy="nothing to do if the split is meant so",
        )


# --- what a mistake costs ----------------------------------------------------------------------------


def _misread(tally: Tally, meant: LabelFiles, files: Iterable[str]) -> str:
    """The mIoU that a faultless model would get on the sample, labels meaning one thing and read as another."""
    score = faultless_miou(tally, meant, files)
    first = next(
        (
            f"{tally.spec.classes[index]} is read as {_class_name(tally.spec, tally.meaning()[value])}"
            for value, index in tally.meaning(meant).items()
            if 0 <= index < len(tally.spec.classes) and tally.meaning()[value] != index
        ),
        "",
    )
    return f"{first}; a model right in every pixel would score {score:.1f}% mIoU on the sample".lstrip("; ")


def _class_name(spec: DatasetSpec, index: int) -> str:
    if index == spec.ignore_index:
        return "unlabelled"
    return spec.classes[index] if 0 <= index < len(spec.classes) else "no class"


def faultless_miou(tally: Tally, meant: LabelFiles, files: Iterable[str]) -> float:
    """The mIoU, in percent, of a model right in every pixel, where `files` mean what `meant` says.

    Every label is read by the tally's form, and all the others mean what they are read as.
    """
    size, ignore = len(tally.spec.classes), tally.spec.ignore_index
    matrix = np.zeros((size + 1, size), dtype=np.int64)
    wrong, read, other = set(files), tally.meaning(), tally.meaning(meant)
    for name, values in tally.files.items():
        true = other if name in wrong else read
        for value, pixels in values.items():
            if read[value] != ignore and 0 <= true[value] < size:
                matrix[read[value] if 0 <= read[value] < size else size, true[value]] += pixels
    return accuracy_scores(matrix).miou_percent if matrix[:size].any() else 0.0


def _is_plain(form: LabelFiles) -> bool:
    """Whether stored values are class indices as they are."""
    return not (form.reduce_zero or form.value_map)


def _plain(form: LabelFiles) -> LabelFiles:
    return msgspec.structs.replace(form, reduce_zero=False, value_map={})


def _list(values: Iterable[int]) -> str:
    ordered = sorted(values)
    return ", ".join(str(value) for value in ordered[:8]) + (" ..." if len(ordered) > 8 else "")
