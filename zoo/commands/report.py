"""`zoo report`: print the tables again from the ledger."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING

from ...evaluate.regular_files import read_text
from ...reports.formats import format_files, format_records
from ...reports.verdict import Status
from ..console.exit_codes import ExitCode
from ..files.named_files import named_file, named_file_or_folder, named_path
from ..manifest import load_manifest
from ..results.answers import Answers, answering, definition_records, judge_ledger, report_row
from ..results.background import background
from ..results.difference import short_difference
from .shared import flags
from .shared.answer import CommandError, fail, write, write_file, write_out
from .shared.arguments import recorded, selected, warn_of_strangers
from .shared.tables import add_tables, format_name, print_tables, tables_text

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from ...reports.background import Scene
    from ..manifest import Checkpoint
    from ..measuring.measurement import Measurement


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Which rows, from which measurements, as what."""
    flags.add_selection(parser)
    flags.add_builders(parser)
    parser.add_argument(
        "--definitions",
        action="store_true",
        help="print what other libraries' definitions of mIoU make of the same counts",
    )
    parser.add_argument(
        "--files",
        type=named_path,
        metavar="FOLDER",
        help="write the tables as Markdown into FOLDER: an index, and a file for each publisher and method",
    )
    parser.add_argument(
        "--check",
        type=named_file_or_folder,
        metavar="PLACE",
        help="write nothing; exit 1 with the difference where PLACE is not the file that --out, or the folder that "
        "--files would write",
    )
    parser.add_argument(
        "--pictures",
        type=flags.count,
        metavar="N",
        help="html: N images of each measured row, where weights and data are at hand",
    )
    flags.add_data_root(parser)
    flags.add_device(parser)
    parser.add_argument(
        "--evidence",
        type=named_file,
        metavar="FILE",
        help="compute the numbers from stored counts, not the ledger",
    )
    flags.add_ledger(parser)
    flags.add_tolerance(parser)
    add_tables(parser)


def run(arguments: argparse.Namespace) -> int:
    """The tables from the ledger or from stored counts, without measuring."""
    if sum(bool(place) for place in (arguments.check, arguments.out, arguments.files)) > 1:
        raise CommandError("--check writes nothing, --out writes a file, --files a folder: give one of them")
    in_files = bool(arguments.files or (arguments.check and arguments.check.is_dir()))
    if in_files and (arguments.json or arguments.pictures or arguments.format not in (None, "md")):
        raise CommandError(
            "a folder of tables is Markdown without pictures: leave --format, --json and --pictures out"
        )
    if not in_files:
        format_name(arguments)  # a wrong one is told before anything is read or predicted
    chosen = selected(arguments)
    records = _from_evidence(arguments.evidence) if arguments.evidence else recorded(arguments.ledger)
    warn_of_strangers(records, arguments.evidence or arguments.ledger, load_manifest(arguments.manifest))
    answers = Answers(records)
    if arguments.definitions:
        return _print_definitions(chosen, answers, arguments)
    judged = judge_ledger(chosen, answers, arguments.tolerance)
    rows = [report_row(checkpoint, verdicts) for checkpoint, verdicts in judged]
    measured = answering(chosen, answers)
    pictures = _pictures(chosen, measured, arguments) if arguments.pictures else ()
    about = background(
        chosen,
        measured,
        arguments.tolerance,
        scenes=pictures,
        note=_note(arguments),
        with_places=not in_files and format_name(arguments) == "junit",
    )
    if in_files and arguments.check:
        return _check_folder(format_files(rows, about), arguments.check)
    if arguments.check:
        return _check_file(tables_text(rows, about, arguments), arguments.check)
    if in_files:
        _write_folder(format_files(rows, about), arguments.files)
    else:
        print_tables(rows, about, arguments)
    refuted = any(verdict.status is Status.REFUTED for row in rows for verdict in row.verdicts)
    if refuted:
        return ExitCode.REFUTED
    return ExitCode.CANNOT_MEASURE if arguments.pictures and not pictures else ExitCode.OK


def _note(arguments: argparse.Namespace) -> str:
    """How to make and to check the document: the flags that decide what it says, files by their names alone."""
    words = ["zoo report", *arguments.ids]
    words += ["--where", arguments.where] if arguments.where else []
    words += ["--manifest", arguments.manifest.name] if arguments.manifest else []
    if arguments.evidence:
        words += ["--evidence", arguments.evidence.name]
    elif arguments.ledger.name != flags.DEFAULT_LEDGER.name:
        words += ["--ledger", arguments.ledger.name]
    words += ["--tolerance", f"{arguments.tolerance.reproduced:g}"] if arguments.tolerance else []
    words += ["--pictures", str(arguments.pictures)] if arguments.pictures else []
    folder = arguments.files or (arguments.check if arguments.check and arguments.check.is_dir() else None)
    words += ["--files", folder.name] if folder else []
    what, place = ("FOLDER", "these files still agree") if folder else ("FILE", "this file still agrees")
    command = " ".join([words[0], *map(shlex.quote, words[1:])])
    source = "the stored counts" if arguments.evidence else "the ledger of measurements"
    return f"Made by `{command}` from {source}; the same with `--check {what}` tells whether {place}."


def _pictures(
    chosen: Iterable[Checkpoint], measured: Iterable[Measurement], arguments: argparse.Namespace
) -> list[Scene]:
    """`--pictures`: a few images of every row whose mIoU was measured, predicted on the spot."""
    from ...evaluate.inference.device import resolve_device
    from ..results.pictures import scenes

    if format_name(arguments) != "html":
        raise CommandError("--pictures belongs to --format html")
    names = {record.checkpoint for record in measured if record.metric == "miou"}
    device = resolve_device(arguments.device)
    rows = [checkpoint for checkpoint in chosen if checkpoint.id in names]
    found = list(scenes(rows, arguments.pictures, arguments.data_root, device))
    absences = (
        [one for one in found if isinstance(one, str)]
        if rows
        else ["no pictures: no row has a measured mIoU"]
    )
    if absences and arguments.check:
        raise CommandError(
            f"--check {arguments.check}: cannot be compared for want of its pictures: {absences[0]}",
            ExitCode.CANNOT_MEASURE,
        )
    for absence in absences:
        print(f"zoo: warning: {absence}", file=sys.stderr)
    return [one for one in found if not isinstance(one, str)]


def _from_evidence(path: Path) -> list[Measurement]:
    from ...evaluate.evidence import EvidenceStore
    from ..results.recount import finished

    with EvidenceStore(path, read_only=True) as store:
        found = list(finished(store))
    for absence in found:
        if isinstance(absence, str):
            print(f"zoo: warning: {path}: {absence}", file=sys.stderr)
    return [measurement for measurement in found if not isinstance(measurement, str)]


def _print_definitions(chosen: Iterable[Checkpoint], answers: Answers, arguments: argparse.Namespace) -> int:
    if format_name(arguments) in {"html", "junit"}:
        raise CommandError("--definitions is a plain table: --format text, md, csv or json")
    records = definition_records(chosen, answers)
    if not records:
        raise CommandError(
            f"{arguments.ledger}: no measured mIoU of the chosen checkpoints there; run zoo verify first",
            ExitCode.CANNOT_MEASURE,
        )
    write_out(format_records(records, format_name(arguments)), arguments.out)
    return ExitCode.OK


def _write_folder(files: Mapping[str, str], folder: Path) -> None:
    for name, text in files.items():
        write_file(folder / name, text)
    for name in _others(files, folder):
        print(
            f"zoo: warning: {folder / name}: was not written by this run; delete it if its method is gone",
            file=sys.stderr,
        )
    write(f"{folder}: {len(files)} files")


def _others(files: Mapping[str, str], folder: Path) -> list[str]:
    """Further tables in a folder, which a reader would take for today's."""
    found = (path.relative_to(folder).as_posix() for path in sorted(folder.glob("*/*.md")))
    return [name for name in found if name not in files]


def _check_folder(files: Mapping[str, str], folder: Path) -> int:
    """As `_check_file`, for all files of a folder; the first that differs is shown."""
    if others := _others(files, folder):
        return fail(
            f"{folder / others[0]}: is not among the tables that the measurements give; delete it",
            ExitCode.REFUTED,
        )
    for name, text in files.items():
        if code := _check_file(text, folder / name, f"--files {folder}"):
            return code
    return ExitCode.OK


def _check_file(text: str, path: Path, how: str = "") -> int:
    """`zoo report --check`: 0 where a file is what would be written, else 1 and how it differs."""
    try:
        found = read_text(path)
    except OSError as error:
        raise CommandError(
            f"--check {path}: cannot read it: {error.strerror or error}; zoo report {how or f'--out {path}'} writes it"
        ) from error
    difference = short_difference(found, text.rstrip("\n") + "\n")
    if not difference:
        return ExitCode.OK
    write(difference)
    again = "the ledger, the manifest or the program say otherwise; write it again with zoo report"
    return fail(f"{path}: not what the measurements give: {again} {how or f'--out {path}'}", ExitCode.REFUTED)
