"""SETR's head on multi-level aggregation (Zheng et al. 2021): two blocks on each map, enlarged by four, all classified together.

mmsegmentation 1.2.2, decode_heads/setr_mla_head.py; sssegmentation eb1878c1, segmentors/setr/setrmla.py; they agree bit for bit.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import torch
from torch import nn

from ..layers import ConvModule, Head

if TYPE_CHECKING:
    from torch import Tensor

SCALE = 4


class SETRMLAHead(Head):
    """Features -> scores (N, num_classes, 4 h, 4 w); all maps are read.

    Args:
        in_channels: Channels of each feature map.
        num_classes: Channels of the scores.
        align_corners: Corner convention of the enlargements.
        channels: Of each map's blocks.
        dropout: Whether channels are dropped before the classifier.
    """

    layouts = MappingProxyType(
        {
            "ssseg": (
                *(
                    (f"up_convs.{{n}}.{number}.{part}", f"up_convs.{{n}}.{3 * number + place}")
                    for number in range(2)
                    for place, part in enumerate(("conv", "bn"))
                ),
                ("conv_seg", "decoder.1"),
            )
        }
    )

    def __init__(
        self,
        in_channels: tuple[int, ...],
        num_classes: int,
        *,
        align_corners: bool,
        channels: int = 128,
        dropout: bool = False,
    ) -> None:
        super().__init__(len(in_channels) * channels, num_classes, dropout=dropout)
        self.up_convs = nn.ModuleList(
            nn.Sequential(
                ConvModule(incoming, channels, 3),
                ConvModule(channels, channels, 3),
                nn.Upsample(scale_factor=SCALE, mode="bilinear", align_corners=align_corners),
            )
            for incoming in in_channels
        )

    def fuse(self, features: tuple[Tensor, ...]) -> Tensor:
        """Feature maps (N, C_i, h, w) -> (N, maps * channels, 4 h, 4 w)."""
        return torch.cat([conv(x) for conv, x in zip(self.up_convs, features, strict=True)], 1)


build = SETRMLAHead
