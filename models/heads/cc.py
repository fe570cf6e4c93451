"""CCNet (Huang et al. 2019): every position asks its row and its column, twice, and so hears of all.

mmsegmentation 1.2.2, decode_heads/cc_head.py on mmcv 2.1.0, ops/cc_attention.py; sssegmentation eb1878c1,
segmentors/ccnet. They agree bit for bit. Scores are not scaled, and both rounds have the same weights. Here rows and
columns are batches of matrix products, without an operator of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from ..layers import Activation, Natural, Scale
from .fcn import AroundFCNHead, BlockNames

if TYPE_CHECKING:
    from torch import Tensor

REDUCTION = 8
"""Ratio of the channels to those of keys and queries, in every published model."""


class CrissCrossAttention(nn.Module):
    """Attention to the positions of the same row or column, and a residual.

    Args:
        channels: Of input and output.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query_conv = nn.Conv2d(channels, channels // REDUCTION, 1)
        self.key_conv = nn.Conv2d(channels, channels // REDUCTION, 1)
        self.value_conv = nn.Conv2d(channels, channels, 1)
        self.gamma = Scale()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, C, h, w)."""
        query, key, value = self.query_conv(x), self.key_conv(x), self.value_conv(x)
        height = x.shape[2]
        by_column, by_row = (0, 3, 2, 1), (0, 2, 3, 1)  # axes of a map as batches of (positions, channels)
        columns = query.permute(by_column) @ key.permute(by_column).mT  # (N, w, h, h)
        # The position itself is in its row and its column; it counts once, in its row.
        itself = torch.eye(height, dtype=torch.bool, device=x.device)
        columns = columns.masked_fill(itself, -torch.inf).transpose(1, 2)  # (N, h, w, h)
        rows = query.permute(by_row) @ key.permute(by_row).mT  # (N, h, w, w)
        weights = torch.cat([columns, rows], 3).softmax(3)
        from_column = weights[..., :height].transpose(1, 2) @ value.permute(by_column)  # (N, w, h, C)
        from_row = weights[..., height:] @ value.permute(by_row)  # (N, h, w, C)
        return x + self.gamma(from_column.permute(0, 3, 2, 1) + from_row.permute(0, 3, 1, 2))


NAMES = BlockNames(ours="cca", ssseg="cca", around="cca")


def build(
    in_channels: tuple[int, ...],
    num_classes: int,
    *,
    in_index: Natural = -1,
    channels: int = 512,
    recurrence: int = 2,
    activation: Activation = "relu",
) -> AroundFCNHead:
    """Features -> scores (N, num_classes, h, w) at the stride of the map it reads.

    Args:
        in_channels: Channels of each feature map.
        num_classes: Channels of the scores.
        in_index: Which map is read.
        channels: Of the head.
        recurrence: How often attention is run.
        activation: Of the convolutions around the block.
    """
    return AroundFCNHead(
        in_channels,
        num_classes,
        CrissCrossAttention(channels),
        NAMES,
        in_index=in_index,
        channels=channels,
        activation=activation,
        recurrence=recurrence,
    )
