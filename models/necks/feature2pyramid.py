"""Maps of one size become a pyramid by transposed convolutions and a pool: BEiT's levels at strides 4, 8, 16 and 32.

mmsegmentation 1.2.2, necks/featurepyramid.py; sssegmentation eb1878c1, segmentors/upernet/featurepyramid.py; they agree bit for bit.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from torch import Tensor


class Feature2Pyramid(nn.Module):
    """Four maps of one size -> of four, twice and once its side, and of half of it.

    Args:
        in_channels: Channels of the four feature maps, all the same.

    Attributes:
        channels: Channels of the outputs.
    """

    layouts = MappingProxyType(
        {"ssseg": tuple((name, f"feats_to_pyramid_net.{name}") for name in ("upsample_4x", "upsample_2x"))}
    )

    def __init__(self, in_channels: tuple[int, int, int, int]) -> None:
        super().__init__()
        self.channels = in_channels
        channels = in_channels[0]
        self.upsample_4x = nn.Sequential(
            nn.ConvTranspose2d(channels, channels, 2, 2),
            nn.BatchNorm2d(channels),
            nn.GELU(),
            nn.ConvTranspose2d(channels, channels, 2, 2),
        )
        self.upsample_2x = nn.Sequential(nn.ConvTranspose2d(channels, channels, 2, 2))
        self.halve = nn.MaxPool2d(2, 2)

    def forward(self, features: tuple[Tensor, Tensor, Tensor, Tensor]) -> tuple[Tensor, ...]:
        """Feature maps (N, C, h, w) -> with 4 h, 2 h, h and h / 2 rows, rounded down."""
        first, second, third, fourth = features
        return self.upsample_4x(first), self.upsample_2x(second), third, self.halve(fourth)


build = Feature2Pyramid
