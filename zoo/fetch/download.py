"""One URL into one partial file, over a line that may be cut anywhere: resume, retry, hash on the way.

What has arrived stays on disk, beside it a note of what it is part of, so that the next attempt goes on where
this one ended, even after a kill. It goes on only where the server can prove, by a validator or a hash known
beforehand, that the rest belongs to the same file; else it starts over and says so. Nothing here gives a
file its final name.
"""

from __future__ import annotations

import errno
import hashlib
import http.client
import os
import shutil
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Protocol

import msgspec

from ...models.load.containers import opened
from ..files.urls import shown_url
from ..files.writing import write_whole
from . import google_drive
from .body import CHUNK_BYTES, Body, EncodingError, SlowError
from .contents import HEAD_BYTES, page
from .http_session import (
    GONE_STATUSES,
    Patience,
    content_length,
    content_range,
    innermost,
    make_retry,
    no_answer,
    packing,
    reason,
    session,
    status_text,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from io import BufferedReader, FileIO
    from pathlib import Path

    import requests
    from typing_extensions import Self
    from urllib3.util.retry import Retry

MAX_FILE_BYTES = 64 << 30
"""Of any file; the largest checkpoints for segmentation that are published have some 10 GiB."""
SPARED_BYTES = 1 << 30
"""What a body of untold length leaves free on the disk, or half of what is free where that is less."""


class FetchError(Exception):
    """The file could not be had (no network, not found, disk): exit code 3."""


class LocalError(FetchError):
    """This machine's disk, cache or lock is at fault, and no server."""


class NotThereError(FetchError):
    """The server says that it has no such file, now and later."""


class IntegrityError(FetchError):
    """A file is not the published one: exit code 4."""


class Progress(Protocol):
    """Told of bytes as they arrive."""

    def begin(self, total: int | None, arrived: int) -> object:
        """`arrived` of `total` bytes (None: unknown) are there; called again where a download starts over."""

    def update(self, n: int) -> object:
        """`n` more bytes have arrived."""


class Note(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the bytes of a partial file are part of."""

    url: str
    """As it may be shown."""
    etag: str | None = None
    last_modified: str | None = None
    length: int | None = None
    """Bytes of the whole file, where the server told."""
    packed: bool = False
    """True where the server packed the bytes on the way, so that a part of its file is no part of these."""
    sealed_bytes: int = 0
    """How many bytes had been written when the seal was made; later ones are not vouched for."""
    seal: str = ""
    """Their SHA-256, where no hash of the whole file is known: a disk that lost some of them is found out."""

    @property
    def validator(self) -> str | None:
        """What `If-Range` takes: a strong ETag, else the date; a weak ETag promises too little."""
        if self.etag and not self.etag.startswith("W/"):
            return self.etag
        return self.last_modified


class Arrived(msgspec.Struct, frozen=True, kw_only=True):
    """A file that is complete by the server's account."""

    sha256: str
    size: int
    spliced: bool
    """True where it did not come in one answer."""


def download(
    url: str,
    path: Path,
    *,
    hash_known: bool = False,
    refuse: Callable[[bytes], str | None] = page,
    is_cut_short: Callable[[Path], bool] = lambda _: False,
    max_bytes: int = MAX_FILE_BYTES,
    known_bytes: int | None = None,
    patience: Patience | None = None,
    progress: Progress | None = None,
    tell: Callable[[str], object] = lambda _: None,
) -> Arrived:
    """Complete the partial file `path` from `url`; its note lies beside it as `<name>.json`.

    Args:
        url: Where the file is.
        path: The partial file; what it holds already is kept where it belongs to the same file.
        hash_known: The caller will compare a hash, so bytes may be joined that no validator vouches for.
        refuse: Told the file's beginning; names what it is where that cannot be what is wanted.
        is_cut_short: Asked of a file whose length the server did not tell, where its answer ended.
        max_bytes: No file that is longer is taken.
        known_bytes: How long the file is, where that is known; a longer one whose length the server does not tell is
            given up there.
        patience: Time-outs and number of attempts.
        progress: Told of bytes.
        tell: Called with a sentence where a download is interrupted or starts over.

    Raises:
        IntegrityError: a page came instead of the file.
        NotThereError: the server has no such file.
        FetchError: the file could not be had, or not written.
    """
    with _disk_faults_told(path), Partial(path, sealed=not hash_known) as partial:
        _Job(
            url,
            partial,
            hash_known=hash_known,
            refuse=refuse,
            is_cut_short=is_cut_short,
            max_bytes=max_bytes,
            known_bytes=known_bytes,
            patience=patience or Patience(),
            progress=progress,
            tell=tell,
        ).run()
        return Arrived(sha256=partial.finish(), size=partial.size, spliced=partial.spliced)


class Partial:
    """A file on its way: the bytes so far, their digest, and the note beside them."""

    def __init__(self, path: Path, *, sealed: bool) -> None:
        self.path = path
        self.sealed = sealed
        """True where nothing but the note's seal can prove that the bytes on disk are those that came."""
        self.note_path = _note_path(path)
        self.note: Note | None = None
        self.size = 0
        self.spliced = False
        self._digest = hashlib.sha256()
        self._file: FileIO

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Unbuffered: what has arrived is in the kernel's hands, and survives a kill.
        self._file = self.path.open("r+b" if self.path.exists() else "w+b", buffering=0)
        self.size = self.path.stat().st_size
        self.note = read_note(self.path)  # bytes without a good note cannot be continued
        if self.size:
            self.spliced = True
            if self.sealed:
                self._require_seal()
            self._digest = file_digest(self._file)
        return self

    def _require_seal(self) -> None:
        """Cut off what came after the seal; a note whose seal is broken is no note."""
        if self.note is not None and 0 < self.note.sealed_bytes <= self.size:
            self.size = self.note.sealed_bytes
            self._file.truncate(self.size)
            if file_digest(self._file).hexdigest() == self.note.seal:
                self._file.seek(0)
                return
        self._file.seek(0)
        self.note = None

    def __exit__(self, kind: object, *_: object) -> None:
        self._file.close()
        if kind is not None and not self.size:
            remove_partial(self.path)  # nothing came: nothing to go on with

    @property
    def complete(self) -> bool:
        """True where every byte the note speaks of is there."""
        return self.note is not None and self.size == self.note.length

    def restart(self) -> None:
        """Drop the bytes; only then may the note change, or a kill in between would pass them off as others."""
        self._file.seek(0)
        self._file.truncate()
        self.size, self.spliced, self._digest = 0, False, hashlib.sha256()

    def describe(self, note: Note) -> None:
        """Write down what the coming bytes are part of."""
        if note != self.note:
            fresh = self.note_path.with_name(f"{self.note_path.name}.new")
            write_whole(self.note_path, msgspec.json.encode(note), fresh, sync=False)
            self.note = note

    def append(self, chunk: bytes) -> None:
        """Add bytes at the end, or raise OSError with those kept that could be written."""
        rest = memoryview(chunk)
        try:
            while rest:
                written = self._file.write(rest) or 0
                self._digest.update(rest[:written])
                self.size += written
                rest = rest[written:]
        finally:
            self._renew_seal()

    def _renew_seal(self) -> None:
        if self.sealed and self.note is not None and self.note.sealed_bytes != self.size:
            seal = self._digest.hexdigest()
            self.describe(msgspec.structs.replace(self.note, sealed_bytes=self.size, seal=seal))

    def finish(self) -> str:
        """Bring the bytes to the disk; their SHA-256 (hex)."""
        os.fsync(self._file.fileno())
        return self._digest.hexdigest()


def _note_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def read_note(path: Path) -> Note | None:
    """The note beside a partial file; None where there is none, or one that is torn."""
    try:
        note = msgspec.json.decode(_note_path(path).read_bytes(), type=Note)
    except (OSError, ValueError, msgspec.DecodeError):
        return None
    # What is no header's value cannot have come from one, and could not be sent.
    if any(header and not _sendable(header) for header in (note.etag, note.last_modified)):
        return None
    return msgspec.structs.replace(note, url=shown_url(note.url))  # an older one's may have a password


def remove_partial(path: Path) -> None:
    """Delete a partial file and its note."""
    for leftover in (path, _note_path(path)):
        leftover.unlink(missing_ok=True)


def file_digest(file: FileIO | BufferedReader) -> hashlib._Hash:
    """The running SHA-256 of an open file's bytes from its position to its end, where the file is left."""
    digest, buffer = hashlib.sha256(), memoryview(bytearray(CHUNK_BYTES))
    while count := file.readinto(buffer):
        digest.update(buffer[:count])
    return digest


def file_sha256(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes."""
    with opened(path) as file:
        return file_digest(file).hexdigest()


# --- one download ---------------------------------------------------------------------------------------


class _Cut(Exception):  # noqa: N818  (an event, not a fault of the program)
    """An attempt ended before the file was whole; another may do."""


class _Elsewhere(Exception):  # noqa: N818  (an event, not a fault of the program)
    """A page came that says where the file is."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.url = url


class _Limit(msgspec.Struct, frozen=True):
    """How many bytes are taken at most."""

    size_bytes: int
    why: str = " that are taken at most"
    kind: type[FetchError] = FetchError
    """What is raised where more bytes come."""


class _Job:
    """The attempts to complete one partial file."""

    def __init__(
        self,
        url: str,
        partial: Partial,
        *,
        hash_known: bool,
        refuse: Callable[[bytes], str | None],
        is_cut_short: Callable[[Path], bool],
        max_bytes: int,
        known_bytes: int | None,
        patience: Patience,
        progress: Progress | None,
        tell: Callable[[str], object],
    ) -> None:
        self.url = url
        self.shown = shown_url(url)
        self.partial = partial
        self.hash_known = hash_known
        self.refuse = refuse
        self.is_cut_short = is_cut_short
        self.max_bytes = max_bytes
        self.known_bytes = known_bytes
        self.patience = patience
        self.progress = progress
        self.tell = tell
        self.distrust = ""
        """Why the whole file is asked for although a part of it is there; empty where there is no reason."""

    def run(self) -> None:
        """Attempt until the file is whole, or too many attempts in a row brought nothing."""
        retry = fresh = make_retry(self.patience)
        reached = self.partial.size
        if self.partial.complete and self._may_continue():
            return None
        with session(self.patience, self.tell) as requests_session:
            while True:
                try:
                    return self._attempt(requests_session)
                except _Cut as cut:  # noqa: PERF203  (an attempt is a conversation with a server)
                    # Measured from the most that ever was there: the same bytes once more are no progress.
                    if self._has_moved(reached):
                        retry, reached = fresh, self.partial.size
                    retry = self._pause(cut, retry)

    def _pause(self, cut: _Cut, retry: Retry) -> Retry:
        """Wait before the next attempt; the count of attempts that is left then."""
        from urllib3.exceptions import MaxRetryError  # noqa: PLC0415

        try:
            retry = retry.increment("GET", self.url, error=cut)
        except MaxRetryError:
            kept = "what arrived is kept, run it again" if self.partial.size else "run it again"
            raise FetchError(f"{self.shown}: {cut}; {kept}") from cut
        self.tell(f"{cut}; trying again")
        retry.sleep()
        return retry

    def _has_moved(self, reached: int) -> bool:
        """True for a gain worth another full count of attempts: a hundredth of the file, or a chunk."""
        length = self.partial.note.length if self.partial.note else None
        return self.partial.size - reached >= min(CHUNK_BYTES, (length or CHUNK_BYTES) // 100 + 1)

    def _attempt(self, requests_session: requests.Session) -> None:
        """Ask for what is missing and write it down."""
        if self.partial.size and not self._may_continue():
            self.distrust = "nothing vouches for the server's file being still the same"
        place = google_drive.download_url(self.url)
        for _ in range(google_drive.MOST_PAGES):
            headers = self._range_headers()
            with closing(_asked(requests_session, place, headers, self.shown, self.patience)) as response:
                if self._is_all_there(response):
                    return None
                try:
                    return self._take(response)
                except _Elsewhere as page_that_leads_on:
                    place = page_that_leads_on.url
        raise FetchError(
            f"{self.shown}: Google Drive's page about its virus scan leads to no file but to itself"
        )

    def _may_continue(self) -> bool:
        """True where the rest of the file can be told to belong to what is there."""
        note = self.partial.note
        if note is None or note.packed or (note.length is not None and self.partial.size > note.length):
            return False
        if note.url != self.shown:  # a mirror of the same file
            return self.hash_known
        return self.hash_known or self.partial.complete or note.validator is not None

    def _start_over(self, why: str) -> None:
        self.tell(f"{why}: starting over, {self.partial.size} bytes are dropped")
        self.partial.restart()

    def _range_headers(self) -> dict[str, str]:
        # A body that is compressed on the way has neither ranges nor a length that could be checked.
        headers = {"Accept-Encoding": "identity"}
        note = self.partial.note
        if self.partial.size and note and not self.distrust:
            headers["Range"] = f"bytes={self.partial.size}-"
            if note.url == self.shown and note.validator:
                headers["If-Range"] = note.validator
        return headers

    def _take(self, response: requests.Response) -> None:
        """Bring the partial file into line with the answer, and write down what it brings."""
        if response.status_code == 416 and self.partial.size:
            self.distrust = "the server has no such part of the file"
            raise _Cut("the file on the server has another length than before")
        if response.status_code == 200 or _is_part_from_the_start(response):
            return self._take_whole(response)
        if response.status_code != 206:
            kind = NotThereError if response.status_code in GONE_STATUSES else FetchError
            raise kind(f"{self.shown}: {_drives_refusal(response, self.patience) or status_text(response)}")
        self._accept_part(response)
        return self._receive(self._body(response))

    def _take_whole(self, response: requests.Response) -> None:
        """Write down a file from its beginning; what is there gives way only to a beginning that may be the file's."""
        length = content_range(response)[1] if response.status_code == 206 else content_length(response)
        new = _note(self.shown, response, length)
        body = self._body(response)
        first, cut = self._beginning(body, length)
        if found := self.refuse(first) if first else None:
            _leave_page(self.shown, response, body, first, self.patience)
            raise IntegrityError(
                f"{self.shown}: the server sent {found} instead of the file; open the link in a browser to see what it "
                "says"
            )
        if self.partial.size and (cut or not first):
            raise cut or _Cut("the server sent nothing")
        self._require_room(length)
        if self.partial.size:
            self._start_over(self.distrust or self._why_all(new))
        self.distrust = ""
        self.partial.describe(new)
        self._receive(body, first, cut)

    def _why_all(self, new: Note) -> str:
        old = self.partial.note
        if old is not None and old.url == new.url and not _agree(old, new):
            return "the file on the server has changed"
        return "the server cannot send a part of the file"

    def _body(self, response: requests.Response) -> Body:
        try:
            return Body(response, self.patience.read_seconds)
        except EncodingError as error:
            raise FetchError(f"{self.shown}: the server {error}") from error

    def _beginning(self, body: Body, length: int | None) -> tuple[bytes, _Cut | None]:
        """The first bytes of a body, enough to tell what it is, and what ended it before that."""
        first = b""
        try:
            with _cuts_told(lambda: len(first), length, self.patience.read_seconds):
                while len(first) < HEAD_BYTES and (more := body.read()):
                    first += more
        except _Cut as cut:
            return first, cut
        return first, None

    def _is_all_there(self, response: requests.Response) -> bool:
        """True for a 416 that says no more than that: where no length was told, the end shows only so."""
        note, (_, total) = self.partial.note, content_range(response)
        return (
            response.status_code == 416
            and note is not None
            and note.length is None
            and total == self.partial.size
        )

    def _accept_part(self, response: requests.Response) -> None:
        old = self.partial.note
        begin, total = content_range(response)
        new = _note(self.shown, response, total)
        if old is None or begin != self.partial.size or new.packed or not _agree(old, new):
            self.distrust = "the server sent a part of another file than before"
            raise _Cut("the part that came does not continue what is there")
        self.partial.spliced = True
        self.partial.describe(_merged(old, new))

    def _receive(self, body: Body, first: bytes = b"", cut: _Cut | None = None) -> None:
        """Write `first` and the rest of the body as it comes; every received byte is kept, whatever ends the answer."""
        length = self.partial.note.length if self.partial.note else None
        self._require_room(length)
        limit = self._untold_limit() if length is None else _Limit(self.max_bytes)
        if self.progress is not None:
            self.progress.begin(length, self.partial.size)
        self._append(first, limit)
        if cut is not None:
            raise cut
        with _cuts_told(lambda: self.partial.size, length, self.patience.read_seconds):
            while chunk := body.read():
                self._append(chunk, limit)
                if length is not None and self.partial.size > length:
                    raise _Cut(f"more than the {length} bytes came that the server told of")
        if self.is_cut_short(self.partial.path) if length is None else self.partial.size != length:
            raise _Cut(f"{_count(self.partial.size, length)}: the connection ended early")

    def _untold_limit(self) -> _Limit:
        """What bounds a body whose length the server does not tell: the file's own length, or the disk."""
        free = shutil.disk_usage(self.partial.path.parent).free
        room = self.partial.size + free - min(SPARED_BYTES, free // 2)
        limits = [_Limit(self.max_bytes), _Limit(room, ", for which the disk has room")]
        if self.known_bytes is not None:
            limits.append(_Limit(self.known_bytes, ", which the file has", IntegrityError))
        return min(limits, key=lambda one: one.size_bytes)

    def _append(self, chunk: bytes, limit: _Limit) -> None:
        if self.partial.size + len(chunk) > limit.size_bytes:
            self.partial.restart()
            raise limit.kind(
                f"{self.shown}: the server sends more than the {limit.size_bytes} bytes{limit.why}"
            )
        self.partial.append(chunk)
        if chunk and self.progress is not None:
            self.progress.update(len(chunk))

    def _require_room(self, length: int | None) -> None:
        """Refuse a file that cannot fit before its first byte is written."""
        if length is None:
            return
        if length > self.max_bytes:
            raise FetchError(
                f"{self.shown}: {length} bytes are announced, and no more than {self.max_bytes} are taken"
            )
        missing, free = length - self.partial.size, shutil.disk_usage(self.partial.path.parent).free
        if missing > free:
            raise FetchError(
                f"{self.partial.path.parent}: no room for {self.shown}: {missing} bytes are needed, {free} are free; "
                "make room, or set ZOO_HOME to another disk"
            )


def _asked(
    requests_session: requests.Session, url: str, headers: dict[str, str], shown: str, patience: Patience
) -> requests.Response:
    """An answer, of which the head is there."""
    timeout = (patience.connect_seconds, patience.read_seconds)
    try:
        return requests_session.get(url, stream=True, timeout=timeout, headers=headers)
    except no_answer() as error:
        raise FetchError(f"{shown}: no answer ({reason(error)})") from error


def _leave_page(
    shown: str, response: requests.Response, body: Body, first: bytes, patience: Patience
) -> None:
    """Go on from a page of Google Drive's, or say what it says; any other is passed over.

    Raises:
        _Elsewhere: the page leads to the file.
        FetchError: the page says why there is none.
    """
    if not google_drive.is_its_page(first):
        return
    with _cuts_told(lambda: len(first), None, patience.read_seconds):
        text = google_drive.page_text(first, body.read)
    if place := google_drive.confirmed_url(text, response.url, response.cookies.items()):
        raise _Elsewhere(place)
    if why := google_drive.refusal(text, response.url):
        raise FetchError(f"{shown}: {why}")


def _drives_refusal(response: requests.Response, patience: Patience) -> str:
    """Why Google Drive refuses, as its page says; empty for any other server, whose errors' bodies are not read."""
    if not google_drive.is_drives(response.url):
        return ""
    text = ""
    with suppress(_Cut, EncodingError), _cuts_told(lambda: 0, None, patience.read_seconds):
        text = google_drive.page_text(b"", Body(response, patience.read_seconds).read)
    return google_drive.refusal(text, response.url) if google_drive.is_its_page(text.encode()) else ""


def _is_part_from_the_start(response: requests.Response) -> bool:
    """True for a server that answers 206 although the whole file was asked for."""
    asked = "Range" in response.request.headers
    return response.status_code == 206 and not asked and content_range(response)[0] == 0


def _note(shown: str, response: requests.Response, length: int | None) -> Note:
    headers = response.headers
    return Note(
        url=shown,
        etag=_sendable(headers.get("ETag")),
        last_modified=_sendable(headers.get("Last-Modified")),
        length=length,
        packed=bool(packing(response)),
    )


@contextmanager
def _cuts_told(size: Callable[[], int], length: int | None, silence_seconds: float) -> Iterator[None]:
    """Tell how a body ended before its time; a fault of the disk is none of that."""
    import urllib3.exceptions  # noqa: PLC0415

    try:
        yield
    except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno in _DISK_ERRNOS:
            raise
        raise _Cut(f"{_count(size(), length)}: {_how_cut(error, silence_seconds)}") from error


def _how_cut(error: Exception, silence_seconds: float) -> str:
    cause = innermost(error)
    if isinstance(error, EncodingError | SlowError):
        return str(error)
    if isinstance(cause, http.client.IncompleteRead) or type(cause) is ValueError:  # a torn chunk's length
        return "the connection ended early"
    if isinstance(cause, TimeoutError):
        return f"nothing more came for {silence_seconds:g} s"
    return f"the connection broke ({cause})"


def _sendable(header: str | None) -> str | None:
    """A header's text where it could be sent back; else None, as if there were none."""
    return header if header and header.isascii() and header.isprintable() else None


def _count(size: int, length: int | None) -> str:
    return f"{size} of {'an unknown number of' if length is None else length} bytes arrived"


def _agree(old: Note, new: Note) -> bool:
    """True unless two answers contradict each other; a 206 need not repeat a validator (RFC 9110, 15.3.7)."""
    pairs = [(old.length, new.length)]
    if old.url == new.url:
        pairs += [(old.etag, new.etag), (old.last_modified, new.last_modified)]
    return all(None in pair or pair[0] == pair[1] for pair in pairs)


def _merged(old: Note, new: Note) -> Note:
    """The new answer's note, completed by what the same URL said before."""
    length = old.length if new.length is None else new.length
    if old.url != new.url:
        return msgspec.structs.replace(new, length=length)
    return msgspec.structs.replace(
        old,
        etag=new.etag or old.etag,
        last_modified=new.last_modified or old.last_modified,
        length=length,
    )


_DISK_ERRNOS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO}


@contextmanager
def _disk_faults_told(path: Path) -> Iterator[None]:
    """Name the place and the way out where the disk refuses."""
    try:
        yield
    except OSError as error:
        kept = path.stat().st_size if path.is_file() else 0
        advice = (
            f"the {kept} bytes that arrived are kept: make room and run it again, or" if kept else "to go on,"
        )
        raise LocalError(
            f"{path}: cannot write: {error.strerror or error}; {advice} set ZOO_HOME to another place"
        ) from error
