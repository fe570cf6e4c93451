"""What files are, told by their bytes alone: containers, pages in their place, and checkpoints that are not whole."""

import io
import json
import zipfile

import pytest

from segbench.zoo.contents import checkpoint_fault, container, page, web_page


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


def fault(tmp_path, data):
    path = tmp_path / "f"
    path.write_bytes(data)
    return checkpoint_fault(path)


@pytest.mark.parametrize(
    "data", [archive(), safetensors(), b"\x80\x02anything"], ids=["zip", "safetensors", "pickle"]
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
    assert fault(tmp_path, safetensors()[:30]).startswith(
        "a safetensors file whose header is cut short or damaged (Input data was truncated"
    )


def test_other_files_are_named_by_what_they_begin_with(tmp_path):
    wanted = "expected a checkpoint (zip, legacy pickle or safetensors), found "
    assert fault(tmp_path, b"\x7fELF\x02\x01") == wanted + "a file that begins with 7f 45 4c 46 02 01"
    assert fault(tmp_path, b"") == wanted + "an empty file"
