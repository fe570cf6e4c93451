"""Swin Transformer (Liu et al. 2021): attention within windows, every second time of windows shifted by half.

mmsegmentation 1.2.2, backbones/swin.py, and sssegmentation eb1878c1, backbones/swin.py, agree bit for bit. Beside Microsoft's
code: patches are merged with the four positions of a channel next to each other (nn.Unfold), each output has a norm of its own,
and windows are shifted even where one covers the map. Positions of different sides of the border are told apart by a bias of
-100, not forbidden; zeros that complete the last windows are asked like any other position.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from ..transformer import (
    FeedForward,
    PatchEmbed,
    RelativeAttention,
    TransformerBlock,
    between_regions,
    channels_first,
    channels_last,
    from_windows,
    pad_to_multiple,
    to_windows,
)

if TYPE_CHECKING:
    from torch import Tensor

NORM_EPS = 1e-5
PATCH = 4
MLP_RATIO = 4
ACROSS_BORDER = -100.0
"""The publishers' bias of scores between positions that only the shift has brought together."""


class WindowAttention(nn.Module):
    """Attention within windows of a map; keys `w_msa.*`.

    Args:
        channels: Of the map.
        heads: How many.
        window: Side of a window.
        shift: By which windows are shifted down and to the right; the map is a torus for them.
    """

    def __init__(self, channels: int, heads: int, window: int, shift: int) -> None:
        super().__init__()
        self.window, self.shift = window, shift
        self.w_msa = RelativeAttention(channels, heads, (window, window))

    def forward(self, x: Tensor) -> Tensor:
        """(N, h, w, C) -> the same."""
        n, height, width, _ = x.shape
        below, right = -height % self.window, -width % self.window
        padded = F.pad(x, (0, 0, 0, right, 0, below)) if below or right else x
        size = (height + below, width + right)
        bias = None
        if self.shift:
            padded = padded.roll((-self.shift, -self.shift), (1, 2))
            bias = self.border_bias(size, x.device).repeat(n, 1, 1, 1)
        out = from_windows(self.w_msa(to_windows(padded, self.window), bias), self.window, size)
        if self.shift:
            out = out.roll((self.shift, self.shift), (1, 2))
        return out[:, :height, :width]

    def border_bias(self, size: tuple[int, int], device: torch.device) -> Tensor:
        """Of scores across the border of a shifted map, (windows, 1, window ** 2, window ** 2)."""
        rows, columns = (
            (torch.arange(side, device=device) >= side - self.window).long()
            + (torch.arange(side, device=device) >= side - self.shift)
            for side in size
        )
        return between_regions(3 * rows[:, None] + columns, self.window, ACROSS_BORDER)


class PatchMerging(nn.Module):
    """Four positions become one of twice the channels; keys `norm.*` and `reduction.*`.

    Args:
        channels: Of the input.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * channels, NORM_EPS)
        self.reduction = nn.Linear(4 * channels, 2 * channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, h, w, C) -> (N, ceil(h / 2), ceil(w / 2), 2 C)."""
        merged = F.pixel_unshuffle(pad_to_multiple(channels_first(x), 2), 2)  # a channel's four in a row
        return self.reduction(self.norm(channels_last(merged)))


class Stage(nn.Module):
    """Blocks, of which every second shifts its windows; keys `blocks.{n}.*` and `downsample.*`.

    Args:
        channels: Of the map.
        heads: Of attention.
        depth: Number of blocks.
        window: Side of a window.
        merge: Whether the next stage's map is made behind them.
    """

    def __init__(self, channels: int, heads: int, depth: int, window: int, *, merge: bool) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            *(
                TransformerBlock(
                    channels,
                    WindowAttention(channels, heads, window, window // 2 * (number % 2)),
                    FeedForward(channels, MLP_RATIO * channels),
                    norm_eps=NORM_EPS,
                )
                for number in range(depth)
            )
        )
        self.downsample = PatchMerging(channels) if merge else nn.Identity()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, h, w, C) -> the same, and what the next stage is given."""
        x = self.blocks(x)
        return x, self.downsample(x)


class SwinTransformer(nn.Module):
    """Keys `patch_embed.*`, `stages.{n}.*`, `norm0.*` .. `norm3.*`.

    Args:
        channels: Of the first stage; each later one doubles them.
        depths: Blocks of the stages.
        heads: Of the stages.
        window: Side of every window.

    Attributes:
        channels: Channels of the four outputs.
    """

    def __init__(
        self,
        *,
        channels: int = 96,
        depths: tuple[int, int, int, int] = (2, 2, 6, 2),
        heads: tuple[int, int, int, int] = (3, 6, 12, 24),
        window: int = 7,
    ) -> None:
        super().__init__()
        self.channels = tuple(channels * 2**stage for stage in range(4))
        self.patch_embed = PatchEmbed(3, channels, PATCH, norm_eps=NORM_EPS)
        self.stages = nn.ModuleList(
            Stage(*numbers, window, merge=stage < 3)
            for stage, numbers in enumerate(zip(self.channels, heads, depths, strict=True))
        )
        self.norm0, self.norm1, self.norm2, self.norm3 = (
            nn.LayerNorm(width, NORM_EPS) for width in self.channels
        )

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """(N, 3, H, W) -> maps at strides 4, 8, 16, 32; sizes are rounded up."""
        maps, x = [], self.patch_embed(images)
        norms = (self.norm0, self.norm1, self.norm2, self.norm3)
        for stage, norm in zip(self.stages, norms, strict=True):
            own, x = stage(x)
            maps.append(channels_first(norm(own)).contiguous())
        return tuple(maps)


build = SwinTransformer
