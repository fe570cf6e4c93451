"""Maps of one size become a pyramid: four levels of ViT at strides 4, 8, 16 and 32.

mmsegmentation 1.2.2, necks/multilevel_neck.py; no publication. The resize goes by its factor, not by the sizes: where half a side
is no whole number the last position is left out, and the others are twice apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import nn

from ..layers import ConvModule

if TYPE_CHECKING:
    from torch import Tensor

SCALES = (4.0, 2.0, 1.0, 0.5)


class MultiLevelNeck(nn.Module):
    """Features -> as many maps, each resized by its factor between a 1x1 and a 3x3 convolution without norms.

    Args:
        in_channels: Channels of four feature maps.
        channels: Channels of every output.

    Attributes:
        channels: Channels of the outputs.
    """

    def __init__(self, in_channels: tuple[int, ...], *, channels: int) -> None:
        super().__init__()
        plain = {"norm": False, "activation": None}
        self.lateral_convs = nn.ModuleList(ConvModule(one, channels, **plain) for one in in_channels)
        self.convs = nn.ModuleList(ConvModule(channels, channels, 3, **plain) for _ in SCALES)
        self.channels = (channels,) * len(SCALES)

    def forward(self, features: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Feature maps (N, C_i, h, w) -> (N, channels, scale * h, scale * w)."""
        levels = zip(self.lateral_convs, self.convs, features, SCALES, strict=True)
        return tuple(
            conv(F.interpolate(lateral(x), scale_factor=scale, mode="bilinear", align_corners=False))
            for lateral, conv, x, scale in levels
        )


build = MultiLevelNeck
