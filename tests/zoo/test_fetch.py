"""Downloads against a real server: the right file under its final name, or one clear error and nothing."""

import hashlib

import pytest

from segbench.zoo import fetch as fetching
from segbench.zoo.fetch import FetchError, IntegrityError, fetch, weights_path

DATA = bytes(range(256)) * 9000
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Do not wait between attempts."""
    monkeypatch.setattr("urllib3.util.retry.Retry.sleep", lambda *_, **__: None)


def leftovers(row):
    folder = weights_path(row).parent
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


@pytest.mark.parametrize(
    "hashes", [{"sha256": SHA256}, {"sha256_prefix": SHA256[:8]}, {}], ids=["full", "prefix", "none"]
)
def test_the_file_arrives_whole_under_its_own_name(server, checkpoint, hashes):
    server.file("/model.pth", DATA)
    row = checkpoint(f"{server.url}/model.pth", **hashes)
    path = fetch(row)
    assert path == weights_path(row)
    assert path.read_bytes() == DATA
    assert leftovers(row) == ["model.pth"]


def test_progress_counts_every_byte(server, checkpoint):
    class Counter:
        total = None
        seen = 0

        def update(self, n=1):
            self.seen += n

    server.file("/model.pth", DATA)
    counter = Counter()
    fetch(checkpoint(f"{server.url}/model.pth"), progress=counter)
    assert (counter.total, counter.seen) == (len(DATA), len(DATA))


def test_a_fetched_file_is_not_fetched_again(server, checkpoint):
    server.file("/model.pth", DATA)
    row = checkpoint(f"{server.url}/model.pth", sha256=SHA256)
    assert fetch(row) == fetch(row)
    assert server.requests == ["/model.pth"]


def test_a_file_in_torchs_cache_is_used_where_its_hash_agrees(server, checkpoint, tmp_path):
    cached = tmp_path / "torch-home/hub/checkpoints/model.pth"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(DATA)
    assert fetch(checkpoint(f"{server.url}/model.pth", sha256_prefix=SHA256[:8])) == cached
    assert server.requests == []


def test_wrong_bytes_never_get_the_final_name(server, checkpoint):
    server.file("/model.pth", DATA[:-1] + b"x")
    row = checkpoint(f"{server.url}/model.pth", sha256=SHA256)
    with pytest.raises(IntegrityError) as error:
        fetch(row)
    found = hashlib.sha256(DATA[:-1] + b"x").hexdigest()
    assert str(error.value) == (
        f"{server.url}/model.pth: sha256 does not agree with the published one: expected {SHA256}, found {found}; "
        "the file is damaged, incomplete or another one: nothing was kept; try again, or report it to the publisher"
    )
    assert leftovers(row) == []


def test_a_cached_file_that_changed_is_refused(server, checkpoint):
    server.file("/model.pth", DATA)
    row = checkpoint(f"{server.url}/model.pth", sha256_prefix=SHA256[:8])
    fetch(row).write_bytes(b"something else")
    with pytest.raises(IntegrityError, match=r"delete .* and fetch it again"):
        fetch(row)


def test_a_cut_connection_leaves_nothing(server, checkpoint):
    server.file("/model.pth", DATA[:1000], length=len(DATA))
    row = checkpoint(f"{server.url}/model.pth")
    with pytest.raises(FetchError, match="no URL gave the file"):
        fetch(row)
    assert leftovers(row) == []


def test_a_web_page_is_called_one(server, checkpoint):
    server.file("/model.pth", b"<html><title>Sign in</title></html>", kind="text/html; charset=utf-8")
    row = checkpoint(f"{server.url}/model.pth")
    with pytest.raises(FetchError, match="sent a text/html page instead of a checkpoint"):
        fetch(row)
    assert leftovers(row) == []


def test_a_missing_file_is_told_with_the_servers_answer(server, checkpoint):
    row = checkpoint(f"{server.url}/gone.pth")
    with pytest.raises(FetchError) as error:
        fetch(row)
    assert str(error.value) == (
        f"{row.id}: no URL gave the file: {server.url}/gone.pth: the server answered 404 Not Found"
    )


def test_a_passing_trouble_is_retried(server, checkpoint):
    server.file("/good.pth", DATA)
    server.status("/model.pth", 503, 500, then="/good.pth")
    assert fetch(checkpoint(f"{server.url}/model.pth", sha256=SHA256)).read_bytes() == DATA
    assert server.requests == ["/model.pth"] * 3


def test_the_second_url_serves_where_the_first_is_gone(server, checkpoint):
    server.file("/old/model.pth", DATA)
    row = checkpoint(f"{server.url}/new/model.pth", f"{server.url}/old/model.pth")
    assert fetch(row).read_bytes() == DATA


def test_a_refused_connection_is_told(checkpoint):
    with pytest.raises(FetchError, match="no answer"):
        fetch(checkpoint("http://127.0.0.1:9/model.pth"))


def test_offline_never_asks_the_network(server, checkpoint):
    server.file("/model.pth", DATA)
    row = checkpoint(f"{server.url}/model.pth")
    with pytest.raises(FetchError) as error:
        fetch(row, offline=True)
    assert str(error.value) == (
        f"{row.id}: not in the cache ({weights_path(row)}) and --offline is set; run zoo fetch once online"
    )
    assert server.requests == []


def test_a_place_that_cannot_be_written_is_named(server, checkpoint, tmp_path, monkeypatch):
    server.file("/model.pth", DATA)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ZOO_HOME", str(tmp_path / "file"))
    with pytest.raises(FetchError, match="set ZOO_HOME to another place"):
        fetch(checkpoint(f"{server.url}/model.pth"))


def test_an_interrupted_download_leaves_nothing(server, checkpoint, monkeypatch):
    """Ctrl-C in the middle of the body: no file, no partial file."""
    server.file("/model.pth", DATA)
    row = checkpoint(f"{server.url}/model.pth")

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(fetching, "_content_length", interrupt)
    with pytest.raises(KeyboardInterrupt):
        fetch(row)
    assert leftovers(row) == []
