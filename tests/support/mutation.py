"""Hostile bytes made of good ones: what a file looks like that somebody damaged, cut, doubled, grew or forged."""

from typing import NamedTuple

from hypothesis import strategies as st

LARGEST = 200_000
"""Bytes of a mutated file: enough for anything worse than linear to show."""

HOSTILE = (
    b"",
    b"\0",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\xed\xa0\x80",  # a lone surrogate
    b"\n",
    b"\r",
    b"\t",
    b" " * 4000,
    b"\n" * 2000,
    b"\n::error::x",
    b"\x1b[2J",
    b"\xe2\x80\xae",  # right to left
    b"9" * 5000,
    b"-1",
    b"0x7fffffffffffffff",
    b"1e999",
    b"NaN",
    b"null",
    b"true",
    b"010",
    b"1:30",
    b"2021-13-45",
    b'"',
    b"'",
    b"|",
    b"[",
    b"{",
    b"[" * 3000,
    b"{" * 3000,
    b'{"a":' * 3000,
    b"a: &a [*a]\n",
    b"<<: *a",
    b"- !!python/object/apply:os.system [true]\n",
    b"<html><title>",
    b"](javascript:x)",
    b"=1+1",
    b"$\\bad{$",
    b"~nobody/x",
    b"../../x",
    b"(" * 500,
    b"lr=1",
    b"\x80\x02}q\x00.",
    b"PK\x03\x04",
    b"\xff" * 64,
)


class Edit(NamedTuple):
    """One change at a place, given as a share of the file's length."""

    kind: str
    place: float
    length: int
    times: int
    token: bytes

    def apply(self, data: bytes) -> bytes:
        """The changed bytes, `LARGEST` of them at most."""
        at = int(self.place * len(data))
        piece = data[at : at + self.length]
        if self.kind == "cut":
            data = data[:at]
        elif self.kind == "drop":
            data = data[:at] + data[at + self.length :]
        elif self.kind == "repeat":
            data = data[:at] + piece * self.times + data[at:]
        elif self.kind == "insert":
            data = data[:at] + self.token + data[at:]
        elif self.kind == "replace":
            data = data[:at] + self.token + data[at + len(self.token) :]
        elif self.kind == "flip" and at < len(data):
            data = data[:at] + bytes([data[at] ^ (1 << self.length % 8)]) + data[at + 1 :]
        return data[:LARGEST]


edits = st.lists(
    st.builds(
        Edit,
        kind=st.sampled_from(("cut", "drop", "repeat", "insert", "replace", "flip")),
        place=st.floats(0, 1),
        length=st.integers(1, 400),
        times=st.integers(2, 500),
        token=st.sampled_from(HOSTILE) | st.binary(max_size=20),
    ),
    min_size=1,
    max_size=6,
)


@st.composite
def mutated(draw, seeds):
    """Bytes made of one of `seeds` by a few edits; now and then bytes of no form at all."""
    if draw(st.integers(0, 20)) == 0:
        return draw(st.binary(max_size=400))
    data = draw(st.sampled_from(seeds))
    for edit in draw(edits):
        data = edit.apply(data)
    return data
