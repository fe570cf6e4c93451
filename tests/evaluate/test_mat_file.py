"""MATLAB files of level 5, as scipy writes and reads them, and damaged ones."""

import io

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from segbench.evaluate.mat_file import MatError, described, numbers


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
    monkeypatch.setattr("segbench.evaluate.mat_file.LARGEST_BYTES", 5000)
    data = written({"S": np.zeros((100, 100), np.uint8)}, do_compression=True)
    with pytest.raises(MatError, match="an array of more than 5000 bytes"):
        numbers(data, "S")
