"""FCN (Long et al. 2015) as both publishers build it: 3x3 blocks on one map, then the classifier.

mmsegmentation 1.2.2, decode_heads/fcn_head.py: two blocks of 512, then a third on the input and their output together
(`conv_cat`), which the paper does not have. sssegmentation eb1878c1, segmentors/fcn/fcn.py: two blocks of 512, no third.
As auxiliary head one block on c3: 256 channels with mmsegmentation, 512 with sssegmentation; no `conv_cat`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import nn

from ..layers import Activation, ConvModule, Head, Natural, join_maps

if TYPE_CHECKING:
    from torch import Tensor


class FCNHead(Head):
    """Features -> scores (N, num_classes, h, w) at the stride of the map it reads.

    Args:
        in_channels: Channels of each feature map.
        num_classes: Channels of the scores.
        align_corners: Corner convention of the resizes where maps are joined.
        in_index: Which map is read.
        joined: Whether all maps are, at the finest's size and beside each other: HRNet's.
        channels: Channels of the blocks.
        num_convs: How many blocks; with none the classifier reads the map itself.
        kernel: Side of their kernels.
        dilation: Of their kernels (6 in mmsegmentation's D6 rows), not of `conv_cat`'s.
        concat_input: Whether a last block reads input and output together.
        activation: Of the blocks.
        dropout: Whether channels are dropped before the classifier; not where another head refines the scores.
        classifier_bias: Whether the classifier has one; CGNet's author gives it none.
    """

    def __init__(
        self,
        in_channels: tuple[int, ...],
        num_classes: int,
        *,
        align_corners: bool = False,
        in_index: Natural = -1,
        joined: bool = False,
        channels: int = 512,
        num_convs: Natural = 2,
        kernel: int = 3,
        dilation: int = 1,
        concat_input: bool = True,
        activation: Activation = "relu",
        dropout: bool = True,
        classifier_bias: bool = True,
    ) -> None:
        incoming = sum(in_channels) if joined else in_channels[in_index]
        super().__init__(
            channels if num_convs else incoming, num_classes, dropout=dropout, bias=classifier_bias
        )
        self.align_corners, self.in_index, self.joined = align_corners, in_index, joined
        self.kernel, self.dilation = kernel, dilation
        self.activation: Activation = activation
        self.convs = nn.Sequential(
            *(self.block(channels if number else incoming, channels) for number in range(num_convs))
        )
        self.conv_cat = (
            ConvModule(incoming + channels, channels, kernel, activation=activation) if concat_input else None
        )
        self.layouts = {"ssseg": sequential_rows(num_convs), "author": (("conv_seg", "classifier.0.conv"),)}

    def block(self, in_channels: int, channels: int) -> nn.Module:
        """(N, in_channels, h, w) -> (N, channels, h, w)."""
        return ConvModule(
            in_channels, channels, self.kernel, dilation=self.dilation, activation=self.activation
        )

    def fuse(self, features: tuple[Tensor, ...]) -> Tensor:
        """Feature maps (N, C_i, h_i, w_i) -> (N, channels, h, w) at the size of the one it reads."""
        x = join_maps(features, align_corners=self.align_corners) if self.joined else features[self.in_index]
        deep = self.deepen(x)
        return deep if self.conv_cat is None else self.conv_cat(torch.cat([x, deep], 1))

    def deepen(self, x: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, channels, h, w)."""
        return self.convs(x)


class BlockNames(NamedTuple):
    """What a block between two convolutions is called."""

    ours: str
    ssseg: str
    around: str
    """What sssegmentation's names of the convolutions before and after it end in."""


class AroundFCNHead(FCNHead):
    """FCN's head with a block of context between its two convolutions: NonLocal, DNL, GCNet and CCNet.

    Args:
        in_channels: Channels of each feature map.
        num_classes: Channels of the scores.
        block: (N, channels, h, w) to the same.
        names: Of the block.
        in_index: Which map is read.
        channels: Of all convolutions.
        activation: Theirs.
        recurrence: How often the block is run.
    """

    def __init__(
        self,
        in_channels: tuple[int, ...],
        num_classes: int,
        block: nn.Module,
        names: BlockNames,
        *,
        in_index: int,
        channels: int,
        activation: Activation,
        recurrence: int = 1,
    ) -> None:
        super().__init__(
            in_channels, num_classes, in_index=in_index, channels=channels, activation=activation
        )
        self.add_module(names.ours, block)
        self.block_name, self.recurrence = names.ours, recurrence
        self.layouts = {
            "ssseg": (
                ("convs.0", f"conv_before_{names.around}"),
                ("convs.1", f"conv_after_{names.around}"),
                (names.ours, names.ssseg),
                ("conv_cat", "decoder"),
                ("conv_seg", "decoder.4"),
            )
        }

    def deepen(self, x: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, channels, h, w)."""
        x = self.convs[0](x)
        for _ in range(self.recurrence):
            x = self.get_submodule(self.block_name)(x)
        return self.convs[1](x)


def sequential_rows(
    num_convs: int, ours: str = "convs", theirs: str = "decoder", classifier: str = "conv_seg"
) -> tuple[tuple[str, str], ...]:
    """A decoder of sssegmentation is one list: convolution, norm, activation of each block, dropout, classifier."""
    blocks = (
        (f"{ours}.{number}.{part}", f"{theirs}.{3 * number + place}")
        for number in range(num_convs)
        for place, part in enumerate(("conv", "bn"))
    )
    return (*blocks, (classifier, f"{theirs}.{3 * num_convs + 1}"))


build = FCNHead
