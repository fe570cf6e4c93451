"""OCRNet (Yuan et al. 2020): each position asks the regions of the classes, which are means of features under soft masks.

mmsegmentation 1.2.2, decode_heads/ocr_head.py; sssegmentation eb1878c1, segmentors/ocrnet. It is a cascade: the masks are the
scores of the head before it, by a softmax over positions. They differ in the fusion of context and features: a 1x1 block with
mmsegmentation, as in the paper, a 3x3 one with sssegmentation. The paper's soft regions come from c3, as here, but with an
auxiliary head of two convolutions (512 channels); mmsegmentation's on ResNet has 256.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ..layers import (
    Activation,
    Classifier,
    ConvModule,
    Natural,
    SelfAttentionBlock,
    join_maps,
    softmax_mean,
)

if TYPE_CHECKING:
    from torch import Tensor


class ObjectContextBlock(SelfAttentionBlock):
    """Attention to the regions, and the fusion with what asked."""

    def __init__(self, channels: int, transform_channels: int, kernel: int, activation: Activation) -> None:
        super().__init__(channels, channels, transform_channels, activation)
        self.bottleneck = ConvModule(2 * channels, channels, kernel, activation=activation)

    def forward(self, features: Tensor, source: Tensor) -> Tensor:
        """Features (N, C, h, w), regions (N, C, classes, 1) -> (N, C, h, w)."""
        return self.bottleneck(torch.cat([super().forward(features, source), features], 1))


KEYS = {"ssseg": (("conv_seg", "decoder.1"),)}


class OCRHead(Classifier):
    """Features and scores -> scores (N, num_classes, h, w) at the stride of the map it reads.

    Args:
        in_channels: Channels of each feature map.
        num_classes: Channels of the scores.
        align_corners: Corner convention of the resizes where maps are joined.
        in_index: Which map is read.
        joined: Whether all maps are, at the finest's size and beside each other: HRNet's.
        channels: Channels of the head.
        ocr_channels: Channels of keys, queries and values.
        out_kernel: Kernel side of the fusion: 1 for mmsegmentation, 3 for sssegmentation.
        activation: Of every block.
        dropout: Whether channels are dropped before the classifier: mmsegmentation.
    """

    layouts = KEYS

    def __init__(
        self,
        in_channels: tuple[int, ...],
        num_classes: int,
        *,
        align_corners: bool = False,
        in_index: Natural = -1,
        joined: bool = False,
        channels: int = 512,
        ocr_channels: int = 256,
        out_kernel: int = 1,
        activation: Activation = "relu",
        dropout: bool = True,
    ) -> None:
        super().__init__(channels, num_classes, dropout=dropout)
        self.align_corners, self.in_index, self.joined = align_corners, in_index, joined
        incoming = sum(in_channels) if joined else in_channels[in_index]
        self.bottleneck = ConvModule(incoming, channels, 3, activation=activation)
        self.object_context_block = ObjectContextBlock(channels, ocr_channels, out_kernel, activation)

    def forward(self, features: tuple[Tensor, ...], scores: Tensor) -> Tensor:
        """Feature maps (N, C_i, h_i, w_i), scores (N, num_classes, h, w) of the head before -> scores."""
        x = join_maps(features, align_corners=self.align_corners) if self.joined else features[self.in_index]
        x = self.bottleneck(x)
        return self.classify(self.object_context_block(x, softmax_mean(x, scores)))


build = OCRHead
