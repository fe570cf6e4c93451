"""Twins (Chu et al. 2021): PCPVT, of attention to a reduced map, and SVT, which takes turns between windows and that.

mmsegmentation 1.2.2, backbones/twins.py, and sssegmentation eb1878c1, backbones/twins.py, agree bit for bit. Positions are told by a
depthwise convolution behind the first block of each stage.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from ..input_size import require_sides
from ..layers import Natural  # noqa: TC001  (`build` reads the annotations)
from ..transformer import (
    Attention,
    FeedForward,
    PatchEmbed,
    ReducedAttention,
    TransformerBlock,
    between_regions,
    channels_first,
    channels_last,
    from_windows,
    least_side,
    to_windows,
)

if TYPE_CHECKING:
    from torch import Tensor

NORM_EPS = 1e-5
PATCHES = (4, 2, 2, 2)
TO_PADDING = -1000.0
"""The publishers' bias of scores between positions of the map and zeros that complete its last windows."""


class LocalAttention(Attention):
    """Attention within windows of a map.

    Args:
        channels: Of the map.
        heads: How many.
        window: Side of a window.
    """

    def __init__(self, channels: int, heads: int, window: int) -> None:
        super().__init__(channels, heads)
        self.window = window

    def forward(self, x: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """(N, h, w, C) -> the same."""
        n, height, width, _ = x.shape
        below, right = -height % self.window, -width % self.window
        size = (height + below, width + right)
        padded = F.pad(x, (0, 0, 0, right, 0, below))
        bias = None
        if below and right:
            # Where one side alone is padded, both publishers mark all of the map as padding (a slice from -0 on), so that
            # its zeros are asked; weights were trained with it.
            inside = F.pad(torch.ones(height, width, device=x.device), (0, right, 0, below))
            bias = between_regions(inside, self.window, TO_PADDING).repeat(n, 1, 1, 1)
        out = super().forward(to_windows(padded, self.window), bias)
        return from_windows(out, self.window, size)[:, :height, :width]


class PositionEncoding(nn.Module):
    """Adds to a map what a depthwise convolution makes of it; key `proj.*`."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, h, w, C) -> the same."""
        return x + channels_last(self.proj(channels_first(x)))


class Twins(nn.Module):
    """Keys `patch_embeds.{stage}.*`, `layers.{stage}.{block}.*`, `position_encodings.{stage}.*`, `norm_list.{stage}.*`.

    Args:
        channels: Of the stages.
        depths: Blocks of the stages.
        heads: Of the stages.
        mlp_ratios: Of the stages: hidden channels of the feed-forward layers for each of the map's.
        reductions: Of the map that is asked, of the stages.
        window: Side of the windows within which every other block from the first on attends (SVT); 0 for none (PCPVT).
        norm_outputs: Whether each output has a norm (SVT).

    Attributes:
        channels: Channels of the four outputs.
    """

    def __init__(
        self,
        *,
        channels: tuple[int, int, int, int] = (64, 128, 320, 512),
        depths: tuple[int, int, int, int] = (3, 4, 6, 3),
        heads: tuple[int, int, int, int] = (1, 2, 5, 8),
        mlp_ratios: tuple[int, int, int, int] = (8, 8, 4, 4),
        reductions: tuple[int, int, int, int] = (8, 4, 2, 1),
        window: Natural = 0,
        norm_outputs: bool = False,
    ) -> None:
        super().__init__()
        self.channels, self.smallest = channels, least_side(reductions)
        self.patch_embeds, self.layers, self.position_encodings = (nn.ModuleList() for _ in range(3))
        incoming = 3
        for width, depth, number, ratio, reduction, patch in zip(
            channels, depths, heads, mlp_ratios, reductions, PATCHES, strict=True
        ):
            self.patch_embeds.append(PatchEmbed(incoming, width, patch, norm_eps=NORM_EPS))
            attentions = (
                LocalAttention(width, number, window)
                if window and place % 2 == 0
                else ReducedAttention(width, number, reduction, NORM_EPS)
                for place in range(depth)
            )
            self.layers.append(
                nn.ModuleList(
                    TransformerBlock(width, one, FeedForward(width, ratio * width), norm_eps=NORM_EPS)
                    for one in attentions
                )
            )
            self.position_encodings.append(PositionEncoding(width))
            incoming = width
        self.norm_list = (
            nn.ModuleList(nn.LayerNorm(width, NORM_EPS) for width in channels) if norm_outputs else None
        )

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """(N, 3, H, W) -> maps at strides 4, 8, 16, 32; sizes are rounded up.

        Raises:
            InputSizeError: The images are too small.
        """
        require_sides(images.shape[2:], self.smallest, "a position of each map that attention asks")
        maps, x = [], images
        stages = zip(self.patch_embeds, self.layers, self.position_encodings, strict=True)
        for stage, (embed, blocks, encode) in enumerate(stages):
            first, *others = blocks.children()
            x = encode(first(embed(x)))
            for block in others:
                x = block(x)
            if self.norm_list is not None:
                x = self.norm_list[stage](x)
            x = channels_first(x).contiguous()
            maps.append(x)
        return tuple(maps)


build = Twins
