"""ICNet's encoder (Zhao et al. 2018): the image whole through three convolutions, smaller ones through parts of a ResNet.

The image halved passes the ResNet's first half; that map, halved again, the second half and PSPNet's pyramid.

mmsegmentation 1.2.2, backbones/icnet.py; sssegmentation eb1878c1, segmentors/icnet/icnetencoder.py. They differ in the pyramid's
order: mmsegmentation has the levels first and the map last, sssegmentation the map first. The
paper's pyramid adds its levels, where both fuse them by a 3x3 block.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from ..input_size import require_sides
from ..layers import ConvModule, PyramidPooling
from .resnet import Depth, ResNet

if TYPE_CHECKING:
    from torch import Tensor

LIGHT_CHANNELS = 32
"""Channels of the first two convolutions on the whole image."""
CHANNELS = (64, 256, 256)
"""Channels of the three outputs."""
POOL_SCALES = (1, 2, 3, 6)
SMALLEST = 14
"""Pixels a side: half of them, after three strides of two, leave two positions that are halved again."""


class ICNet(nn.Module):
    """Images -> features at strides 8, 16 and 32; keys `conv_sub1.*`, `conv_sub2.*`, `conv_sub4.*`, `backbone.*`, `psp_*`.

    Args:
        align_corners: Corner convention of every resize.
        depth: Of the ResNet, of output stride 8.
        base_channels: Its width.
        pyramid_channels: Channels of each level of the pyramid, and of its fusion.
        levels_first: Whether the pyramid's levels stand before the map they are of: mmsegmentation.

    Attributes:
        channels: Channels of the three outputs.
    """

    channels = CHANNELS
    layouts = MappingProxyType(
        {
            "ssseg": (
                ("backbone", "backbone_net"),
                ("psp_modules.{n}.1.conv", "ppm_net.branches.{n}.1"),
                ("psp_modules.{n}.1.bn", "ppm_net.branches.{n}.2"),
                ("psp_bottleneck.conv", "ppm_net.bottleneck.0"),
                ("psp_bottleneck.bn", "ppm_net.bottleneck.1"),
                *(
                    (f"conv_sub1.{block}.{part}", f"conv_sub1.{3 * block + place}")
                    for block in range(3)
                    for place, part in enumerate(("conv", "bn"))
                ),
                ("conv_sub{n}.conv", "conv_sub{n}.0"),
                ("conv_sub{n}.bn", "conv_sub{n}.1"),
            )
        }
    )

    def __init__(
        self,
        *,
        align_corners: bool,
        depth: Depth,
        base_channels: int = 64,
        pyramid_channels: int = 512,
        levels_first: bool = True,
    ) -> None:
        super().__init__()
        self.align_corners, self.levels_first = align_corners, levels_first
        self.backbone = ResNet(depth=depth, base_channels=base_channels)
        self.backbone.maxpool.ceil_mode = True
        _, c2_channels, _, c4_channels = self.backbone.channels
        self.psp_modules = PyramidPooling(
            c4_channels, pyramid_channels, POOL_SCALES, align_corners=align_corners
        )
        fused = c4_channels + len(POOL_SCALES) * pyramid_channels
        self.psp_bottleneck = ConvModule(fused, pyramid_channels, 3)
        self.conv_sub1 = nn.Sequential(
            *(
                ConvModule(incoming, outgoing, 3, stride=2)
                for incoming, outgoing in (
                    (3, LIGHT_CHANNELS),
                    (LIGHT_CHANNELS, LIGHT_CHANNELS),
                    (LIGHT_CHANNELS, CHANNELS[0]),
                )
            )
        )
        self.conv_sub2 = ConvModule(c2_channels, CHANNELS[1])
        self.conv_sub4 = ConvModule(pyramid_channels, CHANNELS[2])

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Features of the whole image, of its half and of its quarter.

        Args:
            images: (N, 3, H, W), normalised.

        Raises:
            InputSizeError: They are too small.
        """
        require_sides(images.shape[2:], SMALLEST, "of which a sixteenth can be halved")
        net = self.backbone
        c2 = net.layer2(net.layer1(net.maxpool(net.begin(self.halved(images)))))
        c4 = net.layer4(net.layer3(self.halved(c2)))
        levels = self.psp_modules(c4)
        pyramid = self.psp_bottleneck(torch.cat([*levels, c4] if self.levels_first else [c4, *levels], 1))
        return self.conv_sub1(images), self.conv_sub2(c2), self.conv_sub4(pyramid)

    def halved(self, x: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, C, h // 2, w // 2); a step is two positions whatever the size, not h / (h // 2)."""
        return F.interpolate(x, scale_factor=0.5, mode="bilinear", align_corners=self.align_corners)


build = ICNet
