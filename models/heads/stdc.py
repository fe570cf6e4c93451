"""STDC's detail head (Fan et al. 2021): where boundaries are, learnt from the finest map in training alone.

mmsegmentation 1.2.2, decode_heads/stdc_head.py: FCN's head of two classes, boundary or not. The kernels that make boundaries of labels
are in published files: a Laplacian, and the weights of the three resolutions at which it is taken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from ..layers import Natural  # noqa: TC001  (`build_model` reads the annotations)
from .fcn import FCNHead

if TYPE_CHECKING:
    from torch import Tensor

CLASSES = 2
WEIGHTS = (0.6, 0.3, 0.1)
"""Of the boundaries at full, half and quarter resolution."""


class STDCHead(FCNHead):
    """Features -> scores (N, 2, h, w) at the stride of the map it reads.

    Args:
        in_channels: Channels of each feature map.
        in_index: Which map is read.
        channels: Channels of the blocks.
        num_convs: How many blocks.
    """

    laplacian_kernel: Tensor

    def __init__(
        self,
        in_channels: tuple[int, ...],
        *,
        in_index: Natural = 0,
        channels: int = 64,
        num_convs: int = 1,
    ) -> None:
        super().__init__(
            in_channels,
            CLASSES,
            in_index=in_index,
            channels=channels,
            num_convs=num_convs,
            concat_input=False,
        )
        laplacian = torch.full((1, 1, 3, 3), -1.0)
        laplacian[0, 0, 1, 1] = 8.0
        self.register_buffer("laplacian_kernel", laplacian)
        self.fusion_kernel = nn.Parameter(torch.tensor(WEIGHTS).view(1, 3, 1, 1), requires_grad=False)


build = STDCHead
