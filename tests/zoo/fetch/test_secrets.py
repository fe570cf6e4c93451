"""Passwords and tokens in URLs: used, never written, never shown."""

import base64
import hashlib
import json
import logging

import pytest
import yaml
from checkpoint_files import checkpoint_file
from raw_server import endless, head, once, raw_server

from segbench.zoo.cli import main
from segbench.zoo.demo import STREETS
from segbench.zoo.fetch import FetchError
from segbench.zoo.fetch.download import Patience, download

DATA = checkpoint_file(300_002, seed=0)
BASIC = base64.b64encode(b"user:SECRET1").decode()
SECRETS = ("SECRET1", "SECRET2", "SECRET3", BASIC)


@pytest.fixture
def raw():
    """A running RawServer."""
    with raw_server() as running:
        yield running


def answer(data, kind="application/octet-stream"):
    return once(head(content_type=kind, content_length=len(data), etag='"v1"'), data)


@pytest.fixture
def zoo(raw, tmp_path, capsys, monkeypatch, caplog):
    """A function that runs `zoo` on a manifest of one row behind a password and tokens; all it says and writes.

    The manifest itself is the user's own, and so is not looked at.
    """
    monkeypatch.delenv("ZOO_LOCK")
    monkeypatch.chdir(tmp_path)
    caplog.set_level(logging.DEBUG)
    content = yaml.safe_load((STREETS / "zoo.yaml").read_text())
    path = tmp_path / "mine" / "zoo.yaml"
    path.parent.mkdir()
    place = raw.url.replace("//", "//user:SECRET1@")
    row = content["checkpoints"][1] | {
        "aliases": [],
        "weights": {
            "urls": [f"{place}/gone.pth?X-Amz-Signature=SECRET2", f"{place}/f.pth?token=SECRET2#SECRET3=a"],
            "layout": "ssseg",
        },
        "log_urls": [f"{place}/f.log;jsessionid=SECRET3?SECRET2"],
        "config_urls": [f"{place}/?file=SECRET2"],
    }
    path.write_text(yaml.safe_dump(content | {"checkpoints": [row]}))
    raw.answers |= {
        "/gone.pth?X-Amz-Signature=SECRET2": once(head(404, content_length=0)),
        "/f.pth?token=SECRET2": answer(DATA),
        "/f.log;jsessionid=SECRET3?SECRET2": answer(b'{"mode": "val"}\n', "text/plain"),
        "/?file=SECRET2": answer(b"model = dict()\n", "text/plain"),
    }

    def run(*arguments):
        try:
            code = main([*arguments, "--manifest", str(path)])
        except SystemExit as end:
            code = end.code
        captured = capsys.readouterr()
        written = "".join(
            f"{file}\n{file.read_bytes().decode('latin-1')}\n"
            for file in tmp_path.rglob("*")
            if file.is_file() and file != path
        )
        return code, captured.out + captured.err, written + caplog.text

    run.row, run.lock, run.id = row, path.with_name("zoo.lock"), row["id"]
    return run


def secrets_in(text):
    return [secret for secret in SECRETS if secret in text]


def test_everything_is_fetched_and_no_secret_is_written(zoo, raw):
    code, said, written = zoo("fetch", "--with-logs")
    assert (code, secrets_in(said), secrets_in(written)) == (0, [], [])
    assert f"had from {raw.url.replace('//', '//***@')}/f.pth?token=***#***, because" in said
    assert all(f"Authorization: Basic {BASIC}" in request for request in raw.requests)
    [entry] = json.loads(zoo.lock.read_text())["files"].values()
    assert entry["url"] == f"{raw.url.replace('//', '//***@')}/f.pth?token=***#***"


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ("fetch", "--dry-run"),
        ("fetch", "--json"),
        ("fetch", "--list", "--json"),
        ("fetch", "--verify"),
        ("fetch", "--check-links"),
        ("fetch", "--check-links", "--json"),
        ("fetch", "--prune"),
        ("list", "--json"),
        ("audit",),
        ("report", "--format", "json"),
        ("report", "--format", "html"),
        ("export",),
    ],
    ids=" ".join,
)
def test_no_command_shows_or_writes_a_secret(zoo, arguments):
    zoo("fetch")
    _, said, written = zoo(*arguments)
    assert (secrets_in(said), secrets_in(written)) == ([], [])


def test_show_leaves_the_secrets_out(zoo):
    code, said, _ = zoo("show", zoo.id)
    assert (code, secrets_in(said), "***@" in said) == (0, [], True)


@pytest.mark.parametrize(
    "trouble",
    [
        once(head(503, content_length=0)),
        once(b"nonsense"),
        once(head(302, location="/g?token=SECRET2")),
        once(head(302, location="http://user:SECRET1@[/?SECRET2")),
        once(head(200, content_length=9), b"<html>"),
        once(head(200, content_length=len(DATA)), DATA[:100_000]),
        endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        once(head(200, content_length=10**16)),
        once(head(200, content_encoding="br")),
        once(head(200, content_length=600), b"x" * 600),
    ],
)
def test_no_trouble_brings_a_secret_to_light(zoo, raw, trouble):
    raw.answers["/f.pth?token=SECRET2"] = raw.answers["/g?token=SECRET2"] = trouble
    code, said, written = zoo("fetch", "--tries", "2", "--timeout", "0.2")
    assert (code in (3, 4), secrets_in(said), secrets_in(written)) == (True, [], [])


@pytest.mark.parametrize(
    "url",
    ["http://user:SEC/SECRET1@127.0.0.1/f", "http://user:SECRET1@[/f", "http://user:SECRET1@127.0.0.1:x/f"],
)
def test_an_address_that_is_none_is_not_quoted(tmp_path, url):
    with pytest.raises(FetchError) as error:
        download(url, tmp_path / "f.part", patience=Patience(tries=1))
    assert secrets_in(str(error.value)) == []


def test_a_lock_of_before_loses_its_password_when_it_is_written_next(zoo):
    sha256 = hashlib.sha256(b"another").hexdigest()
    entry = {"file": "f", "url": "https://u:SECRET1@h/f?token=SECRET2", "sha256": sha256, "size_bytes": 7}
    zoo.lock.write_text(json.dumps({"version": 1, "files": {"other": entry | {"recorded": "2024-01-01"}}}))
    zoo("fetch")
    assert json.loads(zoo.lock.read_text())["files"]["other"]["url"] == "https://***@h/f?token=***"


def test_a_password_goes_to_no_other_host(raw, tmp_path):
    """Another port is another server; the same one gets it again."""
    with raw_server() as other:
        raw.answers["/f"] = once(head(302, location="/g"))
        raw.answers["/g"] = once(head(302, location=f"{other.url}/h"))
        other.answers["/h"] = answer(DATA)
        download(
            f"{raw.url.replace('//', '//user:SECRET1@')}/f", tmp_path / "f.part", patience=Patience(tries=1)
        )
        assert [BASIC in request for request in raw.requests] == [True, True]
        assert [secrets_in(request) for request in other.requests] == [[]]


def test_a_password_of_netrc_goes_to_its_host_alone(raw, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login user password SECRET1\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with raw_server() as other:
        raw.answers["/f"] = once(head(302, location=f"{other.url.replace('127.0.0.1', 'localhost')}/h"))
        other.answers["/h"] = answer(DATA)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
        download(f"{raw.url}/f", tmp_path / "f.part", patience=Patience(tries=1))
        assert [BASIC in request for request in raw.requests] == [True]
        assert [secrets_in(request) for request in other.requests] == [[]]


def test_a_part_goes_on_with_the_next_token(raw, tmp_path):
    """Signed links change with every visit, and the file does not."""
    raw.answers["/f?token=SECRET1"] = once(head(content_length=len(DATA), etag='"v1"'), DATA[:100_000])
    part = f"bytes 100000-{len(DATA) - 1}/{len(DATA)}"
    raw.answers["/f?token=SECRET2"] = once(head(206, content_range=part, etag='"v1"'), DATA[100_000:])
    with pytest.raises(FetchError):
        download(f"{raw.url}/f?token=SECRET1", tmp_path / "f.part", patience=Patience(tries=1))
    assert download(f"{raw.url}/f?token=SECRET2", tmp_path / "f.part", patience=Patience(tries=1)).spliced
    assert (tmp_path / "f.part").read_bytes() == DATA
