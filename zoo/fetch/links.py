"""Is what the claims rest on still there? Every URL of the manifest, asked for without downloading it.

HEAD first; where a server refuses that, GET for one byte. Hosts are asked side by side, each by a few connections.
"""

from __future__ import annotations

import socket
from collections import Counter
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urljoin, urlsplit

import msgspec

from ...reports.media import tabulate
from ..console.exit_codes import ExitCode
from ..files.urls import shown_url
from . import google_drive, unforeseen, wanted_weights
from .batch import in_threads
from .body import Body
from .http_session import (
    GONE_STATUSES,
    MAX_QUOTED_CHARACTERS,
    Patience,
    content_range,
    innermost,
    no_answer,
    reason,
    session,
    status_text,
    whole_number,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import requests

    from ..manifest import Checkpoint, Manifest

CONNECTIONS_PER_HOST = 4

LinkKind = Literal["weights", "log", "config", "document", "homepage"]
State = Literal["ok", "moved", "gone", "refused", "no answer", "wrong size", "wrong type"]
_THERE: frozenset[State] = frozenset({"ok", "moved"})
_LOST: frozenset[State] = frozenset({"gone", "wrong size", "wrong type"})
_IDENTITY = {"Accept-Encoding": "identity"}
_PERMANENT = (301, 308)
_PAGES = ("text/html", "application/xhtml+xml", "application/xml", "text/xml")


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """One URL of the manifest."""

    url: str
    kind: LinkKind
    owners: tuple[str, ...]
    """Ids of the checkpoints it belongs to; of a page, its name in the manifest."""
    size_bytes: int | None = None
    """Of the file that was fetched or recorded, where there is one."""


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a link."""

    link: Link
    state: State
    note: str = ""
    """Where to, or what was found."""
    is_host_unknown: bool = False
    """Whether no address is known of the link's host, so that asking it for another link is in vain."""


def to_check(checkpoints: Iterable[Checkpoint], manifest: Manifest) -> list[Link]:
    """The URLs of rows (weights, logs, configs), of the documents their claims stand in, and of their data sets."""
    owners: dict[tuple[LinkKind, str], list[str]] = {}
    sizes: dict[str, int] = {}
    for checkpoint in checkpoints:
        for kind, url, owner in _urls(checkpoint, manifest):
            named = owners.setdefault((kind, url), [])
            if owner not in named:
                named.append(owner)
        if (size := _known_size(checkpoint)) is not None:
            sizes |= dict.fromkeys(checkpoint.weights.urls, size)
    return [
        Link(url=url, kind=kind, owners=tuple(names), size_bytes=sizes.get(url))
        for (kind, url), names in owners.items()
    ]


def _urls(checkpoint: Checkpoint, manifest: Manifest) -> Iterator[tuple[LinkKind, str, str]]:
    files: dict[LinkKind, tuple[str, ...]] = {
        "weights": checkpoint.weights.urls,
        "log": checkpoint.log_urls,
        "config": checkpoint.config_urls,
    }
    for kind, urls in files.items():
        for url in urls:
            yield kind, url, checkpoint.id
    sources = [claim.source.document for claim in checkpoint.claims if claim.source]
    for name in (*sources, *(listing.document for listing in checkpoint.listed_in)):
        if url := manifest.documents[name].url:
            yield "document", url, name
    if url := checkpoint.dataset_spec.homepage:
        yield "homepage", url, checkpoint.dataset


def _known_size(checkpoint: Checkpoint) -> int | None:
    wanted = wanted_weights(checkpoint)
    if wanted.target.is_file():
        return wanted.target.stat().st_size
    entry = wanted.lock.get(checkpoint.id) if wanted.lock else None
    return entry.size_bytes if entry else None


def check_all(
    links: Sequence[Link],
    *,
    patience: Patience | None = None,
    tell: Callable[[Checked], object] = lambda _: None,
) -> list[Checked]:
    """Ask for every link; the answers in the links' order.

    Args:
        links: What to ask for.
        patience: Time-outs and number of attempts.
        tell: Called with each answer as it comes, from several threads.
    """
    lanes = _lanes(links)

    def drive(lane: Sequence[Link]) -> dict[Link, Checked]:
        found: dict[Link, Checked] = {}
        last: Checked | None = None
        with session(patience or Patience()) as connection:
            for link in lane:
                if last and last.is_host_unknown:
                    last = msgspec.structs.replace(last, link=link)
                else:
                    last = check(link, connection, patience or Patience())
                found[link] = last
                tell(last)
        return found

    answers: dict[Link, Checked] = {}
    for some in in_threads(drive, lanes, jobs=len(lanes)):
        answers |= some
    return [answers[link] for link in links]


def _lanes(links: Iterable[Link]) -> list[list[Link]]:
    """The links in groups to be asked one after another: a few groups a host, so that none is stormed."""
    hosts: dict[str, list[Link]] = {}
    for link in links:
        hosts.setdefault(_host(link.url), []).append(link)
    lanes = [
        group[start::CONNECTIONS_PER_HOST]
        for group in hosts.values()
        for start in range(CONNECTIONS_PER_HOST)
    ]
    return [lane for lane in lanes if lane]


def _host(url: str) -> str:
    try:
        return urlsplit(url).netloc
    except ValueError:  # no URL: asking for it will tell
        return ""


def check(link: Link, connection: requests.Session, patience: Patience) -> Checked:
    """Ask for one link."""
    import requests  # noqa: PLC0415

    try:
        place = google_drive.download_url(link.url)
        with closing(_ask(link, place, connection, patience)) as response:
            found = _judged(link, response)
        is_page = found.state == "wrong type" or (found.state == "refused" and google_drive.file_id(link.url))
        return (_behind_page(link, place, connection, patience) if is_page else None) or found
    except requests.TooManyRedirects as error:
        return Checked(link=link, state="gone", note=reason(error))
    except no_answer() as error:
        is_unknown = _is_host_unknown(error, link.url)
        return Checked(link=link, state="no answer", note=reason(error), is_host_unknown=is_unknown)
    except Exception as error:  # noqa: BLE001  (one server's surprise must not stop the others' check)
        return Checked(link=link, state="no answer", note=unforeseen(error))


def _is_host_unknown(error: Exception, url: str) -> bool:
    """Whether the name of this URL's host, and not of one that it redirects to, has no address."""
    asked = str(getattr(getattr(error, "request", None), "url", ""))
    return isinstance(innermost(error), socket.gaierror) and _host(asked) == _host(url)


def _behind_page(link: Link, place: str, connection: requests.Session, patience: Patience) -> Checked | None:
    """What is behind a page of Google Drive's; None where the page is none of those."""
    timeout = (patience.connect_seconds, patience.read_seconds)
    with closing(connection.get(place, stream=True, timeout=timeout, headers=_IDENTITY)) as response:
        body = Body(response, patience.read_seconds)
        text = google_drive.page_text(b"", body.read)
        address, cookies = response.url, response.cookies.items()
    if not google_drive.is_its_page(text.encode()):
        return None
    if file := google_drive.confirmed_url(text, address, cookies):
        with closing(_ask(link, file, connection, patience)) as response:
            return _judged(link, response)
    why = google_drive.refusal(text, address)
    return Checked(link=link, state="refused", note=why) if why else None


def _ask(link: Link, url: str, connection: requests.Session, patience: Patience) -> requests.Response:
    """The headers of an answer: HEAD's where nothing is wrong with them, else those of a GET for one byte.

    Servers that never test HEAD answer it with an empty body's length, a page's type, or not at all.
    """
    timeout = (patience.connect_seconds, patience.read_seconds)
    with suppress(*no_answer()):
        response = connection.head(url, stream=True, allow_redirects=True, timeout=timeout, headers=_IDENTITY)
        if _judged(link, response).state in _THERE:
            return response
        response.close()
    return connection.get(url, stream=True, timeout=timeout, headers=_IDENTITY | {"Range": "bytes=0-0"})


def _judged(link: Link, response: requests.Response) -> Checked:
    if response.status_code in GONE_STATUSES:
        return Checked(link=link, state="gone", note=status_text(response))
    if not response.ok and not (response.status_code == 416 and _size(response) == 0):  # no first byte: empty
        return Checked(link=link, state="refused", note=status_text(response))
    if fault := _type_fault(link, response):
        return Checked(link=link, state="wrong type", note=fault)
    if fault := _size_fault(link, response):
        return Checked(link=link, state="wrong size", note=fault)
    moved_to = _moved_to(response)
    return Checked(
        link=link,
        state="moved" if moved_to else "ok",
        note=f"to {moved_to[:MAX_QUOTED_CHARACTERS]}" if moved_to else "",
    )


def _type_fault(link: Link, response: requests.Response) -> str:
    """Why a file cannot be one, by its type; configs and documents may be pages."""
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    expected = {"weights": "a checkpoint", "log": "a log"}.get(link.kind)
    return f"expected {expected}, found {kind}" if expected and kind in _PAGES else ""


def _size_fault(link: Link, response: requests.Response) -> str:
    size = _size(response)
    if size == 0 and link.kind in ("weights", "log"):
        return "the file is empty"
    if None not in (size, link.size_bytes) and size != link.size_bytes:
        return f"expected {link.size_bytes} bytes, found {size}"
    return ""


def _size(response: requests.Response) -> int | None:
    if response.status_code in (206, 416):
        return content_range(response)[1]
    length = response.headers.get("Content-Length", "")
    return whole_number(length)


def _moved_to(response: requests.Response) -> str | None:
    """Where permanent redirects lead, up to the first one that may be another tomorrow."""
    place = None
    for step in response.history:
        if step.status_code not in _PERMANENT:
            break
        place = urljoin(step.url, step.headers["Location"])
    return place and shown_url(place)


def exit_code(checked: Iterable[Checked]) -> ExitCode:
    """REFUTED where evidence is gone, CANNOT_MEASURE where it could not be asked for, else OK.

    Evidence are a row's weights, log and config and its claims' documents, each of which one good URL saves; the
    homepage of a data set is none.
    """
    states: dict[tuple[str, str], set[State]] = {}
    for one in checked:
        if one.link.kind != "homepage":
            for owner in one.link.owners:
                states.setdefault((one.link.kind, owner), set()).add(one.state)
    failed = [found for found in states.values() if not found & _THERE]
    if any(found <= _LOST for found in failed):
        return ExitCode.REFUTED
    return ExitCode.CANNOT_MEASURE if failed else ExitCode.OK


def links_text(checked: Sequence[Checked]) -> str:
    """A line a link for a person, and how many there are of each state."""
    rows = [
        [one.state, one.link.kind, _owners(one.link), shown_url(one.link.url), one.note] for one in checked
    ]
    counts = Counter(one.state for one in checked)
    summary = ", ".join(f"{count} {state}" for state, count in counts.most_common())
    table = tabulate(rows, ["state", "what", "of", "URL", "note"], disable_numparse=True)
    return f"{table}\n\n{len(rows)} links: {summary}"


def _owners(link: Link) -> str:
    first, *others = link.owners
    return f"{first} and {len(others)} more" if others else first


def link_records(checked: Iterable[Checked]) -> list[dict[str, Any]]:
    """The same as plain data."""
    return [
        {
            "state": one.state,
            "kind": one.link.kind,
            "of": list(one.link.owners),
            "url": shown_url(one.link.url),
            "note": one.note,
        }
        for one in checked
    ]
