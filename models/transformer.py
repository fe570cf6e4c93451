"""Blocks that transformers share, under the names mmsegmentation (and mmcv 2.1.0) gives them.

Maps lie channels last here, (N, h, w, C), so that linear layers and norms see tokens and positions stay where they are;
what knows no positions takes tokens, (N, L, C). torchvision's Swin blocks are not used: theirs do not shift where one window
covers the map, and merge patches in another order of channels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from .layers import attend

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

VIT_MLP_RATIO = 4
CHANNEL_NORM_EPS = 1e-6
GRID = tuple[int, int]
"""Height and width, in patches or positions."""


def channels_first(x: Tensor) -> Tensor:
    """(N, h, w, C) -> (N, C, h, w)."""
    return x.permute(0, 3, 1, 2)


def channels_last(x: Tensor) -> Tensor:
    """(N, C, h, w) -> (N, h, w, C)."""
    return x.permute(0, 2, 3, 1)


# Patches and positions --------------------------------------------------------------------------------------


class PatchEmbed(nn.Module):
    """A convolution that makes tokens of patches, and a norm; keys `projection.*` and `norm.*` as in mmsegmentation.

    Args:
        in_channels: Channels of the input.
        channels: Channels of a token.
        patch: Side of a patch.
        stride: Between patches; None for as much as a patch.
        overlap: Whether patches reach over the border by half; otherwise zeros below and on the right complete the last.
        padded: Whether they do; otherwise what is no whole patch is left out.
        bias: Of the convolution.
        norm_eps: Epsilon of the norm; None for no norm.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        patch: int,
        stride: int | None = None,
        *,
        overlap: bool = False,
        padded: bool = True,
        bias: bool = True,
        norm_eps: float | None = 1e-5,
    ) -> None:
        super().__init__()
        self.whole = patch if padded and not overlap else 1
        padding = patch // 2 if overlap else 0
        self.projection = nn.Conv2d(in_channels, channels, patch, stride or patch, padding, bias=bias)
        self.norm = nn.Identity() if norm_eps is None else nn.LayerNorm(channels, norm_eps)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, h, w, channels)."""
        return self.norm(channels_last(self.projection(pad_to_multiple(x, self.whole))))


def pad_to_multiple(x: Tensor, side: int) -> Tensor:
    """(..., H, W) -> with zeros below and on the right until `side` divides both."""
    below, right = (-x.shape[axis] % side for axis in (-2, -1))
    return F.pad(x, (0, right, 0, below)) if below or right else x


def resize_positions(table: Tensor, grid: GRID, size: GRID, mode: str, others: int = 1) -> Tensor:
    """A vector a patch, learned on one grid, for another.

    Args:
        table: (1, others + patches, C).
        grid: On which it was learned.
        size: Wanted.
        mode: Of the resize, without aligned corners.
        others: How many vectors, which stay as they are, come before the patches': the class token's.

    Returns:
        (1, others + patches, C).
    """
    # mmsegmentation compares numbers of patches, not grids: 16x64 patches get the vectors of 32x32 as they lie.
    if table.shape[1] - others == size[0] * size[1]:
        return table
    patches = table[:, others:].mT.unflatten(2, grid)
    resized = F.interpolate(patches, size, mode=mode, align_corners=False)
    return torch.cat([table[:, :others], resized.flatten(2).mT], 1)


def to_map(tokens: Tensor, size: GRID) -> Tensor:
    """(N, h * w, C) -> (N, C, h, w)."""
    return channels_first(tokens.unflatten(1, size)).contiguous()


class ChannelNorm(nn.LayerNorm):
    """A layer norm over the channels of a map, of epsilon 1e-6.

    Args:
        channels: Of the map.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, CHANNEL_NORM_EPS)

    def forward(self, x: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """(N, C, h, w) -> the same."""
        return channels_first(super().forward(channels_last(x))).contiguous()


# Attention --------------------------------------------------------------------------------------------------


def split_heads(x: Tensor, heads: int) -> Tensor:
    """(N, L, heads * K) -> (N, heads, L, K)."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def merge_heads(x: Tensor) -> Tensor:
    """(N, heads, L, K) -> (N, L, heads * K)."""
    return x.transpose(1, 2).flatten(2)


class MultiheadAttention(nn.Module):
    """Attention among tokens; keys `attn.*` as in mmcv, where torch's layer is inside another.

    That layer is kept for its weights: in evaluation its own forward pass would keep all scores on CPUs.

    Args:
        channels: Of tokens.
        heads: How many.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.attn = nn.MultiheadAttention(channels, heads)

    def forward(
        self,
        query: Tensor,
        key: Tensor | None = None,
        value: Tensor | None = None,
        bias: Tensor | None = None,
    ) -> Tensor:
        """Each query asks all keys.

        Args:
            query: (N, L, C).
            key: (N, S, C); None for the queries.
            value: (N, S, C); None for the keys.
            bias: As of `attend`.

        Returns:
            (N, L, C).
        """
        if key is None:
            projected = F.linear(query, self.attn.in_proj_weight, self.attn.in_proj_bias).chunk(3, -1)
        else:
            weights, offsets = (x.chunk(3) for x in (self.attn.in_proj_weight, self.attn.in_proj_bias))
            tokens = (query, key, key if value is None else value)
            projected = [F.linear(*one) for one in zip(tokens, weights, offsets, strict=True)]
        query, key, value = (split_heads(x, self.attn.num_heads) for x in projected)
        return self.attn.out_proj(merge_heads(attend(query, key, value, bias=bias)))


class ReducedAttention(MultiheadAttention):
    """Every position asks those of a smaller map (PVT, Wang et al. 2021; SegFormer); keys `attn.*`, `sr.*`, `norm.*`.

    Args:
        channels: Of the map.
        heads: How many.
        reduction: By which the asked map is smaller, each way; a rest at the border is not asked.
        norm_eps: Epsilon of the norm behind the reduction.
    """

    def __init__(self, channels: int, heads: int, reduction: int, norm_eps: float) -> None:
        super().__init__(channels, heads)
        self.sr = nn.Conv2d(channels, channels, reduction, reduction) if reduction > 1 else None
        self.norm = nn.LayerNorm(channels, norm_eps) if reduction > 1 else None

    def forward(self, x: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """(N, h, w, C) -> the same."""
        tokens, asked = x.flatten(1, 2), None
        if self.sr is not None and self.norm is not None:
            asked = self.norm(self.sr(channels_first(x)).flatten(2).mT)
        return super().forward(tokens, asked).view(x.shape)


def least_side(reductions: Iterable[int]) -> int:
    """Pixels that a side of the images must have for a position of every smaller map that `ReducedAttention` asks.

    Args:
        reductions: Of the stages, whose maps are at strides 4, 8, 16, ... and rounded up.
    """
    return max(4 * 2**stage * (reduction - 1) + 1 for stage, reduction in enumerate(reductions))


class Attention(nn.Module):
    """Attention of tokens among themselves; keys `qkv.*` and `proj.*`.

    Args:
        channels: Of tokens.
        heads: How many.
        bias: Whether queries, keys and values have one.
    """

    def __init__(self, channels: int, heads: int, *, bias: bool = True) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(channels, 3 * channels, bias=bias)
        self.proj = nn.Linear(channels, channels)

    def project(self, x: Tensor) -> Tensor:
        """(N, L, C) -> queries, keys and values beside each other, (N, L, 3 C)."""
        return self.qkv(x)

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """(N, L, C) -> the same; the bias is as of `attend`."""
        query, key, value = (split_heads(one, self.heads) for one in self.project(x).chunk(3, -1))
        return self.proj(merge_heads(attend(query, key, value, bias=bias)))


class RelativeAttention(Attention):
    """With a learned bias for each offset of two positions of a grid; keys `relative_position_*` besides.

    Args:
        channels: Of tokens.
        heads: How many.
        grid: Of the positions.
        class_token: Whether a token that has no position comes before them.
        bias: As of `Attention`.
    """

    relative_position_index: Tensor

    def __init__(
        self, channels: int, heads: int, grid: GRID, *, class_token: bool = False, bias: bool = True
    ) -> None:
        super().__init__(channels, heads, bias=bias)
        index = relative_index(grid, class_token=class_token)
        offsets = (2 * grid[0] - 1) * (2 * grid[1] - 1) + 3 * class_token
        self.relative_position_bias_table = nn.Parameter(torch.zeros(offsets, heads))
        self.register_buffer("relative_position_index", index)

    def relative_bias(self) -> Tensor:
        """(1, heads, L, L)."""
        positions = self.relative_position_index
        of_heads = (
            self.relative_position_bias_table.mT.contiguous()
        )  # its rows chosen: twice as fast as turning the choice
        return of_heads.index_select(1, positions.flatten()).view(1, -1, *positions.shape)

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """(N, L, C) -> the same; the bias (N, 1, L, L) is added to the learned one."""
        relative = self.relative_bias()
        return super().forward(x, relative if bias is None else relative + bias)


def relative_index(grid: GRID, *, class_token: bool) -> Tensor:
    """Row of the table for each pair of positions (L, L): by the offset of rows, then of columns.

    With a class token the last three rows are for it asking, being asked, and both.
    """
    height, width = grid
    rows, columns = torch.arange(height).repeat_interleave(width), torch.arange(width).repeat(height)
    down, right = (one[:, None] - one + side - 1 for one, side in ((rows, height), (columns, width)))
    index = down * (2 * width - 1) + right
    if not class_token:
        return index
    offsets = (2 * height - 1) * (2 * width - 1)
    index = F.pad(index, (1, 0, 1, 0))
    index[0], index[:, 0], index[0, 0] = offsets, offsets + 1, offsets + 2
    return index


# Windows ----------------------------------------------------------------------------------------------------


def to_windows(x: Tensor, side: int) -> Tensor:
    """(N, h, w, C), both multiples of `side` -> (N * windows, side * side, C)."""
    n, height, width, channels = x.shape
    x = x.view(n, height // side, side, width // side, side, channels)
    return x.transpose(2, 3).reshape(-1, side * side, channels)


def from_windows(x: Tensor, side: int, size: GRID) -> Tensor:
    """(N * windows, side * side, C) -> (N, *size, C)."""
    height, width = size
    x = x.view(-1, height // side, width // side, side, side, x.shape[-1])
    return x.transpose(2, 3).reshape(-1, height, width, x.shape[-1])


def between_regions(regions: Tensor, side: int, penalty: float) -> Tensor:
    """Bias of scores between positions of a window that belong to different regions.

    Args:
        regions: (h, w), the number of each position's.
        side: Of the windows.
        penalty: The bias; 0 within a region.

    Returns:
        (windows, 1, side * side, side * side).
    """
    numbers = to_windows(regions[None, :, :, None], side).squeeze(2)
    apart = numbers[:, None, :] != numbers[:, :, None]
    return torch.where(apart, penalty, 0.0).unsqueeze(1)


# Blocks -----------------------------------------------------------------------------------------------------


class FeedForward(nn.Module):
    """Two linear layers; keys `layers.0.0.*` and `layers.1.*` as in mmcv.

    Args:
        channels: Of tokens.
        hidden_channels: Between the layers.
        activation: Between them; None for GELU.
    """

    def __init__(self, channels: int, hidden_channels: int, activation: nn.Module | None = None) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Sequential(nn.Linear(channels, hidden_channels), activation or nn.GELU()),
            nn.Linear(hidden_channels, channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(..., C) -> (..., C)."""
        return self.layers(x)


class ConvFeedForward(nn.Module):
    """Two 1x1 convolutions, for maps with channels first; keys `fc1.*`, `fc2.*`.

    Args:
        channels: Of the map.
        hidden_channels: Between the convolutions.
        activation: Between them.
    """

    def __init__(self, channels: int, hidden_channels: int, activation: nn.Module) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, hidden_channels, 1)
        self.activation = activation
        self.fc2 = nn.Conv2d(hidden_channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, h, w) -> the same."""
        return self.fc2(self.activation(self.fc1(x)))


class TransformerBlock(nn.Module):
    """Attention and feed-forward layers, each behind a norm and with a shortcut.

    Args:
        channels: Of tokens.
        attention: Key `attn`; tokens or maps to the same.
        ffn: Likewise.
        norm_eps: Epsilon of the norms.
        norms: How their keys begin; a 1 and a 2 follow.
        scaled: Whether each branch is multiplied by a learned vector, `gamma_1` and `gamma_2` (CaiT's layer scale).
    """

    def __init__(
        self,
        channels: int,
        attention: nn.Module,
        ffn: nn.Module,
        *,
        norm_eps: float,
        norms: str = "norm",
        scaled: bool = False,
    ) -> None:
        super().__init__()
        self.norms = norms
        self.add_module(f"{norms}1", nn.LayerNorm(channels, norm_eps))
        self.attn = attention
        self.add_module(f"{norms}2", nn.LayerNorm(channels, norm_eps))
        self.ffn = ffn
        self.gamma_1, self.gamma_2 = (
            nn.Parameter(torch.ones(channels)) if scaled else None for _ in range(2)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, ..., C) -> the same."""
        for branch, number, gamma in ((self.attn, 1, self.gamma_1), (self.ffn, 2, self.gamma_2)):
            change = branch(self.get_submodule(f"{self.norms}{number}")(x))
            x = x + (change if gamma is None else gamma * change)
        return x


def vit_block(
    channels: int, heads: int, norm_eps: float, activation: nn.Module | None = None
) -> TransformerBlock:
    """A block of ViT; keys `ln1.*`, `attn.*`, `ln2.*`, `ffn.*`; the activation is as of `FeedForward`."""
    attention = MultiheadAttention(channels, heads)
    ffn = FeedForward(channels, VIT_MLP_RATIO * channels, activation)
    return TransformerBlock(channels, attention, ffn, norm_eps=norm_eps, norms="ln")


class QuickGELU(nn.Module):
    """GELU as CLIP has it (Radford et al. 2021): a sigmoid in place of the error function."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape -> the same."""
        return x * torch.sigmoid(1.702 * x)
