"""CLIP's image encoder (Radford et al. 2021) beside the images themselves, as SAN reads both.

mmsegmentation 1.2.2, segmentors/multimodal_encoder_decoder.py: a ViT on a smaller copy of the images, of which only the blocks
below those that SAN's head runs are here. Training moves nothing but its positions.
"""

from __future__ import annotations

import math
from types import MappingProxyType
from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import nn

from ..input_size import require_sides
from ..layers import Natural  # noqa: TC001  (`build` reads the annotations)
from .vit import VisionTransformer

if TYPE_CHECKING:
    from torch import Tensor


class ClipImages(nn.Module):
    """Keys `image_encoder.*`, without the backbone's own name before it.

    Args:
        scale: Of the encoder's copy of the images.
        patch: As of `VisionTransformer`, and so are the others.

    Attributes:
        channels: Channels of the outputs.
    """

    layouts = MappingProxyType({"mmseg": (("image_encoder", "/image_encoder"),)})

    def __init__(
        self,
        *,
        scale: float,
        patch: int,
        grid: int,
        channels: int,
        depth: int,
        heads: int,
        outputs: tuple[Natural, ...],
    ) -> None:
        super().__init__()
        self.scale, self.smallest = scale, math.ceil(patch / scale)
        self.image_encoder = VisionTransformer(
            channels=channels,
            depth=depth,
            heads=heads,
            outputs=outputs,
            grid=grid,
            patch=patch,
            class_outputs=True,
            norm_eps=1e-5,
            clip=True,
        )
        for name, weight in self.image_encoder.named_parameters():
            weight.requires_grad_(name == "pos_embed")
        self.channels = (3, *self.image_encoder.channels)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """(N, 3, H, W) -> the same, the encoder's maps (N, C, h, w) from before its first block on, their class tokens (N, C, 1, 1).

        Raises:
            InputSizeError: The copy is smaller than a patch.
        """
        require_sides(images.shape[2:], self.smallest, "a patch of CLIP's")
        # by the factor itself, not by the sides that come of it: 64 pixels become 44, each 1 / 0.7 wide
        copy = F.interpolate(images, scale_factor=self.scale, mode="bilinear")
        return (images, *self.image_encoder(copy))


build = ClipImages
