"""DeepLabV3+ (Chen et al. 2018): DeepLabV3's fusion, enlarged, beside a narrow c1; two separable blocks behind it.

mmsegmentation 1.2.2, decode_heads/sep_aspp_head.py; sssegmentation eb1878c1, segmentors/deeplabv3plus. Both make only the
dilated branches separable and keep the 3x3 fusion of their DeepLabV3, in its order; the paper fuses by 1x1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from ..layers import Activation, ConvModule, DepthwiseSeparableConvModule, Natural, resize
from .aspp import KEYS, ASPPHead

if TYPE_CHECKING:
    from torch import Tensor


KEYS_WITH_C1 = {
    "ssseg": (
        ("c1_bottleneck", "shortcut"),
        ("sep_bottleneck", "decoder"),
        ("conv_seg", "decoder.3"),
        *KEYS["ssseg"],
    )
}


class DepthwiseSeparableASPPHead(ASPPHead):
    """Features -> scores (N, num_classes, h, w) at the stride of c1.

    Args:
        in_channels: Channels of each feature map, c1 first.
        num_classes: Channels of the scores.
        align_corners: Corner convention of the resize to c1's size.
        in_index: Which map the pyramid reads.
        channels: Channels of the pyramid and of what follows.
        c1_channels: Channels that c1 is narrowed to.
        dilations: Of the pyramid's branches.
        pool_last: As in `ASPPHead`.
        activation: Of every block.
    """

    layouts = KEYS_WITH_C1

    def __init__(
        self,
        in_channels: tuple[int, ...],
        num_classes: int,
        *,
        align_corners: bool,
        in_index: Natural = -1,
        channels: int = 512,
        c1_channels: int = 48,
        dilations: tuple[int, ...] = (1, 12, 24, 36),
        pool_last: bool = False,
        activation: Activation = "relu",
    ) -> None:
        super().__init__(
            in_channels,
            num_classes,
            align_corners=align_corners,
            in_index=in_index,
            channels=channels,
            dilations=dilations,
            pool_last=pool_last,
            separable=True,
            activation=activation,
        )
        self.c1_bottleneck = ConvModule(in_channels[0], c1_channels, activation=activation)
        self.sep_bottleneck = nn.Sequential(
            DepthwiseSeparableConvModule(channels + c1_channels, channels, activation=activation),
            DepthwiseSeparableConvModule(channels, channels, activation=activation),
        )

    def fuse(self, features: tuple[Tensor, ...]) -> Tensor:
        """Feature maps (N, C_i, h_i, w_i) -> (N, channels, h, w) at the size of c1."""
        c1 = features[0]
        x = resize(super().fuse(features), c1.shape[2:], align_corners=self.align_corners)
        return self.sep_bottleneck(torch.cat([x, self.c1_bottleneck(c1)], 1))


build = DepthwiseSeparableASPPHead
