"""Hard bounds of a data set's mIoU, pinned subsets, slices, and steps that halve."""

import itertools

import numpy as np
import pytest
import torch

from segbench.evaluate.count.bounds import miou_bounds
from segbench.evaluate.count.confusion import accuracy_scores, confusion_matrix
from segbench.evaluate.data.subsets import pinned_order, slice_of
from segbench.evaluate.evidence.label_areas import areas_of
from segbench.evaluate.inference.device import DeviceError
from segbench.evaluate.inference.device_trouble import Halving, OutOfMemoryError, device_trouble_named


def random_images(rule, count, classes):
    """Labels with ignored, stray, absent and rare classes, and predictions from perfect to perfectly wrong.

    At least one pixel is of a class: without one there is no mIoU to bound.
    """
    used = rule.choice(classes, rule.randint(1, classes + 1), replace=False)
    quality, images = rule.rand(), []
    for _ in range(count):
        label = rule.choice(used, (4, 5))
        label[rule.rand(4, 5) < 0.1] = 255
        if rule.rand() < 0.3:
            label[rule.rand(4, 5) < 0.1] = classes + 3
        guess = rule.randint(0, classes, (4, 5))
        right = (rule.rand(4, 5) < quality) & (label < classes)
        images.append((np.where(right, label, guess), label))
    if not any((label < classes).any() for _, label in images):
        images[0][1][0, 0] = used[0]
    return images


@pytest.mark.parametrize("seed", range(300))
def test_the_final_number_lies_within_the_bounds_at_every_moment(seed):
    rule = np.random.RandomState(seed)
    classes = rule.randint(2, 9)
    images = random_images(rule, rule.randint(1, 9), classes)
    matrices = [confusion_matrix(guess, label, classes) for guess, label in images]
    areas = [areas_of(label, classes, 255) for _, label in images]
    assert sum(area[:-1].sum() for area in areas) > 0
    final = accuracy_scores(sum(matrices)).miou_percent
    widths, zero = [], np.zeros((classes + 1, classes), np.int64)
    for done in range(len(images) + 1):
        rest = sum(areas[done:], np.zeros(classes + 1, np.int64))
        lowest, highest = miou_bounds(sum(matrices[:done], zero), rest)
        assert 0 <= lowest <= final <= highest <= 100
        widths.append(highest - lowest)
    assert widths[-1] < 1e-6
    assert all(later <= earlier + 1e-6 for earlier, later in itertools.pairwise(widths))


@pytest.mark.parametrize("seed", range(20))
def test_the_worst_end_can_be_come_near_to(seed):
    """The lower bound is no empty word: all false pixels laid out by hand come within a rounding of a pixel."""
    rule = np.random.RandomState(seed)
    counted = rule.randint(1, 50, (4, 3))
    counted[3] = 0
    rest = np.array([0, 0, 0, 7])  # outside the classes: nothing to find, only false positives to give
    lowest, _ = miou_bounds(counted, rest)
    worst = min(
        accuracy_scores(counted + np.array([[0] * 3] * 3 + [[a, b, 7 - a - b]])).miou_percent
        for a in range(8)
        for b in range(8 - a)
    )
    assert lowest <= worst <= lowest + 0.2


def test_bounds_without_a_labelled_pixel_are_refused():
    with pytest.raises(ValueError, match="not one labelled pixel"):
        miou_bounds(np.zeros((3, 2), np.int64), np.array([0, 0, 5]))


def test_label_areas_are_those_of_the_matrix():
    label = np.array([[0, 1, 1], [255, 7, 0]], np.uint8)
    assert areas_of(label, 3, 255).tolist() == [2, 2, 0, 1]
    matrix = confusion_matrix(np.zeros_like(label), label, 3)
    assert matrix.sum(axis=1).tolist() == [2, 2, 0, 1]


def test_the_pinned_order_covers_the_classes_then_spreads():
    areas = {f"{number}": np.array([9, 0, 0, 0]) for number in range(8)}
    areas["5"] = np.array([1, 2, 0, 0])
    areas["6"] = np.array([1, 4, 0, 0])
    areas["2"] = np.array([1, 0, 1, 3])
    order = pinned_order(areas)
    assert pinned_order(dict(reversed(areas.items()))) == order
    assert order[:2] == [
        "2",
        "6",
    ]  # class 2 is rarest; of class 1 image 6 has most; they hold class 0 as well
    assert order[2:] == ["0", "5", "3", "1", "7", "4"]
    assert pinned_order({}) == []


def test_slices_share_all_images_without_overlap():
    items = list("abcdefg")
    assert [slice_of(items, index, 3) for index in (1, 2, 3)] == [list("adg"), list("be"), list("cf")]


def test_steps_halve_until_they_fit_and_stay_there():
    """A model that has room for three images: a batch of 8 becomes 4, then 2, and the next call begins at 2."""
    tried = []

    def work(size):
        tried.append(size)
        if size > 3:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return torch.ones(size)

    batch = Halving(8)
    assert batch.run(work).shape == (2,)
    assert batch.run(work).shape == (2,)
    assert tried == [8, 4, 2, 2]


def test_a_step_that_cannot_shrink_says_what_to_do():
    def work(size):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has ...")

    with pytest.raises(OutOfMemoryError) as error:
        Halving(16, least=8, what="tile").run(work)
    assert str(error.value) == (
        "the device's memory does not suffice even with a tile of 8 (CUDA out of memory); close what else uses "
        "it or take --device cpu: the images counted so far are kept"
    )
    with (
        pytest.raises(OutOfMemoryError, match="does not suffice \\(CUDA out of memory\\)"),
        device_trouble_named(),
    ):
        work(1)


def test_a_lost_gpu_is_named_and_other_errors_are_not():
    """Torch reports a GPU that fell off its bus as a RuntimeError; a mistake in a model is one as well."""
    with pytest.raises(DeviceError) as error, device_trouble_named():
        raise RuntimeError("CUDA error: unspecified launch failure\nCUDA kernel errors might be ...")
    assert str(error.value) == (
        "the GPU failed (CUDA error: unspecified launch failure); look at it with nvidia-smi and run the same "
        "command again: the images counted so far are kept"
    )
    with pytest.raises(RuntimeError, match="shapes differ"), device_trouble_named():
        raise RuntimeError("shapes differ")


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_memory_of_the_machine_has_its_own_sentence(error):
    with (
        pytest.raises(OutOfMemoryError, match="fewer images at once with --workers 1"),
        device_trouble_named(),
    ):
        raise error
