"""Downloads over a bad line: whatever the server does, the right file comes or one clear error does."""

import hashlib
import random
import subprocess
import sys
import time

import pytest
from faulty_server import unused_port
from fetching import nursery

from segbench.zoo.fetch.download import (
    CHUNK_BYTES,
    Arrived,
    FetchError,
    IntegrityError,
    Note,
    Patience,
    download,
)

DATA = b"PK\x03\x04" + random.Random(0).randbytes(400_000)
SHA256 = hashlib.sha256(DATA).hexdigest()
QUICK = Patience(connect_seconds=2, read_seconds=0.25, tries=4, backoff_seconds=0.005)
WHOLE = Arrived(sha256=SHA256, size=len(DATA), spliced=False)
SPLICED = Arrived(sha256=SHA256, size=len(DATA), spliced=True)


@pytest.fixture
def get(server, tmp_path):
    """A function that downloads `/f` into one partial file and collects what is told in `.told`."""

    def run(**options):
        return download(f"{server.url}/f", run.path, **{"patience": QUICK, "tell": run.told.append} | options)

    run.path, run.told = tmp_path / "f.part", []
    return run


# cut lines --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(50))
def test_a_line_cut_anywhere_goes_on_where_it_broke(server, get, seed):
    """Every byte is sent once, whether the connection broke in the headers' company or one byte before the end."""
    cut = random.Random(seed).randrange(len(DATA))
    server.file("/f", DATA, cuts=[cut])
    assert get() == (SPLICED if cut else WHOLE)
    assert get.path.read_bytes() == DATA
    assert sum(sent for _, sent in server.bodies()) == len(DATA)
    assert len(get.told) == 1


def test_a_line_that_keeps_breaking_but_moves_is_never_given_up(server, get):
    """Forty breaks are more than the four tries: only those without progress count."""
    server.file("/f", DATA, cuts=[9_000] * 40)
    assert get() == SPLICED
    assert sum(sent for _, sent in server.bodies()) == len(DATA)


def test_a_slow_trickle_arrives(server, get):
    server.file("/f", DATA, trickle=(20_000, 0.01))
    assert get() == WHOLE


def test_silence_beyond_the_time_out_ends_the_attempt_not_the_download(server, get):
    server.file("/f", DATA, stalls=[5.0])
    started = time.monotonic()
    assert get() == SPLICED
    assert time.monotonic() - started < 5
    half = len(DATA) // 2 + 1
    assert server.bodies()[1:] == [(half, len(DATA) - half)]
    assert get.told == [f"{half} of {len(DATA)} bytes arrived: nothing more came for 0.25 s; trying again"]


def test_silence_that_never_ends_is_told(server, get):
    server.file("/f", DATA, stalls=[1.0] * 9, ranges=False)
    with pytest.raises(
        FetchError, match=r"/f: \d+ of \d+ bytes arrived: nothing more came for 0.1 s; what arrived is kept"
    ):
        get(patience=Patience(read_seconds=0.1, tries=2, backoff_seconds=0))


def test_chunks_without_a_length_arrive_and_a_break_among_them_is_seen(server, get):
    server.file("/f", DATA, chunked=True, cuts=[100_000])
    assert get() == SPLICED
    assert server.bodies() == [(0, 100_000), (100_000, len(DATA) - 100_000)]


# a later run ------------------------------------------------------------------------------------------------


def begun(get, server, arrived=150_000, **note):
    """A partial file as a killed process leaves it."""
    import msgspec

    known = {"url": f"{server.url}/f", "etag": '"v1"', "length": len(DATA)} | note
    known |= {"sealed_bytes": arrived, "seal": hashlib.sha256(DATA[:arrived]).hexdigest()}
    get.path.write_bytes(DATA[:arrived])
    get.path.with_name("f.part.json").write_bytes(msgspec.json.encode(Note(**known)))


def test_a_later_run_asks_only_for_the_rest(server, get):
    begun(get, server)
    server.file("/f", DATA)
    assert get() == SPLICED
    assert [(one.range, one.if_range) for one in server.asked] == [("bytes=150000-", '"v1"')]
    assert server.bodies() == [(150_000, len(DATA) - 150_000)]
    assert get.told == []


def test_a_whole_partial_file_needs_no_network(server, get):
    begun(get, server, arrived=len(DATA))
    assert get() == SPLICED
    assert server.asked == []


def test_a_date_vouches_where_there_is_no_etag(server, get):
    date = "Wed, 01 Sep 2021 05:47:39 GMT"
    begun(get, server, etag=None, last_modified=date)
    server.file("/f", DATA, etag=None, last_modified=date)
    assert get() == SPLICED
    assert [one.if_range for one in server.asked] == [date]


def test_a_weak_etag_vouches_for_nothing(server, get):
    begun(get, server, etag='W/"v1"')
    server.file("/f", DATA, etag='W/"v1"')
    assert get() == WHOLE
    assert get.told == [
        "nothing vouches for the server's file being still the same: starting over, 150000 bytes are dropped"
    ]


def test_a_known_hash_vouches_for_everything(server, get):
    begun(get, server, etag=None)
    server.file("/f", DATA, etag=None)
    assert get(hash_known=True) == SPLICED


def test_a_server_without_ranges_sends_everything_again_and_that_is_told(server, get):
    begun(get, server)
    server.file("/f", DATA, ranges=False)
    assert get() == WHOLE
    assert get.told == ["the server cannot send a part of the file: starting over, 150000 bytes are dropped"]


@pytest.mark.parametrize(
    "changed",
    [{"etag": '"v2"'}, {"data": DATA + b"more"}, {"etag": '"v2"', "data": DATA[:200_000]}],
    ids=["etag", "length", "both"],
)
def test_a_file_that_changed_is_fetched_anew(server, get, changed):
    begun(get, server)
    data = changed.get("data", DATA)
    server.file("/f", **{"data": DATA} | changed)
    found = get()
    assert found.sha256 == hashlib.sha256(data).hexdigest()
    assert get.path.read_bytes() == data
    assert "starting over, 150000 bytes are dropped" in get.told[-1]


def test_a_file_that_changes_between_two_tries_is_not_sewn_together(server, get):
    page = server.file("/f", DATA, cuts=[100_000])
    other = DATA[::-1]

    def change(sentence):
        get.told.append(sentence)
        page.data, page.etag = other, '"v2"'

    assert get(tell=change).sha256 == hashlib.sha256(other).hexdigest()
    assert get.told[1] == "the file on the server has changed: starting over, 100000 bytes are dropped"


def test_a_file_that_became_shorter_than_the_part_is_fetched_anew(server, get):
    """416: the server has no such part."""
    begun(get, server)
    server.file("/f", DATA[:1000])
    assert get().sha256 == hashlib.sha256(DATA[:1000]).hexdigest()
    assert get.told[1] == "the server has no such part of the file: starting over, 150000 bytes are dropped"


def test_a_file_of_unknown_length_is_known_to_be_whole_by_a_416(server, get):
    """Its chunks had all come when the process was killed."""
    begun(get, server, arrived=len(DATA), length=None)
    server.file("/f", DATA, chunked=True)
    assert get() == SPLICED
    assert server.bodies() == []
    assert get.told == []


def test_a_mirror_without_ranges_is_not_called_a_changed_file(server, get):
    begun(get, server, url="http://127.0.0.1/another")
    server.file("/f", DATA, ranges=False)
    assert get(hash_known=True) == WHOLE
    assert get.told == ["the server cannot send a part of the file: starting over, 150000 bytes are dropped"]


def test_a_part_with_another_etag_than_asked_for_is_refused(server, get):
    """A server that ignores If-Range."""
    begun(get, server)
    server.file("/f", DATA, etag=None, headers={"ETag": '"v2"'}, last_modified='"v1"')
    assert get() == WHOLE
    assert get.told[1].startswith("the server sent a part of another file than before: starting over")


def test_bytes_without_a_note_are_dropped(server, get):
    get.path.write_bytes(b"whatever")
    server.file("/f", DATA)
    assert get() == WHOLE


@pytest.mark.parametrize("arrived", [150_000, len(DATA)])
def test_bytes_that_the_disk_lost_are_found_out_where_no_hash_would(server, get, arrived):
    """A power failure that left zeros: the seal is broken, and everything comes anew."""
    begun(get, server, arrived=arrived)
    data = get.path.read_bytes()
    get.path.write_bytes(data[:70_000] + bytes(1000) + data[71_000:])
    server.file("/f", DATA)
    assert get() == WHOLE
    assert get.path.read_bytes() == DATA


def test_bytes_behind_the_seal_are_fetched_again(server, get):
    """The process was killed, or the power failed, between the bytes and their seal."""
    begun(get, server)
    get.path.write_bytes(get.path.read_bytes() + bytes(500))
    server.file("/f", DATA)
    assert get() == SPLICED
    assert server.bodies() == [(150_000, len(DATA) - 150_000)]


def test_a_torn_note_is_no_note(server, get):
    begun(get, server)
    get.path.with_name("f.part.json").write_text('{"url": "http')
    server.file("/f", DATA)
    assert get() == WHOLE


def test_a_line_that_always_breaks_at_the_same_byte_ends(server, get):
    """The same bytes once more are no progress, though the file had to start over."""
    page = server.file("/f", DATA, cuts=[100_000] * 99, ranges=False)
    with pytest.raises(FetchError, match=r"100000 of \d+ bytes arrived: the connection ended early"):
        get()
    assert len(page.cuts) == 99 - QUICK.tries
    assert get.path.stat().st_size == 100_000


def test_replicas_that_never_agree_end(server, get):
    """Each answer has an ETag of its own, and a part is sent whatever If-Range says."""
    page = server.file("/f", DATA, cuts=[100_000] * 99, etag=None, last_modified="x")
    page.headers["ETag"] = '"v0"'

    def change(sentence):
        get.told.append(sentence)
        page.headers["ETag"] = f'"v{len(get.told)}"'

    begun(get, server, arrived=100_000, etag='"other"', last_modified="x")
    with pytest.raises(FetchError, match="what arrived is kept"):
        get(tell=change)
    assert get.path.stat().st_size == 100_000


def test_a_part_need_not_repeat_a_validator(server, get):
    """RFC 9110, 15.3.7: an answer to If-Range leaves out Last-Modified where there is an ETag."""
    begun(get, server, last_modified="Wed, 01 Sep 2021 05:47:39 GMT")
    server.file("/f", DATA)
    assert get() == SPLICED
    assert server.bodies() == [(150_000, len(DATA) - 150_000)]


def test_a_sign_in_page_leaves_what_arrived(server, get):
    begun(get, server)
    server.file("/f", b"<html><title>Hotel</title>", etag=None, kind="text/html", ranges=False)
    with pytest.raises(IntegrityError, match="an HTML page titled 'Hotel'"):
        get()
    assert get.told == []
    assert get.path.read_bytes() == DATA[:150_000]
    server.file("/f", DATA)
    assert get() == SPLICED
    assert server.bodies()[-1] == (150_000, len(DATA) - 150_000)


def test_an_answer_that_breaks_at_once_leaves_what_arrived(server, get):
    begun(get, server)
    server.file("/f", DATA, ranges=False, cuts=[100] * 9)
    with pytest.raises(FetchError):
        get()
    assert get.path.read_bytes() == DATA[:150_000]


def test_a_part_of_everything_is_everything(server, get):
    """A server that answers 206 to a request without a range."""
    server.file("/f", DATA, always_part=True)
    assert get() == WHOLE
    assert get.told == []


def test_digits_of_other_scripts_are_no_length(server, get):
    server.file("/f", DATA, chunked=True, headers={"Content-Range": "bytes ²-9/²"})
    assert get() == WHOLE


def test_a_retry_after_that_is_no_time_is_passed_over(server, get):
    server.file("/f", DATA, statuses=[503], headers={"Retry-After": "soon"})
    assert get() == WHOLE


def test_a_redirect_to_no_address_is_no_answer(server, get):
    for place in ("http://[bad/x", "http://.example/x"):
        server.file("/f", b"", location=place)
        with pytest.raises(FetchError, match="no answer"):
            get()


def test_missing_certificates_are_no_fault_of_the_disk(server, get, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/bundle.pem")
    with pytest.raises(FetchError, match=r"no answer \(the settings for TLS or proxies: .*bundle.pem"):
        download("https://127.0.0.1:9/f", get.path, patience=QUICK)


# answers that are none --------------------------------------------------------------------------------------


def test_passing_trouble_is_sat_out_and_not_in_silence(server, get):
    server.file("/f", DATA, statuses=[500, 503, 502])
    assert get() == WHOLE
    assert get.told == [
        "the server answered 500 Internal Server Error; trying again",
        "the server answered 503 Service Unavailable; trying again",
        "the server answered 502 Bad Gateway; trying again",
    ]


@pytest.mark.slow
def test_a_server_that_asks_for_a_pause_gets_it(server, get):
    server.file("/f", DATA, statuses=[503], headers={"Retry-After": "1"})
    started = time.monotonic()
    assert get() == WHOLE
    assert time.monotonic() - started >= 1
    assert get.told == ["the server answered 503 Service Unavailable; trying again in 1 s, as it asks for"]


def test_nobody_waits_for_an_hour(server, get):
    server.file("/f", DATA, statuses=[429], headers={"Retry-After": "3600"})
    with pytest.raises(FetchError) as error:
        get()
    assert str(error.value) == (
        f"{server.url}/f: the server answered 429 Too Many Requests and asks to come back after 3600 s"
    )


def test_lasting_trouble_is_told(server, get):
    server.file("/f", DATA, statuses=[503] * 9)
    with pytest.raises(FetchError) as error:
        get()
    assert str(error.value) == f"{server.url}/f: the server answered 503 Service Unavailable"
    assert len(server.asked) == QUICK.tries


def test_a_redirect_is_followed_on_resuming_too(server, get):
    begun(get, server)
    server.file("/f", b"", location="/elsewhere")
    server.file("/elsewhere", DATA)
    assert get() == SPLICED
    assert server.bodies() == [(150_000, len(DATA) - 150_000)]


def test_redirects_in_a_circle_end(server, get):
    server.file("/f", b"", location="/g")
    server.file("/g", b"", location="/f")
    with pytest.raises(FetchError) as error:
        get()
    assert str(error.value) == f"{server.url}/f: no answer (more than 10 redirects, the last to /g)"


def test_a_length_that_promises_too_much_is_told(server, get):
    server.file("/f", DATA, length=len(DATA) + 5, ranges=False)
    with pytest.raises(FetchError, match=rf"/f: {len(DATA)} of {len(DATA) + 5} bytes arrived"):
        get()


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b"<!DOCTYPE html><html><title>Rate &amp; limit</title>", "an HTML page titled 'Rate & limit'"),
        (b"\n<html><body>no title", "an HTML page"),
        (b'<?xml version="1.0"?><Error><Code>NoSuchKey</Code></Error>', "an XML message titled 'NoSuchKey'"),
        (b'{"message": "Not Found"}', "a JSON message"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
    ],
)
def test_a_page_is_called_what_it_is(server, get, body, found):
    server.file("/f", body)
    with pytest.raises(IntegrityError) as error:
        get()
    assert str(error.value) == (
        f"{server.url}/f: the server sent {found} instead of the file; open the link in a browser to see what it says"
    )


def test_the_environments_proxy_is_used(server, tmp_path, monkeypatch):
    """The proxy gets the whole URL of a host that does not exist."""
    monkeypatch.setenv("http_proxy", server.url)
    server.file("http://weights.invalid/f", DATA)
    assert download("http://weights.invalid/f", tmp_path / "f.part", patience=QUICK) == WHOLE


def test_a_refused_connection_is_told(get, tmp_path):
    url = f"http://127.0.0.1:{unused_port()}/f"
    with pytest.raises(FetchError, match=rf"^{url}: no answer \(ConnectionError: .*Connection refused"):
        download(url, tmp_path / "f.part", patience=QUICK, tell=get.told.append)
    assert len(get.told) == QUICK.tries - 1
    assert get.told[0].startswith("no answer (")
    assert get.told[0].endswith("Connection refused); trying again")


# the disk ---------------------------------------------------------------------------------------------------


def test_a_file_that_cannot_fit_is_refused_before_its_first_byte(server, get, monkeypatch):
    server.file("/f", DATA)
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage)
    with pytest.raises(FetchError) as error:
        get()
    assert str(error.value) == (
        f"{get.path.parent}: no room for {server.url}/f: {len(DATA)} bytes are needed, 1000 are free; make room, or "
        "set ZOO_HOME to another disk"
    )
    assert not [one for one in get.path.parent.iterdir() if one.name != "zoo-home"]


class Usage:
    free = 1000


@pytest.mark.slow
def test_a_disk_that_is_full_on_the_way_keeps_what_arrived(server, get, tmp_path):
    """The system's limit on a file's size stands for a full disk; the next run goes on behind it."""
    server.file("/f", DATA)
    program = (
        "import resource, signal, sys; from pathlib import Path; from segbench.zoo.fetch.download import *;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY));\n"
        "try: download(sys.argv[1], Path(sys.argv[2]))\n"
        "except FetchError as error: sys.exit(str(error))"
    )
    command = [sys.executable, "-c", program, f"{server.url}/f", str(get.path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr == (
        f"{get.path}: cannot write: File too large; the 100000 bytes that arrived are kept: make room and run it again, "
        "or set ZOO_HOME to another place\n"
    )
    assert get() == SPLICED
    assert server.bodies()[-1] == (100_000, len(DATA) - 100_000)


# other processes --------------------------------------------------------------------------------------------


@pytest.fixture
def processes():
    with nursery() as running:
        yield running


def cached(tmp_path):
    return next((tmp_path / "zoo-home/weights").iterdir()) / "f.pth"


def part_size(tmp_path):
    try:
        return cached(tmp_path).with_name("f.pth.part").stat().st_size
    except (FileNotFoundError, StopIteration):
        return 0


@pytest.mark.slow
@pytest.mark.parametrize("kills", [10, pytest.param(50, marks=pytest.mark.golden)])
def test_kills_later_the_file_is_right_and_nothing_was_fetched_twice(server, processes, tmp_path, kills):
    big = b"PK\x03\x04" + random.Random(1).randbytes(8_000_000)
    server.file("/f.pth", big, trickle=(4096, 0.001))
    sha256, chance = hashlib.sha256(big).hexdigest(), random.Random(2)
    sizes, killed = [0], 0
    for turn in range(kills):
        pid = processes.start(f"{server.url}/f.pth", sha256=sha256)
        if turn % 2:  # somewhere within the file, however slow the machine is
            wanted = sizes[-1] + chance.randrange(100_000)
            while part_size(tmp_path) <= wanted:
                time.sleep(0.001)
        else:  # at any moment, before the first byte too
            time.sleep(chance.uniform(0.0, 0.06))
        killed += processes.kill(pid)["code"] == -9
        sizes.append(part_size(tmp_path))
    assert processes.wait(processes.start(f"{server.url}/f.pth", sha256=sha256)) == {"code": 0, "told": ""}
    assert cached(tmp_path).read_bytes() == big
    assert killed == kills
    assert len({size for size in sizes if size}) > kills // 5
    # Every answer begins exactly where the file on disk ended: what had arrived was never asked for again.
    assert {begin for begin, _ in server.bodies()} <= set(sizes)
    wasted = sum(sent for _, sent in server.bodies()) - len(big)
    assert wasted <= killed * CHUNK_BYTES


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 8])
def test_processes_that_want_one_file_share_one_download(server, processes, tmp_path, count):
    server.file("/f.pth", DATA, trickle=(20_000, 0.01))
    pids = [processes.start(f"{server.url}/f.pth", sha256=SHA256) for _ in range(count)]
    ends = [processes.wait(pid) for pid in pids]
    assert [end["code"] for end in ends] == [0] * count
    assert server.bodies() == [(0, len(DATA))]
    assert cached(tmp_path).read_bytes() == DATA
    waited = [
        end["told"] for end in ends if "another process is fetching it; waiting for that" in end["told"]
    ]
    assert len(waited) == count - 1


@pytest.mark.slow
def test_a_killed_holder_hands_the_download_on(server, processes, tmp_path):
    server.file("/f.pth", DATA, trickle=(8192, 0.01))
    first = processes.start(f"{server.url}/f.pth", sha256=SHA256)
    while not server.bodies():
        time.sleep(0.005)
    second = processes.start(f"{server.url}/f.pth", sha256=SHA256)
    time.sleep(0.1)
    processes.kill(first)
    assert processes.wait(second)["code"] == 0
    assert cached(tmp_path).read_bytes() == DATA
    assert server.bodies()[1][0] > 0
