"""From low-resolution scores of all views to a label map, tile by tile: no score volume of the image's size.

150 classes at 2000 x 3000 pixels are 3.6 GB a view. A tile of the label map needs the few source rows and columns
its bilinear weights reach; it is interpolated, turned into probabilities, averaged over the views and decided
while it lies in the processor's cache, and only labels and margins are kept.

Bilinear interpolation is linear and separable, so all steps of an axis (stride -> network input -> image) are one
matrix. Its entries are torch's own: the identity, sent through the very `upsample` of the plain path. Labels are
those of `inference.predict_scores` wherever the best two classes are more than 1e-5 apart; closer than that the
order of additions decides, in either path. Mirrored views are mirrored back at low resolution, windows of a
sliding window are averaged within the tile.
"""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from functools import cached_property, lru_cache
from itertools import chain, product
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import torch

from ..geometry import Size, Window, compared_size, padded_size, sliding_windows
from ..limits import MOST_CLASSES
from .plain import (
    checked,
    forward,
    label_type,
    model_device,
    padded,
    require_image,
    taking_part,
    unflip,
    upsample,
    views,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ..pixels import Pixels
    from ..protocol import EvalProtocol
    from .plain import Model

CPU_TILE: Size = (16, 256)
"""150 classes of it are 2.4 MB: about a core's second-level cache. Twice or half of it is not faster."""
CUDA_TILE: Size = (128, 2048)
_SAFE_SUM = 1e-30
"""Sums of exponentials above this are far from underflow; below, the tile is computed again from its maxima."""
Span = tuple[int, int]
"""First and last (exclusive) row or column."""


class Decision(NamedTuple):
    """Every pixel's class, how close it was, and to which other class; each H x W on the network's device."""

    labels: torch.Tensor
    """uint8 up to 256 classes, int16 above."""
    margins: torch.Tensor
    """float32: best minus second best averaged score, in probability or raw score, as the protocol averages."""
    runners_up: torch.Tensor
    """The second best class, in the labels' type."""


class Taps(NamedTuple):
    """For every output position of an axis the sources its weights reach."""

    first: torch.Tensor
    """(out,) int32: the first source."""
    weights: torch.Tensor
    """(out, K) float32: of it and the next ones, K as many as any position needs; 0 where one needs fewer."""


class Axis:
    """The bilinear weights of one axis: dense (out, in), with the source span of every output position."""

    def __init__(self, weights: torch.Tensor) -> None:
        self.weights = weights
        self.is_identity = weights.shape[0] == weights.shape[1] and bool(
            torch.equal(weights, torch.eye(len(weights), device=weights.device))
        )
        reached = weights.cpu().numpy() != 0
        self._first = np.argmax(reached, axis=1)
        self._last = weights.shape[1] - np.argmax(reached[:, ::-1], axis=1)

    def block(self, span: Span) -> tuple[Span, torch.Tensor]:
        """The source span that outputs `span` need, and their weights (outputs, sources)."""
        first, last = int(self._first[slice(*span)].min()), int(self._last[slice(*span)].max())
        return (first, last), self.weights[slice(*span), first:last]

    @cached_property
    def taps(self) -> Taps:
        """The same weights without the zeros around them, for a kernel that needs no matrix product."""
        steps = np.arange((self._last - self._first).max())
        reached = self._first[:, None] + steps
        device = self.weights.device
        sources = torch.from_numpy(np.minimum(reached, self.weights.shape[1] - 1)).to(device)
        within = torch.from_numpy(reached < self._last[:, None]).to(device)
        first = torch.from_numpy(self._first.astype(np.int32)).to(device)
        return Taps(first, self.weights.gather(1, sources) * within)


@lru_cache(maxsize=128)
def axis(
    lengths: tuple[int, ...],
    protocol: EvalProtocol,
    device: torch.device,
    *,
    mirrored: bool = False,
    kept: int | None = None,
) -> Axis:
    """The weights from the first to the last of `lengths`, by way of those between.

    Before the last step all beyond `kept` is cut off: a padded input's padding, which is at the end of a mirrored view
    too.

    The float32 source coordinates are torch's (at column 2000 they are rounded by 1e-4 of a pixel), so the weights
    are asked of torch and not computed again, and a mirrored view's are the mirror image.
    """
    weights = torch.eye(lengths[0], device=device)[None, None]
    for place, length in enumerate(lengths[1:], 2):
        if place == len(lengths) and kept is not None:
            weights = weights[..., :kept]
        weights = upsample(weights, (lengths[0], length), protocol)
    matrix = weights[0, 0].T
    return Axis((matrix.flip(0, 1) if mirrored else matrix).contiguous())


class Whole:
    """Scores of one view at the head's stride, kept (h, C, w)."""

    def __init__(self, scores: torch.Tensor) -> None:
        self.scores = scores.permute(1, 0, 2).contiguous()
        self.classes = scores.shape[0]

    def patch(self, rows: Span, columns: Span) -> torch.Tensor:
        """Scores (rows, C, columns) of a part."""
        return self.scores[slice(*rows), :, slice(*columns)]


class Part(NamedTuple):
    """One window: where it lies in the view, its scores at the head's stride, the way to the window's size."""

    window: Window
    scores: Whole
    rows: Axis
    columns: Axis


class Windowed:
    """Scores of one view at its own size, averaged over the windows that cover a pixel, made where asked for."""

    def __init__(self, parts: Sequence[Part], *, softmax: bool) -> None:
        self._parts = parts
        self._softmax = softmax
        self.classes = parts[0].scores.classes

    def patch(self, rows: Span, columns: Span) -> torch.Tensor:
        """Scores (rows, C, columns) of a part of the view."""
        total = cover = torch.zeros(0)
        for window, scores, down, across in self._parts:
            top, bottom = max(rows[0], window.top), min(rows[1], window.bottom)
            left, right = max(columns[0], window.left), min(columns[1], window.right)
            if top >= bottom or left >= right:
                continue
            found = resample(
                scores, down, (top - window.top, bottom - window.top),
                across, (left - window.left, right - window.left),
            )  # fmt: skip
            if total.numel() == 0:
                total = found.new_zeros(rows[1] - rows[0], found.shape[1], columns[1] - columns[0])
                cover = found.new_zeros(rows[1] - rows[0], 1, columns[1] - columns[0])
            place = (
                slice(top - rows[0], bottom - rows[0]),
                slice(None),
                slice(left - columns[0], right - columns[0]),
            )
            total[place] += found.softmax(dim=1) if self._softmax else found
            cover[place] += 1
        return total / cover


class Source(Protocol):
    """Anything that has scores in some size and hands out parts."""

    def patch(self, rows: Span, columns: Span) -> torch.Tensor:
        """Scores (rows, C, columns) of a part."""
        ...


class View(NamedTuple):
    """One view's scores and the way to the image's size."""

    scores: Whole | Windowed
    rows: Axis
    columns: Axis


def resample(scores: Source, down: Axis, rows: Span, across: Axis, columns: Span) -> torch.Tensor:
    """Interpolated scores (rows, C, columns) of a part of the output."""
    source_rows, row_weights = down.block(rows)
    source_columns, column_weights = across.block(columns)
    found = scores.patch(source_rows, source_columns)
    height, classes, width = found.shape
    if not across.is_identity:
        found = found.reshape(height * classes, width) @ column_weights.T
        width = columns[1] - columns[0]
    if not down.is_identity:
        found = row_weights @ found.reshape(height, classes * width)
    return found.reshape(-1, classes, width)


def predict_labels(
    model: Any, image: Pixels, protocol: EvalProtocol, *, batch: int = 1, classes: int | None = None
) -> Decision:
    """Label map of one image, made tile by tile: what `inference.predict` decides, without its scores.

    Args:
        model: as for `inference.predict`.
        image: as for `inference.predict`.
        protocol: how the published number was measured.
        batch: network inputs of one size (mirrored views, windows) that run at once.
        classes: how many the network is to score; None for whatever it does.

    Returns:
        labels, margins and runners-up, each (H, W), on the device of the model.

    Raises:
        ValueError: the image is not H x W x 3 uint8, or there are more than `MOST_CLASSES`.
    """
    require_image(image)
    size = compared_size((image.shape[0], image.shape[1]), protocol)
    device = model_device(model)
    with torch.inference_mode():
        network = taking_part(checked(model, classes, protocol), protocol)
        (found,) = scored_views(network, [views(image, protocol, device)], size, protocol, batch)
        return decide(found, size, protocol)


def tile_of(device: torch.device) -> Size:
    """(height, width) of a tile that suits the device."""
    return CPU_TILE if device.type == "cpu" else CUDA_TILE


def decide(found: Sequence[View], size: Size, protocol: EvalProtocol, tile: Size | None = None) -> Decision:
    """Average the views' scores and take the best class, in tiles of `tile` (height, width) pixels.

    Args:
        found: the views of one image, mirrored ones already mirrored back.
        size: the image's (height, width).
        protocol: says what is averaged.
        tile: None for a size that suits the device.
    """
    device = found[0].rows.weights.device
    height, width = tile or tile_of(device)
    decision = undecided(size, device, found[0].scores.classes)
    with exact_float32(device):
        for rows, columns in product(spans(size[0], height), spans(size[1], width)):
            total = _tile(found, rows, columns, protocol)
            for whole, part in zip(decision, _best_two(total, len(found)), strict=True):
                whole[slice(*rows), slice(*columns)] = part
    return decision


def undecided(size: Size, device: torch.device, classes: int) -> Decision:
    """Room for the decision of an image of `size`.

    Raises:
        ValueError: there are more classes than label maps name.
    """
    if classes > MOST_CLASSES:
        raise ValueError(f"expected at most {MOST_CLASSES} classes, found {classes}")
    named = label_type(classes)
    return Decision(
        torch.empty(size, dtype=named, device=device),
        torch.empty(size, dtype=torch.float32, device=device),
        torch.empty(size, dtype=named, device=device),
    )


def spans(length: int, step: int) -> list[Span]:
    """0 to `length` in steps, the last one as short as it must be."""
    return [(start, min(start + step, length)) for start in range(0, length, step)]


def softmax_at_original_size(protocol: EvalProtocol) -> bool:
    """True where every view's interpolated scores become probabilities before they are averaged."""
    return protocol.average == "probabilities" and protocol.softmax_at == "original size"


def _tile(found: Sequence[View], rows: Span, columns: Span, protocol: EvalProtocol) -> torch.Tensor:
    """The sum (rows, C, columns) over the views of what the protocol averages."""
    softmax = softmax_at_original_size(protocol)
    total: torch.Tensor | None = None
    for scores, down, across in found:
        if softmax:
            total = _add_probabilities(total, scores, down, rows, across, columns)
            continue
        part = resample(scores, down, rows, across, columns)
        total = part.clone() if total is None else total.add_(part)
    assert total is not None, "a protocol has at least one scale"
    return total


def _add_probabilities(
    total: torch.Tensor | None, scores: Whole | Windowed, down: Axis, rows: Span, across: Axis, columns: Span
) -> torch.Tensor:
    """`total` plus the softmax over the classes of the interpolated scores.

    A softmax does not change where a pixel's scores are shifted together. Shifting the few source pixels by their
    maxima keeps the interpolated exponentials in range, and saves two passes over the tile. On a GPU the check that
    it did would wait for the device in every tile, and the passes are cheap.
    """
    if down.weights.is_cuda:
        probabilities = resample(scores, down, rows, across, columns).softmax(dim=1)
        return probabilities if total is None else total.add_(probabilities)
    exponentials = resample(_Shifted(scores), down, rows, across, columns).exp_()
    sums = exponentials.sum(dim=1, keepdim=True)
    if not float(sums.min()) > _SAFE_SUM:  # neighbours that are 140 apart, or no numbers
        exponentials, sums = (
            resample(scores, down, rows, across, columns).softmax(dim=1),
            torch.ones_like(sums),
        )
    if total is None:
        return exponentials.div_(sums)
    return total.addcmul_(exponentials, sums.reciprocal_())


class _Shifted:
    """Scores whose best class is 0 at every source pixel."""

    def __init__(self, scores: Whole | Windowed) -> None:
        self._scores = scores

    def patch(self, rows: Span, columns: Span) -> torch.Tensor:
        found = self._scores.patch(rows, columns)
        return found - found.amax(dim=1, keepdim=True)


def _best_two(total: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Labels, margins and runners-up (rows, columns) of a sum (rows, C, columns) over `count` views."""
    best, labels = total.max(dim=1, keepdim=True)
    second, runners_up = total.scatter_(1, labels, float("-inf")).max(dim=1, keepdim=True)
    return labels[:, 0], ((best - second) / count)[:, 0], runners_up[:, 0]


def scored_views(
    model: Model,
    images: Sequence[Iterable[torch.Tensor]],
    size: Size,
    protocol: EvalProtocol,
    batch: int = 1,
) -> list[list[View]]:
    """Run the network over the unmirrored views (1, 3, h, w) of images of one size, views by images.

    `size` is that at which labels are compared; `model` gives the channels that take part (`plain.taking_part`).
    Scores stay at the head's stride. Mirrored views follow their plain ones and are mirrored back. Up to `batch`
    network inputs of one size run at once: windows, mirrored views and neighbouring images.

    Scores of windows are let go one by one as they become views: 21 of 769 x 769 are 119 MB of 150 classes.
    """
    found: list[list[View]] = [[] for _ in images]
    for same_view in zip(*images, strict=True):
        pixels = same_view[0]
        view: Size = (pixels.shape[2], pixels.shape[3])
        whole = padded_size(view, protocol)
        windows = sliding_windows(whole, protocol.window) if protocol.window else [_whole(whole)]
        crops = [crop for one in same_view for crop in _crops(one, windows, protocol)]
        scores = deque(forward(model, crops, batch))
        crops.clear()
        with exact_float32(pixels.device):
            for mine in found:
                mine.extend(_views(windows, scores, view, size, protocol))
    return found


def _crops(pixels: torch.Tensor, windows: Sequence[Window], protocol: EvalProtocol) -> list[torch.Tensor]:
    """The network inputs of one view: its windows, then those of its mirror image."""
    sides = (pixels, pixels.flip(3)) if protocol.flip else (pixels,)
    whole = [padded(side, protocol) for side in sides]
    return [side[:, :, top:bottom, left:right] for side in whole for top, left, bottom, right in windows]


def _views(
    windows: Sequence[Window], scores: deque[torch.Tensor], view: Size, size: Size, protocol: EvalProtocol
) -> Iterator[View]:
    """What `_crops` was for, from the scores that come next, which are taken away."""
    yield _view(windows, _next(scores, len(windows)), view, size, protocol)
    if protocol.flip:
        back = (unflip(found, protocol.flip_pairs) for found in _next(scores, len(windows)))
        places = [_mirrored(window, padded_size(view, protocol)) for window in windows]
        yield _view(places, back, view, size, protocol, mirrored=True)


def _next(scores: deque[torch.Tensor], count: int) -> Iterator[torch.Tensor]:
    return (scores.popleft().float() for _ in range(count))


def _whole(view: Size) -> Window:
    return Window(0, 0, *view)


def _mirrored(window: Window, view: Size) -> Window:
    return Window(window.top, view[1] - window.right, window.bottom, view[1] - window.left)


def _view(
    windows: Sequence[Window],
    scores: Iterator[torch.Tensor],
    view: Size,
    size: Size,
    protocol: EvalProtocol,
    *,
    mirrored: bool = False,
) -> View:
    """Scores (1, C, h, w), one a window, as a view of the size `view` on its way to `size`."""
    first = next(scores)
    device, whole = first.device, padded_size(view, protocol)

    def down(*lengths: int, kept: int | None = None) -> Axis:
        return axis(lengths, protocol, device, kept=kept)

    def across(*lengths: int, kept: int | None = None) -> Axis:
        return axis(lengths, protocol, device, mirrored=mirrored, kept=kept)

    early = protocol.average == "probabilities" and protocol.softmax_at == "window"
    if protocol.window is not None:
        parts = [
            Part(
                window,
                Whole(found[0]),
                down(found.shape[2], window.bottom - window.top),
                across(found.shape[3], window.right - window.left),
            )
            for window, found in zip(windows, chain([first], scores), strict=True)
        ]
        rows = down(whole[0], size[0], kept=view[0])
        return View(Windowed(parts, softmax=early), rows, across(whole[1], size[1], kept=view[1]))
    found = first.softmax(dim=1) if early else first
    height, width = found.shape[2:]
    if protocol.upsampling == "one-step":
        return View(Whole(found[0]), down(height, size[0]), across(width, size[1]))
    rows = down(height, whole[0], size[0], kept=view[0])
    return View(Whole(found[0]), rows, across(width, whole[1], size[1], kept=view[1]))


@contextmanager
def exact_float32(device: torch.device) -> Iterator[None]:
    """Interpolation and averaging in full float32, whatever arithmetic the network runs in."""
    with torch.autocast(device.type, enabled=False):
        if device.type != "cuda":
            yield
            return
        before = torch.backends.cuda.matmul.allow_tf32
        torch.backends.cuda.matmul.allow_tf32 = False
        try:
            yield
        finally:
            torch.backends.cuda.matmul.allow_tf32 = before
