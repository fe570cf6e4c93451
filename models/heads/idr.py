"""IDRNet (Jin et al. 2023) as sssegmentation publishes it: regions of classes ask each other, as much as intervention taught.

sssegmentation eb1878c1, segmentors/idrnet/idrnet.py, under its names of modules with conv, bn and conv_seg for its running
numbers. The relations of classes, a vector a class and a counter are in the file, as parameters that are not trained; the
counter is training's. Classes are those that win a position of the image by the scores of the first stage, so a near-tie may
fall either way. Of the mean relations those not above 0 weigh as good as nothing; where none is above 0, all weigh the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from torch import nn

from ..layers import Activation, ConvModule, Decoder, Head, Natural, SelfAttentionBlock, resize
from .isnet import region_means, spread_over_regions
from .mcibi import context_rows, image_context
from .uper import fuse_down, pyramid_convs

if TYPE_CHECKING:
    from torch import Tensor

HARDLY = -1e16
"""The publisher's score of a relation that is not above 0; finite, unlike that of a class that is not in the image."""

LAYOUTS = {
    "ssseg": (
        ("decoder_stage1.conv_seg", "decoder_stage1.4"),
        ("conv_seg", "decoder_stage2.4"),
        *context_rows("coarse_context_module"),
    )
}


def related(means: Tensor, present: Tensor, relations: Tensor) -> Tensor:
    """Of each class the mean over those in the image, weighted by the softmax of its relations to them.

    Args:
        means: (N, K, D), a vector a class.
        present: (N, K), which of them is in the image.
        relations: (K, K), of each class (rows) to each.

    Returns:
        (N, K, D).
    """
    scores = relations.masked_fill(~present[:, None], -torch.inf)  # (N, K, K)
    return scores.softmax(2) @ means


class IDRHead(Head):
    """Features -> scores (N, num_classes, h, w) at the stride of the last map, with a feature pyramid of the first.

    Args:
        in_channels: Channels of each feature map, fine to coarse.
        num_classes: Channels of the scores.
        align_corners: Corner convention of resizes within the context and the pyramid.
        channels: Of the features and of the stages.
        context: Coarse context: DeepLabV3's, PSPNet's or none.
        refine: When the context asks itself: before the first stage's scores, after them, or never.
        fpn_channels: Of every map of the feature pyramid; 0 for no pyramid.
        first_of_features: Whether the first stage scores the features although there is a context.
        transform_channels: Of keys, queries and values.
        activation: Of every block.
    """

    layouts = LAYOUTS

    def __init__(
        self,
        in_channels: tuple[int, ...],
        num_classes: int,
        *,
        align_corners: bool,
        channels: int = 512,
        context: Literal["aspp", "ppm", "none"] = "aspp",
        refine: Literal["before", "after", "never"] = "never",
        fpn_channels: Natural = 0,
        first_of_features: bool = False,
        transform_channels: int = 256,
        activation: Activation = "relu",
    ) -> None:
        super().__init__(channels, num_classes)
        self.align_corners, self.first_of_features = align_corners, first_of_features
        self.bottleneck = ConvModule(in_channels[-1], channels, 3, activation=activation)
        coarse = 0 if context == "none" else fpn_channels or channels
        self.coarse_context_module = None
        if context != "none":
            self.coarse_context_module = image_context(
                context, channels, coarse, align_corners=align_corners, activation=activation
            )
        self.coarsecontext_refiner_before, self.coarsecontext_refiner_after = (
            SelfAttentionBlock(coarse, coarse, transform_channels, activation) if refine == when else None
            for when in ("before", "after")
        )
        self.lateral_convs = self.fpn_convs = None
        fused = 2 * channels + coarse
        if fpn_channels:
            self.lateral_convs, self.fpn_convs = pyramid_convs(
                in_channels, fpn_channels, fpn_channels, activation
            )
            fused += (len(in_channels) - 1) * fpn_channels
        self.keep_classes(num_classes, channels)
        whole = 6 * channels  # features and class vectors, and their regions' by both relations
        self.idcontext_refiner = SelfAttentionBlock(
            whole, whole, transform_channels, activation, out_channels=channels
        )
        first = channels if first_of_features or not coarse else coarse
        self.decoder_stage1 = Decoder(first, channels, num_classes, activation=activation)
        self.decoder_stage2 = ConvModule(fused, channels, activation=activation)

    def keep_classes(self, num_classes: int, channels: int) -> None:
        """What the file says of classes: parameters that no gradient changes."""

        def kept(values: Tensor) -> nn.Parameter:
            return nn.Parameter(values, requires_grad=False)

        self.class_relations_mean = kept(torch.eye(num_classes))
        self.class_relations_var = kept(torch.eye(num_classes))
        self.selected_classes_counter = kept(torch.full((num_classes,), 1e-6))
        self.dl_cls_representations = kept(torch.zeros(num_classes, channels))

    def fuse(self, features: tuple[Tensor, ...]) -> Tensor:
        """Feature maps (N, C_i, h_i, w_i) -> (N, channels, h, w)."""
        x = self.bottleneck(features[-1])
        coarse = None if self.coarse_context_module is None else self.coarse_context_module((x,))
        if self.coarsecontext_refiner_before is not None:
            coarse = self.coarsecontext_refiner_before(coarse, coarse)
        scores = self.decoder_stage1(x if coarse is None or self.first_of_features else coarse)
        if self.coarsecontext_refiner_after is not None:
            coarse = self.coarsecontext_refiner_after(coarse, coarse)
        maps = [x, self.between_classes(x, scores)]
        if coarse is not None:
            if self.lateral_convs is not None and self.fpn_convs is not None:
                convs = self.lateral_convs, self.fpn_convs
                coarse = fuse_down(features, coarse, *convs, align_corners=self.align_corners)
            maps = [
                *(resize(one, coarse.shape[2:], align_corners=self.align_corners) for one in maps),
                coarse,
            ]
        return self.decoder_stage2(torch.cat(maps, 1))

    def between_classes(self, x: Tensor, scores: Tensor) -> Tensor:
        """Features (N, C, h, w) and scores (N, K, h, w) -> the context of related classes, (N, C, h, w)."""
        winners = scores.argmax(1).flatten(1)  # (N, L)
        vectors = self.dl_cls_representations.expand(len(x), -1, -1)
        x = torch.cat([x, spread_over_regions(vectors, winners).view_as(x)], 1)  # (N, 2 C, h, w)
        _, means = region_means(x, scores)
        classes = torch.arange(scores.shape[1], device=scores.device)
        present = (winners[:, None] == classes[:, None]).any(2)  # (N, K)
        positive = self.class_relations_mean.masked_fill(self.class_relations_mean <= 0, HARDLY)
        both = (
            spread_over_regions(related(means, present, relations), winners).view_as(x)
            for relations in (positive, self.class_relations_var)
        )
        whole = torch.cat([x, *both], 1)  # (N, 6 C, h, w)
        return self.idcontext_refiner(whole, whole)


build = IDRHead
