"""ResNetV1c with output stride 8 (mmsegmentation's `ResNetV1c`, sssegmentation's `resnet*conv3x3stem`).

Source of every number: mmsegmentation 1.2.2, mmseg/models/backbones/resnet.py and utils/res_layer.py;
sssegmentation eb1878c1, modules/models/backbones/resnet.py. Under equal
weights the two publishers' features agree bit for bit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from torch import nn
from torchvision.models.resnet import Bottleneck

if TYPE_CHECKING:
    from torch import Tensor

EXPANSION = 4
"""Output channels of a bottleneck block over its width."""

STAGE_BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
"""Depth -> residual blocks in each of the four stages."""

STAGE_STRIDES = (1, 2, 1, 1)
STAGE_DILATIONS = (1, 1, 2, 4)


class BlockMaker(Protocol):
    """Makes one residual block, `first` being the one of a stage whose shortcut is a projection."""

    def __call__(self, in_channels: int, width: int, *, stride: int, dilation: int, first: bool) -> nn.Module:
        """A module (N, in_channels, h, w) -> (N, EXPANSION * width, ceil(h / stride), ceil(w / stride))."""
        ...


def bottleneck(in_channels: int, width: int, *, stride: int, dilation: int, first: bool) -> Bottleneck:
    """The block as torchvision has it: it, too, puts the stride on the 3x3 convolution ("pytorch" style)."""
    projection = None
    if first:
        out_channels = EXPANSION * width
        projection = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False), nn.BatchNorm2d(out_channels)
        )
    return Bottleneck(in_channels, width, stride, projection, dilation=dilation)


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
    block: BlockMaker, in_channels: int, width: int, *, blocks: int, stride: int, dilation: int
) -> nn.Sequential:
    """One stage; its first block strides, projects the shortcut and is dilated half as much as the rest.

    Half, because both publishers build with `contract_dilation=True`: layer3 dilates 1, 2, 2, ... and
    layer4 2, 4, 4.
    """
    first = block(in_channels, width, stride=stride, dilation=max(dilation // 2, 1), first=True)
    rest = (
        block(EXPANSION * width, width, stride=1, dilation=dilation, first=False) for _ in range(blocks - 1)
    )
    return nn.Sequential(first, *rest)


class ResNet(nn.Module):
    """Stem and four stages; keys `stem.*`, `layer1.*` .. `layer4.*`.

    Args:
        depth: 50 or 101, a key of `STAGE_BLOCKS`.
        base_channels: Width of the first stage's blocks; each later stage doubles it.
        stem_channels: Channels behind the stem.
        block: Maker of the residual blocks.

    Attributes:
        channels: Channels of the four outputs.
    """

    def __init__(
        self,
        depth: int,
        *,
        base_channels: int = 64,
        stem_channels: int = 64,
        block: BlockMaker = bottleneck,
    ) -> None:
        super().__init__()
        self.stem = deep_stem(stem_channels)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        widths = [base_channels * 2**index for index in range(4)]
        self.channels = tuple(EXPANSION * width for width in widths)
        in_channels = (stem_channels, *self.channels[:3])
        self.layer1, self.layer2, self.layer3, self.layer4 = (
            stage(block, channels, width, blocks=blocks, stride=stride, dilation=dilation)
            for channels, width, blocks, stride, dilation in zip(
                in_channels, widths, STAGE_BLOCKS[depth], STAGE_STRIDES, STAGE_DILATIONS, strict=True
            )
        )

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Features after each stage, at strides 4, 8, 8, 8; sizes are rounded up, never padded.

        Args:
            images: (N, 3, H, W), normalised.
        """
        c1 = self.layer1(self.maxpool(self.stem(images)))  # (N, 4B, ceil(H/4), ceil(W/4))
        c2 = self.layer2(c1)  # (N, 8B, ceil(H/8), ceil(W/8))
        c3 = self.layer3(c2)  # (N, 16B, same)
        c4 = self.layer4(c3)  # (N, 32B, same)
        return c1, c2, c3, c4
