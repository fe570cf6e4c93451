"""Do labels lie on their images? Borders between classes run along edges of the picture, mirrored ones do not.

Measured on right data (the demo's twelve scenes, 267 street photographs of CamVid): the picture's edges are twice to
three times as strong on borders of the label as off them, and no mirrored label reaches the right one's figure in more
than one image of two hundred. Which classes the label says is not looked at, but for where the sky begins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from .findings import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from ...pixels import Labels, Pixels

_SIDE = 512
"""Pixels of the longer side that are looked at: every n-th row and column of a larger picture."""
_STRONGEST = 64
"""Steps of brightness from which on an edge counts no more: a lamp must not outweigh a scene."""
_FOLLOWS = 1.3
"""A fit from which on a label lies on its image."""
_CLEARLY_BETTER = 1.25
_NEARLY_ALL = 0.9
_FEW = 3
_MIRRORS = {"left to right": (1,), "upside down": (0,), "by half a turn": (0, 1)}
"""Words -> axes that are turned round."""
_TOP = 0.05
"""Of the height: borders that are ignored, captions."""
_HARDLY_EVER = 0.1
_SOME_SKY = 0.02
"""Of the columns of all images: from here on where it lies is told."""


class Fit(NamedTuple):
    """How much stronger a picture's edges are on the borders of its label than elsewhere, as a ratio."""

    own: float
    mirrored: tuple[float, ...]
    """The same for the label turned round, one for each of `_MIRRORS`."""


def fit(pixels: Pixels, classes: Labels) -> Fit | None:
    """Of an image (H, W, 3) and its class indices (H, W); None where there are no borders or no edges to compare."""
    step = max(1, max(classes.shape) // _SIDE)
    grey = cv2.cvtColor(np.ascontiguousarray(pixels[::step, ::step]), cv2.COLOR_BGR2GRAY).astype(np.float32)
    edges = np.minimum(np.maximum(*(np.abs(np.gradient(grey, axis=axis)) for axis in (0, 1))), _STRONGEST)
    borders = _borders(classes[::step, ::step])
    ratios = [_contrast(edges, np.flip(borders, axes)) for axes in ((), *_MIRRORS.values())]
    return Fit(ratios[0], tuple(ratios[1:])) if all(ratios) else None


def _borders(classes: Labels) -> NDArray[np.bool_]:
    """True on both sides of every change of class."""
    borders = np.zeros(classes.shape, bool)
    across, down = classes[:, 1:] != classes[:, :-1], classes[1:] != classes[:-1]
    borders[:, 1:] |= across
    borders[:, :-1] |= across
    borders[1:] |= down
    borders[:-1] |= down
    return borders


def _contrast(edges: NDArray[np.float32], borders: NDArray[np.bool_]) -> float:
    """Mean edge on the borders over that off them; 0 where one of the two does not exist."""
    if not borders.any() or borders.all():
        return 0.0
    elsewhere = float(edges[~borders].mean())
    return float(edges[borders].mean()) / elsewhere if elsewhere else 0.0


def mirrored_labels(fits: Sequence[Fit]) -> Iterator[Finding]:
    """Labels that lie on their images only once turned round, in nearly every image and by far on average."""
    if len(fits) < _FEW:
        return
    gains = np.array([[mirrored / one.own for mirrored in one.mirrored] for one in fits])
    typical = np.exp(np.log(gains).mean(axis=0))
    best = int(typical.argmax())
    better = int((gains[:, best] > 1).sum())
    if typical[best] >= _CLEARLY_BETTER and better >= _NEARLY_ALL * len(fits):
        yield Finding(
            kind="mirrored labels",
            gravity="warning",
            what=f"in {better} of {len(fits)} sampled images the label's borders lie on stronger edges of the image once the "
            f"label is turned {list(_MIRRORS)[best]}, by a factor of {typical[best]:.1f} on average",
            effect="images and labels do not show the same: a model right in every pixel would be counted wrong",
            remedy="look at one image with its label; turn one of the two back, or take both from the archive",
        )


class Sky(NamedTuple):
    """Where the labelled sky of an image begins, in columns of it."""

    on_top: int
    """At the upper end of the image."""
    columns: int
    """That hold any."""
    width: int

    @property
    def share(self) -> float:
        """Of the columns that hold sky, those in which it begins at the upper end."""
        return self.on_top / max(1, self.columns)


def sky_of(sky: NDArray[np.bool_]) -> Sky:
    """Of a mask (H, W)."""
    first = sky.argmax(axis=0)[sky.any(axis=0)]
    return Sky(int((first <= _TOP * len(sky)).sum()), len(first), sky.shape[1])


def misplaced_sky(skies: Sequence[tuple[Sky, Fit | None]]) -> Iterator[Finding]:
    """Sky that begins below something else in nearly every column, though its label lies on its image.

    Args:
        skies: `sky_of` and `fit` of every image; small skies count too, by their columns, for what is labelled sky by
            mistake may be small.
    """
    told = [sky for sky, fit in skies if sky.columns and fit and fit.own >= _FOLLOWS]
    whole = Sky(*(sum(counts) for counts in zip(*told, strict=True))) if told else Sky(0, 0, 0)
    enough = len(told) >= _FEW and whole.columns >= _SOME_SKY * whole.width
    if enough and whole.share <= _HARDLY_EVER:
        yield Finding(
            kind="misplaced sky",
            gravity="warning",
            what=f"what is labelled sky begins below something else in {len(told)} sampled images, in "
            f"{100 * (1 - whole.share):.0f}% of its columns",
            effect="where the values mean other classes than the data set's list says, a model right in every pixel is counted wrong",
            remedy="look at one image with its label, and compare the order of the classes with that of whoever made the labels",
        )
