"""Fast-SCNN (Poudel et al. 2019): three strided convolutions whose map is detail and, through MobileNetV2's blocks, context.

mmsegmentation 1.2.2, backbones/fast_scnn.py; sssegmentation eb1878c1, modules/models/backbones/fastscnn.py. They differ in the
strided separable convolutions, where sssegmentation has a ReLU between depthwise and 1x1 and mmsegmentation none. The paper's
depthwise convolution of the coarse map is dilated by the ratio of the resolutions; here it is not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from ..layers import ConvModule, DepthwiseSeparableConvModule, PyramidPooling, in_sequence, resize
from .mobilenet_v2 import InvertedResidual

if TYPE_CHECKING:
    from torch import Tensor

DETAIL_CHANNELS = (32, 48, 64)
GLOBAL_STAGES = ((64, 2), (96, 2), (128, 1))
"""Channels and stride of each stage of three blocks."""
BLOCKS, EXPANSION = 3, 6
OUT_CHANNELS = 128
POOL_SCALES = (1, 2, 3, 6)


class LearningToDownsample(nn.Sequential):
    """A convolution and two separable ones, each of stride 2."""

    def __init__(self, *, between: bool) -> None:
        super().__init__()
        first, second, third = DETAIL_CHANNELS
        self.conv = ConvModule(3, first, 3, stride=2)
        self.dsconv1 = DepthwiseSeparableConvModule(first, second, stride=2, between=between)
        self.dsconv2 = DepthwiseSeparableConvModule(second, third, stride=2, between=between)


class GlobalFeatures(nn.Module):
    """Three stages of MobileNetV2's blocks and PSPNet's pyramid with its fusion."""

    def __init__(self, *, align_corners: bool) -> None:
        super().__init__()
        incoming = DETAIL_CHANNELS[-1]
        self.stages = []
        for number, (channels, stride) in enumerate(GLOBAL_STAGES, 1):
            stage = nn.Sequential()
            for block in range(BLOCKS):
                stage.append(
                    InvertedResidual(
                        incoming,
                        channels,
                        expansion=EXPANSION,
                        stride=1 if block else stride,
                        activation="relu",
                    )
                )
                incoming = channels
            self.stages.append(stage)
            self.add_module(f"bottleneck{number}", stage)
        level = incoming // len(POOL_SCALES)
        self.ppm = PyramidPooling(incoming, level, POOL_SCALES, align_corners=align_corners)
        self.out = ConvModule(2 * incoming, OUT_CHANNELS, 3)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, OUT_CHANNELS, ceil(h / 4), ceil(w / 4))."""
        for stage in self.stages:
            x = stage(x)
        return self.out(torch.cat([x, *self.ppm(x)], 1))


class FeatureFusion(nn.Module):
    """The coarse map, enlarged, through a depthwise and a 1x1 block, added to the fine one through a 1x1 block."""

    def __init__(self, fine_channels: int, coarse_channels: int, *, align_corners: bool) -> None:
        super().__init__()
        self.align_corners = align_corners
        self.dwconv = ConvModule(coarse_channels, OUT_CHANNELS, 3, groups=OUT_CHANNELS)
        self.conv_lower_res = ConvModule(OUT_CHANNELS, OUT_CHANNELS, activation=None)
        self.conv_higher_res = ConvModule(fine_channels, OUT_CHANNELS, activation=None)

    def forward(self, fine: Tensor, coarse: Tensor) -> Tensor:
        """Fine (N, C, h, w), coarse (N, C', h', w') -> (N, OUT_CHANNELS, h, w)."""
        coarse = resize(coarse, fine.shape[2:], align_corners=self.align_corners)
        coarse = self.conv_lower_res(self.dwconv(coarse))
        return F.relu(self.conv_higher_res(fine) + coarse, inplace=True)


class FastSCNN(nn.Module):
    """Images -> features at strides 8, 32 and 8; keys `learning_to_downsample.*`, `global_feature_extractor.*`, `feature_fusion.*`.

    Args:
        align_corners: Corner convention of every resize.
        between: Whether the strided separable convolutions have a ReLU inside: sssegmentation.

    Attributes:
        channels: Channels of the outputs.
    """

    channels = (DETAIL_CHANNELS[-1], OUT_CHANNELS, OUT_CHANNELS)

    def __init__(self, *, align_corners: bool, between: bool = False) -> None:
        super().__init__()
        fine, coarse, _ = self.channels
        self.learning_to_downsample = LearningToDownsample(between=between)
        self.global_feature_extractor = GlobalFeatures(align_corners=align_corners)
        self.feature_fusion = FeatureFusion(fine, coarse, align_corners=align_corners)
        # MobileNetV2's blocks have names, not numbers, in sssegmentation too.
        self.layouts = {
            "ssseg": tuple(row for row in in_sequence(self, flat=True) if ".bottleneck" not in row[0])
        }

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Detail and context for auxiliary heads, and their fusion.

        Args:
            images: (N, 3, H, W), normalised.
        """
        fine = self.learning_to_downsample(images)
        coarse = self.global_feature_extractor(fine)
        return fine, coarse, self.feature_fusion(fine, coarse)


build = FastSCNN
