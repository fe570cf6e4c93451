"""Segmenter's mask transformer (Strudel et al. 2021): class tokens among the patches; scores are their cosines.

mmsegmentation 1.2.2, decode_heads/segmenter_mask_head.py. Class tokens come behind the patches. The backbone's epsilons are 1e-6, the
head's 1e-5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from ..transformer import vit_block

if TYPE_CHECKING:
    from torch import Tensor

NORM_EPS = 1e-5


class SegmenterHead(nn.Module):
    """Features -> scores (N, num_classes, h, w) at the stride of the last map.

    Args:
        in_channels: Channels of each feature map.
        num_classes: Channels of the scores, and class tokens.
        channels: Of tokens.
        depth: Number of blocks.
        heads: Of attention.
    """

    def __init__(
        self,
        in_channels: tuple[int, ...],
        num_classes: int,
        *,
        channels: int = 192,
        depth: int = 2,
        heads: int = 3,
    ) -> None:
        super().__init__()
        self.dec_proj = nn.Linear(in_channels[-1], channels)
        self.cls_emb = nn.Parameter(torch.zeros(1, num_classes, channels))
        self.layers = nn.Sequential(*(vit_block(channels, heads, NORM_EPS) for _ in range(depth)))
        self.decoder_norm = nn.LayerNorm(channels, NORM_EPS)
        self.patch_proj = nn.Linear(channels, channels, bias=False)
        self.classes_proj = nn.Linear(channels, channels, bias=False)
        self.mask_norm = nn.LayerNorm(num_classes, NORM_EPS)

    def forward(self, features: tuple[Tensor, ...]) -> Tensor:
        """Feature maps (N, C_i, h_i, w_i) -> scores."""
        tokens = self.dec_proj(features[-1].flatten(2).mT)
        positions = tokens.shape[1]
        x = torch.cat([tokens, self.cls_emb.expand(len(tokens), -1, -1)], 1)
        x = self.decoder_norm(self.layers(x))
        patches = F.normalize(self.patch_proj(x[:, :positions]), dim=2)
        classes = F.normalize(self.classes_proj(x[:, positions:]), dim=2)
        scores = self.mask_norm(patches @ classes.mT)  # (N, h * w, num_classes)
        return scores.mT.unflatten(2, features[-1].shape[2:]).contiguous()


build = SegmenterHead
