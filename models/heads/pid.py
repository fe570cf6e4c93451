"""PIDNet's head (Xu et al. 2023): a convolution behind norm and ReLU, these again, and the classifier.

mmsegmentation 1.2.2, decode_heads/pid_head.py. Heads of the detail and of the boundaries are part of it and run in training alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from ..layers import Classifier, NormFirstConv

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor


class Hidden(nn.Module):
    """Keys `conv.*`, `norm.*`."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.conv = NormFirstConv(in_channels, channels, 3)
        self.norm = nn.BatchNorm2d(channels)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, h, w) -> (N, channels, h, w)."""
        return self.act(self.norm(self.conv(x)))


class PIDHead(Classifier):
    """Three features, of which the second is scored -> scores (N, num_classes, h, w) at stride 8.

    Args:
        in_channels: Channels of the feature maps: detail, fusion, boundaries.
        num_classes: Channels of the scores.
        channels: Of the hidden layers; half of the boundaries' channels in theirs.
    """

    def __init__(self, in_channels: tuple[int, int, int], num_classes: int, *, channels: int) -> None:
        super().__init__(channels, num_classes)
        detail, fusion, boundary = in_channels
        self.i_head = Hidden(fusion, channels)
        self.p_head = Hidden(detail, channels)
        self.d_head = Hidden(boundary, boundary // 2)
        self.p_cls_seg = nn.Conv2d(channels, num_classes, 1)
        self.d_cls_seg = nn.Conv2d(boundary // 2, 1, 1)

    def forward(self, features: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        """Feature maps (N, C_i, h, w) -> scores (N, num_classes, h, w)."""
        return self.classify(self.i_head(features[1]))

    def training_loss(
        self, features: tuple[Tensor, Tensor, Tensor], loss_of: Callable[[Tensor], Tensor]
    ) -> Tensor:
        """The losses of the scores, at all positions and at boundaries, of the detail's and of the boundaries'."""
        detail, _, boundary = features
        scores = self(features)
        fine = self.p_cls_seg(self.p_head(detail))
        edges = self.d_cls_seg(self.d_head(boundary))
        return loss_of(fine) + loss_of(scores) + loss_of(scores) + loss_of(edges)


build = PIDHead
