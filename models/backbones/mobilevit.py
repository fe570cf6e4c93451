"""MobileViT (Mehta and Rastegari 2022) as sssegmentation builds it: MobileNetV2's blocks and, at coarse strides, transformers within.

sssegmentation eb1878c1, modules/models/backbones/mobilevit.py. A map of odd sides is enlarged by a row or a column for the
transformer and brought back behind it. The last map is widened by a 1x1 block.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import nn

from ..layers import ConvModule, resize
from ..transformer import FeedForward, MultiheadAttention, TransformerBlock
from .mobilenet_v2 import InvertedResidual

if TYPE_CHECKING:
    from torch import Tensor

STEM_CHANNELS = 16
PATCH, HEADS = 2, 4
NORM_EPS = 1e-5
LAST_EXPANSION = 4
WIDENED = 2
"""Channels of a transformer's feed-forward layers over its own."""


class Stage(NamedTuple):
    """What the paper's table says of one."""

    channels: int
    stride: int
    blocks: int
    """MobileNetV2's; a stage with a transformer has one."""
    inside: int = 0
    """Channels of the transformer's tokens; 0 for no transformer."""
    depth: int = 0
    """Its layers."""


EXPANSION = 4
"""Of MobileNetV2's blocks."""
STAGES = (
    Stage(32, 1, 1),
    Stage(64, 2, 3),
    Stage(96, 2, 1, 144, 2),
    Stage(128, 2, 1, 192, 4),
    Stage(160, 2, 1, 240, 3),
)


def to_patches(x: Tensor) -> Tensor:
    """(N, C, 2 h, 2 w) -> (N, C, 4, h * w): the places within a patch, and the patches."""
    x = x.unflatten(3, (-1, PATCH)).unflatten(2, (-1, PATCH))  # (N, C, h, 2, w, 2)
    return x.permute(0, 1, 3, 5, 2, 4).flatten(4).flatten(2, 3)


def from_patches(x: Tensor, height: int) -> Tensor:
    """The way back: (N, C, 4, h * w) and 2 h -> (N, C, 2 h, 2 w)."""
    x = x.unflatten(3, (height // PATCH, -1)).unflatten(2, (PATCH, PATCH))  # (N, C, 2, 2, h, w)
    return x.permute(0, 1, 4, 2, 5, 3).flatten(4).flatten(2, 3)


def even(x: Tensor, *, align_corners: bool) -> Tensor:
    """(N, C, h, w), odd sides enlarged by one."""
    size = [side + side % PATCH for side in x.shape[2:]]
    return x if list(x.shape[2:]) == size else resize(x, size, align_corners=align_corners)


class MobileViTBlock(nn.Module):
    """Each position asks those at the same place of all patches; keys `local_rep.*`, `global_rep.*`, `conv_proj.*`, `conv_fusion.*`."""

    def __init__(self, channels: int, inside: int, depth: int) -> None:
        super().__init__()
        self.local_rep = nn.Sequential(
            ConvModule(channels, channels, 3, activation="silu"),
            ConvModule(channels, inside, bias=False, norm=False, activation=None),
        )
        layers = (
            TransformerBlock(
                inside,
                MultiheadAttention(inside, HEADS),
                FeedForward(inside, WIDENED * inside, nn.SiLU()),
                norm_eps=NORM_EPS,
                norms="ln",
            )
            for _ in range(depth)
        )
        self.global_rep = nn.Sequential(*layers, nn.LayerNorm(inside, NORM_EPS))
        self.conv_proj = ConvModule(inside, channels, activation=None)
        self.conv_fusion = ConvModule(2 * channels, channels, 3, activation="silu")

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, h, w) -> the same."""
        local = even(self.local_rep(x), align_corners=False)
        patches = to_patches(local).permute(0, 2, 3, 1)  # (N, 4, patches, C)
        seen = self.global_rep(patches.flatten(0, 1)).view(patches.shape)
        seen = from_patches(seen.permute(0, 3, 1, 2), local.shape[2])
        if seen.shape[2:] != x.shape[2:]:
            seen = resize(seen, x.shape[2:], align_corners=False)
        return self.conv_fusion(torch.cat([x, self.conv_proj(seen)], 1))


def inverted_stage(
    in_channels: int, channels: int, stride: int, blocks: int, expansion: int
) -> list[nn.Module]:
    """MobileNetV2's blocks, the first of which strides."""
    return [
        InvertedResidual(
            channels if number else in_channels,
            channels,
            expansion=expansion,
            stride=1 if number else stride,
            activation="silu",
        )
        for number in range(blocks)
    ]


class MobileViT(nn.Module):
    """MobileViT-S, stem and five stages; keys `stem.*`, `layers.*`, `conv_1x1_exp.*`.

    Attributes:
        channels: Channels of the five outputs.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = ConvModule(3, STEM_CHANNELS, 3, stride=2, activation="silu")
        self.layers, incoming = nn.ModuleList(), STEM_CHANNELS
        for stage in STAGES:
            layers = inverted_stage(incoming, stage.channels, stage.stride, stage.blocks, EXPANSION)
            if stage.inside:
                layers.append(MobileViTBlock(stage.channels, stage.inside, stage.depth))
            self.layers.append(nn.Sequential(*layers))
            incoming = stage.channels
        last = LAST_EXPANSION * incoming
        self.conv_1x1_exp = ConvModule(incoming, last, activation="silu")
        self.channels = (*(stage.channels for stage in STAGES[:-1]), last)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Features at strides 2, 4, 8, 16 and 32; sizes are rounded up.

        Args:
            images: (N, 3, H, W), normalised.
        """
        features, x = [], self.stem(images)
        for layer in self.layers:
            x = layer(x)
            features.append(x)
        return (*features[:-1], self.conv_1x1_exp(x))


build = MobileViT
