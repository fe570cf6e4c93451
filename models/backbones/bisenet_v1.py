"""BiSeNet (Yu et al. 2018): a ResNet for context, and four convolutions on the whole image for detail.

mmsegmentation 1.2.2, backbones/bisenetv1.py; sssegmentation eb1878c1, modules/models/backbones/bisenetv1.py. They agree bit for bit
on equal ResNets; sssegmentation's has the deep stem. Maps are enlarged by the nearest value, and each passes a 3x3 block before
it is added. Widths follow from the ResNet's: half of c2's channels in the spatial path, twice as many in the output.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from ..layers import ConvModule, in_sequence
from .resnet import Depth, ResNet, Stem

if TYPE_CHECKING:
    from torch import Tensor


class AttentionRefinement(nn.Module):
    """A 3x3 block, each channel weighed by what the mean of all says."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.conv_layer = ConvModule(in_channels, channels, 3)
        self.atten_conv_layer = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), ConvModule(channels, channels, activation="sigmoid")
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, h, w) -> (N, channels, h, w)."""
        x = self.conv_layer(x)
        return x * self.atten_conv_layer(x)


class ContextPath(nn.Module):
    """A ResNet's c3 and c4, refined, and the mean of c4, from coarse to fine."""

    def __init__(self, backbone: ResNet) -> None:
        super().__init__()
        self.backbone = backbone
        _, channels, c3_channels, c4_channels = backbone.channels
        self.arm16 = AttentionRefinement(c3_channels, channels)
        self.arm32 = AttentionRefinement(c4_channels, channels)
        self.conv_head32 = ConvModule(channels, channels, 3)
        self.conv_head16 = ConvModule(channels, channels, 3)
        self.gap_conv = nn.Sequential(nn.AdaptiveAvgPool2d(1), ConvModule(c4_channels, channels))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, H, W) -> maps at strides 8 and 16, of as many channels as c2."""
        _, c2, c3, c4 = self.backbone(images)
        coarse = self.conv_head32(nearest(self.arm32(c4) + self.gap_conv(c4), c3))
        return self.conv_head16(nearest(self.arm16(c3) + coarse, c2)), coarse


def nearest(x: Tensor, like: Tensor) -> Tensor:
    """(N, C, h, w) at the height and width of another map, by the nearest value."""
    return F.interpolate(x, like.shape[2:], mode="nearest")


class SpatialPath(nn.Sequential):
    """Three blocks of stride 2, of which the first is 7x7, and a 1x1 block; keys `layer1.*` .. `layer4.*`."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layer1 = ConvModule(3, channels, 7, stride=2)
        self.layer2 = ConvModule(channels, channels, 3, stride=2)
        self.layer3 = ConvModule(channels, channels, 3, stride=2)
        self.layer4 = ConvModule(channels, 2 * channels)


class FeatureFusion(nn.Module):
    """Two maps through a 1x1 block, and its channels weighed by their means once more on top."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.conv1 = ConvModule(in_channels, channels)
        self.conv_atten = nn.Sequential(ConvModule(channels, channels), nn.Sigmoid())

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Maps (N, C_i, h, w) -> (N, channels, h, w)."""
        x = self.conv1(torch.cat(maps, 1))
        return x * self.conv_atten(F.adaptive_avg_pool2d(x, 1)) + x


class BiSeNetV1(nn.Module):
    """Images -> features at strides 8, 8 and 16; keys `context_path.*`, `spatial_path.*`, `ffm.*`.

    Args:
        depth: Of the ResNet, of output stride 32.
        base_channels: Its width.
        stem: Its stem.

    Attributes:
        channels: Channels of the outputs.
    """

    def __init__(self, *, depth: Depth, base_channels: int = 64, stem: Stem = "plain") -> None:
        super().__init__()
        resnet = ResNet(
            depth=depth,
            base_channels=base_channels,
            stem=stem,
            strides=(1, 2, 2, 2),
            dilations=(1, 1, 1, 1),
        )
        channels = resnet.channels[1]
        self.context_path = ContextPath(resnet)
        self.spatial_path = SpatialPath(channels // 2)
        self.ffm = FeatureFusion(2 * channels, 2 * channels)
        self.channels = (2 * channels, channels, channels)
        self.layouts = {
            "ssseg": (
                *in_sequence(self, flat=True),
                ("context_path.backbone", "context_path.backbone_net"),
            )
        }

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The fusion, and the context path's maps for auxiliary heads.

        Args:
            images: (N, 3, H, W), normalised.
        """
        context, coarse = self.context_path(images)
        return self.ffm([self.spatial_path(images), context]), context, coarse


build = BiSeNetV1
