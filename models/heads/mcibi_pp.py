"""MCIBI++ (Jin et al. 2022) as sssegmentation publishes it: of each class a mean and a deviation, from which a vector is drawn.

sssegmentation eb1878c1, segmentors/mcibiplusplus/{mcibiplusplus,memoryv2}.py, under its names of modules with conv, bn and
conv_seg for conv1, bn1 and conv2. The draws are the same every time: torch's CPU generator is seeded with the number of the
class, so no other generator gives the published scores. The scores of the context within the image look them up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from torch import nn

from ..layers import Activation, ConvModule, Decoder, Head, Natural, SelfAttentionBlock, resize
from .mcibi import context_rows, image_context, look_up
from .uper import fuse_down, pyramid_convs

if TYPE_CHECKING:
    from torch import Tensor

LAYOUTS = {
    "ssseg": (
        *(
            (f"{name}.{ours}", f"{name}.{theirs}")
            for name in ("decoder_pr", "decoder_cwi", "decoder_cls")
            for ours, theirs in (("conv_seg", "conv2"), ("conv", "conv1"), ("bn", "bn1"))
        ),
        ("conv_seg", "decoder_cls.conv2"),
        *context_rows("context_within_image_module"),
    )
}


def class_noise(num_classes: int, channels: int) -> Tensor:
    """What every draw is made of, (num_classes, channels): normal, of the CPU generator seeded with the class's number."""
    seeds = (torch.Generator("cpu").manual_seed(number) for number in range(num_classes))
    return torch.cat([torch.randn(1, channels, generator=seed, device="cpu") for seed in seeds])


class DrawnMemory(nn.Module):
    """Draws a vector a class, looks one up for each position, and fuses what the position's own features find in them.

    Args:
        num_classes: Number of vectors, K.
        channels: Of a vector and of every map.
        transform_channels: Of keys, queries and values.
        downsample: Whether attention is on maps of half the size.
        activation: Of every block.
    """

    noise: Tensor

    def __init__(
        self,
        num_classes: int,
        channels: int,
        transform_channels: int,
        *,
        downsample: bool,
        activation: Activation,
    ) -> None:
        super().__init__()
        self.memory = nn.Parameter(torch.tensor([[0.0, 1.0]]).repeat(num_classes, 1), requires_grad=False)
        self.register_buffer("noise", class_noise(num_classes, channels), persistent=False)
        self.downsample_before_sa = (
            ConvModule(channels, channels, 3, stride=2, activation=activation)
            if downsample
            else nn.Identity()
        )
        self.self_attention = SelfAttentionBlock(channels, channels, transform_channels, activation)
        self.bottleneck = ConvModule(2 * channels, channels, 3, activation=activation)

    def forward(self, features: Tensor, scores: Tensor) -> Tensor:
        """Features (N, C, h, w) and scores (N, K, h, w) -> (N, C, h, w)."""
        mean, deviation = self.memory.split(1, 1)  # (K, 1)
        vectors = self.noise.to(self.memory) * deviation + mean
        asking, asked = (self.downsample_before_sa(x) for x in (features, look_up(vectors, scores)))
        found = resize(self.self_attention(asking, asked), features.shape[2:], align_corners=False)
        return self.bottleneck(torch.cat([features, found], 1))


class MCIBIPlusPlusHead(Head):
    """Features -> scores (N, num_classes, h, w) at the stride of the last map, with a feature pyramid of the first.

    Args:
        in_channels: Channels of each feature map, fine to coarse.
        num_classes: Channels of the scores.
        align_corners: Corner convention of resizes within the context and the pyramid.
        channels: Of every map of the head.
        context: Within the image: DeepLabV3's, PSPNet's or none.
        attend_memory: Whether the context asks what comes of the memory.
        look_up_by_features: Whether the scores that look vectors up are those of the features although there is a context.
        fpn_channels: Of each finer map of the feature pyramid; 0 for no pyramid.
        kernel: Side of the last block's kernel.
        context_kernel: Side of the kernel of the block before the context's classifier.
        features_kernel: The same of the features' classifier.
        downsample: As of `DrawnMemory`.
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
        attend_memory: bool = True,
        look_up_by_features: bool = False,
        fpn_channels: Natural = 0,
        kernel: int = 3,
        context_kernel: int = 1,
        features_kernel: int = 1,
        downsample: bool = False,
        transform_channels: int = 256,
        activation: Activation = "relu",
    ) -> None:
        super().__init__(channels, num_classes)
        self.align_corners, self.look_up_by_features = align_corners, look_up_by_features
        self.context_within_image_module = self.self_attention = self.decoder_cwi = None
        if context != "none":
            self.context_within_image_module = image_context(
                context, in_channels[-1], channels, align_corners=align_corners, activation=activation
            )
            self.decoder_cwi = Decoder(channels, channels, num_classes, context_kernel, activation=activation)
            if attend_memory:
                self.self_attention = SelfAttentionBlock(channels, channels, channels // 2, activation)
        self.bottleneck = ConvModule(in_channels[-1], channels, 3, activation=activation)
        self.memory_module = DrawnMemory(
            num_classes, channels, transform_channels, downsample=downsample, activation=activation
        )
        self.lateral_convs = self.fpn_convs = None
        fused = channels if context == "none" else 2 * channels
        if fpn_channels:
            self.lateral_convs, self.fpn_convs = pyramid_convs(in_channels, fused, fpn_channels, activation)
            fused += (len(in_channels) - 1) * fpn_channels
        self.decoder_pr = Decoder(channels, channels, num_classes, features_kernel, activation=activation)
        self.decoder_cls = ConvModule(fused, channels, kernel, activation=activation)

    def fuse(self, features: tuple[Tensor, ...]) -> Tensor:
        """Feature maps (N, C_i, h_i, w_i) -> (N, channels, h, w)."""
        x = self.bottleneck(features[-1])
        if self.context_within_image_module is None or self.decoder_cwi is None:
            return self.decoder_cls(self.memory_module(x, self.decoder_pr(x)))
        image = self.context_within_image_module(features[-1:])
        scores = self.decoder_pr(x) if self.look_up_by_features else self.decoder_cwi(image)
        memory = self.memory_module(x, scores)
        if self.self_attention is not None:
            memory = self.self_attention(image, memory)
        both = torch.cat([memory, image], 1)
        if self.lateral_convs is not None and self.fpn_convs is not None:
            convs = self.lateral_convs, self.fpn_convs
            both = fuse_down(features, both, *convs, align_corners=self.align_corners)
        return self.decoder_cls(both)


build = MCIBIPlusPlusHead
