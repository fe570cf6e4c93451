"""The numbers that other libraries call mIoU, against the libraries themselves where they are installed."""

import math

import numpy as np
import pytest
import torch

from segbench.evaluate.count.confusion import confusion_matrix
from segbench.evaluate.count.definitions import DEFINITIONS, all_definitions

# Two images of four classes. Class 2 is only predicted, class 3 occurs nowhere.
PREDICTIONS = (np.array([[0, 0, 1, 2]]), np.array([[1, 1, 1, 0]]))
LABELS = (np.array([[0, 0, 1, 1]]), np.array([[1, 1, 255, 1]]))
MATRICES = [
    confusion_matrix(prediction, label, 4) for prediction, label in zip(PREDICTIONS, LABELS, strict=True)
]


def test_every_rule_by_hand():
    """Data set: class 0 has 2/3, class 1 has 3/5, class 2 has 0/1; image one 2/2, 1/2, 0/1; image two 0/1, 2/3."""
    expected = {
        "mmsegmentation": (2 / 3 + 3 / 5 + 0) / 3,
        "detectron2": (2 / 3 + 3 / 5) / 2,
        "CSAILVision": (2 / 3 + 3 / 5 + 0 + 0) / 4,
        "torchvision": math.nan,
        "torchmetrics": (1 + 1 / 2 + 0 + 0 + 2 / 3) / 5,
        "image mean": ((1 + 1 / 2 + 0) / 3 + (0 + 2 / 3) / 2) / 2,
        "smp micro": 5 / 9,
        "smp macro": (2 / 3 + 3 / 5 + 0 + 1) / 4,
        "smp micro-imagewise": (3 / 5 + 2 / 4) / 2,
        "smp macro-imagewise": ((1 + 1 / 2 + 0 + 1) + (0 + 2 / 3 + 1 + 1)) / 8,
        "Cityscapes category": (2 / 4 + 3 / 5) / 2,
    }
    found = all_definitions(MATRICES, {"things": (0, 2), "stuff": (1,), "nothing": (3,)})
    assert list(found) == list(DEFINITIONS)
    assert found == {
        name: None if math.isnan(value) else pytest.approx(100 * value) for name, value in expected.items()
    }


def test_where_every_class_occurs_the_data_set_rules_agree():
    rng = np.random.default_rng(0)
    matrices = [
        confusion_matrix(rng.integers(0, 5, (20, 20)), rng.integers(0, 5, (20, 20)), 5) for _ in range(4)
    ]
    found = all_definitions(matrices)
    same = {
        found[name] for name in ("mmsegmentation", "detectron2", "CSAILVision", "torchvision", "smp macro")
    }
    assert len({round(value, 9) for value in same}) == 1
    assert found["torchmetrics"] != found["mmsegmentation"]


@pytest.mark.slow
def test_torchmetrics_own_answer():
    library = pytest.importorskip("torchmetrics.segmentation", reason="torchmetrics is not installed")
    rng = np.random.default_rng(1)
    predictions, labels = rng.integers(0, 6, (2, 5, 12, 10)), rng.integers(0, 4, (2, 5, 12, 10))
    metric = library.MeanIoU(num_classes=7, input_format="index")
    for prediction, label in zip(predictions[0], labels[0], strict=True):
        metric.update(torch.from_numpy(prediction)[None], torch.from_numpy(label)[None])
    matrices = [confusion_matrix(p, label, 7) for p, label in zip(predictions[0], labels[0], strict=True)]
    assert all_definitions(matrices)["torchmetrics"] == pytest.approx(100 * float(metric.compute()), abs=1e-4)


def test_no_image_is_an_error():
    with pytest.raises(ValueError, match="no image was counted"):
        all_definitions([])
