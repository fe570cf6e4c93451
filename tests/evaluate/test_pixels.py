"""Pixels equal the publishers' to the byte, and damaged files are named instead of guessed at."""

import os
import re
import zlib
from concurrent.futures import ThreadPoolExecutor

import cv2
import msgspec
import numpy as np
import pytest
import torch
from PIL import Image
from raw_png import GREY_ALPHA, PALETTE, RGB, RGBA, chunk, palette, png
from scipy.io import savemat

from segbench.evaluate import EvalProtocol, LabelFiles
from segbench.evaluate.data.datasets import DatasetError
from segbench.evaluate.geometry import fitted_size
from segbench.evaluate.inference.plain import normalise, views
from segbench.evaluate.pixels import map_values, read_image, read_label, resize, resize_labels
from segbench.zoo.demo import STREETS

MMSEG = EvalProtocol(base_scale=None)
SSSEG = EvalProtocol(base_scale=(192, 96), views="tensor", normalisation="float64 multiplication")
PLAIN = LabelFiles(folder="annotations", suffix=".png")


@pytest.fixture
def prep(golden):
    """A scene of the demo as mmcv 2.1.0 reads it, and what mmsegmentation makes of a part of it."""
    return golden("mmseg/prep_1.x.npz")


def test_a_jpeg_decodes_to_the_publishers_bytes(prep):
    np.testing.assert_array_equal(read_image(STREETS / "images/val/street_002.jpg"), prep["decoded"])


@pytest.mark.parametrize("ratio", ["0.5", "0.75", "1.25", "1.75"])
def test_resizing_gives_the_publishers_bytes(prep, ratio):
    expected = prep[f"resized_{ratio}"]
    np.testing.assert_array_equal(resize(prep["crop"], expected.shape[:2]), expected)


def test_a_second_resize_to_multiples_gives_the_publishers_bytes(golden):
    """ResizeToMultiple of mmsegmentation after its Resize, at both ratios; one resize to that size gives other pixels."""
    recorded, pictures = golden("mmseg/resized_twice.npz"), golden("pictures.npz")
    plain = {"base_scale": (192, 64), "channels": "BGR", "mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
    protocol = EvalProtocol(**plain, resize_divisor=32, scales=(1.0, 1.25))
    for name in "bc":
        found = views(pictures[name], protocol, torch.device("cpu"))
        for ratio, view in zip(protocol.scales, found, strict=True):
            expected = recorded[f"{name}_{ratio:g}"]
            np.testing.assert_array_equal(view[0].permute(1, 2, 0).numpy(), expected)
    assert (resize(pictures["b"], recorded["b_1"].shape[:2]) != recorded["b_1"]).any()


def test_normalisation_is_bit_identical(golden, prep):
    """Version 0.x of mmseg normalises in cv2, 1.x in torch; ours equals both in every bit."""
    ours = normalise(prep["crop"], MMSEG, torch.device("cpu"))[0].permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(ours, prep["normalised_1.x"])
    np.testing.assert_array_equal(ours, golden("mmseg/prep_0.x.npz")["normalised"])


def test_ssseg_resizes_to_the_same_bytes(golden):
    """The Resize of sssegmentation: fits that keep the ratio and LIP's stretch, equal to the byte."""
    recorded, pictures = golden("ssseg/pipeline.npz"), golden("pictures.npz")
    resized = [key for key in recorded if key.startswith("resized_")]
    assert len(resized) == 4
    for key in resized:
        name, width, height, fit = re.fullmatch(r"resized_(\w)_(\d+)x(\d+)_(\w+)", key).groups()
        size = fitted_size(pictures[name].shape[:2], (int(width), int(height)), keep_ratio=fit == "keep")
        np.testing.assert_array_equal(resize(pictures[name], size), recorded[key])


@pytest.mark.parametrize("picture", ["a_192x96_keep", "d_192x96_keep"])
def test_ssseg_normalises_to_the_same_bits(golden, picture):
    recorded = golden("ssseg/pipeline.npz")
    ours = normalise(recorded[f"resized_{picture}"], SSSEG, torch.device("cpu"))
    np.testing.assert_array_equal(ours[0].numpy(), recorded[f"input_{picture}"])


def test_ssseg_views_are_interpolated_tensors(golden):
    """Its multi-scale inputs come from the normalised tensor by scale_factor, not from a new resize: width 171."""
    recorded = golden("ssseg/pipeline.npz")
    protocol = msgspec.structs.replace(SSSEG, scales=(0.5, 1.0, 1.75))
    found = views(golden("pictures.npz")["d"], protocol, torch.device("cpu"))
    for view, ratio in zip(found, protocol.scales, strict=True):
        # Interpolation kernels differ in the last bits between torch builds; size= instead of scale_factor=
        # would be off by whole grey levels.
        np.testing.assert_allclose(view.numpy(), recorded[f"view_{ratio}"], atol=1e-5)


def test_ade20k_labels_lose_their_zero():
    values = np.array([[0, 1, 150, 255]], dtype=np.uint8)
    form = LabelFiles(folder="annotations", suffix=".png", reduce_zero=True)
    np.testing.assert_array_equal(map_values(values, form, 255), [[255, 0, 149, 255]])


def test_unnamed_values_of_a_map_are_ignored():
    values = np.array([[7, 8, 6, 255]], dtype=np.uint8)
    form = LabelFiles(folder="gtFine", suffix=".png", value_map={7: 0, 8: 1})
    np.testing.assert_array_equal(map_values(values, form, 255), [[0, 1, 255, 255]])


def test_palette_pictures_are_read_as_indices(tmp_path):
    indices = np.array([[0, 1], [2, 255]], dtype=np.uint8)
    picture = Image.fromarray(indices)
    picture.putpalette([value for index in range(256) for value in (index, 0, 255 - index)])
    picture.save(tmp_path / "label.png")
    np.testing.assert_array_equal(read_label(tmp_path / "label.png", PLAIN, 255), indices)


def test_a_colour_picture_is_no_label(tmp_path):
    path = tmp_path / "label.png"
    Image.fromarray(np.zeros((2, 2, 3), np.uint8)).save(path)
    with pytest.raises(DatasetError) as error:
        read_label(path, PLAIN, 255)
    assert str(error.value) == (
        f"{path}: labels are a RGB colour picture, expected class indices in one channel; "
        "use the data set's own label files, or save them as one channel of class indices (PNG of 8 or 16 bits)"
    )


IMAGES = {
    "1-bit grey": png([[0, 1]], 1),
    "4-bit grey": png([[0, 15]], 4),
    "16-bit grey": png([[300, 65535]], 16),
    "16-bit colour": png([[(300, 65535, 2)]], 16, RGB),
    "palette": png([[0, 1]], 2, PALETTE, before=palette([(9, 8, 7), (1, 2, 3)])),
    "clear palette": png(
        [[0, 1]], 2, PALETTE, before=palette([(9, 8, 7), (1, 2, 3)]) + chunk(b"tRNS", b"\0")
    ),
    "alpha": png([[(1, 2, 3, 0), (4, 5, 6, 255)]], 8, RGBA),
    "grey with alpha": png([[(1, 0), (4, 255)]], 8, GREY_ALPHA),
    "gamma": png([[(100, 150, 200)]], 8, RGB, before=chunk(b"gAMA", b"\0\0\x27\x10")),
    "interlaced": png(
        [[(row, column, 9) for column in range(9)] for row in range(9)], 8, RGB, interlaced=True
    ),
}


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_of_any_mode_is_what_the_publishers_call_gives(tmp_path, name):
    path = tmp_path / "image.png"
    path.write_bytes(IMAGES[name])
    np.testing.assert_array_equal(read_image(path), cv2.imread(str(path), cv2.IMREAD_COLOR))


@pytest.mark.parametrize("mode", ["L", "CMYK", "RGB"])
def test_a_turned_jpeg_of_any_mode_is_what_the_publishers_call_gives(tmp_path, mode):
    exif = Image.Exif()
    exif[0x0112] = 6
    noise = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    Image.fromarray(noise).convert(mode).save(tmp_path / "image.jpg", exif=exif)
    expected = cv2.imread(str(tmp_path / "image.jpg"), cv2.IMREAD_COLOR)
    assert expected.shape == (32, 24, 3)
    np.testing.assert_array_equal(read_image(tmp_path / "image.jpg"), expected)


@pytest.mark.parametrize("extension", [".jpg", ".png"])
def test_a_truncated_image_is_named(tmp_path, extension):
    """cv2 alone would fill the missing half of the JPEG with grey and report nothing."""
    noise = np.random.RandomState(0).randint(0, 256, (64, 64, 3), dtype=np.uint8)
    data = cv2.imencode(extension, noise)[1].tobytes()
    path = tmp_path / f"image{extension}"
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(DatasetError, match="the image has no proper end, and Pillow says: "):
        read_image(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the image file is empty; copy it again"),
        (
            b"<html>",
            "not an image that cv2 can decode (6 bytes); where another program opens it, save it anew there, else copy it again",
        ),
        (None, "cannot read the image: No such file or directory"),
    ],
)
def test_what_is_no_image_is_named(tmp_path, content, message):
    path = tmp_path / "image.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DatasetError) as error:
        read_image(path)
    assert str(error.value) == f"{path}: {message}"


def test_an_image_that_becomes_no_pixels_high_is_told():
    """The publishers' rule gives a 5000 x 1 picture no width at all."""
    with pytest.raises(DatasetError, match="an image of 1 x 5000 pixels would become 0 x 2048"):
        resize(np.zeros((1, 5000, 3), np.uint8), (0, 2048))


@pytest.mark.parametrize(
    "array",
    [
        np.array([["a", 1]], dtype=object),
        np.zeros((2, 2, 2)),
        np.array([[np.nan, 1.0]]),
        np.array([[0.5, 1.0]]),
    ],
)
def test_a_matlab_array_that_is_no_label_map_is_told(tmp_path, array):
    savemat(tmp_path / "x.mat", {"S": array})
    form = LabelFiles(folder="", suffix=".mat", format="mat")
    with pytest.raises(DatasetError, match="expected 'S' to be height x width whole numbers"):
        read_label(tmp_path / "x.mat", form, 255)


def test_a_picture_of_any_size_is_read_and_the_programs_own_limit_stays(tmp_path, monkeypatch):
    """Pillow refuses and warns by a limit that is against strangers' uploads; these are the user's own."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    Image.new("L", (64, 32), 3).save(tmp_path / "label.png")
    form = LabelFiles(folder="", suffix=".png")
    with ThreadPoolExecutor(4) as pool:
        labels = list(pool.map(lambda _: read_label(tmp_path / "label.png", form, 255), range(20)))
    assert {(one.shape, int(one.min()), int(one.max())) for one in labels} == {((32, 64), 3, 3)}
    assert Image.MAX_IMAGE_PIXELS == 10


@pytest.mark.parametrize("suffix", [".png", ".mat"])
def test_a_pipe_among_the_data_is_named_and_not_waited_for(tmp_path, suffix):
    path = tmp_path / f"label{suffix}"
    os.mkfifo(path)
    form = LabelFiles(folder="", suffix=suffix, format=suffix[1:])
    for read in (read_image, lambda path: read_label(path, form, 255)):
        with pytest.raises(DatasetError, match="expected a regular file, found a pipe"):
            read(path)


def test_a_file_that_may_not_be_read_is_not_called_damaged(tmp_path, monkeypatch):
    path = tmp_path / "label.png"
    Image.new("L", (4, 4)).save(path)

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("segbench.evaluate.pixels.read_bytes", refuse)
    with pytest.raises(DatasetError) as error:
        read_label(path, LabelFiles(folder="", suffix=".png"), 255)
    assert str(error.value) == f"{path}: cannot read the labels: Permission denied"


def with_a_byte_changed(data, place):
    changed = bytearray(data)
    changed[place] ^= 0x55
    return bytes(changed)


def test_a_damaged_png_is_one_message_with_the_decoders_words(tmp_path, capfd):
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    whole = cv2.imencode(".png", noise)[1].tobytes()
    path = tmp_path / "a.png"
    path.write_bytes(with_a_byte_changed(whole, len(whole) // 2))
    with pytest.raises(
        DatasetError, match=r"a\.png: not an image that cv2 can decode \(libpng error: .+\); where another"
    ):
        read_image(path)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "part",
    [chunk(b"iCCP", b"ICC\0\0" + zlib.compress(b"x")), with_a_byte_changed(chunk(b"tEXt", b"a\0b"), 9)],
)
def test_what_a_decoder_reads_all_the_same_is_read_in_silence(tmp_path, capfd, part):
    """An odd colour profile, as many pictures have, and a comment with a wrong checksum."""
    pixels = np.full((2, 3, 3), 7, np.uint8)
    whole = cv2.imencode(".png", pixels)[1].tobytes()
    (tmp_path / "a.png").write_bytes(whole[:33] + part + whole[33:])
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), pixels)
    assert capfd.readouterr().err == ""


def test_opencvs_log_is_silent_for_a_moment_only(tmp_path, capfd):
    level = getattr(cv2, "getLogLevel", None) or cv2.utils.logging.getLogLevel  # OpenCV 4.8, and 5
    before = level()
    (tmp_path / "a.tif").write_bytes(cv2.imencode(".tif", np.zeros((40, 60, 3), np.uint8))[1].tobytes()[:200])
    with pytest.raises(DatasetError, match="not an image that cv2 can decode"):
        read_image(tmp_path / "a.tif")
    assert (capfd.readouterr().err, level()) == ("", before)


@pytest.mark.parametrize(("rule", "rows"), [("pillow nearest", [0, 2, 4, 6]), ("cv2 nearest", [0, 1, 3, 5])])
def test_labels_are_resized_by_the_rule_asked_for(rule, rows):
    """7 rows to 4: Pillow takes floor((i + 0.5) * 7 / 4), cv2 floor(i * 7 / 4); 16-bit values and 255 stay."""
    labels = np.repeat(np.array([0, 1, 255, 3, 4, 300, 65_535])[:, None], 5, axis=1)
    found = resize_labels(labels, (4, 5), rule)
    assert found.dtype == labels.dtype
    assert (found == labels[rows]).all()
