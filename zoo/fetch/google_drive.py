"""Google Drive in front of a file: links that lead to a viewer, a page that asks whether the file is wanted, and refusals.

Drive scans small files for viruses and sends them at once. For a large one it sends a page with a form (since 2023 its hidden
fields are `id`, `export`, `confirm` and `uuid`; before that the form's address or a link had `confirm` in it, and, earliest, a
cookie `download_warning_...` had its value). What the form asks for is the file. Where it sends another page, there is no file
for now: a quota is used up, the file is not shared with everybody, or something that nobody foresaw. Sources: the pages as
gdown, yt-dlp and gallery-dl read them.
"""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, parse_qsl, urlencode, urljoin, urlsplit

from .contents import page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

MAX_PAGE_BYTES = 1 << 18
"""Of Drive's page that are read; it has some 4 KiB."""
MOST_PAGES = 3
"""Pages that are gone through for one answer: one is usual, and a second one comes where the first one's form has expired."""
_VIEWERS = ("drive.google.com", "docs.google.com")
_SENDERS = ("drive.usercontent.google.com",)
"""The hosts that the viewers' links and pages lead to."""
_OF_PATH = re.compile(r"/file/(?:u/[0-9]{1,3}/)?d/([\w-]{1,200})(?:/|\Z)", re.ASCII)
_ID = re.compile(r"[\w-]{1,200}", re.ASCII)
_TAG = re.compile(r"<(form|input|a)\b([^<>]{0,4000})>", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"""\b([a-z]{1,20})=(?:"([^"<>]{0,3000})"|'([^'<>]{0,3000})')""", re.IGNORECASE)
_MARKS = re.compile(rb"uc-download-link|uc-error-caption|download-?form", re.IGNORECASE)
_CAPTION = re.compile(r'class="uc-error-(?:sub)?caption"[^<>]{0,200}>([^<>]{1,1000})<')
_SIGN_IN = re.compile(r"accounts\.google\.com/|\bsign[- ]in\b", re.IGNORECASE)
_QUOTA = re.compile(r"quota|too many users", re.IGNORECASE)
_DENIED = re.compile(r"access denied|need access|don&#39;t have access|don't have access", re.IGNORECASE)


def is_drives(url: str) -> bool:
    """Whether an address is one of Google Drive's, which says in its pages why it gives no file."""
    try:
        return urlsplit(url).hostname in (*_VIEWERS, *_SENDERS)
    except ValueError:
        return False


def file_id(url: str) -> str:
    """Of the file that a link into Google Drive means; empty for every other URL."""
    try:
        parts = urlsplit(url)
        if parts.hostname not in _VIEWERS:
            return ""
    except ValueError:  # no URL: asking for it will tell
        return ""
    if found := _OF_PATH.match(parts.path):
        return found[1]
    named = parse_qs(parts.query).get("id", [""])[0]
    return named if parts.path in ("/open", "/uc") and _ID.fullmatch(named) else ""


def download_url(url: str) -> str:
    """Where the file itself is, for a link to its viewer (`/open?id=...`, `/file/d/.../view`); any other URL as it is."""
    found = file_id(url)
    if not found or urlsplit(url).path == "/uc":
        return url
    return f"{urlsplit(url).scheme}://drive.google.com/uc?export=download&id={found}"


def is_its_page(head: bytes) -> bool:
    """Whether what began to come is a page of Google Drive, or of Google's accounts, by its title or what stands on it."""
    found = page(head) or ""
    return found.startswith("an HTML page") and ("google" in found.lower() or bool(_MARKS.search(head)))


def page_text(first: bytes, read: Callable[[], bytes]) -> str:
    """A page that began with `first`, as far as it is read: `read` gives the next bytes, none at the end."""
    content = first
    while len(content) < MAX_PAGE_BYTES and (more := read()):
        content += more
    return content[:MAX_PAGE_BYTES].decode("utf-8", "replace")


def confirmed_url(text: str, url: str, cookies: Iterable[tuple[str, str]] = ()) -> str:
    """Where Drive's page says that the file is, once it is wanted; empty where the page says no such thing.

    Args:
        text: The page.
        url: Its address.
        cookies: Names and values that came with it.
    """
    action, fields = None, {}
    for kind, attributes in _tags(text):
        name = attributes.get("id", "").replace("-", "").lower()
        if kind == "form" and name == "downloadform":
            action = attributes.get("action", "")
        elif kind == "input" and action is not None and attributes.get("name"):
            fields[attributes["name"]] = attributes.get("value", "")
        elif kind == "a" and name == "ucdownloadlink" and "confirm=" in attributes.get("href", ""):
            return _address(url, attributes["href"], {})
    if action is not None:
        return _address(url, action, fields)
    token = next((value for name, value in cookies if name.startswith("download_warning")), "")
    return _address(url, url, {"confirm": token}) if token else ""


def refusal(text: str, url: str) -> str:
    """Why Drive sends a page that leads to no file; empty where the page is not known.

    Args:
        text: The page.
        url: Its address, after redirects.
    """
    said = " ".join(unescape(" ".join(_CAPTION.findall(text))).split())[:300]
    quoted = f" ({said})" if said else ""
    title = (page(text.encode("utf-8", "replace")) or "")[:400]
    if _QUOTA.search(f"{title} {said}"):
        return (
            f"Google Drive's quota for this file is used up{quoted}: too many have fetched it lately; try again after a day, or "
            "fetch it with a browser that is signed in"
        )
    if _is_accounts(url) or _SIGN_IN.search(title) or ("<form" in text and "accounts.google.com/" in text):
        return "Google asks to sign in: the file is not shared with everybody; fetch it with a browser that is signed in"
    if _DENIED.search(f"{title} {said}"):
        return f"Google Drive denies access{quoted}: the file is not shared with everybody; ask its owner"
    return f"Google Drive sends a page instead of the file{quoted}" if said else ""


def _is_accounts(url: str) -> bool:
    try:
        return urlsplit(url).hostname == "accounts.google.com"
    except ValueError:
        return False


def _tags(text: str) -> Iterable[tuple[str, dict[str, str]]]:
    """Forms, their fields and links: kind and attributes."""
    for kind, inside in _TAG.findall(text):
        found = {name.lower(): unescape(one or other) for name, one, other in _ATTRIBUTE.findall(inside)}
        yield kind.lower(), found


def _address(url: str, place: str, fields: Mapping[str, str]) -> str:
    """An address on a page, with a form's fields in its query; empty where it is none that could be asked for."""
    try:
        parts = urlsplit(urljoin(url, place))
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https"):
        return ""
    query = {**dict(parse_qsl(parts.query, keep_blank_values=True)), **fields}
    return parts._replace(query=urlencode(query), fragment="").geturl()
