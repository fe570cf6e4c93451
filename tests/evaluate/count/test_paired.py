"""Two runs over the same images, compared from their counts."""

import numpy as np
import pytest

from segbench.evaluate.count.confusion import accuracy_scores, confusion_matrix
from segbench.evaluate.count.paired import REPLICATES, compare
from segbench.evaluate.protocol import Void

CLASSES = ("a", "b", "c")
NAMES = [f"{number}" for number in range(30)]


def labels(seed, count=30):
    return np.random.default_rng(seed).integers(0, 3, (count, 6, 7), dtype=np.uint8)


def worse(truth, share, seed):
    """The truth with a share of its pixels set to the next class."""
    wrong = np.random.default_rng(seed).random(truth.shape) < share
    return np.where(wrong, (truth + 1) % 3, truth).astype(np.uint8)


def counts(predicted, truth):
    return [confusion_matrix(one, other, 3) for one, other in zip(predicted, truth, strict=True)]


def test_a_run_equals_itself():
    truth = labels(0)
    run = counts(worse(truth, 0.3, 1), truth)
    found = compare(run, run, NAMES, CLASSES, None)
    assert (found.points, tuple(found.interval), found.changed, found.least_changed_pixels) == (
        0,
        (0, 0),
        (),
        0,
    )
    assert [(one.points, tuple(one.interval)) for one in found.classes] == [(0, (0, 0))] * 3


def test_scores_are_those_of_each_run():
    truth = labels(0)
    runs = [counts(worse(truth, share, seed), truth) for share, seed in ((0.1, 1), (0.2, 2))]
    found = compare(*runs, NAMES, CLASSES, None)
    alone = [accuracy_scores(np.sum(run, axis=0)) for run in runs]
    assert (found.first, found.second) == tuple(one.miou_percent for one in alone)
    assert found.points == found.second - found.first
    assert [one.first for one in found.classes] == list(alone[0].iou_percent)
    assert [one.points for one in found.classes] == [
        other - one for one, other in zip(alone[0].iou_percent, alone[1].iou_percent, strict=True)
    ]


def test_the_interval_is_that_of_a_plain_bootstrap():
    """Drawn image by image and scored whole: the ends agree as far as two sets of draws do."""
    truth = labels(3)
    runs = [counts(worse(truth, share, seed), truth) for share, seed in ((0.1, 1), (0.15, 2))]
    found = compare(*runs, NAMES, CLASSES, None)
    random, differences = np.random.default_rng(99), []
    for _ in range(REPLICATES):
        drawn = random.integers(0, 30, 30)
        one, other = (accuracy_scores(sum(run[index] for index in drawn)).miou_percent for run in runs)
        differences.append(other - one)
    expected = np.quantile(differences, [0.025, 0.975])
    assert tuple(found.interval) == pytest.approx(tuple(expected), abs=0.3)
    assert found.interval.low < found.points < found.interval.high


def test_changed_pixels_are_a_lower_bound_and_exact_where_each_leaves_its_class():
    truth = labels(4, 2)
    first, second = truth.copy(), truth.copy()
    second[1, 0, :5] = (truth[1, 0, :5] + 1) % 3
    found = compare(counts(first, truth), counts(second, truth), ["0", "1"], CLASSES, None)
    assert [tuple(one) for one in found.changed] == [("1", 5, -5)]
    assert (found.least_changed_pixels, found.pixels) == (5, 2 * 42)
    swapped = truth.copy()  # a pixel gained and one of the same label lost, to the same class
    row = np.flatnonzero(truth[0].ravel() == 0)[:2]
    first[0].ravel()[row[0]] = 1
    swapped[0].ravel()[row[1]] = 1
    assert (
        compare(counts(first, truth), counts(swapped, truth), ["0", "1"], CLASSES, None).least_changed_pixels
        == 0
    )


def test_an_absent_class_has_no_difference():
    truth = np.zeros((2, 3, 3), np.uint8)
    run = counts(truth, truth)
    found = compare(run, run, ["0", "1"], CLASSES, None)
    assert [(one.first, one.points, one.interval) for one in found.classes[1:]] == [(None, None, None)] * 2
    assert found.first == 100


def test_the_rule_for_void_holds_for_both():
    truth = labels(5)
    runs = [counts(worse(truth, share, seed), truth) for share, seed in ((0.1, 1), (0.2, 2))]
    void = Void(classes=(2,), pixels="dropped")
    found = compare(*runs, NAMES, CLASSES, void)
    assert found.first == accuracy_scores(np.sum(runs[0], axis=0), void).miou_percent


def test_one_image_has_no_interval_and_none_no_comparison():
    truth = labels(6, 1)
    run = counts(truth, truth)
    found = compare(run, run, ["0"], CLASSES, None)
    assert (found.interval, found.classes[0].interval) == (None, None)
    with pytest.raises(ValueError, match="no image in common"):
        compare([], [], [], CLASSES, None)
