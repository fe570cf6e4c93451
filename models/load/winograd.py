"""3x3 convolutions by Winograd's minimal filtering F(4x4, 3x3): a quarter of the multiplications, in plain torch.

Sixteen neighbouring outputs come of 36 products of a transformed tile of 6x6 inputs with the transformed kernel, where the
definition takes 144. Over channels these are 36 products of matrices, which run at the processor's best. A kernel of
dilation d sees d x d images of every d-th pixel, each by itself. cuDNN computes float32 convolutions so too.

Source: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2016 (arXiv:1509.09308); the transforms are Toom
and Cook's, at points of least measured error.
"""

from __future__ import annotations

from itertools import product
from math import prod
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeGuard

    from torch import Tensor

_OUT, _TAPS = 4, 3
"""Outputs of a tile along each axis, and taps of the kernel."""
_IN = _OUT + _TAPS - 1
"""Inputs that the outputs of a tile see along each axis."""
_POINTS = (0, 0.625, -0.625, 1.5, -1.5)
"""Where polynomials are multiplied, beside infinity. Of pairs of eighths these leave the least error, half of the usual 1 and 2's."""
_TILES, _CHANNELS = 128, 256
"""Of a strip and of the input, transformed at once: their 36 values lie in a core's caches while they are multiplied."""
_HELD = 64 * 2**20
"""Bytes of products that wait for the input's other channels, so that the kernel is transformed once for all of them."""
_LEAST_CHANNELS = 128
"""In and out. With fewer, transforms take what products save."""
_WORTH, _KERNEL = 0.5, 32
"""Largest share of the definition's multiplications that is faster, and how many tiles the kernel's transform counts for."""


def with_winograd(model: nn.Module) -> nn.Module:
    """The network with those of its convolutions that `suits` computed by tiles; it is changed in place.

    Args:
        model: In evaluation mode, with its weights, and folded already: `folding` looks for plain convolutions.
    """
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if suits(child):
                setattr(parent, name, WinogradConv2d.of(child))
    return model


def suits(part: nn.Module) -> TypeGuard[nn.Conv2d]:
    """Whether it is a plain convolution of 3x3 taps and stride 1, as large a map out as in, with enough channels."""
    return (
        type(part) is nn.Conv2d
        and (part.kernel_size, part.stride) == ((_TAPS, _TAPS), (1, 1))
        and part.padding == part.dilation
        and part.dilation[0] == part.dilation[1]
        and (part.groups, part.padding_mode) == (1, "zeros")
        and min(part.in_channels, part.out_channels) >= _LEAST_CHANNELS
    )


class WinogradConv2d(nn.Conv2d):
    """A convolution that is computed by tiles where that saves enough; for evaluation."""

    @classmethod
    def of(cls, conv: nn.Conv2d) -> WinogradConv2d:
        """With the other's parameters themselves.

        Args:
            conv: One that `suits`.
        """
        found = cls.__new__(cls)
        found.__dict__ = conv.__dict__.copy()
        return found

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  (torch's name)
        """(N, in_channels, h, w) -> (N, out_channels, h, w), channels last; as torch does it where tiles do not pay."""
        dilation = self.dilation[0]
        if not saves_enough(input.shape[2:], dilation):
            return super().forward(input)
        images = input.permute(0, 2, 3, 1)
        found = [filtered(image, self.weight, self.bias, dilation) for image in images]
        return torch.stack(found).permute(0, 3, 1, 2)


def saves_enough(size: Sequence[int], dilation: int) -> bool:
    """Whether tiles, which reach beyond the edges, multiply clearly less than the definition does.

    Args:
        size: Height and width of the map.
        dilation: Of the kernel.
    """
    tiles = prod(dilation * _tiles_along(side, dilation) for side in size)
    return (tiles + _KERNEL) * _IN**2 < _WORTH * prod(size) * _TAPS**2


def filtered(image: Tensor, weight: Tensor, bias: Tensor | None, dilation: int) -> Tensor:
    """The convolution that keeps the size, by tiles.

    Args:
        image: (h, w, channels); as many zeros lie around it as the kernel is dilated.
        weight: (outputs, channels, 3, 3).
        bias: (outputs,) or None.
        dilation: Of the kernel.

    Returns:
        (h, w, outputs).
    """
    height, width, _ = image.shape
    rows, columns = _tiles_along(height, dilation), _tiles_along(width, dilation)
    found = image.new_empty(rows, _OUT, dilation, columns, _OUT, dilation, len(weight))
    at_once = _share(rows, _TILES // (dilation * columns))
    strips = [
        _Strip(dilation, phase, first, min(at_once, rows - first))
        for phase, first in product(range(min(dilation, height)), range(0, rows, at_once))
    ]
    each = image.element_size() * (_IN**2 + 1) * at_once * columns * dilation * len(weight)
    some = max(1, _HELD // each)
    for start in range(0, len(strips), some):
        _filter(strips[start : start + some], image, weight, bias, found)
    return found.view(rows * _OUT * dilation, -1, len(weight))[:height, :width]


def _filter(
    strips: Sequence[_Strip], image: Tensor, weight: Tensor, bias: Tensor | None, found: Tensor
) -> None:
    """Write the outputs of some strips to their places."""
    of_input, of_kernel, of_output = (one.to(image) for one in _TRANSFORMS)
    places = [strip.within(found) for strip in strips]
    products = [image.new_empty(_IN**2 + 1, place[0, 0, ..., 0].numel(), len(weight)) for place in places]
    channels = image.shape[2]
    at_once = _share(channels, _CHANNELS)
    for first in range(0, channels, at_once):
        some = slice(first, first + at_once)
        taps = weight[:, some].permute(2, 3, 0, 1).reshape(_TAPS**2, -1)
        kernel = (of_kernel @ taps).view(_IN**2, len(weight), -1).transpose(1, 2)
        for strip, summed in zip(strips, products, strict=True):
            seen = (of_input @ strip.tiles(image[..., some])).view(*summed[:-1].shape[:2], -1)
            summed[:-1].baddbmm_(seen, kernel, beta=int(first > 0))
    for place, summed in zip(places, products, strict=True):
        summed[-1] = 0 if bias is None else bias
        place.copy_((of_output @ summed.flatten(1)).view(place.shape))


class _Strip(NamedTuple):
    """Some rows of tiles, of one of the `dilation` images that every `dilation`-th line makes; across they are of all."""

    dilation: int
    phase: int
    first: int
    rows: int

    def within(self, found: Tensor) -> Tensor:
        """Its outputs: (4, 4, rows, columns, dilation, outputs) of (all rows, 4, dilation, columns, 4, dilation, outputs)."""
        return found[self.first : self.first + self.rows, :, self.phase].permute(1, 3, 0, 2, 4, 5)

    def tiles(self, image: Tensor) -> Tensor:
        """What it sees of (h, w, channels): (36, rows * columns * dilation * channels)."""
        _, width, channels = image.shape
        start, lines = self.phase + (self.first * _OUT - 1) * self.dilation, self.rows * _OUT + _TAPS - 1
        above = int(self.first == 0)
        there = image[start + above * self.dilation : start + lines * self.dilation : self.dilation]
        columns = _tiles_along(width, self.dilation) * _OUT + _TAPS - 1
        right, below = (columns - 1) * self.dilation - width, lines - above - len(there)
        padded = F.pad(there, (0, 0, self.dilation, right, above, below))
        lattice = padded.view(lines, columns, self.dilation, channels)
        tiles = lattice.unfold(0, _IN, _OUT).unfold(1, _IN, _OUT)
        return tiles.permute(4, 5, 0, 1, 2, 3).reshape(_IN**2, -1)


def _tiles_along(side: int, dilation: int) -> int:
    """Tiles that cover every `dilation`-th pixel of a side."""
    return -(-side // (dilation * _OUT))


def _share(total: int, most: int) -> int:
    """The size of equal parts, none of them larger than `most` unless that is none."""
    return -(-total // -(-total // max(1, most)))


def _transforms() -> tuple[Tensor, Tensor, Tensor]:
    """Of tiles (36, 36), of kernels (36, 9), and of products and a bias (16, 37), each for both axes at once."""
    others = [np.delete(_POINTS, index) for index in range(len(_POINTS))]
    inputs = np.zeros((_IN, _IN))
    for row, roots in zip(inputs, [*others, _POINTS], strict=True):
        row[: len(roots) + 1] = np.poly(roots)[::-1]
    scale = [*(prod(point - found) for point, found in zip(_POINTS, others, strict=True)), 1]
    kernel, outputs = _evaluated(_TAPS) / np.array(scale)[:, None], _evaluated(_OUT).T
    of_input, of_kernel, of_output = (
        torch.from_numpy(np.kron(one, one)) for one in (inputs, kernel, outputs)
    )
    return of_input, of_kernel, torch.cat([of_output, of_output.new_ones(_OUT**2, 1)], 1)


def _evaluated(terms: int) -> np.ndarray:
    """The matrix that gives a polynomial of so many coefficients at each point, and its highest one for infinity."""
    return np.vstack([np.vander(_POINTS, terms, increasing=True), np.eye(terms)[-1]])


_TRANSFORMS = _transforms()
