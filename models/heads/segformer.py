"""SegFormer's head (Xie et al. 2021): every map through a 1x1 block, enlarged to the finest, all fused by another.

mmsegmentation 1.2.2, decode_heads/segformer_head.py, and sssegmentation eb1878c1, segmentors/segformer, agree bit for bit. Where
the paper has a linear layer for each map there is norm and ReLU behind it, and maps are fused fine to coarse.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import torch
from torch import nn

from ..layers import Activation, ConvModule, Head, resize

if TYPE_CHECKING:
    from torch import Tensor


class SegFormerHead(Head):
    """Features -> scores (N, num_classes, h, w) at the stride of the finest map; all are read.

    Args:
        in_channels: Channels of each feature map, fine to coarse.
        num_classes: Channels of the scores.
        align_corners: Corner convention of every resize.
        channels: Channels of every block.
        activation: Of every block.
    """

    layouts = MappingProxyType({"ssseg": (("fusion_conv", "decoder"), ("conv_seg", "decoder.4"))})

    def __init__(
        self,
        in_channels: tuple[int, ...],
        num_classes: int,
        *,
        align_corners: bool,
        channels: int = 256,
        activation: Activation = "relu",
    ) -> None:
        super().__init__(channels, num_classes)
        self.align_corners = align_corners
        self.convs = nn.ModuleList(
            ConvModule(incoming, channels, activation=activation) for incoming in in_channels
        )
        self.fusion_conv = ConvModule(len(in_channels) * channels, channels, activation=activation)

    def fuse(self, features: tuple[Tensor, ...]) -> Tensor:
        """Feature maps (N, C_i, h_i, w_i) -> (N, channels, h, w) at the size of the finest."""
        size = features[0].shape[2:]
        maps = (conv(x) for conv, x in zip(self.convs, features, strict=True))
        return self.fusion_conv(
            torch.cat([resize(x, size, align_corners=self.align_corners) for x in maps], 1)
        )


build = SegFormerHead
