"""Label maps as files and as pictures for people."""

import cv2
import numpy as np

from segbench.evaluate.picture import OPACITY, class_shares, colour_map, coloured, overlay, palette_image
from segbench.zoo.manifest import load_manifest

CLASSES = ("road", "sky", "person")
PALETTE = ((10, 20, 30), (200, 100, 0), (0, 0, 250))


def test_the_colour_map_is_pascal_vocs():
    assert colour_map(21) == load_manifest().datasets["voc2012aug"].palette


def test_a_palette_picture_keeps_indices_and_shows_colours():
    labels = np.array([[0, 1], [2, 2]], np.uint8)
    picture = palette_image(labels, PALETTE)
    assert picture.mode == "P"
    np.testing.assert_array_equal(np.array(picture), labels)
    np.testing.assert_array_equal(np.array(picture.convert("RGB"))[1, 0], PALETTE[2])


def test_more_classes_than_a_palette_holds_are_a_16_bit_picture(tmp_path):
    """Read back by cv2, as whoever uses the file may do."""
    labels = np.array([[0, 255, 256, 846]], np.int16)
    palette_image(labels, colour_map(847)).save(tmp_path / "labels.png")
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "labels.png"), cv2.IMREAD_UNCHANGED), labels)


def test_what_is_no_class_is_black_beside_the_classes_colours():
    labels = np.array([[2, 65535, -1, 3]], np.int32)
    np.testing.assert_array_equal(np.array(coloured(labels, PALETTE)), [[PALETTE[2], *[(0, 0, 0)] * 3]])


def test_shares_are_named_and_sorted():
    labels = np.array([[2, 2, 2, 0]], np.uint8)
    assert class_shares(labels, CLASSES) == {"person": 0.75, "road": 0.25}


def test_an_overlay_mixes_the_photograph_with_its_classes_colours():
    """Left half road over blue, right half person over blue; the legend lies below on white."""
    image = np.zeros((60, 200, 3), np.uint8)
    image[:, :, 0] = 200  # BGR: blue
    labels = np.zeros((60, 200), np.uint8)
    labels[:, 100:] = 2
    pixels = np.array(overlay(image, labels, CLASSES, PALETTE)).astype(float)
    assert pixels.shape[1] == 200
    assert pixels.shape[0] > 60
    blue = np.array([0, 0, 200])
    for column, colour in ((50, PALETTE[0]), (150, PALETTE[2])):
        mixed = blue * (1 - OPACITY) + np.array(colour) * OPACITY
        np.testing.assert_allclose(pixels[30, column], mixed, atol=1.5)
    np.testing.assert_array_equal(pixels[-1, -1], 255)
    assert (pixels[60:] == PALETTE[0]).all(axis=2).any(), "the legend shows the class's full colour"


def test_a_legend_wider_than_the_picture_is_not_cut():
    names = ("a class with quite a long name", "b")
    sheet = overlay(np.zeros((8, 10, 3), np.uint8), np.zeros((8, 10), np.uint8), names, PALETTE[:2])
    assert sheet.width > 10
