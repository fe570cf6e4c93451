"""CE2P (Ruan et al. 2019) as sssegmentation publishes it: a pyramid, c1's detail and edges, for parts of persons.

sssegmentation eb1878c1, segmentors/ce2p/{ce2p,epm}.py, under its names of modules with conv, bn and conv_seg for its running
numbers. Activations of the head are LeakyReLU in every published row, VOC's too. The pyramid is PSPNet's with its 3x3
fusion; what finds edges hands on its maps, while their scores and the scores of the first stage are for training alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from ..layers import Activation, ConvModule, Head, resize
from .fcn import sequential_rows
from .psp import KEYS, PSPHead

if TYPE_CHECKING:
    from torch import Tensor

EDGE_CLASSES = 2
"""A pixel is of an edge or of none."""

LAYOUTS = {
    "ssseg": (
        *((f"ppm_net.{ours}", theirs) for ours, theirs in KEYS["ssseg"]),
        *sequential_rows(2, "decoder_stage1", "decoder_stage1", "coarse_conv_seg"),
        *sequential_rows(2, "decoder_stage2", "decoder_stage2"),
    )
}


class EdgePerceiving(nn.Module):
    """Narrows c1 to c3 for what is found of edges in them.

    Args:
        in_channels: Channels of each map, fine to coarse.
        channels: What each is narrowed to.
        align_corners: Corner convention of the resize to the finest map's size.
        activation: Of every block.
    """

    def __init__(
        self, in_channels: tuple[int, ...], channels: int, *, align_corners: bool, activation: Activation
    ) -> None:
        super().__init__()
        self.align_corners = align_corners
        self.branches = nn.ModuleList(
            ConvModule(incoming, channels, activation=activation) for incoming in in_channels
        )
        self.edge_conv = nn.Conv2d(channels, EDGE_CLASSES, 3, padding=1)
        self.fuse_conv = nn.Conv2d(len(in_channels) * EDGE_CLASSES, EDGE_CLASSES, 1)

    def forward(self, maps: tuple[Tensor, ...]) -> list[Tensor]:
        """Maps (N, C_i, h_i, w_i) -> (N, channels, *size of the first) of each."""
        narrow = [branch(x) for branch, x in zip(self.branches, maps, strict=True)]
        return [resize(x, maps[0].shape[2:], align_corners=self.align_corners) for x in narrow]


class CE2PHead(Head):
    """Features -> scores (N, num_classes, h, w) at the stride of c1; all maps are read.

    Args:
        in_channels: Channels of each feature map, fine to coarse.
        num_classes: Channels of the scores.
        align_corners: Corner convention of every resize.
        channels: Of the pyramid and of both stages.
        edge_channels: Of each map that edges are found in.
        c1_channels: Channels that c1 is narrowed to.
        pool_scales: Sides of the pyramid's squares.
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
        edge_channels: int = 256,
        c1_channels: int = 48,
        pool_scales: tuple[int, ...] = (1, 2, 3, 6),
        activation: Activation = "leaky_relu",
    ) -> None:
        super().__init__(channels, num_classes)
        self.align_corners = align_corners
        self.ppm_net = PSPHead(
            in_channels,
            0,
            align_corners=align_corners,
            channels=channels,
            pool_scales=pool_scales,
            activation=activation,
        )
        self.edge_net = EdgePerceiving(
            in_channels[:-1], edge_channels, align_corners=align_corners, activation=activation
        )
        self.shortcut = ConvModule(in_channels[0], c1_channels, activation=activation)

        def stage(incoming: int) -> nn.Sequential:
            return nn.Sequential(
                ConvModule(incoming, channels, activation=activation),
                ConvModule(channels, channels, activation=activation),
            )

        self.decoder_stage1 = stage(channels + c1_channels)
        self.coarse_conv_seg = nn.Conv2d(channels, num_classes, 1)
        self.decoder_stage2 = stage(channels + (len(in_channels) - 1) * edge_channels)

    def fuse(self, features: tuple[Tensor, ...]) -> Tensor:
        """Feature maps (N, C_i, h_i, w_i) -> (N, channels, h, w) at the size of c1."""
        c1 = features[0]
        pyramid = resize(self.ppm_net(features), c1.shape[2:], align_corners=self.align_corners)
        coarse = self.decoder_stage1(torch.cat([pyramid, self.shortcut(c1)], 1))
        return self.decoder_stage2(torch.cat([coarse, *self.edge_net(features[:-1])], 1))


build = CE2PHead
