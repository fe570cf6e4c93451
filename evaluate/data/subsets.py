"""Which images stand for a whole split where not all can be looked at, and which are whose."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

T = TypeVar("T")


def spread(items: Sequence[T], count: int) -> list[T]:
    """At most `count` items at even distances, the first and the last among them."""
    if len(items) <= count:
        return list(items)
    if count < 2:
        return list(items[:count])
    return [items[round(place * (len(items) - 1) / (count - 1))] for place in range(count)]


def in_even_order(items: Sequence[T]) -> list[T]:
    """The same items in bit-reversed order of their places: any number of first ones lies evenly among them."""
    return [items[place] for place in _bit_reversed(len(items))]


def slice_of(items: Sequence[T], index: int, count: int) -> list[T]:
    """Slice `index` of `count`, from 1: every `count`-th item, so that slices take equally long."""
    return list(items[index - 1 :: count])


def pinned_order(areas: Mapping[str, NDArray[np.int64]]) -> list[str]:
    """A split's ids in the one order whose first N are its subset of N images.

    The rule: first the classes are covered. From the class that the fewest images hold to the most frequent one
    (of equals the lower index first), a class that no chosen image holds yet adds the image with the most pixels
    of it (of equals the first id). Then come the remaining ids, sorted, in bit-reversed order of their places:
    any number of them lies evenly in the list. A larger subset contains every smaller one.

    The first images are chosen for their classes: a small subset is good to find a fault, and says little about
    the number on the full split (which it is never compared with).

    Args:
        areas: id -> pixels of each class, (C + 1,), those outside the classes last.
    """
    ids = sorted(areas)
    covering = _covering(ids, np.stack([areas[name][:-1] for name in ids])) if ids else []
    chosen = {ids[place] for place in covering}
    rest = [name for name in ids if name not in chosen]
    return [*(ids[place] for place in covering), *in_even_order(rest)]


def _covering(ids: Sequence[str], pixels: NDArray[np.int64]) -> list[int]:
    """Places of the images that together hold every class there is; `pixels` is (N, C)."""
    holders = (pixels > 0).sum(axis=0)
    covered = np.zeros(pixels.shape[1], dtype=bool)
    chosen: list[int] = []
    for index in np.argsort(holders, kind="stable"):
        if holders[index] and not covered[index]:
            place = int(pixels[:, index].argmax())
            chosen.append(place)
            covered |= pixels[place] > 0
    assert len(set(chosen)) == len(chosen) <= len(ids), "a chosen image covers its classes"
    return chosen


def _bit_reversed(count: int) -> list[int]:
    """0 to count - 1 in the order of their mirrored bits (van der Corput's sequence)."""
    bits = max(count - 1, 0).bit_length()
    places = (int(f"{place:0{bits}b}"[::-1], 2) if bits else 0 for place in range(1 << bits))
    return [place for place in places if place < count]
