"""Weights from the publisher's server to a verified file: decide first, then act.

A file under its final name is a file that was verified. Downloads go to a temporary name beside the
target and are moved there only after their hash agreed.
"""

from __future__ import annotations

import enum
import hashlib
import os
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from . import places

if TYPE_CHECKING:
    from collections.abc import Iterator

    import requests

    from .manifest import Checkpoint, Weights

CHUNK_BYTES = 1 << 20
CONNECT_SECONDS, READ_SECONDS = 10, 60
ATTEMPTS = 3


class FetchError(Exception):
    """The file could not be had (no network, not found, disk): exit code 3."""


class IntegrityError(FetchError):
    """A file is not the published one: exit code 4."""


class Action(enum.Enum):
    """What `fetch` does about a file."""

    USE = "already fetched"
    REUSE = "found in torch's cache"
    DOWNLOAD = "download"


class Progress(Protocol):
    """Told of bytes as they arrive; `tqdm` is one."""

    total: float | None

    def update(self, n: float | None = 1) -> object:
        """`n` more bytes have arrived."""


def fetch(
    checkpoint: Checkpoint,
    *,
    home: Path | None = None,
    offline: bool | None = None,
    progress: Progress | None = None,
) -> Path:
    """The verified weights file of a checkpoint, downloaded if need be.

    Raises:
        IntegrityError: a file, cached or downloaded, does not have the published hash.
        FetchError: every URL failed, or the cache cannot be written.
    """
    target = weights_path(checkpoint, home)
    action = fetch_action(checkpoint, home)
    if action is Action.REUSE:
        target = places.torch_checkpoints() / target.name
    if action is not Action.DOWNLOAD:
        check_hash(target, checkpoint.weights)
        return target
    if places.is_offline() if offline is None else offline:
        raise FetchError(
            f"{checkpoint.id}: not in the cache ({target}) and --offline is set; run zoo fetch once online"
        )
    _download(checkpoint, target, progress)
    return target


def fetch_action(checkpoint: Checkpoint, home: Path | None = None) -> Action:
    """Decide from the disk alone: use the fetched file, reuse torch's, or download."""
    target = weights_path(checkpoint, home)
    if target.is_file():
        return Action.USE
    # Only a published hash can tell that torch's file of this name is the same checkpoint.
    hashed = checkpoint.weights.sha256 or checkpoint.weights.sha256_prefix
    if hashed and (places.torch_checkpoints() / target.name).is_file():
        return Action.REUSE
    return Action.DOWNLOAD


def weights_path(checkpoint: Checkpoint, home: Path | None = None) -> Path:
    """Where the cache keeps a checkpoint's file: `weights/<id>/<the publisher's file name>`."""
    name = Path(urlsplit(checkpoint.weights.urls[0]).path).name
    return (home or places.zoo_home()) / "weights" / checkpoint.id / name


def file_sha256(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def check_hash(path: Path, weights: Weights) -> str:
    """The file's SHA-256, which agrees with whatever hash the publisher gives (none: nothing to compare).

    Raises:
        IntegrityError: it does not agree.
    """
    found = file_sha256(path)
    _require_hash(found, weights, what=str(path), remedy=f"delete {path} and fetch it again")
    return found


def _require_hash(found: str, weights: Weights, *, what: str, remedy: str) -> None:
    expected = weights.sha256 or weights.sha256_prefix or ""
    if not found.startswith(expected.lower()):
        raise IntegrityError(
            f"{what}: sha256 does not agree with the published one: expected {expected}{'…' * (len(expected) < 64)}, "
            f"found {found}; the file is damaged, incomplete or another one: {remedy}"
        )


def _download(checkpoint: Checkpoint, target: Path, progress: Progress | None) -> None:
    """Try the URLs in order; the first whose bytes verify is moved to `target`."""
    failures = []
    for url in checkpoint.weights.urls:
        failure = _failure_of(url, target, checkpoint.weights, progress)
        if failure is None:
            return
        failures.append(str(failure))
    raise FetchError(f"{checkpoint.id}: no URL gave the file: " + "; ".join(failures))


def _failure_of(url: str, target: Path, weights: Weights, progress: Progress | None) -> FetchError | None:
    """Download one URL; why it could not be had, if so. Wrong bytes are no reason to ask elsewhere: they raise."""
    try:
        _download_one(url, target, weights, progress)
    except IntegrityError:
        raise
    except FetchError as error:
        return error
    return None


def _download_one(url: str, target: Path, weights: Weights, progress: Progress | None) -> None:
    with _temporary_file(target) as partial:
        found = _stream(url, partial, progress)
        _require_hash(
            found, weights, what=url, remedy="nothing was kept; try again, or report it to the publisher"
        )
        partial.replace(target)


@contextmanager
def _temporary_file(target: Path) -> Iterator[Path]:
    """A name beside the target, of this process alone, that is gone afterwards whatever happens."""
    partial = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield partial
    except OSError as error:
        raise FetchError(
            f"{target}: cannot write: {error.strerror or error}; set ZOO_HOME to another place"
        ) from error
    finally:
        with suppress(OSError):  # a place that cannot be written has nothing to remove
            partial.unlink()


def _stream(url: str, partial: Path, progress: Progress | None) -> str:
    """Write the body of `url` to `partial`; its SHA-256 (hex)."""
    import requests  # noqa: PLC0415  (0.1 s of import that `zoo list` need not pay)

    digest, received = hashlib.sha256(), 0
    try:
        with (
            _session() as session,
            closing(session.get(url, stream=True, timeout=(CONNECT_SECONDS, READ_SECONDS))) as response,
            partial.open("wb") as file,
        ):
            response.raise_for_status()
            _require_weights_type(url, response)
            expected = _content_length(response)
            if progress is not None:
                progress.total = expected
            for chunk in response.iter_content(CHUNK_BYTES):
                file.write(chunk)
                digest.update(chunk)
                received += len(chunk)
                if progress is not None:
                    progress.update(len(chunk))
    except requests.RequestException as error:
        raise FetchError(f"{url}: {_reason(error)}") from error
    if expected is not None and received != expected:
        raise FetchError(f"{url}: the connection ended after {received} of {expected} bytes; try again")
    return digest.hexdigest()


def _session() -> requests.Session:
    """A session that retries what is worth retrying; proxies and TLS come from the environment."""
    import requests  # noqa: PLC0415
    from requests.adapters import HTTPAdapter  # noqa: PLC0415
    from urllib3.util.retry import Retry  # noqa: PLC0415

    retry = Retry(
        total=ATTEMPTS, backoff_factor=0.5, backoff_jitter=0.5, status_forcelist=(429, 500, 502, 503, 504)
    )
    session = requests.Session()
    for scheme in ("https://", "http://"):
        session.mount(scheme, HTTPAdapter(max_retries=retry))
    return session


def _require_weights_type(url: str, response: requests.Response) -> None:
    kind = response.headers.get("Content-Type", "").split(";")[0]
    if kind in ("text/html", "application/xml", "text/xml"):
        raise FetchError(
            f"{url}: the server sent a {kind} page instead of a checkpoint; open the link in a browser"
        )


def _content_length(response: requests.Response) -> int | None:
    """Bytes the body will have; unknown where the server compresses it on the way."""
    if response.headers.get("Content-Encoding", "identity") != "identity":
        return None
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isdigit() else None


def _reason(error: requests.RequestException) -> str:
    """The short cause inside requests' nested messages."""
    response = error.response
    if response is not None:
        return f"the server answered {response.status_code} {response.reason}"
    cause: BaseException = error
    while (inner := cause.__cause__ or cause.__context__) is not None:
        cause = inner
    return f"no answer ({type(error).__name__}: {cause})"
