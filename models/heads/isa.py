"""Interlaced sparse self-attention (ISANet) in the two published variants.

mmsegmentation 1.2.2, mmseg/models/decode_heads/isa_head.py (0.18 alike) and sssegmentation eb1878c1,
segmentors/isanet/isanet.py differ in two places only: the kernel of `out_conv` (1 and 3) and the bias of
`value_project` (with and without).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from ..layers import ConvModule, Head, Natural, attend, double_projection

if TYPE_CHECKING:
    from torch import Tensor

BLOCK = 8
"""Side of a local block in positions (`down_factor` is (8, 8) in every published model)."""

# How a map seen as (N, C, rows, BLOCK, columns, BLOCK) becomes groups of tokens: the first pair of axes
# behind N numbers the groups, the second pair the tokens of a group, the last axis is the channel.
GLOBAL_ORDER = (0, 3, 5, 2, 4, 1)  # equal offset inside the block, all over the image: long range
LOCAL_ORDER = (0, 2, 4, 3, 5, 1)  # one block: short range


def split_groups(x: Tensor, order: tuple[int, ...]) -> Tensor:
    """Map (N, C, rows * BLOCK, columns * BLOCK) -> tokens (N, groups, positions, C)."""
    blocks = x.unflatten(3, (-1, BLOCK)).unflatten(2, (-1, BLOCK))  # (N, C, rows, BLOCK, columns, BLOCK)
    return blocks.permute(order).flatten(3, 4).flatten(1, 2)


def join_groups(tokens: Tensor, order: tuple[int, ...], size: tuple[int, int]) -> Tensor:
    """Tokens (N, groups, positions, C) -> map (N, C, *size); undoes `split_groups`."""
    height, width = size
    axes = (len(tokens), tokens.shape[-1], height // BLOCK, BLOCK, width // BLOCK, BLOCK)
    blocks = tokens.reshape([axes[axis] for axis in order])
    inverse = sorted(range(6), key=order.__getitem__)
    return blocks.permute(inverse).reshape(len(tokens), -1, height, width)


def block_padding(height: int, width: int) -> tuple[int, int, int, int]:
    """Zeros to add left, right, top, bottom to reach whole blocks; the smaller half left and on top."""
    missing_x, missing_y = -width % BLOCK, -height % BLOCK
    left, top = missing_x // 2, missing_y // 2
    return left, missing_x - left, top, missing_y - top


class Relation(nn.Module):
    """Self-attention inside each group of positions, without residual.

    Keys and queries pass two conv blocks each; the value is one plain convolution.
    """

    def __init__(self, channels: int, key_channels: int, *, order: tuple[int, ...], value_bias: bool) -> None:
        super().__init__()
        self.order = order
        self.key_project = double_projection(channels, key_channels)
        self.query_project = double_projection(channels, key_channels)
        self.value_project = nn.Conv2d(channels, channels, 1, bias=value_bias)
        self.output_project = ConvModule(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, C, h, w), h and w multiples of BLOCK.

        The projections look at single positions, so they run on the map and only the attention on groups.
        """
        query, key, value = (
            split_groups(project(x), self.order)  # (N, groups, positions, K or C)
            for project in (self.query_project, self.key_project, self.value_project)
        )
        context = join_groups(attend(query, key, value), self.order, (x.shape[2], x.shape[3]))
        return self.output_project(context)


KEYS = {"ssseg": (("conv_seg", "decoder.1"),)}


class ISAHead(Head):
    """Features -> scores (N, num_classes, h, w) at the stride of the map it reads: long-range, then short-range attention.

    Args:
        in_channels: Channels of each feature map.
        num_classes: Channels of the scores.
        in_index: Which map is read.
        channels: Channels of the head.
        isa_channels: Channels of keys and queries.
        out_kernel: Kernel side of `out_conv`: 1 for mmsegmentation, 3 for sssegmentation.
        value_bias: Whether `value_project` has a bias: it has for mmsegmentation only.
    """

    layouts = KEYS

    def __init__(
        self,
        in_channels: tuple[int, ...],
        num_classes: int,
        *,
        in_index: Natural = -1,
        channels: int = 512,
        isa_channels: int = 256,
        out_kernel: int = 1,
        value_bias: bool = True,
    ) -> None:
        super().__init__(channels, num_classes)
        self.in_index = in_index
        self.in_conv = ConvModule(in_channels[in_index], channels, 3)
        self.global_relation = Relation(channels, isa_channels, order=GLOBAL_ORDER, value_bias=value_bias)
        self.local_relation = Relation(channels, isa_channels, order=LOCAL_ORDER, value_bias=value_bias)
        self.out_conv = ConvModule(2 * channels, channels, out_kernel)

    def fuse(self, features: tuple[Tensor, ...]) -> Tensor:
        """Feature maps (N, C_i, h_i, w_i) -> (N, channels, h, w) at the size of the one it reads."""
        x = self.in_conv(features[self.in_index])
        return self.out_conv(torch.cat([self.interlace(x), x], 1))  # attended first, then the residual

    def interlace(self, x: Tensor) -> Tensor:
        """Both relations on (N, C, h, w); the zeros added behind `in_conv` take part, unmasked, as keys."""
        height, width = x.shape[2:]
        left, right, top, bottom = block_padding(height, width)
        x = F.pad(x, (left, right, top, bottom))
        x = self.local_relation(self.global_relation(x))
        if torch.compiler.is_compiling():  # an exported slice would hold for sizes like its example's alone
            return F.pad(x, (-left, -right, -top, -bottom))
        return x[:, :, top : top + height, left : left + width]


build = ISAHead
