"""MSCAN, SegNeXt's encoder (Guo et al. 2022): blocks whose attention is a product with what strips of three lengths see.

mmsegmentation 1.2.2, backbones/mscan.py. Blocks have batch norms, each output a layer norm over its channels.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models.convnext import LayerNorm2d

from ..transformer import ConvFeedForward
from .resnet import Stages  # noqa: TC001  (`build_model` reads the annotations)

if TYPE_CHECKING:
    from torch import Tensor

NORM_EPS = 1e-5
STRIPS = (7, 11, 21)
EXPANSIONS = (8, 8, 4, 4)
"""Channels inside a block's perceptron over its own, of each stage."""


def depthwise(channels: int, height: int, width: int) -> nn.Conv2d:
    """A kernel of each channel by itself, which keeps the size."""
    return nn.Conv2d(channels, channels, (height, width), padding=(height // 2, width // 2), groups=channels)


class StripAttention(nn.Module):
    """A map times what a 5x5 kernel sees, and strips on top of it, summed; keys `conv0.*`, `conv0_1.*`, `conv0_2.*`, ..."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv0 = depthwise(channels, 5, 5)
        for number, length in enumerate(STRIPS):
            self.add_module(f"conv{number}_1", depthwise(channels, 1, length))
            self.add_module(f"conv{number}_2", depthwise(channels, length, 1))
        self.conv3 = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, h, w) -> the same."""
        seen = total = self.conv0(x)
        for number in range(len(STRIPS)):
            across = self.get_submodule(f"conv{number}_1")(seen)
            total = total + self.get_submodule(f"conv{number}_2")(across)
        # In training the publisher keeps a copy of the map for the product beside the map.
        return self.conv3(total) * (x.clone() if self.training else x)


class Attention(nn.Module):
    """The attention between two 1x1 convolutions, and a shortcut of its own; keys `proj_1.*`, `spatial_gating_unit.*`, `proj_2.*`."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.proj_1 = nn.Conv2d(channels, channels, 1)
        self.spatial_gating_unit = StripAttention(channels)
        self.proj_2 = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, h, w) -> the same."""
        return self.proj_2(self.spatial_gating_unit(F.gelu(self.proj_1(x)))) + x


class Perceptron(ConvFeedForward):
    """With a depthwise convolution behind the first; keys `dwconv.*` besides."""

    def __init__(self, channels: int, inside: int) -> None:
        super().__init__(channels, inside, nn.GELU())
        self.dwconv = depthwise(inside, 3, 3)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, h, w) -> the same."""
        return self.fc2(self.activation(self.dwconv(self.fc1(x))))


class Block(nn.Module):
    """Keys `norm1.*`, `attn.*`, `norm2.*`, `mlp.*`, `layer_scale_1`, `layer_scale_2`."""

    def __init__(self, channels: int, expansion: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(channels)
        self.attn = Attention(channels)
        self.norm2 = nn.BatchNorm2d(channels)
        self.mlp = Perceptron(channels, expansion * channels)
        self.layer_scale_1 = nn.Parameter(torch.ones(channels))
        self.layer_scale_2 = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, h, w) -> the same."""
        x = x + self.layer_scale_1[:, None, None] * self.attn(self.norm1(x))
        return x + self.layer_scale_2[:, None, None] * self.mlp(self.norm2(x))


class Stem(nn.Module):
    """Two strided convolutions, a GELU between; keys `proj.0.*`, `proj.1.*`, `proj.3.*`, `proj.4.*`."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.proj = nn.Sequential(
            nn.Conv2d(3, half, 3, 2, 1),
            nn.BatchNorm2d(half),
            nn.GELU(),
            nn.Conv2d(half, channels, 3, 2, 1),
            nn.BatchNorm2d(channels),
        )

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, channels, ceil(H / 4), ceil(W / 4))."""
        return self.proj(images)


class Down(nn.Module):
    """A strided convolution and a norm; keys `proj.*`, `norm.*`."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(in_channels, channels, 3, 2, 1)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, h, w) -> (N, channels, ceil(h / 2), ceil(w / 2))."""
        return self.norm(self.proj(x))


class MSCAN(nn.Module):
    """Four stages; keys `patch_embed1.*`, `block1.*`, `norm1.*`, ...

    Args:
        embed_dims: Channels of the stages.
        depths: Their blocks.

    Attributes:
        channels: Channels of the four outputs.
    """

    def __init__(self, *, embed_dims: Stages, depths: Stages) -> None:
        super().__init__()
        self.channels = embed_dims
        embeds = [Stem(embed_dims[0]), *(Down(fine, coarse) for fine, coarse in pairwise(embed_dims))]
        self.stages = []
        for number, (embed, own, depth, expansion) in enumerate(
            zip(embeds, embed_dims, depths, EXPANSIONS, strict=True), 1
        ):
            blocks = nn.Sequential(*(Block(own, expansion) for _ in range(depth)))
            norm = LayerNorm2d(own, NORM_EPS)
            self.add_module(f"patch_embed{number}", embed)
            self.add_module(f"block{number}", blocks)
            self.add_module(f"norm{number}", norm)
            self.stages.append((embed, blocks, norm))

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Features at strides 4, 8, 16 and 32; sizes are rounded up.

        Args:
            images: (N, 3, H, W), normalised.
        """
        features, x = [], images
        for embed, blocks, norm in self.stages:
            x = norm(blocks(embed(x)))
            features.append(x)
        return tuple(features)


build = MSCAN
