"""What sampled images look like, and what is left alone: night, grey among colour, black borders."""

import numpy as np
import pytest

from segbench.evaluate.data.check.images import image_findings, look_at, sky_class

SKY, ROAD = 1, 0
RNG = np.random.default_rng(0)


def scene(sky, ground, labelled=SKY):
    """A textured picture with a sky and a ground of these brightnesses, and its labels."""
    pixels = RNG.integers(0, 30, (40, 60, 3)).astype(np.uint8)
    pixels[:20] += sky
    pixels[20:] += ground
    classes = np.full((40, 60), ROAD)
    classes[:20] = labelled
    return pixels, classes


def kinds(*scenes):
    looks = {str(number): look_at(*one, SKY) for number, one in enumerate(scenes)}
    return [finding.kind for finding in image_findings(looks)]


def test_negatives_are_told_by_their_sky():
    assert kinds(*[scene(30, 200)] * 3)[:1] == ["inverted images"]
    assert kinds(*(scene(30, 200) for _ in range(3))) == ["inverted images"]


@pytest.mark.parametrize(
    ("sky", "ground", "labelled"),
    [(200, 90, SKY), (10, 60, SKY), (30, 200, ROAD)],
    ids=["day", "night", "no sky labelled"],
)
def test_ordinary_scenes_are_not(sky, ground, labelled):
    assert kinds(*(scene(sky, ground, labelled) for _ in range(3))) == []


def test_one_scene_of_day_among_them_clears_all():
    assert kinds(scene(30, 200), scene(30, 200), scene(200, 90)) == []


def test_a_dark_picture_with_a_lamp_is_night():
    pixels, classes = scene(0, 0)
    pixels[:3, :8] = 255  # one percent
    assert kinds((pixels, classes)) == []


def test_grey_pictures_among_coloured_ones_are_ordinary():
    grey = scene(200, 90)
    grey[0][:] = grey[0][:, :, :1]
    assert kinds(grey, scene(200, 90), scene(200, 90)) == []


def test_the_same_pixels_under_two_names_are_told():
    one = scene(200, 90)
    assert kinds(one, one, scene(200, 90)) == ["identical images"]


def test_the_sky_is_found_by_its_name():
    assert (sky_class(("road", "Sky")), sky_class(("road", "skyscraper"))) == (1, None)
