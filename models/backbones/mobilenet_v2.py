"""MobileNetV2 (Sandler et al. 2018) with dilated last stages, as both publishers build it.

mmsegmentation 1.2.2, backbones/mobilenet_v2.py and utils/inverted_residual.py; sssegmentation eb1878c1,
modules/models/backbones/mobilenet.py; they agree bit for bit. What takes a stride's place is a dilation of the stage's first
block alone, and of the stages of the paper the last, a 1x1 convolution to 1280 channels, is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from ..layers import AnyActivation, ConvModule

if TYPE_CHECKING:
    from torch import Tensor

STAGES = ((1, 16, 1), (6, 24, 2), (6, 32, 3), (6, 64, 4), (6, 96, 3), (6, 160, 3), (6, 320, 1))
"""Expansion, channels and number of blocks of each."""
STEM_CHANNELS = 32
OUTPUTS = (1, 2, 4, 6)
"""Stages whose maps are the features."""

SevenStages = tuple[int, int, int, int, int, int, int]


class InvertedResidual(nn.Module):
    """A wide depthwise 3x3 convolution between two narrow maps, and a shortcut where these have the same form.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        expansion: Channels inside over those of the input; 1 for no convolution that widens.
        stride: Of the depthwise convolution.
        dilation: Of it.
        activation: Of all but the last; the paper's is ReLU6.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        expansion: int,
        stride: int,
        dilation: int = 1,
        activation: AnyActivation = "relu6",
    ) -> None:
        super().__init__()
        inside = in_channels * expansion
        widen = [ConvModule(in_channels, inside, activation=activation)] if expansion > 1 else []
        self.conv = nn.Sequential(
            *widen,
            ConvModule(
                inside, inside, 3, stride=stride, dilation=dilation, groups=inside, activation=activation
            ),
            ConvModule(inside, out_channels, activation=None),
        )
        self.has_shortcut = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, h, w) -> (N, out_channels, ceil(h / stride), ceil(w / stride))."""
        return x + self.conv(x) if self.has_shortcut else self.conv(x)


class MobileNetV2(nn.Module):
    """Stem and seven stages; keys `conv1.*`, `layer1.*` .. `layer7.*`.

    Args:
        strides: Of the stages.
        dilations: Of the stages' first blocks.

    Attributes:
        channels: Channels of the four outputs.
    """

    channels = tuple(STAGES[index][1] for index in OUTPUTS)

    def __init__(
        self,
        *,
        strides: SevenStages = (1, 2, 2, 1, 1, 1, 1),
        dilations: SevenStages = (1, 1, 1, 2, 2, 4, 4),
    ) -> None:
        super().__init__()
        self.conv1 = ConvModule(3, STEM_CHANNELS, 3, stride=2, activation="relu6")
        self.stages: list[nn.Sequential] = []
        in_channels = STEM_CHANNELS
        for (expansion, channels, blocks), stride, dilation in zip(STAGES, strides, dilations, strict=True):
            stage = nn.Sequential()
            for block in range(blocks):
                own = (stride, dilation) if block == 0 else (1, 1)
                stage.append(
                    InvertedResidual(
                        in_channels, channels, expansion=expansion, stride=own[0], dilation=own[1]
                    )
                )
                in_channels = channels
            self.stages.append(stage)
            self.add_module(f"layer{len(self.stages)}", stage)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Features after the second, third, fifth and last stage, by default at strides 4, 8, 8, 8.

        Args:
            images: (N, 3, H, W), normalised.
        """
        x = self.conv1(images)
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return tuple(features[index] for index in OUTPUTS)


build = MobileNetV2
