"""A layer norm over the channels of each map: sssegmentation's ViT, for the heads behind it.

sssegmentation eb1878c1, segmentors/setr/setrup.py and mcibi/mcibi.py. mmsegmentation has one within each of SETR's heads.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from torch import nn

from ..transformer import ChannelNorm

if TYPE_CHECKING:
    from torch import Tensor


class NormNeck(nn.Module):
    """Features -> the same, normalised at each position; keys `norms.{n}.*`.

    Args:
        in_channels: Channels of each feature map.

    Attributes:
        channels: Channels of the outputs.
    """

    layouts = MappingProxyType({"ssseg": (("norms", "norm_layers"),)})

    def __init__(self, in_channels: tuple[int, ...]) -> None:
        super().__init__()
        self.channels = in_channels
        self.norms = nn.ModuleList(ChannelNorm(one) for one in in_channels)

    def forward(self, features: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Feature maps (N, C_i, h_i, w_i) -> of the same sizes."""
        return tuple(norm(x) for norm, x in zip(self.norms, features, strict=True))


build = NormNeck
