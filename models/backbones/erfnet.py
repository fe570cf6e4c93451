"""ERFNet (Romera et al. 2018): residual blocks of 3x1 and 1x3 convolutions, an encoder to stride 8 and a decoder to stride 2.

mmsegmentation 1.2.2, backbones/erfnet.py; sssegmentation eb1878c1, modules/models/backbones/erfnet.py. They differ in the norms'
epsilon (1e-3 and 1e-5) and in the bias of the strided convolutions, which only mmsegmentation has; sssegmentation also publishes
one with a PReLU of one slope a block, shared by the block's activations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from torch import nn

from ..input_size import require_sides
from ..layers import activation_module, resize

if TYPE_CHECKING:
    from torch import Tensor

ENCODER_CHANNELS = (16, 64, 128)
DECODER_CHANNELS = (64, 16)
PLAIN_BLOCKS = 5
DILATIONS = (2, 4, 8, 16, 2, 4, 8, 16)
"""Of the blocks of the encoder's last stage."""
DECODER_BLOCKS = 2
DROPOUT = 0.1
SMALLEST = 5
"""Pixels a side: pools take two positions, and sides of odd length are rounded up between them."""
"""Share of values dropped at the end of each of the encoder's blocks in training."""

Kind = Literal["relu", "prelu"]


class Down(nn.Module):
    """A strided convolution beside a pool; a pool of an odd side is a row short and is resized."""

    def __init__(
        self, in_channels: int, channels: int, *, bias: bool, norm_eps: float, activation: Kind
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, channels - in_channels, 3, stride=2, padding=1, bias=bias)
        self.pool = nn.MaxPool2d(2, stride=2)
        self.bn = nn.BatchNorm2d(channels, norm_eps)
        self.act = activation_module(activation, in_place=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, h, w) -> (N, channels, ceil(h / 2), ceil(w / 2))."""
        conv = self.conv(x)
        pool = resize(self.pool(x), conv.shape[2:], align_corners=False)
        return self.act(self.bn(torch.cat([conv, pool], 1)))


class NonBottleneck(nn.Module):
    """Two pairs of a 3x1 and a 1x3 convolution, the second pair dilated, and a shortcut; keys `act.*`, `convs_layers.*`."""

    def __init__(
        self, channels: int, *, dilation: int = 1, dropout: float = 0.0, norm_eps: float, activation: Kind
    ) -> None:
        super().__init__()
        self.act = activation_module(activation, in_place=False)
        layers: list[nn.Module] = []
        for step in (1, dilation):
            tall = nn.Conv2d(channels, channels, (3, 1), padding=(step, 0), dilation=(step, 1))
            wide = nn.Conv2d(channels, channels, (1, 3), padding=(0, step), dilation=(1, step))
            layers += [tall, self.act, wide, nn.BatchNorm2d(channels, norm_eps), self.act]
        self.convs_layers = nn.Sequential(*layers[:-1], nn.Dropout(dropout))

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, h, w) -> the same."""
        return self.act(self.convs_layers(x) + x)


class Up(nn.Module):
    """A transposed convolution that doubles both sides."""

    def __init__(self, in_channels: int, channels: int, *, norm_eps: float, activation: Kind) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(in_channels, channels, 3, stride=2, padding=1, output_padding=1)
        self.bn = nn.BatchNorm2d(channels, norm_eps)
        self.act = activation_module(activation, in_place=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, h, w) -> (N, channels, 2 h, 2 w)."""
        return self.act(self.bn(self.conv(x)))


class ERFNet(nn.Module):
    """Encoder and decoder; keys `encoder.*`, `decoder.*`.

    Args:
        bias: Whether the strided convolutions have one: mmsegmentation.
        norm_eps: Epsilon of the norms: 1e-3 with mmsegmentation, 1e-5 with sssegmentation.
        activation: Of all blocks.

    Attributes:
        channels: Channels of the output.
    """

    channels = DECODER_CHANNELS[-1:]

    def __init__(self, *, bias: bool = True, norm_eps: float = 1e-3, activation: Kind = "relu") -> None:
        super().__init__()
        first, second, third = ENCODER_CHANNELS

        def down(in_channels: int, channels: int) -> Down:
            return Down(in_channels, channels, bias=bias, norm_eps=norm_eps, activation=activation)

        def block(channels: int, dilation: int = 1, dropout: float = DROPOUT) -> NonBottleneck:
            return NonBottleneck(
                channels, dilation=dilation, dropout=dropout, norm_eps=norm_eps, activation=activation
            )

        self.encoder = nn.Sequential(
            down(3, first),
            down(first, second),
            *(block(second) for _ in range(PLAIN_BLOCKS)),
            down(second, third),
            *(block(third, dilation) for dilation in DILATIONS),
        )
        self.decoder, incoming = nn.Sequential(), third
        for channels in DECODER_CHANNELS:
            self.decoder.append(Up(incoming, channels, norm_eps=norm_eps, activation=activation))
            self.decoder.extend(block(channels, dropout=0.0) for _ in range(DECODER_BLOCKS))
            incoming = channels

    def forward(self, images: Tensor) -> tuple[Tensor]:
        """Features at half the size; a side that is no multiple of 8 comes out as if rounded up to one.

        Args:
            images: (N, 3, H, W), normalised.

        Raises:
            InputSizeError: They are too small.
        """
        require_sides(images.shape[2:], SMALLEST, "of which three pools in a row have two to take from")
        return (self.decoder(self.encoder(images)),)


build = ERFNet
