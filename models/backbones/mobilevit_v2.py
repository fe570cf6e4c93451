"""MobileViTV2 (Mehta and Rastegari 2023) as sssegmentation builds it: attention of linear cost in MobileViT's place.

sssegmentation eb1878c1, modules/models/backbones/mobilevit.py. A map of odd sides is enlarged by a row or a column, corners
aligned, and stays so. Norms within the transformers are over all channels and positions of an image at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import nn

from ..layers import ConvModule
from ..transformer import ConvFeedForward
from .mobilevit import even, from_patches, inverted_stage, to_patches

if TYPE_CHECKING:
    from torch import Tensor

STAGES = ((2, 1, 1, 0), (4, 2, 2, 0), (8, 2, 1, 2), (12, 2, 1, 4), (16, 2, 1, 3))
"""Channels over the stem's, stride, MobileNetV2's blocks and layers of the transformer."""
EXPANSION = 2
"""Of MobileNetV2's blocks, and of the transformers' feed-forward layers."""


class LinearAttention(nn.Module):
    """One weighted mean of keys a place, times what each patch gives; keys `qkv_proj.*`, `out_proj.*`."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.qkv_proj = nn.Conv2d(channels, 1 + 2 * channels, 1)
        self.out_proj = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, places, patches) -> the same."""
        query, key, value = self.qkv_proj(x).split([1, self.channels, self.channels], 1)
        mean = (key * query.softmax(3)).sum(3, keepdim=True)
        return self.out_proj(F.relu(value) * mean)


class LinearBlock(nn.Module):
    """Attention and perceptron, each behind a norm and with a shortcut; keys `norm1.*`, `attn.*`, `norm2.*`, `mlp.*`."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(1, channels)
        self.attn = LinearAttention(channels)
        self.norm2 = nn.GroupNorm(1, channels)
        self.mlp = ConvFeedForward(channels, EXPANSION * channels, nn.SiLU())

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, places, patches) -> the same."""
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class MobileViTV2Block(nn.Module):
    """Keys `conv_kxk.*`, `conv_1x1.*`, `transformer.*`, `norm.*`, `conv_proj.*`."""

    def __init__(self, channels: int, depth: int) -> None:
        super().__init__()
        inside = channels // 2
        self.conv_kxk = ConvModule(channels, channels, 3, groups=channels, activation="silu")
        self.conv_1x1 = nn.Conv2d(channels, inside, 1, bias=False)
        self.transformer = nn.Sequential(*(LinearBlock(inside) for _ in range(depth)))
        self.norm = nn.GroupNorm(1, inside)
        self.conv_proj = ConvModule(inside, channels, activation=None)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, h, w) -> the same, odd sides one more."""
        x = self.conv_1x1(self.conv_kxk(even(x, align_corners=True)))
        seen = self.norm(self.transformer(to_patches(x)))
        return self.conv_proj(from_patches(seen, x.shape[2]))


class MobileViTV2(nn.Module):
    """Stem and five stages; keys `stem.*`, `stages.*`.

    Args:
        stem_channels: Width: 32 for MobileViTV2-1.0, 16 for -0.5.

    Attributes:
        channels: Channels of the five outputs.
    """

    def __init__(self, *, stem_channels: int = 32) -> None:
        super().__init__()
        self.channels = tuple(factor * stem_channels for factor, *_ in STAGES)
        self.stem = ConvModule(3, stem_channels, 3, stride=2, activation="silu")
        self.stages, incoming = nn.ModuleList(), stem_channels
        for own, (_, stride, blocks, depth) in zip(self.channels, STAGES, strict=True):
            layers = inverted_stage(incoming, own, stride, blocks, EXPANSION)
            if depth:
                layers.append(MobileViTV2Block(own, depth))
            self.stages.append(nn.Sequential(*layers))
            incoming = own

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Features at strides 2, 4, 8, 16 and 32; sizes are rounded up, those of the last three to even numbers.

        Args:
            images: (N, 3, H, W), normalised.
        """
        features, x = [], self.stem(images)
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return tuple(features)


build = MobileViTV2
