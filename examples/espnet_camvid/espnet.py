"""ESPNet: convolutions as spatial pyramids of dilated ones, with a light decoder (Mehta et al. 2018, arXiv 1803.06815).

Attributes have the names of the published tensors (github sacmehta/ESPNet, commit afe71c38,
`pretrained/decoder/espnet_p_2_q_8_camvid.pth`), so that file loads as it is; widths were read off its shapes.
"""  # noqa: INP001  (a file that `--builders` names, no package)

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NORM_EPSILON = 1e-3
"""Of every batch norm, as in the publisher's `train/Model.py`; torch's own default is 1e-5."""
DILATIONS = (1, 2, 4, 8, 16)
"""Of the branches of a pyramid: K = 5 in the paper."""


def espnet(*, num_classes: int, p: int = 2, q: int = 8) -> nn.Module:
    """Builds ESPNet: images (N, 3, H, W) to scores (N, C, H, W), H and W multiples of 8.

    Args:
        num_classes: C, channels of the scores.
        p: Pyramids at a quarter of the input's size (alpha_2 in the paper).
        q: Pyramids at an eighth (alpha_3 in the paper).
    """
    return ESPNet(num_classes, p, q)


class ESPNet(nn.Module):
    """Encoder and decoder; scores come at the input's size."""

    may_overlap = True
    """It keeps nothing of an image between calls, so that several images run at once on the CPU."""

    def __init__(self, num_classes: int, p: int, q: int) -> None:
        super().__init__()
        self.encoder = Encoder(num_classes, p, q)
        self.br = _norm(num_classes)
        self.up_l3 = nn.Sequential(_doubled(num_classes))
        self.level3_C = Convolution(131, num_classes, 1)
        self.combine_l2_l3 = nn.Sequential(
            NormActivation(2 * num_classes), Pyramid(2 * num_classes, num_classes, is_residual=False)
        )
        self.up_l2 = nn.Sequential(_doubled(num_classes), NormActivation(num_classes))
        self.conv = ConvolutionNormActivation(19 + num_classes, num_classes)
        self.classifier = _doubled(num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Scores (N, C, H, W) of images (N, 3, H, W)."""
        half, quarter, eighth = self.encoder(images)
        scores = self.up_l3(self.br(eighth))
        scores = self.up_l2(self.combine_l2_l3(torch.cat([self.level3_C(quarter), scores], dim=1)))
        return self.classifier(self.conv(torch.cat([scores, half], dim=1)))


class Encoder(nn.Module):
    """Three levels; the image itself, averaged to the level's size, joins the first two."""

    def __init__(self, num_classes: int, p: int, q: int) -> None:
        super().__init__()
        self.level1 = ConvolutionNormActivation(3, 16, stride=2)
        self.b1 = NormActivation(19)
        self.level2_0 = PyramidDown(19, 64)
        self.level2 = nn.Sequential(*(Pyramid(64, 64) for _ in range(p)))
        self.b2 = NormActivation(131)
        self.level3_0 = PyramidDown(131, 128)
        self.level3 = nn.Sequential(*(Pyramid(128, 128) for _ in range(q)))
        self.b3 = NormActivation(256)
        self.classifier = Convolution(256, num_classes, 1)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Features (N, 19, H/2, W/2) and (N, 131, H/4, W/4), scores (N, C, H/8, W/8)."""
        small = _halved(images)
        half = self.b1(torch.cat([self.level1(images), small], dim=1))
        first = self.level2_0(half)
        quarter = self.b2(torch.cat([self.level2(first), first, _halved(small)], dim=1))
        first = self.level3_0(quarter)
        return half, quarter, self.classifier(self.b3(torch.cat([first, self.level3(first)], dim=1)))


class _Branches(nn.Module):
    """Reduce, convolve at every dilation, sum up from the smallest dilation on but for the first, concatenate."""

    def __init__(self, in_channels: int, channels: int, kernel: int, stride: int) -> None:
        super().__init__()
        narrow = channels // len(DILATIONS)
        first = channels - narrow * (len(DILATIONS) - 1)  # takes what does not divide
        self.c1 = Convolution(in_channels, narrow, kernel, stride=stride)
        for dilation in DILATIONS:
            width = first if dilation == 1 else narrow
            setattr(self, f"d{dilation}", DilatedConvolution(narrow, width, dilation))

    def branches(self, features: Tensor) -> Tensor:
        """Hierarchically fused features (N, `channels`, h, w): adding up removes the gridding of large dilations."""
        reduced = self.c1(features)
        parts, fused = [self.d1(reduced)], None
        for dilation in DILATIONS[1:]:
            found = getattr(self, f"d{dilation}")(reduced)
            fused = found if fused is None else fused + found
            parts.append(fused)
        return torch.cat(parts, dim=1)


class PyramidDown(_Branches):
    """A pyramid at half the size, followed by norm and activation."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__(in_channels, channels, 3, 2)
        self.bn, self.act = _norm(channels), nn.PReLU(channels)

    def forward(self, features: Tensor) -> Tensor:
        """(N, `in_channels`, h, w) to (N, `channels`, h/2, w/2)."""
        return self.act(self.bn(self.branches(features)))


class Pyramid(_Branches):
    """A pyramid at the same size; where `is_residual`, on top of what comes in."""

    def __init__(self, in_channels: int, channels: int, *, is_residual: bool = True) -> None:
        super().__init__(in_channels, channels, 1, 1)
        self.is_residual = is_residual
        self.bn = NormActivation(channels)

    def forward(self, features: Tensor) -> Tensor:
        """(N, `in_channels`, h, w) to (N, `channels`, h, w)."""
        found = self.branches(features)
        return self.bn(features + found if self.is_residual else found)


class Convolution(nn.Module):
    """A convolution without bias that keeps the size, or halves it with stride 2."""

    def __init__(self, in_channels: int, channels: int, kernel: int, *, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, channels, kernel, stride, kernel // 2, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """(N, `in_channels`, h, w) to (N, `channels`, h, w) at the stride."""
        return self.conv(features)


class DilatedConvolution(nn.Module):
    """A 3x3 convolution without bias at a dilation; the size stays."""

    def __init__(self, in_channels: int, channels: int, dilation: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, channels, 3, padding=dilation, dilation=dilation, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """(N, `in_channels`, h, w) to (N, `channels`, h, w)."""
        return self.conv(features)


class NormActivation(nn.Module):
    """Batch norm and PReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bn, self.act = _norm(channels), nn.PReLU(channels)

    def forward(self, features: Tensor) -> Tensor:
        """The same shape."""
        return self.act(self.bn(features))


class ConvolutionNormActivation(NormActivation):
    """A 3x3 convolution, batch norm and PReLU."""

    def __init__(self, in_channels: int, channels: int, *, stride: int = 1) -> None:
        super().__init__(channels)
        self.conv = nn.Conv2d(in_channels, channels, 3, stride, 1, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """(N, `in_channels`, h, w) to (N, `channels`, h, w) at the stride."""
        return super().forward(self.conv(features))


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=NORM_EPSILON)


def _doubled(channels: int) -> nn.ConvTranspose2d:
    """A learned upsampling to twice the size."""
    return nn.ConvTranspose2d(channels, channels, 2, stride=2, bias=False)


def _halved(images: Tensor) -> Tensor:
    """The mean over 3x3 pixels at every second place; beyond the border are zeros, which count."""
    return F.avg_pool2d(images, 3, stride=2, padding=1)
