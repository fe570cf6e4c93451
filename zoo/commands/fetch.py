"""`zoo fetch`: bring weights, verified, into the cache."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

import msgspec

from ..console.exit_codes import ExitCode, gravest
from ..fetch import FetchError, Patience, Wanted, wanted_action, wanted_papers, wanted_weights
from ..fetch.batch import Result, fetch_all
from ..fetch.cache import remembered_manifests
from ..files import places
from ..manifest import ManifestError, load_manifest
from .shared import flags
from .shared.answer import CommandError, fail, json_text, write
from .shared.arguments import selected
from .shared.progress import DownloadBars

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from ..manifest import Checkpoint, Manifest

MAX_TIMEOUT_SECONDS = 86_400
"""A day: no server is silent for longer, and no clock of the system's overflows."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a command has to say."""

    text: str
    records: Any
    """The same for `--json`."""
    exit_code: ExitCode = ExitCode.OK
    faults: tuple[str, ...] = ()
    """What is wrong with files, for people: a message each, on stderr."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Which rows' files, how they are brought, or which look at the cache."""
    flags.add_selection(parser)
    flags.add_offline(parser)
    flags.add_dry_run(parser)
    _add_downloading(parser)
    _add_cache_tasks(parser)
    flags.add_json(parser)
    flags.add_quiet(parser)


def _add_downloading(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "-j", "--jobs", type=flags.count, default=1, metavar="N", help="files at once (default: 1)"
    )
    command.add_argument("--with-logs", action="store_true", help="training logs and configs too")
    command.add_argument(
        "--update-lock",
        action="store_true",
        help="accept other bytes than zoo.lock records, and record them, where no hash is published",
    )
    command.add_argument(
        "--timeout",
        type=_seconds,
        default=60.0,
        metavar="SECONDS",
        help="for each step of an answer, its whole head or the next of its body (default: 60)",
    )
    command.add_argument(
        "--tries",
        type=flags.count,
        default=5,
        metavar="N",
        help="attempts in a row without progress (default: 5)",
    )


def _add_cache_tasks(command: argparse.ArgumentParser) -> None:
    tasks = command.add_mutually_exclusive_group()
    for name, summary in (
        ("list", "show what the cache holds of the chosen rows"),
        ("verify", "hash every fetched file again; exit 4 where one is damaged"),
        ("prune", "delete what belongs to no row, partial and wrong files; see --dry-run"),
        ("check-links", "ask for every URL of the chosen rows; exit 1 where a claim's evidence is gone"),
    ):
        tasks.add_argument(
            f"--{name}", dest="task", action="store_const", const=name, default=None, help=summary
        )


def _seconds(text: str) -> float:
    seconds = flags.positive_number(text, "seconds")
    if seconds > MAX_TIMEOUT_SECONDS:
        raise argparse.ArgumentTypeError(
            f"expected seconds above 0 and up to {MAX_TIMEOUT_SECONDS}, such as 60, found {text!r}"
        )
    return seconds


def run(arguments: argparse.Namespace) -> int:
    """Every chosen file, one failure does not stop the others; or a look at the cache."""
    if arguments.task is not None:
        return _look_after_cache(arguments)
    wanted = wanted_of(selected(arguments), papers=arguments.with_logs, update_lock=arguments.update_lock)
    if arguments.dry_run:
        answer = _plan(wanted)
        write(json_text(answer.records) if arguments.json else answer.text)
        return ExitCode.OK
    results, code = _fetch_files(wanted, arguments)
    if arguments.json:
        write(json_text([_result_record(result) for result in results]))
    return code


def _look_after_cache(arguments: argparse.Namespace) -> int:
    """`--list`, `--verify`, `--prune`, `--check-links`."""
    if arguments.task == "prune":
        if arguments.ids or arguments.where:
            raise CommandError("--prune looks at the whole cache; leave out what selects rows")
        answer = _prune_cache(load_manifest(arguments.manifest), dry_run=arguments.dry_run)
    elif arguments.task == "check-links":
        if arguments.offline or places.is_offline():
            raise CommandError("--check-links asks the network, and --offline (or ZOO_OFFLINE) is set")
        answer = _check_links(selected(arguments), load_manifest(arguments.manifest), arguments)
    else:
        wanted = wanted_of(selected(arguments), papers=True)
        answer = list_cache(wanted) if arguments.task == "list" else verify_cache(wanted, places.zoo_home())
    write(json_text(answer.records) if arguments.json else answer.text)
    for fault in answer.faults:
        fail(fault, answer.exit_code)
    return answer.exit_code


def wanted_of(
    checkpoints: Iterable[Checkpoint], *, papers: bool = False, update_lock: bool = False
) -> list[Wanted]:
    """The files of rows: weights, and with `papers` logs and configs."""
    return [
        wanted
        for checkpoint in checkpoints
        for wanted in (
            wanted_weights(checkpoint, update_lock=update_lock),
            *(wanted_papers(checkpoint) if papers else ()),
        )
    ]


def _plan(wanted: Iterable[Wanted]) -> Answer:
    """`--dry-run`: what would be done about every file."""
    chosen = [(one, wanted_action(one)) for one in wanted]
    return Answer(
        text="\n".join(f"{one.name}: {action.value}, {one.target}" for one, action in chosen),
        records=[
            {
                "checkpoint": one.checkpoint.id,
                "file": one.kind,
                "action": action.value,
                "path": str(one.target),
            }
            for one, action in chosen
        ],
    )


def _fetch_files(wanted: list[Wanted], arguments: argparse.Namespace) -> tuple[list[Result], ExitCode]:
    """Fetch; say of every file what became of it as soon as it is known; the results and the exit code.

    With `--json` only failures are told, on stderr.
    """
    patience = Patience(read_seconds=arguments.timeout, tries=arguments.tries)
    results = []
    with DownloadBars(len(wanted), quiet=arguments.quiet) as bars:
        if arguments.update_lock:
            _tell_of_hashes(wanted, bars.say)
        for result in fetch_all(
            wanted, jobs=arguments.jobs, offline=arguments.offline or None, patience=patience, display=bars
        ):
            results.append(result)
            if result.error is not None:
                bars.say(str(result.error))
            elif not arguments.json:
                bars.write(_result_text(result))
    return results, gravest(result.exit_code for result in results)


def _result_text(result: Result) -> str:
    """The line about a file that is there."""
    wanted, fetched = result.wanted, result.fetched
    assert fetched is not None
    if wanted.kind != "weights":
        return f"{wanted.name}: {fetched.path}"
    if wanted.lock is None:
        return f"{wanted.name}: {fetched.path} (hash verified)"
    return (
        f"{wanted.name}: {fetched.path} (its publisher gives no hash to verify; sha256 {fetched.sha256}, "
        f"{_lock_note(wanted, fetched.sha256)})"
    )


def _lock_note(wanted: Wanted, sha256: str) -> str:
    """What the lock said, or says from now on."""
    assert wanted.lock is not None
    place = wanted.lock.where(wanted.checkpoint.id)
    if wanted.replaces not in ("", sha256):
        return f"now recorded in {place} in place of {wanted.replaces}"
    return f"{'as' if wanted.expected or wanted.replaces else 'now'} recorded in {place}"


def _tell_of_hashes(wanted: Iterable[Wanted], say: Callable[[str], object]) -> None:
    """`--update-lock` is about files that nobody vouches for and that are not there yet; say where it is neither."""
    for one in wanted:
        if one.kind == "weights" and one.lock is None:
            say(f"{one.name}: nothing to update in a lock, its publisher gives a hash")
        elif one.replaces and one.target.is_file():
            say(
                f"{one.name}: its publisher is not asked, the file is there; to ask, delete {one.target} first"
            )


def _result_record(result: Result) -> dict[str, Any]:
    """The same as plain data."""
    fetched = result.fetched
    return {
        "checkpoint": result.wanted.checkpoint.id,
        "file": result.wanted.kind,
        "path": None if fetched is None else str(fetched.path),
        "sha256": None if fetched is None else fetched.sha256,
        "expected": result.wanted.expected or None,
        "error": None if result.error is None else str(result.error),
    }


def list_cache(wanted: Iterable[Wanted]) -> Answer:
    """`--list`: what is there of every file."""
    from ..fetch.holdings import faults_told, holding_records, holdings_text, survey

    holdings = [survey(one) for one in wanted]
    return Answer(
        text=holdings_text(holdings),
        records=holding_records(holdings),
        faults=tuple(faults_told(holdings)),
    )


def verify_cache(wanted: Iterable[Wanted], home: Path) -> Answer:
    """`--verify`: every file that is there, read and hashed again."""
    from ..fetch.holdings import damaged_blobs, examine, faults_told, holding_records

    holdings = [found for found in map(examine, wanted) if found.sha256 or found.fault] + damaged_blobs(home)
    faults = faults_told(holdings)
    sound = sum(found.fault is None for found in holdings)
    lines = [
        f"{found.checkpoint} {found.kind}: sha256 {found.sha256}" for found in holdings if not found.fault
    ]
    return Answer(
        text="\n".join([*lines, f"{sound} files sound, {len(faults)} damaged"]),
        records=holding_records(holdings),
        exit_code=ExitCode.INTEGRITY if faults else ExitCode.OK,
        faults=tuple(faults),
    )


def _prune_cache(manifest: Iterable[Checkpoint], *, dry_run: bool) -> Answer:
    """`--prune`: delete what belongs to no row of the manifest, of the packaged zoo or of a manifest that used the cache.

    Raises:
        FetchError: one of these cannot be read, so that nobody knows which files are its.
    """
    from ..fetch.holdings import prune, superfluous

    home = places.zoo_home()
    found = superfluous(home, wanted_of(_all_rows(manifest, home), papers=True))
    waste, freed = (list(found.ours), 0) if dry_run else prune(found.ours, home)
    end = "would go" if dry_run else f"deleted, {freed / 2**20:.1f} MiB freed"
    lines = [f"{'would delete' if dry_run else 'deleted'} {path}" for path in waste]
    foreign = [f"left alone, not provably zoo's: {path}" for path in found.foreign]
    return Answer(
        text="\n".join([*foreign, *lines, f"{len(waste)} files {end}"]), records=[str(path) for path in waste]
    )


def _all_rows(manifest: Iterable[Checkpoint], home: Path) -> Iterator[Checkpoint]:
    yield from manifest
    yield from load_manifest()
    for marker, path in remembered_manifests(home).items():
        try:
            yield from load_manifest(path)
        except ManifestError as error:  # noqa: PERF203  (a few manifests)
            raise FetchError(
                f"{path}: this manifest's files lie in the cache, and it cannot be read ({error}); mend it, or delete "
                f"{marker} to give its files up"
            ) from error


def _check_links(chosen: Iterable[Checkpoint], manifest: Manifest, arguments: argparse.Namespace) -> Answer:
    """`--check-links`: what became of every URL."""
    from ..fetch.links import check_all, exit_code, link_records, links_text, to_check

    links = to_check(chosen, manifest)
    patience = Patience(read_seconds=arguments.timeout, tries=arguments.tries)
    with DownloadBars(len(links), quiet=arguments.quiet, unit="link") as bars:
        found = check_all(links, patience=patience, tell=lambda _: bars.done())
    return Answer(text=links_text(found), records=link_records(found), exit_code=exit_code(found))
