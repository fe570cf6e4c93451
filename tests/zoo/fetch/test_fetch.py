"""Downloads against a real server: the right file under its final name, or one clear error and nothing."""

import hashlib
import json

import pytest
from checkpoint_files import checkpoint_file
from faulty_server import unused_port

from segbench.zoo.fetch import Action, FetchError, IntegrityError, fetch, fetch_action, weights_path
from segbench.zoo.fetch.download import Patience

DATA = checkpoint_file(2_304_002)
OTHER = checkpoint_file(2_304_002, seed=1)
SHA256 = hashlib.sha256(DATA).hexdigest()
QUICK = Patience(connect_seconds=2, read_seconds=0.3, tries=4, backoff_seconds=0.01)


@pytest.fixture
def got(tmp_path):
    """A function that fetches a row quickly and collects what it tells in `.told`."""

    def run(row, **options):
        return fetch(row, patience=QUICK, tell=run.told.append, **options)

    run.told = []
    return run


def leftovers(row):
    folder = weights_path(row).parent
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def blobs(tmp_path):
    return sorted(path.name for path in (tmp_path / "zoo-home/blobs").glob("*"))


@pytest.mark.parametrize(
    "hashes", [{"sha256": SHA256}, {"sha256_prefix": SHA256[:8]}, {}], ids=["full", "prefix", "none"]
)
def test_the_file_arrives_whole_under_its_own_name(server, checkpoint, got, tmp_path, hashes):
    server.file("/model.pth", DATA)
    row = checkpoint(f"{server.url}/model.pth", **hashes)
    path = got(row)
    assert path == weights_path(row)
    assert path.read_bytes() == DATA
    assert leftovers(row) == ["model.pth"]
    assert blobs(tmp_path) == [SHA256]
    assert path.samefile(tmp_path / "zoo-home/blobs" / SHA256)
    assert got.told == []


def test_progress_counts_every_byte(server, checkpoint, got):
    class Counter:
        def begin(self, total, arrived):
            self.total, self.seen = total, arrived

        def update(self, n):
            self.seen += n

    server.file("/model.pth", DATA, cuts=[100_000])
    counter = Counter()
    got(checkpoint(f"{server.url}/model.pth"), progress=counter)
    assert (counter.total, counter.seen) == (len(DATA), len(DATA))


def test_a_fetched_file_is_not_fetched_again(server, checkpoint, got):
    server.file("/model.pth", DATA)
    row = checkpoint(f"{server.url}/model.pth", sha256=SHA256)
    assert got(row) == got(row)
    assert [asked.path for asked in server.asked] == ["/model.pth"]


def torchs_file(tmp_path, data):
    cached = tmp_path / "torch-home/hub/checkpoints/model.pth"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(data)
    return cached


def test_a_file_in_torchs_cache_is_used_where_its_hash_agrees(server, checkpoint, got, tmp_path):
    cached = torchs_file(tmp_path, DATA)
    assert got(checkpoint(f"{server.url}/model.pth", sha256_prefix=SHA256[:8])) == cached
    assert server.asked == []
    assert blobs(tmp_path) == []


def test_another_file_in_torchs_cache_is_passed_over(server, checkpoint, got, tmp_path):
    cached = torchs_file(tmp_path, DATA[:-1])
    server.file("/model.pth", DATA)
    row = checkpoint(f"{server.url}/model.pth", sha256_prefix=SHA256[:8])
    assert got(row) == weights_path(row)
    other = hashlib.sha256(DATA[:-1]).hexdigest()[:8]
    assert got.told == [f"{row.id}: {cached} is another file of this name (sha256 {other}…): not used"]


def test_two_rows_with_one_file_download_it_once(server, checkpoint, got):
    server.file("/model.pth", DATA)
    server.file("/copy.pth", DATA)
    first = checkpoint(f"{server.url}/model.pth", sha256=SHA256)
    second = checkpoint(f"{server.url}/copy.pth", sha256_prefix=SHA256[:8])
    assert got(first).samefile(got(second))
    assert [asked.path for asked in server.asked] == ["/model.pth"]


def test_a_damaged_blob_is_not_used(server, checkpoint, got, tmp_path):
    server.file("/model.pth", DATA)
    row = checkpoint(f"{server.url}/model.pth", sha256=SHA256)
    path = got(row)
    path.write_bytes(b"something else")  # the blob too: they are one file
    path.unlink()
    assert got(row).read_bytes() == DATA
    assert (tmp_path / "zoo-home/blobs" / SHA256).read_bytes() == DATA


def test_wrong_bytes_are_kept_aside_and_never_get_the_final_name(server, checkpoint, got):
    wrong = DATA[:-1] + b"x"
    found = hashlib.sha256(wrong).hexdigest()
    server.file("/model.pth", wrong)
    row = checkpoint(f"{server.url}/model.pth", sha256=SHA256)
    with pytest.raises(IntegrityError) as error:
        got(row)
    aside = weights_path(row).with_name(f"model.pth.wrong-{found[:8]}")
    assert str(error.value) == (
        f"{row.id}: no URL gave the file: {server.url}/model.pth: sha256 does not agree with the published one: "
        f"expected {SHA256}, found {found}; the file is another one: kept as {aside}; try again, or report it to the "
        "publisher"
    )
    assert leftovers(row) == [aside.name]
    assert aside.read_bytes() == wrong


def test_a_cached_file_that_changed_is_refused(server, checkpoint, got):
    server.file("/model.pth", DATA)
    row = checkpoint(f"{server.url}/model.pth", sha256_prefix=SHA256[:8])
    got(row).write_bytes(b"something else")
    with pytest.raises(IntegrityError, match=r"delete .* and fetch it again"):
        got(row)


def test_a_line_that_always_breaks_at_once_is_given_up_and_the_bytes_kept(server, checkpoint, got):
    server.file("/model.pth", DATA, cuts=[1000] + [0] * 9)
    row = checkpoint(f"{server.url}/model.pth")
    with pytest.raises(FetchError) as error:
        got(row)
    assert str(error.value) == (
        f"{row.id}: no URL gave the file: {server.url}/model.pth: 1000 of {len(DATA)} bytes arrived: "
        "the connection ended early; what arrived is kept, run it again"
    )
    assert leftovers(row) == ["model.pth.part", "model.pth.part.json"]


def test_a_web_page_is_called_one_by_its_title(server, checkpoint, got):
    server.file(
        "/model.pth", b"<html><head><title>Sign\n in</title></head></html>", kind="text/html; charset=utf-8"
    )
    row = checkpoint(f"{server.url}/model.pth")
    with pytest.raises(IntegrityError) as error:
        got(row)
    assert str(error.value) == (
        f"{row.id}: no URL gave the file: {server.url}/model.pth: the server sent an HTML page titled 'Sign in' "
        "instead of the file; open the link in a browser to see what it says"
    )
    assert "model.pth" not in leftovers(row)


def test_a_missing_file_is_told_with_the_servers_answer(server, checkpoint, got):
    row = checkpoint(f"{server.url}/gone.pth")
    with pytest.raises(FetchError) as error:
        got(row)
    assert str(error.value) == (
        f"{row.id}: no URL gave the file: {server.url}/gone.pth: the server answered 404 Not Found"
    )


def test_the_second_url_serves_where_the_first_is_gone_and_that_is_told(server, checkpoint, got):
    server.file("/old/model.pth", DATA)
    row = checkpoint(f"{server.url}/new/model.pth", f"{server.url}/old/model.pth")
    assert got(row).read_bytes() == DATA
    assert got.told == [
        (
            f"{row.id}: had from {server.url}/old/model.pth, because {server.url}/new/model.pth: the server answered "
            "404 Not Found"
        )
    ]


def test_the_second_url_serves_where_nobody_answers_at_the_first(server, checkpoint, got):
    server.file("/model.pth", DATA)
    row = checkpoint(f"http://127.0.0.1:{unused_port()}/model.pth", f"{server.url}/model.pth")
    assert got(row).read_bytes() == DATA


def test_a_mirror_with_wrong_bytes_does_not_keep_the_right_ones_away(server, checkpoint, got):
    server.file("/bad/model.pth", DATA[:-1])
    server.file("/model.pth", DATA)
    row = checkpoint(f"{server.url}/bad/model.pth", f"{server.url}/model.pth", sha256=SHA256)
    assert got(row).read_bytes() == DATA
    assert "sha256 does not agree" in got.told[0]


def test_a_mirror_goes_on_where_the_first_one_broke_off(server, checkpoint, got):
    """With a known hash the bytes of the same file may come from two places."""
    server.file("/one/model.pth", DATA, cuts=[700_000], statuses=[])
    row = checkpoint(f"{server.url}/one/model.pth", f"{server.url}/two/model.pth", sha256=SHA256)
    page = server.pages["/one/model.pth"]
    page.cuts += [0] * 9
    server.file("/two/model.pth", DATA, etag='"another server"')
    assert got(row).read_bytes() == DATA
    assert server.bodies() == [(0, 700_000), (700_000, len(DATA) - 700_000)]


@pytest.mark.parametrize(
    ("trouble", "asked"),
    [({"statuses": [503] * 9}, {"/X.pth"}), ({"statuses": [404] * 9}, {"/X.pth", "/X_train.pth"})],
    ids=["busy", "gone"],
)
def test_passing_trouble_makes_no_other_file_the_recorded_one(server, checkpoint, got, trouble, asked):
    """Without a hash nobody says that files of two names are one; the first that comes is required ever after."""
    server.file("/X.pth", DATA, **trouble)
    server.file("/X_train.pth", OTHER)
    row = checkpoint(f"{server.url}/X.pth", f"{server.url}/X_train.pth")
    if len(asked) == 1:
        with pytest.raises(FetchError, match=r"503 Service Unavailable$"):
            got(row)
        assert (
            f"{row.id}: {server.url}/X_train.pth is not asked: it has another name, and nobody says that it is the same file"
            in got.told
        )
    else:
        assert got(row).read_bytes() == OTHER
    assert {one.path for one in server.asked} == asked


def test_once_recorded_a_file_may_come_under_another_name(server, checkpoint, got, tmp_path):
    server.file("/X.pth", DATA)
    server.file("/X_train.pth", DATA)
    row = checkpoint(f"{server.url}/X.pth", f"{server.url}/X_train.pth")
    got(row).unlink()
    for blob in (tmp_path / "zoo-home/blobs").iterdir():
        blob.unlink()
    server.pages["/X.pth"].statuses += [503] * 9
    assert got(row).read_bytes() == DATA


def parts(row):
    return {path.name: path.stat().st_size for path in weights_path(row).parent.glob("*.part")}


def test_what_one_mirror_gave_outlives_the_other(server, checkpoint, got):
    """Without a hash each URL has its own partial file; whichever breaks, neither loses what arrived."""
    server.file("/one/model.pth", DATA, cuts=[700_000] + [0] * 9)
    row = checkpoint(f"{server.url}/one/model.pth", f"{server.url}/two/model.pth")
    with pytest.raises(FetchError):
        got(row)
    assert list(parts(row).values()) == [700_000]
    server.file("/two/model.pth", DATA, cuts=[300_000] + [0] * 9, etag='"2"')
    server.pages["/one/model.pth"].cuts = [0] * 4
    with pytest.raises(FetchError):
        got(row)
    assert sorted(parts(row).values()) == [300_000, 700_000]
    assert fetch_action(row) is Action.RESUME
    del server.pages["/one/model.pth"]
    server.pages["/two/model.pth"].cuts.clear()
    assert got(row).read_bytes() == DATA
    assert server.bodies()[-1] == (300_000, len(DATA) - 300_000)
    assert leftovers(row) == ["model.pth"]


def test_a_mirror_goes_on_with_bytes_of_unknown_length_where_a_hash_will_tell(server, checkpoint, got):
    server.file("/one/model.pth", DATA, chunked=True, cuts=[700_000] + [0] * 9)
    server.file("/two/model.pth", DATA, etag='"2"')
    row = checkpoint(f"{server.url}/one/model.pth", f"{server.url}/two/model.pth", sha256=SHA256)
    assert got(row).read_bytes() == DATA
    assert server.bodies()[-1] == (700_000, len(DATA) - 700_000)


@pytest.mark.parametrize("chunked", [True, False], ids=["chunks", "until it closes"])
def test_a_file_cut_without_a_length_is_no_file(server, checkpoint, got, tmp_path, chunked):
    """Its own container says where it ends; nothing else does."""
    half = DATA[: len(DATA) // 2]
    server.file("/model.pth", half, chunked=chunked, no_length=not chunked, ranges=False)
    row = checkpoint(f"{server.url}/model.pth")
    with pytest.raises(FetchError, match="the connection ended early; what arrived is kept") as error:
        got(row)
    assert not isinstance(error.value, IntegrityError)
    assert leftovers(row) == ["model.pth.part", "model.pth.part.json"]
    assert not (tmp_path / "zoo.lock").exists()
    server.file("/model.pth", DATA)
    assert got(row).read_bytes() == DATA
    assert server.bodies()[-1] == (len(half), len(DATA) - len(half))


def test_parts_that_do_not_fit_together_are_fetched_anew(server, checkpoint, got):
    """What lay on the disk was damaged; with a known hash that shows, and costs one more download."""
    server.file("/model.pth", DATA, cuts=[100_000] + [0] * 9)
    row = checkpoint(f"{server.url}/model.pth", sha256=SHA256)
    with pytest.raises(FetchError):
        got(row)
    part = weights_path(row).with_name("model.pth.part")
    part.write_bytes(part.read_bytes()[:-1] + b"?")
    server.pages["/model.pth"].cuts.clear()
    got.told.clear()
    assert got(row).read_bytes() == DATA
    assert len(got.told) == 1
    assert got.told[0].startswith(f"{row.id}: the joined parts are not the file (")


def test_a_refused_connection_is_told(checkpoint, got):
    with pytest.raises(FetchError, match="no answer"):
        got(checkpoint(f"http://127.0.0.1:{unused_port()}/model.pth"))


def test_offline_never_asks_the_network(server, checkpoint, got):
    server.file("/model.pth", DATA)
    row = checkpoint(f"{server.url}/model.pth")
    with pytest.raises(FetchError) as error:
        got(row, offline=True)
    assert str(error.value) == (
        f"{row.id}: not in the cache ({weights_path(row)}) and --offline is set; run zoo fetch once online"
    )
    assert server.asked == []


def test_a_place_that_cannot_be_written_is_named_before_anything_is_asked(
    server, checkpoint, got, tmp_path, monkeypatch
):
    server.file("/model.pth", DATA)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ZOO_HOME", str(tmp_path / "file"))
    with pytest.raises(FetchError, match="set ZOO_HOME to another place"):
        got(checkpoint(f"{server.url}/model.pth"))
    assert server.asked == []


def test_a_fault_of_this_machine_asks_no_other_mirror_and_loses_nothing(server, checkpoint, got, tmp_path):
    """The lock cannot be written, a folder lies in the file's place: told before a byte is asked for."""
    server.file("/model.pth", DATA)
    row = checkpoint(f"{server.url}/model.pth", f"{server.url}/mirror/model.pth")
    (tmp_path / ".zoo.lock.guard").mkdir()
    with pytest.raises(
        FetchError, match=r"zoo.lock: cannot write: Is a directory; name another file with ZOO_LOCK"
    ):
        got(row)
    (tmp_path / ".zoo.lock.guard").rmdir()
    weights_path(row).mkdir(parents=True)
    with pytest.raises(FetchError, match=r"model.pth: a folder lies where the file belongs; move it away"):
        got(row)
    assert server.asked == []


# zoo.lock ---------------------------------------------------------------------------------------------------


def test_the_first_download_is_recorded_where_no_hash_is_published(server, checkpoint, got, tmp_path):
    server.file("/model.pth", DATA)
    row = checkpoint(f"{server.url}/model.pth")
    got(row)
    content = json.loads((tmp_path / "zoo.lock").read_text())
    entry = content["files"][row.id]
    assert entry.pop("recorded").startswith("20")
    assert content == {"version": 1, "files": {row.id: entry}}
    assert entry == {
        "file": "model.pth", "url": f"{server.url}/model.pth", "sha256": SHA256, "size_bytes": len(DATA),
        "content_digest": None,
    }  # fmt: skip


def test_a_published_hash_needs_no_lock(server, checkpoint, got, tmp_path):
    server.file("/model.pth", DATA)
    got(checkpoint(f"{server.url}/model.pth", sha256_prefix=SHA256[:8]))
    assert not (tmp_path / "zoo.lock").exists()


def test_what_was_recorded_is_required_until_the_lock_is_updated(server, checkpoint, got, tmp_path):
    server.file("/model.pth", DATA)
    row = checkpoint(f"{server.url}/model.pth")
    got(row).unlink()
    for blob in (tmp_path / "zoo-home/blobs").iterdir():
        blob.unlink()
    server.file("/model.pth", OTHER)
    with pytest.raises(
        IntegrityError, match=r"the one recorded in .*zoo.lock: .* or accept it with --update-lock"
    ):
        got(row)
    assert got(row, update_lock=True).read_bytes() == OTHER
    assert got(row).read_bytes() == OTHER


def test_a_file_that_is_there_is_recorded_too(server, checkpoint, got, tmp_path):
    row = checkpoint(f"{server.url}/model.pth")
    weights_path(row).parent.mkdir(parents=True)
    weights_path(row).write_bytes(DATA)
    assert got(row) == weights_path(row)
    assert json.loads((tmp_path / "zoo.lock").read_text())["files"][row.id]["sha256"] == SHA256
    weights_path(row).write_bytes(DATA + b"more")
    with pytest.raises(IntegrityError, match="the one recorded in"):
        got(row)


def test_a_lock_that_cannot_be_written_keeps_no_file_from_its_user(server, checkpoint, got, tmp_path):
    """A cache that others look after: it may be read, and nothing more."""
    row = checkpoint(f"{server.url}/model.pth")
    weights_path(row).parent.mkdir(parents=True)
    weights_path(row).write_bytes(DATA)
    (tmp_path / ".zoo.lock.guard").mkdir()
    assert got(row) == weights_path(row)
    assert got.told == [
        (
            f"{row.id}: used, but not recorded: {tmp_path / 'zoo.lock'}: cannot write: Is a directory; name another file with "
            "ZOO_LOCK"
        )
    ]
