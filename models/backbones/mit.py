"""MiT (SegFormer, Xie et al. 2021): four stages of attention to a reduced map, with a convolution in the feed-forward layers.

mmsegmentation 1.2.2, backbones/mit.py, and sssegmentation eb1878c1, backbones/mit.py, agree bit for bit. Patches overlap, so
no size is padded; of a map that the reduction does not divide, the rest at the border is not asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from ..input_size import require_sides
from ..transformer import (
    PatchEmbed,
    ReducedAttention,
    TransformerBlock,
    channels_first,
    channels_last,
    least_side,
)

if TYPE_CHECKING:
    from torch import Tensor

NORM_EPS = 1e-6
PATCHES, STRIDES = (7, 3, 3, 3), (4, 2, 2, 2)
MLP_RATIO = 4


class MixFFN(nn.Module):
    """Two 1x1 convolutions with a depthwise 3x3 one and GELU between; keys `layers.0`, `layers.1`, `layers.4`.

    Args:
        channels: Of the map.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = MLP_RATIO * channels
        self.layers = nn.Sequential(
            nn.Conv2d(channels, hidden, 1),
            nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden),
            nn.GELU(),
            nn.Identity(),  # where the publishers' dropout of rate 0 stands
            nn.Conv2d(hidden, channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, h, w, C) -> the same."""
        return channels_last(self.layers(channels_first(x)))


class MixVisionTransformer(nn.Module):
    """Keys `layers.{stage}.0.*` (patches), `layers.{stage}.1.{block}.*`, `layers.{stage}.2.*` (norm).

    Args:
        channels: Of a head of attention: 32 in B0, else 64.
        depths: Blocks of the stages.
        heads: Of the stages; each has as many times `channels`.
        reductions: Of the map that is asked, of the stages.

    Attributes:
        channels: Channels of the four outputs.
    """

    def __init__(
        self,
        *,
        channels: int = 64,
        depths: tuple[int, int, int, int] = (3, 4, 6, 3),
        heads: tuple[int, int, int, int] = (1, 2, 5, 8),
        reductions: tuple[int, int, int, int] = (8, 4, 2, 1),
    ) -> None:
        super().__init__()
        self.channels = tuple(channels * number for number in heads)
        self.smallest = least_side(reductions)
        self.layers = nn.ModuleList()
        incoming = 3
        for stage, width in enumerate(self.channels):
            patches = PatchEmbed(
                incoming, width, PATCHES[stage], STRIDES[stage], overlap=True, norm_eps=NORM_EPS
            )
            blocks = nn.Sequential(
                *(block(width, heads[stage], reductions[stage]) for _ in range(depths[stage]))
            )
            self.layers.append(nn.Sequential(patches, blocks, nn.LayerNorm(width, NORM_EPS)))
            incoming = width

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """(N, 3, H, W) -> maps at strides 4, 8, 16, 32; sizes are rounded up.

        Raises:
            InputSizeError: The images are too small.
        """
        require_sides(images.shape[2:], self.smallest, "a position of each map that attention asks")
        maps, x = [], images
        for layer in self.layers:
            x = channels_first(layer(x)).contiguous()
            maps.append(x)
        return tuple(maps)


def block(channels: int, heads: int, reduction: int) -> TransformerBlock:
    """One block of a stage."""
    attention = ReducedAttention(channels, heads, reduction, NORM_EPS)
    return TransformerBlock(channels, attention, MixFFN(channels), norm_eps=NORM_EPS)


build = MixVisionTransformer
