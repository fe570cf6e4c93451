"""BiSeNetV2 (Yu et al. 2021): a wide shallow branch for detail, a narrow deep one for context, each gating the other.

mmsegmentation 1.2.2, backbones/bisenetv2.py; sssegmentation eb1878c1, modules/models/backbones/bisenetv2.py. They differ in the bias
of the two 1x1 convolutions that end the separable ones of the fusion, which only mmsegmentation has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from ..layers import ConvModule, DepthwiseSeparableConvModule, in_sequence, resize

if TYPE_CHECKING:
    from torch import Tensor

DETAIL_CHANNELS = (64, 64, 128)
SEMANTIC_CHANNELS = (16, 32, 64, 128)
SEMANTIC_BLOCKS = (2, 2, 4)
"""Gather-and-expansion layers of the stages behind the stem."""
EXPANSION = 6


def detail_branch() -> nn.ModuleList:
    """Two, three and three 3x3 blocks, the first of each of stride 2."""
    stages, incoming = nn.ModuleList(), 3
    for channels, blocks in zip(DETAIL_CHANNELS, (2, 3, 3), strict=True):
        others = (ConvModule(channels, channels, 3) for _ in range(blocks - 1))
        stages.append(nn.Sequential(ConvModule(incoming, channels, 3, stride=2), *others))
        incoming = channels
    return stages


class Stem(nn.Module):
    """A strided block, then a strided path of two blocks beside a pool."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_first = ConvModule(3, channels, 3, stride=2)
        self.convs = nn.Sequential(
            ConvModule(channels, channels // 2), ConvModule(channels // 2, channels, 3, stride=2)
        )
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        self.fuse_last = ConvModule(2 * channels, channels, 3)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, channels, ceil(H / 4), ceil(W / 4))."""
        x = self.conv_first(images)
        return self.fuse_last(torch.cat([self.convs(x), self.pool(x)], 1))


class GatherAndExpansion(nn.Module):
    """A 3x3 block, a depthwise one that widens, a 1x1 one that narrows, and a shortcut."""

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        inside = EXPANSION * in_channels
        self.conv1 = ConvModule(in_channels, in_channels, 3)
        self.shortcut = nn.Identity()
        self.dwconv = nn.Sequential(ConvModule(in_channels, inside, 3, groups=in_channels))
        if stride > 1:
            self.dwconv = nn.Sequential(
                ConvModule(in_channels, inside, 3, stride=stride, groups=in_channels, activation=None),
                ConvModule(inside, inside, 3, groups=inside),
            )
            self.shortcut = nn.Sequential(
                DepthwiseSeparableConvModule(in_channels, channels, stride=stride, activation=None)
            )
        self.conv2 = nn.Sequential(ConvModule(inside, channels, activation=None))
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, h, w) -> (N, channels, ceil(h / stride), ceil(w / stride))."""
        return self.act(self.conv2(self.dwconv(self.conv1(x))) + self.shortcut(x))


class ContextEmbedding(nn.Module):
    """The mean over all positions, through a 1x1 block, added to each; then a 3x3 block."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gap = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(channels))
        self.conv_gap = ConvModule(channels, channels)
        self.conv_last = ConvModule(channels, channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, h, w) -> the same."""
        return self.conv_last(x + self.conv_gap(self.gap(x)))


class SemanticBranch(nn.Module):
    """Stem, three stages and the embedding of context; keys `stage1.*` .. `stage4.*`, `stage4_CEBlock.*`."""

    def __init__(self) -> None:
        super().__init__()
        incoming, *others = SEMANTIC_CHANNELS
        self.stage1 = Stem(incoming)
        for number, (channels, blocks) in enumerate(zip(others, SEMANTIC_BLOCKS, strict=True), 2):
            rest = (GatherAndExpansion(channels, channels, 1) for _ in range(blocks - 1))
            self.add_module(f"stage{number}", nn.Sequential(GatherAndExpansion(incoming, channels, 2), *rest))
            incoming = channels
        self.stage4_CEBlock = ContextEmbedding(incoming)

    def forward(self, images: Tensor) -> list[Tensor]:
        """(N, 3, H, W) -> maps at strides 4, 8, 16, 32, and the last again with its context."""
        maps, x = [], images
        for stage in self.children():
            x = stage(x)
            maps.append(x)
        return maps


class GuidedAggregation(nn.Module):
    """Each branch gated by the sigmoid of the other at its own resolution, their sum at the detail's."""

    def __init__(self, channels: int, *, align_corners: bool, bias: bool) -> None:
        super().__init__()
        self.align_corners = align_corners

        def separable() -> nn.Sequential:
            return nn.Sequential(
                DepthwiseSeparableConvModule(
                    channels, channels, activation=None, pointwise_norm=False, pointwise_bias=bias
                )
            )

        self.detail_dwconv = separable()
        self.detail_down = nn.Sequential(
            ConvModule(channels, channels, 3, stride=2, activation=None),
            nn.AvgPool2d(3, stride=2, padding=1),
        )
        self.semantic_conv = nn.Sequential(ConvModule(channels, channels, 3, activation=None))
        self.semantic_dwconv = separable()
        self.conv = ConvModule(channels, channels, 3)

    def forward(self, detail: Tensor, semantic: Tensor) -> Tensor:
        """Detail (N, C, h, w) and semantic (N, C, h', w') -> (N, C, h, w)."""
        size = detail.shape[2:]
        gate = resize(self.semantic_conv(semantic), size, align_corners=self.align_corners)
        fine = self.detail_dwconv(detail) * gate.sigmoid()
        coarse = self.detail_down(detail) * self.semantic_dwconv(semantic).sigmoid()
        return self.conv(fine + resize(coarse, size, align_corners=self.align_corners))


class BiSeNetV2(nn.Module):
    """Images -> features at stride 8, and at 4, 8, 16 and 32; keys `detail.*`, `semantic.*`, `bga.*`.

    Args:
        bias: Whether the fusion's 1x1 convolutions have one: mmsegmentation.

    Attributes:
        channels: Channels of the outputs.
    """

    channels = (DETAIL_CHANNELS[-1], *SEMANTIC_CHANNELS)

    def __init__(self, *, bias: bool = True) -> None:
        super().__init__()
        self.detail = nn.ModuleDict({"detail_branch": detail_branch()})
        self.semantic = SemanticBranch()
        # The publishers build it so whatever the head's corner convention is.
        self.bga = GuidedAggregation(self.channels[0], align_corners=False, bias=bias)
        self.layouts = {"ssseg": in_sequence(self, flat=True)}

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """The fusion, and the semantic branch's maps for auxiliary heads.

        Args:
            images: (N, 3, H, W), normalised.
        """
        detail = images
        for stage in self.detail["detail_branch"].children():
            detail = stage(detail)
        *maps, embedded = self.semantic(images)
        return (self.bga(detail, embedded), *maps)


build = BiSeNetV2
