"""Disentangled non-local networks (Yin et al. 2020): likeness to the mean taken out of attention, and added by itself.

mmsegmentation 1.2.2, decode_heads/dnl_head.py, and sssegmentation eb1878c1, segmentors/dnlnet, agree bit for bit. Both
divide the scores by the root of their channels and by a temperature of 0.05 besides, where the paper's formula has neither.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from ..layers import attend_maps, softmax_mean
from .fcn import BlockNames
from .nl import NonLocalBlock, build_with

if TYPE_CHECKING:
    from torch import Tensor

TEMPERATURE = 0.05
"""In every published model."""


class DisentangledBlock(NonLocalBlock):
    """A non-local block whose queries and keys lack their mean, and one context more, the same for all positions.

    Arguments as of `NonLocalBlock`; key `conv_mask` for the scores of that context.
    """

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__(channels, reduction)
        self.conv_mask = nn.Conv2d(channels, 1, 1)

    def context(self, x: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, C / reduction, h, w)."""
        value = self.g(x)
        query, key = (whitened(project(x)) for project in (self.theta, self.phi))
        pairwise = attend_maps(query, key, value, scale=query.shape[1] ** -0.5 / TEMPERATURE)
        return pairwise + softmax_mean(value, self.conv_mask(x))


def whitened(x: Tensor) -> Tensor:
    """(N, C, h, w) -> the same without its mean over positions."""
    return x - x.mean((2, 3), keepdim=True)


NAMES = BlockNames(ours="dnl_block", ssseg="dnl_block", around="dnl")

build = build_with(DisentangledBlock, NAMES)
