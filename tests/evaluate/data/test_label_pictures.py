"""Every depth and mode of a label picture reads as its publishers' own call reads it, or is refused by name."""

import hashlib
import struct

import cv2
import numpy as np
import pytest
from PIL import Image
from raw_png import GREY_ALPHA, PALETTE, RGB, RGBA, chunk, palette, png

from segbench.evaluate import LabelFiles
from segbench.evaluate.data.datasets import DatasetError, Sample, content_sha256
from segbench.evaluate.data.label_pictures import why_no_labels
from segbench.evaluate.pixels import read_label

PLAIN = LabelFiles(folder="labels", suffix=".png")
COLOURS = [(128, 64, 128), (244, 35, 232), (70, 70, 70), (0, 0, 142)]
ANCILLARY = {
    "alone": b"",
    "gAMA": chunk(b"gAMA", struct.pack(">I", 45455)),
    "sRGB": chunk(b"sRGB", b"\0"),
    "sBIT": chunk(b"sBIT", b"\1"),
    "tRNS": chunk(b"tRNS", struct.pack(">H", 0)),
}


def grid(top, height=11, width=13):
    """Rows of samples that reach from 0 to `top`."""
    return [[(3 * row + column) % (top + 1) for column in range(width)] for row in range(height)]


def written(tmp_path, data, name="label.png"):
    path = tmp_path / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("extra", ANCILLARY)
@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_grey_is_what_cv2_reads(tmp_path, depth, extra, interlaced):
    """1-bit white is 255 as in the 8-bit file it was made from; Pillow's own 1-bit pictures hold True, which is 1."""
    path = written(tmp_path, png(grid(2**depth - 1), depth, before=ANCILLARY[extra], interlaced=interlaced))
    expected = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    assert expected.max() == 255 or depth == 8
    np.testing.assert_array_equal(read_label(path, PLAIN, 255, 19), expected)


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("transparency", [b"", chunk(b"tRNS", b"\0\x80")])
@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_a_palette_gives_indices_as_mmsegmentations_pillow_does(tmp_path, depth, transparency, interlaced):
    colours = COLOURS[: 2**depth]
    path = written(
        tmp_path,
        png(
            grid(len(colours) - 1),
            depth,
            PALETTE,
            before=palette(colours) + transparency,
            interlaced=interlaced,
        ),
    )
    with Image.open(path) as picture:
        expected = np.array(picture)
    np.testing.assert_array_equal(expected, grid(len(colours) - 1))
    np.testing.assert_array_equal(read_label(path, PLAIN, 255, 19), expected)


def test_sixteen_bits_hold_more_than_256_classes(tmp_path):
    path = written(tmp_path, png([[0, 300, 846, 65535]], 16))
    expected = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(read_label(path, PLAIN, 65535, 847), expected)


def test_sixteen_bits_of_few_classes_are_what_mmsegmentation_reads(tmp_path):
    path = written(tmp_path, png([[0, 18, 255]], 16))
    with Image.open(path) as picture:
        expected = np.array(picture).astype(np.uint8)
    np.testing.assert_array_equal(read_label(path, PLAIN, 255, 19), expected)


def test_a_big_endian_tiff_is_read(tmp_path):
    values = np.array([[0, 846], [300, 65535]], ">u2")
    Image.frombytes("I;16B", (2, 2), values.tobytes()).save(tmp_path / "label.tif")
    expected = cv2.imread(str(tmp_path / "label.tif"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(read_label(tmp_path / "label.tif", PLAIN, 65535, 847), expected)


TURNED = chunk(b"eXIf", b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x03\0\0\0\0\0\0")
REFUSED = {
    "colour": (png([[(1, 2, 3)]], 8, RGB), "labels are a RGB colour picture, expected class indices in one"),
    "grey as colour": (png([[(1, 1, 1)]], 8, RGB), "labels are a RGB colour picture"),
    "colour of 16 bits": (png([[(1, 2, 3)]], 16, RGB), "labels are a RGB colour picture"),
    "colour with alpha": (png([[(1, 2, 3, 255)]], 8, RGBA), "labels are a RGBA colour picture"),
    "grey with alpha": (png([[(1, 255)]], 8, GREY_ALPHA), "labels are a LA with transparency picture"),
    "upside down": (png([[0], [1]], 8, before=TURNED), "labels carry an EXIF rotation, which cv2"),
    "a palette of greys": (
        png([[0, 1, 2]], 2, PALETTE, before=palette([(3,) * 3, (7,) * 3, (255,) * 3])),
        "its palette holds other greys (3, 7, 255) than the indices 0 to 2, as lossless optimisers write",
    ),
    "one grey": (png([[0]], 1, PALETTE, before=palette([(5,) * 3])), "its palette holds other greys (5)"),
    "8 bits times 257": (
        png([[0, 257, 65535]], 16),
        (
            "16-bit labels hold 65535, though 19 classes and the ignored 255 need 8 bits: mmsegmentation reads the "
            "remainder by 256 (255), sssegmentation the upper byte (255)"
        ),
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_publishers_would_not_read_alike_is_refused(tmp_path, name):
    data, message = REFUSED[name]
    path = written(tmp_path, data)
    with pytest.raises(DatasetError) as error:
        read_label(path, PLAIN, 255, 19)
    assert str(error.value).startswith(f"{path}: {message}")


@pytest.mark.parametrize("value", [300, 70000])
def test_values_of_32_bits_are_not_called_16(tmp_path, value):
    Image.fromarray(np.array([[0, value]], np.int32)).save(tmp_path / "label.tif")
    with pytest.raises(DatasetError) as error:
        read_label(tmp_path / "label.tif", PLAIN, 255, 19)
    assert str(error.value).startswith(
        f"{tmp_path / 'label.tif'}: labels hold {value}, though 19 classes and the ignored 255 need 8 bits: mmsegmentation "
        f"reads the remainder by 256 ({value % 256}); "
    )


def test_ids_that_are_mapped_are_held_to_8_bits_as_well(tmp_path):
    """Otherwise 300 would be void, though the publishers read 44."""
    path = written(tmp_path, png([[7, 300]], 16))
    with pytest.raises(DatasetError, match="16-bit labels hold 300"):
        read_label(path, LabelFiles(folder="", suffix="", value_map={7: 0, 33: 1}), 255, 19)
    form = LabelFiles(folder="", suffix="", value_map={7: 0, 300: 1})
    np.testing.assert_array_equal(read_label(path, form, 255, 19), [[0, 1]])


def test_one_bit_masks_of_two_classes_are_refused(tmp_path):
    """Here white is class 1 for Pillow and the ignored 255 for cv2, and both make sense."""
    path = written(tmp_path, png([[0, 1]], 1))
    with pytest.raises(DatasetError, match=r"white in 1 bit is 255 for cv2 .* and class 1 for Pillow"):
        read_label(path, PLAIN, 255, 2)


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".pgm"])
def test_containers_that_change_indices_are_refused(tmp_path, suffix):
    """By content: a JPEG named .png is still one."""
    Image.fromarray(np.array([[0, 1], [2, 3]], np.uint8)).save(tmp_path / f"label{suffix}")
    path = (tmp_path / f"label{suffix}").rename(tmp_path / "label.png")
    with pytest.raises(DatasetError, match=r"labels are (stored as|a RGB)"):
        read_label(path, PLAIN, 255, 19)


def test_a_grey_ramp_is_an_ordinary_palette(tmp_path):
    """Each index has its own grey: both publishers read the same."""
    picture = Image.fromarray(np.array([[0, 5, 255]], np.uint8))
    picture.putpalette([grey for grey in range(256) for _ in range(3)])
    picture.save(tmp_path / "label.png")
    np.testing.assert_array_equal(read_label(tmp_path / "label.png", PLAIN, 255, 19), [[0, 5, 255]])


def test_counts_of_the_former_reading_are_not_used_again(tmp_path):
    """A 1-bit label was once read as 0 and 1, so its content has another name now than its bytes alone."""
    names = {}
    for depth in (1, 8):
        image, label = written(tmp_path, b"image", "image"), written(tmp_path, png([[0, 1]], depth))
        digest = hashlib.sha256()
        for path in (image, label):
            data = path.read_bytes()
            digest.update(len(data).to_bytes(8, "little") + data)
        names[depth] = content_sha256(Sample(id="x", image=image, label=label)) == digest.hexdigest()
    assert names == {1: False, 8: True}


def test_fractions_are_called_fractions():
    assert why_no_labels(Image.new("F", (2, 2))) == (
        "labels are decimal fractions (Pillow's mode F), expected whole class indices in one channel"
    )


def _saved_greys(path, convert=lambda picture: picture):
    """Labels 0, 1, 2, 4, 5 and 255 in grey, as Pillow itself writes them into another container."""
    values = np.array([[0, 1, 2, 4, 5, 255]] * 6, np.uint8)
    convert(Image.fromarray(values)).save(path)
    return path


@pytest.mark.parametrize("name", ["a.gif", "a.bmp", "a.tif", "padded.png", "one_red.png", "nearly.png"])
def test_greys_that_became_a_palette_are_refused_in_every_container(tmp_path, name):
    """cv2 reads their greys, Pillow other indices: no publisher's number follows from such a file."""
    entries = {
        "padded.png": [(grey,) * 3 for grey in (255, 5, 4, 2, 1, 0)] + [(0, 0, 0)] * 250,
        "one_red.png": [(grey,) * 3 for grey in (255, 5, 4, 2, 1, 0)] + [(255, 0, 0)],
        "nearly.png": [(255, 255, 254), *((grey,) * 3 for grey in (5, 4, 2, 1, 0))],
    }
    if name in entries:
        picture = Image.fromarray(np.array([[0, 1, 2, 3, 4, 5]] * 6, np.uint8)).convert("P")
        picture.putpalette([channel for entry in entries[name] for channel in entry])
        picture.save(tmp_path / name)
    else:
        quantized = name != "a.gif"
        _saved_greys(tmp_path / name, lambda picture: picture.quantize() if quantized else picture)
    with pytest.raises(DatasetError, match=r"greys .*cv2 \(sssegmentation\) reads the greys"):
        read_label(tmp_path / name, LabelFiles(folder="", suffix=""), 255)


def test_a_picture_that_shows_only_the_greys_of_a_coloured_palette_is_read(tmp_path):
    """Cityscapes' building and pole are greys among colours."""
    colours = [
        (128, 64, 128),
        (244, 35, 232),
        (70, 70, 70),
        (102, 102, 156),
        (190, 153, 153),
        (153, 153, 153),
    ]
    picture = Image.fromarray(np.array([[2, 5]] * 4, np.uint8)).convert("P")
    picture.putpalette([channel for colour in colours for channel in colour])
    picture.save(tmp_path / "a.png")
    assert read_label(tmp_path / "a.png", LabelFiles(folder="", suffix=""), 255).tolist() == [[2, 5]] * 4
