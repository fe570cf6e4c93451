"""ViT and DeiT (Dosovitskiy et al. 2021, Touvron et al. 2021): patches of one size as tokens through all blocks.

mmsegmentation 1.2.2, backbones/vit.py, and sssegmentation eb1878c1, backbones/vit.py: the same but for a bias of the patches'
convolution, which sssegmentation has. DeiT's token of distillation is in neither. Positions are learned on one grid and resized
to an image's; zeros below and on the right complete its last patches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from torch import nn

from ..layers import Natural  # noqa: TC001  (`build` reads the annotations)
from ..transformer import PatchEmbed, QuickGELU, resize_positions, to_map, vit_block

if TYPE_CHECKING:
    from torch import Tensor


class VisionTransformer(nn.Module):
    """Keys `cls_token`, `pos_embed`, `patch_embed.*`, `layers.{n}.*`, `ln1.*` (the final norm).

    Args:
        channels: Of tokens.
        depth: Number of blocks.
        heads: Of attention.
        outputs: Numbers of the blocks, from 0, behind which a map is given.
        grid: Side, in patches, of the square on which positions were learned.
        resize: Of positions.
        class_token: Whether blocks see the class token; it is in the file anyway (SETR-MLA).
        class_outputs: Whether the class token behind each of `outputs` is given too, as a map of one position (DPT).
        final_norm: Whether a norm stands behind the last block; maps of earlier ones have none.
        patch_bias: Of the patches' convolution: sssegmentation.
        norm_eps: Epsilon of every norm; 1e-5 in DPT.
        patch: Side of a patch, in pixels.
        clip: Whether it is CLIP's: its own GELU, a norm before the first block and a map of what comes out of it, the first, and
            no part of a patch.

    Attributes:
        channels: Channels of the outputs.
    """

    def __init__(
        self,
        *,
        channels: int = 768,
        depth: int = 12,
        heads: int = 12,
        outputs: tuple[Natural, ...] = (2, 5, 8, 11),
        grid: int = 32,
        resize: Literal["bicubic", "bilinear"] = "bicubic",
        class_token: bool = True,
        class_outputs: bool = False,
        final_norm: bool = False,
        patch_bias: bool = False,
        norm_eps: float = 1e-6,
        patch: int = 16,
        clip: bool = False,
    ) -> None:
        super().__init__()
        if max(outputs) >= depth:
            raise ValueError(f"no map behind block {max(outputs)} of {depth}, counted from 0")
        self.outputs, self.grid, self.resize = outputs, grid, resize
        self.class_token, self.class_outputs = class_token, class_outputs
        self.clip = clip
        self.channels = (channels,) * (len(outputs) + clip) * (1 + class_outputs)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, channels))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + grid**2, channels))
        self.patch_embed = PatchEmbed(3, channels, patch, padded=not clip, bias=patch_bias, norm_eps=None)
        self.ln_pre = nn.LayerNorm(channels, norm_eps) if clip else nn.Identity()
        self.layers = nn.ModuleList(
            vit_block(channels, heads, norm_eps, QuickGELU() if clip else None) for _ in range(depth)
        )
        self.ln1 = nn.LayerNorm(channels, norm_eps) if final_norm else nn.Identity()

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """(N, 3, H, W) -> maps (N, C, h, w), a position a patch, then, where wanted, class tokens (N, C, 1, 1)."""
        patches = self.patch_embed(images)
        size = patches.shape[1:3]
        x = torch.cat([self.cls_token.expand(len(images), -1, -1), patches.flatten(1, 2)], 1)
        x = x + resize_positions(self.pos_embed, (self.grid, self.grid), (size[0], size[1]), self.resize)
        if not self.class_token:
            x = x[:, 1:]
        maps, classes = [], []
        for number, layer in enumerate([self.ln_pre, *self.layers], -1):
            x = layer(x)
            if number + 1 == len(self.layers):
                x = self.ln1(x)
            if number in self.outputs or (self.clip and number < 0):
                maps.append(to_map(x[:, int(self.class_token) :], size))
                classes.append(x[:, 0, :, None, None])
        return (*maps, *classes) if self.class_outputs else tuple(maps)


build = VisionTransformer
