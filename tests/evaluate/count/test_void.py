"""Void classes: one count, three rules; every score against pixels gone through one by one."""

import numpy as np
import pytest

from segbench.evaluate.count.bounds import miou_bounds
from segbench.evaluate.count.confusion import accuracy_scores, by_rule, confusion_matrix, mdice_percent
from segbench.evaluate.count.definitions import all_definitions
from segbench.evaluate.count.margins import GAINED, JOINED, LEFT, LIMITS, LOST, Closeness
from segbench.evaluate.evidence.label_areas import areas_of
from segbench.evaluate.protocol import Void
from segbench.zoo.quantities import quantity_of

CLASSES, IGNORED = 5, 255
RULES = ("counted", "labels ignored", "dropped")
VOIDS = [Void(classes=classes, pixels=pixels) for classes in ((4,), (0,), (1, 3)) for pixels in RULES]
named = pytest.mark.parametrize("void", VOIDS, ids=lambda void: f"{void.pixels}-{void.classes}")


def maps(seed, size=(12, 12)):
    """Prediction and label: void everywhere, some pixels ignored, some of no class."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, CLASSES + 1, size)
    label[0] = IGNORED
    prediction = np.where(rng.random(size) < 0.6, label % CLASSES, rng.integers(0, CLASSES, size))
    return prediction, label


def taking_part(prediction, label, void):
    """The pairs (predicted, labelled) that a rule counts, from its words."""
    for found, right in zip(prediction.ravel().tolist(), label.ravel().tolist(), strict=True):
        if right == IGNORED:
            continue
        if void.pixels != "counted" and right in void.classes:
            continue
        if void.pixels == "dropped" and found in void.classes:
            continue
        yield found, right


def expected(prediction, label, void):
    """mIoU, mAcc, aAcc and mDice in percent, and every class's IoU."""
    pairs = list(taking_part(prediction, label, void))
    iou, accuracy, dice = {}, {}, {}
    for one in range(CLASSES):
        hits = sum(found == right == one for found, right in pairs)
        either = sum(one in (found, right) for found, right in pairs)
        labelled = sum(right == one for _, right in pairs)
        predicted = sum(found == one for found, _ in pairs)
        iou[one] = 100 * hits / either if either else None
        accuracy[one] = 100 * hits / labelled if labelled else None
        dice[one] = 200 * hits / (labelled + predicted) if labelled + predicted else None
    kept = [one for one in range(CLASSES) if one not in void.classes]
    of_kept = [(found, right) for found, right in pairs if right in kept]
    right_ones = 100 * sum(found == right for found, right in of_kept) / len(of_kept)
    means = [np.mean([table[one] for one in kept]) for table in (iou, accuracy, dice)]
    return means[0], means[1], right_ones, means[2], tuple(iou.values())


@named
def test_every_score_is_that_of_the_pixels_that_take_part(void):
    prediction, label = maps(1)
    matrix = confusion_matrix(prediction, label, CLASSES, IGNORED)
    whole = matrix.copy()
    scores = accuracy_scores(matrix, void)
    miou, macc, aacc, mdice, iou = expected(prediction, label, void)
    assert [scores.miou_percent, scores.macc_percent, scores.aacc_percent] == pytest.approx(
        [miou, macc, aacc]
    )
    assert scores.iou_percent == pytest.approx(iou)
    assert mdice_percent(matrix, void) == pytest.approx(mdice)
    found = [quantity_of(name).score(matrix, void) for name in ("miou", "macc", "aacc", "mdice")]
    assert found == pytest.approx([miou, macc, aacc, mdice])
    assert (matrix == whole).all()  # counts stay as they were, for the next rule


def test_no_labelled_pixel_of_an_averaged_class_is_no_score():
    label = np.full((3, 3), 4)
    matrix = confusion_matrix(np.zeros((3, 3), int), label, CLASSES, IGNORED)
    with pytest.raises(ValueError, match="no labelled pixel was counted"):
        accuracy_scores(matrix, Void(classes=(4,)))


def test_void_classes_that_a_data_set_lacks_are_passed_over():
    """A protocol may be tried on other data than it was made for."""
    matrix = confusion_matrix(*maps(2), CLASSES, IGNORED)
    assert accuracy_scores(matrix, Void(classes=(11,))) == accuracy_scores(matrix)


@named
def test_other_definitions_are_over_the_same_classes(void):
    """Each is that of the same library on pixels without void, where the rule leaves those out."""
    images = [confusion_matrix(*maps(seed), CLASSES, IGNORED) for seed in range(3)]
    found = all_definitions(images, {"a": (0, 1), "b": (2, 3, 4)}, void)
    assert found["mmsegmentation"] == pytest.approx(accuracy_scores(sum(images), void).miou_percent)
    assert (
        found["detectron2"]
        == found["CSAILVision"]
        == found["torchvision"]
        == pytest.approx(found["smp macro"])
    )
    kept = [one for one in range(CLASSES) if one not in void.classes]
    areas = []
    for matrix in images:
        inside = by_rule(matrix, void)[:-1]
        areas.append([(inside[c, c], inside[c].sum() + inside[:, c].sum() - inside[c, c]) for c in kept])
    hits, unions = np.array(areas).transpose(2, 0, 1)
    assert found["smp micro"] == pytest.approx(100 * hits.sum() / unions.sum())
    assert found["torchmetrics"] == pytest.approx(100 * (hits / unions).mean())
    assert found["Cityscapes category"] == pytest.approx(category_mean(sum(images), void))


def category_mean(matrix, void):
    """Pixels of a category's kept classes as one class."""
    inside, scores = by_rule(matrix, void)[:-1], []
    for members in ((0, 1), (2, 3, 4)):
        kept = [one for one in members if one not in void.classes]
        if kept:
            hits = inside[np.ix_(kept, kept)].sum()
            scores.append(100 * hits / (inside[kept].sum() + inside[:, kept].sum() - hits))
    return np.mean(scores)


@named
def test_bounds_hold_whatever_the_rest_brings(void):
    """The best, the worst and forty random ends lie within the bounds of three images of six."""
    label = [maps(seed)[1] for seed in range(6)]
    counted = sum(confusion_matrix(*maps(seed), CLASSES, IGNORED) for seed in range(3))
    rest = sum(areas_of(one, CLASSES, IGNORED) for one in label[3:])
    bounds = miou_bounds(counted, rest, void)
    rng = np.random.default_rng(7)
    ends = [
        [
            np.where(rng.random(one.shape) < share, one % CLASSES, rng.integers(0, CLASSES, one.shape))
            for one in label[3:]
        ]
        for share in np.linspace(0, 1, 40)
    ]
    ends += [[np.full(one.shape, every) for one in label[3:]] for every in range(CLASSES)]
    for end in ends:
        total = counted + sum(
            confusion_matrix(found, right, CLASSES, IGNORED)
            for found, right in zip(end, label[3:], strict=True)
        )
        assert bounds.lowest <= accuracy_scores(total, void).miou_percent <= bounds.highest
    assert 0 < bounds.lowest < bounds.highest < 100


@named
def test_the_change_by_swaps_is_bounded(void):
    """Close pixels that swap, in any number of combinations, move the score no further than is said."""
    prediction, label = maps(3, (16, 16))
    rng = np.random.default_rng(5)
    second = (prediction + rng.integers(1, CLASSES, prediction.shape)) % CLASSES
    close = rng.random(prediction.shape) < 0.1
    counts = np.zeros((len(LIMITS), 4, CLASSES), np.int64)
    for best, other, right in zip(prediction[close], second[close], label[close], strict=True):
        if right != IGNORED:
            counts[0, LOST if best == right else LEFT, best] += 1
            counts[0, GAINED if other == right else JOINED, other] += 1
    matrix = confusion_matrix(prediction, label, CLASSES, IGNORED)
    now = accuracy_scores(matrix, void).miou_percent
    fall, rise = Closeness(counts).miou_change(matrix, 0, void)
    for share in np.linspace(0, 1, 30):
        swapped = np.where(close & (rng.random(close.shape) < share), second, prediction)
        changed = accuracy_scores(confusion_matrix(swapped, label, CLASSES, IGNORED), void).miou_percent
        assert -fall - 1e-9 <= changed - now <= rise + 1e-9
