"""What files are, told by their bytes alone: containers, pages in their place, and checkpoints that are not whole."""

import io
import json
import zipfile

import pytest
import torch
from checkpoint_files import saved

from segbench.zoo.fetch.contents import checkpoint_fault, container, is_cut_short, page, web_page


def archive():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as writer:
        writer.writestr("model/data.pkl", b"\x80\x02}q.")
        writer.writestr("model/data/0", bytes(1000))
    return file.getvalue()


def safetensors(size=16):
    header = json.dumps(
        {"w": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}, "__metadata__": {}}
    ).encode()
    return len(header).to_bytes(8, "little") + header + bytes(size)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (archive(), "zip"),
        (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", "legacy pickle"),
        (safetensors(), "safetensors"),
        (b"\x80\x63", None),
        (b"\x7fELF", None),
        (b"", None),
    ],
)
def test_containers_are_known_by_their_first_bytes(data, kind):
    assert container(data) == kind


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"\xef\xbb\xbf\n<!DOCTYPE html><title>A\n page</title>", "an HTML page titled 'A page'"),
        (b"<html><p>", "an HTML page"),
        (
            b"<Error><Code>AccessDenied</Code><Message>No &amp; no</Message></Error>",
            "an XML message titled 'AccessDenied'",
        ),
        (b'{"message": "Not Found"}', "a JSON message"),
        (b"model = dict()", None),
        (archive()[:64], None),
    ],
)
def test_pages_are_called_by_their_titles(data, found):
    assert page(data) == found


def test_a_log_may_begin_like_json_but_not_like_a_page():
    assert web_page(b'{"mode": "train"}') is None
    assert web_page(b"<html><title>404</title>") == "an HTML page titled '404'"
    assert (
        web_page(b'{"a":' * 800) is None
    )  # deeper than Python's recursion goes: the beginning of a line, for all it says


def fault(tmp_path, data):
    path = tmp_path / "f"
    path.write_bytes(data)
    return checkpoint_fault(path)


@pytest.mark.parametrize(
    "data", [archive(), saved({"w": torch.arange(10)}), safetensors()], ids=["zip", "torch", "safetensors"]
)
def test_nothing_speaks_against_whole_files(tmp_path, data):
    assert fault(tmp_path, data) is None


def test_a_zip_archive_tells_that_it_is_cut_or_changed(tmp_path):
    data = archive()
    assert (
        fault(tmp_path, data[:-10]) == "a zip archive that is cut short or damaged (File is not a zip file)"
    )
    at = data.index(bytes(1000)) + 500
    changed = data[:at] + b"x" + data[at + 1 :]
    assert fault(tmp_path, changed) == "a zip archive whose record 'model/data/0' is damaged"


def test_a_safetensors_file_tells_that_it_is_cut_or_too_long(tmp_path):
    whole = len(safetensors())
    for size in (10, 20):
        found = fault(tmp_path, safetensors(size))
        assert found == f"a safetensors file of {whole - 16 + size} bytes whose header promises {whole}"
    found = fault(tmp_path, safetensors()[:30])
    assert found == "a safetensors file whose header is cut short or damaged"


def test_a_pickle_of_before_torch_16_does_not_tell_whether_it_is_whole(tmp_path):
    data = saved({"w": torch.arange(10)}, _use_new_zipfile_serialization=False)
    assert (
        fault(tmp_path, data)
        == fault(tmp_path, data[:-1])
        == (
            "a checkpoint in torch's format of before 1.6, which does not tell whether it is whole, and no sha256 is known "
            "that would: state its sha256 in the manifest, or have it converted with zoo convert"
        )
    )
    assert not is_cut_short(tmp_path / "f")


def test_an_archive_that_unpacks_to_more_than_its_size_is_not_unpacked(tmp_path):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as writer:
        writer.writestr("model/data/0", bytes(10**6))
    assert fault(tmp_path, file.getvalue()) == (
        "a zip archive with records of 1000000 bytes packed into it, as torch.save never writes it"
    )


@pytest.mark.parametrize("size", [10_000_001, 83 * 10**6, 2**30])
def test_a_header_beyond_the_limit_is_not_read(tmp_path, size):
    assert fault(tmp_path, size.to_bytes(8, "little") + b'{"w":') == (
        f"a safetensors header of {size} bytes, where at most 10000000 are read"
    )


@pytest.mark.parametrize(
    "header",
    [
        b"[" * 10**6,
        b'{"w":' * 10**5,
        b'{"w": 1' + b"0" * 5000 + b"}",
        b'{"w": {}}',
        b'{"w": [1, 2]}',
        b"\xff",
    ],
)
def test_a_header_that_is_no_table_of_tensors_is_damaged(tmp_path, header):
    header = b'{"v": ' + header
    assert fault(tmp_path, len(header).to_bytes(8, "little") + header) == (
        "a safetensors file whose header is cut short or damaged"
    )


@pytest.mark.parametrize("data", [archive(), safetensors()], ids=["zip", "safetensors"])
def test_what_lacks_its_end_is_cut_short(tmp_path, data):
    path = tmp_path / "f"
    for cut, is_short in ((data, False), (data[:-1], True), (data[:70], True)):
        path.write_bytes(cut)
        assert is_cut_short(path) == is_short


def test_an_archive_whose_end_is_nonsense_is_damaged_and_not_short(tmp_path):
    data = archive()
    locator = b"PK\x06\x07" + bytes(12) + (2).to_bytes(4, "little")  # of the second of two disks
    end = data.rindex(b"PK\x05\x06")
    assert fault(tmp_path, data[:end] + locator + data[end:]) == (
        "a zip archive that is cut short or damaged (zipfiles that span multiple disks are not supported)"
    )
    assert not is_cut_short(tmp_path / "f")


def test_a_safetensors_file_may_begin_like_json():
    assert page((0x7B20).to_bytes(8, "big")[::-1] + b'{"w": {}}') is None
    assert page(b"{" + bytes(7) + b'{"w": {}}') is None


def test_other_files_are_named_by_what_they_begin_with(tmp_path):
    wanted = "expected a checkpoint (zip, legacy pickle or safetensors), found "
    assert fault(tmp_path, b"\x7fELF\x02\x01") == wanted + "a file that begins with 7f 45 4c 46 02 01"
    assert fault(tmp_path, b"") == wanted + "an empty file"
