"""LR-ASPP (MobileNetV3, Howard et al. 2019): a map gated by large means of itself, then joined by two finer ones.

mmsegmentation 1.2.2, decode_heads/lraspp_head.py; sssegmentation eb1878c1, segmentors/lrasppnet/lrasppnet.py. The means are over
squares of 49, every 16 rows and 20 columns, so that images of less than 392 pixels a side cannot be scored; the paper has one
finer map, both have two. They differ in the gate, whose convolution has a norm with sssegmentation, and in the bias of the
convolution behind it, which only mmsegmentation has. Norms have an epsilon of 1e-3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from ..input_size import InputSizeError
from ..layers import ConvModule, Head, resize

if TYPE_CHECKING:
    from torch import Tensor

NORM_EPS = 1e-3
POOL_KERNEL, POOL_STRIDE = 49, (16, 20)
BRANCH_CHANNELS = (32, 64)
"""Of the finer maps."""

KEYS = {
    "ssseg": (
        ("convs", "branch_convs"),
        ("conv_ups.conv_up{n}", "branch_ups.conv{n}"),
        ("conv_up_input", "bottleneck"),
        ("image_pool.1.conv", "image_pool.1"),
        ("image_pool.1.bn", "image_pool.2"),
        ("conv_seg", "decoder.1"),
    )
}


class LRASPPHead(Head):
    """Three features -> scores (N, num_classes, h, w) at the stride of the finest.

    Args:
        in_channels: Channels of the three feature maps, fine to coarse.
        num_classes: Channels of the scores.
        align_corners: Corner convention of the resizes.
        channels: Channels of every map of the head.
        gate_norm: Whether the gate's convolution has a norm, and the one behind it no bias: sssegmentation.
    """

    layouts = KEYS

    def __init__(
        self,
        in_channels: tuple[int, int, int],
        num_classes: int,
        *,
        align_corners: bool,
        channels: int = 128,
        gate_norm: bool = False,
    ) -> None:
        super().__init__(channels, num_classes)
        self.align_corners = align_corners
        *finer, coarsest = in_channels
        branches = list(enumerate(zip(finer, BRANCH_CHANNELS, strict=True)))
        self.convs = nn.ModuleDict(
            {f"conv{number}": nn.Conv2d(incoming, own, 1, bias=False) for number, (incoming, own) in branches}
        )
        self.conv_ups = nn.ModuleDict(
            {
                f"conv_up{number}": ConvModule(channels + own, channels, norm_eps=NORM_EPS)
                for number, (_, own) in branches
            }
        )
        self.conv_up_input = nn.Conv2d(channels, channels, 1, bias=not gate_norm)
        self.aspp_conv = ConvModule(coarsest, channels, norm_eps=NORM_EPS)
        self.image_pool = nn.Sequential(
            nn.AvgPool2d(POOL_KERNEL, POOL_STRIDE),
            ConvModule(
                coarsest, channels, bias=False, norm=gate_norm, norm_eps=NORM_EPS, activation="sigmoid"
            ),
        )

    def fuse(self, features: tuple[Tensor, ...]) -> Tensor:
        """Feature maps (N, C_i, h_i, w_i) -> (N, channels, h, w) at the size of the finest.

        Raises:
            InputSizeError: The coarsest map is smaller than the squares of the means.
        """
        *finer, x = features
        if min(x.shape[2:]) < POOL_KERNEL:
            raise InputSizeError(
                f"expected images of which LR-ASPP's means over {POOL_KERNEL}x{POOL_KERNEL} places can be taken, some "
                f"{8 * POOL_KERNEL} pixels a side or more; found a map of {x.shape[2]}x{x.shape[3]} places. Enlarge them: "
                "base_scale in the protocol, or a larger window."
            )
        gate = resize(self.image_pool(x), x.shape[2:], align_corners=self.align_corners)
        x = self.conv_up_input(self.aspp_conv(x) * gate)
        branches = zip(self.convs.values(), self.conv_ups.values(), finer, strict=True)
        for narrow, join, detail in reversed(list(branches)):
            x = resize(x, detail.shape[2:], align_corners=self.align_corners)
            x = join(torch.cat([x, narrow(detail)], 1))
        return x


build = LRASPPHead
