"""A real HTTP server on 127.0.0.1 that speaks Range and validators, and does what bad servers do when told to."""

import http.server
import re
import socket
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Page:
    """One path's file and what goes wrong with it; a fault is used up by the answer it spoils."""

    data: bytes
    etag: str | None = '"v1"'
    last_modified: str | None = None
    kind: str = "application/octet-stream"
    length: int | None = None
    """What Content-Length says; None for the truth."""
    ranges: bool = True
    """False: a Range request is answered with the whole file and 200."""
    head: bool = True
    """False: HEAD is answered with 405."""
    bad_head: str = ""
    """What HEAD is answered with: `empty` (length 0), `page` (a page's type), `silent` (nothing)."""
    statuses: list[int] = field(default_factory=list)
    """Error codes for the next answers."""
    error_page: bytes = b""
    """Body of those answers."""
    headers: dict[str, str] = field(default_factory=dict)
    """More headers, on error answers too."""
    cuts: list[int] = field(default_factory=list)
    """Bytes of body after which the next answers' connections are closed."""
    stalls: list[float] = field(default_factory=list)
    """Seconds of silence in the middle of the next answers' bodies."""
    trickle: tuple[int, float] | None = None
    """Bytes at a time, seconds in between."""
    location: str | None = None
    """Answer 302 to there."""
    permanent: bool = False
    """Answer 301 instead of 302."""
    always_part: bool = False
    """Answer 206 though no part was asked for."""
    no_length: bool = False
    """Neither Content-Length nor chunks: the body ends where the connection does."""
    chunked: bool = False
    """No Content-Length, but chunks."""


@dataclass
class Asked:
    """One request and what was sent for it."""

    method: str
    path: str
    range: str | None
    if_range: str | None
    sent: int = 0
    """Bytes of body that were handed to the network."""
    begin: int = 0
    """The first of them within the file."""


class FaultyServer:
    """Serves `pages`, remembers `asked`; `change` replaces a file as a publisher would."""

    def __init__(self):
        self.pages: dict[str, Page] = {}
        self.asked: list[Asked] = []
        self.url = ""
        self._guard = threading.Lock()

    def file(self, path, data, **settings):
        """Serve `data` at `path`; returns the Page, whose faults can be set."""
        self.pages[path] = Page(data, **settings)
        return self.pages[path]

    def bodies(self, path=None):
        """(begin, sent) of every answer that carried bytes."""
        return [(one.begin, one.sent) for one in self.asked if one.sent and path in (None, one.path)]

    def remember(self, asked):
        with self._guard:
            self.asked.append(asked)


def _answer(handler, script):
    asked = Asked(handler.command, handler.path, handler.headers["Range"], handler.headers["If-Range"])
    script.remember(asked)
    handler.close_connection = True
    page = script.pages.get(handler.path)
    if page is None:
        return _plain(handler, 404, {})
    if page.location is not None:
        return _plain(handler, 301 if page.permanent else 302, {"Location": page.location})
    if page.statuses:
        return _plain(handler, page.statuses.pop(0), page.headers, page.error_page)
    if handler.command == "HEAD" and not page.head:
        return _plain(handler, 405, {})
    if handler.command == "HEAD" and page.bad_head:
        return _answer_head_badly(handler, page.bad_head)
    return _serve(handler, page, asked)


def _answer_head_badly(handler, how):
    if how != "silent":
        _plain(handler, 200, {"Content-Type": "text/html"} if how == "page" else {})


def _plain(handler, status, headers, body=b""):
    handler.send_response(status)
    for name, value in ({"Content-Length": str(len(body)), "Connection": "close"} | headers).items():
        handler.send_header(name, value)
    handler.end_headers()
    if handler.command != "HEAD":
        handler.wfile.write(body)


def _serve(handler, page, asked):
    data, begin = page.data, 0
    wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", asked.range or "")
    valid = asked.if_range in (None, page.etag, page.last_modified)
    if wanted and page.ranges and valid:
        begin = int(wanted[1])
        if begin >= len(data):
            return _plain(handler, 416, {"Content-Range": f"bytes */{len(data)}"})
        end = min(int(wanted[2]) + 1, len(data)) if wanted[2] else len(data)
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes {begin}-{end - 1}/{len(data)}")
        data = data[:end]
    elif page.always_part:
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes 0-{len(data) - 1}/{len(data)}")
    else:
        handler.send_response(200)
    _headers(handler, page, len(data) - begin)
    if handler.command != "HEAD":
        asked.begin = begin
        _send(handler, page, data[begin:], asked)
    return None


def _headers(handler, page, length):
    handler.send_header("Content-Type", page.kind)
    handler.send_header("Connection", "close")
    if page.chunked:
        handler.send_header("Transfer-Encoding", "chunked")
    elif not page.no_length:
        handler.send_header("Content-Length", str(length if page.length is None else page.length))
    for name, value in {"ETag": page.etag, "Last-Modified": page.last_modified, **page.headers}.items():
        if value is not None:
            handler.send_header(name, value)
    handler.end_headers()


def _send(handler, page, body, asked):
    cut = page.cuts.pop(0) if page.cuts else None
    stall = page.stalls.pop(0) if page.stalls else 0
    body = body if cut is None else body[:cut]
    for part in _parts(body, page, stall):
        if isinstance(part, float):
            time.sleep(part)
            continue
        asked.sent += len(part)  # before whoever waits for the last of it can ask
        try:
            handler.wfile.write(b"%x\r\n%b\r\n" % (len(part), part) if page.chunked else part)
        except OSError:
            asked.sent -= len(part)
            raise
    if page.chunked and cut is None:
        handler.wfile.write(b"0\r\n\r\n")


def _parts(body, page, stall):
    """The body in pieces, with pauses (float seconds) between."""
    size, pause = page.trickle or (len(body) // 2 + 1 if stall else 1 << 16, stall)
    for start in range(0, len(body), size):
        yield body[start : start + size]
        if pause and start + size < len(body):
            yield float(pause)


@contextmanager
def faulty_server():
    """A running FaultyServer with its address as `.url`."""
    script = FaultyServer()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            try:
                _answer(self, script)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True  # the client was killed

        do_HEAD = do_GET  # noqa: N815  (the base class looks it up by this name)

        def log_message(self, *_):
            pass

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False  # a stalling answer need not end before the test does

        def handle_error(self, request, client_address):
            pass

    with Server(("127.0.0.1", 0), Handler) as running:
        script.url = f"http://127.0.0.1:{running.server_address[1]}"
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield script
        finally:
            running.shutdown()
            thread.join()


def unused_port():
    """A port nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]
