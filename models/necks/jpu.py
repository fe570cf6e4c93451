"""Joint pyramid upsampling (FastFCN, Wu et al. 2019): c2, c3 and c4 of an undilated backbone make a map like a dilated one's.

mmsegmentation 1.2.2, necks/jpu.py; sssegmentation eb1878c1, segmentors/fastfcn/jpu.py; equal on equal features. Their backbones
differ: mmsegmentation's have the dilations of an output stride of 8 besides the strides of 32, sssegmentation's none. Of
each separable convolution the depthwise half has a norm and no activation.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import torch
from torch import nn

from ..layers import ConvModule, DepthwiseSeparableConvModule, resize

if TYPE_CHECKING:
    from torch import Tensor

LEVELS = 3
"""Maps that are joined, the last ones."""


class JPU(nn.Module):
    """Features -> c2 and c3 as they are, and the joint map at c2's size in c4's place.

    Args:
        in_channels: Channels of each feature map.
        align_corners: Corner convention of the resizes.
        channels: Channels of each dilation's output.
        dilations: Of the separable convolutions.

    Attributes:
        channels: Channels of the three outputs.
    """

    layouts = MappingProxyType(
        {
            "ssseg": (
                ("conv_layers.{n}.0", "jpu_neck.conv_layers.{n}"),
                ("dilation_layers.{n}.0", "jpu_neck.dilation_layers.{n}"),
            )
        }
    )
    holders = MappingProxyType(
        {"ssseg": "segmentor."}
    )  # sssegmentation's FastFCN holds a whole network of another kind

    def __init__(
        self,
        in_channels: tuple[int, ...],
        *,
        align_corners: bool,
        channels: int = 512,
        dilations: tuple[int, ...] = (1, 2, 4, 8),
    ) -> None:
        super().__init__()
        self.align_corners = align_corners
        incoming = in_channels[-LEVELS:]
        # Each block is alone in a list of its own, as mmsegmentation's names have it.
        self.conv_layers = nn.ModuleList(nn.Sequential(ConvModule(one, channels, 3)) for one in incoming)
        self.dilation_layers = nn.ModuleList(
            nn.Sequential(
                DepthwiseSeparableConvModule(LEVELS * channels, channels, dilation=dilation, between=False)
            )
            for dilation in dilations
        )
        self.channels = (*incoming[:-1], len(dilations) * channels)

    def forward(self, features: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Feature maps (N, C_i, h_i, w_i) -> c2, c3 and (N, dilations * channels, h_2, w_2)."""
        used = features[-LEVELS:]
        finest, *others = (conv(x) for conv, x in zip(self.conv_layers, used, strict=True))
        enlarged = [resize(x, finest.shape[2:], align_corners=self.align_corners) for x in others]
        joint = torch.cat([finest, *enlarged], 1)
        return (*used[:-1], torch.cat([layer(joint) for layer in self.dilation_layers], 1))


build = JPU
