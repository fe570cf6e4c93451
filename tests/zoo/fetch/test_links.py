"""`zoo fetch --check-links` against a real server: what became of every URL, and whether a claim lost its evidence."""

import json
import socket

import msgspec
import pytest
from faulty_server import unused_port
from full_zoo import ZOO

from segbench.zoo.fetch.download import Patience
from segbench.zoo.fetch.links import Checked, Link, check_all, exit_code, link_records, links_text, to_check

QUICK = Patience(connect_seconds=2, read_seconds=0.3, tries=2, backoff_seconds=0)


def checked(server, path="/f", kind="weights", **settings):
    """State and note of one link."""
    link = Link(url=f"{server.url}{path}", kind=kind, owners=("row",), **settings)
    [found] = check_all([link], patience=QUICK)
    assert found.link == link
    return found.state, found.note.replace(server.url, "")


def test_a_file_that_is_there_is_ok_and_not_downloaded(server):
    server.file("/f", b"PK" * 1000)
    assert checked(server, size_bytes=2000) == ("ok", "")
    assert [(one.method, one.sent) for one in server.asked] == [("HEAD", 0)]


def test_a_server_that_refuses_head_is_asked_for_one_byte(server):
    server.file("/f", b"PK" * 1000, head=False)
    assert checked(server, size_bytes=2000) == ("ok", "")
    assert [(one.method, one.range) for one in server.asked] == [("HEAD", None), ("GET", "bytes=0-0")]


@pytest.mark.parametrize("head", ["empty", "page", "silent"])
def test_what_head_says_against_a_file_is_confirmed_by_asking_for_a_byte(server, head):
    server.file("/f", b"PK" * 1000, bad_head=head)
    assert checked(server, size_bytes=2000) == ("ok", "")
    assert [one.method for one in server.asked][-1] == "GET"


def test_an_address_that_is_none_spoils_no_table(server):
    server.file("/f", b"", location="http://[bad/x")
    server.file("/g", b"PK")
    links = [
        Link(url=url, kind="log", owners=("row",))
        for url in (f"{server.url}/f", "http://[bad", f"{server.url}/g")
    ]
    assert [found.state for found in check_all(links, patience=QUICK)] == ["no answer", "no answer", "ok"]


def test_a_host_without_an_address_is_asked_once_and_its_other_links_share_the_answer(server, monkeypatch):
    names = []

    def unknown(host, *rest, **settings):
        names.append(host)
        if host == "none.invalid":
            raise socket.gaierror(-2, "Name or service not known")
        return known(host, *rest, **settings)

    known = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    server.file("/moved", b"", location="http://none.invalid/f")
    server.file("/f", b"PK")
    links = [Link(url=f"http://none.invalid/{number}", kind="log", owners=("row",)) for number in range(40)]
    elsewhere = [Link(url=f"{server.url}{path}", kind="log", owners=("row",)) for path in ("/moved", "/f")]
    found = check_all([*elsewhere, *links], patience=QUICK)
    assert {(one.state, one.note) for one in found[2:]} == {
        ("no answer", "ConnectionError: [Errno -2] Name or service not known")
    }
    assert [one.state for one in found[:2]] == ["no answer", "ok"]
    assert len([one for one in names if one == "none.invalid"]) <= 5 * 2 * QUICK.tries


def test_a_missing_file_is_gone(server):
    assert checked(server) == ("gone", "the server answered 404 Not Found")


@pytest.mark.parametrize("status", [403, 503])
def test_a_refusal_is_no_absence(server, status):
    server.file("/f", b"PK", statuses=[status] * 9)
    state, note = checked(server)
    assert state == "refused", note
    assert note.startswith(f"the server answered {status}")


def test_nobody_there_is_no_answer(server):
    link = Link(url=f"http://127.0.0.1:{unused_port()}/f", kind="log", owners=("row",))
    [found] = check_all([link], patience=QUICK)
    assert (found.state, found.note) == ("no answer", "ConnectionError: [Errno 111] Connection refused")


def test_a_circle_of_redirects_is_gone(server):
    server.file("/f", b"", location="/f")
    assert checked(server) == ("gone", "more than 10 redirects, the last to /f")


def test_a_permanent_redirect_is_a_move_and_a_passing_one_is_not(server):
    server.file("/f", b"", location="/new", permanent=True)
    server.file("/new", b"", location="/signed?today")
    server.file("/signed?today", b"PK")
    assert checked(server) == ("moved", "to /new")
    assert checked(server, "/new") == ("ok", "")


def test_another_size_than_the_fetched_files_is_told(server):
    server.file("/f", b"PK" * 1000)
    assert checked(server, size_bytes=1999) == ("wrong size", "expected 1999 bytes, found 2000")
    server.file("/f", b"")
    assert checked(server) == ("wrong size", "the file is empty")


def test_a_page_in_place_of_weights_is_told_and_of_a_document_is_not(server):
    server.file("/f", b"<html>", kind="text/html; charset=utf-8")
    assert checked(server) == ("wrong type", "expected a checkpoint, found text/html")
    assert checked(server, kind="log") == ("wrong type", "expected a log, found text/html")
    assert checked(server, kind="document") == ("ok", "")


def test_the_whole_zoo_is_asked_for_once(server):
    """34 rows: weights, logs, configs; pages that many rows share count once."""
    links = to_check(ZOO, ZOO)
    assert len({link.url for link in links}) == len(links)
    owners = {
        kind: {owner for link in links if link.kind == kind for owner in link.owners}
        for kind in ("weights", "log")
    }
    assert {kind: len(found) for kind, found in owners.items()} == {"weights": 34, "log": 34}
    documents = {link.owners[0] for link in links if link.kind == "document"}
    assert documents == {name for name, document in ZOO.documents.items() if document.url}


def states(*found, kind="weights", owner="row"):
    link = Link(url="http://x", kind=kind, owners=(owner,))
    return [Checked(link=link, state=state) for state in found]


@pytest.mark.parametrize(
    ("found", "code"),
    [
        (states("ok", "moved"), 0),
        (states("gone", "ok"), 0),
        (states("gone", "wrong type"), 1),
        (states("gone", "refused"), 3),
        (states("no answer"), 3),
        (states("ok") + states("gone", kind="log"), 1),
        (states("ok") + states("gone", owner="other row"), 1),
        (states("ok") + states("gone", kind="homepage"), 0),
    ],
)
def test_the_exit_code_is_about_evidence(found, code):
    assert exit_code(found) == code


def test_table_and_records_say_the_same():
    found = [
        *states("ok"),
        Checked(
            link=Link(url="http://y/f.log", kind="log", owners=("a", "b")), state="moved", note="to http://z"
        ),
    ]
    assert links_text(found) == (
        "state    what     of            URL             note\n"
        "-------  -------  ------------  --------------  -----------\n"
        "ok       weights  row           http://x\n"
        "moved    log      a and 1 more  http://y/f.log  to http://z\n"
        "\n"
        "2 links: 1 ok, 1 moved"
    )
    assert link_records(found)[1] == {
        "state": "moved", "kind": "log", "of": ["a", "b"], "url": "http://y/f.log", "note": "to http://z",
    }  # fmt: skip


def test_the_command_tells_and_exits_1_where_evidence_is_gone(server, tmp_path, capsys):
    from segbench.zoo.cli import main
    from segbench.zoo.demo import STREETS

    text = (STREETS / "zoo.yaml").read_text().replace("http://127.0.0.1:0", server.url)
    (tmp_path / "mine.yaml").write_text(text)
    name = "isnet_resnet50os8_w16_streets"
    server.file(f"/weights/{name}.pth", b"PK")
    command = ["fetch", name, "--check-links", "--json", "--manifest", str(tmp_path / "mine.yaml"), "-q"]
    assert main(command) == 0
    assert json.loads(capsys.readouterr().out) == [
        {
            "state": "ok",
            "kind": "weights",
            "of": [name],
            "url": f"{server.url}/weights/{name}.pth",
            "note": "",
        }
    ]
    server.pages.clear()
    assert main(command) == 1
    assert msgspec.json.decode(capsys.readouterr().out)[0]["state"] == "gone"
