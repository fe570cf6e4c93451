"""Servers that mean harm: whatever they send, it ends soon, holds little, and one of them stops no other."""

import gzip
import hashlib
import json
import random
import time
import tracemalloc
import zlib

import msgspec
import pytest
from raw_server import endless, head, once, raw_server

from segbench.zoo.fetch import IntegrityError, fetch, fetch_wanted, wanted_papers
from segbench.zoo.fetch import body as body_module
from segbench.zoo.fetch.body import CHUNK_BYTES, MAX_PACKING_LOSS_BYTES
from segbench.zoo.fetch.contents import page, web_page
from segbench.zoo.fetch.download import MAX_FILE_BYTES, Arrived, FetchError, Note, Patience, download
from segbench.zoo.fetch.guarded_http import MAX_LOCATION_CHARACTERS
from segbench.zoo.fetch.links import Link, check_all

pytestmark = pytest.mark.slow

DATA = b"PK\x03\x04" + random.Random(0).randbytes(200_000)
SHA256 = hashlib.sha256(DATA).hexdigest()
WHOLE = Arrived(sha256=SHA256, size=len(DATA), spliced=False)
ONCE = Patience(connect_seconds=2, read_seconds=0.2, tries=1, backoff_seconds=0)
TWICE = Patience(connect_seconds=2, read_seconds=0.2, tries=2, backoff_seconds=0)
LITTLE = 16 << 20
"""Bytes that buffers between two processes may hold."""
CHUNKED = head(transfer_encoding="chunked")


@pytest.fixture
def raw():
    """A running RawServer."""
    with raw_server() as running:
        yield running


@pytest.fixture
def get(raw, tmp_path):
    """A function that downloads `/f` once into a partial file."""

    def run(**options):
        return download(f"{raw.url}/f", run.path, **{"patience": ONCE} | options)

    run.path = tmp_path / "f.part"
    return run


def seconds(work):
    """How long it took to be refused."""
    started = time.monotonic()
    with pytest.raises(FetchError):
        work()
    return time.monotonic() - started


# bodies nobody wants ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 307, 403, 404, 500, 503])
def test_the_body_of_a_redirect_or_an_error_is_not_read(raw, get, status):
    raw.answers["/f"] = endless(head(status, location="/g"), b"x" * 65536)
    raw.answers["/g"] = once(head(content_length=len(DATA)), DATA)
    if status < 400:
        assert get() == WHOLE
    else:
        with pytest.raises(FetchError, match=rf"/f: the server answered {status} x$"):
            get(patience=TWICE)
    assert raw.sent < LITTLE


def test_the_body_of_an_error_is_not_read_by_link_checks_either(raw):
    raw.answers["/f"] = endless(head(500), b"x" * 65536)
    [checked] = check_all([Link(url=f"{raw.url}/f", kind="weights", owners=("x",))], patience=TWICE)
    assert (checked.state, checked.note) == ("refused", "the server answered 500 x")
    assert raw.sent < LITTLE


# packed bodies ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "packed"),
    [
        ("gzip", gzip.compress(DATA)),
        ("X-GZip", gzip.compress(DATA)),
        ("deflate", zlib.compress(DATA)),
        ("gzip", gzip.compress(DATA[:1000]) + gzip.compress(DATA[1000:])),
    ],
)
def test_what_a_server_packs_unasked_is_unpacked(raw, get, name, packed):
    raw.answers["/f"] = once(head(content_encoding=name, content_length=len(packed)), packed)
    assert get() == WHOLE


@pytest.mark.parametrize("name", ["gzip, gzip", "br", "zstd", "compress"])
def test_other_packing_is_refused_by_name(raw, get, name):
    raw.answers["/f"] = once(head(content_encoding=name), gzip.compress(gzip.compress(DATA)))
    with pytest.raises(FetchError) as error:
        get()
    assert str(error.value) == (
        f"{raw.url}/f: the server packs the file as {name!r}, although it is asked for as it is"
    )


def test_what_unpacks_without_end_is_given_up_and_never_held(raw, get):
    """A megabyte of zeros is a thousand bytes of gzip: neither the memory nor the disk is filled with them."""
    packer = zlib.compressobj(wbits=31)
    start, flood = packer.compress(b"\0" * CHUNK_BYTES), packer.compress(b"\0" * (100 * CHUNK_BYTES))
    raw.answers["/f"] = endless(head(content_encoding="gzip") + start, flood)
    tracemalloc.start()
    try:
        with pytest.raises(FetchError) as error:
            get(max_bytes=10 * CHUNK_BYTES)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert str(error.value) == (
        f"{raw.url}/f: the server sends more than the {10 * CHUNK_BYTES} bytes that are taken at most"
    )
    assert peak < 8 * CHUNK_BYTES
    assert not get.path.exists()


@pytest.mark.parametrize("part", [gzip.compress(b""), b"\0\0\0\xff\xff"])
def test_what_unpacks_to_nothing_without_end_is_given_up(raw, get, part, monkeypatch):
    """Streams without content one after another, and empty blocks in one stream."""
    monkeypatch.setattr(body_module, "MAX_PACKING_LOSS_BYTES", 100_000)
    start = b"" if part.startswith(b"\x1f") else zlib.compressobj(wbits=31).flush(zlib.Z_FULL_FLUSH)
    raw.answers["/f"] = endless(head(content_encoding="gzip") + start, part * 500)
    with pytest.raises(FetchError, match="what came unpacks to nothing"):
        get()
    assert MAX_PACKING_LOSS_BYTES > 10 * CHUNK_BYTES / 1000  # deflate's worst case is a thousandth


@pytest.mark.parametrize(
    ("packed", "why"),
    [(gzip.compress(DATA)[:-9], "is packed and has no end"), (b"no gzip" * 9, "is packed badly")],
)
def test_a_packed_body_that_is_damaged_is_no_file(raw, get, packed, why):
    raw.answers["/f"] = once(head(content_encoding="gzip", content_length=len(packed)), packed)
    with pytest.raises(FetchError, match=why):
        get()


def test_a_part_of_the_packed_file_is_not_joined_to_unpacked_bytes(server, tmp_path):
    """The server counts packed bytes; ours are unpacked ones."""
    server.file("/f", gzip.compress(DATA), cuts=[100_000], headers={"Content-Encoding": "gzip"}, chunked=True)
    patience = Patience(read_seconds=1, tries=3, backoff_seconds=0)
    assert download(f"{server.url}/f", tmp_path / "f.part", patience=patience) == WHOLE
    assert [one.range for one in server.asked] == [None, None]


# dripping ---------------------------------------------------------------------------------------------------

DRIPS = {
    "the status line": endless(b"HTTP/1.1 200 ", b"x", 0.05),
    "headers": endless(b"HTTP/1.1 200 OK\r\n", b"A: b\r\n", 0.05),
    "a flood of interim answers": endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "a body": endless(head(content_length=1 << 20), b"x", 0.05),
    "a body of untold length": endless(head(), b"x", 0.05),
    "the beginning of a chunk": endless(CHUNKED, b"0", 0.05),
    "what stands behind a chunk's length": endless(CHUNKED + b"5;", b"x", 0.05),
    "a flood behind the last chunk": endless(CHUNKED + b"1\r\nx\r\n0\r\n", b"A: b\r\n" * 1000),
    "packed bytes": endless(head(content_encoding="gzip") + gzip.compress(b"")[:10], b"\0", 0.05),
    "a redirect": endless(b"HTTP/1.1 302 Found\r\nLocation: /f\r\n", b"A: b\r\n", 0.05),
}


@pytest.mark.parametrize("name", DRIPS)
def test_what_drips_ends_with_the_time_out(raw, get, name):
    """A byte comes every 50 ms, four times as often as the time-out asks for, or a flood that never gets anywhere."""
    raw.answers["/f"] = DRIPS[name]
    assert seconds(get) < 3


@pytest.mark.parametrize("name", ["the status line", "headers", "a redirect"])
def test_a_link_check_ends_with_the_time_out(raw, name):
    raw.answers["/f"] = DRIPS[name]
    started = time.monotonic()
    [checked] = check_all([Link(url=f"{raw.url}/f", kind="log", owners=("x",))], patience=ONCE)
    assert (checked.state, time.monotonic() - started < 3) == ("no answer", True)


def test_too_little_in_too_much_time_is_told(raw, get):
    raw.answers["/f"] = endless(head(content_length=1 << 20), b"x" * 8, 0.03)
    with pytest.raises(
        FetchError, match=r"^\S+/f: \d+ of 1048576 bytes arrived: only \d+ bytes came in 0\.\d+ s; "
    ):
        get()


def test_redirects_without_end_are_counted(raw, get):
    raw.answers |= {f"/{n}": once(head(302, location=f"/{n + 1}?token=secret")) for n in range(30)}
    raw.answers |= {
        f"/{n}?token=secret": once(head(302, location=f"/{n + 1}?token=secret")) for n in range(30)
    }
    raw.answers["/f"] = raw.answers["/0"]
    with pytest.raises(FetchError) as error:
        get()
    assert str(error.value) == (f"{raw.url}/f: no answer (more than 10 redirects, the last to /11?token=***)")
    assert len(raw.requests) == 11


# absurd sizes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        b"A: " + b"x" * 100_000 + b"\r\n\r\n",
        b"A: b\r\n" * 1000 + b"\r\n",
        b"Location: /" + b"x" * (MAX_LOCATION_CHARACTERS + 1) + b"\r\n\r\n",
        b"Location: http://" + b"x" * 60_000 + b"/\r\n\r\n",
        b"Location: http://" + b"\xc3\xa9" * 4000 + b"/\r\n\r\n",
        (b"Set-Cookie: " + b'a="\\' * 15_000 + b"\r\n") * 90 + b"Location: http://[\r\n\r\n",
        b"Retry-After: " + b"9" * 60_000 + b"\r\nLocation: /\r\n\r\n",
        b"Content-Length: " + b"9" * 60_000 + b"\r\nLocation: http://x:y:z/\r\n\r\n",
    ],
    ids=["long", "many", "location", "host", "international host", "cookies", "pause", "length"],
)
def test_absurd_headers_end_soon_in_a_short_message(raw, get, headers):
    raw.answers["/f"] = raw.answers["/"] = once(b"HTTP/1.1 302 Found\r\n" + headers)
    started = time.monotonic()
    with pytest.raises(FetchError) as error:
        get()
    assert time.monotonic() - started < 3
    assert len(str(error.value)) < 1000


def test_a_validator_that_cannot_be_sent_back_is_none(raw, get):
    raw.answers["/f"] = once(head(content_length=len(DATA), etag='"\xff"'), DATA)
    assert get() == WHOLE


# bodies without end -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("known", "kind", "why"),
    [
        (None, FetchError, "3000000 bytes that are taken at most"),
        (9, IntegrityError, "9 bytes, which the file has"),
    ],
)
def test_a_body_of_untold_length_is_given_up_where_it_is_too_long(raw, get, known, kind, why):
    raw.answers["/f"] = endless(head(), b"x" * 65536)
    with pytest.raises(FetchError) as error:
        get(max_bytes=3_000_000, known_bytes=known)
    assert (type(error.value), str(error.value)) == (
        kind,
        f"{raw.url}/f: the server sends more than the {why}",
    )
    assert not [one for one in get.path.parent.iterdir() if one.name != "zoo-home"]
    assert raw.sent < LITTLE


def test_a_body_of_untold_length_leaves_room_on_the_disk(raw, get, monkeypatch):
    class Usage:
        free = 5_000_000

    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage)
    raw.answers["/f"] = endless(head(), b"x" * 65536)
    with pytest.raises(FetchError) as error:
        get()
    assert str(error.value) == (
        f"{raw.url}/f: the server sends more than the 2500000 bytes, for which the disk has room"
    )
    assert not [one for one in get.path.parent.iterdir() if one.name != "zoo-home"]


def test_a_length_beyond_all_files_is_refused_at_once(raw, get):
    raw.answers["/f"] = endless(head(content_length=MAX_FILE_BYTES + 1), DATA)
    with pytest.raises(FetchError, match=f"{MAX_FILE_BYTES + 1} bytes are announced, and no more than"):
        get()


def test_a_log_longer_than_any_is_refused_at_once(raw, checkpoint):
    raw.answers["/f.log"] = endless(head(content_length=(1 << 30) + 1), DATA)
    row = msgspec.structs.replace(
        checkpoint(f"{raw.url}/f.pth"), log_urls=(f"{raw.url}/f.log",), config_urls=()
    )
    (wanted,) = wanted_papers(row)
    with pytest.raises(
        FetchError, match="1073741825 bytes are announced, and no more than 1073741824 are taken"
    ):
        fetch_wanted(wanted, patience=ONCE)


def test_a_part_that_does_not_end_where_the_file_does_is_given_up(raw, get):
    note = Note(
        url=f"{raw.url}/f",
        etag='"v1"',
        length=20,
        sealed_bytes=10,
        seal=hashlib.sha256(b"x" * 10).hexdigest(),
    )
    get.path.write_bytes(b"x" * 10)
    get.path.with_name("f.part.json").write_text(
        json.dumps({name: getattr(note, name) for name in note.__struct_fields__})
    )
    raw.answers["/f"] = endless(head(206, content_range="bytes 10-19/20", etag='"v1"'), b"x" * 65536)
    with pytest.raises(FetchError, match="more than the 20 bytes came that the server told of"):
        get()
    assert raw.sent < LITTLE


# pages ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda n: b"<html><Message>" + b" " * n,
        lambda n: b"<html>" + b"<title" * n,
        lambda n: b"<Code>" * n + b"</Message" * n,
        lambda n: b"<html><title>&#" + b"9" * n + b"</title>",
        lambda n: b'{"a":' * n,
        lambda n: b"[" * n,
        lambda n: b"<html><title>" + b"\xff" * n,
    ],
)
def test_a_page_is_read_in_time_that_does_not_grow(make):
    """A hundred times the bytes take no longer, since only the beginning is looked at."""
    started = time.process_time()
    for head_bytes in (make(1000), make(100_000)):
        page(head_bytes)
        web_page(head_bytes[:4096])
    assert time.process_time() - started < 0.5


# one does not stop the others -------------------------------------------------------------------------------

DEEP = b"[" * 50_000
HOSTILE = {
    "deep JSON in a safetensors header": (len(DEEP)).to_bytes(8, "little") + b"{" + DEEP[1:],
    "lists for offsets": b'\x29\0\0\0\0\0\0\0{"a":{"data_offsets":[0,[1]]},"b":[[[[[]]]]]}',
    "a legacy pickle with an element count that cannot be sought": b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.",
    "a zip archive of nothing": b"PK\x03\x04" + b"PK\x05\x06" * 100,
    "a name of a million characters": b"<html><title>" + b"x" * 1_000_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_mirror_does_not_keep_the_good_one_away(raw, server, checkpoint, name):
    data = HOSTILE[name]
    raw.answers["/f.pth"] = once(head(content_length=len(data)), data)
    server.file("/f.pth", DATA)
    urls = (f"{raw.url}/f.pth", f"{server.url}/f.pth")
    assert fetch(checkpoint(*urls, sha256=SHA256), patience=ONCE).read_bytes() == DATA


@pytest.mark.parametrize("where", ["checkpoint_fault", "is_cut_short", "page"])
def test_whatever_a_mirrors_file_makes_a_reader_throw_is_that_mirrors_finding(
    raw, server, checkpoint, where, monkeypatch
):
    import segbench.zoo.fetch as fetching

    def throw(*_):
        raise RecursionError("too deep for https://u:secret@host/f")

    if where != "page":
        monkeypatch.setattr(fetching, where, throw)
    raw.answers["/f.pth"] = once(head(), b"other bytes")
    server.file("/f.pth", DATA)
    if where == "page":
        real = fetching.page
        monkeypatch.setattr(fetching, where, lambda data: throw() if data == b"other bytes" else real(data))
    told = []
    urls = (f"{raw.url}/f.pth", f"{server.url}/f.pth")
    assert fetch(checkpoint(*urls, sha256=SHA256), patience=ONCE, tell=told.append).read_bytes() == DATA
    assert "secret" not in "".join(told)


def test_a_lie_about_the_length_does_not_keep_the_good_mirror_away(raw, server, checkpoint):
    raw.answers["/f.pth"] = once(head(content_length=10**15), DATA)
    raw.answers["/g.pth"] = once(head(content_length=MAX_FILE_BYTES - 1), DATA)
    server.file("/f.pth", DATA)
    urls = (f"{raw.url}/f.pth", f"{raw.url}/g.pth", f"{server.url}/f.pth")
    assert fetch(checkpoint(*urls, sha256=SHA256), patience=ONCE).read_bytes() == DATA


def test_whatever_one_link_throws_the_others_are_checked(server, monkeypatch):
    from segbench.zoo.fetch import links

    real = links._judged

    def judged(link, response):
        if link.url.endswith("/odd"):
            raise KeyError("surprise")
        return real(link, response)

    monkeypatch.setattr(links, "_judged", judged)
    server.file("/odd", DATA)
    server.file("/f", DATA)
    asked = [Link(url=f"{server.url}/{name}", kind="weights", owners=("x",)) for name in ("odd", "f")]
    assert [(one.state, one.note) for one in check_all(asked, patience=ONCE)] == [
        ("no answer", "unforeseen KeyError: 'surprise'"),
        ("ok", ""),
    ]
