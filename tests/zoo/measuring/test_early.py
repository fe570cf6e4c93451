"""What is said of a number before all its images are counted."""

import numpy as np
import pytest

from segbench.reports.tolerance import DEFAULT
from segbench.reports.verdict import judge
from segbench.zoo.measuring.early import Foresight
from segbench.zoo.measuring.sample import Sample


def verdicts(printed, *, comparable=True):
    """Of a claim of this figure, by the default band."""
    return lambda miou: judge(
        checkpoint="row",
        metric="miou",
        printed=printed,
        measured=miou,
        tolerance=DEFAULT,
        comparable=comparable,
    )


def images(right, wrong):
    """Ids and matrices of images of one class and one pixel; a wrong one's label is outside the classes."""
    return [
        (f"{place}", np.array([[1], [0]] if place < right else [[0], [1]])) for place in range(right + wrong)
    ]


def areas(counted, rest):
    """Label areas of those images and of `rest` more whose one pixel is of the class."""
    known = {name: matrix.sum(axis=1) for name, matrix in counted}
    return known | {f"rest {place}": np.array([1, 0]) for place in range(rest)}


def test_the_chance_of_each_verdict_by_hand():
    """Seven of ten images right and one to come: 8 of 11 or 7 of 11, with chances of 70 and 30 %."""
    counted = images(7, 3)
    judges = {one: verdicts(one) for one in ("72.73", "72.60", "70.00")}
    found = Foresight(counted, 11, judges, areas=areas(counted, 1)).sample()
    assert (found.images, found.of) == (10, 11)
    assert found.bounds == pytest.approx((100 * 7 / 11, 100 * 8 / 11), abs=1e-6)
    assert found.interval == pytest.approx((100 * 7 / 11, 100 * 8 / 11))
    about = pytest.approx
    assert found.chances == {
        "72.73": {"reproduced": about(0.7, abs=0.05), "drift": 0, "refuted": about(0.3, abs=0.05)},
        "72.60": {"reproduced": 0, "drift": about(0.7, abs=0.05), "refuted": about(0.3, abs=0.05)},
        "70.00": {"reproduced": 0, "drift": 0, "refuted": 1},
    }


def test_too_few_images_say_nothing_but_what_is_certain():
    counted = images(7, 2)
    found = Foresight(counted, 11, {"72.73": verdicts("72.73")}, areas=areas(counted, 2)).sample()
    assert (found.interval, found.chances) == (None, {})
    assert found.bounds == pytest.approx((100 * 7 / 11, 100 * 9 / 11), abs=1e-6)
    assert found.text("72.73") == ""


def test_a_figure_that_is_not_held_against_has_no_chances():
    found = Foresight(images(7, 3), 40, {"72.73": verdicts("72.73", comparable=False)}).sample()
    assert (found.chances, found.bounds) == ({}, None)
    assert found.interval is not None


def test_a_split_without_a_labelled_pixel_has_nothing_to_foresee():
    counted = images(0, 12)
    nothing = Foresight(
        counted,
        13,
        {"72.73": verdicts("72.73")},
        areas=dict.fromkeys([*dict(counted), "rest"], np.array([0, 1])),
    )
    found = nothing.sample()
    assert (nothing.miou(), found.bounds, found.text("72.73"), nothing.verdict("72.73")) == (
        None,
        None,
        "",
        None,
    )


def test_the_words():
    found = Sample(
        images=50,
        of=500,
        interval=(74.876, 78.2),
        bounds=(8.1, 97.25),
        chances={"76.63": {"reproduced": 0.814, "drift": 0.186, "refuted": 0.0}},
    )
    assert found.text("76.63") == (
        "were the others like these, the whole would have an mIoU from 74.88 to 78.20 (95 %), reproduced 81 %, drift 19 %, "
        "refuted <1 %"
    )
    assert found.bar_text("76.63") == (
        "certain 8.10 to 97.25; reproduced 81 %, drift 19 %, refuted <1 % (bootstrap of 50 images)"
    )
    assert (
        found.bar_text("other") == "certain 8.10 to 97.25; 95 % from 74.88 to 78.20 (bootstrap of 50 images)"
    )
    assert Sample(images=3, of=500).bar_text("76.63") == ""
