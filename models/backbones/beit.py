"""BEiT (Bao et al. 2022) and MAE (He et al. 2022): ViT with a learned bias for each offset of two patches in every block.

mmsegmentation 1.2.2, backbones/beit.py and mae.py, and sssegmentation eb1878c1, backbones/beit.py and mae.py, agree bit for bit.
BEiT's queries and values have a bias and its keys none; it knows no positions but by offset. MAE's have all three, and positions
besides. Tables are resized only where a pretrained file is loaded, so that images have one size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from ..input_size import InputSizeError
from ..layers import Natural  # noqa: TC001  (`build` reads the annotations)
from ..transformer import VIT_MLP_RATIO, FeedForward, PatchEmbed, RelativeAttention, TransformerBlock, to_map

if TYPE_CHECKING:
    from torch import Tensor

NORM_EPS = 1e-6
PATCH = 16


class BEiTAttention(RelativeAttention):
    """Relative attention of patches and a class token, without a bias of keys; keys `q_bias` and `v_bias`."""

    def __init__(self, channels: int, heads: int, grid: int) -> None:
        super().__init__(channels, heads, (grid, grid), class_token=True, bias=False)
        self.q_bias, self.v_bias = (nn.Parameter(torch.zeros(channels)) for _ in range(2))

    def project(self, x: Tensor) -> Tensor:
        """As of `Attention`."""
        return F.linear(
            x, self.qkv.weight, torch.cat([self.q_bias, torch.zeros_like(self.q_bias), self.v_bias])
        )


class BEiT(nn.Module):
    """Keys `cls_token`, `patch_embed.*`, `layers.{n}.*` and, of MAE, `pos_embed`.

    Args:
        channels: Of tokens.
        depth: Number of blocks.
        heads: Of attention.
        outputs: Numbers of the blocks, from 0, behind which a map is given.
        grid: Side of an image, in patches of 16 pixels.
        mae: Whether it is MAE.

    Attributes:
        channels: Channels of the outputs.
    """

    def __init__(
        self,
        *,
        channels: int = 768,
        depth: int = 12,
        heads: int = 12,
        outputs: tuple[Natural, ...] = (3, 5, 7, 11),
        grid: int = 40,
        mae: bool = False,
    ) -> None:
        super().__init__()
        if max(outputs) >= depth:
            raise ValueError(f"no map behind block {max(outputs)} of {depth}, counted from 0")
        self.outputs, self.grid = outputs, grid
        self.channels = (channels,) * len(outputs)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, channels))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + grid**2, channels)) if mae else None
        self.patch_embed = PatchEmbed(3, channels, PATCH, norm_eps=None)
        attentions = (
            RelativeAttention(channels, heads, (grid, grid), class_token=True)
            if mae
            else BEiTAttention(channels, heads, grid)
            for _ in range(depth)
        )
        self.layers = nn.ModuleList(
            TransformerBlock(
                channels,
                attention,
                FeedForward(channels, VIT_MLP_RATIO * channels),
                norm_eps=NORM_EPS,
                norms="ln",
                scaled=True,
            )
            for attention in attentions
        )

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """(N, 3, 16 * grid, 16 * grid) -> maps (N, C, grid, grid).

        Raises:
            InputSizeError: Images of another size.
        """
        patches = self.patch_embed(images)
        size = patches.shape[1:3]
        if size != (self.grid, self.grid):
            side = self.grid * PATCH
            raise InputSizeError(
                f"expected images of {side}x{side} pixels, for which the biases of offsets were learned; found "
                f"{images.shape[2]}x{images.shape[3]}. Slide a window of that size over larger ones."
            )
        x = torch.cat([self.cls_token.expand(len(images), -1, -1), patches.flatten(1, 2)], 1)
        if self.pos_embed is not None:
            x = x + self.pos_embed
        maps = []
        for number, layer in enumerate(self.layers):
            x = layer(x)
            if number in self.outputs:
                maps.append(to_map(x[:, 1:], size))
        return tuple(maps)


build = BEiT
