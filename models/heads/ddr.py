"""DDRNet's head (Hong et al. 2021): a convolution behind norm and ReLU, these again, and the classifier.

mmsegmentation 1.2.2, decode_heads/ddr_head.py. The auxiliary head is part of it and runs in training alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from ..layers import Classifier, NormFirstConv

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor


def hidden(in_channels: int, channels: int) -> nn.Sequential:
    """(N, in_channels, h, w) -> (N, channels, h, w)."""
    return nn.Sequential(
        NormFirstConv(in_channels, channels, 3), nn.BatchNorm2d(channels), nn.ReLU(inplace=True)
    )


class DDRHead(Classifier):
    """Two features, of which the last is scored -> scores (N, num_classes, h, w) at stride 8.

    Args:
        in_channels: Channels of both feature maps.
        num_classes: Channels of the scores.
        channels: Of the hidden layers.
    """

    def __init__(self, in_channels: tuple[int, int], num_classes: int, *, channels: int) -> None:
        super().__init__(channels, num_classes, dropout=False)
        first, last = in_channels
        self.head = hidden(last, channels)
        self.aux_head = hidden(first, channels)
        self.aux_cls_seg = nn.Conv2d(channels, num_classes, 1)

    def forward(self, features: tuple[Tensor, Tensor]) -> Tensor:
        """Feature maps (N, C_i, h, w) -> scores (N, num_classes, h, w)."""
        return self.classify(self.head(features[-1]))

    def training_loss(self, features: tuple[Tensor, Tensor], loss_of: Callable[[Tensor], Tensor]) -> Tensor:
        """The loss of the scores and of the auxiliary ones."""
        return loss_of(self(features)) + loss_of(self.aux_cls_seg(self.aux_head(features[0])))


build = DDRHead
