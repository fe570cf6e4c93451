"""PoolFormer (Yu et al. 2022): a transformer's blocks whose attention is a 3x3 mean less the position itself.

mmpretrain 1.2.0, models/backbones/poolformer.py, which mmsegmentation 1.2.2 takes. Means at the border are over what is inside, norms
over all channels and positions of an image at once. The stem's 7x7 patches lie every 4 pixels and reach 2 over the border, so
sides are rounded down, to a multiple of 4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from torch import nn

from ..input_size import require_sides
from ..transformer import ConvFeedForward

if TYPE_CHECKING:
    from torch import Tensor

SMALL, MEDIUM = (64, 128, 320, 512), (96, 192, 384, 768)
SIZES = {
    "s12": (SMALL, (2, 2, 6, 2)),
    "s24": (SMALL, (4, 4, 12, 4)),
    "s36": (SMALL, (6, 6, 18, 6)),
    "m36": (MEDIUM, (6, 6, 18, 6)),
    "m48": (MEDIUM, (8, 8, 24, 8)),
}
"""Size -> channels and blocks of the stages."""
EXPANSION = 4
SMALLEST = 3
"""Pixels a side."""


class Block(nn.Module):
    """Keys `norm1.*`, `norm2.*`, `mlp.*`, `layer_scale_1`, `layer_scale_2`."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(1, channels)
        self.pool = nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
        self.norm2 = nn.GroupNorm(1, channels)
        self.mlp = ConvFeedForward(channels, EXPANSION * channels, nn.GELU())
        self.layer_scale_1 = nn.Parameter(torch.ones(channels))
        self.layer_scale_2 = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, h, w) -> the same."""
        normed = self.norm1(x)
        x = x + self.layer_scale_1[:, None, None] * (self.pool(normed) - normed)
        return x + self.layer_scale_2[:, None, None] * self.mlp(self.norm2(x))


class PatchEmbed(nn.Module):
    """A convolution under the key `proj`."""

    def __init__(self, in_channels: int, channels: int, kernel: int, stride: int, padding: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(in_channels, channels, kernel, stride, padding)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, h, w) -> (N, channels, h', w')."""
        return self.proj(x)


class PoolFormer(nn.Module):
    """Stem and four stages with a convolution between each two; keys `patch_embed.*`, `network.*`, `norm0.*`, `norm2.*`, ...

    Args:
        size: A key of `SIZES`.

    Attributes:
        channels: Channels of the four outputs.
    """

    def __init__(self, *, size: Literal["s12", "s24", "s36", "m36", "m48"]) -> None:
        super().__init__()
        self.channels, blocks = SIZES[size]
        self.patch_embed = PatchEmbed(3, self.channels[0], 7, 4, 2)
        self.network = nn.ModuleList()
        self.norms = []
        incoming = 0
        for own, number in zip(self.channels, blocks, strict=True):
            if incoming:
                self.network.append(PatchEmbed(incoming, own, 3, 2, 1))
            self.norms.append(nn.GroupNorm(1, own))
            self.add_module(f"norm{len(self.network)}", self.norms[-1])
            self.network.append(nn.Sequential(*(Block(own) for _ in range(number))))
            incoming = own

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Features at strides 4, 8, 16 and 32, each through a norm of its own.

        Args:
            images: (N, 3, H, W), normalised.

        Raises:
            InputSizeError: They are too small.
        """
        require_sides(images.shape[2:], SMALLEST, "of which the first patch is made, 7 with its border of 2")
        x = self.patch_embed(images)
        features = []
        for number, layer in enumerate(self.network):
            x = layer(x)
            if number % 2 == 0:
                features.append(self.norms[number // 2](x))
        return tuple(features)


build = PoolFormer
