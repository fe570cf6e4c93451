"""ANN, asymmetric non-local networks (Zhu et al. 2019): the map asks a pyramid of a few means, of c3 and then of itself.

mmsegmentation 1.2.2, decode_heads/ann_head.py; sssegmentation eb1878c1, segmentors/annnet, whose values and outputs are
projected without biases, and which drops channels once, before the 3x3 block. The paper's pyramid has sides 1, 3, 6 and 8 as
both have; the scores are scaled by 1 / sqrt(K), which the paper's are not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from ..layers import DROPOUT, Activation, ConvModule, Head, Natural, attend_maps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

KEYS = {"ssseg": (("fusion", "afn_block"), ("context", "apn_block"), ("conv_seg", "decoder.1"))}


class PyramidAttention(nn.Module):
    """Every position of one map asks the means of another over squares of several sizes.

    Args:
        query_channels: Channels of the asking map, and of the output.
        source_channels: Channels of the asked one.
        project_channels: Channels of keys, queries and values.
        pool_scales: Numbers of squares along a side.
        share: Whether keys and queries have one projection; files name it twice.
        bias: Whether values and output are projected with one: mmsegmentation.
        activation: Of the projections of keys and queries.
    """

    def __init__(
        self,
        query_channels: int,
        source_channels: int,
        project_channels: int,
        *,
        pool_scales: Sequence[int],
        share: bool,
        bias: bool,
        activation: Activation,
    ) -> None:
        super().__init__()
        self.pool_scales = tuple(pool_scales)
        self.key_project = ConvModule(source_channels, project_channels, activation=activation)
        self.query_project = (
            self.key_project if share else ConvModule(query_channels, project_channels, activation=activation)
        )
        self.value_project = nn.Conv2d(source_channels, project_channels, 1, bias=bias)
        self.out_project = nn.Conv2d(project_channels, query_channels, 1, bias=bias)

    def forward(self, features: Tensor, source: Tensor) -> Tensor:
        """Features (N, C, h, w) ask source (N, S, h', w') -> context (N, C, h, w)."""
        key, value = self.pool(self.key_project(source)), self.pool(self.value_project(source))
        return self.out_project(attend_maps(self.query_project(features), key, value))

    def pool(self, x: Tensor) -> Tensor:
        """(N, K, h, w) -> the means of all squares of all sizes in a row, (N, K, S)."""
        return torch.cat([F.adaptive_avg_pool2d(x, scale).flatten(2) for scale in self.pool_scales], 2)


class PyramidBlock(nn.Module):
    """The map and its context through a 1x1 block; the context is that of one attention, as in every published model.

    Args:
        query_channels: As of `PyramidAttention`.
        source_channels: Likewise.
        project_channels: Likewise.
        out_activation: Behind the 1x1 block; None for none.
        **numbers: The others of `PyramidAttention`.
    """

    def __init__(
        self,
        query_channels: int,
        source_channels: int,
        project_channels: int,
        *,
        out_activation: Activation | None,
        pool_scales: Sequence[int],
        share: bool,
        bias: bool,
        activation: Activation,
    ) -> None:
        super().__init__()
        self.stages = nn.ModuleList(
            [
                PyramidAttention(
                    query_channels,
                    source_channels,
                    project_channels,
                    pool_scales=pool_scales,
                    share=share,
                    bias=bias,
                    activation=activation,
                )
            ]
        )
        self.bottleneck = ConvModule(2 * query_channels, query_channels, activation=out_activation)

    def forward(self, features: Tensor, source: Tensor) -> Tensor:
        """Features (N, C, h, w) ask source (N, S, h', w') -> (N, C, h, w)."""
        return self.bottleneck(torch.cat([self.stages[0](features, source), features], 1))


class ANNHead(Head):
    """Features -> scores (N, num_classes, h, w) at the stride of the higher map it reads.

    Args:
        in_channels: Channels of each feature map.
        num_classes: Channels of the scores.
        in_index: Which maps are read, the lower one first.
        channels: Channels behind the 3x3 block.
        project_channels: As of `PyramidAttention`.
        key_pool_scales: Its `pool_scales`.
        bias: Likewise.
        activation: Of every block.
    """

    layouts = KEYS

    def __init__(
        self,
        in_channels: tuple[int, ...],
        num_classes: int,
        *,
        in_index: tuple[Natural, Natural] = (-2, -1),
        channels: int = 512,
        project_channels: int = 256,
        key_pool_scales: tuple[int, ...] = (1, 3, 6, 8),
        bias: bool = True,
        activation: Activation = "relu",
    ) -> None:
        super().__init__(channels, num_classes)
        self.in_index = in_index
        low, high = (in_channels[index] for index in in_index)

        def block(query: int, source: int, *, share: bool) -> PyramidBlock:
            return PyramidBlock(
                query,
                source,
                project_channels,
                out_activation=activation if share else None,  # none behind the fusion of both maps
                pool_scales=key_pool_scales,
                share=share,
                bias=bias,
                activation=activation,
            )

        self.fusion = block(high, low, share=False)
        self.fusion_dropout = nn.Dropout2d(DROPOUT)
        self.bottleneck = ConvModule(high, channels, 3, activation=activation)
        self.context = block(channels, channels, share=True)

    def fuse(self, features: tuple[Tensor, ...]) -> Tensor:
        """Feature maps (N, C_i, h_i, w_i) -> (N, channels, h, w) at the size of the higher map."""
        low, high = (features[index] for index in self.in_index)
        x = self.bottleneck(self.fusion_dropout(self.fusion(high, low)))
        return self.context(x, x)


build = ANNHead
