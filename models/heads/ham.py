"""SegNeXt's head (Guo et al. 2022): the maps but the finest joined, and what few bases of them can say again (Hamburger, Geng et al. 2021).

mmsegmentation 1.2.2, decode_heads/ham_head.py. The map is factorised into bases and coefficients, none of them negative, by seven steps
from bases that it draws from torch's generator for every image of every forward pass, in evaluation too: its published numbers do
not repeat exactly, and no file says the bases. Here they are drawn from `seed`, the same for all images, so that a measurement
repeats; how far it is from the published number by the draw alone is the spread over seeds. Norms are over groups of channels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from ..layers import Head, Natural, join_maps

if TYPE_CHECKING:
    from torch import Tensor

NORM_GROUPS = 32
TRAINING_STEPS, STEPS = 6, 7
EPS = 1e-6
"""Added to denominators."""


class GroupNormConv(nn.Module):
    """A 1x1 convolution and a norm over groups of channels; keys `conv.*`, `gn.*`."""

    def __init__(self, in_channels: int, channels: int, *, relu: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, channels, 1, bias=False)
        self.gn = nn.GroupNorm(NORM_GROUPS, channels)
        self.activate = nn.ReLU(inplace=True) if relu else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, h, w) -> (N, channels, h, w)."""
        return self.activate(self.gn(self.conv(x)))


class Factorisation(nn.Module):
    """A map as bases times coefficients, none negative (NMF by multiplicative steps).

    Args:
        channels: Of the map.
        bases: How many.
        seed: Of their draw.
    """

    bases: Tensor
    """(1, channels, bases), uniform, each of length 1."""

    def __init__(self, channels: int, bases: int, seed: int) -> None:
        super().__init__()
        generator = torch.Generator("cpu").manual_seed(seed)
        drawn = torch.rand(1, channels, bases, generator=generator, device="cpu")
        self.register_buffer("bases", F.normalize(drawn, dim=1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, h, w), not negative -> the same."""
        columns = x.flatten(2)  # (N, C, L)
        bases = self.bases.to(columns).expand(len(columns), -1, -1)
        coefficients = (columns.mT @ bases).softmax(2)  # (N, L, bases)
        for _ in range(TRAINING_STEPS if self.training else STEPS):
            coefficients = fitted(coefficients, columns.mT, bases)
            bases = fitted(bases, columns, coefficients)
        coefficients = fitted(coefficients, columns.mT, bases)
        return (bases @ coefficients.mT).view_as(x)


def fitted(factor: Tensor, whole: Tensor, other: Tensor) -> Tensor:
    """A step of one factor (N, M, R) towards whole (N, M, L) = factor @ other.mT, for other (N, L, R)."""
    return factor * (whole @ other) / (factor @ (other.mT @ other) + EPS)


class Hamburger(nn.Module):
    """The factorisation between two 1x1 convolutions, added; keys `ham_in.conv.*`, `ham_out.*`."""

    def __init__(self, channels: int, bases: int, seed: int) -> None:
        super().__init__()
        self.ham_in = nn.ModuleDict({"conv": nn.Conv2d(channels, channels, 1)})
        self.ham = Factorisation(channels, bases, seed)
        self.ham_out = GroupNormConv(channels, channels, relu=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, h, w) -> the same."""
        again = self.ham(F.relu(self.ham_in["conv"](x), inplace=True))
        return F.relu(x + self.ham_out(again), inplace=True)


class LightHamHead(Head):
    """Features -> scores (N, num_classes, h, w) at the stride of the second map; all but the finest are read.

    Args:
        in_channels: Channels of each feature map, fine to coarse.
        num_classes: Channels of the scores.
        align_corners: Corner convention of the resizes.
        channels: Channels that are classified.
        ham_channels: Channels inside.
        bases: Of the factorisation.
        seed: Of their draw.

    Attributes:
        random_in_evaluation: What is drawn at random, and how; see `models.build.random_in_evaluation`.
    """

    random_in_evaluation = (
        "the bases that the head factorises a map from are random; the publisher draws them anew for every image, "
        "here one draw (number `seed` of the head) serves all"
    )

    def __init__(
        self,
        in_channels: tuple[int, ...],
        num_classes: int,
        *,
        align_corners: bool,
        channels: int,
        ham_channels: int,
        bases: int = 16,
        seed: Natural = 0,
    ) -> None:
        super().__init__(channels, num_classes)
        self.align_corners = align_corners
        self.squeeze = GroupNormConv(sum(in_channels[1:]), ham_channels)
        self.hamburger = Hamburger(ham_channels, bases, seed)
        self.align = GroupNormConv(ham_channels, channels)

    def fuse(self, features: tuple[Tensor, ...]) -> Tensor:
        """Feature maps (N, C_i, h_i, w_i) -> (N, channels, h, w) at the size of the second."""
        joined = join_maps(features[1:], align_corners=self.align_corners)
        return self.align(self.hamburger(self.squeeze(joined)))


build = LightHamHead
