"""`zoo fetch`: files brought, and a look at those that are here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..console.exit_codes import ExitCode
from ..files import places
from ..manifest import load_manifest
from .fetch_answers import (
    check_links,
    fetch_files,
    list_cache,
    plan,
    prune_cache,
    result_record,
    verify_cache,
    wanted_of,
)
from .shared.answer import CommandError, fail, json_text, write
from .shared.arguments import selected

if TYPE_CHECKING:
    import argparse


def run_fetch(arguments: argparse.Namespace) -> int:
    """`zoo fetch`: every chosen file, one failure does not stop the others; or a look at the cache."""
    if arguments.task is not None:
        return _look_after_cache(arguments)
    wanted = wanted_of(selected(arguments), papers=arguments.with_logs, update_lock=arguments.update_lock)
    if arguments.dry_run:
        answer = plan(wanted)
        write(json_text(answer.records) if arguments.json else answer.text)
        return ExitCode.OK
    results, code = fetch_files(wanted, arguments)
    if arguments.json:
        write(json_text([result_record(result) for result in results]))
    return code


def _look_after_cache(arguments: argparse.Namespace) -> int:
    """`zoo fetch --list`, `--verify`, `--prune`, `--check-links`."""
    if arguments.task == "prune":
        if arguments.ids or arguments.where:
            raise CommandError(
                "--prune looks at the whole cache; leave out what selects rows", ExitCode.USAGE
            )
        answer = prune_cache(load_manifest(arguments.manifest), dry_run=arguments.dry_run)
    elif arguments.task == "check-links":
        if arguments.offline or places.is_offline():
            raise CommandError(
                "--check-links asks the network, and --offline (or ZOO_OFFLINE) is set", ExitCode.USAGE
            )
        answer = check_links(selected(arguments), load_manifest(arguments.manifest), arguments)
    else:
        wanted = wanted_of(selected(arguments), papers=True)
        answer = list_cache(wanted) if arguments.task == "list" else verify_cache(wanted, places.zoo_home())
    write(json_text(answer.records) if arguments.json else answer.text)
    for fault in answer.faults:
        fail(fault, answer.exit_code)
    return answer.exit_code
