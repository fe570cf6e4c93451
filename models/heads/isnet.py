"""ISNet: context from the whole image and from each semantic region.

Source: sssegmentation eb1878c1, segmentors/isnet/{isnet,imagelevel,semanticlevel}.py.
sssegmentation's names of modules are kept, with conv, bn and conv_seg for its running numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from ..layers import Activation, ConvModule, Decoder, Head, SelfAttentionBlock, resize

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
    winners, means = region_means(features, scores)
    return spread_over_regions(means, winners).view_as(features)


def region_means(features: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
    """Of each class the weighted mean feature of its region; arguments as of `region_features`.

    Returns:
        The winning class of each position (N, L), L = h * w, and the means (N, C, D), of which those of a class
        without positions say nothing, but are finite.
    """
    winners = scores.argmax(1).flatten(1)
    classes = torch.arange(scores.shape[1], device=scores.device)
    member = winners[:, None] == classes[:, None]  # (N, C, L)
    # The lowest finite number instead of -inf: exp gives the same exact 0, and a class without positions
    # gets a harmless mean that nobody reads instead of NaN.
    own_scores = scores.flatten(2).masked_fill(~member, torch.finfo(scores.dtype).min)
    return winners, own_scores.softmax(2) @ features.flatten(2).mT  # (N, C, L) @ (N, L, D) -> (N, C, D)


def spread_over_regions(vectors: Tensor, winners: Tensor) -> Tensor:
    """A vector a class (N, C, D) and the winning class of each position (N, L) -> its vector, (N, D, L)."""
    index = winners[:, :, None].expand(-1, -1, vectors.shape[2])  # (N, L, D)
    return vectors.gather(1, index).mT


class ContextModule(nn.Module):
    """Attention to a context map, fused with a base map by a 3x3 conv block (`ilc_net`, `slc_net`)."""

    def __init__(
        self, channels: int, source_channels: int, transform_channels: int, activation: Activation
    ) -> None:
        super().__init__()
        self.correlate_net = SelfAttentionBlock(channels, source_channels, transform_channels, activation)
        self.bottleneck = ConvModule(2 * channels, channels, 3, activation=activation)

    def forward(self, features: Tensor, source: Tensor, base: Tensor) -> Tensor:
        """Features and base (N, C, h, w), source (N, S, h, w) -> (N, C, h, w)."""
        return self.bottleneck(torch.cat([base, self.correlate_net(features, source)], 1))


class ISNetHead(Head):
    """Features -> scores: image-level and semantic-level context on the last map.

    Args:
        in_channels: Channels of each feature map, c1 first.
        num_classes: Channels of the scores.
        channels: Channels of the head.
        transform_channels: Channels of keys, queries and values.
        shortcut: Whether c1 is fused in, which moves the scores to its stride, 4; LIP only.
        activation: Of the head; the backbone's are always ReLU.
    """

    def __init__(
        self,
        in_channels: tuple[int, ...],
        num_classes: int,
        *,
        channels: int = 512,
        transform_channels: int = 256,
        shortcut: bool = False,
        activation: Activation = "relu",
    ) -> None:
        super().__init__(channels, num_classes)
        self.bottleneck = ConvModule(in_channels[-1], channels, 3, activation=activation)
        self.ilc_net = ContextModule(channels, 2 * channels, transform_channels, activation)
        self.slc_net = ContextModule(channels, channels, transform_channels, activation)
        self.decoder_stage1 = Decoder(channels, channels, num_classes, activation=activation)
        self.shortcut = self.decoder_stage2 = None
        if shortcut:
            self.shortcut = ConvModule(in_channels[0], SHORTCUT_CHANNELS, bias=True, activation=activation)
            self.decoder_stage2 = ConvModule(channels + SHORTCUT_CHANNELS, channels, activation=activation)
        # decoder_stage2 is [dropout, classifier], with the shortcut [conv, norm, activation, dropout, classifier].
        self.layouts = {
            "ssseg": (
                ("decoder_stage1.conv_seg", "decoder_stage1.4"),
                ("conv_seg", "decoder_stage2.4" if shortcut else "decoder_stage2.1"),
            )
        }

    def forward(self, features: tuple[Tensor, ...]) -> Tensor:
        """Features c1..c4 -> scores (N, num_classes, h, w) at the stride of c4, or of c1 with the shortcut."""
        x = self.bottleneck(features[-1])
        image_mean = x.mean((2, 3), keepdim=True).expand_as(x)
        image_level = self.ilc_net(x, torch.cat([image_mean, x], 1), x)
        regions = region_features(x, self.decoder_stage1(x))
        fused = self.slc_net(x, regions, image_level)  # the base is the image-level result, not x
        return self.classify(self.add_detail(fused, features[0]))

    def add_detail(self, x: Tensor, c1: Tensor) -> Tensor:
        """(N, C, h, w) -> the same without the shortcut, (N, C, *c1's size) with it."""
        if self.shortcut is None or self.decoder_stage2 is None:
            return x
        # align_corners is False for every published ISNet, whatever docs/ModelZoo.md says of 473x473 inputs.
        x = resize(x, c1.shape[2:], align_corners=False)
        return self.decoder_stage2(torch.cat([x, self.shortcut(c1)], 1))


build = ISNetHead
