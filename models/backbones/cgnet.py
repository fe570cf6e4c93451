"""CGNet (Wu et al. 2021): each block joins what is near, what surrounds it at a dilation, and what the mean of all says.

mmsegmentation 1.2.2, backbones/cgnet.py; sssegmentation eb1878c1, modules/models/backbones/cgnet.py. They agree but for the norms'
epsilon, 1e-3 and 1e-5. The author's own (github wutianyiRosun/CGNet, cfccea37, model/CGNet.py) is mmsegmentation's under other
names, which are the layout `author`, with a classifier that has no bias. The image, halved and quartered by pools, is given to each stage again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from ..layers import ConvModule, in_sequence

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

STEM_BLOCKS = 3
CHANNELS, BLOCKS, DILATIONS, REDUCTIONS = (32, 64, 128), (3, 21), (2, 4), (8, 16)
"""Of the stem and both stages; blocks, dilation and reduction of the channels inside the means' layers, of the stages."""
IMAGE_CHANNELS = 3


class GlobalContext(nn.Module):
    """Each channel weighed by what the mean of all says; keys `fc.0.*`, `fc.2.*`."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        inside = channels // reduction
        self.fc = nn.Sequential(
            nn.Linear(channels, inside), nn.ReLU(inplace=True), nn.Linear(inside, channels), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) -> the same."""
        return x * self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))[:, :, None, None]


class ContextGuided(nn.Module):
    """A block of half the channels that halves nothing, or one of all channels that halves the size.

    Args:
        in_channels: Channels of the input.
        channels: Of the output.
        dilation: Of the surroundings.
        reduction: As of the module.
        strided: Whether it halves the size; it has no shortcut then.
        norm_eps: Epsilon of the norms.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        *,
        dilation: int,
        reduction: int,
        strided: bool,
        norm_eps: float,
    ) -> None:
        super().__init__()
        inside = channels if strided else channels // 2
        kernel, stride = (3, 2) if strided else (1, 1)
        self.strided = strided
        self.conv1x1 = ConvModule(
            in_channels, inside, kernel, stride=stride, norm_eps=norm_eps, activation="prelu"
        )
        self.f_loc = nn.Conv2d(inside, inside, 3, padding=1, groups=inside, bias=False)
        self.f_sur = nn.Conv2d(
            inside, inside, 3, padding=dilation, dilation=dilation, groups=inside, bias=False
        )
        self.bn = nn.BatchNorm2d(2 * inside, norm_eps)
        self.activate = nn.PReLU(2 * inside)
        self.bottleneck = nn.Conv2d(2 * inside, channels, 1, bias=False) if strided else nn.Identity()
        self.f_glo = GlobalContext(channels, reduction)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, h, w) -> (N, channels, h, w), or half the size, rounded up."""
        out = self.conv1x1(x)
        out = self.activate(self.bn(torch.cat([self.f_loc(out), self.f_sur(out)], 1)))
        out = self.f_glo(self.bottleneck(out))
        return out if self.strided else x + out


class CGNet(nn.Module):
    """Stem and two stages; keys `stem.*`, `level1.*`, `level2.*`, `norm_prelu_0.*` .. `norm_prelu_2.*`.

    Args:
        norm_eps: Epsilon of the norms: 1e-3 with mmsegmentation, 1e-5 with sssegmentation.

    Attributes:
        channels: Channels of the outputs.
    """

    channels = (CHANNELS[0] + IMAGE_CHANNELS, 2 * CHANNELS[1] + IMAGE_CHANNELS, 2 * CHANNELS[2])

    def __init__(self, *, norm_eps: float = 1e-3) -> None:
        super().__init__()
        incoming = [IMAGE_CHANNELS, *[CHANNELS[0]] * (STEM_BLOCKS - 1)]
        self.stem = nn.Sequential(
            *(
                ConvModule(
                    own,
                    CHANNELS[0],
                    3,
                    stride=1 if number else 2,
                    norm_eps=norm_eps,
                    activation="prelu",
                )
                for number, own in enumerate(incoming)
            )
        )
        self.norm_prelu_0, self.norm_prelu_1, self.norm_prelu_2 = (
            nn.Sequential(nn.BatchNorm2d(own, norm_eps), nn.PReLU(own)) for own in self.channels
        )
        self.level1, self.level2 = (
            nn.ModuleList(
                ContextGuided(
                    channels if number else before,
                    channels,
                    dilation=dilation,
                    reduction=reduction,
                    strided=not number,
                    norm_eps=norm_eps,
                )
                for number in range(blocks)
            )
            for before, channels, blocks, dilation, reduction in zip(
                self.channels[:2], CHANNELS[1:], BLOCKS, DILATIONS, REDUCTIONS, strict=True
            )
        )
        self.layouts = {"ssseg": in_sequence(self), "author": tuple(_authors_names())}

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Features at strides 2, 4 and 8.

        Args:
            images: (N, 3, H, W), normalised.
        """
        half = F.avg_pool2d(images, 3, 2, 1)
        x0 = self.norm_prelu_0(torch.cat([self.stem(images), half], 1))
        first, last = _ends(self.level1, x0)
        x1 = self.norm_prelu_1(torch.cat([last, first, F.avg_pool2d(half, 3, 2, 1)], 1))
        first, last = _ends(self.level2, x1)
        return x0, x1, self.norm_prelu_2(torch.cat([first, last], 1))


def _authors_names() -> Iterator[tuple[str, str]]:
    """Rows of (our name, the author's): stage 2's blocks are `level2_0`, `level2.0`, ...; those after a first norm otherwise."""
    for number in range(STEM_BLOCKS):
        yield f"stem.{number}.activate", f"level1_{number}.act"
        yield f"stem.{number}", f"level1_{number}"
    for stage, blocks in enumerate(BLOCKS):
        for block in range(blocks):
            ours, theirs = (
                f"level{stage + 1}.{block}",
                f"level{stage + 2}" + (f".{block - 1}" if block else "_0"),
            )
            yield f"{ours}.conv1x1.activate", f"{theirs}.conv1x1.act"
            yield f"{ours}.f_loc", f"{theirs}.F_loc.conv"
            yield f"{ours}.f_sur", f"{theirs}.F_sur.conv"
            yield f"{ours}.f_glo", f"{theirs}.F_glo"
            yield f"{ours}.bottleneck", f"{theirs}.reduce.conv"
            norm = f"{theirs}.bn_prelu" if block else theirs
            yield f"{ours}.bn", f"{norm}.bn"
            yield f"{ours}.activate", f"{norm}.act"
            yield ours, theirs
    for number, theirs in enumerate(("b1", "bn_prelu_2", "bn_prelu_3")):
        yield f"norm_prelu_{number}.0", f"{theirs}.bn"
        yield f"norm_prelu_{number}.1", f"{theirs}.act"


def _ends(stage: nn.ModuleList, x: Tensor) -> tuple[Tensor, Tensor]:
    """What the first block and what the last block of a stage make of a map."""
    first, *others = stage
    x = begun = first(x)
    for block in others:
        x = block(x)
    return begun, x


build = CGNet
