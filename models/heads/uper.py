"""UPerNet (Xiao et al. 2018): PSPNet's pyramid on the coarsest map, a feature pyramid down to the finest, all fused.

mmsegmentation 1.2.2, decode_heads/uper_head.py, and sssegmentation eb1878c1, segmentors/upernet/upernet.py, agree bit for
bit on equal features, but their ResNets differ: undilated (stride 32) with the one, of stride 8 or 16 with the other. Of
the paper's heads for parts, materials, scenes and textures neither has any. The pyramid's map gets no 3x3 block before the
fusion, and laterals have norm and activation, which Lin et al.'s feature pyramid has not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from ..layers import Activation, ConvModule, add_top_down, resize
from .psp import KEYS, PSPHead

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

KEYS_OF_PYRAMID = {
    "ssseg": (("fpn_bottleneck", "decoder"), ("conv_seg", "decoder.4"), *KEYS["ssseg"]),
}


class UPerHead(PSPHead):
    """Features -> scores (N, num_classes, h, w) at the stride of c1; all maps are read.

    Args:
        in_channels: Channels of each feature map, fine to coarse.
        num_classes: Channels of the scores.
        align_corners: Corner convention of every resize.
        channels: Channels of every map of the head.
        pool_scales: Sides of the pools' squares.
        activation: Of every block.
    """

    layouts = KEYS_OF_PYRAMID

    def __init__(
        self,
        in_channels: tuple[int, ...],
        num_classes: int,
        *,
        align_corners: bool,
        channels: int = 512,
        pool_scales: tuple[int, ...] = (1, 2, 3, 6),
        activation: Activation = "relu",
    ) -> None:
        super().__init__(
            in_channels,
            num_classes,
            align_corners=align_corners,
            channels=channels,
            pool_scales=pool_scales,
            activation=activation,
        )
        self.align_corners = align_corners
        self.lateral_convs, self.fpn_convs = pyramid_convs(in_channels, channels, channels, activation)
        self.fpn_bottleneck = ConvModule(len(in_channels) * channels, channels, 3, activation=activation)

    def fuse(self, features: tuple[Tensor, ...]) -> Tensor:
        """Feature maps (N, C_i, h_i, w_i) -> (N, channels, h, w) at the size of c1."""
        convs = self.lateral_convs, self.fpn_convs
        levels = fuse_down(features, super().fuse(features), *convs, align_corners=self.align_corners)
        return self.fpn_bottleneck(levels)


def pyramid_convs(
    in_channels: Sequence[int], channels: int, out_channels: int, activation: Activation
) -> tuple[nn.ModuleList, nn.ModuleList]:
    """Of each map but the coarsest: the 1x1 block into the pyramid and the 3x3 block out of it."""
    laterals = (
        ConvModule(incoming, channels, activation=activation, in_place=False) for incoming in in_channels[:-1]
    )
    outputs = (
        ConvModule(channels, out_channels, 3, activation=activation, in_place=False) for _ in in_channels[:-1]
    )
    return nn.ModuleList(laterals), nn.ModuleList(outputs)


def fuse_down(
    features: tuple[Tensor, ...],
    top: Tensor,
    lateral_convs: nn.ModuleList,
    fpn_convs: nn.ModuleList,
    *,
    align_corners: bool,
) -> Tensor:
    """A feature pyramid down from a map, all its levels beside each other.

    Args:
        features: Maps (N, C_i, h_i, w_i), fine to coarse; of the coarsest nothing is read.
        top: (N, channels, h, w), which stands in its place and gets no block behind.
        lateral_convs: As of `pyramid_convs`.
        fpn_convs: Likewise.
        align_corners: Corner convention of every resize.

    Returns:
        (N, C, *size of the finest map).
    """

    def enlarge(x: Tensor, size: Sequence[int]) -> Tensor:
        return resize(x, size, align_corners=align_corners)

    laterals = [lateral(x) for lateral, x in zip(lateral_convs, features[:-1], strict=True)]
    *sums, top = add_top_down([*laterals, top], enlarge)
    finest, *others = (conv(x) for conv, x in zip(fpn_convs, sums, strict=True))
    return torch.cat([finest, *(enlarge(x, finest.shape[2:]) for x in (*others, top))], 1)


build = UPerHead
