"""FCN's head of depthwise-separable blocks: Fast-SCNN's (Poudel et al. 2019).

mmsegmentation 1.2.2, decode_heads/sep_fcn_head.py; sssegmentation eb1878c1, segmentors/fcn/depthwiseseparablefcn.py. They differ in
the ReLU between depthwise and 1x1 convolution, which only sssegmentation has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..layers import DepthwiseSeparableConvModule, Natural
from .fcn import FCNHead

if TYPE_CHECKING:
    from torch import nn


class DepthwiseSeparableFCNHead(FCNHead):
    """Features -> scores (N, num_classes, h, w) at the stride of the map it reads.

    Args:
        in_channels: Channels of each feature map.
        num_classes: Channels of the scores.
        in_index: Which map is read.
        channels: Channels of the blocks.
        num_convs: How many blocks.
        between: Whether each has a ReLU inside: sssegmentation.
    """

    def __init__(
        self,
        in_channels: tuple[int, ...],
        num_classes: int,
        *,
        in_index: Natural = -1,
        channels: int = 128,
        num_convs: int = 2,
        between: bool = False,
    ) -> None:
        self.between = between
        super().__init__(
            in_channels,
            num_classes,
            in_index=in_index,
            channels=channels,
            num_convs=num_convs,
            concat_input=False,
        )
        self.layouts = {"ssseg": (("convs", "decoder"), ("conv_seg", f"decoder.{num_convs + 1}"))}

    def block(self, in_channels: int, channels: int) -> nn.Module:
        """(N, in_channels, h, w) -> (N, channels, h, w)."""
        return DepthwiseSeparableConvModule(in_channels, channels, between=self.between)


build = DepthwiseSeparableFCNHead
