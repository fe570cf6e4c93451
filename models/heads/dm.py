"""DMNet (He et al. 2019): the image is filtered by kernels of several sizes that are made of it.

mmsegmentation 1.2.2, decode_heads/dm_head.py, and sssegmentation eb1878c1, segmentors/dmnet, agree bit for bit. A kernel is
the map's means over its grid, through a 1x1 convolution with a bias; the paper's 1x1 block behind each size is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import nn

from ..layers import Activation, Branches, ContextHead, ConvModule, Natural, activation_module

if TYPE_CHECKING:
    from torch import Tensor


class DynamicConvolution(nn.Module):
    """One size of kernel: each channel of each image has its own.

    Args:
        in_channels: Channels of the input.
        channels: Channels of the output.
        kernel: Side of the kernels, odd in every published model.
        activation: Of every block.
    """

    def __init__(self, in_channels: int, channels: int, kernel: int, activation: Activation) -> None:
        super().__init__()
        self.kernel = kernel
        self.filter_gen_conv = nn.Conv2d(in_channels, channels, 1)
        self.input_redu_conv = ConvModule(in_channels, channels, activation=activation)
        self.norm = nn.BatchNorm2d(channels)
        self.activate = activation_module(activation)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, h, w) -> (N, channels, h, w)."""
        kernels = self.filter_gen_conv(F.adaptive_avg_pool2d(x, self.kernel))  # (N, C, k, k)
        x = self.input_redu_conv(x)
        images, channels = x.shape[:2]
        # A padded map of its own, as both publishers make it, also for 1x1 kernels: training holds it.
        padded = F.pad(x.flatten(0, 1)[None], [self.kernel // 2] * 4)  # (1, N * C, h + k - 1, w + k - 1)
        filtered = F.conv2d(padded, kernels.flatten(0, 1)[:, None], groups=images * channels)
        return self.activate(self.norm(filtered.view_as(x)))


def build(
    in_channels: tuple[int, ...],
    num_classes: int,
    *,
    in_index: Natural = -1,
    channels: int = 512,
    filter_sizes: tuple[int, ...] = (1, 3, 5, 7),
    activation: Activation = "relu",
) -> ContextHead:
    """Features -> scores (N, num_classes, h, w) at the stride of the map it reads.

    Args:
        in_channels: Channels of each feature map.
        num_classes: Channels of the scores.
        in_index: Which map is read.
        channels: Channels of each size and of the fusion.
        filter_sizes: Sides of the kernels.
        activation: Of every block.
    """
    branches = Branches(
        DynamicConvolution(in_channels[in_index], channels, kernel, activation) for kernel in filter_sizes
    )
    return ContextHead(
        in_channels,
        num_classes,
        branches,
        "dcm_modules",
        in_index=in_index,
        channels=channels,
        activation=activation,
    )
