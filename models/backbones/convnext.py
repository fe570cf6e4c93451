"""ConvNeXt (Liu et al. 2022): depthwise 7x7 convolutions, a norm and two linear layers a block, scaled before they are added.

mmpretrain 1.2.0, models/backbones/convnext.py, which mmsegmentation 1.2.2 takes; sssegmentation eb1878c1,
modules/models/backbones/convnext.py; they agree bit for bit. torchvision's blocks are the same sums, but their scales have a shape
of their own, so no published file loads into them. Each output has a norm of its own. Sides are rounded down, to a multiple of 32.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models.convnext import LayerNorm2d

from ..input_size import require_sides
from ..transformer import channels_first, channels_last

if TYPE_CHECKING:
    from torch import Tensor

NORM_EPS = 1e-6
EXPANSION = 4
SMALLEST = 32
"""Pixels a side."""
SIZES = {
    "tiny": (96, (3, 3, 9, 3)),
    "small": (96, (3, 3, 27, 3)),
    "base": (128, (3, 3, 27, 3)),
    "large": (192, (3, 3, 27, 3)),
    "xlarge": (256, (3, 3, 27, 3)),
}
"""Size -> channels of the first stage, doubled by each that follows, and blocks of the stages."""


class Block(nn.Module):
    """Keys `depthwise_conv.*`, `norm.*`, `pointwise_conv1.*`, `pointwise_conv2.*`, `gamma`."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise_conv = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, NORM_EPS)
        self.pointwise_conv1 = nn.Linear(channels, EXPANSION * channels)
        self.pointwise_conv2 = nn.Linear(EXPANSION * channels, channels)
        self.gamma = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, h, w) -> the same."""
        inside = self.pointwise_conv1(self.norm(channels_last(self.depthwise_conv(x))))
        out = channels_first(self.pointwise_conv2(F.gelu(inside)))
        return x + out * self.gamma[:, None, None]


class ConvNeXt(nn.Module):
    """Stem and four stages; keys `downsample_layers.*`, `stages.*`, `norm0.*` .. `norm3.*`.

    Args:
        size: A key of `SIZES`.

    Attributes:
        channels: Channels of the four outputs.
    """

    def __init__(self, *, size: Literal["tiny", "small", "base", "large", "xlarge"]) -> None:
        super().__init__()
        first, blocks = SIZES[size]
        self.channels = tuple(first * 2**number for number in range(len(blocks)))
        self.downsample_layers = nn.ModuleList(
            [nn.Sequential(nn.Conv2d(3, first, 4, stride=4), LayerNorm2d(first, NORM_EPS))]
        )
        self.downsample_layers.extend(
            nn.Sequential(LayerNorm2d(fine, NORM_EPS), nn.Conv2d(fine, coarse, 2, stride=2))
            for fine, coarse in pairwise(self.channels)
        )
        self.stages = nn.ModuleList(
            nn.Sequential(*(Block(own) for _ in range(number)))
            for own, number in zip(self.channels, blocks, strict=True)
        )
        self.norm0, self.norm1, self.norm2, self.norm3 = (LayerNorm2d(own, NORM_EPS) for own in self.channels)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Features at strides 4, 8, 16 and 32.

        Args:
            images: (N, 3, H, W), normalised.

        Raises:
            InputSizeError: They are too small.
        """
        require_sides(images.shape[2:], SMALLEST, "a position of the last stage")
        features, x = [], images
        norms = (self.norm0, self.norm1, self.norm2, self.norm3)
        for down, stage, norm in zip(self.downsample_layers, self.stages, norms, strict=True):
            x = stage(down(x))
            features.append(norm(x))
        return tuple(features)


build = ConvNeXt
