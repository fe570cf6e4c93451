"""`zoo evidence`: the stored counts looked after."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ...evaluate.evidence import EvidenceError, EvidenceStore
from ..console.exit_codes import ExitCode
from ..files import places
from ..results.stored_series import (
    SHOWN_DIGITS,
    UnknownSeries,
    apart_from_others,
    bring_together,
    chosen,
    give_away,
    holdings,
    keys_of,
    list_text,
    of_the_future,
    older,
    record,
    score,
    show_text,
)
from .shared.answer import CommandError, json_text, write

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable


def run_evidence(arguments: argparse.Namespace) -> int:
    """`zoo evidence`: look after the stored counts."""
    path = arguments.evidence or places.zoo_home() / "evidence.sqlite"
    reads = arguments.task in ("list", "show", "export") or (arguments.task == "prune" and arguments.dry_run)
    try:
        if arguments.task == "prune" and not path.is_file():
            raise CommandError(f"{path}: no evidence there", ExitCode.CANNOT_MEASURE)
        with EvidenceStore(path, read_only=reads) as store:
            return _EVIDENCE_TASKS[arguments.task](store, arguments)
    except UnknownSeries as error:
        raise CommandError(str(error), ExitCode.NOTHING_SELECTED) from error
    except EvidenceError as error:
        raise CommandError(str(error), ExitCode.CANNOT_MEASURE) from error


def _evidence_list(store: EvidenceStore, arguments: argparse.Namespace) -> int:
    held = chosen(holdings(store), arguments.series)
    write(json_text([record(holding) for holding in held]) if arguments.json else list_text(held))
    return ExitCode.OK


def _evidence_show(store: EvidenceStore, arguments: argparse.Namespace) -> int:
    held = chosen(holdings(store), arguments.series)
    scores = [score(store, holding) if arguments.scores else None for holding in held]
    pairs = list(zip(held, scores, strict=True))
    if arguments.json:
        write(json_text([record(holding, found) for holding, found in pairs]))
    else:
        write("\n\n\n".join(show_text(holding, found) for holding, found in pairs) or "no evidence yet")
    incomplete = arguments.scores and any(found is None for found in scores)
    return ExitCode.CANNOT_MEASURE if incomplete else ExitCode.OK


def _evidence_export(store: EvidenceStore, arguments: argparse.Namespace) -> int:
    held = chosen(holdings(store), arguments.series)
    images = give_away(store, arguments.file, held, force=arguments.force)
    answer = {"file": str(arguments.file), "series": len(keys_of(held)), "images": images}
    write(
        json_text(answer)
        if arguments.json
        else f"{answer['file']}: {images} images of {answer['series']} series, {arguments.file.stat().st_size} bytes"
    )
    return ExitCode.OK


def _evidence_merge(store: EvidenceStore, arguments: argparse.Namespace) -> int:
    records = bring_together(store, arguments.files)
    lines = [f"{found['file']}: {found['images']} images, {found['new']} of them new" for found in records]
    write(json_text(records) if arguments.json else "\n".join(lines))
    return ExitCode.OK


def _evidence_prune(store: EvidenceStore, arguments: argparse.Namespace) -> int:
    if not arguments.series and arguments.older is None:
        raise CommandError("zoo evidence prune: name series, or give --older DAYS", ExitCode.USAGE)
    everything = holdings(store)
    held = chosen(everything, arguments.series)
    if arguments.older is not None:
        if ahead := keys_of(of_the_future(held)):
            warning = (
                "were last used later than this machine's clock says; their age is unknown, they are kept"
            )
            print(f"zoo: warning: {len(ahead)} series {warning}", file=sys.stderr)
        held = older(held, arguments.older)
    held, shared = apart_from_others(held, everything)
    for holding, names in shared:
        print(
            f"zoo: warning: series {holding.series[:SHOWN_DIGITS]} is kept: its counts are also those of "
            f"{', '.join(names)}, which has the same weights file; name that too, or the series",
            file=sys.stderr,
        )
    if not arguments.dry_run and held:
        store.forget(keys_of(held))
    write(json_text([record(holding) for holding in held]) if arguments.json else list_text(held))
    images = sum({holding.series: holding.images for holding in held}.values())
    verb = "would be deleted" if arguments.dry_run else "deleted"
    print(f"zoo: {images} images of {len(keys_of(held))} series {verb}", file=sys.stderr)
    return ExitCode.OK


_EVIDENCE_TASKS: dict[str, Callable[[EvidenceStore, argparse.Namespace], int]] = {
    "list": _evidence_list,
    "show": _evidence_show,
    "export": _evidence_export,
    "merge": _evidence_merge,
    "prune": _evidence_prune,
}
