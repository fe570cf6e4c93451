"""`zoo evidence`: the stored counts: list, show, export, merge, prune."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import msgspec

from ...reports.media import tabulate
from ..console.exit_codes import ExitCode
from ..files import places
from ..files.named_files import named_file
from .shared import flags
from .shared.answer import CommandError, json_text, write

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from ...evaluate.evidence import EvidenceStore, Split
    from ..measuring.measurement import Measurement
    from ..results.stored_series import StoredSeries

_SHOWN_DIGITS = 12


def add_flags(parser: argparse.ArgumentParser) -> None:
    """A task, and the evidence file that it is about."""
    tasks = parser.add_subparsers(dest="task", required=True, metavar="TASK")
    for name, (summary, add_arguments, _) in _TASKS.items():
        task = tasks.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
        add_arguments(task)
        task.add_argument(
            "--evidence", type=named_file, metavar="FILE", help="the evidence file (default: in ZOO_HOME)"
        )
        flags.add_json(task)


def _add_series(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "series", nargs="*", metavar="SERIES", help="beginning of a series' name, or a checkpoint or glob"
    )


def _add_show(command: argparse.ArgumentParser) -> None:
    _add_series(command)
    command.add_argument(
        "--scores", action="store_true", help="compute the numbers again from the stored counts"
    )


def _add_export(command: argparse.ArgumentParser) -> None:
    command.add_argument("file", type=named_file, metavar="FILE", help="evidence file to write")
    _add_series(command)
    command.add_argument("--force", action="store_true", help="replace FILE where it exists")


def _add_merge(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "files",
        nargs="+",
        type=named_file,
        metavar="FILE",
        help="evidence files to take over; they stay as they are",
    )


def _add_prune(command: argparse.ArgumentParser) -> None:
    _add_series(command)
    command.add_argument(
        "--older",
        type=flags.positive_number,
        metavar="DAYS",
        help="only series not written to for so many days",
    )
    command.add_argument("--dry-run", action="store_true", help="say what would be deleted and stop")


def run(arguments: argparse.Namespace) -> int:
    """One task on one evidence file, which is opened for writing only where the task writes."""
    from ...evaluate.evidence import EvidenceStore

    path = arguments.evidence or places.zoo_home() / "evidence.sqlite"
    reads = arguments.task in ("list", "show", "export") or (arguments.task == "prune" and arguments.dry_run)
    if arguments.task == "prune" and not path.is_file():
        raise CommandError(f"{path}: no evidence there", ExitCode.CANNOT_MEASURE)
    with EvidenceStore(path, read_only=reads) as store:
        return _TASKS[arguments.task][2](store, arguments)


def _list(store: EvidenceStore, arguments: argparse.Namespace) -> int:
    from ..results.stored_series import chosen, holdings

    held = chosen(holdings(store), arguments.series)
    write(json_text([_record(holding) for holding in held]) if arguments.json else _list_text(held))
    return ExitCode.OK


def _show(store: EvidenceStore, arguments: argparse.Namespace) -> int:
    from ..results.stored_series import chosen, holdings, score

    held = chosen(holdings(store), arguments.series)
    scores = [score(store, holding) if arguments.scores else None for holding in held]
    pairs = list(zip(held, scores, strict=True))
    if arguments.json:
        write(json_text([_record(holding, found) for holding, found in pairs]))
    else:
        write("\n\n\n".join(_show_text(holding, found) for holding, found in pairs) or "no evidence yet")
    incomplete = arguments.scores and any(found is None for found in scores)
    return ExitCode.CANNOT_MEASURE if incomplete else ExitCode.OK


def _export(store: EvidenceStore, arguments: argparse.Namespace) -> int:
    from ..results.stored_series import chosen, give_away, holdings, keys_of

    held = chosen(holdings(store), arguments.series)
    images = give_away(store, arguments.file, held, force=arguments.force)
    answer = {"file": str(arguments.file), "series": len(keys_of(held)), "images": images}
    write(
        json_text(answer)
        if arguments.json
        else f"{answer['file']}: {images} images of {answer['series']} series, {arguments.file.stat().st_size} bytes"
    )
    return ExitCode.OK


def _merge(store: EvidenceStore, arguments: argparse.Namespace) -> int:
    from ..results.stored_series import bring_together

    records = bring_together(store, arguments.files)
    lines = [f"{found['file']}: {found['images']} images, {found['new']} of them new" for found in records]
    write(json_text(records) if arguments.json else "\n".join(lines))
    return ExitCode.OK


def _prune(store: EvidenceStore, arguments: argparse.Namespace) -> int:
    from ..results.stored_series import apart_from_others, chosen, holdings, keys_of, of_the_future, older

    if not arguments.series and arguments.older is None:
        raise CommandError("zoo evidence prune: name series, or give --older DAYS")
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
            f"zoo: warning: series {holding.series[:_SHOWN_DIGITS]} is kept: its counts are also those of "
            f"{', '.join(names)}, which has the same weights file; name that too, or the series",
            file=sys.stderr,
        )
    if not arguments.dry_run and held:
        store.forget(keys_of(held))
    write(json_text([_record(holding) for holding in held]) if arguments.json else _list_text(held))
    images = sum({holding.series: holding.images for holding in held}.values())
    verb = "would be deleted" if arguments.dry_run else "deleted"
    print(f"zoo: {images} images of {len(keys_of(held))} series {verb}", file=sys.stderr)
    return ExitCode.OK


_TASKS = {
    "list": ("every series with what is there of it", _add_series, _list),
    "show": (
        "everything known of a series; with --scores its number, from the counts alone",
        _add_show,
        _show,
    ),
    "export": ("write series into a file of their own, for others", _add_export, _export),
    "merge": ("take over other files' counts; contradictions are refused", _add_merge, _merge),
    "prune": ("delete series, by name or by age", _add_prune, _prune),
}
"""Name -> a line of help, what adds its flags, what does it."""


def _list_text(held: Sequence[StoredSeries]) -> str:
    """One line a holding."""
    if not held:
        return "no evidence yet"
    rows = [_list_row(holding) for holding in held]
    header = [
        "series",
        "checkpoint",
        "metric",
        "data set",
        "device",
        "precision",
        "images",
        "state",
        "last used",
    ]
    return tabulate(rows, header, disable_numparse=True)


def _list_row(holding: StoredSeries) -> list[str]:
    use, key = holding.use, holding.key
    named = (use.checkpoint, use.metric, _data_name(use.split)) if use else ("–", "–", "–")
    progress = (holding.progress, holding.state, holding.last_used)
    return [holding.series[:_SHOWN_DIGITS], *named, key.device_kind, key.precision, *progress]


def _data_name(split: Split) -> str:
    return f"{split.dataset} ({split.subset})" if split.subset else split.dataset


def _show_text(holding: StoredSeries, measurement: Measurement | None) -> str:
    """Everything known of a holding; with its number where one was computed."""
    facts = [
        (name.replace("_", " "), str(value)) for name, value in msgspec.structs.asdict(holding.key).items()
    ]
    if holding.use:
        use = holding.use
        facts[:0] = [
            ("checkpoint", use.checkpoint),
            ("metric", use.metric),
            ("protocol", use.protocol),
            ("data set", _data_name(use.split)),
            ("fingerprint", use.split.fingerprint),
        ]
    facts += [("last used", holding.last_used), ("images", f"{holding.progress}, {holding.state}")]
    facts += [("missing", _some(holding.missing))] if holding.missing else []
    facts += [("other contents", _some(holding.other_contents))] if holding.other_contents else []
    text = f"series {holding.series}\n" + tabulate(facts, tablefmt="plain", disable_numparse=True)
    return f"{text}\n\n{_score_text(measurement)}" if measurement else text


def _some(names: Sequence[str], limit: int = 5) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def _score_text(measurement: Measurement) -> str:
    details = measurement.details
    classes = [
        (name, "–" if iou is None else f"{iou:.2f}", measurement.label_pixels[name])
        for name, iou in details["iou_percent"].items()
    ]
    miou = details["definitions"]["mmsegmentation"]  # the measurement's own value may be of another quantity
    summary = (
        f"mIoU {miou:.4f}, mAcc {details['macc_percent']:.4f}, aAcc {details['aacc_percent']:.4f} "
        f"over {measurement.image_count} images, each counted once"
    )
    return f"{summary}\n" + tabulate(classes, ["class", "IoU", "labelled pixels"], disable_numparse=True)


def _record(holding: StoredSeries, measurement: Measurement | None = None) -> dict[str, Any]:
    """A holding as plain data; the list of images is left out, what is wrong with it is not."""
    use = holding.use
    named = {
        "checkpoint": use.checkpoint,
        "metric": use.metric,
        "protocol": use.protocol,
        "dataset": use.split.dataset,
        "subset": use.split.subset,
        "dataset_fingerprint": use.split.fingerprint,
        "split_images": len(use.split.images),
    } if use else {}  # fmt: skip
    scores = {"measurement": msgspec.to_builtins(measurement)} if measurement else {}
    return {
        "series": holding.series,
        **named,
        **msgspec.to_builtins(holding.key),
        "images": holding.images,
        "state": holding.state,
        "missing": list(holding.missing),
        "other_contents": list(holding.other_contents),
        "last_used": holding.last_used,
        **scores,
    }
