"""requests' transport with the limits it lacks: an answer's head comes in time, and bodies nobody wants stay unread.

A time-out of a socket ends silence and nothing else: a server that sends a byte now and then, or headers, chunk
extensions or trailers without end, would hold a reader for ever. Here one step of an answer (its whole head, or its
next piece of body) takes no longer than that time-out, whatever comes meanwhile.
"""

from __future__ import annotations

import http.client
import io
import logging
import time
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from requests.adapters import HTTPAdapter
from requests.exceptions import InvalidHeader

from ..files.urls import shown_text
from .google_drive import is_drives

if TYPE_CHECKING:
    import socket

    import requests
    from urllib3 import BaseHTTPResponse, PoolManager
    from urllib3.connectionpool import HTTPConnectionPool

MAX_LOCATION_CHARACTERS = 8192
"""Of the address that a redirect names. Browsers stop at 2,000 to 80,000, signed links have some 1,500."""
BODY_STATUSES = (200, 206)
"""The answers whose bodies are wanted."""
FIRST_ERROR = 400


class GuardedAdapter(HTTPAdapter):
    """Answers with a bounded head; the body of a redirect or an error is thrown away unread, but for Google Drive's reasons."""

    def init_poolmanager(self, *args: Any, **settings: Any) -> None:
        """The pool of direct connections."""
        super().init_poolmanager(*args, **settings)
        _bound(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **settings: Any) -> PoolManager:
        """The pool of connections by way of one proxy."""
        return _bound(super().proxy_manager_for(proxy, **settings))

    def build_response(self, req: requests.PreparedRequest, resp: BaseHTTPResponse) -> requests.Response:
        """An answer whose body is still to be read where it is wanted.

        Raises:
            InvalidHeader: it redirects to an address of absurd length.
        """
        is_reason = resp.status >= FIRST_ERROR and is_drives(req.url or "")
        if resp.status not in BODY_STATUSES and not is_reason:
            resp.close()
        if (length := len(resp.headers.get("Location", ""))) > MAX_LOCATION_CHARACTERS:
            resp.close()
            raise InvalidHeader(f"a redirect to an address of {length} characters")
        return super().build_response(req, resp)


def quiet_logs() -> None:
    """Let urllib3's log, which quotes addresses, keep their secrets."""
    for name in ("connection", "connectionpool", "poolmanager", "util.retry"):
        logging.getLogger(f"urllib3.{name}").addFilter(_without_secrets)


def _without_secrets(record: logging.LogRecord) -> bool:
    record.msg, record.args = shown_text(record.getMessage()), ()
    return True


def _bound(manager: PoolManager) -> PoolManager:
    classes = manager.pool_classes_by_scheme
    manager.pool_classes_by_scheme = {scheme: _bounded(pool) for scheme, pool in classes.items()}
    return manager


@lru_cache
def _bounded(pool: type[HTTPConnectionPool]) -> type[HTTPConnectionPool]:
    """The same pool, SOCKS or not, whose connections read by steps."""
    connection = type("SteppedConnection", (pool.ConnectionCls,), {"response_class": _SteppedResponse})
    return type(f"Bounded{pool.__name__}", (pool,), {"ConnectionCls": connection})


class _SteppedResponse(http.client.HTTPResponse):
    """An answer of which each step has the socket's time-out for itself: the head, and each `read1` after it."""

    def __init__(self, sock: socket.socket, *args: Any, **settings: Any) -> None:
        self._steps = _Steps(sock)
        super().__init__(self._steps, *args, **settings)  # type: ignore[arg-type]  (it calls makefile and no more)

    def read1(self, n: int = -1) -> bytes:
        """A piece of the body, in a step of its own."""
        self._steps.begin()
        return super().read1(n)


class _Steps(io.RawIOBase):
    """A socket's bytes as they come, until the step's time is up.

    Raises:
        TimeoutError: it is.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._bytes: Any = sock.makefile("rb", buffering=0)
        self._seconds = sock.gettimeout()
        self.begin()

    def begin(self) -> None:
        """Start the clock of the next step."""
        self._end = None if self._seconds is None else time.monotonic() + self._seconds

    def makefile(self, *_: Any) -> io.BufferedReader:
        """What `http.client` asks a socket for."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        """Whether it can be read from: always."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """What one call to the network brings."""
        if self._end is not None:
            left = self._end - time.monotonic()
            if left <= 0:
                raise TimeoutError("timed out")
            self._sock.settimeout(left)
        return self._bytes.readinto(buffer)

    def close(self) -> None:
        """Let go of the socket."""
        with suppress(OSError):  # it is closed already
            self._sock.settimeout(self._seconds)
        self._bytes.close()
        super().close()
