"""MCIBI (Jin et al. 2021) as sssegmentation publishes it: a vector a class, mined beyond the image, joins its context.

sssegmentation eb1878c1, segmentors/mcibi/{mcibi,memory}.py, under its names of modules with conv, bn and conv_seg for its
running numbers. The vectors are in the file, as a parameter that is not trained but kept up by training's moving mean; a
file without them would give scores of nothing. Context within the image is DeepLabV3's, its mean last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from torch import nn

from ..layers import Activation, ConvModule, Decoder, Head, SelfAttentionBlock
from .aspp import KEYS as ASPP_KEYS
from .aspp import ASPPHead
from .psp import KEYS as PSP_KEYS
from .psp import PSPHead

if TYPE_CHECKING:
    from torch import Tensor

ContextType = Literal["aspp", "ppm"]


def image_context(
    kind: ContextType,
    in_channels: int,
    channels: int,
    *,
    align_corners: bool,
    activation: Activation,
    dilations: tuple[int, ...] = (1, 12, 24, 36),
    pool_scales: tuple[int, ...] = (1, 2, 3, 6),
) -> Head:
    """DeepLabV3's or PSPNet's head without its classifier: a list of one map (N, in_channels, h, w) -> (N, channels, h, w)."""
    if kind == "aspp":
        return ASPPHead(
            (in_channels,),
            0,
            align_corners=align_corners,
            channels=channels,
            dilations=dilations,
            pool_last=True,
            activation=activation,
        )
    return PSPHead(
        (in_channels,),
        0,
        align_corners=align_corners,
        channels=channels,
        pool_scales=pool_scales,
        activation=activation,
    )


def context_rows(name: str) -> tuple[tuple[str, str], ...]:
    """Names of sssegmentation within a context that is kept under a name of its own, of either type."""
    rows = (*ASPP_KEYS["ssseg"], *PSP_KEYS["ssseg"])
    inside = ((ours, theirs.partition(".")[2]) for ours, theirs in rows if ours != "conv_seg")
    return tuple((f"{name}.{ours}", f"{name}.{theirs}") for ours, theirs in inside)


class Memory(nn.Module):
    """Looks up a vector for each position by its scores, and fuses what the position's own features find in them.

    Args:
        num_classes: Number of vectors, K.
        channels: Of a vector and of every map.
        transform_channels: Of keys, queries and values.
        activation: Of every block.
    """

    def __init__(
        self, num_classes: int, channels: int, transform_channels: int, activation: Activation
    ) -> None:
        super().__init__()
        self.memory = nn.Parameter(torch.zeros(num_classes, 1, channels), requires_grad=False)
        attention = (channels, channels, transform_channels, activation)
        self.self_attention = SelfAttentionBlock(*attention)
        self.bottleneck = ConvModule(2 * channels, channels, 3, activation=activation)
        self.self_attention_ms = SelfAttentionBlock(*attention)
        self.bottleneck_ms = ConvModule(2 * channels, channels, 3, activation=activation)

    def forward(self, features: Tensor, scores: Tensor, image: Tensor) -> Tensor:
        """Features (N, C, h, w), scores (N, K, h, w) and the context within the image (N, C, h, w) -> (N, C, h, w)."""
        found = self.self_attention(features, look_up(self.memory[:, 0], scores))
        beyond = self.bottleneck(torch.cat([features, found], 1))
        within = self.self_attention_ms(features, image)
        return self.bottleneck_ms(torch.cat([within, beyond], 1))


def look_up(vectors: Tensor, scores: Tensor) -> Tensor:
    """A vector a class (K, C) and scores (N, K, h, w) -> their mean by the softmax of the scores, (N, C, h, w)."""
    return (vectors.T @ scores.softmax(1).flatten(2)).unflatten(2, scores.shape[2:])


LAYOUTS = {
    "ssseg": (
        ("decoder_stage1.conv_seg", "decoder_stage1.4"),
        ("conv_seg", "decoder_stage2.4"),
        *context_rows("context_within_image_module"),
    )
}


class MCIBIHead(Head):
    """Features -> scores (N, num_classes, h, w) at the stride of the last map.

    Args:
        in_channels: Channels of each feature map.
        num_classes: Channels of the scores.
        align_corners: Corner convention of resizes within the context.
        channels: Of every map of the head.
        transform_channels: Of keys, queries and values.
        dilations: Of the context's branches.
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
        transform_channels: int = 256,
        dilations: tuple[int, ...] = (1, 12, 24, 36),
        activation: Activation = "relu",
    ) -> None:
        super().__init__(channels, num_classes)
        incoming = in_channels[-1]
        self.context_within_image_module = image_context(
            "aspp",
            incoming,
            channels,
            align_corners=align_corners,
            dilations=dilations,
            activation=activation,
        )
        self.bottleneck = ConvModule(incoming, channels, 3, activation=activation)
        self.decoder_stage1 = Decoder(channels, channels, num_classes, activation=activation)
        self.memory_module = Memory(num_classes, channels, transform_channels, activation)
        self.decoder_stage2 = ConvModule(channels, channels, activation=activation)

    def fuse(self, features: tuple[Tensor, ...]) -> Tensor:
        """Feature maps (N, C_i, h_i, w_i) -> (N, channels, h, w) at the size of the last."""
        image = self.context_within_image_module(features[-1:])
        x = self.bottleneck(features[-1])
        return self.decoder_stage2(self.memory_module(x, self.decoder_stage1(x), image))


build = MCIBIHead
