"""Blocks that several architectures share, under the submodule names mmsegmentation gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch.nn.functional as F
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor


class Activation(Protocol):
    """Makes one activation module: `relu`, `leaky_relu`."""

    def __call__(self) -> nn.Module:
        """A new module; in place, as both publishers have it (training memory depends on it)."""
        ...


def relu() -> nn.Module:
    """The activation of every backbone and of every head but LIP's."""
    return nn.ReLU(inplace=True)


def leaky_relu() -> nn.Module:
    """The activation of sssegmentation's LIP heads, slope 0.01, of its ISNet configs for LIP (eb1878c1)."""
    return nn.LeakyReLU(0.01, inplace=True)


class ConvBlock(nn.Module):
    """Convolution (same size), batch norm, activation; keys `conv.*` and `bn.*` as in mmcv's ConvModule.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel: Side of the square kernel, odd.
        bias: Whether the convolution carries a bias in spite of the norm (ssseg's ISNet shortcut does).
        activation: Maker of the activation.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 1,
        *,
        bias: bool = False,
        activation: Activation = relu,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2, bias=bias)
        self.bn = nn.BatchNorm2d(out_channels)
        self.activate = activation()

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, h, w) -> (N, out_channels, h, w)."""
        return self.activate(self.bn(self.conv(x)))


def double_projection(in_channels: int, out_channels: int, activation: Activation = relu) -> nn.Sequential:
    """Two 1x1 conv blocks: how both publishers project the keys and the queries of their attention."""
    return nn.Sequential(
        ConvBlock(in_channels, out_channels, activation=activation),
        ConvBlock(out_channels, out_channels, activation=activation),
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
