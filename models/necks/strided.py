"""Every map halved by a 3x3 block: what sssegmentation's MCIBI has between HRNet and the head (`downsample_backbone`).

sssegmentation eb1878c1, segmentors/mcibi/mcibi.py, on Cityscapes and LIP; the paper does not tell of it.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from torch import nn

from ..layers import ConvModule

if TYPE_CHECKING:
    from torch import Tensor


class StridedNeck(nn.Module):
    """Features -> as many of as many channels, at half the size, rounded up.

    Args:
        in_channels: Channels of each feature map, the same for all: they pass one block.

    Attributes:
        channels: Channels of the outputs.
    """

    layouts = MappingProxyType({"ssseg": (("block", "downsample_backbone"),)})

    def __init__(self, in_channels: tuple[int, ...]) -> None:
        super().__init__()
        self.block = ConvModule(in_channels[0], in_channels[0], 3, stride=2)
        self.channels = in_channels

    def forward(self, features: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Feature maps (N, C, h_i, w_i) -> (N, C, ceil(h_i / 2), ceil(w_i / 2))."""
        return tuple(self.block(x) for x in features)


build = StridedNeck
