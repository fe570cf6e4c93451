"""Counting label maps where they lie, and what rounding could move."""

import numpy as np
import pytest
import torch

from segbench.evaluate.count.confusion import accuracy_scores, confusion_matrix
from segbench.evaluate.count.margins import LIMITS, Closeness, explanation, summed
from segbench.evaluate.inference.counting import Counting
from segbench.evaluate.inference.tiles import Decision


@pytest.fixture
def maps():
    """Labels, runners-up, margins from 1e-7 to 1, and labels to hold against, some ignored, some of no class."""
    random = np.random.RandomState(0)
    truth = random.randint(0, 5, (30, 40)).astype(np.int32)
    labels = np.where(random.rand(30, 40) < 0.7, truth, random.randint(0, 5, (30, 40))).astype(np.uint8)
    second = ((labels + 1 + random.randint(0, 4, labels.shape)) % 5).astype(np.uint8)
    margins = (10.0 ** random.uniform(-7, 0, labels.shape)).astype(np.float32)
    truth[0], truth[1], truth[2] = 255, -3, 5
    return labels, margins, second, truth


def counted(labels, margins, second, truth):
    decision = Decision(*map(torch.from_numpy, (labels, margins, second)))
    return Counting(decision, torch.from_numpy(truth), 5, 255).result()


def test_the_matrix_is_that_of_the_reference(maps):
    labels, _, _, truth = maps
    np.testing.assert_array_equal(counted(*maps).matrix, confusion_matrix(labels, truth, 5))


def test_close_pixels_are_those_below_each_limit(maps):
    _, margins, _, truth = maps
    close = counted(*maps).closeness
    expected = [((margins < np.float32(limit)) & (truth != 255)).sum() for limit in LIMITS]
    np.testing.assert_array_equal(close.pixels(), expected)
    assert close.counts.sum() == 2 * expected[-1]


def test_closeness_survives_its_bytes_and_adds_up(maps):
    close = counted(*maps).closeness
    again = Closeness.decode(close.encode(), 5)
    np.testing.assert_array_equal(again.counts, close.counts)
    np.testing.assert_array_equal(summed([close, again]).counts, 2 * close.counts)
    with pytest.raises(ValueError, match="cell"):
        Closeness.decode(close.encode(), 3)


@pytest.mark.parametrize("share", [0.3, 1.0])
@pytest.mark.parametrize("limit", range(len(LIMITS)))
def test_the_bound_holds_whatever_close_pixels_change_sides(maps, limit, share):
    labels, margins, second, truth = maps
    counts = counted(*maps)
    fall, rise = counts.closeness.miou_change(counts.matrix, limit)
    now = accuracy_scores(counts.matrix).miou_percent
    for seed in range(10):
        chosen = np.random.RandomState(seed).rand(30, 40) <= share
        swapped = np.where((margins < np.float32(LIMITS[limit])) & chosen, second, labels)
        moved = accuracy_scores(confusion_matrix(swapped, truth, 5)).miou_percent
        assert now - fall - 1e-9 <= moved <= now + rise + 1e-9


def test_a_class_of_no_pixel_that_would_enter_is_part_of_the_bound():
    """Two classes right everywhere; one close pixel would bring the third in, with an IoU of 0."""
    labels = np.array([[0, 0, 1, 1]], np.uint8)
    margins = np.array([[0.5, 0.5, 0.5, 1e-4]], np.float32)
    second = np.array([[1, 1, 0, 2]], np.uint8)
    counts = counted(labels, margins, second, labels.astype(np.int32))
    fall, _ = counts.closeness.miou_change(counts.matrix, 3)
    swapped = confusion_matrix(np.array([[0, 0, 1, 2]]), labels, 5)
    assert fall == pytest.approx(100 - accuracy_scores(swapped).miou_percent)


def test_a_difference_is_explained_by_the_smallest_rounding_that_suffices():
    summary = [
        {"below": 1e-5, "share_percent": 0.1, "miou_may_fall_points": 0.01, "miou_may_rise_points": 0.02},
        {"below": 1e-4, "share_percent": 0.4, "miou_may_fall_points": 0.1, "miou_may_rise_points": 0.2},
    ]
    assert explanation(summary, -0.15) == (
        "explainable only if rounding swaps a pixel's best two classes that are 0.0001 apart"
    )
    assert explanation(summary, 0.15) == (
        "not explainable by rounding: wherever a pixel's best two classes are closer than 0.0001, swapping them "
        "changes mIoU by at most 0.100 points"
    )
