"""ResNeSt (Zhang et al. 2020) as both publishers build it: ResNetV1c with split attention, radix 2.

mmsegmentation 1.2.2, mmseg/models/backbones/resnest.py; sssegmentation eb1878c1, modules/models/backbones/resnest.py; they
agree bit for bit. The original implementation (zhanghang1989/ResNeSt) also puts a 3x3 average pool of stride 1 into the
first block of layer3 and layer4; neither publisher does, and their checkpoints expect its absence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from torch import nn

from .resnet import EXPANSION, BlockMaker, ResNet, Stages

if TYPE_CHECKING:
    from torch import Tensor

RADIX = 2
REDUCTION = 4
SMALLEST_HIDDEN = 32


class SplitAttention(nn.Module):
    """A 3x3 convolution into two splits, and their sum weighted per channel by a squeeze of both.

    Args:
        channels: Channels of input and output.
        dilation: Dilation of the convolution.
    """

    folds = ("conv", "bn0"), ("fc1", "bn1")

    def __init__(self, channels: int, *, dilation: int) -> None:
        super().__init__()
        splits = channels * RADIX
        hidden = max(splits // REDUCTION, SMALLEST_HIDDEN)
        self.conv = nn.Conv2d(
            channels, splits, 3, padding=dilation, dilation=dilation, groups=RADIX, bias=False
        )
        self.bn0 = nn.BatchNorm2d(splits)
        self.fc1 = nn.Conv2d(channels, hidden, 1)
        self.bn1 = nn.BatchNorm2d(hidden)
        self.fc2 = nn.Conv2d(hidden, splits, 1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, C, h, w)."""
        splits = self.relu(self.bn0(self.conv(x))).unflatten(1, (RADIX, -1))  # (N, R, C, h, w)
        squeezed = splits.sum(1).mean((2, 3), keepdim=True)  # (N, C, 1, 1)
        scores = self.fc2(self.relu(self.bn1(self.fc1(squeezed))))  # (N, R * C, 1, 1)
        weights = scores.unflatten(1, (RADIX, -1)).softmax(1)  # (N, R, C, 1, 1)
        return (weights * splits).sum(1)


def pooled_projection(in_channels: int, out_channels: int, stride: int) -> nn.Sequential:
    """Shortcut of a stage's first block: average pool (also at stride 1, where it is void), 1x1 conv, norm."""
    return nn.Sequential(
        nn.AvgPool2d(stride, stride, ceil_mode=True, count_include_pad=False),
        nn.Conv2d(in_channels, out_channels, 1, bias=False),
        nn.BatchNorm2d(out_channels),
    )


class SplitAttentionBottleneck(nn.Module):
    """1x1 conv, split attention, 1x1 conv; a stride is an average pool behind the split attention.

    Arguments as in `resnet.BlockMaker`. There is no `bn2`: the split attention holds the norms.
    """

    def __init__(self, in_channels: int, width: int, *, stride: int, dilation: int, project: bool) -> None:
        super().__init__()
        out_channels = EXPANSION * width
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = SplitAttention(width, dilation=dilation)
        self.pool = nn.AvgPool2d(3, stride, padding=1) if stride > 1 else nn.Identity()
        self.conv3 = nn.Conv2d(width, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = pooled_projection(in_channels, out_channels, stride) if project else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, h, w) -> (N, 4 * width, ceil(h / stride), ceil(w / stride))."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.pool(self.conv2(out))
        out = self.bn3(self.conv3(out))
        return self.relu(out + self.downsample(x))


class ResNeSt(ResNet):
    """Keys and outputs as `ResNet`'s.

    Args:
        depth: The one that was published.
        base_channels: Width of the first stage's blocks.
        stem_channels: Channels behind the stem; None for twice as many as `base_channels`.
        strides: Of the stages.
        dilations: Of the stages.
    """

    def __init__(
        self,
        *,
        depth: Literal[101],
        base_channels: int = 64,
        stem_channels: int | None = None,
        strides: Stages = (1, 2, 1, 1),
        dilations: Stages = (1, 1, 2, 4),
    ) -> None:
        super().__init__(
            depth=depth,
            base_channels=base_channels,
            stem_channels=stem_channels or 2 * base_channels,
            strides=strides,
            dilations=dilations,
        )

    def block_of(self, depth: int) -> tuple[BlockMaker, int]:  # noqa: ARG002  (the same for all)
        """Maker of the residual blocks, and the ratio of their output's channels to their width."""
        return SplitAttentionBottleneck, EXPANSION


build = ResNeSt
