"""`zoo data`: whether data sets are whole and what they should be."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import msgspec

from ...evaluate.data.folder import folder_spec
from ...reports.media import tabulate
from ..console.exit_codes import ExitCode
from ..files.writing import replacing
from ..manifest import load_manifest
from ..manifest.selection import select_datasets
from .shared import flags
from .shared.answer import CommandError, json_text, write
from .shared.progress import Bar

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from PIL import Image

    from ...evaluate.data.check.findings import Finding, Fingerprint, Report
    from ...evaluate.data.datasets import DatasetSpec, Sample

_SHOWN_CLASSES = 6
_WIDTH = 100


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Which data sets, where, and how much of them is read."""
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="data sets of the manifest; all where none is given"
    )
    flags.add_manifest(parser)
    flags.add_data_root(parser)
    flags.add_folder(parser)
    parser.add_argument(
        "--make-labels",
        action="store_true",
        help="first draw the label files of data sets whose annotations are outlines (COCO); what is there stays",
    )
    parser.add_argument("--full", action="store_true", help="read every pixel instead of a sample's")
    flags.add_quiet(parser)
    flags.add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Examine the data sets one after the other, and say of each whether a number may be measured on it."""
    if arguments.folder and arguments.names:
        raise CommandError("name data sets of the manifest or give --folder, not both")
    if arguments.folder:
        specs, root = [folder_spec(arguments.folder)], arguments.folder
    else:
        specs = select_datasets(load_manifest(arguments.manifest), arguments.names)
        root = arguments.data_root
    if arguments.make_labels:
        for spec in [one for one in specs if arguments.names or one.made_of]:
            _make_labels(spec, root, quiet=arguments.quiet)
    reports = list(examine(specs, root, full=arguments.full, quiet=arguments.quiet))
    write(json_text(_records(reports)) if arguments.json else data_text(reports))
    return exit_code(reports, named=bool(arguments.names or arguments.folder))


def examine(
    specs: Iterable[DatasetSpec], data_root: Path | None, *, full: bool = False, quiet: bool = False
) -> Iterator[Report]:
    """Examine data sets one after the other; `full` reads every pixel instead of a sample's."""
    from ...evaluate.data.check.checker import HEADERS, SAMPLE, check

    for spec in specs:
        sample, headers = (spec.image_count, spec.image_count) if full else (SAMPLE, HEADERS)
        yield check(spec, data_root, sample=sample, headers=headers, watch=_Bar(spec.name, quiet=quiet))


def _make_labels(spec: DatasetSpec, data_root: Path | None, *, quiet: bool) -> None:
    from ...evaluate.data import instance_labels
    from ...evaluate.data.datasets import find_place

    root = find_place(spec, data_root).root
    missing = instance_labels.missing_labels(spec, root)
    bar = Bar(missing, desc=f"{spec.name} labels", unit="img", disable=quiet or None)
    instance_labels.make_labels(spec, root, bar, _write_picture)


def _write_picture(path: Path, picture: Image.Image) -> None:
    with replacing(path, sync=False) as fresh:
        picture.save(fresh, format="PNG")


class _Bar:
    """Shows on stderr how far the reading of a data set is, once it takes longer than a moment."""

    def __init__(self, name: str, *, quiet: bool) -> None:
        self.name = name
        self.quiet = quiet

    def __call__(self, items: Sequence[Sample], label: str) -> Iterable[Sample]:
        return Bar(
            items,
            desc=f"{self.name} {label}",
            unit="img",
            delay=0.5,
            leave=False,
            disable=self.quiet or None,
        )


def exit_code(reports: Sequence[Report], *, named: bool) -> ExitCode:
    """CANNOT_MEASURE where a data set that was asked for is not there or must not be measured on, else OK.

    Where the user named none, all of the manifest were looked for: those that are simply not there do no
    harm as long as one is usable.
    """
    absent_is_fine = not named and not all(report.absent for report in reports)
    sound = all(report.usable or (report.absent and absent_is_fine) for report in reports)
    return ExitCode.OK if sound else ExitCode.CANNOT_MEASURE


# --- for people --------------------------------------------------------------------------------------


def data_text(reports: Iterable[Report]) -> str:
    """The reports for a person."""
    return "\n\n\n".join(_report_text(report) for report in reports)


def _report_text(report: Report) -> str:
    title = f"{report.title} {report.split} ({report.dataset}): {verdict(report)}"
    facts = tabulate(_facts(report), tablefmt="plain", disable_numparse=True, maxcolwidths=[None, _WIDTH])
    parts = [title, facts, *(_finding_text(finding) for finding in report.findings)]
    return "\n\n".join(part for part in parts if part)


def verdict(report: Report) -> str:
    """One phrase: whether a number may be measured on it, and what else was seen."""
    if report.absent:
        return report.findings[0].kind if report.findings else "not found"
    gravities = [finding.gravity for finding in report.findings]
    counted = [
        f"{gravities.count(gravity)} {gravity}{'s' if gravities.count(gravity) > 1 else ''}"
        for gravity in ("error", "warning", "note")
        if gravity in gravities
    ]
    return ", ".join(["usable" if report.usable else "NOT USABLE", *counted])


def _facts(report: Report) -> list[tuple[str, str]]:
    if report.root is None or report.images is None:
        return []
    form = report.label_files
    facts = [
        ("images", f"{report.found_images} of {report.expected_images} in {report.images}"),
        ("labels", f"{report.root / form.folder}, *{form.suffix}" if form else "none"),
        (
            "read",
            f"every name, {report.headers_read} pairs' headers, {report.pixels_read} pairs' pixels, {report.seconds:.1f} s",
        ),
    ]
    return facts + (_fingerprint_facts(report.fingerprint) if report.fingerprint else [])


def _fingerprint_facts(fingerprint: Fingerprint) -> list[tuple[str, str]]:
    return [
        ("ids", f"sha256 {fingerprint.ids_sha256}"),
        ("sample", f"sha256 {fingerprint.sample_sha256}"),
        ("pixels", _histogram(fingerprint)),
    ]


def _histogram(fingerprint: Fingerprint) -> str:
    """The most frequent classes and what is not counted, in percent of the sample's pixels."""
    counts = fingerprint.label_pixels
    total = sum(counts.values()) + fingerprint.ignored_pixels + fingerprint.stray_pixels
    if not total:
        return "none read"
    frequent = sorted((name for name in counts if counts[name]), key=lambda name: -counts[name])
    shares = [(name, counts[name]) for name in frequent[:_SHOWN_CLASSES]]
    rest = frequent[_SHOWN_CLASSES:]
    if rest:
        shares.append((f"{len(rest)} more classes", sum(counts[name] for name in rest)))
    shares.append(("ignored", fingerprint.ignored_pixels))
    if fingerprint.stray_pixels:
        shares.append(("outside the classes", fingerprint.stray_pixels))
    return ", ".join(f"{name} {100 * pixels / total:.1f}%" for name, pixels in shares)


def _finding_text(finding: Finding) -> str:
    parts = [_wrapped(finding.what), _wrapped(finding.effect, "effect "), _wrapped(finding.remedy, "remedy ")]
    return "\n".join([f"{finding.gravity.upper()}: {finding.kind}", *parts])


def _wrapped(text: str, label: str = "") -> str:
    """Lines of readable length below their label; a drawing keeps its lines, and paths are never cut."""
    start = f"  {label}"
    folded = [
        textwrap.fill(
            line, _WIDTH, initial_indent="  " + " " * len(label), subsequent_indent="  " + " " * len(label),
            break_long_words=False, break_on_hyphens=False,
        )
        for line in text.splitlines()
    ]  # fmt: skip
    return start + "\n".join(folded)[len(start) :]


# --- for programs ------------------------------------------------------------------------------------


def _records(reports: Iterable[Report]) -> list[dict[str, Any]]:
    """The reports as plain data; paths as text."""
    return [
        {"usable": report.usable, "verdict": verdict(report), **msgspec.to_builtins(report, enc_hook=str)}
        for report in reports
    ]
