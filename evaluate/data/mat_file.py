"""Arrays of MATLAB files of level 5, as COCO-Stuff 10k's official labels are, read in bounded time and memory.

The form is MathWorks' own, "MAT-File Format", chapter 1: a header of 128 bytes, then elements of a tag and data; an array
is an element of elements, mostly compressed. `scipy.io.loadmat` reads the same and more, but a damaged file can end
the process in its compiled code (a segmentation fault, scipy 1.17), so it is what the tests compare with.
"""

from __future__ import annotations

import math
import struct
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

LARGEST_BYTES = 2**28
"""Of one array, as it is stored and as its class would hold it: a label of 5,792 x 5,792 doubles."""

_HEADER, _TAG = 128, 8
_MATRIX, _COMPRESSED = 14, 15
_STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
"""Type of an element -> how its numbers are stored."""
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
"""Class of an array -> what its numbers are; smaller ones may be stored. Others are cells, structures, text."""
_COMPLEX = 0x0800
_BEGINNING = 4096
"""Of an array: more than its flags, sizes and name take."""


class MatError(ValueError):
    """The bytes are no MATLAB file of level 5, or not all of one."""


class MatArray(NamedTuple):
    """An array as its file describes it."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    """numpy's, in the file's byte order; empty for what is no array of real numbers."""
    numbers: memoryview
    """The element of its numbers; no more than the beginning of it where only descriptions were asked for."""


def described(data: bytes) -> list[MatArray]:
    """Every array of a file, without its numbers.

    Raises:
        MatError: the bytes are no such file.
    """
    return list(_arrays(data, _BEGINNING))


def numbers(data: bytes, name: str) -> NDArray[Any] | None:
    """The array of that name; None where the file has none of it with real numbers.

    Whole numbers that are stored in fewer bytes than their class has stay so: their values are the same.

    Raises:
        MatError: the bytes are no such file, or the array is not whole or larger than `LARGEST_BYTES`.
    """
    for array in _arrays(data, LARGEST_BYTES):
        if array.name == name and array.dtype:
            order = array.dtype[0]
            kind, stored, _ = _element(array.numbers, order)
            if kind not in _STORED:
                raise MatError(f"numbers of the unknown type {kind}")
            count = math.prod(array.shape)
            if count * np.dtype(array.dtype).itemsize > LARGEST_BYTES:
                raise MatError(f"an array of more than {LARGEST_BYTES} bytes")
            values = np.frombuffer(stored, order + _STORED[kind])
            if values.size != count:
                raise MatError(f"{values.size} numbers for an array of {array.shape}")
            return values.astype(_narrower(values.dtype, np.dtype(array.dtype))).reshape(
                array.shape, order="F"
            )
    return None


def _narrower(stored: np.dtype[Any], own: np.dtype[Any]) -> np.dtype[Any]:
    return stored if stored.kind in "iu" and stored.itemsize < own.itemsize else own


def _arrays(data: bytes, most: int) -> Iterator[MatArray]:
    """Arrays of which each is unpacked to `most` bytes."""
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
    if order is None or not data.startswith(b"MATLAB 5"):
        found = "one of level 7.3 (HDF5)" if data.startswith(b"MATLAB 7.3") else "other bytes"
        raise MatError(f"expected a MATLAB file of level 5, found {found}")
    rest = memoryview(data)[_HEADER:]
    while rest:
        kind, content, rest = _element(rest, order)
        if kind == _COMPRESSED:
            kind, content, _ = _element(_unpacked(content, most), order, whole=most == LARGEST_BYTES)
        if kind == _MATRIX:
            yield _array(content, order)


def _unpacked(content: memoryview, most: int) -> memoryview:
    unpacking = zlib.decompressobj()
    try:
        unpacked = unpacking.decompress(content, most)
        is_more = most == LARGEST_BYTES and bool(unpacking.decompress(unpacking.unconsumed_tail, 1))
    except zlib.error as error:
        raise MatError(f"damaged compression ({error})") from error
    if is_more:
        raise MatError(f"an array of more than {LARGEST_BYTES} bytes")
    return memoryview(unpacked)


def _element(data: memoryview, order: str, *, whole: bool = True) -> tuple[int, memoryview, memoryview]:
    """Type and content of the element that `data` begins with, and what follows it.

    Where not `whole`, a content that is not all there is its beginning.
    """
    if len(data) < _TAG:
        raise MatError("it is cut short within an element's tag")
    kind, length = struct.unpack(f"{order}II", data[:_TAG])
    if kind >> 16:  # up to four bytes, within the tag
        kind, length, begin, following = kind & 0xFFFF, kind >> 16, 4, _TAG
    else:
        begin = _TAG
        # Elements begin at multiples of eight bytes, but for compressed ones.
        following = begin + length + (0 if kind == _COMPRESSED else -length % 8)
    if length > 4 and begin == 4:
        raise MatError("an element's tag contradicts itself")
    if whole and begin + length > len(data):
        raise MatError(f"it is cut short: an element promises {length} bytes, {len(data) - begin} are left")
    return kind, data[begin : begin + length], data[following:]


def _array(content: memoryview, order: str) -> MatArray:
    _, flags, rest = _element(content, order)
    _, sizes, rest = _element(rest, order)
    _, name, rest = _element(rest, order)
    if len(flags) < 4 or len(sizes) % 4:
        raise MatError("an array without flags or sizes")
    (flag,) = struct.unpack_from(f"{order}I", flags)
    shape = struct.unpack(f"{order}{len(sizes) // 4}i", sizes)
    dtype = "" if flag & _COMPLEX else _CLASSES.get(flag & 0xFF, "")
    if min(shape, default=-1) < 0:
        raise MatError(f"an array of {shape}")
    return MatArray(bytes(name).decode("latin-1"), shape, dtype and order + dtype, rest)
