"""DPT (Ranftl et al. 2021): ViT's maps, each with its class token, made a pyramid and fused from the coarsest to the finest.

mmsegmentation 1.2.2, decode_heads/dpt_head.py. Whatever the configuration says, corners are aligned where a fusion enlarges by two,
and not where a level is resized. Norms of its ViT have an epsilon of 1e-5. A finer map is resized to what came of the coarser ones, not the other way round.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from ..layers import ConvModule, Head, resize

if TYPE_CHECKING:
    from torch import Tensor

LEVELS = 4


class ReassembleBlocks(nn.Module):
    """Each map joined by its class token, projected and resized to strides 4, 8, 16 and 32.

    Args:
        in_channels: Of the maps and class tokens.
        channels: Of the four outputs.
    """

    def __init__(self, in_channels: int, channels: tuple[int, int, int, int]) -> None:
        super().__init__()
        first, second, _, fourth = channels
        self.projects = nn.ModuleList(
            ConvModule(in_channels, one, norm=False, activation=None) for one in channels
        )
        self.resize_layers = nn.ModuleList(
            (
                nn.ConvTranspose2d(first, first, 4, 4),
                nn.ConvTranspose2d(second, second, 2, 2),
                nn.Identity(),
                nn.Conv2d(fourth, fourth, 3, 2, 1),
            )
        )
        self.readout_projects = nn.ModuleList(
            nn.Sequential(nn.Linear(2 * in_channels, in_channels), nn.GELU()) for _ in channels
        )

    def forward(self, maps: tuple[Tensor, ...], classes: tuple[Tensor, ...]) -> list[Tensor]:
        """Maps (N, C, h, w) and class tokens (N, C, 1, 1) -> a map a level."""
        levels = zip(maps, classes, self.readout_projects, self.projects, self.resize_layers, strict=True)
        found = []
        for x, token, read, project, change in levels:
            both = torch.cat([x, token.expand_as(x)], 1).permute(0, 2, 3, 1)
            found.append(change(project(read(both).permute(0, 3, 1, 2))))
        return found


class ResidualUnit(nn.Module):
    """Two 3x3 convolutions, each behind a ReLU and before a norm, with a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = (ConvModule(channels, channels, 3, activation=None) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) -> the same."""
        return x + self.conv2(self.conv1(x.relu()).relu())


class FeatureFusionBlock(nn.Module):
    """Adds a level to what came of the coarser ones and enlarges the sum by two.

    Args:
        channels: Of all maps.
        first: Whether it is the coarsest level's, to which nothing is added.
    """

    def __init__(self, channels: int, *, first: bool) -> None:
        super().__init__()
        self.res_conv_unit1 = None if first else ResidualUnit(channels)
        self.res_conv_unit2 = ResidualUnit(channels)
        self.project = ConvModule(channels, channels, norm=False, activation=None)

    def forward(self, x: Tensor, level: Tensor | None = None) -> Tensor:
        """(N, C, h, w) -> (N, C, 2 h, 2 w)."""
        if self.res_conv_unit1 is not None and level is not None:
            if level.shape != x.shape:
                level = resize(level, x.shape[2:], align_corners=False)
            x = x + self.res_conv_unit1(level)
        x = F.interpolate(self.res_conv_unit2(x), scale_factor=2, mode="bilinear", align_corners=True)
        return self.project(x)


class DPTHead(Head):
    """Features -> scores (N, num_classes, 8 h, 8 w) of maps (N, C, h, w).

    Args:
        in_channels: Channels of four maps and of their four class tokens, all the same.
        num_classes: Channels of the scores.
        channels: Of every fusion.
        level_channels: Of each map as it is reassembled.
    """

    def __init__(
        self,
        in_channels: tuple[int, ...],
        num_classes: int,
        *,
        channels: int = 256,
        level_channels: tuple[int, int, int, int] = (96, 192, 384, 768),
    ) -> None:
        if len(in_channels) != 2 * LEVELS:
            raise ValueError(f"{LEVELS} maps and as many class tokens are read, not {len(in_channels)} maps")
        super().__init__(channels, num_classes)
        self.reassemble_blocks = ReassembleBlocks(in_channels[0], level_channels)
        self.convs = nn.ModuleList(
            ConvModule(one, channels, 3, bias=False, norm=False, activation=None) for one in level_channels
        )
        self.fusion_blocks = nn.ModuleList(
            FeatureFusionBlock(channels, first=not number) for number in range(LEVELS)
        )
        self.project = ConvModule(channels, channels, 3)

    def fuse(self, features: tuple[Tensor, ...]) -> Tensor:
        """Maps (N, C, h, w), then class tokens (N, C, 1, 1) -> (N, channels, 8 h, 8 w)."""
        levels = self.reassemble_blocks(features[:LEVELS], features[LEVELS:])
        *finer, coarsest = (conv(x) for conv, x in zip(self.convs, levels, strict=True))
        first, *others = self.fusion_blocks
        x = first(coarsest)
        for block, level in zip(others, reversed(finer), strict=True):
            x = block(x, level)
        return self.project(x)


build = DPTHead
