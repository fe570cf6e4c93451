"""SETR's multi-level aggregation (Zheng et al. 2021): each of ViT's maps with the sum of all deeper ones, deepest first.

mmsegmentation 1.2.2, necks/mla_neck.py; sssegmentation eb1878c1, segmentors/setr/mla.py; they agree bit for bit.
"""

from __future__ import annotations

from itertools import accumulate
from types import MappingProxyType
from typing import TYPE_CHECKING

from torch import nn

from ..layers import ConvModule
from ..transformer import ChannelNorm

if TYPE_CHECKING:
    from torch import Tensor


class Aggregation(nn.Module):
    """A 1x1 block on each map, and a 3x3 block on each sum; keys `channel_proj.*` and `feat_extract.*`.

    Args:
        in_channels: Channels of each map.
        channels: Of every output.
    """

    def __init__(self, in_channels: tuple[int, ...], channels: int) -> None:
        super().__init__()
        self.channel_proj = nn.ModuleList(ConvModule(one, channels) for one in in_channels)
        self.feat_extract = nn.ModuleList(ConvModule(channels, channels, 3) for _ in in_channels)

    def forward(self, features: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Maps (N, C_i, h, w) -> (N, channels, h, w), deepest first."""
        projected = [conv(x) for conv, x in zip(self.channel_proj, features, strict=True)]
        sums = accumulate(reversed(projected), lambda total, x: total + x)
        return tuple(conv(x) for conv, x in zip(self.feat_extract, sums, strict=True))


class MLANeck(nn.Module):
    """Features -> as many maps of `channels` channels, deepest first.

    Args:
        in_channels: Channels of each feature map.
        channels: Of every output.

    Attributes:
        channels: Channels of the outputs.
    """

    layouts = MappingProxyType({"ssseg": (("norm", "mla_neck.norm_layers"), ("mla", "mla_neck.mla"))})

    def __init__(self, in_channels: tuple[int, ...], *, channels: int = 256) -> None:
        super().__init__()
        self.channels = (channels,) * len(in_channels)
        self.norm = nn.ModuleList(ChannelNorm(one) for one in in_channels)
        self.mla = Aggregation(in_channels, channels)

    def forward(self, features: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Feature maps (N, C_i, h, w) -> (N, channels, h, w)."""
        return self.mla(tuple(norm(x) for norm, x in zip(self.norm, features, strict=True)))


build = MLANeck
