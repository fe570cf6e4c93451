"""Sizes and windows against mmsegmentation's own figures and against what must hold for any size."""

import msgspec
import numpy as np
import pytest
import torch
from torchvision.transforms import functional

from segbench.evaluate import EvalProtocol, SlidingWindow
from segbench.evaluate.geometry import fitted_size, resizes, sliding_windows, view_size

RATIOS = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)


def test_every_recorded_size_is_reproduced(golden):
    """All views of 74 image sizes, single scale, 0.x ms+flip and 1.x --tta, equal mmsegmentation's to the pixel."""
    cases = golden("mmseg/resize_sizes.json")
    found, expected = [], []
    for case in cases:
        size = (case["h"], case["w"])
        base = tuple(case["base"]) if case["base"] else None
        fitted = EvalProtocol(base_scale=base)
        tta = EvalProtocol(base_scale=None, views="image_scale")
        forms = {"single": (fitted, (1.0,)), "ms_0x": (fitted, RATIOS), "ms_1x": (tta, RATIOS)}
        for form, (protocol, ratios) in forms.items():
            if form in case:
                sizes = [list(view_size(size, protocol, ratio)[::-1]) for ratio in ratios]
                found.append(sizes[0] if form == "single" else sizes)
                expected.append(case[form])
    assert len({(case["h"], case["w"]) for case in cases}) == 74
    assert found == expected


def test_half_a_pixel_rounds_up():
    """1024 * 2049 / 2048 = 1024.5 becomes 1025; Python's round() would say 1024."""
    assert fitted_size((1024, 2048), (2049, 1025)) == (1025, 2049)


def test_stretching_ignores_the_ratio():
    """LIP's images are stretched to the scale itself."""
    assert fitted_size((200, 50), (473, 470), keep_ratio=False) == (470, 473)


@pytest.mark.slow
def test_a_cut_side_is_torchvisions():
    """Short side 520, with and without a limit of the long one, of 9,000 sizes."""
    found, theirs = set(), set()
    for size in [(short, long) for short in range(40, 640, 20) for long in range(60, 900, 3)]:
        picture = torch.empty(1, *size, device="meta")
        for limit in (None, 900):
            if limit is None or max(size) > min(size):
                resized = functional.resize(picture, [520], max_size=limit, antialias=True)
                theirs.add((size, limit, tuple(resized.shape[1:])))
                found.add((size, limit, fitted_size(size, (limit or 32767, 520), rounding="down")))
    assert found == theirs


@pytest.mark.parametrize("divisor", [32, 48])
def test_a_second_resize_rounds_each_side_up_as_mmcv_does(divisor):
    """`int(np.ceil(side / divisor)) * divisor`, of the size that the first resize gives; each view has its own."""
    for size in [(height, width) for height in range(60, 700, 37) for width in range(60, 900, 41)]:
        fitted = EvalProtocol(base_scale=(2048, 512))
        twice = msgspec.structs.replace(fitted, resize_divisor=divisor)
        for ratio in (0.5, 1.0, 1.75):
            first = view_size(size, fitted, ratio)
            expected = tuple(int(np.ceil(side / divisor)) * divisor for side in first)
            assert resizes(size, twice, ratio) == (first, expected)
            assert view_size(size, twice, ratio) == expected


def test_a_769_view_of_cityscapes_has_eight_windows():
    """The published Cityscapes 769x769 rows run 4 x 2 windows on 2049 x 1025 (facts of mmseg 0.18)."""
    windows = sliding_windows((1025, 2049), SlidingWindow(crop=(769, 769), stride=(513, 513)))
    lefts = [0, 513, 1026, 1280]
    assert windows == [(top, left, top + 769, left + 769) for top in (0, 256) for left in lefts]


@pytest.mark.parametrize("size", [(40, 30), (65, 65), (64, 200), (97, 129), (513, 70)])
def test_windows_cover_every_pixel_and_stay_inside(size):
    """No pixel is left out, no window leaves the input or is smaller than it must be."""
    crop, stride = (65, 64), (43, 31)
    covered = set()
    for top, left, bottom, right in sliding_windows(size, SlidingWindow(crop=crop, stride=stride)):
        assert top >= 0
        assert left >= 0
        assert (bottom, right) <= size
        assert (bottom - top, right - left) == (min(crop[0], size[0]), min(crop[1], size[1]))
        covered |= {(y, x) for y in range(top, bottom) for x in range(left, right)}
    assert len(covered) == size[0] * size[1]
