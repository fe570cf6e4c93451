"""ResNet (He et al. 2016) with dilated last stages, as both publishers build it.

mmsegmentation 1.2.2, mmseg/models/backbones/resnet.py and utils/res_layer.py: `ResNetV1c` has three 3x3 convolutions for
the 7x7 one (He et al. 2019), plain `ResNet` ("R-50b") the 7x7 one. sssegmentation eb1878c1,
modules/models/backbones/resnet.py: `resnet*conv3x3stem`. Under equal weights the publishers' features agree bit for bit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

from torch import nn
from torchvision.models.resnet import Bottleneck

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

Depth = Literal[18, 50, 101, 152]
Stem = Literal["deep", "plain"]
Stages = tuple[int, int, int, int]

EXPANSION = 4
"""Output channels of a bottleneck block over its width."""

STAGE_BLOCKS = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
"""Depth -> residual blocks in each of the four stages."""


class BlockMaker(Protocol):
    """Makes one residual block."""

    def __call__(
        self, in_channels: int, width: int, *, stride: int, dilation: int, project: bool
    ) -> nn.Module:
        """A module (N, in_channels, h, w) -> (N, channels, ceil(h / stride), ceil(w / stride)).

        Args:
            in_channels: Channels of the input.
            width: Channels inside.
            stride: Of the block.
            dilation: Of its (first) 3x3 convolution.
            project: Whether the shortcut is a 1x1 convolution and a norm, named `downsample`.
        """
        ...


def projection(in_channels: int, out_channels: int, stride: int) -> nn.Sequential:
    """The shortcut of a block that changes channels or size."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False), nn.BatchNorm2d(out_channels)
    )


class DilatedBottleneck(Bottleneck):
    """The block as torchvision has it: it, too, puts the stride on the 3x3 convolution ("pytorch" style)."""

    def __init__(self, in_channels: int, width: int, *, stride: int, dilation: int, project: bool) -> None:
        shortcut = projection(in_channels, EXPANSION * width, stride) if project else None
        super().__init__(in_channels, width, stride, shortcut, dilation=dilation)


class DilatedBasicBlock(nn.Module):
    """Two 3x3 convolutions, of which the first alone strides and dilates (torchvision's refuses dilation)."""

    def __init__(self, in_channels: int, width: int, *, stride: int, dilation: int, project: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 3, stride, dilation, dilation, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = projection(in_channels, width, stride) if project else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, h, w) -> (N, width, ceil(h / stride), ceil(w / stride))."""
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(out + self.downsample(x))


def deep_stem(channels: int) -> nn.Sequential:
    """Three 3x3 convolutions instead of one 7x7, the first of stride 2; keys 0, 1, 3, 4, 6, 7.

    Args:
        channels: Channels of the last convolution; the first two have half as many.

    Returns:
        A module (N, 3, H, W) -> (N, channels, ceil(H / 2), ceil(W / 2)).
    """
    layers: list[nn.Module] = []
    in_channels = 3
    for out_channels, stride in ((channels // 2, 2), (channels // 2, 1), (channels, 1)):
        layers += [
            nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        ]
        in_channels = out_channels
    return nn.Sequential(*layers)


def stage(
    block: BlockMaker, in_channels: int, width: int, channels: int, stride: int, dilations: Sequence[int]
) -> nn.Sequential:
    """A block for each of `dilations`; the first strides, and projects its shortcut where it has to.

    Args:
        block: Maker of the blocks.
        in_channels: Channels of the input.
        width: Channels inside the blocks.
        channels: Channels of the output.
        stride: Of the stage.
        dilations: Of each block.
    """
    layers: list[nn.Module] = []
    for dilation in dilations:
        project = stride != 1 or in_channels != channels
        layers.append(block(in_channels, width, stride=stride, dilation=dilation, project=project))
        in_channels, stride = channels, 1
    return nn.Sequential(*layers)


def stage_dilations(depth: int, dilations: Sequence[int], multi_grid: Sequence[int]) -> list[list[int]]:
    """Of each block of each stage.

    A stage's first block has half of the rest's, for both publishers build with `contract_dilation=True`: layer3 has
    1, 2, 2, ... and layer4 2, 4, 4. A multi-grid replaces the last stage's dilations, it does not multiply them.
    """
    found = [
        [max(dilation // 2, 1), *[dilation] * (blocks - 1)]
        for dilation, blocks in zip(dilations, STAGE_BLOCKS[depth], strict=True)
    ]
    return [*found[:-1], list(multi_grid)] if multi_grid else found


class ResNet(nn.Module):
    """Stem and four stages; keys `stem.*` (or `conv1.*` and `bn1.*`), `layer1.*` .. `layer4.*`.

    Args:
        depth: A key of `STAGE_BLOCKS`.
        base_channels: Width of the first stage's blocks; each later stage doubles it.
        stem_channels: Channels behind the stem; None for as many as `base_channels`.
        stem: "deep" for three 3x3 convolutions (V1c), "plain" for one of 7x7.
        strides: Of the stages.
        dilations: Of the stages.
        multi_grid: Dilations of the last stage's blocks, in place of its own.

    Attributes:
        channels: Channels of the four outputs.
    """

    def __init__(
        self,
        *,
        depth: Depth,
        base_channels: int = 64,
        stem_channels: int | None = None,
        stem: Stem = "deep",
        strides: Stages = (1, 2, 1, 1),
        dilations: Stages = (1, 1, 2, 4),
        multi_grid: tuple[int, ...] = (),
    ) -> None:
        super().__init__()
        stem_channels = stem_channels or base_channels
        self.stem = deep_stem(stem_channels) if stem == "deep" else None
        if stem == "plain":
            self.conv1 = nn.Conv2d(3, stem_channels, 7, stride=2, padding=3, bias=False)
            self.bn1 = nn.BatchNorm2d(stem_channels)
            self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        block, expansion = self.block_of(depth)
        widths = [base_channels * 2**index for index in range(4)]
        self.channels = tuple(expansion * width for width in widths)
        in_channels = (stem_channels, *self.channels[:3])
        grids = stage_dilations(depth, dilations, multi_grid)
        self.layer1, self.layer2, self.layer3, self.layer4 = (
            stage(block, *numbers)
            for numbers in zip(in_channels, widths, self.channels, strides, grids, strict=True)
        )

    def block_of(self, depth: int) -> tuple[BlockMaker, int]:
        """Maker of the residual blocks, and the ratio of their output's channels to their width."""
        return (DilatedBasicBlock, 1) if depth < 50 else (DilatedBottleneck, EXPANSION)

    def begin(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, stem_channels, ceil(H / 2), ceil(W / 2))."""
        return self.relu(self.bn1(self.conv1(images))) if self.stem is None else self.stem(images)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Features after each stage, by default at strides 4, 8, 8, 8; sizes are rounded up, never padded.

        Args:
            images: (N, 3, H, W), normalised.
        """
        c1 = self.layer1(self.maxpool(self.begin(images)))  # (N, expansion * B, ceil(H/4), ceil(W/4))
        c2 = self.layer2(c1)  # twice as many channels, as in all that follow
        c3 = self.layer3(c2)
        c4 = self.layer4(c3)
        return c1, c2, c3, c4


build = ResNet
