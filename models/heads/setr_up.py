"""SETR's naive and PUP heads (Zheng et al. 2021): blocks on one map of ViT, each followed by an enlargement.

mmsegmentation 1.2.2, decode_heads/setr_up_head.py; sssegmentation eb1878c1, segmentors/setr/setrup.py. mmsegmentation normalises the
map within the head, sssegmentation before all heads. Naive is one 1x1 block and one step of four (sssegmentation's for ADE20K and
VOC: two of 3x3 and two steps), PUP four 3x3 blocks and steps of two; auxiliary heads are as naive or have two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from torch import nn

from ..layers import ConvModule, Head, Natural
from ..transformer import ChannelNorm

if TYPE_CHECKING:
    from torch import Tensor


class SETRUPHead(Head):
    """Features -> scores (N, num_classes, h, w), `scale ** num_convs` times as large as the map it reads.

    Args:
        in_channels: Channels of each feature map.
        num_classes: Channels of the scores.
        align_corners: Corner convention of the enlargements.
        in_index: Which map is read.
        channels: Of the blocks.
        num_convs: How many.
        kernel: Side of their kernels.
        scale: Of an enlargement.
        mode: Of an enlargement; "nearest" beside MCIBI's ViT.
        norm: Whether the map is normalised first: mmsegmentation.
        dropout: Whether channels are dropped before the classifier.
        listed_as: How sssegmentation calls a list of such heads.
    """

    def __init__(
        self,
        in_channels: tuple[int, ...],
        num_classes: int,
        *,
        align_corners: bool,
        in_index: Natural = -1,
        channels: int = 256,
        num_convs: int = 1,
        kernel: int = 3,
        scale: int = 4,
        mode: Literal["bilinear", "nearest"] = "bilinear",
        norm: bool = True,
        dropout: bool = False,
        listed_as: Literal["decoder", "decoders"] = "decoder",
    ) -> None:
        super().__init__(channels, num_classes, dropout=dropout)
        self.in_index = in_index
        incoming = in_channels[in_index]
        self.norm = ChannelNorm(incoming) if norm else nn.Identity()
        self.up_convs = nn.Sequential(
            *(
                nn.Sequential(
                    ConvModule(channels if number else incoming, channels, kernel),
                    nn.Upsample(
                        scale_factor=scale,
                        mode=mode,
                        align_corners=align_corners if mode == "bilinear" else None,
                    ),
                )
                for number in range(num_convs)
            )
        )
        steps = (
            (f"up_convs.{number}.0.{part}", f"{listed_as}.{4 * number + place}")
            for number in range(num_convs)
            for place, part in enumerate(("conv", "bn"))
        )
        self.layouts = {"ssseg": (*steps, ("conv_seg", f"{listed_as}.{4 * num_convs + 1}"))}

    def fuse(self, features: tuple[Tensor, ...]) -> Tensor:
        """Feature maps (N, C_i, h_i, w_i) -> the enlarged map (N, channels, ...)."""
        return self.up_convs(self.norm(features[self.in_index]))


build = SETRUPHead
