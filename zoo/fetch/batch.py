"""Many files at once: a few threads, one failure stops nobody else, an interrupt stops everybody at once."""

from __future__ import annotations

import queue
import threading
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Protocol, TypeVar, cast

import msgspec

from ..console.exit_codes import ExitCode
from . import Fetched, FetchError, IntegrityError, Patience, Progress, Wanted, cache, fetch_wanted, unforeseen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


Item = TypeVar("Item")
Done = TypeVar("Done")


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one wanted file."""

    wanted: Wanted
    fetched: Fetched | None = None
    error: FetchError | None = None

    @property
    def exit_code(self) -> ExitCode:
        """INTEGRITY where the file is another one, CANNOT_MEASURE where it could not be had."""
        if self.error is None:
            return ExitCode.OK
        return ExitCode.INTEGRITY if isinstance(self.error, IntegrityError) else ExitCode.CANNOT_MEASURE


class Display(Protocol):
    """Shows downloads as they go on; `progress.DownloadBars` is one."""

    def file(self, label: str) -> AbstractContextManager[Progress | None]:
        """A file is about to be fetched."""
        ...

    def done(self) -> object:
        """A file is there, or could not be had."""

    def say(self, sentence: str) -> object:
        """Something worth knowing."""


class Silent:
    """A display that shows nothing."""

    def file(self, label: str) -> AbstractContextManager[Progress | None]:
        """Nothing to show."""
        del label
        return nullcontext()

    def done(self) -> None:
        """Nothing to show."""

    def say(self, sentence: str) -> None:
        """Nothing to show."""


def fetch_all(
    wanted: Sequence[Wanted],
    *,
    jobs: int = 1,
    offline: bool | None = None,
    patience: Patience | None = None,
    display: Display | None = None,
) -> Iterator[Result]:
    """Fetch every file, `jobs` at once; results come in the order in which files are done.

    The threads are daemons: after an interrupt the process ends at once, and what has arrived stays on disk.
    """
    shown = display or Silent()
    twins = {job.urls: _Twins() for job in wanted}

    def one(job: Wanted) -> Result:
        try:
            with twins[job.urls].in_turn(job), shown.file(job.name) as progress:
                fetched = fetch_wanted(
                    job, offline=offline, progress=progress, patience=patience, tell=shown.say
                )
                twins[job.urls].fetched = fetched
            return Result(wanted=job, fetched=fetched)
        except FetchError as error:
            return Result(wanted=job, error=error)
        except Exception as error:  # noqa: BLE001  (one file's surprise must not stop the others)
            told = FetchError(f"{job.name}: {job.target}: {unforeseen(error)}; please report it")
            return Result(wanted=job, error=told)
        finally:
            shown.done()

    yield from in_threads(one, wanted, jobs)


class _Twins:
    """Wanted files of the same URLs: the first one is downloaded, the others get its bytes."""

    def __init__(self) -> None:
        self.guard = threading.Lock()
        self.fetched: Fetched | None = None

    @contextmanager
    def in_turn(self, job: Wanted) -> Iterator[None]:
        """One after the other; the cache knows a file by its hash, and of files without one only we know it."""
        with self.guard:
            if self.fetched is not None and not job.replaces and not job.target.exists():
                with suppress(OSError):  # which fetching it will tell
                    cache.link_known(job.target, job.expected or self.fetched.sha256, job.home)
            yield


def in_threads(work: Callable[[Item], Done], items: Sequence[Item], jobs: int) -> Iterator[Done]:
    """`work` of every item as it is done, by `jobs` daemon threads; an unforeseen error is raised here.

    `concurrent.futures` would wait at the interpreter's exit for threads that wait for a server.
    """
    waiting: queue.SimpleQueue[Item] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[Done | None, BaseException | None]] = queue.SimpleQueue()
    for item in items:
        waiting.put(item)

    def drain() -> None:
        with suppress(queue.Empty):
            while True:
                item = waiting.get_nowait()
                try:
                    done.put((work(item), None))
                except BaseException as error:  # noqa: BLE001  (raised again in the caller's thread)
                    done.put((None, error))

    for _ in range(min(jobs, len(items))):
        threading.Thread(target=drain, daemon=True).start()
    for _ in items:
        result, error = done.get()
        if error is not None:
            raise error
        yield cast("Done", result)
