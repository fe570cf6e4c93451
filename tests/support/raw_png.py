"""PNG files bit by bit: every depth, colour type and interlacing, which no imaging library writes on demand."""

import struct
import zlib

GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
_PASSES = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
"""Adam7: first row, first column, step down, step across."""


def chunk(kind, data):
    """One chunk with its length and checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(values, depth, colour=GREY, *, before=b"", interlaced=False):
    """A PNG of rows of samples, already in the depth's range; `before` are chunks ahead of the pixels."""
    height, width = len(values), len(values[0])
    passes = _PASSES if interlaced else [(0, 0, 1, 1)]
    lines = [
        b"\0" + _packed(row[left::across], depth)
        for top, left, down, across in passes
        for row in values[top::down]
        if row[left::across]
    ]
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, int(interlaced))
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", head),
            before,
            chunk(b"IDAT", zlib.compress(b"".join(lines))),
            chunk(b"IEND", b""),
        ]
    )


def _packed(samples, depth):
    flat = [part for sample in samples for part in (sample if isinstance(sample, tuple) else (sample,))]
    bits = "".join(format(sample, f"0{depth}b") for sample in flat)
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def palette(colours):
    """The chunk of a palette's RGB colours."""
    return chunk(b"PLTE", b"".join(map(bytes, colours)))
