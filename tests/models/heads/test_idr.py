"""What IDRNet's classes hear of each other, against loops over images and classes."""

from __future__ import annotations

import torch

from segbench.models.heads.idr import related


def test_only_classes_in_the_image_are_asked_and_one_alone_is_all_there_is():
    means, relations = torch.rand(2, 4, 3), torch.randn(4, 4)
    present = torch.tensor([[True, False, True, True], [False, True, False, False]])
    expected = torch.empty_like(means)
    for image in range(2):
        asked = [number for number in range(4) if present[image, number]]
        for number in range(4):
            weights = relations[number, asked].softmax(0)
            expected[image, number] = sum(
                weight * means[image, one] for weight, one in zip(weights, asked, strict=True)
            )
    assert torch.allclose(related(means, present, relations), expected, atol=1e-6)
    assert torch.equal(expected[1], means[1, 1].expand(4, 3))
