"""ISNet: context from the whole image and from each semantic region.

Source: sssegmentation eb1878c1, segmentors/isnet/{isnet,imagelevel,semanticlevel}.py.
sssegmentation's key names are kept below `decode_head.`, with conv/bn/conv_seg for its running numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from ..layers import Activation, ConvBlock, attend, double_projection, relu
from ..segmentor import DROPOUT

if TYPE_CHECKING:
    from torch import Tensor

SHORTCUT_CHANNELS = 48


def region_features(features: Tensor, scores: Tensor) -> Tensor:
    """Gives every position the mean feature of the region (same winning class, same image) it lies in.

    The mean is weighted by the softmax, over the positions of the region, of the winning class's score.

    Args:
        features: (N, D, h, w).
        scores: (N, C, h, w), coarse class scores. Their argmax decides, so a near-tie may fall either way.

    Returns:
        (N, D, h, w).
    """
    winners = scores.argmax(1).flatten(1)  # (N, L), L = h * w
    classes = torch.arange(scores.shape[1], device=scores.device)
    member = winners[:, None] == classes[:, None]  # (N, C, L)
    # The lowest finite number instead of -inf: exp gives the same exact 0, and a class without positions
    # gets a harmless mean that nobody reads instead of NaN.
    own_scores = scores.flatten(2).masked_fill(~member, torch.finfo(scores.dtype).min)
    means = own_scores.softmax(2) @ features.flatten(2).mT  # (N, C, L) @ (N, L, D) -> (N, C, D)
    index = winners[:, :, None].expand(-1, -1, features.shape[1])  # (N, L, D)
    return means.gather(1, index).mT.reshape(features.shape)


class CrossAttention(nn.Module):
    """Every position of one map asks all positions of another; keys as in sssegmentation's SelfAttentionBlock."""

    def __init__(
        self, query_channels: int, source_channels: int, transform_channels: int, activation: Activation
    ) -> None:
        super().__init__()
        self.key_project = double_projection(source_channels, transform_channels, activation)
        self.query_project = double_projection(query_channels, transform_channels, activation)
        self.value_project = ConvBlock(source_channels, transform_channels, activation=activation)
        self.out_project = ConvBlock(transform_channels, query_channels, activation=activation)

    def forward(self, features: Tensor, source: Tensor) -> Tensor:
        """Features (N, C, h, w) ask source (N, S, h, w) -> context (N, C, h, w)."""
        query, key, value = (
            project(x).flatten(2).mT.unsqueeze(1)  # (N, 1, h * w, T)
            for project, x in (
                (self.query_project, features),
                (self.key_project, source),
                (self.value_project, source),
            )
        )
        context = attend(query, key, value).squeeze(1).mT  # (N, T, h * w)
        return self.out_project(context.unflatten(2, features.shape[2:]))


class ContextModule(nn.Module):
    """Attention to a context map, fused with a base map by a 3x3 conv block (`ilc_net`, `slc_net`)."""

    def __init__(
        self, channels: int, source_channels: int, transform_channels: int, activation: Activation
    ) -> None:
        super().__init__()
        self.correlate_net = CrossAttention(channels, source_channels, transform_channels, activation)
        self.bottleneck = ConvBlock(2 * channels, channels, 3, activation=activation)

    def forward(self, features: Tensor, source: Tensor, base: Tensor) -> Tensor:
        """Features and base (N, C, h, w), source (N, S, h, w) -> (N, C, h, w)."""
        return self.bottleneck(torch.cat([base, self.correlate_net(features, source)], 1))


class CoarseDecoder(ConvBlock):
    """The first classifier: a 1x1 conv block and a 1x1 convolution to scores."""

    def __init__(self, channels: int, num_classes: int, activation: Activation) -> None:
        super().__init__(channels, channels, activation=activation)
        self.dropout = nn.Dropout2d(DROPOUT)
        self.conv_seg = nn.Conv2d(channels, num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) -> scores (N, num_classes, h, w)."""
        return self.conv_seg(self.dropout(super().forward(x)))


class ISNetHead(nn.Module):
    """Image-level and semantic-level context on c4, and a classifier.

    Args:
        in_channels: Channels of c1..c4.
        channels: Channels of the head.
        transform_channels: Channels of keys, queries and values.
        num_classes: Channels of the scores.
        shortcut: Whether c1 is fused in, which moves the scores from stride 8 to stride 4.
        activation: Maker of the head's activations; the backbone's are always ReLU.
    """

    def __init__(
        self,
        in_channels: tuple[int, ...],
        channels: int,
        transform_channels: int,
        num_classes: int,
        *,
        shortcut: bool,
        activation: Activation = relu,
    ) -> None:
        super().__init__()
        self.bottleneck = ConvBlock(in_channels[-1], channels, 3, activation=activation)
        self.ilc_net = ContextModule(channels, 2 * channels, transform_channels, activation)
        self.slc_net = ContextModule(channels, channels, transform_channels, activation)
        self.decoder_stage1 = CoarseDecoder(channels, num_classes, activation)
        self.shortcut = self.decoder_stage2 = None
        if shortcut:
            self.shortcut = ConvBlock(in_channels[0], SHORTCUT_CHANNELS, bias=True, activation=activation)
            self.decoder_stage2 = ConvBlock(channels + SHORTCUT_CHANNELS, channels, activation=activation)
        self.dropout = nn.Dropout2d(DROPOUT)
        self.conv_seg = nn.Conv2d(channels, num_classes, 1)

    def forward(self, features: tuple[Tensor, ...]) -> Tensor:
        """Features c1..c4 -> scores (N, num_classes, h, w) at the stride of c4, or of c1 with the shortcut."""
        x = self.bottleneck(features[-1])
        image_mean = x.mean((2, 3), keepdim=True).expand_as(x)
        image_level = self.ilc_net(x, torch.cat([image_mean, x], 1), x)
        regions = region_features(x, self.decoder_stage1(x))
        fused = self.slc_net(x, regions, image_level)  # the base is the image-level result, not x
        return self.conv_seg(self.dropout(self.add_detail(fused, features[0])))

    def add_detail(self, x: Tensor, c1: Tensor) -> Tensor:
        """(N, C, h, w) -> the same without the shortcut, (N, C, *c1's size) with it."""
        if self.shortcut is None or self.decoder_stage2 is None:
            return x
        # align_corners is False for every published ISNet, whatever docs/ModelZoo.md says of 473x473 inputs.
        x = F.interpolate(x, c1.shape[2:], mode="bilinear", align_corners=False)
        return self.decoder_stage2(torch.cat([x, self.shortcut(c1)], 1))
