"""EMANet (Li et al. 2019): the map is written in a few bases, which expectation and maximisation fit to each image.

mmsegmentation 1.2.2, decode_heads/ema_head.py; sssegmentation eb1878c1, segmentors/emanet. mmsegmentation narrows to 256
channels behind the bases, where sssegmentation keeps 512. The bases that the steps begin with are in the file: training's
moving mean of those that images ended with, which nothing here updates. The 1x1 convolution before the steps is never
trained, and both fuse the head's input once more behind (`conv_cat`), which the paper does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from ..layers import Activation, ConvModule, Head, Natural

if TYPE_CHECKING:
    from torch import Tensor

STEPS = 3
"""Of expectation and maximisation, in every published model and in the paper."""

KEYS = {
    "ssseg": (
        ("ema_mid_conv.conv", "ema_mid_conv"),
        ("conv_cat", "decoder"),
        ("conv_seg", "decoder.4"),
    )
}


class Bases(nn.Module):
    """Expectation-maximisation attention; the buffer `bases` (1, C, K) is where every image begins.

    Args:
        channels: Of input and output, C.
        num_bases: K.
    """

    bases: Tensor

    def __init__(self, channels: int, num_bases: int) -> None:
        super().__init__()
        self.register_buffer("bases", F.normalize(torch.randn(1, channels, num_bases), dim=1))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) -> the same, of the bases alone."""
        tokens = x.flatten(2).mT  # (N, L, C)
        with torch.no_grad():
            shares = expected(tokens, self.bases)
            for _ in range(STEPS - 1):
                shares = expected(tokens, maximised(tokens, shares))
            bases = maximised(tokens, shares)
        return (bases @ shares.mT).view_as(x)


def expected(tokens: Tensor, bases: Tensor) -> Tensor:
    """Tokens (N, L, C) and bases (N or 1, C, K) -> the share of each base in each position, (N, L, K)."""
    return (tokens @ bases).softmax(2)


def maximised(tokens: Tensor, shares: Tensor) -> Tensor:
    """Tokens (N, L, C) and shares (N, L, K) -> each base as the mean of what it has a share in, (N, C, K), of length 1."""
    return F.normalize(tokens.mT @ F.normalize(shares, p=1, dim=1), dim=1)


class EMAHead(Head):
    """Features -> scores (N, num_classes, h, w) at the stride of the map it reads.

    Args:
        in_channels: Channels of each feature map.
        num_classes: Channels of the scores.
        in_index: Which map is read.
        channels: Channels behind the bases: 256 for mmsegmentation, 512 for sssegmentation.
        ema_channels: Channels of the bases.
        num_bases: How many there are.
        activation: Of the 3x3 blocks.
    """

    layouts = KEYS

    def __init__(
        self,
        in_channels: tuple[int, ...],
        num_classes: int,
        *,
        in_index: Natural = -1,
        channels: int = 256,
        ema_channels: int = 512,
        num_bases: int = 64,
        activation: Activation = "relu",
    ) -> None:
        super().__init__(channels, num_classes)
        self.in_index = in_index
        incoming = in_channels[in_index]
        self.ema_in_conv = ConvModule(incoming, ema_channels, 3, activation=activation)
        self.ema_mid_conv = ConvModule(ema_channels, ema_channels, norm=False, activation=None)
        self.ema_mid_conv.requires_grad_(False)
        self.ema_module = Bases(ema_channels, num_bases)
        self.ema_out_conv = ConvModule(ema_channels, ema_channels, activation=None)
        self.bottleneck = ConvModule(ema_channels, channels, 3, activation=activation)
        self.conv_cat = ConvModule(incoming + channels, channels, 3, activation=activation)

    def fuse(self, features: tuple[Tensor, ...]) -> Tensor:
        """Feature maps (N, C_i, h_i, w_i) -> (N, channels, h, w) at the size of the one it reads."""
        x = features[self.in_index]
        narrow = self.ema_in_conv(x)
        written = F.relu(self.ema_module(self.ema_mid_conv(narrow)), inplace=True)
        deep = F.relu(narrow + self.ema_out_conv(written), inplace=True)
        return self.conv_cat(torch.cat([x, self.bottleneck(deep)], 1))


build = EMAHead
