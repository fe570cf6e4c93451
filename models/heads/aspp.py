"""DeepLabV3 (Chen et al. 2017): the map through kernels of several dilations and its mean, fused by a 3x3 block.

mmsegmentation 1.2.2, decode_heads/aspp_head.py; sssegmentation eb1878c1, segmentors/deeplabv3/deeplabv3.py. They differ in
the order of the fusion: mmsegmentation has the image's mean first, sssegmentation last. A file of the one loads into the
other without complaint and gives other scores. The paper fuses by a 1x1 convolution of 256 channels; both take 3x3 and 512.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from ..layers import Activation, ConvModule, DepthwiseSeparableConvModule, Head, Natural, resize

if TYPE_CHECKING:
    from torch import Tensor

KEYS = {
    "ssseg": (
        ("image_pool.1.conv", "aspp_net.global_branch.1"),
        ("image_pool.1.bn", "aspp_net.global_branch.2"),
        ("aspp_modules", "aspp_net.parallel_branches"),
        ("bottleneck", "aspp_net.bottleneck"),
        ("conv_seg", "decoder.1"),
    )
}


class ASPPHead(Head):
    """Features -> scores (N, num_classes, h, w) at the stride of the map it reads.

    Args:
        in_channels: Channels of each feature map.
        num_classes: Channels of the scores.
        align_corners: Corner convention of the heads that resize (DeepLabV3+); void for a map of one position.
        in_index: Which map is read.
        channels: Channels of each branch and of the fusion.
        dilations: Of the branches; the one of dilation 1 has a 1x1 kernel.
        pool_last: Whether the image's mean is fused behind the branches: sssegmentation.
        separable: Whether the dilated branches are depthwise separable: DeepLabV3+.
        activation: Of every block.
    """

    layouts = KEYS

    def __init__(
        self,
        in_channels: tuple[int, ...],
        num_classes: int,
        *,
        align_corners: bool,
        in_index: Natural = -1,
        channels: int = 512,
        dilations: tuple[int, ...] = (1, 12, 24, 36),
        pool_last: bool = False,
        separable: bool = False,
        activation: Activation = "relu",
    ) -> None:
        super().__init__(channels, num_classes)
        self.in_index, self.align_corners, self.pool_last = in_index, align_corners, pool_last
        incoming = in_channels[in_index]
        self.image_pool = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), ConvModule(incoming, channels, activation=activation)
        )
        self.aspp_modules = nn.ModuleList(
            branch(incoming, channels, dilation, separable=separable, activation=activation)
            for dilation in dilations
        )
        fused = (len(dilations) + 1) * channels
        self.bottleneck = ConvModule(fused, channels, 3, activation=activation)

    def fuse(self, features: tuple[Tensor, ...]) -> Tensor:
        """Feature maps (N, C_i, h_i, w_i) -> (N, channels, h, w) at the size of the one it reads."""
        x = features[self.in_index]
        mean = resize(self.image_pool(x), x.shape[2:], align_corners=self.align_corners)
        branches = [module(x) for module in self.aspp_modules]
        return self.bottleneck(torch.cat([*branches, mean] if self.pool_last else [mean, *branches], 1))


def branch(
    in_channels: int, channels: int, dilation: int, *, separable: bool, activation: Activation
) -> nn.Module:
    """(N, in_channels, h, w) -> (N, channels, h, w): a 1x1 kernel, or a 3x3 one of a dilation above 1."""
    if dilation == 1:
        return ConvModule(in_channels, channels, activation=activation)
    if separable:
        return DepthwiseSeparableConvModule(in_channels, channels, dilation=dilation, activation=activation)
    return ConvModule(in_channels, channels, 3, dilation=dilation, activation=activation)


build = ASPPHead
