"""Whole splits drawn from a part of their images: by hand, against an urn in plain Python, and at the ends."""

import random
from collections import Counter

import numpy as np
import pytest

from segbench.evaluate.count.bootstrap import image_areas, whole_split
from segbench.evaluate.count.confusion import accuracy_scores
from segbench.evaluate.protocol import Void

RIGHT, WRONG = (1, 1), (0, 1)
"""Intersection and union of an image of one pixel and one class."""


def areas(*images):
    """(images, 2, 1) of images of one class."""
    return np.array(images)[:, :, None]


def test_two_more_images_like_one_right_and_one_wrong():
    """The urn's second ball is either colour, the third more likely the same again: none, one or two right ones, a third each."""
    drawn = whole_split(areas(RIGHT, WRONG), 4, draws=30_000)
    found = Counter(drawn.tolist())
    assert found.keys() == {25.0, 50.0, 75.0}
    assert [found[one] / 30_000 for one in (25.0, 50.0, 75.0)] == pytest.approx([1 / 3] * 3, abs=0.012)


def test_one_more_image_is_like_any_of_those_counted():
    drawn = whole_split(areas(*[RIGHT] * 7, *[WRONG] * 3), 11, draws=20_000)
    assert set(drawn.tolist()) == {100 * 7 / 11, 100 * 8 / 11}
    assert (drawn > 70).mean() == pytest.approx(0.7, abs=0.015)


def test_the_spread_is_that_of_few_images_and_of_the_unknown_rest():
    """Of N images n are counted, mIoU linear in them: variance N (N - n) / (n + 1) times an image's, over N squared."""
    one, images, total = np.arange(20) % 7, 20, 120
    drawn = whole_split(np.stack([one, np.full(images, 10)], axis=1)[:, :, None], total, draws=20_000)
    expected = np.sqrt((total - images) * total / (images + 1) * np.var(100 * one / 10)) / total
    assert drawn.std() == pytest.approx(expected, rel=0.03)


def urn(matrices, total, void, generator):
    """One drawn split's mIoU: a ball out, two of its kind back, and the sum scored by the rule of every table."""
    balls = list(range(len(matrices)))
    while len(balls) < total:
        balls.append(generator.choice(balls))
    return accuracy_scores(sum(matrices[ball] for ball in balls), void).miou_percent


@pytest.mark.parametrize(
    "void", [None, Void(classes=(1,), pixels="dropped"), Void(classes=(2,), pixels="counted")]
)
def test_draws_are_those_of_an_urn_in_plain_python(void):
    """Three classes, one of which a single image holds, pixels outside the classes, and each way to leave a class out."""
    values = np.random.default_rng(3).integers(0, 50, (8, 4, 3))
    values[1:, 2] = values[1:, :, 2] = 0
    matrices, generator = list(values), random.Random(5)
    expected = np.array([urn(matrices, 30, void, generator) for _ in range(3000)])
    drawn = whole_split(image_areas(matrices, void), 30, void, draws=6000)
    shares = [0.05, 0.25, 0.5, 0.75, 0.95]
    assert np.quantile(drawn, shares) == pytest.approx(
        np.quantile(expected, shares), abs=0.12 * expected.std()
    )


def test_a_split_that_is_counted_whole_has_its_number_and_no_other():
    matrices = list(np.random.default_rng(1).integers(0, 9, (5, 5, 4)))
    drawn = whole_split(image_areas(matrices, None), 5, draws=50)
    assert drawn == pytest.approx(np.full(50, accuracy_scores(sum(matrices)).miou_percent), abs=1e-9)


def test_the_same_images_give_the_same_draws():
    images = areas(RIGHT, WRONG, RIGHT)
    assert (whole_split(images, 40) == whole_split(images, 40)).all()
