"""Feature pyramid network (Lin et al. 2017): every map in as many channels, with the sum of all coarser ones in it.

mmsegmentation 1.2.2, necks/fpn.py: plain convolutions with a bias, as in the paper. sssegmentation eb1878c1,
segmentors/base/fpn.py: norm and ReLU behind each. Maps are enlarged to the next one's size, whatever it is, by the nearest
value; a head's corner convention has no say.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import nn

from ..layers import ConvModule, add_top_down

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


class FPN(nn.Module):
    """Features -> as many maps, each of `channels` channels and of its own size.

    Args:
        in_channels: Channels of each feature map, fine to coarse.
        channels: Channels of every output.
        norm: Whether a norm and a ReLU stand behind each convolution: sssegmentation.

    Attributes:
        channels: Channels of the outputs.
    """

    layouts = MappingProxyType(
        {"ssseg": (("lateral_convs", "fpn_neck.lateral_convs"), ("fpn_convs", "fpn_neck.fpn_convs"))}
    )

    def __init__(self, in_channels: tuple[int, ...], *, channels: int = 256, norm: bool = False) -> None:
        super().__init__()

        def block(incoming: int, kernel: int) -> ConvModule:
            activation = "relu" if norm else None
            return ConvModule(incoming, channels, kernel, norm=norm, activation=activation, in_place=False)

        self.lateral_convs = nn.ModuleList(block(incoming, 1) for incoming in in_channels)
        self.fpn_convs = nn.ModuleList(block(channels, 3) for _ in in_channels)
        self.channels = (channels,) * len(in_channels)

    def forward(self, features: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Feature maps (N, C_i, h_i, w_i) -> (N, channels, h_i, w_i)."""
        laterals = [lateral(x) for lateral, x in zip(self.lateral_convs, features, strict=True)]
        sums = add_top_down(laterals, _nearest)
        return tuple(conv(x) for conv, x in zip(self.fpn_convs, sums, strict=True))


def _nearest(x: Tensor, size: Sequence[int]) -> Tensor:
    return F.interpolate(x, tuple(size), mode="nearest")


build = FPN
