"""U-Net (Ronneberger et al. 2015) as both publishers build it: five resolutions down by pools and up again, beside what came down.

mmsegmentation 1.2.2, backbones/unet.py and utils/up_conv_block.py; sssegmentation eb1878c1, modules/models/backbones/unet.py; they
agree bit for bit. The paper's convolutions lose their border and its maps are cropped; these keep their size, have norms, and go
up by bilinear resize and a 1x1 block in place of transposed convolutions. Sides have to be multiples of 16.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import nn

from ..input_size import InputSizeError
from ..layers import ConvModule, in_sequence

if TYPE_CHECKING:
    from torch import Tensor

STAGES = 5
MULTIPLE = 2 ** (STAGES - 1)
"""Of sides, in pixels: every step down halves them without a rest."""


class TwoConvs(nn.Module):
    """Two 3x3 blocks; keys `convs.*`."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.convs = nn.Sequential(
            ConvModule(in_channels, out_channels, 3), ConvModule(out_channels, out_channels, 3)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, h, w) -> (N, out_channels, h, w)."""
        return self.convs(x)


class Up(nn.Module):
    """A coarse map, doubled, joins what came down at its size."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.conv_block = TwoConvs(2 * channels, channels)
        double = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
        self.upsample = nn.ModuleDict(
            {"interp_upsample": nn.Sequential(double, ConvModule(in_channels, channels))}
        )

    def forward(self, kept: Tensor, x: Tensor) -> Tensor:
        """Kept (N, channels, 2 h, 2 w), x (N, in_channels, h, w) -> (N, channels, 2 h, 2 w)."""
        return self.conv_block(torch.cat([kept, self.upsample["interp_upsample"](x)], 1))


class UNet(nn.Module):
    """Encoder and decoder; keys `encoder.*`, `decoder.*`.

    Args:
        base_channels: Channels at full resolution; each step down doubles them.

    Attributes:
        channels: Channels of the five outputs, from the coarsest map to the finest.
    """

    def __init__(self, *, base_channels: int = 64) -> None:
        super().__init__()
        widths = [base_channels * 2**index for index in range(STAGES)]
        self.encoder = nn.ModuleList([nn.Sequential(TwoConvs(3, base_channels))])
        self.decoder = nn.ModuleList()
        for fine, coarse in pairwise(widths):
            self.encoder.append(nn.Sequential(nn.MaxPool2d(2), TwoConvs(fine, coarse)))
            self.decoder.append(Up(coarse, fine))
        self.channels = tuple(reversed(widths))
        self.layouts = {"ssseg": in_sequence(self)}

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Features at strides 16, 8, 4, 2 and 1.

        Args:
            images: (N, 3, H, W), normalised; H and W multiples of 16.

        Raises:
            InputSizeError: They are not.
        """
        height, width = images.shape[2:]
        if height % MULTIPLE or width % MULTIPLE:
            raise InputSizeError(
                f"expected images whose sides are multiples of {MULTIPLE} pixels, which U-Net halves four times and "
                f"doubles again; found {height}x{width} (height x width). Pad them: size_divisor: {MULTIPLE} in the "
                "protocol."
            )
        kept, x = [], images
        for down in self.encoder:
            x = down(x)
            kept.append(x)
        features = [x]
        for up, fine in zip(reversed(list(self.decoder)), reversed(kept[:-1]), strict=True):
            features.append(up(fine, features[-1]))
        return tuple(features)


build = UNet
