"""The manifest's figures against their neighbours and its entries against themselves, each fault planted."""

import itertools
import re
from collections import defaultdict
from statistics import median

import pytest
from planted_faults import YAML, ZOO, counted, counted_before, findings, replace, within

from segbench.zoo.audit import audit
from segbench.zoo.audit.claims import TRAINING_NOISE
from segbench.zoo.manifest import load_manifest

FIRST = "isanet_r50-d8_512x1024_40k_cityscapes"
VOC = "isanet_r101-d8_512x512_40k_voc12aug"
SSSEG = "isanet_resnet50os8_voc"
NEXT = "isanet_r50-d8_512x1024_80k_cityscapes"

FAULTS = {
    "accuracy a tenth": (
        FIRST,
        '"78.49"',
        '"7.849"',
        "point-moved",
        "mIoU 7.849 looks like 78.49 with its point moved",
    ),
    "accuracy of a table of two": (SSSEG, '"76.99"', '"7.699"', "point-moved", "mIoU 7.699 looks like 76.99"),
    "memory ten times": (FIRST, '"5.869"', '"58.69"', "point-moved", "Mem (GB) 58.69 looks like 5.869"),
    "memory a hundredth": (
        FIRST,
        '"5.869"',
        '"0.05869"',
        "point-moved",
        "looks like 5.869 with its point moved",
    ),
    "speed ten times": (VOC, '"7.42"', '"74.2"', "point-moved", "Inf time (fps) 74.2 looks like 7.42"),
    "speed a tenth": (VOC, '"7.42"', '"0.742"', "point-moved", "Inf time (fps) 0.742 looks like 7.42"),
    "ms for fps": (FIRST, '"2.91"', '"343.64"', "unit-mixup", "343.64 can only be ms an image (2.91 fps)"),
    "ms+flip copied": (
        FIRST,
        '"79.44"',
        '"78.49"',
        "equal-accuracy",
        "mIoU and mIoU(ms+flip) are both 78.49",
    ),
    "neighbour copied": (NEXT, '"78.68"', '"78.49"', "equal-accuracy", f"mIoU 78.49 as in {FIRST}"),
    "another device": (
        FIRST,
        '"2.91", device: V100',
        '"2.91", device: A100',
        "mixed-devices",
        "Inf time (fps) 2.91 of A100, V100 elsewhere in its table",
    ),
    "depth": (
        FIRST,
        "depth: 50",
        "depth: 101",
        "architecture-differs",
        "has depth 101; 37707398 parameters, 56699526 in",
    ),
    "parameters": (
        FIRST,
        "37707398",
        "37707399",
        "architecture-differs",
        "37707399 parameters, 37707398 in rows",
    ),
    "batch": (
        FIRST,
        '"5.869", device: V100, batch: 2',
        '"5.869", device: V100, batch: 4',
        "protocol-differs",
        "Mem (GB) 5.869 of 4 images a device, the row trains with 2",
    ),
    "views": (
        FIRST,
        "mmseg-cityscapes-whole,",
        "mmseg-cityscapes-whole-ms-flip,",
        "protocol-differs",
        "mIoU 78.49 by mmseg-cityscapes-whole-ms-flip, which is for mIoU(ms+flip)",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_told_once_with_what_it_looks_like(tmp_path, fault):
    row, old, new, kind, message = FAULTS[fault]
    sound = counted_before()
    found = findings(tmp_path, within(row, replace(old, new))(YAML))
    extra = counted(found) - sound
    assert [key for key in extra.elements() if key[0] == kind] == [(kind, row)]
    told = [one.what for one in found if (one.kind, one.subject) == (kind, row)]
    assert any(message in what for what in told), told


def test_sound_neighbours_of_a_misplaced_figure_are_not_blamed(tmp_path):
    found = findings(tmp_path, within(SSSEG, replace('"76.99"', '"7.699"'))(YAML))
    assert {one.subject for one in found if one.kind == "point-moved"} == {SSSEG}


def test_a_resnest_for_a_resnet_is_found(tmp_path):
    row = "isnet_resnest101os8_ade20k"
    found = findings(tmp_path, within(row, replace("backbone: resnest101", "backbone: resnet101"))(YAML))
    assert ("architecture-differs", row) in counted(found)


def test_a_figure_older_than_the_one_it_replaces_is_found(tmp_path):
    row = next(one for one in ZOO if any(claim.supersedes and claim.date for claim in one.claims))
    (claim,) = [claim for claim in row.claims if claim.supersedes]
    found = findings(tmp_path, within(row.id, replace(f'date: "{claim.date}"', 'date: "1999-01-01"'))(YAML))
    assert ("impossible-date", row.id) in counted(found)


def line_of(text, part):
    """Number of the only line with a text."""
    (found,) = [number for number, line in enumerate(text.splitlines(), start=1) if part in line]
    return found


@pytest.mark.parametrize(
    ("kind", "old", "new"),
    [
        (
            "log-path",
            f"isanet/{FIRST}/{FIRST}_20210901_054739.log.json",
            f"isanet/{FIRST}_20210901_054739.log.json",
        ),
        (
            "weights-name",
            "isnet/isnet_resnet101os8_ade20k.py",
            "emanet/emanet_resnet101os8_ade20k.py",
        ),
    ],
)
def test_a_wrong_link_is_told_with_its_own_line(tmp_path, kind, old, new):
    text = replace(old, new)(YAML)
    (found,) = [one for one in findings(tmp_path, text) if one.kind == kind]
    assert [place.line for place in found.where] == [line_of(text, new)]


EARLIER = '      - {metric: miou, printed: "79.49", protocol: mmseg-cityscapes-whole, note: "of an earlier file, -01234567.pth"}\n'


@pytest.mark.slow
def test_a_figure_that_fell_with_its_file_is_told_with_both_files(tmp_path):
    """One finding a row and kind: the figure of a file that stayed is a revised claim."""
    text = within(FIRST, replace('printed: "78.49"', 'printed: "78.49", supersedes: "79.49"'))(YAML)
    text = within(FIRST, replace("    claims:\n", f"    claims:\n{EARLIER}"))(text)
    (found,) = [one for one in findings(tmp_path, text) if one.kind == "file-replaced"]
    assert found.what == (
        "mIoU 79.49 became 78.49; of the earlier one: of an earlier file, -01234567.pth; "
        "today's is isanet_r50-d8_512x1024_40k_cityscapes_20210901_054739-981bd763.pth"
    )


@pytest.mark.slow
def test_figures_of_unlike_networks_are_no_neighbours(tmp_path):
    """A ViT-L may take four times a ViT-B's memory; a ResNet-101 takes no ten times a ResNet-50's."""
    text = within(FIRST, replace('"5.869"', '"58.69"'))(YAML)
    kinds = {one.kind for one in findings(tmp_path, text) if one.subject == FIRST}
    other = within(FIRST, replace("backbone: R-50-D8", "backbone: ViT-L"))(text)
    assert "point-moved" in kinds
    assert "point-moved" not in {one.kind for one in findings(tmp_path, other) if one.subject == FIRST}


@pytest.mark.slow
def test_one_equal_figure_among_many_rows_is_chance():
    assert "equal-accuracy" not in {one.kind for one in audit(load_manifest())}


@pytest.mark.slow
@pytest.mark.parametrize(("metric", "count", "lowest"), [("miou", 193, -1.51), ("miou_ms_flip", 186, -1.34)])
def test_the_spread_of_trainings_is_what_mmsegmentations_schedules_give(metric, count, lowest):
    """Three deviations below the median of longer minus shorter, over pairs whose names differ in the schedule alone."""
    alike = defaultdict(list)
    for row in load_manifest():
        figures = [float(claim.printed) for claim in row.published if claim.metric == metric]
        if row.publisher == "mmsegmentation" and figures:
            name = re.sub(r"[_-]\d+k(?=[_-])", "", row.id)
            alike[name, row.backbone, row.crop].append((int(row.schedule), figures[-1]))
    pairs = [
        other[1] - one[1] for rows in alike.values() for one, other in itertools.combinations(sorted(rows), 2)
    ]
    middle = median(pairs)
    deviation = 1.4826 * median(abs(pair - middle) for pair in pairs)
    assert len(pairs) == count
    assert middle - 3 * deviation == pytest.approx(lowest, abs=0.01)
    assert middle - 3 * deviation > -float(TRAINING_NOISE)


@pytest.mark.parametrize(
    ("backbone", "told"),
    [("R-101-D8", 1), ("S-101-D8", 1), ("R-101-D16", 0), ("R-101b-D8", 0), ("DeiT-B", 0)],
)
def test_a_larger_network_is_held_to_smaller_ones_of_its_kind(tmp_path, backbone, told):
    """Four points below R-50-D8: a fault of R-101-D8; another stride, stem or family has reasons of its own."""
    edit = within(
        "isanet_resnet101os8_voc",
        replace("backbone: R-101-D8", f"backbone: {backbone}"),
        replace('"78.60"', '"74.60"'),
    )
    found = [one for one in findings(tmp_path, edit(YAML)) if one.kind == "larger-model-worse"]
    assert sum("isanet_resnet101os8_voc" in one.what for one in found) == told
