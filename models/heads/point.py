"""PointRend (Kirillov et al. 2020): scores enlarged twice by two, the least certain points of each scored anew by themselves.

mmsegmentation 1.2.2, decode_heads/point_head.py; sssegmentation eb1878c1, segmentors/pointrend/pointrend.py. It is the second
head of a cascade; the coarse scores that a point sees are always those of the first. They differ in the points' blocks: a
bias and no norm with mmsegmentation, a norm with sssegmentation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from ..layers import Natural, resize

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

TRAINING_POINTS = 2048
"""Of each image in a training step (both publishers' configurations)."""


class PointBlock(nn.Module):
    """A linear layer on points, written as a convolution, and ReLU; keys `conv.*` and `bn.*`."""

    def __init__(self, in_channels: int, out_channels: int, *, norm: bool) -> None:
        super().__init__()
        self.conv = nn.Conv1d(in_channels, out_channels, 1, bias=not norm)
        self.bn = nn.BatchNorm1d(out_channels) if norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, points) -> (N, out_channels, points)."""
        return F.relu(self.bn(self.conv(x)))


class PointHead(nn.Module):
    """Features and scores -> scores (N, num_classes, 4 h, 4 w) for those (N, num_classes, h, w) of the head before.

    Args:
        in_channels: Channels of each feature map.
        num_classes: Channels of the scores.
        align_corners: Corner convention of resizes and of points' positions.
        in_index: Which map points are read from.
        channels: Channels of the blocks.
        num_blocks: How many; each sees the coarse scores besides the output of the one before.
        norm: Whether they have a norm, in place of a bias: sssegmentation.
        subdivisions: How many times scores are enlarged.
        points: How many are scored anew after each.
    """

    layouts = {"ssseg": (("fc_seg", "decoder.1"),)}  # noqa: RUF012

    def __init__(
        self,
        in_channels: tuple[int, ...],
        num_classes: int,
        *,
        align_corners: bool,
        in_index: Natural = 0,
        channels: int = 256,
        num_blocks: int = 3,
        norm: bool = False,
        subdivisions: int = 2,
        points: int = 8196,
    ) -> None:
        super().__init__()
        self.in_index, self.align_corners = in_index, align_corners
        self.subdivisions, self.points = subdivisions, points
        incoming = (in_channels[in_index], *[channels] * (num_blocks - 1))
        self.fcs = nn.ModuleList(PointBlock(one + num_classes, channels, norm=norm) for one in incoming)
        self.fc_seg = nn.Conv1d(channels + num_classes, num_classes, 1)

    def forward(self, features: tuple[Tensor, ...], scores: Tensor) -> Tensor:
        """Feature maps (N, C_i, h_i, w_i), scores (N, num_classes, h, w) of the head before -> scores."""
        refined = scores
        for _ in range(self.subdivisions):
            height, width = (2 * side for side in refined.shape[2:])
            refined = resize(refined, (height, width), align_corners=self.align_corners)
            index = least_certain(refined, self.points)
            positions = pixel_centres(index, height, width)
            anew = self.score(features[self.in_index], scores, positions.to(scores.dtype))
            index = index.unsqueeze(1).expand_as(anew)
            refined = refined.flatten(2).scatter(2, index, anew).unflatten(2, (height, width))
        return refined

    def score(self, fine: Tensor, coarse: Tensor, positions: Tensor) -> Tensor:
        """Scores (N, num_classes, P) of positions (N, P, 2), x first, 0 to 1 over the map."""
        seen = self.sample(coarse, positions)
        x = self.sample(fine, positions)
        for block in self.fcs:
            x = block(torch.cat([x, seen], 1))
        return self.fc_seg(torch.cat([x, seen], 1))

    def sample(self, x: Tensor, positions: Tensor) -> Tensor:
        """(N, C, h, w) at positions (N, P, 2) -> (N, C, P), bilinearly."""
        grid = 2 * positions.unsqueeze(2) - 1
        return F.grid_sample(x, grid, align_corners=self.align_corners).squeeze(3)

    def training_loss(
        self, features: tuple[Tensor, ...], scores: Tensor, loss_of: Callable[[Tensor], Tensor]
    ) -> Tensor:
        """Of some points of each image alone.

        Which points, and their labels, takes no memory to speak of: here they are random ones of the first class.

        Args:
            features: As of `forward`.
            scores: As of `forward`.
            loss_of: Not asked: it is for maps.
        """
        del loss_of
        positions = torch.rand(len(scores), TRAINING_POINTS, 2, device=scores.device)
        found = self.score(features[self.in_index], scores, positions)
        return F.cross_entropy(found, found.new_zeros(found[:, 0].shape, dtype=torch.int64))


def least_certain(scores: Tensor, points: int) -> Tensor:
    """The positions (N, P) in rows one behind the other whose best two scores lie closest.

    Args:
        scores: (N, num_classes, h, w).
        points: How many, or as many as there are.
    """
    best, second = scores.topk(2, dim=1).values.unbind(1)
    uncertainty = (second - best).flatten(1)
    return uncertainty.topk(min(points, uncertainty.shape[1]), dim=1).indices


def pixel_centres(index: Tensor, height: int, width: int) -> Tensor:
    """Positions (N, P) in the rows of a map -> (N, P, 2), x first, 0 to 1 over the map."""
    steps = ((1 / width, index % width), (1 / height, index // width))
    return torch.stack([step / 2 + place.float() * step for step, place in steps], 2)


build = PointHead
