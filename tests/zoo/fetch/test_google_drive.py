"""Weights behind Google Drive: a server that behaves like it, with the pages of today and of before, and its refusals."""

import hashlib
import random

import msgspec
import pytest
from full_zoo import ZOO

from segbench.zoo.fetch import IntegrityError, fetch
from segbench.zoo.fetch.download import Arrived, FetchError, Patience, download
from segbench.zoo.fetch.google_drive import MAX_PAGE_BYTES, MOST_PAGES, confirmed_url, download_url, file_id
from segbench.zoo.fetch.links import Link, check_all

DATA = b"PK\x03\x04" + random.Random(0).randbytes(300_000)
SHA256 = hashlib.sha256(DATA).hexdigest()
QUICK = Patience(connect_seconds=2, read_seconds=0.25, tries=3, backoff_seconds=0.005)
ROW = next(iter(ZOO))
ID = "1Sf9YFjo9dpirojzLev8CfHAc99U6cBwH"
ASKED = f"/uc?export=download&id={ID}"
STYLE = "<style>" + ".uc-main{padding-top:50px;text-align:center}" * 200 + "</style>"
"""The page's form stands behind some KiB of style."""
FORM = """<form id="download-form" action="{url}/download" method="get"><input type="submit" id="uc-download-link"
class="goog-inline-block jfk-button jfk-button-action" value="Download anyway"/><input type="hidden" name="id" value="{id}">
<input type="hidden" name="export" value="download"><input type="hidden" name="confirm" value="t"><input type="hidden"
name="uuid" value="8e5c2b1e-5c3b-4d5a-9f6e-1b2c3d4e5f60"></form>"""
FORM_OF_2022 = """<form id="downloadForm" action="{url}/uc?export=download&amp;id={id}&amp;confirm=t&amp;uuid=8e5c2b1e"
method="post"><input type="submit" id="uc-download-link" value="Download anyway"/></form>"""
LINK = """<a id="uc-download-link" class="goog-inline-block" href="/uc?export=download&amp;confirm=Xy1-&amp;id={id}">Download
anyway</a>"""
PAGES = {
    "form": (
        FORM,
        {},
        f"/download?id={ID}&export=download&confirm=t&uuid=8e5c2b1e-5c3b-4d5a-9f6e-1b2c3d4e5f60",
    ),
    "form of 2022": (FORM_OF_2022, {}, f"/uc?export=download&id={ID}&confirm=t&uuid=8e5c2b1e"),
    "link": (LINK, {}, f"/uc?export=download&confirm=Xy1-&id={ID}"),
    "cookie": ("", {"Set-Cookie": "download_warning_13058_x=Xy1-; Path=/"}, f"{ASKED}&confirm=Xy1-"),
}
"""What Drive has been asking with, over the years -> what is to be asked for then."""


def drive_page(title, body):
    return f"<!DOCTYPE html><html><head><title>Google Drive - {title}</title>{STYLE}</head><body>{body}</body></html>".encode()


def serve(server, kind="form", **settings):
    """A file of Drive's that is too large for its virus scan; the path of the file itself."""
    form, headers, path = PAGES[kind]
    warning = drive_page("Virus scan warning", form.format(url=server.url, id=ID))
    server.file(ASKED, warning, kind="text/html; charset=utf-8", headers=headers, etag=None, ranges=False)
    server.file(path, DATA, **settings)
    return path


@pytest.fixture
def get(server, tmp_path):
    """A function that downloads the file of Drive's into one partial file."""

    def run(**options):
        return download(
            f"{server.url}{ASKED}", run.path, **{"patience": QUICK, "tell": run.told.append} | options
        )

    run.path, run.told = tmp_path / "f.part", []
    return run


# --- the page about the virus scan ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", PAGES)
def test_the_page_is_gone_through_to_the_file(server, get, kind):
    path = serve(server, kind)
    assert get() == Arrived(sha256=SHA256, size=len(DATA), spliced=False)
    assert [one.path for one in server.asked] == [ASKED, path]
    assert get.path.read_bytes() == DATA


@pytest.mark.parametrize("kind", PAGES)
def test_a_line_that_breaks_behind_the_page_goes_on_where_it_broke(server, get, kind):
    path = serve(server, kind, cuts=[100_000, 70_000])
    assert get() == Arrived(sha256=SHA256, size=len(DATA), spliced=True)
    rest = len(DATA) - 170_000
    assert server.bodies(path) == [(0, 100_000), (100_000, 70_000), (170_000, rest)]


def test_a_later_run_goes_on_behind_the_page(server, get):
    path = serve(server, cuts=[100_000])
    with pytest.raises(FetchError, match="what arrived is kept"):
        get(patience=msgspec.structs.replace(QUICK, tries=1))
    assert get().spliced
    assert server.bodies(path) == [(0, 100_000), (100_000, len(DATA) - 100_000)]
    assert get.path.read_bytes() == DATA


def test_a_file_that_changed_meanwhile_is_fetched_anew(server, get):
    path = serve(server, cuts=[100_000])
    with pytest.raises(FetchError):
        get(patience=msgspec.structs.replace(QUICK, tries=1))
    server.file(path, DATA[::-1], etag='"v2"')
    assert get().sha256 == hashlib.sha256(DATA[::-1]).hexdigest()


def test_small_files_come_without_a_page(server, get):
    server.file(ASKED, DATA)
    assert get() == Arrived(sha256=SHA256, size=len(DATA), spliced=False)


def row(server, **weights):
    weights = msgspec.structs.replace(ROW.weights, urls=(f"{server.url}{ASKED}",), **weights)
    return msgspec.structs.replace(ROW, weights=weights)


def test_a_hash_is_held_against_what_comes_behind_the_page(server, tmp_path):
    serve(server)
    right = fetch(row(server, sha256=SHA256, sha256_prefix=None), home=tmp_path / "right", patience=QUICK)
    assert right.read_bytes() == DATA
    with pytest.raises(IntegrityError, match="sha256 does not agree with the published one"):
        fetch(row(server, sha256="0" * 64, sha256_prefix=None), home=tmp_path / "wrong", patience=QUICK)


# --- what is no file -----------------------------------------------------------------------------------------

QUOTA = drive_page(
    "Quota exceeded",
    '<p class="uc-error-caption">Sorry, you can&#39;t view or download this file at this time.</p><p '
    'class="uc-error-subcaption">Too many users have viewed or downloaded this file recently. Please try accessing the '
    "file again later.</p>",
)
SIGN_IN = (
    b"<!doctype html><html><head><title>Sign in - Google Accounts</title></head><body><form "
    b'action="https://accounts.google.com/signin"></form></body></html>'
)
REFUSALS = {
    "quota": (
        QUOTA,
        FetchError,
        r"Google Drive's quota for this file is used up \(Sorry, .* Too many users have viewed",
    ),
    "sign-in": (SIGN_IN, FetchError, "Google asks to sign in: the file is not shared with everybody"),
    "sign-in of Drive": (drive_page("Sign-in", ""), FetchError, "Google asks to sign in"),
    "no access": (drive_page("Access Denied", "You need access"), FetchError, "Google Drive denies access"),
    "another page of Drive": (
        drive_page(
            "Infected file", '<p class="uc-error-caption">Sorry, this file is infected with a virus.</p>'
        ),
        FetchError,
        r"sends a page instead of the file \(Sorry, this file is infected with a virus.\)",
    ),
    "a page nobody knows": (
        drive_page("Can't process request", ""),
        IntegrityError,
        'an HTML page titled "Google Drive - Can\'t process request" instead of the file',
    ),
    "a page of somebody else": (
        b"<html><head><title>Log in</title></head></html>",
        IntegrityError,
        "an HTML page titled 'Log in' instead of the file",
    ),
}


@pytest.mark.parametrize("kind", REFUSALS)
@pytest.mark.parametrize("behind", [False, True], ids=["at once", "behind the page"])
def test_what_is_no_file_is_called_by_name(server, get, kind, behind):
    content, error, message = REFUSALS[kind]
    path = serve(server) if behind else ASKED
    server.file(path, content, kind="text/html", ranges=False)
    with pytest.raises(error, match=message):
        get()
    assert not get.path.exists()


def test_a_page_that_leads_to_itself_ends(server, get):
    warning = drive_page("Virus scan warning", LINK.format(id=ID))
    for path in (ASKED, PAGES["link"][2]):
        server.file(path, warning, kind="text/html", ranges=False)
    with pytest.raises(FetchError, match="page about its virus scan leads to no file but to itself"):
        get()
    assert len(server.asked) == MOST_PAGES


def test_a_page_without_end_is_read_to_its_limit(server, get):
    long = drive_page("Virus scan warning", "<p>" * MAX_PAGE_BYTES + FORM.format(url=server.url, id=ID))
    server.file(ASKED, long, kind="text/html", ranges=False)
    with pytest.raises(IntegrityError, match="titled 'Google Drive - Virus scan warning'"):
        get()


@pytest.mark.parametrize(
    "place", ["file:///etc/passwd", "javascript:alert(1)", "ftp://host/f", "http://[bad/"]
)
def test_a_page_leads_to_web_servers_only(place):
    assert confirmed_url(f'<form id="download-form" action="{place}"></form>', "http://127.0.0.1/uc") == ""


# --- addresses -----------------------------------------------------------------------------------------------

DIRECT = f"https://drive.google.com/uc?export=download&id={ID}"


@pytest.mark.parametrize(
    ("url", "meant"),
    [
        (f"https://drive.google.com/open?id={ID}", DIRECT),
        (f"https://drive.google.com/file/d/{ID}/view?usp=sharing", DIRECT),
        (f"https://drive.google.com/file/u/0/d/{ID}/view", DIRECT),
        (
            f"https://docs.google.com/uc?export=download&id={ID}",
            f"https://docs.google.com/uc?export=download&id={ID}",
        ),
        (DIRECT, DIRECT),
        ("https://drive.google.com/drive/folders/1abc", "https://drive.google.com/drive/folders/1abc"),
        (
            f"https://drive.google.com.example.org/open?id={ID}",
            f"https://drive.google.com.example.org/open?id={ID}",
        ),
        ("https://drive.google.com/open?id=../x", "https://drive.google.com/open?id=../x"),
        ("https://[bad/open", "https://[bad/open"),
    ],
)
def test_links_to_the_viewer_mean_the_file(url, meant):
    assert download_url(url) == meant
    assert file_id(url) == (ID if ID in url and "example" not in url else "")


def test_a_link_to_the_viewer_is_fetched_and_named_by_its_id(server, tmp_path, monkeypatch):
    """Drive's own addresses, answered by the server as a proxy."""
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("NO_PROXY", "")
    form = FORM.format(url="http://drive.usercontent.google.com", id=ID)
    warning = drive_page("Virus scan warning", form)
    server.file(f"http://drive.google.com{ASKED}", warning, kind="text/html", ranges=False)
    server.file(f"http://drive.usercontent.google.com{PAGES['form'][2]}", DATA)
    weights = msgspec.structs.replace(
        ROW.weights,
        urls=(f"http://drive.google.com/open?id={ID}",),
        sha256=SHA256,
        sha256_prefix=None,
    )
    path = fetch(msgspec.structs.replace(ROW, weights=weights), home=tmp_path, patience=QUICK)
    assert (path.name, path.read_bytes()) == (f"google-drive-{ID}", DATA)


# --- links ---------------------------------------------------------------------------------------------------


def checked(server):
    [found] = check_all([Link(url=f"{server.url}{ASKED}", kind="weights", owners=("row",))], patience=QUICK)
    return found.state, found.note


@pytest.mark.parametrize("kind", PAGES)
def test_a_link_behind_the_page_is_there_and_not_downloaded(server, kind):
    path = serve(server, kind)
    assert checked(server) == ("ok", "")
    assert server.bodies(path) == []


def test_a_link_that_drive_refuses_for_now_is_refused(server):
    server.file(ASKED, QUOTA, kind="text/html", ranges=False)
    state, note = checked(server)
    assert (state, note.startswith("Google Drive's quota for this file is used up")) == ("refused", True)


def test_a_page_of_somebody_else_stays_a_wrong_type(server):
    server.file(ASKED, b"<html><title>Log in</title></html>", kind="text/html")
    assert checked(server) == ("wrong type", "expected a checkpoint, found text/html")


@pytest.mark.parametrize("viewers", [("127.0.0.1",), ()], ids=["Drive", "another server"])
def test_drives_page_is_read_on_an_error_too_and_no_other_servers(server, get, monkeypatch, viewers):
    monkeypatch.setattr("segbench.zoo.fetch.google_drive._VIEWERS", viewers)
    refused = {
        "kind": "text/html",
        "ranges": False,
        "error_page": drive_page("Access Denied", "You need access"),
    }
    server.file(ASKED, b"", statuses=[403] * 9, **refused)
    told = (
        "Google Drive denies access: the file is not shared"
        if viewers
        else "the server answered 403 Forbidden"
    )
    with pytest.raises(FetchError, match=told):
        get()
    server.file(ASKED, b"", statuses=[403] * 9, **refused)
    state, note = checked(server)
    assert (state, note.startswith(told)) == ("refused", True)
