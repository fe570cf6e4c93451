"""PIDNet (Xu et al. 2023): DDRNet's two branches and a third one for boundaries, which says where detail counts.

mmsegmentation 1.2.2, backbones/pidnet.py and utils/{basic_block,ppm}.py. What DDRNet's module says of images whose sides are no multiples
of 8 holds here too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import nn

from ..layers import ConvModule, NormFirstConv, resize
from .ddrnet import BasicBlock, PyramidOfPools, basic_stage, bottleneck_stage, stem

if TYPE_CHECKING:
    from torch import Tensor


def project(in_channels: int, channels: int, stride: int) -> nn.Module:
    """The shortcut of a block that changes channels or size, under the names of a block."""
    return ConvModule(in_channels, channels, stride=stride, activation=None)


class PixelAttention(nn.Module):
    """Two maps averaged, each position by how much they agree there (Pag)."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.f_i = ConvModule(in_channels, channels, activation=None)
        self.f_p = ConvModule(in_channels, channels, activation=None)

    def forward(self, detail: Tensor, context: Tensor) -> Tensor:
        """Detail (N, C, h, w) and context (N, C, h', w') -> (N, C, h, w)."""
        size = detail.shape[2:]
        asked = resize(self.f_i(context), size, align_corners=False)
        weight = (self.f_p(detail) * asked).sum(1, keepdim=True).sigmoid()
        return weight * resize(context, size, align_corners=False) + (1 - weight) * detail


class BoundaryGuidance(nn.Module):
    """Detail where a boundary is, context elsewhere, through a 3x3 convolution (Bag)."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.conv = NormFirstConv(in_channels, channels, 3)

    def forward(self, detail: Tensor, context: Tensor, boundary: Tensor) -> Tensor:
        """Three maps (N, C, h, w) -> (N, channels, h, w)."""
        weight = boundary.sigmoid()
        return self.conv(weight * detail + (1 - weight) * context)


class LightBoundaryGuidance(nn.Module):
    """The same by two 1x1 convolutions, one for each (Light-Bag)."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.f_p = ConvModule(in_channels, channels, activation=None)
        self.f_i = ConvModule(in_channels, channels, activation=None)

    def forward(self, detail: Tensor, context: Tensor, boundary: Tensor) -> Tensor:
        """Three maps (N, C, h, w) -> (N, channels, h, w)."""
        weight = boundary.sigmoid()
        return self.f_p((1 - weight) * context + detail) + self.f_i(context + weight * detail)


class PIDNet(nn.Module):
    """Images -> three features at stride 8; keys `stem.*`, `i_branch_layers.*`, `p_branch_layers.*`, `d_branch_layers.*`, ...

    Args:
        channels: Width: 32 for PIDNet-S, 64 for -M and -L.
        ppm_channels: Channels of each level of the pyramid.
        num_stem_blocks: 2, or 3 for PIDNet-L, which has the heavier modules.
        num_branch_blocks: Blocks of the first two stages of the context branch.

    Attributes:
        channels: Channels of the outputs.
    """

    def __init__(
        self,
        *,
        channels: int = 64,
        ppm_channels: int = 96,
        num_stem_blocks: int = 2,
        num_branch_blocks: int = 3,
    ) -> None:
        super().__init__()
        light = num_stem_blocks == 2
        double, wide, wider = 2 * channels, 4 * channels, 8 * channels
        self.channels = (double, wide, double)
        self.stem = stem(channels, num_stem_blocks, project)
        self.i_branch_layers = nn.ModuleList(
            [
                basic_stage(double, wide, num_branch_blocks, 2, project),
                basic_stage(wide, wider, num_branch_blocks, 2, project),
                bottleneck_stage(wider, wider, 2, 2, project),
            ]
        )
        self.p_branch_layers = nn.ModuleList(
            [
                basic_stage(double, double, num_stem_blocks),
                basic_stage(double, double, num_stem_blocks),
                bottleneck_stage(double, double, project=project),
            ]
        )
        narrow = channels if light else double
        shortcut = project(double, narrow, 1) if light else None
        self.d_branch_layers = nn.ModuleList(
            [
                BasicBlock(double, narrow, shortcut=shortcut, ends_in_relu=False),
                bottleneck_stage(narrow, narrow, project=project)
                if light
                else BasicBlock(double, double, ends_in_relu=False),
                bottleneck_stage(double, double, project=project),
            ]
        )
        self.compression_1 = ConvModule(wide, double, activation=None)
        self.compression_2 = ConvModule(wider, double, activation=None)
        self.pag_1, self.pag_2 = (PixelAttention(double, channels) for _ in range(2))
        self.diff_1 = ConvModule(wide, narrow, 3, activation=None)
        self.diff_2 = ConvModule(wider, double, 3, activation=None)
        self.spp = PyramidOfPools(2 * wider, ppm_channels, wide, parallel=light)
        self.dfm = (LightBoundaryGuidance if light else BoundaryGuidance)(wide, wide)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The detail branch after the first exchange, the fusion of all, and the boundary branch after the second.

        Args:
            images: (N, 3, H, W), normalised.
        """
        context = detail = boundary = self.stem(images)
        details = []
        exchanges = (
            (self.compression_1, self.pag_1, self.diff_1),
            (self.compression_2, self.pag_2, self.diff_2),
        )
        *stages, last = zip(self.i_branch_layers, self.p_branch_layers, self.d_branch_layers, strict=True)
        for number, ((deepen, refine, outline), (compress, join, differ)) in enumerate(
            zip(stages, exchanges, strict=True)
        ):
            detail, boundary = (F.relu(x) if number else x for x in (detail, boundary))
            context = F.relu(deepen(context))
            detail = join(refine(detail), compress(context))
            details.append(detail)
            boundary = outline(boundary)
            boundary = boundary + resize(differ(context), boundary.shape[2:], align_corners=False)
        deepen, refine, outline = last
        context = self.spp(deepen(context))
        fine, edges = refine(F.relu(detail)), outline(F.relu(boundary))
        context = resize(context, fine.shape[2:], align_corners=False)
        return details[0], self.dfm(fine, context, edges), boundary


build = PIDNet
