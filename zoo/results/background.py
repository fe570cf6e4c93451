"""What a report says beyond its verdicts, gathered from the manifest and the measurements."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...reports.background import Background, ClassFigures, Origin, Place
from ...reports.metrics import METRICS
from ...reports.verdict import bands, tolerance_of
from ..manifest.places import find_places

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ...reports.background import Scene
    from ...reports.tolerance import Tolerance
    from ..manifest import Checkpoint
    from ..measuring.measurement import Measurement

TITLE = "Published tables, measured again"
NOTE = "Made by `zoo verify`; `zoo report` makes the tables again from the ledger that it wrote."
ClaimKey = tuple[str, str, str]
"""Checkpoint, metric, and the date of a claim that its authors revised."""


def background(
    checkpoints: Sequence[Checkpoint],
    measurements: Iterable[Measurement],
    tolerance: Tolerance | None = None,
    *,
    scenes: Sequence[Scene] = (),
    note: str = NOTE,
    with_places: bool = True,
) -> Background:
    """Bands, environments, places and per-class figures of these rows and what was measured of them.

    `note` says how the document was made, and stands below its title. JUnit's form alone names places; they are found by reading the manifest's files
    again, a second for the packaged ones where no copy is kept.
    """
    measurements = list(measurements)
    judged = [
        (row.publisher, claim.metric, row.publisher_data.tolerance)
        for row in checkpoints
        for claim in row.published
    ]
    return Background(
        title=TITLE,
        note=note,
        bands=tuple(bands(judged, tolerance)),
        own_limit=f"{tolerance.limit_text(tolerance.reproduced)} points as set with --tolerance"
        if tolerance
        else "",
        environments=tuple(environment_lines(measurements)),
        places=places(checkpoints) if with_places else {},
        limits=_limits(checkpoints, tolerance),
        origins=_origins(checkpoints, measurements),
        classes=tuple(_class_figures(checkpoints, measurements)),
        scenes=tuple(scenes),
    )


def environment_lines(measurements: Iterable[Measurement]) -> list[str]:
    """One line for every different environment: which figures it gave when, and with what."""
    grouped: dict[str, list[Measurement]] = {}
    for record in measurements:
        grouped.setdefault(_environment_text(record), []).append(record)
    return [f"{_counts(records)}, {_span(records)}: {text}" for text, records in grouped.items()]


def _counts(records: Sequence[Measurement]) -> str:
    counts = Counter((METRICS[record.metric].title, record.protocol) for record in records)
    return ", ".join(f"{number} x {title} by {protocol}" for (title, protocol), number in counts.items())


def _span(records: Sequence[Measurement]) -> str:
    days = sorted(record.taken_at[:10] for record in records)
    return days[0] if days[0] == days[-1] else f"{days[0]} to {days[-1]}"


def _environment_text(record: Measurement) -> str:
    facts: dict[str, Any] = record.environment
    packages = [f"{name} {version}" for name, version in facts.get("packages", {}).items() if version]
    parts = [
        f"{facts.get('device', 'unknown device')}, {record.precision}",
        facts.get("platform"),
        f"Python {facts['python']}" if "python" in facts else None,
        *packages,
        f"CUDA {facts['cuda']}" if facts.get("cuda") else None,
        f"cuDNN {facts['cudnn']}" if facts.get("cudnn") else None,
        _code_text(facts),
    ]
    return ", ".join(part for part in parts if part)


def _code_text(environment: Mapping[str, Any]) -> str:
    """Which network that is not ours gave the number, and which code of it; empty for ours."""
    builder, export = environment.get("builder"), environment.get("export")
    if builder:
        return f"builder {builder['builder']} of {builder['origin']} (sha256 {builder['sha256'][:8]})"
    return f"{export['file']} by {export['runtime']}" if export else ""


def places(checkpoints: Sequence[Checkpoint]) -> dict[ClaimKey, Place]:
    """Where each claim stands in its manifest."""
    rows = [(row, row.manifest) for row in checkpoints if row.manifest is not None]
    files = {path: find_places(path).checkpoints for path in {path for _, path in rows}}
    return {
        (row.id, claim.metric, claim.date or ""): Place(file=shown_path(place.file), line=place.line)
        for row, path in rows
        if row.id in files[path]
        for claim, place in zip(row.claims, files[path][row.id].claims, strict=False)
    }


PROJECT_FOLDERS = ("GITHUB_WORKSPACE", "CI_PROJECT_DIR", "WORKSPACE", "BUILDKITE_BUILD_CHECKOUT_PATH")
"""Variables by which GitHub, GitLab, Jenkins and Buildkite name the folder that they show files of."""


def shown_path(path: Path) -> str:
    """Relative to the project's folder, else to the working folder; whole where it lies in neither.

    A bare name would lead to another file of that name wherever the project has one.
    """
    path = path.resolve()
    named = [os.environ[name] for name in PROJECT_FOLDERS if os.environ.get(name)]
    for root in [Path(folder).resolve() for folder in [*named, Path.cwd()]]:
        if path.is_relative_to(root):
            return path.relative_to(root).as_posix()
    return path.as_posix()


def _limits(checkpoints: Iterable[Checkpoint], tolerance: Tolerance | None) -> dict[ClaimKey, Any]:
    limits: dict[ClaimKey, tuple[float, float]] = {}
    for row in checkpoints:
        for claim in row.published:
            assert claim.printed is not None
            reproduced, drift = tolerance_of(claim.metric, tolerance, row.publisher_data.tolerance).band(
                claim.printed
            )
            limits[row.id, claim.metric, claim.date or ""] = float(reproduced), float(drift)
    return limits


def _origins(
    checkpoints: Iterable[Checkpoint], measurements: Iterable[Measurement]
) -> dict[ClaimKey, Origin]:
    answers = {(record.checkpoint, record.metric): record for record in measurements}
    return {
        (row.id, claim.metric, claim.date or ""): Origin(
            protocol=record.protocol,
            device=str(record.environment.get("device", "")),
            precision=record.precision,
            taken_at=record.taken_at,
            environment=_environment_text(record),
        )
        for row in checkpoints
        for claim in row.claims
        if (record := answers.get((row.id, claim.metric))) is not None
    }


def _class_figures(
    checkpoints: Iterable[Checkpoint], measurements: Iterable[Measurement]
) -> list[ClassFigures]:
    titles = {row.id: row.dataset_spec.title for row in checkpoints}
    return [
        ClassFigures(
            checkpoint=record.checkpoint,
            dataset=titles[record.checkpoint],
            iou_percent=record.details["iou_percent"],
        )
        for record in measurements
        if record.metric == "miou" and "iou_percent" in record.details
    ]
