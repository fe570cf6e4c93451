"""A verification inside continuous integration: against a stored state, told where a reviewer looks.

On GitHub Actions every fault becomes an annotation on its claim's line of the manifest, and the tables go into the
job's summary. Both are plain text that the runner reads, so nothing here needs a network or a token.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ...reports.background import ClaimChange, Place
from ...reports.formats import FORMATS
from ...reports.media import annotation, markdown_line, unfiltered
from ...reports.table import Footnotes, figure
from ...reports.verdict import Status, Verdict
from ..console.exit_codes import ExitCode
from ..manifest import Manifest
from ..manifest.places import find_places
from ..results import baseline
from ..results.answers import report_row
from ..results.background import background, places, shown_path
from ..results.baseline import (
    Change,
    Difference,
    State,
    StoredClaim,
    Update,
    claim_name,
    compare,
    differences_text,
    stored_claim,
    updated,
)
from ..verify import Options, Outcome, verify
from ..verify import exit_code as outcomes_exit_code

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Sequence

    from ...reports.background import Background


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One verification that is done."""

    outcomes: tuple[Outcome, ...]
    manifest: Manifest
    chosen: frozenset[str]
    """Ids of the rows that were asked for; one without outcomes has no claim left."""
    everything: bool
    """True where no rows were chosen: then a row that the stored state has and the manifest has not is gone."""
    metrics: tuple[str, ...]
    """The claims judged; empty for all."""
    options: Options
    stored: State | None = None
    """What to compare with; None lets the verdicts decide."""


def differences_of(run: Run) -> list[Difference] | None:
    """What became of every claim; a speed that looks worse is measured once more before it counts.

    None where there is no stored state.
    """
    if run.stored is None:
        return None
    now = [stored_claim(outcome.verdict, outcome.measurement) for outcome in run.outcomes]
    reasons = {claim.key: outcome.verdict.reason for claim, outcome in zip(now, run.outcomes, strict=True)}
    return compare(
        run.stored,
        now,
        reasons,
        is_asked=lambda claim: _is_asked(run, claim),
        confirm=lambda rows: _again(run, rows),
    )


def updated_state(run: Run, earlier: State | None) -> Update:
    """What `--save-baseline` writes: this run over what was stored."""
    now = [stored_claim(outcome.verdict, outcome.measurement) for outcome in run.outcomes]
    return updated(earlier, now, run.manifest, is_asked=lambda claim: _is_asked(run, claim))


def _is_asked(run: Run, claim: StoredClaim) -> bool:
    """Whether a stored claim would have been judged today, if it were still there."""
    if run.metrics and claim.metric not in run.metrics:
        return False
    return claim.checkpoint in run.chosen or (run.everything and claim.checkpoint not in run.manifest)


def _again(run: Run, rows: Sequence[str]) -> dict[str, float]:
    """Speeds of these rows, measured a second time."""
    chosen = {outcome.checkpoint.id: outcome.checkpoint for outcome in run.outcomes}
    options = msgspec.structs.replace(run.options, metrics=(baseline.SPEED,))
    outcomes = verify([chosen[row] for row in rows], options)
    return {o.checkpoint.id: o.verdict.measured for o in outcomes if o.verdict.measured is not None}


def exit_code(run: Run, differences: Sequence[Difference] | None) -> ExitCode:
    """Of the verdicts; with a stored state only changes count, and files that are not what they claim to be."""
    code = outcomes_exit_code(run.outcomes)
    if differences is None or code is ExitCode.INTEGRITY:
        return code
    return baseline.exit_code(differences)


# --- where a reviewer looks -----------------------------------------------------------------------------


def announce(run: Run, differences: Sequence[Difference] | None) -> None:
    """Annotations and the job's summary, where the environment asks for them.

    Annotations go to stderr, which the runner reads as well, so that stdout stays the tables'.
    """
    if os.environ.get("GITHUB_ACTIONS") == "true":
        for line in annotation_lines(run, differences):
            print(line, file=unfiltered(sys.stderr))
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        _append(Path(summary), summary_markdown(run, differences))


def _append(path: Path, text: str) -> None:
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        print(f"zoo: warning: {path}: cannot write the summary: {error.strerror or error}", file=sys.stderr)


def annotation_lines(run: Run, differences: Sequence[Difference] | None) -> list[str]:
    """`::error file=zoo.yaml,line=12,title=...::...` for every change that counts, or every refuted claim.

    A row that is gone is one annotation, whatever it claimed: GitHub folds those of one line together.
    """
    known = places(list({o.checkpoint.id: o.checkpoint for o in run.outcomes}.values()))
    if differences is None:
        refuted = [o.verdict for o in run.outcomes if o.verdict.status is Status.REFUTED]
        return [
            _annotation(run, _key(v), known.get(_key(v)), v.status.value, _refutation(v)) for v in refuted
        ]
    counting = _counting(differences)
    gone: dict[str, list[Difference]] = {}
    for one in counting:
        if one.checkpoint not in run.manifest:
            gone.setdefault(one.checkpoint, []).append(one)
    there = [one for one in counting if one.checkpoint not in gone]
    claims = [_annotation(run, one.key, known.get(one.key), one.change.value, one.text()) for one in there]
    return claims + [_row_annotation(run, claims) for claims in gone.values()]


def _row_annotation(run: Run, claims: Sequence[Difference]) -> str:
    """A row that is gone, with what it claimed."""
    row, place = claims[0].checkpoint, _place_of_gone(run, claims[0].key)
    names = ", ".join(claim_name(*one.key).removeprefix(f"{row} ") for one in claims)
    text = f"{row}: gone with {len(claims)} claim{'s' * (len(claims) != 1)} ({names}): the manifest no longer has this row"
    return _error(place, f"{row} {Change.GONE.value}", text)


def _refutation(verdict: Verdict) -> str:
    return f"{verdict.checkpoint} {figure(verdict, Footnotes()).partition(' [')[0]}: {verdict.reason}"


def with_changes(about: Background, run: Run, differences: Sequence[Difference] | None) -> Background:
    """The background with the changes in it, and where the claims stand that are gone."""
    if differences is None:
        return about
    broken = {_key(o.verdict): o.verdict.reason for o in run.outcomes if o.exit_code is ExitCode.INTEGRITY}
    lost = {one.key: _place_of_gone(run, one.key) for one in differences if one.key not in about.places}
    changes = tuple(_claim_change(one, broken.get(one.key, "")) for one in differences)
    return msgspec.structs.replace(about, changes=changes, places={**lost, **about.places})


def _claim_change(difference: Difference, broken: str) -> ClaimChange:
    """`broken`: how a file behind the claim is not what it claims to be; empty where all are."""
    is_error = bool(broken) or difference.change is Change.LOST
    return ClaimChange(
        checkpoint=difference.checkpoint,
        metric=difference.metric,
        date=difference.date,
        word=Status.NOT_MEASURED.value if broken else difference.change.value,
        text=f"{claim_name(*difference.key)}: {broken}" if broken else difference.text(),
        outcome="error" if is_error else "failure" if difference.exit_code else "passed",
    )


def _counting(differences: Iterable[Difference]) -> list[Difference]:
    return [one for one in differences if one.exit_code]


def _key(verdict: Verdict) -> baseline.Key:
    return verdict.checkpoint, verdict.metric, verdict.date


def _annotation(run: Run, key: baseline.Key, place: Place | None, title: str, text: str) -> str:
    return _error(place or _place_of_gone(run, key), f"{key[0]} {key[1]} {title}", text)


def _error(place: Place, title: str, text: str) -> str:
    return annotation(place.file, place.line, title, text)


def _place_of_gone(run: Run, key: baseline.Key) -> Place:
    """A claim that is gone is told at its row; a row that is gone where it stood, at the next row or else the last."""
    present = find_places(run.manifest.path).checkpoints
    nearest = key[0] if key[0] in present else _neighbour(run.stored, key[0], present)
    if not nearest:
        return Place(file=shown_path(run.manifest.path), line=1)
    entry = present[nearest].entry
    return Place(file=shown_path(entry.file), line=entry.line)


def _neighbour(stored: State | None, row: str, present: Container[str]) -> str:
    """The row that came after this one in the stored state and is still there, else the one before; else nothing."""
    rows = list(dict.fromkeys(claim.checkpoint for claim in stored.claims)) if stored else []
    place = rows.index(row) if row in rows else len(rows)
    candidates = [*rows[place:], *reversed(rows[:place])]
    return next((name for name in candidates if name in present), "")


def summary_markdown(run: Run, differences: Sequence[Difference] | None) -> str:
    """The changes and the tables, for the page of a job."""
    rows = {outcome.checkpoint.id: outcome.checkpoint for outcome in run.outcomes}
    measured = {id(o.measurement): o.measurement for o in run.outcomes if o.measurement is not None}
    about = background(list(rows.values()), measured.values(), run.options.tolerance, with_places=False)
    verdicts = [
        report_row(row, [o.verdict for o in run.outcomes if o.checkpoint.id == name])
        for name, row in rows.items()
    ]
    told = "\n".join(f"- {markdown_line(line)}" for line in differences_text(differences or []).splitlines())
    changes = f"### Changes\n\n{told}\n\n" if differences is not None else ""
    return changes + FORMATS["md"](verdicts, msgspec.structs.replace(about, title=""))
