"""Loading ahead of the network: order, bounds, faults and an early end."""

import threading

import numpy as np
import pytest

from segbench.evaluate.confusion import accuracy_scores, confusion_matrix
from segbench.evaluate.margins import LIMITS, Margins, explanation
from segbench.evaluate.pipeline import ahead


@pytest.mark.parametrize("workers", [0, 1, 4])
def test_answers_and_faults_come_in_the_order_of_the_tasks(workers):
    def work(number):
        if number % 3 == 0:
            raise ValueError(number)
        return number * number

    def outcome(answer):
        try:
            return answer()
        except ValueError as error:
            return f"fault {error}"

    found = [(number, outcome(answer)) for number, answer in ahead(range(10), work, workers)]
    assert found == [(n, f"fault {n}" if n % 3 == 0 else n * n) for n in range(10)]


def test_no_more_than_a_few_wait():
    begun = []
    coming = ahead(range(100), begun.append, 3)
    next(coming)
    coming.close()
    assert len(begun) <= 4


def test_closing_early_ends_the_threads():
    def threads():
        return [one for one in threading.enumerate() if one.name.startswith("segbench-load")]

    coming = ahead(range(100), lambda number: number, 2)
    next(coming)
    running = threads()
    coming.close()
    for one in running:
        one.join(timeout=10)
    assert threads() == []


def test_margins_bound_what_swapping_close_pixels_does():
    """Whatever subset of the close pixels changes to the runner-up, mIoU stays within the bound."""
    random = np.random.RandomState(0)
    truth = random.randint(0, 5, (30, 40))
    truth[0] = 255
    labels = np.where(random.rand(30, 40) < 0.7, truth % 5, random.randint(0, 5, (30, 40))).astype(np.uint8)
    second = ((labels + 1 + random.randint(0, 4, labels.shape)) % 5).astype(np.uint8)
    gaps = (10.0 ** random.uniform(-7, 0, labels.shape)).astype(np.float32)
    margins = Margins(5)
    margins.add(labels, gaps, second, truth, 255)
    matrix = confusion_matrix(labels, truth, 5)
    now = accuracy_scores(matrix).miou_percent
    for row, limit in enumerate(LIMITS):
        assert margins.close[row] == ((gaps < limit) & (truth != 255)).sum()
        fall, rise = margins.miou_change(matrix, row)
        for share in (0.3, 1.0):
            swapped = np.where((gaps < limit) & (random.rand(30, 40) <= share), second, labels)
            moved = accuracy_scores(confusion_matrix(swapped, truth, 5)).miou_percent
            assert now - fall - 1e-9 <= moved <= now + rise + 1e-9


def test_a_difference_is_explained_by_the_smallest_rounding_that_suffices():
    rows = [
        {"below": 1e-5, "share_percent": 0.1, "miou_may_fall_points": 0.01, "miou_may_rise_points": 0.02},
        {"below": 1e-4, "share_percent": 0.4, "miou_may_fall_points": 0.1, "miou_may_rise_points": 0.2},
    ]
    summary = {"unit": "of probability", "images": 1, "pixels": 9, "margins": rows}
    assert (
        explanation(summary, -0.15) == "explainable only if rounding moved margins by 0.0001 of probability"
    )
    assert explanation(summary, 0.15) == (
        "not explainable by rounding: margins moved by 0.0001 of probability change mIoU by at most 0.100 points"
    )
