"""Images drawn again: how far an mIoU is a matter of which images were counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .confusion import areas, averaged, by_rule

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from ..protocol import Void
    from .confusion import Matrix

DRAWS = 1000
"""Of whole splits; a share of them then moves by one to two percent."""
_AT_ONCE = 100
"""Draws that are held in memory together."""
_SEED = 0


def image_areas(matrices: Iterable[Matrix], void: Void | None) -> NDArray[np.int64]:
    """(images, 2, C): intersection and union of each image, by a protocol's rule."""
    return np.stack([areas(by_rule(matrix, void))[:2] for matrix in matrices])


def drawn_iou(times: NDArray[Any], images: NDArray[Any]) -> NDArray[np.float64]:
    """(draws, C) IoU in percent when each of the images (images, 2, C) counts so many `times` (draws, images)."""
    intersect, union = (times @ images[:, part] for part in (0, 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        return 100.0 * intersect / union


def drawn_mean(iou: NDArray[np.float64]) -> NDArray[np.float64]:
    """(draws,): mean over the classes that a draw has; NaN where it has none."""
    known = ~np.isnan(iou)
    with np.errstate(invalid="ignore"):
        return np.where(known, iou, 0.0).sum(axis=1) / known.sum(axis=1)


def whole_split(
    counted: NDArray[np.int64], total: int, void: Void | None = None, draws: int = DRAWS
) -> NDArray[np.float64]:
    """(draws,) mIoU in percent that the whole split may have, if the images counted so far stand for the others.

    Each counted image is in once, and every other image is like one of them: drawn from Polya's urn, which begins with
    one ball an image counted. So both are in it, what the others happen to be and that few images tell little of them
    (A. Y. Lo, "A Bayesian bootstrap for a finite population", Annals of Statistics 16, 1988). The draws are always the
    same ones.

    Args:
        counted: (images, 2, C), as of `image_areas`, of at least one image.
        total: images of the split.
        void: classes that the mean is not over.
        draws: how many.
    """
    random, images = np.random.default_rng(_SEED), len(counted)
    kept = averaged(counted.shape[2], void)
    values = counted[:, :, kept].astype(np.float64)  # exact below 2 ** 53, and multiplied by a BLAS
    found = []
    for start in range(0, draws, _AT_ONCE):
        shares = random.dirichlet(np.ones(images), size=min(_AT_ONCE, draws - start))
        times = 1.0 + random.multinomial(total - images, shares)
        found.append(drawn_mean(drawn_iou(times, values)))
    return np.concatenate(found)
