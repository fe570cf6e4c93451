"""MobileNetV3 (Howard et al. 2019) with dilated last stages, as both publishers build it.

mmsegmentation 1.2.2, backbones/mobilenet_v3.py and utils/{inverted_residual,se_layer}.py; sssegmentation eb1878c1,
modules/models/backbones/mobilenet.py; they agree bit for bit. Norms have an epsilon of 1e-3. Convolutions that stride are padded
as TensorFlow does, more on the right and below; the last stage keeps its width, which the paper halves for segmentation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import torch.nn.functional as F
from torch import nn

from ..layers import AnyActivation, ConvModule

if TYPE_CHECKING:
    from torch import Tensor

NORM_EPS = 1e-3
STEM_CHANNELS = 16
OUTPUT_STRIDE = 8
SQUEEZE = 4
"""Channels of a block over those inside its squeeze, before these are rounded up to a multiple of 8."""


class Row(NamedTuple):
    """A block of the paper's tables 1 and 2."""

    kernel: int
    inside: int
    channels: int
    squeezes: bool
    activation: AnyActivation
    stride: int


R, H = "relu", "hardswish"
ROWS: dict[str, tuple[Row, ...]] = {
    "small": (
        Row(3, 16, 16, True, R, 2),
        Row(3, 72, 24, False, R, 2),
        Row(3, 88, 24, False, R, 1),
        Row(5, 96, 40, True, H, 2),
        Row(5, 240, 40, True, H, 1),
        Row(5, 240, 40, True, H, 1),
        Row(5, 120, 48, True, H, 1),
        Row(5, 144, 48, True, H, 1),
        Row(5, 288, 96, True, H, 2),
        Row(5, 576, 96, True, H, 1),
        Row(5, 576, 96, True, H, 1),
    ),
    "large": (
        Row(3, 16, 16, False, R, 1),
        Row(3, 64, 24, False, R, 2),
        Row(3, 72, 24, False, R, 1),
        Row(5, 72, 40, True, R, 2),
        Row(5, 120, 40, True, R, 1),
        Row(5, 120, 40, True, R, 1),
        Row(3, 240, 80, False, H, 2),
        Row(3, 200, 80, False, H, 1),
        Row(3, 184, 80, False, H, 1),
        Row(3, 184, 80, False, H, 1),
        Row(3, 480, 112, True, H, 1),
        Row(3, 672, 112, True, H, 1),
        Row(5, 672, 160, True, H, 2),
        Row(5, 960, 160, True, H, 1),
        Row(5, 960, 160, True, H, 1),
    ),
}
LAST_CHANNELS = {"small": 576, "large": 960}
OUTPUTS = {"small": (0, 1, 12), "large": (1, 3, 16)}
"""Layers whose maps are the features, at strides 2, 4 and 8."""


class StridedConvModule(ConvModule):
    """A convolution of stride 2 as TensorFlow pads it: as many zeros as it needs, the odd one on the right and below."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, *, groups: int = 1, activation: AnyActivation
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel,
            stride=2,
            groups=groups,
            norm_eps=NORM_EPS,
            activation=activation,
        )
        self.conv.padding = (0, 0)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, h, w) -> (N, out_channels, ceil(h / 2), ceil(w / 2))."""
        kernel = self.conv.kernel_size[0]
        zeros = []
        for side in reversed(x.shape[2:]):
            total = kernel - (2 - side % 2)
            zeros += [total // 2, total - total // 2]
        return super().forward(F.pad(x, zeros))


class SqueezeExcitation(nn.Module):
    """Each channel weighed by what the mean of all says."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inside = -(-channels // (8 * SQUEEZE)) * 8
        self.conv1 = ConvModule(channels, inside, norm=False)
        self.conv2 = ConvModule(inside, channels, norm=False, activation="hardsigmoid")

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) -> the same."""
        return x * self.conv2(self.conv1(F.adaptive_avg_pool2d(x, 1)))


class InvertedResidual(nn.Module):
    """MobileNetV2's block with a squeeze behind the depthwise convolution.

    Args:
        in_channels: Channels of the input.
        row: Of the tables.
        stride: Of the depthwise convolution, in place of the table's.
        dilation: Of it, where it does not stride.
    """

    def __init__(self, in_channels: int, row: Row, *, stride: int, dilation: int) -> None:
        super().__init__()
        inside, activation = row.inside, row.activation
        self.expand_conv = (
            nn.Identity()
            if inside == in_channels
            else ConvModule(in_channels, inside, norm_eps=NORM_EPS, activation=activation)
        )
        self.depthwise_conv = (
            ConvModule(
                inside,
                inside,
                row.kernel,
                dilation=dilation,
                groups=inside,
                norm_eps=NORM_EPS,
                activation=activation,
            )
            if stride == 1
            else StridedConvModule(inside, inside, row.kernel, groups=inside, activation=activation)
        )
        self.se = SqueezeExcitation(inside) if row.squeezes else nn.Identity()
        self.linear_conv = ConvModule(inside, row.channels, norm_eps=NORM_EPS, activation=None)
        self.has_shortcut = stride == 1 and in_channels == row.channels

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, h, w) -> (N, channels, ceil(h / stride), ceil(w / stride))."""
        out = self.linear_conv(self.se(self.depthwise_conv(self.expand_conv(x))))
        return x + out if self.has_shortcut else out


class MobileNetV3(nn.Module):
    """Stem, blocks and a last 1x1 convolution; keys `layer0.*`, `layer1.*`, ...

    Args:
        size: Which of the paper's tables.

    Attributes:
        channels: Channels of the three outputs.
    """

    def __init__(self, *, size: Literal["small", "large"]) -> None:
        super().__init__()
        layers: list[nn.Module] = [StridedConvModule(3, STEM_CHANNELS, 3, activation="hardswish")]
        in_channels, stride, dilation = STEM_CHANNELS, 2, 1
        for row in ROWS[size]:
            own = row.stride if stride < OUTPUT_STRIDE else 1  # from here on what would stride dilates
            stride, dilation = stride * own, dilation * row.stride // own
            layers.append(InvertedResidual(in_channels, row, stride=own, dilation=dilation))
            in_channels = row.channels
        last = LAST_CHANNELS[size]
        layers.append(ConvModule(in_channels, last, norm_eps=NORM_EPS, activation="hardswish"))
        self.layers, self.outputs = layers, OUTPUTS[size]
        for number, layer in enumerate(layers):
            self.add_module(f"layer{number}", layer)
        widths = (STEM_CHANNELS, *(row.channels for row in ROWS[size]), last)
        self.channels = tuple(widths[index] for index in self.outputs)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Features at strides 2, 4 and 8.

        Args:
            images: (N, 3, H, W), normalised.
        """
        x, features = images, []
        for layer in self.layers:
            x = layer(x)
            features.append(x)
        return tuple(features[index] for index in self.outputs)


build = MobileNetV3
