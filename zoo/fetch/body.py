"""The body of one answer, piece by piece: bounded in memory, in time and in how far it unpacks."""

from __future__ import annotations

import time
import zlib
from typing import TYPE_CHECKING

from .http_session import packing

if TYPE_CHECKING:
    import requests

CHUNK_BYTES = 1 << 20
"""The most that is held of a body at a time."""
MIN_BYTES_PER_SECOND = 1024
"""Averaged over the time-out: what is slower is taken for silence. The slowest modems were seven times as fast."""
PACKED_CHUNK_BYTES = 1 << 14
"""The most that is held of a packed body at a time."""
MAX_PACKING_LOSS_BYTES = 1 << 22
"""How far a packed body may exceed what it unpacks to. Packing adds some bytes a stream; an endless one adds all."""
UNPACKED_HERE = ("gzip", "x-gzip", "deflate")
_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32


class EncodingError(ValueError):
    """A body is packed in a way that is not unpacked here, or badly."""


class SlowError(TimeoutError):
    """A body comes more slowly than `MIN_BYTES_PER_SECOND`."""


class Body:
    """Reads what an answer brings; a single gzip or deflate, which nobody asked for, is taken off."""

    def __init__(self, response: requests.Response, seconds: float) -> None:
        """Begin to read.

        Args:
            response: The answer; nothing of its body was read.
            seconds: The time over which progress is averaged.

        Raises:
            EncodingError: the body is packed in another way.
        """
        self._raw = response.raw
        self._seconds = seconds
        self._waited = 0.0
        self._came = 0
        self._packed = b""
        self._loss = 0
        self._unpacker: zlib._Decompress | None = None
        if name := packing(response):
            if name not in UNPACKED_HERE:
                raise EncodingError(f"packs the file as {name[:60]!r}, although it is asked for as it is")
            self._unpacker = zlib.decompressobj(_GZIP_OR_ZLIB)

    def read(self) -> bytes:
        """What one call to the network brought, at most `CHUNK_BYTES`; empty at the end.

        Raises:
            SlowError: too little comes.
            EncodingError: it cannot be unpacked, or the packed stream has no end.
            OSError, urllib3.exceptions.HTTPError, ValueError: the connection broke.
        """
        if self._unpacker is None:
            return self._received(CHUNK_BYTES)
        while True:
            if not self._packed:
                self._packed = self._received(PACKED_CHUNK_BYTES)
                self._loss += len(self._packed)
            if not self._packed:
                if not self._unpacker.eof:
                    raise EncodingError("what came is packed and has no end")
                return b""
            piece, self._unpacker = self._unpacked(self._unpacker)
            self._loss -= len(piece)
            if piece:
                return piece
            if self._loss > MAX_PACKING_LOSS_BYTES:
                raise EncodingError("what came unpacks to nothing")

    def _received(self, most: int) -> bytes:
        """One call to the network; time and bytes count towards the progress."""
        began = time.monotonic()
        # read1 gives what one call to the network brought; read would hold back up to a chunk of a slow line.
        piece = self._raw.read1(most, decode_content=False)
        self._waited += time.monotonic() - began
        self._came += len(piece)
        if piece and self._waited >= self._seconds:
            if self._came < MIN_BYTES_PER_SECOND * self._waited:
                raise SlowError(f"only {self._came} bytes came in {self._waited:.3g} s")
            self._waited, self._came = 0.0, 0
        return piece

    def _unpacked(self, unpacker: zlib._Decompress) -> tuple[bytes, zlib._Decompress]:
        """The next piece, and who unpacks what comes after it: gzip allows several streams one after another."""
        try:
            piece = unpacker.decompress(self._packed, CHUNK_BYTES)
        except zlib.error as error:
            raise EncodingError(f"what came is packed badly ({error})") from error
        self._packed = unpacker.unconsumed_tail or unpacker.unused_data
        return piece, zlib.decompressobj(_GZIP_OR_ZLIB) if unpacker.eof and self._packed else unpacker
