"""What an audit finds: one record a fault, each kind with its gravity and what it means for a reader."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal, get_args

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Gravity = Literal["error", "warning", "note"]
Kind = Literal[
    "check-failed",
    "numbers-differ",
    "unlisted-figure",
    "unit-mixup",
    "unreadable-cell",
    "impossible-figure",
    "point-moved",
    "impossible-date",
    "revised-to-itself",
    "architecture-differs",
    "protocol-differs",
    "cited-twice",
    "row-differs",
    "duplicate-row",
    "name-twice",
    "dead-config",
    "config-differs",
    "collection-differs",
    "unknown-row",
    "missing-row",
    "link-differs",
    "mistyped-host",
    "log-path",
    "weights-name",
    "shared-file",
    "ms-flip-below-single",
    "log-accuracy",
    "log-training",
    "copied-accuracy",
    "equal-accuracy",
    "mixed-devices",
    "revised-claim",
    "file-replaced",
    "relabelled-column",
    "resolution-is-crop",
    "fps-step",
    "memory-step",
    "mixed-unit",
    "larger-model-worse",
    "longer-schedule-worse",
    "no-hash",
    "log-earlier",
    "log-unreadable",
    "log-memory",
    "lost-decimals",
    "copied-cells",
    "blank-cells",
    "not-published",
    "dropped-field",
    "unstated-condition",
    "renamed-field",
    "headings-lost",
    "row-order",
    "old-and-new-names",
]

MEANINGS: dict[Kind, tuple[Gravity, str]] = {
    "check-failed": (
        "error",
        "This audit is not whole: what the check would have found is not told. Please report it with the file.",
    ),
    "numbers-differ": (
        "error",
        "Two documents of one publisher contradict each other; one of them is wrong.",
    ),
    "unlisted-figure": (
        "error",
        "A document prints a figure that the manifest does not have; it is not judged.",
    ),
    "unit-mixup": (
        "error",
        "The figure stands in another unit than its column, so comparing it is off by that factor.",
    ),
    "unreadable-cell": (
        "error",
        "Neither people nor programs can tell what stands there; the cell is judged by nothing.",
    ),
    "impossible-figure": ("error", "No measurement can give this figure."),
    "point-moved": ("error", "The figure is ten or a hundred times off; every comparison with it is."),
    "impossible-date": ("error", "The history of the figure cannot have been like this."),
    "revised-to-itself": ("error", "A figure replaces an equal one: one of the two is mistyped."),
    "architecture-differs": (
        "error",
        "Another network is built than the row names: its weights will not fit, or its figures are another's.",
    ),
    "protocol-differs": ("error", "The figure would be held against a measurement of something else."),
    "cited-twice": ("error", "One of the rows cites another row's place: its figures may be that row's."),
    "row-differs": (
        "error",
        "The document describes another network, training or machine than the row that is judged.",
    ),
    "duplicate-row": (
        "error",
        "A row stands twice: one of them is a copy, or another row's with a wrong cell.",
    ),
    "name-twice": (
        "error",
        "Who asks for a model by this name gets one of them, and cannot ask for the others.",
    ),
    "dead-config": ("error", "The link is dead: nobody can train or build the row's network from it."),
    "config-differs": (
        "error",
        "Who trains by the configuration gets another network than the row's, whose figures it will not reach.",
    ),
    "collection-differs": (
        "warning",
        "Who looks for models by data set finds none where there are some, or is sent where there are none.",
    ),
    "unknown-row": ("error", "A document has a row that the manifest does not; nothing of it is judged."),
    "missing-row": ("warning", "The manifest has a row that the document no longer, or not yet, has."),
    "link-differs": ("error", "The document links another file than the manifest fetches."),
    "mistyped-host": (
        "error",
        "The address is of a host that is nearly the publisher's: the link is dead, or leads to a stranger.",
    ),
    "log-path": (
        "error",
        "The log is not that of its weights: the link is dead, or the log is another run's.",
    ),
    "weights-name": ("error", "The file's name is another row's: the link may lead to another model."),
    "shared-file": ("error", "Two rows link one file: at most one of their figures can be that file's."),
    "ms-flip-below-single": (
        "error",
        "Averaging views cost accuracy: the columns may be swapped, or the cell mistyped.",
    ),
    "log-accuracy": (
        "error",
        "The training never saw the printed figure: the log, the weights or the figure is another run's.",
    ),
    "log-training": (
        "error",
        "The log is not of the training that the row describes, or not the whole of it.",
    ),
    "copied-accuracy": ("error", "Two trainings do not agree in every digit: one row was copied."),
    "equal-accuracy": (
        "warning",
        "Two measurements rarely agree to the last digit: a cell may have been copied.",
    ),
    "mixed-devices": (
        "warning",
        "Speeds of several devices stand in one column: do not compare these rows.",
    ),
    "revised-claim": (
        "warning",
        "The authors changed the figure while the checkpoint stayed: a reader of the old table compares with another protocol or version.",
    ),
    "file-replaced": (
        "warning",
        "The row's file was replaced: who fetched the earlier one has another network than the table's, which may do worse.",
    ),
    "relabelled-column": (
        "warning",
        "The heading promises another test protocol than the figure was measured by.",
    ),
    "resolution-is-crop": (
        "warning",
        "The size given for the timing is the training crop; the images timed have another size.",
    ),
    "fps-step": (
        "warning",
        "The fps column mixes machine states: do not read speed differences between these rows.",
    ),
    "memory-step": ("warning", "One of the two memory figures is not what such a training step needs."),
    "mixed-unit": ("warning", "The column's heading names another unit than its figures have."),
    "larger-model-worse": (
        "warning",
        "More parameters gave less accuracy: a weak training run, or swapped rows.",
    ),
    "longer-schedule-worse": (
        "warning",
        "Training longer gave less accuracy: the rows' difference is training noise, not progress.",
    ),
    "no-hash": (
        "warning",
        "A fetched file cannot be checked, nor can anyone tell whether it was replaced since.",
    ),
    "log-earlier": (
        "warning",
        "The table prints an earlier evaluation than the last: the file is that state, or the figure is not the file's.",
    ),
    "log-unreadable": ("warning", "The log cannot confirm its row's figures; fetch it again."),
    "log-memory": (
        "note",
        "The training ran with cudnn.benchmark, whose workspaces count; the printed figure is of a run without.",
    ),
    "lost-decimals": (
        "note",
        "Fewer digits are printed here than elsewhere: the figure promises less than its neighbours.",
    ),
    "copied-cells": (
        "note",
        "Speed and memory were measured once and copied: these cells are one fact, not several.",
    ),
    "blank-cells": ("note", "The document states nothing there; it can neither confirm nor contradict."),
    "not-published": ("note", "There is nothing to reproduce: the authors print no such figure."),
    "dropped-field": ("note", "A program that reads this document cannot know what the others tell."),
    "unstated-condition": ("note", "Nobody can repeat the figures from this document alone."),
    "renamed-field": (
        "note",
        "A program that reads one version of the document does not understand the other.",
    ),
    "headings-lost": ("note", "Rows can be told apart only by backbone, crop and schedule."),
    "row-order": ("note", "Rows have to be matched by what they are, not by their place."),
    "old-and-new-names": ("note", "One checkpoint goes by several names; search for each of them."),
}
"""Kind -> how grave, and what it means for a reader of the table; from grave to harmless."""


class Place(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """A line of a file."""

    file: str
    line: int
    """Counted from 1."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class AuditFinding(msgspec.Struct, frozen=True, kw_only=True):
    """One fault or one thing a reader must know."""

    kind: Kind
    subject: str
    """The checkpoint, rows or document it is about."""
    what: str
    """The fact, with its figures."""
    where: tuple[Place, ...]

    @property
    def gravity(self) -> Gravity:
        """How grave findings of this kind are."""
        return MEANINGS[self.kind][0]

    @property
    def meaning(self) -> str:
        """What findings of this kind mean for a reader of the table."""
        return MEANINGS[self.kind][1]


def ordered(findings: Sequence[AuditFinding]) -> list[AuditFinding]:
    """From grave to harmless, within a kind as they stand in the files."""
    kinds = list(MEANINGS)
    return sorted(findings, key=lambda one: (kinds.index(one.kind), one.where[:1], one.subject, one.what))


def any_as_grave(findings: Sequence[AuditFinding], gravity: Gravity) -> bool:
    """True where a finding is of this gravity or of a graver one."""
    grave = get_args(Gravity)[: get_args(Gravity).index(gravity) + 1]
    return any(one.gravity in grave for one in findings)


def count_text(findings: Sequence[AuditFinding]) -> str:
    """`3 findings: 1 error, 0 warnings, 2 notes`."""
    words = [
        number_of(sum(one.gravity == gravity for one in findings), gravity) for gravity in get_args(Gravity)
    ]
    return f"{number_of(len(findings), 'finding')}: {', '.join(words)}"


def number_of(count: int, word: str) -> str:
    """`1 row`, `2 rows`."""
    return f"{count} {word}{'' if count == 1 else 's'}"


def as_text(findings: Sequence[AuditFinding], scope: str = "", most: int | None = None) -> str:
    """For a terminal: a block a kind, of the findings of each at most so many, then what was compared."""
    lines: list[str] = []
    for kind in dict.fromkeys(one.kind for one in findings):
        alike = [one for one in findings if one.kind == kind]
        lines += ["", f"{alike[0].gravity}: {kind}", f"  {alike[0].meaning}"]
        for one in alike[:most]:
            lines += [f"  - {one.subject}: {one.what}", f"    {_places(one)}"]
        if most is not None and len(alike) > most:
            lines += [
                f"  ... and {number_of(len(alike) - most, 'finding')} more of this kind (--all shows them)"
            ]
    return "\n".join([*lines, "", *([scope] if scope else []), count_text(findings)]).lstrip("\n")


def as_records(findings: Sequence[AuditFinding]) -> list[dict[str, Any]]:
    """For programs: every field, gravity and meaning included."""
    return [
        {"kind": one.kind, "gravity": one.gravity, "subject": one.subject, "what": one.what}
        | {"meaning": one.meaning, "where": msgspec.to_builtins(one.where)}
        for one in findings
    ]


def _places(one: AuditFinding, limit: int = 4) -> str:
    shown = ", ".join(map(str, one.where[:limit]))
    return f"{shown} and {len(one.where) - limit} more" if len(one.where) > limit else shown


def shown(path: Path) -> str:
    """A path as a user would type it: from the current folder, or from the root where that is shorter."""
    return min(os.path.relpath(path), str(path.absolute()), key=len)
