"""APCNet (He et al. 2019): at every scale, each position weighs the means of a grid of squares by an affinity of its own.

mmsegmentation 1.2.2, decode_heads/apc_head.py, and sssegmentation eb1878c1, segmentors/apcnet, agree up to rounding.
Affinities pass a sigmoid and are not normalised over the squares; the map is pooled first and its channels are reduced behind.
The fusion of each scale and the 3x3 block behind all are the publishers'.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import nn

from ..layers import Activation, Branches, ContextHead, ConvModule, Natural

if TYPE_CHECKING:
    from torch import Tensor


class AdaptiveContext(nn.Module):
    """One scale.

    Args:
        in_channels: Channels of the input.
        channels: Channels of the output.
        pool_scale: Number of squares along a side, s.
        activation: Of every block.
    """

    def __init__(self, in_channels: int, channels: int, pool_scale: int, activation: Activation) -> None:
        super().__init__()
        self.pool_scale = pool_scale
        self.pooled_redu_conv = ConvModule(in_channels, channels, activation=activation)
        self.input_redu_conv = ConvModule(in_channels, channels, activation=activation)
        self.global_info = ConvModule(channels, channels, activation=activation)
        self.gla = nn.Conv2d(channels, pool_scale**2, 1)
        self.residual_conv = ConvModule(channels, channels, activation=activation)
        self.fusion_conv = ConvModule(channels, channels, activation=activation)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, h, w) -> (N, channels, h, w)."""
        squares = self.pooled_redu_conv(F.adaptive_avg_pool2d(x, self.pool_scale)).flatten(2)  # (N, C, s * s)
        x = self.input_redu_conv(x)
        whole = self.global_info(F.adaptive_avg_pool2d(x, 1))  # (N, C, 1, 1)
        affinities = self.gla(x + whole).flatten(2).sigmoid()  # (N, s * s, h * w)
        context = (squares @ affinities).view_as(x)
        return self.fusion_conv(F.relu(self.residual_conv(context) + x))


def build(
    in_channels: tuple[int, ...],
    num_classes: int,
    *,
    in_index: Natural = -1,
    channels: int = 512,
    pool_scales: tuple[int, ...] = (1, 2, 3, 6),
    activation: Activation = "relu",
) -> ContextHead:
    """Features -> scores (N, num_classes, h, w) at the stride of the map it reads.

    Args:
        in_channels: Channels of each feature map.
        num_classes: Channels of the scores.
        in_index: Which map is read.
        channels: Channels of each scale and of the fusion.
        pool_scales: Numbers of squares along a side.
        activation: Of every block.
    """
    branches = Branches(
        AdaptiveContext(in_channels[in_index], channels, scale, activation) for scale in pool_scales
    )
    return ContextHead(
        in_channels,
        num_classes,
        branches,
        "acm_modules",
        in_index=in_index,
        channels=channels,
        activation=activation,
    )
