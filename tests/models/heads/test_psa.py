"""PSANet's masks, laid out by views, against the indices of its paper."""

from __future__ import annotations

import itertools

import pytest
import torch

from segbench.models.heads.psa import spread


@pytest.mark.parametrize("mask", [(5, 7), (4, 2), (1, 1), (9, 11)])
@pytest.mark.parametrize("size", [(2, 3), (4, 1), (1, 1)])
def test_each_offset_of_a_position_becomes_its_target_and_what_the_mask_does_not_reach_is_0(mask, size):
    masks = torch.rand(2, mask[0] * mask[1], *size)
    found = spread(masks, mask)
    expected = torch.zeros(2, size[0] * size[1], size[0] * size[1])
    positions = list(itertools.product(*map(range, size)))
    for (p, (y, x)), (t, (target_y, target_x)) in itertools.product(enumerate(positions), repeat=2):
        row, column = target_y - y + (mask[0] - 1) // 2, target_x - x + (mask[1] - 1) // 2
        if 0 <= row < mask[0] and 0 <= column < mask[1]:
            expected[:, p, t] = masks[:, row * mask[1] + column, y, x]
    assert torch.equal(found, expected)
