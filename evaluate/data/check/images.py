"""Decoded pixels of sampled images that no model can see anything in, or that are not what a photograph is.

Such files are readable and of the right size, so they cost a number its meaning without a word. The usual makers: 12-bit
sensors saved in 16 bits (cv2 keeps the upper byte, which is nearly black), values from 0 to 1 saved as bytes, negatives,
labels or depth maps in the images' place, one channel of three, blur. Thresholds leave night scenes and black borders alone.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from .alignment import Fit, Sky, fit, mirrored_labels, misplaced_sky, sky_of
from .findings import Finding, some

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from ...pixels import Labels, Pixels
    from .findings import Kind

_NEARLY_ALL = 0.995
"""Share of an image's pixels; the rest may be lamps, dead pixels or captions."""
_DARK, _BRIGHT = 32, 223
"""A pixel is nearly black where no channel reaches the one, nearly white where every channel is past the other."""
_SAME = 2
"""Steps that JPEG puts between channels, or pixels, that were equal."""
_SKY = "sky"
_ENOUGH_SKY = 0.02
_DAYLIGHT, _DARKER = 110, 40
"""Mean brightness of what is not sky in a negative by day, and how much darker its sky is than that."""
_ON_TOP = 0.6
"""Share of the sky's columns in which it begins at the upper end; photographs of streets have 0.96 on average."""
_FEW = 3
_CHANNELS = ("blue", "green", "red")
_FAINT, _FULL = 24, 64
"""Range of 99% of a channel: what JPEG leaves in an empty one, and that of another one that is not."""
_NEAR, _FAR = 1, 8
_BLURRED = 0.15
"""Mean step over one pixel to that over eight: 0.29 and more in photographs, 0.15 after a Gaussian of 3 pixels, 1/8 in a slope."""


class Look(NamedTuple):
    """What one decoded image looks like."""

    digest: bytes
    """Digest of its pixels: the same for images that show the same."""
    flat: bool
    dark: bool
    bright: bool
    grey: bool
    """All channels are alike."""
    negative: bool | None
    """Whether the labelled sky is far darker than the rest by day; None where there is too little sky to tell."""
    sky: Sky | None
    """Where the labelled sky begins; None where no class is sky."""
    empty: tuple[str, ...]
    """Channels without content, where another one has some."""
    faint: tuple[str, ...]
    """The same, with what JPEG leaves there."""
    blurred: bool
    """Neighbours differ as little as in a slope."""
    fit: Fit | None
    """Of the label's borders on the image's edges."""


def look_at(pixels: Pixels, classes: Labels, sky: int | None) -> Look:
    """Describe an image (H, W, 3) with its class indices (H, W); `sky` is that class, if there is one."""
    blue, green, red = (pixels[:, :, channel] for channel in range(3))
    highest = np.maximum(np.maximum(blue, green), red)
    lowest = np.minimum(np.minimum(blue, green), red)
    has_sky = sky is not None and _ENOUGH_SKY <= float((classes == sky).mean()) <= 1 - _ENOUGH_SKY
    return Look(
        digest=hashlib.sha256(pixels.tobytes()).digest(),
        flat=all(int(channel.max()) - int(channel.min()) <= _SAME for channel in (blue, green, red)),
        dark=float((highest < _DARK).mean()) >= _NEARLY_ALL,
        bright=float((lowest > _BRIGHT).mean()) >= _NEARLY_ALL,
        grey=bool((highest - lowest <= _SAME).all()),
        negative=_is_negative(pixels, classes == sky) if has_sky else None,
        sky=None if sky is None else sky_of(classes == sky),
        empty=_empty_channels([int(np.ptp(channel)) for channel in (blue, green, red)], _SAME),
        faint=_empty_channels([_range(channel) for channel in (blue, green, red)], _FAINT),
        blurred=_is_blurred(pixels),
        fit=fit(pixels, classes),
    )


def _range(channel: NDArray[np.uint8]) -> int:
    """Between the darkest and the brightest of 99% of the values."""
    counts = np.bincount(channel.ravel(), minlength=256).cumsum() / channel.size
    return int(np.searchsorted(counts, 0.995) - np.searchsorted(counts, 0.005))


def _empty_channels(ranges: Sequence[int], most: int) -> tuple[str, ...]:
    if max(ranges) < _FULL:
        return ()
    return tuple(name for name, found in zip(_CHANNELS, ranges, strict=True) if found <= most)


def _is_blurred(pixels: Pixels) -> bool:
    grey = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)
    if min(grey.shape) <= _FAR:
        return False
    near, far = (
        float(cv2.absdiff(grey[:, step:], grey[:, :-step]).mean())
        + float(cv2.absdiff(grey[step:], grey[:-step]).mean())
        for step in (_NEAR, _FAR)
    )
    return near <= _BLURRED * far


def _is_negative(pixels: Pixels, sky: NDArray[np.bool_]) -> bool:
    brightness = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)
    rest = float(brightness[~sky].mean())
    return rest >= _DAYLIGHT and float(brightness[sky].mean()) <= rest - _DARKER


def sky_class(classes: tuple[str, ...]) -> int | None:
    """The index of the class sky, where there is one of this name."""
    return next((index for index, name in enumerate(classes) if name.lower() == _SKY), None)


def image_findings(looks: Mapping[str, Look]) -> Iterator[Finding]:
    """What the sampled images (by id) look like together."""
    dark = [name for name, look in looks.items() if look.dark]
    bright = [name for name, look in looks.items() if look.bright]
    flat = [name for name, look in looks.items() if look.flat and not (look.dark or look.bright)]
    yield from _unseen("dark images", "are nearly black", dark, looks)
    yield from _unseen("bright images", "are nearly white", bright, looks)
    yield from _unseen("flat images", "are of one colour all over", flat, looks)
    visible = {name: look for name, look in looks.items() if not (look.flat or look.dark or look.bright)}
    yield from _lacking_channels(visible, len(looks))
    if len(visible) >= _FEW and all(look.grey for look in visible.values()):
        yield _odd("grey images", len(looks), "are grey", "networks of the zoo were trained on colour")
    if len(visible) >= _FEW and all(look.blurred for look in visible.values()):
        yield _odd(
            "blurred images",
            len(looks),
            "are blurred: neighbouring pixels differ as little as in a slope",
            "detail that the labels show is lost",
        )
    mirrored = list(mirrored_labels([look.fit for look in visible.values() if look.fit]))
    yield from mirrored or _odd_skies(visible, len(looks))
    yield from identical_images({name: look for name, look in looks.items() if not look.flat})


def _odd_skies(looks: Mapping[str, Look], examined: int) -> Iterator[Finding]:
    """Negatives, told by a sky where skies are; or a sky that is somewhere else, which says nothing of the image."""
    skies = [(look.sky, look.fit) for look in looks.values() if look.sky is not None]
    told = [look for look in looks.values() if look.negative is not None]
    tops = [look.sky.share for look in told if look.sky is not None]
    if len(told) >= _FEW and all(look.negative for look in told) and float(np.mean(tops)) >= _ON_TOP:
        yield _odd(
            "inverted images",
            examined,
            "have a dark sky over bright ground, as negatives do",
            "they look like no training image",
        )
    yield from misplaced_sky(skies)


def _lacking_channels(looks: Mapping[str, Look], examined: int) -> Iterator[Finding]:
    """Images of fewer than three channels: exactly in any, or all of them with what JPEG leaves."""
    lacking = {name: look.empty for name, look in looks.items() if look.empty}
    if len(looks) >= _FEW and all(look.faint for look in looks.values()):
        lacking = {name: look.faint for name, look in looks.items()}
    if lacking:
        channels = " and ".join(dict.fromkeys(channel for some_of in lacking.values() for channel in some_of))
        yield Finding(
            kind="empty channels",
            gravity="error" if len(lacking) == examined else "warning",
            what=f"{len(lacking)} of {examined} sampled images have nothing in {channels}, as cv2 decodes them: {some(lacking)}",
            effect="networks of the zoo were trained on three channels: the number says little about the checkpoint",
            remedy="use the images as their cameras or archive gave them; one channel alone was kept of these",
        )


def _unseen(kind: Kind, what: str, names: list[str], looks: Mapping[str, Look]) -> Iterator[Finding]:
    if names:
        yield Finding(
            kind=kind,
            gravity="error" if len(names) == len(looks) else "warning",
            what=f"{len(names)} of {len(looks)} sampled images {what}, as cv2 decodes them: {some(names)}",
            effect="a network sees nothing in them, and whatever it answers is counted",
            remedy="make sure that these are the images, not labels or depth maps; pictures of 10 to 16 bits must be scaled to "
            "8 bits, values from 0 to 1 to 0 to 255",
        )


def _odd(kind: Kind, count: int, what: str, why: str) -> Finding:
    return Finding(
        kind=kind,
        gravity="warning",
        what=f"all of {count} sampled images {what}",
        effect=f"{why}: the number says little about the checkpoint",
        remedy="use the images as their cameras or archive gave them; nothing to do if they are meant so",
    )


def identical_images(looks: Mapping[str, Look]) -> Iterator[Finding]:
    """Images of several ids that have the same pixels, whatever their files are."""
    ids: dict[bytes, list[str]] = {}
    for name, look in looks.items():
        ids.setdefault(look.digest, []).append(name)
    shared = [names for names in ids.values() if len(names) > 1]
    if shared:
        yield Finding(
            kind="identical images",
            gravity="warning",
            what=f"{sum(map(len, shared))} of {len(looks)} sampled images are another one pixel for pixel, first "
            f"{some(shared[0])}",
            effect="one picture counts several times, with labels that fit one of them at best",
            remedy="copy these images again under their own names; a few archives have such images",
        )


def identical_labels(labels: Mapping[str, Mapping[int, int]], looks: Mapping[str, Look]) -> Iterator[Finding]:
    """Labels (id -> value -> pixels) that are all one and the same, under images that are not."""
    different = len({look.digest for look in looks.values()})
    (first, *others) = labels.values() or [{}]
    if (
        len(labels) >= _FEW
        and different == len(looks)
        and len(first) > 1
        and all(one == first for one in others)
    ):
        yield Finding(
            kind="identical labels",
            gravity="error",
            what=f"all of {len(labels)} sampled labels hold the same number of pixels of each value, under images that differ",
            effect="one label counts for every image",
            remedy="make the labels again; whatever wrote them wrote one under every name",
        )
