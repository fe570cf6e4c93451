"""Counts and scores against both publishers' evaluators, and the algebra that sharding relies on."""

import json

import numpy as np
import pytest

from segbench.evaluate.count.confusion import accuracy_scores, areas, confusion_matrix, decode, encode


def test_mmseg_areas_and_scores(golden):
    """Ignored, absent, only-predicted classes and a label outside the classes, as mmseg counts them."""
    recorded = golden("mmseg/metric.npz")
    num_classes = int(recorded["n"])
    maps = zip(recorded["preds"], recorded["labels"], strict=True)
    matrix = sum(confusion_matrix(prediction, label, num_classes) for prediction, label in maps)
    for ours, name in zip(areas(matrix), ("intersect", "union", "pred", "label"), strict=True):
        np.testing.assert_array_equal(ours, recorded[f"area_{name}"])
    scores = accuracy_scores(matrix)
    np.testing.assert_allclose(_floats(scores.iou_percent), 100 * recorded["IoU"], rtol=1e-6)
    np.testing.assert_allclose(_floats(scores.accuracy_percent), 100 * recorded["Acc"], rtol=1e-6)
    rounded = [round(value, 2) for value in (scores.miou_percent, scores.macc_percent)]
    assert rounded == [round(float(recorded[name]), 2) for name in ("mIoU", "mAcc")]


def _floats(values):
    return [np.nan if value is None else value for value in values]


@pytest.mark.parametrize("num_classes", [6, 8])
def test_ssseg_scores(golden, num_classes):
    """The Evaluation of sssegmentation on three pairs with an absent class, equal to 1e-9."""
    recorded = golden("ssseg/metric.npz")
    expected = json.loads(str(recorded["results"]))[str(num_classes)]
    pairs = [(recorded[f"pred{i}"], recorded[f"gt{i}"]) for i in range(3)]
    matrix = sum(
        confusion_matrix(prediction, np.where(label < 0, 255, label), num_classes)
        for prediction, label in pairs
    )
    scores = accuracy_scores(matrix)
    np.testing.assert_allclose(_floats(scores.iou_percent), 100 * np.array(expected["iou"], float), atol=1e-9)
    assert scores.miou_percent / 100 == pytest.approx(expected["miou"], abs=1e-9)
    assert scores.aacc_percent / 100 == pytest.approx(expected["all_accuracy"], abs=1e-9)


def test_averaging_areas_is_not_averaging_images():
    """The data set's IoU divides summed areas; the mean of per-image IoUs is another number."""
    first = confusion_matrix(np.array([[0, 0, 0, 1]]), np.array([[0, 0, 0, 0]]), 2)
    second = confusion_matrix(np.array([[1]]), np.array([[1]]), 2)
    assert accuracy_scores(first + second).miou_percent == pytest.approx(100 * (3 / 4 + 1 / 2) / 2)


def test_an_absent_class_is_left_out_and_an_invented_one_counts_as_zero():
    matrix = confusion_matrix(np.array([[0, 1]]), np.array([[0, 0]]), 3)
    scores = accuracy_scores(matrix)
    assert scores.iou_percent == (50.0, 0.0, None)
    assert scores.miou_percent == 25.0


def test_only_ignored_labels_are_an_error():
    matrix = confusion_matrix(np.array([[0]]), np.array([[255]]), 2)
    with pytest.raises(ValueError, match="no labelled pixel was counted"):
        accuracy_scores(matrix)


def test_maps_of_different_sizes_are_an_error():
    with pytest.raises(ValueError) as error:
        confusion_matrix(np.zeros((2, 3), int), np.zeros((3, 2), int), 2)
    assert str(error.value) == "prediction is 2 x 3 pixels, label is 3 x 2 (height x width)"


@pytest.mark.parametrize("num_classes", [2, 19, 182])
def test_counts_survive_storage_and_add_up_in_any_order(num_classes):
    """encode/decode is the identity, and shards sum to the whole."""
    random = np.random.RandomState(num_classes)
    pairs = [
        (random.randint(0, num_classes, (9, 7)), random.randint(0, num_classes + 2, (9, 7))) for _ in range(4)
    ]
    shards = [confusion_matrix(*pair, num_classes) for pair in pairs]
    whole = confusion_matrix(
        np.vstack([p for p, _ in pairs]), np.vstack([label for _, label in pairs]), num_classes
    )
    np.testing.assert_array_equal(sum(reversed(shards)), whole)
    np.testing.assert_array_equal(decode(encode(whole), num_classes), whole)


def test_stored_counts_of_another_class_count_are_refused():
    matrix = confusion_matrix(np.array([[18]]), np.array([[18]]), 19)
    with pytest.raises(ValueError, match="cell 360 of 6 cells"):
        decode(encode(matrix), 2)
