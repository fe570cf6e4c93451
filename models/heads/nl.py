"""NonLocal networks (Wang et al. 2018): every position of the map is given the mean of all, weighted by likeness.

mmsegmentation 1.2.2, decode_heads/nl_head.py on mmcv 2.1.0, cnn/bricks/non_local.py; sssegmentation eb1878c1,
segmentors/nonlocalnet. They agree bit for bit. The block stands between the two convolutions of an FCN head, of which the
paper, on video, says nothing; its scores are divided by the root of their channels, which the paper does not do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from ..layers import Activation, ConvModule, Natural, attend_maps
from .fcn import AroundFCNHead, BlockNames

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor


class NonLocalBlock(nn.Module):
    """Embedded-Gaussian attention and a residual; keys `theta` (query), `phi` (key), `g` (value), `conv_out`.

    Args:
        channels: Of input and output.
        reduction: Ratio of them to those of keys, queries and values.
    """

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        inner = max(channels // reduction, 1)
        self.g, self.theta, self.phi = (
            ConvModule(channels, inner, norm=False, activation=None) for _ in range(3)
        )
        self.conv_out = ConvModule(inner, channels, activation=None)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, C, h, w)."""
        return x + self.conv_out(self.context(x))

    def context(self, x: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, C / reduction, h, w)."""
        return attend_maps(self.theta(x), self.phi(x), self.g(x))


NAMES = BlockNames(ours="nl_block", ssseg="nl_block", around="nl")


def build_with(block: type[NonLocalBlock], names: BlockNames) -> Callable[..., AroundFCNHead]:
    """The `build` of a head around such a block."""

    def build(
        in_channels: tuple[int, ...],
        num_classes: int,
        *,
        in_index: Natural = -1,
        channels: int = 512,
        reduction: int = 2,
        activation: Activation = "relu",
    ) -> AroundFCNHead:
        """Features -> scores (N, num_classes, h, w) at the stride of the map it reads.

        Args:
            in_channels: Channels of each feature map.
            num_classes: Channels of the scores.
            in_index: Which map is read.
            channels: Of the head.
            reduction: As of `NonLocalBlock`.
            activation: Of the convolutions around the block.
        """
        return AroundFCNHead(
            in_channels,
            num_classes,
            block(channels, reduction),
            names,
            in_index=in_index,
            channels=channels,
            activation=activation,
        )

    return build


build = build_with(NonLocalBlock, NAMES)
