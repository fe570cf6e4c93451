"""EncNet (Zhang et al. 2018): the map's distances from learned codewords say how strong each channel shall be.

mmsegmentation 1.2.2, decode_heads/enc_head.py, and sssegmentation eb1878c1, segmentors/encnet, agree bit for bit. Both read
the last map alone, and take the mean over codewords where the paper's residual encoders are summed; the classifier of what is
in the image is in the file, for training.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import nn

from ..layers import Activation, Classifier, ConvModule, Natural

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

PRESENCE_WEIGHT = 0.2
"""Of the loss of what is in the image, in both publishers' configurations and in the paper."""

KEYS = {"ssseg": (("conv_seg", "decoder.1"),)}


class Encoding(nn.Module):
    """What is left of a map beside each codeword, each position counting as much as it is near.

    Args:
        channels: Of the map, C.
        num_codes: Number of codewords, K.
    """

    def __init__(self, channels: int, num_codes: int) -> None:
        super().__init__()
        bound = (num_codes * channels) ** -0.5
        self.codewords = nn.Parameter(torch.empty(num_codes, channels).uniform_(-bound, bound))
        self.scale = nn.Parameter(torch.empty(num_codes).uniform_(-1, 0))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, K, C)."""
        tokens = x.flatten(2).mT.unsqueeze(2)  # (N, L, 1, C)
        # Differences are taken twice, as both publishers do: their (N, L, K, C) is most of what training holds.
        shares = (self.scale * (tokens - self.codewords).square().sum(3)).softmax(2)  # (N, L, K)
        return (shares.unsqueeze(3) * (tokens - self.codewords)).sum(1)


class ContextEncoding(nn.Module):
    """Encodes a map, and weighs its channels by that.

    Args:
        channels: Of input and output.
        num_codes: As of `Encoding`.
        activation: Of the projection.
    """

    def __init__(self, channels: int, num_codes: int, activation: Activation) -> None:
        super().__init__()
        self.encoding_project = ConvModule(channels, channels, activation=activation)
        self.encoding = nn.Sequential(
            Encoding(channels, num_codes),
            nn.BatchNorm1d(num_codes),  # a channel of this norm is a codeword
            nn.ReLU(inplace=True),
        )
        self.fc = nn.Sequential(nn.Linear(channels, channels), nn.Sigmoid())

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, h, w) -> its code (N, C), and the map (N, C, h, w)."""
        code = self.encoding(self.encoding_project(x)).mean(1)
        strengths = self.fc(code)[:, :, None, None]
        return code, F.relu(x + x * strengths)


class EncHead(Classifier):
    """Features -> scores (N, num_classes, h, w) at the stride of the map it reads.

    Args:
        in_channels: Channels of each feature map.
        num_classes: Channels of the scores.
        in_index: Which map is read.
        channels: Of the head.
        num_codes: As of `Encoding`.
        activation: Of every block.
    """

    layouts = KEYS

    def __init__(
        self,
        in_channels: tuple[int, ...],
        num_classes: int,
        *,
        in_index: Natural = -1,
        channels: int = 512,
        num_codes: int = 32,
        activation: Activation = "relu",
    ) -> None:
        super().__init__(channels, num_classes)
        self.in_index = in_index
        self.bottleneck = ConvModule(in_channels[in_index], channels, 3, activation=activation)
        self.enc_module = ContextEncoding(channels, num_codes, activation)
        self.se_layer = nn.Linear(channels, num_classes)

    def forward(self, features: tuple[Tensor, ...], *, whole: bool = False) -> Any:
        """Feature maps (N, C_i, h_i, w_i) -> scores; with `whole` also those of what is in the image, (N, num_classes)."""
        code, x = self.enc_module(self.bottleneck(features[self.in_index]))
        return (self.classify(x), self.se_layer(code)) if whole else self.classify(x)

    def training_loss(self, features: tuple[Tensor, ...], loss_of: Callable[[Tensor], Tensor]) -> Tensor:
        """Of the scores and, as much as its weight says, of what is in the image: here nothing, for only memory is traced."""
        scores, presence = self(features, whole=True)
        absent = torch.zeros_like(presence)
        return loss_of(scores) + PRESENCE_WEIGHT * F.binary_cross_entropy_with_logits(presence, absent)


build = EncHead
