"""HRNet V2 (Sun et al. 2019): branches of four resolutions beside each other, which exchange after every few blocks.

mmsegmentation 1.2.2, backbones/hrnet.py, gives the four maps and leaves it to the head to join them; sssegmentation eb1878c1,
modules/models/backbones/hrnet.py, gives one map of all of them at the finest's size. They agree bit for bit otherwise.
sssegmentation's `mcibi_version`, for its MCIBI and MCIBI++ on Cityscapes, has no ReLU between the stem's two convolutions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from ..layers import join_maps, resize
from .resnet import DilatedBasicBlock, DilatedBottleneck, stage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

STEM_CHANNELS = 64
FIRST_CHANNELS = 256
"""Of the first stage, four bottlenecks of one branch."""
MODULES = (1, 4, 3)
SMALL_MODULES = (1, 3, 2)
"""Exchanges of the stages of two, three and four branches; of W18-Small ("HR18s") with half as many blocks before each."""


def block(
    in_channels: int, out_channels: int, kernel: int = 3, *, stride: int = 1, relu: nn.Module | None = None
) -> nn.Sequential:
    """Convolution, norm and, where given, a ReLU; keys 0 and 1."""
    conv = nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels), *([relu] if relu else []))


def exchange(source: int, target: int, channels: Sequence[int]) -> nn.Module:
    """What brings a branch to the resolution of another, up to a rounded-up size.

    Args:
        source: Number of the branch it reads.
        target: Of the one it is for; a finer one is smaller.
        channels: Of all branches.
    """
    if source == target:
        return nn.Identity()
    if source > target:
        enlarge = nn.Upsample(scale_factor=2 ** (source - target), mode="bilinear", align_corners=False)
        return nn.Sequential(*block(channels[source], channels[target], 1), enlarge)
    before = (
        block(channels[source], channels[source], stride=2, relu=nn.ReLU())
        for _ in range(target - source - 1)
    )
    return nn.Sequential(*before, block(channels[source], channels[target], stride=2))


class HRModule(nn.Module):
    """Blocks on every branch, then a sum of all branches for each.

    Args:
        channels: Of the branches, fine to coarse.
        blocks: Of each branch.
    """

    def __init__(self, channels: Sequence[int], blocks: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            stage(DilatedBasicBlock, own, own, own, 1, [1] * blocks) for own in channels
        )
        numbers = range(len(channels))
        self.fuse_layers = nn.ModuleList(
            nn.ModuleList(exchange(source, target, channels) for source in numbers) for target in numbers
        )
        self.relu = nn.ReLU()

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Maps (N, C_i, h_i, w_i) -> the same."""
        maps = [branch(x) for branch, x in zip(self.branches, maps, strict=True)]
        sums = []
        for target, layers in enumerate(self.fuse_layers):
            size = maps[target].shape[2:]
            total = 0
            for source, (layer, x) in enumerate(zip(layers.children(), maps, strict=True)):
                moved = layer(x)
                if source > target:  # a second resize, for sizes that are no multiple of the coarser one's
                    moved = resize(moved, size, align_corners=False)
                total = total + moved
            sums.append(self.relu(total))
        return sums


class HRNet(nn.Module):
    """Stem and four stages; keys `conv1.*`, `layer1.*`, `transition1.*`, `stage2.*` .. `stage4.*`.

    Args:
        width: Channels of the finest branch; each coarser one has twice as many.
        small: Whether it is W18-Small, of fewer exchanges and half the blocks.
        joined: Whether the output is one map, all resized to the finest: sssegmentation.
        stem_relu: Whether a ReLU stands between the stem's convolutions; see the module.

    Attributes:
        channels: Channels of the outputs.
    """

    def __init__(
        self, *, width: int, small: bool = False, joined: bool = False, stem_relu: bool = True
    ) -> None:
        super().__init__()
        self.joined = joined
        blocks, modules = (2, SMALL_MODULES) if small else (4, MODULES)
        self.conv1 = nn.Conv2d(3, STEM_CHANNELS, 3, 2, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(STEM_CHANNELS)
        self.conv2 = nn.Conv2d(STEM_CHANNELS, STEM_CHANNELS, 3, 2, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(STEM_CHANNELS)
        self.relu = nn.ReLU(inplace=True)
        self.stem_relu = nn.ReLU(inplace=True) if stem_relu else nn.Identity()
        self.layer1 = stage(DilatedBottleneck, STEM_CHANNELS, STEM_CHANNELS, FIRST_CHANNELS, 1, [1] * blocks)
        widths = [width * 2**index for index in range(4)]
        self.transition1 = nn.ModuleList(
            [
                block(FIRST_CHANNELS, widths[0], relu=nn.ReLU(inplace=True)),
                nn.Sequential(block(FIRST_CHANNELS, widths[1], stride=2, relu=nn.ReLU(inplace=True))),
            ]
        )
        self.transition2, self.transition3 = (self._new_branch(widths[: number + 1]) for number in (2, 3))
        self.stage2, self.stage3, self.stage4 = (
            nn.Sequential(*(HRModule(widths[:branches], blocks) for _ in range(times)))
            for branches, times in zip((2, 3, 4), modules, strict=True)
        )
        self.channels = (sum(widths),) if joined else tuple(widths)

    @staticmethod
    def _new_branch(widths: Sequence[int]) -> nn.ModuleList:
        """The branches as they are, and one more made of the coarsest."""
        new = nn.Sequential(block(widths[-2], widths[-1], stride=2, relu=nn.ReLU(inplace=True)))
        return nn.ModuleList([*(nn.Identity() for _ in widths[:-1]), new])

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Maps at strides 4, 8, 16 and 32, or one at stride 4; sizes are rounded up.

        Args:
            images: (N, 3, H, W), normalised.
        """
        x = self.stem_relu(self.bn1(self.conv1(images)))
        x = self.layer1(self.relu(self.bn2(self.conv2(x))))
        maps = self.stage2([layer(x) for layer in self.transition1])
        for transition, following in ((self.transition2, self.stage3), (self.transition3, self.stage4)):
            *kept, new = transition
            maps = following([*(layer(x) for layer, x in zip(kept, maps, strict=True)), new(maps[-1])])
        return (join_maps(maps, align_corners=False),) if self.joined else tuple(maps)


build = HRNet
