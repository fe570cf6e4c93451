"""Blocks that several architectures share, under the names mmsegmentation (and mmcv 2.1.0) gives them."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Literal

import torch.nn.functional as F
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from .load.layouts import KeyRows

Activation = Literal["relu", "leaky_relu"]
"""ReLU, or LeakyReLU of slope 0.01: sssegmentation's heads for LIP, CIHP and ATR (eb1878c1)."""
Natural = Annotated[int, 0]
"""A whole number that may be 0; the annotation is the least that `build_model` lets pass, 1 where there is none."""

DROPOUT = 0.1
"""Share of channels dropped before every classifier in training, by both publishers."""


def activation_module(name: Activation) -> nn.Module:
    """A new module, in place, as both publishers have it (training memory depends on it)."""
    return nn.ReLU(inplace=True) if name == "relu" else nn.LeakyReLU(0.01, inplace=True)


def resize(x: Tensor, size: Sequence[int], *, align_corners: bool) -> Tensor:
    """(N, C, h, w) -> (N, C, *size), bilinearly."""
    return F.interpolate(x, tuple(size), mode="bilinear", align_corners=align_corners)


class ConvModule(nn.Module):
    """Convolution, batch norm, activation; keys `conv.*` and `bn.*` as in mmcv.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel: Side of the square kernel, odd; zeros around the input keep its size at stride 1.
        dilation: Of the kernel.
        groups: Of the channels; `in_channels` makes it depthwise.
        bias: Whether the convolution carries a bias in spite of the norm (ssseg's ISNet shortcut does).
        activation: Its name.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 1,
        *,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = False,
        activation: Activation = "relu",
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels,
            out_channels,
            kernel,
            padding=dilation * (kernel // 2),
            dilation=dilation,
            groups=groups,
            bias=bias,
        )
        self.bn = nn.BatchNorm2d(out_channels)
        self.activate = activation_module(activation)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, h, w) -> (N, out_channels, h, w)."""
        return self.activate(self.bn(self.conv(x)))


class DepthwiseSeparableConvModule(nn.Module):
    """A 3x3 convolution of each channel by itself, then a 1x1 one across them; norm and activation behind both."""

    def __init__(
        self, in_channels: int, out_channels: int, *, dilation: int = 1, activation: Activation = "relu"
    ) -> None:
        super().__init__()
        self.depthwise_conv = ConvModule(
            in_channels, in_channels, 3, dilation=dilation, groups=in_channels, activation=activation
        )
        self.pointwise_conv = ConvModule(in_channels, out_channels, activation=activation)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, h, w) -> (N, out_channels, h, w)."""
        return self.pointwise_conv(self.depthwise_conv(x))


class PyramidPooling(nn.ModuleList):
    """Average pools to squares of several sizes, a 1x1 block behind each (PSPNet's pyramid, without its fusion).

    Args:
        in_channels: Channels of the input.
        channels: Channels of each level.
        scales: Sides of the squares.
        align_corners: Corner convention of the resize back.
        activation: Its name.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        scales: Sequence[int],
        *,
        align_corners: bool,
        activation: Activation = "relu",
    ) -> None:
        super().__init__(
            nn.Sequential(
                nn.AdaptiveAvgPool2d(scale), ConvModule(in_channels, channels, activation=activation)
            )
            for scale in scales
        )
        self.align_corners = align_corners

    def forward(self, x: Tensor) -> list[Tensor]:
        """(N, in_channels, h, w) -> a map (N, channels, h, w) for each scale."""
        return [resize(level(x), x.shape[2:], align_corners=self.align_corners) for level in self]


def double_projection(in_channels: int, out_channels: int, activation: Activation = "relu") -> nn.Sequential:
    """Two 1x1 conv blocks: how both publishers project the keys and the queries of their attention."""
    return nn.Sequential(
        ConvModule(in_channels, out_channels, activation=activation),
        ConvModule(out_channels, out_channels, activation=activation),
    )


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Softmax attention over tokens, scores scaled by 1 / sqrt(K); the score matrix is never kept whole.

    Args:
        query: (N, groups, L, K).
        key: (N, groups, S, K).
        value: (N, groups, S, C).

    Returns:
        (N, groups, L, C).
    """
    # Channels must lie next to each other, or torch's CPU kernel falls back to the form that keeps all scores.
    return F.scaled_dot_product_attention(query.contiguous(), key.contiguous(), value.contiguous())


class SelfAttentionBlock(nn.Module):
    """Every position of one map asks all positions of another; named as in both publishers' SelfAttentionBlock.

    Args:
        query_channels: Channels of the asking map, and of the output.
        source_channels: Channels of the asked one.
        transform_channels: Channels of keys, queries and values.
        activation: Of every projection.
    """

    def __init__(
        self,
        query_channels: int,
        source_channels: int,
        transform_channels: int,
        activation: Activation = "relu",
    ) -> None:
        super().__init__()
        self.key_project = double_projection(source_channels, transform_channels, activation)
        self.query_project = double_projection(query_channels, transform_channels, activation)
        self.value_project = ConvModule(source_channels, transform_channels, activation=activation)
        self.out_project = ConvModule(transform_channels, query_channels, activation=activation)

    def forward(self, features: Tensor, source: Tensor) -> Tensor:
        """Features (N, C, h, w) ask source (N, S, h', w') -> context (N, C, h, w)."""
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


class Head(nn.Module):
    """What every head ends in: dropout and the classifier, a 1x1 convolution under the key `conv_seg`.

    Args:
        channels: Channels that the classifier reads.
        num_classes: Channels of the scores.

    Attributes:
        layouts: Layout of keys -> where its names differ from ours; see `load.layouts`.
    """

    layouts: Mapping[str, KeyRows] = MappingProxyType({})

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.dropout = nn.Dropout2d(DROPOUT)
        self.conv_seg = nn.Conv2d(channels, num_classes, 1)

    def classify(self, x: Tensor) -> Tensor:
        """(N, channels, h, w) -> scores (N, num_classes, h, w)."""
        return self.conv_seg(self.dropout(x))
