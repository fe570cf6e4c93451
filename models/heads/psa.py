"""PSANet (Zhao et al. 2018): every position predicts how much it hears of each other one, and how much each hears of it.

mmsegmentation 1.2.2, decode_heads/psa_head.py on mmcv 2.1.0, ops/psa_mask.py; sssegmentation eb1878c1, segmentors/psanet.
They agree bit for bit. Attention is predicted over offsets, a mask of `mask_size` around the position, of which the part
inside the image counts; positions beyond the mask have the score 0, not none. Both take a softmax over them and fuse by a
3x3 block, where the paper has neither. Here masks are laid out by views of one padded copy, without an operator of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from ..layers import Activation, ConvModule, Head, Natural, resize

if TYPE_CHECKING:
    from torch import Tensor

KEYS = {
    "ssseg": (
        *(
            (f"{name}.{ours}", f"{name}.{theirs}")
            for name in ("attention", "attention_p")
            for ours, theirs in (("0.conv", "0"), ("0.bn", "1"), ("1", "3"))
        ),
        ("bottleneck", "decoder"),
        ("conv_seg", "decoder.4"),
    )
}


def by_target(rows: Tensor) -> Tensor:
    """Of offsets makes targets.

    Args:
        rows: (..., P, 2 P); row p holds the offsets from -P to P - 1.

    Returns:
        (..., P, P); row p holds the targets from 0 to P - 1, each at the offset target - p.
    """
    size = rows.shape[-2]
    # A row further, a target stands one place further left: rows that are one shorter set them under each other.
    flat = rows.flatten(-2)[..., size : size + size * (2 * size - 1)]
    return flat.unflatten(-1, (size, 2 * size - 1))[..., :size]


def spread(masks: Tensor, mask_size: tuple[int, int]) -> Tensor:
    """Of each position's scores of offsets makes scores of all positions, 0 beyond the mask.

    Args:
        masks: (N, mask height * mask width, h, w); the offset 0 is at (side - 1) // 2 of each side.
        mask_size: Height and width of the mask.

    Returns:
        (N, h * w, h * w), of each position (rows) for each other one (columns).
    """
    height, width = masks.shape[2:]
    padding = []
    for side, size in ((mask_size[1], width), (mask_size[0], height)):
        before = size - (side - 1) // 2
        padding += [before, 2 * size - side - before]  # less than nothing cuts
    offsets = masks.unflatten(1, mask_size).permute(0, 3, 4, 1, 2)  # (N, h, w, mask height, mask width)
    offsets = F.pad(offsets, padding).transpose(2, 3)  # (N, h, 2 h, w, 2 w)
    columns = by_target(offsets).permute(0, 3, 4, 1, 2)  # (N, w, w', h, 2 h)
    scores = by_target(columns).permute(0, 3, 1, 4, 2)  # (N, h, w, h', w')
    return scores.flatten(3).flatten(1, 2)


class PSAHead(Head):
    """Features -> scores (N, num_classes, h, w) at the stride of the map it reads.

    Args:
        in_channels: Channels of each feature map.
        num_classes: Channels of the scores.
        in_index: Which map is read.
        channels: Of both branches and of the fusion.
        mask_size: Height and width of the mask.
        shrink_factor: How much smaller the map is that attends.
        activation: Of every block.
    """

    layouts = KEYS

    def __init__(
        self,
        in_channels: tuple[int, ...],
        num_classes: int,
        *,
        in_index: Natural = -1,
        channels: int = 512,
        mask_size: tuple[int, int] = (97, 97),
        shrink_factor: int = 2,
        activation: Activation = "relu",
    ) -> None:
        super().__init__(channels, num_classes)
        self.in_index, self.mask_size, self.shrink_factor = in_index, mask_size, shrink_factor
        incoming = in_channels[in_index]
        self.reduce, self.reduce_p = (ConvModule(incoming, channels, activation=activation) for _ in range(2))
        self.attention, self.attention_p = (
            nn.Sequential(
                ConvModule(channels, channels, activation=activation),
                nn.Conv2d(channels, mask_size[0] * mask_size[1], 1, bias=False),
            )
            for _ in range(2)
        )
        self.proj = ConvModule(2 * channels, incoming, activation=activation)
        # A 1x1 kernel inside a border of zeros, in both publishers' code: the map grows by two positions a side.
        self.proj.conv.padding = (1, 1)
        self.bottleneck = ConvModule(2 * incoming, channels, 3, activation=activation)

    def fuse(self, features: tuple[Tensor, ...]) -> Tensor:
        """Feature maps (N, C_i, h_i, w_i) -> (N, channels, h, w) at the size of the one it reads."""
        x = features[self.in_index]
        size, align_corners = self.shrunk(x.shape[2], x.shape[3])
        collecting, giving = (
            resize(reduce(x), size, align_corners=align_corners) for reduce in (self.reduce, self.reduce_p)
        )
        # Softmax over what a position hears of, and over those that hear of it.
        collected = collecting.flatten(2) @ spread(self.attention(collecting), self.mask_size).softmax(2).mT
        given = giving.flatten(2) @ spread(self.attention_p(giving), self.mask_size).softmax(1)
        both = torch.cat([collected, given], 1).unflatten(2, size)
        context = resize(self.proj(both), x.shape[2:], align_corners=align_corners)
        return self.bottleneck(torch.cat([x, context], 1))

    def shrunk(self, height: int, width: int) -> tuple[tuple[int, int], bool]:
        """Size of the map that attends, and the corner convention of the way there and back.

        The convention is that of the size, whatever the network's own is: where both sides are odd, corners stay.
        """
        factor = self.shrink_factor
        if height % 2 and width % 2:
            return ((height - 1) // factor + 1, (width - 1) // factor + 1), True
        return (height // factor, width // factor), False


build = PSAHead
