"""DDRNet (Hong et al. 2021): a branch at stride 8 and one to stride 64 that give each other their maps, and a pyramid of means.

mmsegmentation 1.2.2, backbones/ddrnet.py and utils/{basic_block,ppm}.py. It resizes to an eighth of the image rounded down, where the
maps are an eighth rounded up: images whose sides are no multiples of 8 fail there. Here the map's own size is taken, which is
the same wherever the publisher's code runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from ..layers import ConvModule, NormFirstConv, resize
from .resnet import projection

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

EXPANSION = 2
"""Output channels of a bottleneck over its width."""
POOLS = ((5, 2), (9, 4), (17, 8))
"""Kernel and stride of the pyramid's pools, which are padded by the stride."""
SCALES = len(POOLS) + 2
"""With the map itself and the mean over all of it."""


class BasicBlock(nn.Module):
    """Two 3x3 blocks and a shortcut.

    Args:
        in_channels: Channels of the input.
        channels: Of the output.
        stride: Of the first block.
        shortcut: Brings the input to the output's form; None for as it is.
        ends_in_relu: Whether a ReLU stands behind the sum.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int = 1,
        shortcut: nn.Module | None = None,
        *,
        ends_in_relu: bool = True,
    ) -> None:
        super().__init__()
        self.conv1 = ConvModule(in_channels, channels, 3, stride=stride)
        self.conv2 = ConvModule(channels, channels, 3, activation=None)
        self.downsample = shortcut or nn.Identity()
        self.act = nn.ReLU(inplace=True) if ends_in_relu else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, h, w) -> (N, channels, ceil(h / stride), ceil(w / stride))."""
        return self.act(self.conv2(self.conv1(x)) + self.downsample(x))


class Bottleneck(nn.Module):
    """A 3x3 block between two of 1x1, of which the last doubles the width, and a shortcut; no ReLU behind the sum."""

    def __init__(
        self, in_channels: int, channels: int, stride: int = 1, shortcut: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.conv1 = ConvModule(in_channels, channels)
        self.conv2 = ConvModule(channels, channels, 3, stride=stride)
        self.conv3 = ConvModule(channels, EXPANSION * channels, activation=None)
        self.downsample = shortcut or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, h, w) -> (N, 2 * channels, ceil(h / stride), ceil(w / stride))."""
        return self.conv3(self.conv2(self.conv1(x))) + self.downsample(x)


def basic_stage(
    in_channels: int,
    channels: int,
    blocks: int,
    stride: int = 1,
    project: Callable[[int, int, int], nn.Module] = projection,
) -> nn.Sequential:
    """Basic blocks, the last without a ReLU behind its sum unless it is the only one.

    Args:
        in_channels: Channels of the input.
        channels: Of the output.
        blocks: How many.
        stride: Of the first.
        project: From two numbers of channels and a stride to the first one's shortcut, where it needs one.
    """
    shortcut = project(in_channels, channels, stride) if stride > 1 or in_channels != channels else None
    first = BasicBlock(in_channels, channels, stride, shortcut)
    others = (BasicBlock(channels, channels, ends_in_relu=number < blocks - 1) for number in range(1, blocks))
    return nn.Sequential(first, *others)


def bottleneck_stage(
    in_channels: int,
    channels: int,
    blocks: int = 1,
    stride: int = 1,
    project: Callable[[int, int, int], nn.Module] = projection,
) -> nn.Sequential:
    """Bottlenecks; as of `basic_stage`."""
    outgoing = EXPANSION * channels
    shortcut = project(in_channels, outgoing, stride) if stride > 1 or in_channels != outgoing else None
    others = (Bottleneck(outgoing, channels) for _ in range(1, blocks))
    return nn.Sequential(Bottleneck(in_channels, channels, stride, shortcut), *others)


def stem(
    channels: int, blocks: int, project: Callable[[int, int, int], nn.Module] = projection
) -> nn.Sequential:
    """Two strided blocks and two stages of basic blocks: (N, 3, H, W) -> (N, 2 * channels, H / 8, W / 8), rounded up."""
    return nn.Sequential(
        ConvModule(3, channels, 3, stride=2),
        ConvModule(channels, channels, 3, stride=2),
        basic_stage(channels, channels, blocks),
        nn.ReLU(),
        basic_stage(channels, 2 * channels, blocks, 2, project),
        nn.ReLU(),
    )


class PyramidOfPools(nn.Module):
    """The map and its means over growing squares, each with those before it in it (DAPPM).

    Args:
        in_channels: Channels of the input.
        inside: Of each level.
        channels: Of the output.
        parallel: Whether each mean joins the map alone, all passing one grouped convolution: PIDNet-S and -M (PAPPM).
    """

    def __init__(self, in_channels: int, inside: int, channels: int, *, parallel: bool = False) -> None:
        super().__init__()
        pools = [
            *(nn.AvgPool2d(kernel, stride, stride) for kernel, stride in POOLS),
            nn.AdaptiveAvgPool2d(1),
        ]
        levels = [nn.Sequential(pool, NormFirstConv(in_channels, inside)) for pool in pools]
        self.scales = nn.ModuleList([NormFirstConv(in_channels, inside), *levels])
        self.parallel = parallel
        self.processes = (
            NormFirstConv(len(pools) * inside, len(pools) * inside, 3, groups=len(pools))
            if parallel
            else nn.ModuleList(NormFirstConv(inside, inside, 3) for _ in pools)
        )
        self.compression = NormFirstConv(SCALES * inside, channels)
        self.shortcut = NormFirstConv(in_channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, h, w) -> (N, channels, h, w)."""
        itself, *means = (scale(x) for scale in self.scales)
        means = [resize(mean, x.shape[2:], align_corners=False) for mean in means]
        if self.parallel:
            levels = [itself, self.processes(torch.cat([mean + itself for mean in means], 1))]
        else:
            levels = [itself]
            for process, mean in zip(self.processes.children(), means, strict=True):
                levels.append(process(mean + levels[-1]))
        return self.compression(torch.cat(levels, 1)) + self.shortcut(x)


class DDRNet(nn.Module):
    """Images -> two features at stride 8; keys `stem.*`, `context_branch_layers.*`, `spatial_branch_layers.*`, `spp.*`, ...

    Args:
        channels: Width: 32 for DDRNet-23-slim, 64 for DDRNet-23.
        ppm_channels: Channels of each level of the pyramid.

    Attributes:
        channels: Channels of the outputs.
    """

    def __init__(self, *, channels: int, ppm_channels: int = 128) -> None:
        super().__init__()
        double, wide, wider = 2 * channels, 4 * channels, 8 * channels
        self.channels = (double, wide)
        self.stem = stem(channels, 2)
        self.context_branch_layers = nn.ModuleList(
            [
                basic_stage(double, wide, 2, 2),
                basic_stage(wide, wider, 2, 2),
                bottleneck_stage(wider, wider, stride=2),
            ]
        )
        self.compression_1 = ConvModule(wide, double, activation=None)
        self.down_1 = ConvModule(double, wide, 3, stride=2, activation=None)
        self.compression_2 = ConvModule(wider, double, activation=None)
        self.down_2 = nn.Sequential(
            ConvModule(double, wide, 3, stride=2), ConvModule(wide, wider, 3, stride=2, activation=None)
        )
        self.spatial_branch_layers = nn.ModuleList(
            [
                basic_stage(double, double, 2),
                basic_stage(double, double, 2),
                bottleneck_stage(double, double),
            ]
        )
        self.spp = PyramidOfPools(2 * wider, ppm_channels, wide)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The spatial branch after the first exchange, for an auxiliary head, and the sum of both branches.

        Args:
            images: (N, 3, H, W), normalised.
        """
        context = spatial = self.stem(images)
        features = []
        exchanges = ((self.compression_1, self.down_1), (self.compression_2, self.down_2))
        *stages, last = zip(self.context_branch_layers, self.spatial_branch_layers, strict=True)
        for (deepen, refine), (compress, down) in zip(stages, exchanges, strict=True):
            context, spatial = deepen(context), refine(spatial)
            given = resize(compress(F.relu(context)), spatial.shape[2:], align_corners=False)
            context, spatial = context + down(F.relu(spatial)), spatial + given
            features.append(spatial)
            context, spatial = F.relu(context), F.relu(spatial)
        context, spatial = (layer(x) for layer, x in zip(last, (context, spatial), strict=True))
        return features[0], spatial + resize(self.spp(context), spatial.shape[2:], align_corners=False)


build = DDRNet
