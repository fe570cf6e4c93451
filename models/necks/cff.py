"""Cascade feature fusion (ICNet, Zhao et al. 2018): the coarsest of three maps joins the middle one, and both the finest.

mmsegmentation 1.2.2, necks/ic_neck.py; sssegmentation eb1878c1, segmentors/icnet/icneck.py; they agree bit for bit. The paper
classifies the enlarged coarse map for training's loss; here it is the one behind the dilated 3x3 block, with a ReLU.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import nn

from ..layers import ConvModule, resize

if TYPE_CHECKING:
    from torch import Tensor


class CascadeFeatureFusion(nn.Module):
    """A coarse map enlarged by two, and a fine one, each through a block, added."""

    def __init__(self, low_channels: int, high_channels: int, channels: int, *, align_corners: bool) -> None:
        super().__init__()
        self.align_corners = align_corners
        self.conv_low = ConvModule(low_channels, channels, 3, dilation=2)
        self.conv_high = ConvModule(high_channels, channels)

    def forward(self, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        """Low (N, L, h', w') and high (N, H, h, w) -> their sum and the low part of it, (N, channels, h, w) each."""
        low = self.conv_low(resize(low, high.shape[2:], align_corners=self.align_corners))
        return F.relu(low + self.conv_high(high), inplace=True), low


class CFFNeck(nn.Module):
    """Three features -> the low parts of both fusions, for auxiliary heads, and the last sum, for the decode head.

    Args:
        in_channels: Channels of the three feature maps, fine to coarse.
        align_corners: Corner convention of the resizes.
        channels: Channels of every output.

    Attributes:
        channels: Channels of the outputs.
    """

    layouts = MappingProxyType({"ssseg": (("cff_{n}", "neck.cff_{n}"),)})

    def __init__(
        self, in_channels: tuple[int, int, int], *, align_corners: bool, channels: int = 128
    ) -> None:
        super().__init__()
        fine, middle, coarse = in_channels
        self.cff_24 = CascadeFeatureFusion(coarse, middle, channels, align_corners=align_corners)
        self.cff_12 = CascadeFeatureFusion(channels, fine, channels, align_corners=align_corners)
        self.channels = (channels,) * 3

    def forward(self, features: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Feature maps (N, C_i, h_i, w_i) -> at the middle one's size, at the finest's, and there again."""
        fine, middle, coarse = features
        fused, low_of_middle = self.cff_24(coarse, middle)
        fused, low_of_fine = self.cff_12(fused, fine)
        return low_of_middle, low_of_fine, fused


build = CFFNeck
