"""Semantic FPN (Kirillov et al. 2019): each map of a feature pyramid enlarged in steps of two to the finest, all added.

mmsegmentation 1.2.2, decode_heads/fpn_head.py, and sssegmentation eb1878c1, segmentors/semanticfpn, agree on equal maps.
Blocks have batch norm for the paper's group norm. A map whose size is no multiple of the next one's comes out of the steps
too large and is resized to the finest map's size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from ..layers import Activation, ConvModule, Head, resize

if TYPE_CHECKING:
    from torch import Tensor

KEYS = {
    # Below no prefix even where the scores are a first stage's: PointRend's coarse classifier is the auxiliary decoder.
    "ssseg": (("scale_heads", "/scale_heads"), ("conv_seg", "decoder.1")),
}


class FPNHead(Head):
    """Features -> scores (N, num_classes, h, w) at the stride of the finest map; all are read.

    Args:
        in_channels: Channels of each feature map, each at half the resolution of the one before.
        num_classes: Channels of the scores.
        align_corners: Corner convention of every resize.
        channels: Channels of every block.
        activation: Of every block.
        dropout: Whether channels are dropped before the classifier; not where another head refines the scores.
    """

    layouts = KEYS

    def __init__(
        self,
        in_channels: tuple[int, ...],
        num_classes: int,
        *,
        align_corners: bool,
        channels: int = 128,
        activation: Activation = "relu",
        dropout: bool = True,
    ) -> None:
        super().__init__(channels, num_classes, dropout=dropout)
        self.align_corners = align_corners
        self.scale_heads = nn.ModuleList()
        for level, incoming in enumerate(in_channels):
            steps = nn.Sequential(ConvModule(incoming, channels, 3, activation=activation))
            for step in range(level):
                if step:
                    steps.append(ConvModule(channels, channels, 3, activation=activation))
                steps.append(nn.Upsample(scale_factor=2, mode="bilinear", align_corners=align_corners))
            self.scale_heads.append(steps)

    def fuse(self, features: tuple[Tensor, ...]) -> Tensor:
        """Feature maps (N, C_i, h_i, w_i) -> (N, channels, h, w) at the size of the finest."""
        total, *others = (steps(x) for steps, x in zip(self.scale_heads, features, strict=True))
        for x in others:
            total = total + resize(x, total.shape[2:], align_corners=self.align_corners)
        return total


build = FPNHead
