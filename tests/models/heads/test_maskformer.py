"""Mask classifiers: what is scored in parts is what is scored at once, and what is supposed of training is said."""

import pytest
import torch
import torch.nn.functional as F

from segbench.models import build_model
from segbench.models.heads.maskformer import AT_ONCE, MaskClassifier, score_pixels
from segbench.models.trace.memory import training_memory
from segbench.models.trace.training import TrainingStep


def test_queries_scored_some_at_a_time_are_scored_as_all_at_once():
    """Classes without the last times masks at the size of the image, summed over queries (the publishers' einsum)."""
    draw = torch.Generator().manual_seed(0)
    classes = torch.randn(2, 2 * AT_ONCE + 3, 5, generator=draw)
    masks = torch.randn(2, 2 * AT_ONCE + 3, 4, 6, generator=draw)
    whole = F.interpolate(masks, (9, 13), mode="bilinear").sigmoid()
    expected = torch.einsum("nqk,nqhw->nkhw", classes.softmax(2)[..., :-1], whole)
    assert torch.allclose(score_pixels(classes, masks, (9, 13)), expected, atol=1e-5)


@pytest.mark.slow
def test_the_training_memory_of_a_mask_classifier_says_what_is_supposed():
    architecture = {
        "backbone": {"type": "resnet", "depth": 18, "base_channels": 8, "strides": [1, 2, 2, 2]},
        "head": {"type": "maskformer", "channels": 32, "queries": 3, "layers": 1, "hidden_channels": 8},
        "num_classes": 4,
    }
    step = TrainingStep(1, (64, 64))
    assert training_memory(architecture, step).note == MaskClassifier.training_note
    assert not training_memory({**architecture, "head": {"type": "fcn", "channels": 8}}, step).note


def test_an_image_of_another_size_than_beits_tables_is_refused():
    model = build_model(
        backbone={"type": "beit", "channels": 8, "depth": 1, "heads": 1, "grid": 2, "outputs": [0]},
        head={"type": "fcn", "num_convs": 0, "concat_input": False},
        num_classes=3,
    )
    assert model(torch.ones(1, 3, 32, 32)).shape == (1, 3, 2, 2)
    with pytest.raises(ValueError, match=r"^expected images of 32x32 pixels, .*; found 32x48\."):
        model(torch.ones(1, 3, 32, 48))
