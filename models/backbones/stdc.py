"""STDC (Fan et al. 2021): blocks whose convolutions halve in width and stand beside each other, then BiSeNet's context path.

mmsegmentation 1.2.2, backbones/stdc.py. The paper's network has no spatial path: the map at stride 8 takes its place, and a head on it
that learns boundaries is training's alone. Maps are enlarged by the nearest value.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import torch
import torch.nn.functional as F
from torch import nn

from ..layers import ConvModule
from .bisenet_v1 import AttentionRefinement, nearest

if TYPE_CHECKING:
    from torch import Tensor

STEM_CHANNELS = (32, 64)
STAGE_CHANNELS = (256, 512, 1024)
STAGE_BLOCKS = {1: (2, 2, 2), 2: (4, 5, 3)}
"""Number in the network's name -> blocks of its stages."""
CONVS = 4
"""Convolutions of a block."""
CONTEXT_CHANNELS, OUT_CHANNELS = 128, 256
SQUEEZE = 4
"""Channels of the fusion over those inside its attention."""


class ShortTermDenseConcat(nn.Module):
    """Four convolutions behind each other, their outputs beside each other: of a half, a quarter and twice an eighth of the channels."""

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        widths = [channels // 2 ** min(number, CONVS - 1) for number in range(1, CONVS + 1)]
        self.layers = nn.ModuleList([ConvModule(in_channels, widths[0])])
        self.layers.extend(ConvModule(incoming, own, 3) for incoming, own in pairwise(widths))
        self.downsample = self.skip = nn.Identity()
        if stride > 1:
            self.downsample = ConvModule(
                widths[0], widths[0], 3, stride=stride, groups=widths[0], activation=None
            )
            self.skip = nn.AvgPool2d(3, stride=stride, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, h, w) -> (N, channels, ceil(h / stride), ceil(w / stride))."""
        first, *others = self.layers
        wide = first(x)
        outputs, x = [self.skip(wide)], self.downsample(wide)
        for layer in others:
            x = layer(x)
            outputs.append(x)
        return torch.cat(outputs, 1)


class STDCNet(nn.Module):
    """Two strided blocks and three stages; keys `stages.*`."""

    def __init__(self, number: Literal[1, 2]) -> None:
        super().__init__()
        first, second = STEM_CHANNELS
        self.stages = nn.ModuleList(
            [ConvModule(3, first, 3, stride=2), ConvModule(first, second, 3, stride=2)]
        )
        incoming = second
        for channels, blocks in zip(STAGE_CHANNELS, STAGE_BLOCKS[number], strict=True):
            others = (ShortTermDenseConcat(channels, channels, 1) for _ in range(blocks - 1))
            self.stages.append(nn.Sequential(ShortTermDenseConcat(incoming, channels, 2), *others))
            incoming = channels

    def forward(self, images: Tensor) -> list[Tensor]:
        """(N, 3, H, W) -> maps at strides 8, 16 and 32."""
        maps, x = [], images
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps[len(STEM_CHANNELS) :]


class FeatureFusion(nn.Module):
    """BiSeNet's fusion with an attention that squeezes, its convolutions without norms."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        inside = channels // SQUEEZE
        self.conv0 = ConvModule(in_channels, channels)
        self.attention = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            ConvModule(channels, inside, norm=False, bias=False),
            ConvModule(inside, channels, norm=False, bias=False, activation="sigmoid"),
        )

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Maps (N, C_i, h, w) -> (N, channels, h, w)."""
        x = self.conv0(torch.cat(maps, 1))
        return x * self.attention(x) + x


class STDC(nn.Module):
    """Images -> features at strides 8, 16, 8 and 8; keys `backbone.*`, `arms.*`, `convs.*`, `conv_avg.*`, `ffm.*`.

    Args:
        number: 1 for STDC1, 2 for STDC2.

    Attributes:
        channels: Channels of the outputs.
    """

    channels = (STAGE_CHANNELS[0], CONTEXT_CHANNELS, CONTEXT_CHANNELS, OUT_CHANNELS)

    def __init__(self, *, number: Literal[1, 2]) -> None:
        super().__init__()
        self.backbone = STDCNet(number)
        fine, middle, coarse = STAGE_CHANNELS
        self.arms = nn.ModuleList(AttentionRefinement(own, CONTEXT_CHANNELS) for own in (coarse, middle))
        self.convs = nn.ModuleList(ConvModule(CONTEXT_CHANNELS, CONTEXT_CHANNELS, 3) for _ in range(2))
        self.conv_avg = ConvModule(coarse, CONTEXT_CHANNELS)
        self.ffm = FeatureFusion(fine + CONTEXT_CHANNELS, OUT_CHANNELS)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """The finest stage, the context path's two maps from coarse to fine, and the fusion of the finest with the last.

        Args:
            images: (N, 3, H, W), normalised.
        """
        fine, middle, coarse = self.backbone(images)
        x = self.conv_avg(F.adaptive_avg_pool2d(coarse, 1))
        context = []
        for arm, conv, own, finer in zip(
            self.arms, self.convs, (coarse, middle), (middle, fine), strict=True
        ):
            x = conv(nearest(arm(own) + x, finer))
            context.append(x)
        return (fine, *context, self.ffm([fine, x]))


build = STDC
