"""MATLAB files of level 5, as scipy writes and reads them, and damaged ones."""

import io
import struct

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from segbench.evaluate.data.mat_file import MatError, described, numbers


def written(arrays, **options):
    file = io.BytesIO()
    savemat(file, arrays, **options)
    return file.getvalue()


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "i4", "f4", "f8", "i8"])
def test_an_array_is_what_scipy_reads(dtype, compressed):
    """Narrow numbers are stored in fewer bytes than their class has, and columns come first."""
    array = (np.arange(35).reshape(5, 7) % 9).astype(dtype)
    data = written({"names": ["a", "b"], "S": array}, do_compression=compressed)
    found = numbers(data, "S")
    np.testing.assert_array_equal(found, loadmat(io.BytesIO(data))["S"])
    assert found.dtype == array.dtype
    assert [one.name for one in described(data)] == ["names", "S"]
    assert described(data)[1].shape == (5, 7)


def test_a_single_number_lies_within_its_tag():
    """Up to four bytes do."""
    assert numbers(written({"S": np.uint8(7)}), "S").tolist() == [[7]]


def test_what_holds_no_real_numbers_is_none_to_read():
    """Text, cells and complex numbers are described and not taken for labels."""
    data = written({"S": "text", "c": np.array([[1j]])})
    assert numbers(data, "S") is None
    assert numbers(data, "c") is None
    assert numbers(data, "other") is None


@pytest.mark.parametrize("compressed", [True, False])
def test_every_cut_is_told(compressed):
    """No beginning of a file is taken for all of it."""
    data = written({"S": np.arange(40, dtype=np.uint8).reshape(5, 8)}, do_compression=compressed)
    for length in range(129, len(data)):
        with pytest.raises(MatError):
            numbers(data[:length], "S")


def test_another_form_is_refused_by_name():
    """Level 7.3 is HDF5."""
    header = b"MATLAB 7.3 MAT-file".ljust(126) + b"IM"
    with pytest.raises(
        MatError, match=r"expected a MATLAB file of level 5, found one of level 7\.3 \(HDF5\)"
    ):
        numbers(header + bytes(8), "S")


def test_compression_without_end_is_bounded(monkeypatch):
    """An array larger than any label is refused while it is unpacked."""
    monkeypatch.setattr("segbench.evaluate.data.mat_file.LARGEST_BYTES", 5000)
    data = written({"S": np.zeros((100, 100), np.uint8)}, do_compression=True)
    with pytest.raises(MatError, match="an array of more than 5000 bytes"):
        numbers(data, "S")


def stored_narrow(shape):
    """A file as MATLAB writes it: class double (6), whose whole numbers are stored as bytes (element type 2)."""
    parts = [(6, struct.pack("<II", 6, 0)), (5, struct.pack("<ii", *shape)), (1, b"S")]
    parts.append((2, bytes(number % 7 for number in range(shape[0] * shape[1]))))
    array = b"".join(
        struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8) for kind, data in parts
    )
    return (
        b"MATLAB 5".ljust(124) + struct.pack("<H", 0x100) + b"IM" + struct.pack("<II", 14, len(array)) + array
    )


def test_whole_numbers_stored_narrow_stay_so():
    """Labels need the values, not eight bytes for each."""
    data = stored_narrow((4, 6))
    found = numbers(data, "S")
    np.testing.assert_array_equal(found, loadmat(io.BytesIO(data))["S"])
    assert found.dtype == np.uint8


def test_what_is_stored_narrow_is_bounded_by_what_it_claims_to_be(monkeypatch):
    """1,000 doubles that are stored as bytes are 8,000 bytes to whoever reads them as what they are."""
    data = stored_narrow((10, 100))
    monkeypatch.setattr("segbench.evaluate.data.mat_file.LARGEST_BYTES", 5000)
    with pytest.raises(MatError, match="an array of more than 5000 bytes"):
        numbers(data, "S")
