"""Loading ahead of the network: order, bounds, faults and an early end."""

import threading

import pytest

from segbench.evaluate.inference.pipeline import ahead, behind, groups


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
        return [one for one in threading.enumerate() if one.name.startswith("segbench-work")]

    coming = ahead(range(100), lambda number: number, 2)
    next(coming)
    running = threads()
    coming.close()
    for one in running:
        one.join(timeout=10)
    assert threads() == []


@pytest.mark.parametrize("count", [0, 1, 3])
def test_items_come_behind_those_under_way(count):
    taken = []

    def items():
        for number in range(5):
            taken.append(number)
            yield number

    lead = [(number, len(taken) - number - 1) for number in behind(items(), count)]
    assert lead == [(number, min(count, 4 - number)) for number in range(5)]


def test_neighbours_that_are_alike_come_together():
    found = groups([1, 3, 5, 2, 4, 7, 9, 11, 13], lambda number: number % 2, 3)
    assert list(found) == [[1, 3, 5], [2, 4], [7, 9, 11], [13]]
