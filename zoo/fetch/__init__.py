"""Weights from the publisher's server to a verified file: decide first, then act.

A file under its final name is a file that was verified: against the published hash, else against `zoo.lock`, else,
the first time, against what its own container says. One process downloads, others wait for it.
"""

from __future__ import annotations

import enum
import hashlib
import logging
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote, urlsplit

import msgspec

from ...models.adapters import is_export
from ..files import places
from ..files.urls import shown_text, shown_url, without_parameters
from ..manifest import Checkpoint, Weights
from . import cache, google_drive
from .contents import checkpoint_fault, is_cut_short, page, web_page
from .download import (
    MAX_FILE_BYTES,
    Arrived,
    FetchError,
    IntegrityError,
    LocalError,
    NotThereError,
    Patience,
    Progress,
    download,
    file_sha256,
    remove_partial,
)
from .http_session import MAX_REASON_CHARACTERS
from .lock import Lock, LockError, entry_of, lock_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = [
    "Action",
    "FetchError",
    "IntegrityError",
    "Patience",
    "Progress",
    "check_hash",
    "fetch",
    "fetch_action",
    "fetch_wanted",
    "file_sha256",
    "is_own_export",
    "wanted_papers",
    "wanted_weights",
    "weights_path",
]

Kind = Literal["weights", "log", "config"]

MAX_PAPER_BYTES = 1 << 30
"""Of a training log or a config; the longest published logs have some 20 MiB."""


class Action(enum.Enum):
    """What `fetch` does about a file."""

    USE = "already fetched"
    REUSE = "found in torch's cache"
    LINK = "found in the cache under another name"
    RESUME = "resume a download"
    DOWNLOAD = "download"

    @property
    def is_here(self) -> bool:
        """True where no network is needed."""
        return self in {Action.USE, Action.REUSE, Action.LINK}


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """One file to be had."""

    checkpoint: Checkpoint
    kind: Kind
    urls: tuple[str, ...]
    """Addresses of the file, tried in this order."""
    target: Path
    home: Path
    expected: str = ""
    """SHA-256 or its beginning, lower case; empty where nobody knows it."""
    witness: str = "the published one"
    """Who says so: that, or `the one recorded in <lock file>`."""
    replaces: str = ""
    """SHA-256 that stands in the lock and is to give way to what the publisher has now; else empty."""
    known_bytes: int | None = None
    """Of the recorded file, where it is to be this one."""
    lock: Lock | None = None
    """Where the first download is to be recorded; None where the publisher gives a hash."""

    @property
    def name(self) -> str:
        """How messages call it."""
        return self.checkpoint.id if self.kind == "weights" else f"{self.checkpoint.id} {self.kind}"


class Fetched(msgspec.Struct, frozen=True, kw_only=True):
    """A file that was verified as far as anybody knows what it should be."""

    path: Path
    sha256: str


def fetch(
    checkpoint: Checkpoint,
    *,
    home: Path | None = None,
    offline: bool | None = None,
    progress: Progress | None = None,
    patience: Patience | None = None,
    update_lock: bool = False,
    tell: Callable[[str], object] | None = None,
) -> Path:
    """The verified weights file of a checkpoint, downloaded if need be.

    Args:
        checkpoint: The row.
        home: The cache; None for `ZOO_HOME`.
        offline: Touch no network; None for `ZOO_OFFLINE`.
        progress: Told of bytes.
        patience: Time-outs and number of attempts.
        update_lock: Record what comes in `zoo.lock`, whatever was recorded before. A file in the cache that is not the
            recorded one does not come from anywhere, and is refused.
        tell: Called with a sentence for everything worth knowing that is no failure; None for the log.

    Raises:
        IntegrityError: a file, cached or downloaded, is not the published or recorded one.
        FetchError: every URL failed, or the cache cannot be written.
    """
    return fetch_wanted(
        wanted_weights(checkpoint, home, update_lock=update_lock),
        offline=offline,
        progress=progress,
        patience=patience,
        tell=tell,
    ).path


def fetch_wanted(
    wanted: Wanted,
    *,
    offline: bool | None = None,
    progress: Progress | None = None,
    patience: Patience | None = None,
    tell: Callable[[str], object] | None = None,
) -> Fetched:
    """`fetch` for any one file: weights, a log, a config."""
    say = tell or logging.getLogger("segbench").warning
    cache.remember_manifest(wanted.checkpoint.manifest, wanted.home)
    if found := _fetched(wanted, say) or _reusable(wanted, say):
        return found
    if places.is_offline() if offline is None else offline:
        raise FetchError(
            f"{wanted.name}: not in the cache ({wanted.target}) and --offline is set; run zoo fetch once online"
        )
    with _alone(wanted, say):
        # Whoever held the lock may have brought the file.
        return _fetched(wanted, say) or _Errand(wanted, progress, patience, say).run()


def fetch_action(checkpoint: Checkpoint, home: Path | None = None) -> Action:
    """Decide from the disk alone: use the fetched file, reuse torch's or another row's, or download."""
    return wanted_action(wanted_weights(checkpoint, home))


def wanted_action(wanted: Wanted) -> Action:
    """`fetch_action` for any one file."""
    if wanted.target.is_file():
        return Action.USE
    # Only a hash can tell that torch's file of this name is the same checkpoint.
    if wanted.expected and torchs_file(wanted).is_file():
        return Action.REUSE
    if cache.known_blobs(wanted.expected, wanted.home):
        return Action.LINK
    return Action.RESUME if cache.partial_paths(wanted.target) else Action.DOWNLOAD


def weights_path(checkpoint: Checkpoint, home: Path | None = None) -> Path:
    """Where the cache keeps a checkpoint's file: `weights/<id>/<the publisher's file name>`."""
    return (home or places.zoo_home()) / "weights" / checkpoint.id / _file_name(checkpoint.weights.urls[0])


def wanted_weights(checkpoint: Checkpoint, home: Path | None = None, *, update_lock: bool = False) -> Wanted:
    """A checkpoint's weights with whatever is known of their hash.

    Raises:
        FetchError: `zoo.lock` cannot be read.
    """
    weights, lock, entry = checkpoint.weights, None, None
    expected, witness = weights.sha256 or weights.sha256_prefix or "", "the published one"
    if not expected:
        lock = lock_for(checkpoint, home)
        entry = lock.get(checkpoint.id)
        expected = entry.sha256 if entry and not update_lock else ""
        witness = f"the one recorded in {lock.where(checkpoint.id)}"
    return Wanted(
        checkpoint=checkpoint,
        kind="weights",
        urls=weights.urls,
        target=weights_path(checkpoint, home),
        home=home or places.zoo_home(),
        expected=expected.lower(),
        witness=witness,
        replaces=entry.sha256 if entry and update_lock else "",
        known_bytes=entry.size_bytes if entry and not update_lock else None,
        lock=lock,
    )


def wanted_papers(checkpoint: Checkpoint, home: Path | None = None) -> list[Wanted]:
    """A checkpoint's training log and config, one file each with its places tried in order; none where none is known."""
    home = home or places.zoo_home()
    kinds: list[tuple[Kind, tuple[str, ...]]] = [
        ("log", checkpoint.log_urls),
        ("config", checkpoint.config_urls),
    ]
    return [
        Wanted(
            checkpoint=checkpoint,
            kind=kind,
            urls=tuple(map(raw_url, urls)),
            target=home / f"{kind}s" / checkpoint.id / _file_name(urls[0]),
            home=home,
        )
        for kind, urls in kinds
        if urls
    ]


def raw_url(url: str) -> str:
    """The file itself for GitHub's page about it (`/blob/`); other URLs as they are."""
    try:
        parts = urlsplit(url)
    except ValueError:  # no URL: asking for it will tell
        return url
    owner, _, rest = parts.path.lstrip("/").partition("/")
    repository, _, rest = rest.partition("/")
    if parts.netloc == "github.com" and rest.startswith("blob/"):
        return f"https://raw.githubusercontent.com/{owner}/{repository}/{rest.removeprefix('blob/')}"
    return url


def given_weights(checkpoint: Checkpoint, path: Path, home: Path | None = None) -> Path:
    """A weights file that lies anywhere, held to what a fetched one is held to; it is read, not kept.

    Raises:
        FetchError: no file lies there.
        IntegrityError: its hash is not the one published or recorded, or it is no checkpoint. An export of one's own
            has no published hash.
    """
    if not path.exists():
        raise FetchError(f"{path}: no such file; leave --file out to take the cache's")
    if is_own_export(path, checkpoint.weights):
        return path
    wanted = wanted_weights(checkpoint, home)
    found = _sha256(path)
    if not found.startswith(wanted.expected):
        remedy = f"zoo check-weights {checkpoint.id} --file {path} tells what it is instead"
        raise _disagreement(str(path), found, wanted.expected, wanted.witness, remedy)
    if not wanted.expected and (fault := _damage(path)):
        raise IntegrityError(f"{path}: {fault}")
    return path


def check_hash(path: Path, weights: Weights) -> str:
    """The file's SHA-256, which agrees with whatever hash the publisher gives (none: nothing to compare).

    Raises:
        IntegrityError: it does not agree.
    """
    found = _sha256(path)
    published = (weights.sha256 or weights.sha256_prefix or "").lower()
    expected = "" if is_own_export(path, weights) else published
    if not found.startswith(expected):
        raise _disagreement(
            str(path), found, expected, "the published one", f"delete {path} and fetch it again"
        )
    return found


def is_own_export(path: Path, weights: Weights) -> bool:
    """Whether a file is an export where the publisher offers weights: nobody published its hash."""
    return is_export(path) and not any(is_export(Path(_file_name(url))) for url in weights.urls)


def _sha256(path: Path) -> str:
    try:
        return file_sha256(path)
    except OSError as error:
        raise FetchError(f"{path}: cannot be read: {error.strerror or error}") from error


# --- what is there ------------------------------------------------------------------------------------------


def _file_name(url: str) -> str:
    """The last part of a URL's path; a hash of the URL, as it may be shown, where that can name no file.

    Links into Google Drive name a file by its id alone.
    """
    if found := google_drive.file_id(url):
        return f"google-drive-{found}"
    try:
        name = Path(unquote(without_parameters(urlsplit(url).path))).name
    except ValueError:  # no URL: asking for it will tell
        name = ""
    is_long = len(os.fsencode(name)) > cache.MAX_NAME_BYTES
    if name in ("", ".", "..") or not name.isprintable() or is_long:
        return f"file-{hashlib.sha256(os.fsencode(shown_url(url))).hexdigest()[:16]}"
    return name


def torchs_file(wanted: Wanted) -> Path:
    """Where `torch.hub` would have put it."""
    return places.torch_checkpoints() / wanted.target.name


def _fetched(wanted: Wanted, say: Callable[[str], object]) -> Fetched | None:
    """The verified file of the cache, perhaps one that another row brought; else None."""
    if fault := folder_fault(wanted):
        raise LocalError(fault)
    if wanted.target.is_file() or _link_known(wanted):
        return Fetched(path=wanted.target, sha256=_require_good(wanted, say))
    return None


def folder_fault(wanted: Wanted) -> str | None:
    """Why the folder of the target is another checkpoint's, on a disk that does not tell upper from lower case."""
    other = cache.namesake(wanted.target)
    return other and (
        f"{wanted.target.parent}: this disk takes it for the folder {other!r}, which is another checkpoint's; rename one "
        "of the two, or set ZOO_HOME to a disk that tells their names apart"
    )


def _link_known(wanted: Wanted) -> bool:
    try:
        return cache.link_known(wanted.target, wanted.expected, wanted.home)
    except OSError as error:
        raise _cannot_write(wanted, error) from error


def _reusable(wanted: Wanted, say: Callable[[str], object]) -> Fetched | None:
    """Torch's file, where it has the expected hash; else None."""
    torchs = torchs_file(wanted)
    if not wanted.expected or not torchs.is_file():
        return None
    try:
        found = file_sha256(torchs)
    except OSError as error:
        say(f"{wanted.name}: {torchs} cannot be read ({error.strerror or error}): not used")
        return None
    if found.startswith(wanted.expected):
        return Fetched(path=torchs, sha256=found)
    say(f"{wanted.name}: {torchs} is another file of this name (sha256 {found[:8]}…): not used")
    return None


def _require_good(wanted: Wanted, say: Callable[[str], object]) -> str:
    """SHA-256 of the file in the cache, which is the one expected; the first of its kind is recorded.

    A cache and a lock that only others may write are no reason to refuse a file that is there.
    """
    try:
        found = file_sha256(wanted.target)
    except OSError as error:
        raise LocalError(
            f"{wanted.target}: cannot be read: {error.strerror or error}; mend its permissions"
        ) from error
    if fault := target_fault(wanted, found):
        raise IntegrityError(fault)
    if not wanted.expected:
        try:
            _record(wanted, wanted.target, found, url="")
        except LockError as error:
            say(f"{wanted.name}: used, but not recorded: {error}")
    return found


def target_fault(wanted: Wanted, found: str, path: Path | None = None) -> str | None:
    """Why a file of the cache (None: the target) with SHA-256 `found` is not the wanted one, and what to do."""
    if fault := folder_fault(wanted):
        return fault
    path = path or wanted.target
    remedy = f"delete {path} and fetch it again"
    expected = wanted.expected or wanted.replaces
    if not found.startswith(expected):
        return str(_disagreement(str(path), found, expected, wanted.witness, remedy))
    if wanted.kind == "weights" and not wanted.expected and (fault := _damage(path)):
        return f"{path}: {fault}; {remedy}"
    return None


def _damage(path: Path) -> str | None:
    """`checkpoint_fault`, where whatever a hostile file makes its readers throw is a fault of the file."""
    try:
        return checkpoint_fault(path)
    except Exception as error:  # noqa: BLE001
        return f"a file that cannot be examined ({unforeseen(error)})"


def _lacks_its_end(path: Path) -> bool:
    """`is_cut_short`; False where that cannot be told, as verifying it will."""
    try:
        return is_cut_short(path)
    except Exception:  # noqa: BLE001
        return False


def unforeseen(error: Exception) -> str:
    """What something threw that nobody thought of, in few words."""
    return f"unforeseen {type(error).__name__}: {shown_text(str(error)[:MAX_REASON_CHARACTERS])}"


def _record(wanted: Wanted, path: Path, sha256: str, url: str) -> None:
    """Write a file that nobody vouches for into the lock, unless it stands there."""
    if wanted.lock is None:
        return
    known = wanted.lock.get(wanted.checkpoint.id)
    if known is None or known.sha256 != sha256:
        entry = entry_of(path, sha256, shown_url(url))
        wanted.lock.record(wanted.checkpoint.id, msgspec.structs.replace(entry, file=wanted.target.name))


def _disagreement(what: str, found: str, expected: str, witness: str, remedy: str) -> IntegrityError:
    return IntegrityError(
        f"{what}: sha256 does not agree with {witness}: expected {expected}{'…' * (len(expected) < 64)}, "
        f"found {found}; the file is damaged, incomplete or another one: {remedy}"
    )


def _update_hint(wanted: Wanted) -> str:
    return ", or accept it with --update-lock" if wanted.lock and wanted.expected else ""


# --- downloading --------------------------------------------------------------------------------------------


@contextmanager
def _alone(wanted: Wanted, say: Callable[[str], object]) -> Iterator[None]:
    """Hold the lock of this one file; the kernel frees it when its holder dies, however it dies."""
    from filelock import FileLock, Timeout  # noqa: PLC0415

    guard = cache.guard_path(wanted.target, wanted.home)
    try:
        guard.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(guard, thread_local=False)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            say(f"{wanted.name}: another process is fetching it; waiting for that")
            lock.acquire(poll_interval=0.1)
    except OSError as error:
        raise _cannot_write(wanted, error) from error
    try:
        yield
    finally:
        lock.release()


class _Errand:
    """Getting one wanted file from its URLs."""

    def __init__(
        self,
        wanted: Wanted,
        progress: Progress | None,
        patience: Patience | None,
        say: Callable[[str], object],
    ) -> None:
        self.wanted = wanted
        self.progress = progress
        self.patience = patience
        self.say = lambda sentence: say(f"{wanted.name}: {sentence}")

    def run(self) -> Fetched:
        """Try the URLs in order; the first whose bytes verify gives the target."""
        self._require_places()
        failures: list[FetchError] = []
        awaited = ""
        for url in self.wanted.urls:
            if awaited and _file_name(url) != awaited:
                self.say(
                    f"{shown_url(url)} is not asked: it has another name, and nobody says that it is the same file"
                )
                continue
            result = self._result_of(url)
            if isinstance(result, Fetched):
                for failure in failures:
                    self.say(f"had from {shown_url(url)}, because {failure}")
                return result
            failures.append(result)
            awaited = awaited or (_file_name(url) if self._may_be_had_later(result) else "")
        reasons = "; ".join(map(str, failures))
        kind = IntegrityError if any(isinstance(one, IntegrityError) for one in failures) else FetchError
        raise kind(f"{self.wanted.name}: no URL gave the file: {reasons}")

    def _may_be_had_later(self, failure: FetchError) -> bool:
        """True where a file of another name must not be taken instead: recorded once, it is required ever after.

        Only a server that has no such file gives way, which tells that the file was renamed. Where its hash is known,
        no name matters.
        """
        is_first = self.wanted.lock is not None and not self.wanted.expected
        return is_first and not isinstance(failure, NotThereError)

    def _require_places(self) -> None:
        """Tell before the download that its end could not be written."""
        if self.wanted.target.is_dir():
            raise LocalError(f"{self.wanted.target}: a folder lies where the file belongs; move it away")
        if self.wanted.lock is not None and not self.wanted.expected:
            self.wanted.lock.require_writable()

    def _result_of(self, url: str) -> Fetched | FetchError:
        """The file from one URL, or why it could not be had there, whatever that is.

        Raises:
            LocalError: this machine is at fault, so that no other URL would help.
        """
        try:
            arrived = self._verified(url)
        except LocalError:
            raise
        except FetchError as error:
            return error
        except Exception as error:  # noqa: BLE001  (what one server sends must not keep the others from being asked)
            return FetchError(f"{shown_url(url)}: {unforeseen(error)}")
        return self._keep(url, arrived)

    def _verified(self, url: str) -> Arrived:
        """Complete the partial file until its bytes are the wanted ones; wrong ones are kept aside."""
        arrived = self._arrive(url)
        if arrived.spliced and (fault := self._fault(url, arrived)):
            self.say(f"the joined parts are not the file ({fault}): starting over")
            remove_partial(self._partial(url))
            arrived = self._arrive(url)
        if fault := self._fault(url, arrived):
            try:
                aside = cache.set_aside(self._partial(url), self.wanted.target, arrived.sha256)
            except OSError as error:
                raise _cannot_write(self.wanted, error) from error
            raise IntegrityError(f"{fault}: kept as {aside}; try again, or report it to the publisher")
        return arrived

    def _partial(self, url: str) -> Path:
        """One for all URLs where a hash will tell whether their bytes are the same file's, else one for each."""
        alone = len(self.wanted.urls) > 1 and not self.wanted.expected
        return cache.partial_path(self.wanted.target, url if alone else "")

    def _arrive(self, url: str) -> Arrived:
        return download(
            url,
            self._partial(url),
            hash_known=bool(self.wanted.expected),
            refuse=web_page if self.wanted.kind == "log" else page,
            is_cut_short=_lacks_its_end if self.wanted.kind == "weights" else lambda _: False,
            max_bytes=MAX_FILE_BYTES if self.wanted.kind == "weights" else MAX_PAPER_BYTES,
            known_bytes=self.wanted.known_bytes,
            patience=self.patience,
            progress=self.progress,
            tell=self.say,
        )

    def _fault(self, url: str, arrived: Arrived) -> str | None:
        """Why a file that arrived is not the wanted one; None where it is."""
        wanted, place = self.wanted, shown_url(url)
        if not arrived.size:
            return f"{place}: the server sent an empty file"
        if not arrived.sha256.startswith(wanted.expected):
            damage = _damage(self._partial(url)) or "the file is another one"
            ellipsis = "…" * (len(wanted.expected) < 64)
            return (
                f"{place}: sha256 does not agree with {wanted.witness}: expected {wanted.expected}{ellipsis}, "
                f"found {arrived.sha256}; {damage}{_update_hint(wanted)}"
            )
        if wanted.kind == "weights" and not wanted.expected and (damage := _damage(self._partial(url))):
            return f"{place}: {damage}"
        return None

    def _keep(self, url: str, arrived: Arrived) -> Fetched:
        """Record a file where nobody vouches for it, and give it its names."""
        wanted = self.wanted
        try:
            _record(wanted, self._partial(url), arrived.sha256, url)
            cache.adopt(self._partial(url), wanted.target, arrived.sha256, wanted.home)
        except OSError as error:
            raise _cannot_write(wanted, error) from error
        return Fetched(path=wanted.target, sha256=arrived.sha256)


def _cannot_write(wanted: Wanted, error: OSError) -> LocalError:
    return LocalError(
        f"{wanted.target}: cannot write: {error.strerror or error}; set ZOO_HOME to another place"
    )
