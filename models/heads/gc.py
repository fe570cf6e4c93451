"""GCNet (Cao et al. 2019): one context of the whole image, the same for every position, added to each.

mmsegmentation 1.2.2, decode_heads/gc_head.py on mmcv 2.1.0, cnn/bricks/context_block.py; sssegmentation eb1878c1,
segmentors/gcnet. They agree bit for bit. The block stands between the two convolutions of an FCN head, where the paper has
it in every residual block of the backbone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from ..layers import Activation, Natural, softmax_mean
from .fcn import AroundFCNHead, BlockNames

if TYPE_CHECKING:
    from torch import Tensor


class ContextBlock(nn.Module):
    """A mean over positions by learned weights, through a bottleneck; its norm is over channels, of shape (C, 1, 1).

    Args:
        channels: Of input and output.
        ratio: Of the bottleneck's channels to them.
    """

    def __init__(self, channels: int, ratio: float) -> None:
        super().__init__()
        inner = int(channels * ratio)
        self.conv_mask = nn.Conv2d(channels, 1, 1)
        self.channel_add_conv = nn.Sequential(
            nn.Conv2d(channels, inner, 1),
            nn.LayerNorm([inner, 1, 1]),
            nn.ReLU(inplace=True),
            nn.Conv2d(inner, channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, C, h, w)."""
        return x + self.channel_add_conv(softmax_mean(x, self.conv_mask(x)))


NAMES = BlockNames(ours="gc_block", ssseg="contextblock_net", around="cb")


def build(
    in_channels: tuple[int, ...],
    num_classes: int,
    *,
    in_index: Natural = -1,
    channels: int = 512,
    ratio: float = 0.25,
    activation: Activation = "relu",
) -> AroundFCNHead:
    """Features -> scores (N, num_classes, h, w) at the stride of the map it reads.

    Args:
        in_channels: Channels of each feature map.
        num_classes: Channels of the scores.
        in_index: Which map is read.
        channels: Of the head.
        ratio: As of `ContextBlock`.
        activation: Of the convolutions around the block.
    """
    return AroundFCNHead(
        in_channels,
        num_classes,
        ContextBlock(channels, ratio),
        NAMES,
        in_index=in_index,
        channels=channels,
        activation=activation,
    )
