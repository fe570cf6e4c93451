"""Asking servers: sessions that retry what is worth it, and what headers and errors say."""

from __future__ import annotations

import http.client
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from ..files.urls import shown_text, shown_url

if TYPE_CHECKING:
    from collections.abc import Callable

    import requests
    from urllib3.util.retry import RequestHistory, Retry

MAX_REDIRECTS = 10
MAX_QUOTED_CHARACTERS = 120
"""Of a header that a message quotes."""
MAX_REASON_CHARACTERS = 500
"""Of an error that a message quotes."""
MAX_RETRY_AFTER_SECONDS = 120
"""A server that asks for a longer pause is told to the user instead of waited for."""
GONE_STATUSES = (404, 410)
RETRIED_STATUSES = (408, 425, 429, 500, 502, 503, 504)


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """How long to wait for a server."""

    connect_seconds: float = 10
    read_seconds: float = 60
    """For each step of an answer: its whole head, or the next piece of its body. Over the same time a body's progress is
    averaged (`body.MIN_BYTES_PER_SECOND`)."""
    tries: int = 5
    """Attempts in a row that bring nothing new."""
    backoff_seconds: float = 0.5
    """The first pause between attempts; it doubles, and a random part of it is added."""


def session(patience: Patience, tell: Callable[[str], object] = lambda _: None) -> requests.Session:
    """A session that retries what is worth retrying, and tells; proxies and TLS come from the environment."""
    import requests  # noqa: PLC0415  (0.1 s of import that `zoo list` need not pay)

    from .guarded_http import GuardedAdapter, quiet_logs  # noqa: PLC0415

    quiet_logs()
    made = requests.Session()
    made.max_redirects = MAX_REDIRECTS
    for scheme in ("https://", "http://"):
        made.mount(scheme, GuardedAdapter(max_retries=make_retry(patience, tell)))
    return made


def no_answer() -> tuple[type[Exception], ...]:
    """What asking for a URL may raise.

    requests' errors are OSErrors, as is a missing file of certificates; a redirect to no address raises urllib3's own
    or ValueError.
    """
    from urllib3.exceptions import HTTPError  # noqa: PLC0415

    return OSError, HTTPError, ValueError


def make_retry(patience: Patience, tell: Callable[[str], object] = lambda _: None) -> Retry:
    """How often to try, and how long to wait in between; `tell` is told before each pause what it is for."""
    retry: Any = _retry_class()(
        total=patience.tries - 1,
        status_forcelist=RETRIED_STATUSES,
        backoff_factor=patience.backoff_seconds,
        backoff_jitter=patience.backoff_seconds,
        raise_on_status=False,
    )
    retry.tell = tell
    return retry


@lru_cache
def _retry_class() -> type[Retry]:
    from urllib3.exceptions import InvalidHeader, MaxRetryError, ResponseError  # noqa: PLC0415
    from urllib3.util.retry import Retry  # noqa: PLC0415

    class PatientRetry(Retry):
        """urllib3's rule, except that nobody sits through a `Retry-After` of an hour, and none in silence."""

        tell: Callable[[str], object]
        """Told before each pause what it is for."""

        def new(self, **changes):  # noqa: ANN003, ANN202
            made = super().new(**changes)
            made.tell = self.tell
            return made

        def sleep(self, response=None):  # noqa: ANN001, ANN202
            asked = self.get_retry_after(response) if response is not None else None
            last = list(self.history)[-1]
            pause = f" in {asked:.0f} s, as it asks for" if asked else ""
            self.tell(f"{_trouble(last)}; trying again{pause}")
            super().sleep(response)

        def get_retry_after(self, response):  # noqa: ANN001, ANN202
            try:
                return super().get_retry_after(response)
            except (InvalidHeader, ValueError, OverflowError):  # `soon`: no pause that could be kept
                return None

        def increment(self, method=None, url=None, response=None, error=None, _pool=None, _stacktrace=None):  # noqa: ANN001, ANN202
            wait = self.get_retry_after(response) if response is not None else None
            if response is not None:
                response.close()  # or urllib3 would read the body to its end
            if wait is not None and wait > MAX_RETRY_AFTER_SECONDS:
                raise MaxRetryError(_pool, url or "", ResponseError("too long a pause"))  # type: ignore[arg-type]
            return super().increment(method, url, response, error, _pool, _stacktrace)

    return PatientRetry


def _trouble(event: RequestHistory) -> str:
    """What ended one request of a session."""
    if event.status is not None:
        return f"the server answered {event.status} {http.client.responses.get(event.status, '')}".rstrip()
    return f"no answer ({event.error and reason(event.error)})"


def packing(response: requests.Response) -> str:
    """How the server packed the body on the way; empty where it did not."""
    name = response.headers.get("Content-Encoding", "").strip().lower()
    return "" if name == "identity" else name


def content_length(response: requests.Response) -> int | None:
    """Bytes the body will have; unknown where the server packs it on the way."""
    if packing(response):
        return None
    length = response.headers.get("Content-Length", "")
    return whole_number(length)


def whole_number(text: str) -> int | None:
    """A header's decimal number; None for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


def content_range(response: requests.Response) -> tuple[int | None, int | None]:
    """First byte and whole length from `Content-Range: bytes 5-9/10`; None for what it does not say."""
    unit, _, rest = response.headers.get("Content-Range", "").partition(" ")
    span, _, total = rest.partition("/")
    begin = span.partition("-")[0]
    if unit != "bytes":
        return None, None
    return whole_number(begin), whole_number(total)


def status_text(response: requests.Response) -> str:
    """`the server answered 404 Not Found`, and when it wants to be asked again."""
    text = f"the server answered {response.status_code} {(response.reason or '')[:MAX_QUOTED_CHARACTERS]}".rstrip()
    after = response.headers.get("Retry-After", "")[:MAX_QUOTED_CHARACTERS]
    return (
        f"{text} and asks to come back after {after}{' s' * (whole_number(after) is not None)}"
        if after
        else text
    )


def reason(error: Exception) -> str:
    """Why there was no answer, without requests' nested messages."""
    import requests  # noqa: PLC0415

    if isinstance(error, requests.TooManyRedirects):
        last = error.response.headers.get("Location", "") if error.response is not None else ""
        return f"more than {MAX_REDIRECTS} redirects, the last to {shown_url(last)[:MAX_QUOTED_CHARACTERS]}"
    cause = innermost(error)
    text = shown_text(str(cause))
    if len(text) > MAX_REASON_CHARACTERS:
        text = f"{text[:MAX_REASON_CHARACTERS]}…"
    if isinstance(error, OSError) and not isinstance(error, requests.RequestException):
        return f"the settings for TLS or proxies: {text}"
    return f"{type(error).__name__}: {text or type(cause).__name__}"


def innermost(error: BaseException) -> BaseException:
    """The innermost of nested errors."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return error
