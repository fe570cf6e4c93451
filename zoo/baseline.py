"""What changed since a stored state: new, gone, better, worse, unchanged, lost; one answer a claim.

A state is a ledger, or what `zoo verify --save-baseline` wrote. Accuracy and memory are exact: the same weights,
protocol and images give the same counts, so any change beyond rounding is somebody's doing. Speed is noisy and
belongs to a device, so its column is compared by shape, and what looks worse is measured again before it counts.
"""

from __future__ import annotations

import enum
import hashlib
import json
from collections import Counter
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from ..reports import ledger
from ..reports.metrics import METRICS
from ..reports.speed_shape import ALLOWED_RATIO, fit_shape
from ..reports.verdict import Status
from .measurement import Measurement
from .tables import Answers, judge_ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from ..reports.verdict import Verdict
    from .manifest import Manifest

VERSION = 1
EXACT = 1e-6
"""Largest difference, in the metric's unit, of figures that are the same."""
SPEED = "fps"
GONE_CODE = 6
"""Exit code where a claim that the stored state knows is no longer in the manifest."""
Confirm: TypeAlias = "Callable[[Sequence[str]], Mapping[str, float]]"
"""Measures the speed of these checkpoints once more: id -> images a second."""
Key: TypeAlias = tuple[str, str, str]
"""Checkpoint, metric and the claim's date."""


class BaselineError(Exception):
    """The stored state cannot be read or written."""


class Change(enum.Enum):
    """What became of a claim since the stored state."""

    NEW = "new"
    GONE = "gone"
    BETTER = "better"
    WORSE = "worse"
    UNCHANGED = "unchanged"
    LOST = "could not measure"
    """Measured then, or asked for the first time, and there is no figure now."""


class StoredClaim(msgspec.Struct, frozen=True, kw_only=True):
    """One claim as it stood."""

    checkpoint: str
    metric: str
    date: str = ""
    """Of the claim, where its authors printed several over time."""
    published: str | None = None
    measured: float | None = None
    """In the metric's unit, unrounded; None where it could not be measured."""
    status: str = ""
    digest: str = ""
    """Of the measurement: its figure and all that it rests on."""

    @property
    def key(self) -> Key:
        """What makes a claim the same one."""
        return self.checkpoint, self.metric, self.date


class State(msgspec.Struct, frozen=True, kw_only=True):
    """Every claim at one time; the file of `--save-baseline`."""

    version: int = VERSION
    claims: tuple[StoredClaim, ...]


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one claim."""

    change: Change
    checkpoint: str
    metric: str
    date: str
    before: float | None
    after: float | None
    reason: str = ""

    @property
    def key(self) -> Key:
        """The claim's."""
        return self.checkpoint, self.metric, self.date

    @property
    def exit_code(self) -> int:
        """What this difference alone ends the command with."""
        return {Change.WORSE: 1, Change.LOST: 3, Change.GONE: GONE_CODE}.get(self.change, 0)

    def text(self) -> str:
        """`ID mIoU: worse, 76.63 → 76.43 (-0.20)`, with the reason."""
        date = f" ({self.date})" if self.date else ""
        figures = [_figure(self.before, self.metric), _figure(self.after, self.metric)]
        moved = f", {' → '.join(figures)}" if self.before is not None or self.after is not None else ""
        if self.before is not None and self.after is not None:
            moved += f" ({self.after - self.before:+.{METRICS[self.metric].decimals}f})"
        because = f": {' '.join(self.reason.split())}" if self.reason else ""
        return f"{self.checkpoint} {METRICS[self.metric].title}{date}: {self.change.value}{moved}{because}"


def _figure(value: float | None, metric: str) -> str:
    return "–" if value is None else f"{value:.{METRICS[metric].decimals}f}"


# --- states -------------------------------------------------------------------------------------------


def stored_claim(verdict: Verdict, measurement: Measurement | None) -> StoredClaim:
    """A claim as it stands now."""
    return StoredClaim(
        checkpoint=verdict.checkpoint,
        metric=verdict.metric,
        date=verdict.date,
        published=verdict.published,
        measured=verdict.measured,
        status=verdict.status.value,
        digest=measurement_digest(measurement) if measurement else "",
    )


def measurement_digest(record: Measurement) -> str:
    """SHA-256 (hex) over a figure and all that it rests on; not over when and how fast it was taken."""
    rests = (
        record.value, record.protocol_digest, record.weights_sha256, record.dataset, record.dataset_fingerprint,
        record.dataset_ids_sha256, record.precision,
    )  # fmt: skip
    return hashlib.sha256(json.dumps(rests).encode()).hexdigest()


def write_state(path: Path, claims: Iterable[StoredClaim]) -> None:
    """Write the file of `--save-baseline`, claims in the manifest's order.

    Raises:
        BaselineError: it cannot be written.
    """
    text = msgspec.json.format(msgspec.json.encode(State(claims=tuple(claims))), indent=1)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text + b"\n")
    except OSError as error:
        raise BaselineError(f"{path}: cannot write the state: {error.strerror or error}") from error


def read_state(path: Path, manifest: Manifest) -> State:
    """A stored state, or the one that a ledger amounts to.

    Raises:
        BaselineError: the file cannot be read, or is neither.
    """
    try:
        first = path.read_bytes().lstrip()[:12]
        if first.startswith((b'{\n "version"', b'{"version"')):
            return _checked(msgspec.json.decode(path.read_bytes(), type=State), path)
        return _state_of(ledger.read(path, Measurement), manifest)
    except OSError as error:
        raise BaselineError(f"{path}: cannot read the stored state: {error.strerror or error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BaselineError(f"{path}: not a state that zoo verify --save-baseline wrote: {error}") from error
    except ledger.LedgerError as error:
        raise BaselineError(str(error)) from error


def _checked(state: State, path: Path) -> State:
    if state.version != VERSION:
        raise BaselineError(
            f"{path}: state version {state.version}, this segbench reads {VERSION}; write it again with --save-baseline"
        )
    return state


def _state_of(measurements: list[Measurement], manifest: Manifest) -> State:
    """The claims that a ledger answers, and what it measured of rows and metrics that are no longer claimed."""
    answers = Answers(measurements)
    known = [
        stored_claim(verdict, answers.to(row, claim))
        for row, verdicts in judge_ledger(manifest, answers)
        for claim, verdict in zip(row.claims, verdicts, strict=True)
    ]
    claimed = {(claim.checkpoint, claim.metric) for claim in known}
    newest = {(r.checkpoint, r.metric): r for r in measurements if (r.checkpoint, r.metric) not in claimed}
    gone = [
        StoredClaim(checkpoint=r.checkpoint, metric=r.metric, measured=r.value, digest=measurement_digest(r))
        for r in newest.values()
        if r.metric in METRICS
    ]
    return State(claims=(*known, *gone))


# --- differences --------------------------------------------------------------------------------------


def compare(
    before: State,
    now: Sequence[StoredClaim],
    reasons: Mapping[Key, str] | None = None,
    *,
    is_asked: Callable[[StoredClaim], bool] = lambda _: True,
    confirm: Confirm | None = None,
) -> list[Difference]:
    """One difference a claim, those of today first, in their order; then what is gone.

    Args:
        before: the stored state.
        now: every claim that was judged.
        reasons: why a claim could not be measured.
        is_asked: whether a stored claim that is not judged today should have been: False for rows not chosen.
        confirm: a `Confirm`; None lets the first measurement stand.
    """
    stored = {claim.key: claim for claim in before.claims}
    speeds = _speed_changes(stored, now, confirm)
    judged = [
        speeds.get(claim.key) or _difference(stored.get(claim.key), claim, (reasons or {}).get(claim.key, ""))
        for claim in now
    ]
    present = {claim.key for claim in now}
    gone = [
        _record(Change.GONE, claim, claim.measured, None, "the manifest no longer has this claim")
        for claim in before.claims
        if claim.key not in present and is_asked(claim)
    ]
    return judged + gone


def _difference(before: StoredClaim | None, now: StoredClaim, reason: str) -> Difference:
    if before is not None and before.published is not None and now.published is None:
        return _record(
            Change.GONE, now, before.measured, now.measured, "the manifest no longer has its figure"
        )
    if now.measured is None:
        return _without_figure(before, now, reason)
    if before is None or before.measured is None:
        return _record(Change.NEW, now, None, now.measured)
    if before.digest == now.digest or abs(now.measured - before.measured) <= EXACT:
        return _record(Change.UNCHANGED, now, before.measured, now.measured)
    return _record(_direction(before, now), now, before.measured, now.measured)


def _without_figure(before: StoredClaim | None, now: StoredClaim, reason: str) -> Difference:
    had = before is not None and before.measured is not None
    if had or (before is None and now.published is not None):
        return _record(Change.LOST, now, before.measured if before else None, None, reason)
    return _record(Change.UNCHANGED, now, None, None)


def _direction(before: StoredClaim, now: StoredClaim) -> Change:
    """Higher accuracy is better; of memory, what is foretold should stay near what is printed."""
    assert before.measured is not None
    assert now.measured is not None
    if now.metric == "train_memory" and now.published is not None:
        printed = float(now.published)
        rises = abs(now.measured - printed) < abs(before.measured - printed)
    else:
        rises = (now.measured > before.measured) == METRICS[now.metric].higher_is_better
    return Change.BETTER if rises else Change.WORSE


def _record(
    change: Change, claim: StoredClaim, before: float | None, after: float | None, reason: str = ""
) -> Difference:
    return Difference(
        change=change,
        checkpoint=claim.checkpoint,
        metric=claim.metric,
        date=claim.date,
        before=before,
        after=after,
        reason=reason,
    )


# --- speed --------------------------------------------------------------------------------------------


def _speed_changes(
    stored: Mapping[Key, StoredClaim], now: Sequence[StoredClaim], confirm: Confirm | None
) -> dict[Key, Difference]:
    """Speeds measured both times: rows that the device's common factor does not carry over, twice."""
    both = {
        claim.checkpoint: claim for claim in now
        if claim.metric == SPEED and claim.measured and stored.get(claim.key, claim).measured and claim.key in stored
    }  # fmt: skip
    old = {row: stored[claim.key].measured or 0.0 for row, claim in both.items()}
    first = {row: claim.measured or 0.0 for row, claim in both.items()}
    ratios = _ratios(old, first)
    slow = [row for row, ratio in ratios.items() if ratio < 1 / ALLOWED_RATIO]
    again = {**first, **(confirm(slow) if confirm and slow else {})}
    second = _ratios(old, again)
    return {
        claim.key: _speed(claim, old[row], again[row], (ratios[row], second[row]), twice=confirm is not None)
        for row, claim in both.items()
    }


def _ratios(old: Mapping[str, float], new: Mapping[str, float]) -> Mapping[str, float]:
    """Row -> its own factor over the common one; over none where there are too few rows to tell it."""
    shape = fit_shape(old, new)
    if shape is None:
        return {row: new[row] / old[row] for row in old}
    return {row: ratio if row in shape.inconsistent else 1.0 for row, ratio in shape.ratio.items()}


def _speed(
    claim: StoredClaim, before: float, after: float, ratios: tuple[float, float], *, twice: bool
) -> Difference:
    if max(ratios) < 1 / ALLOWED_RATIO:
        times = "twice" if twice else "once"
        reason = f"{ratios[1]:.2f} of the speed that the other rows foretell, measured {times}"
        return _record(Change.WORSE, claim, before, after, reason)
    change = Change.BETTER if min(ratios) > ALLOWED_RATIO else Change.UNCHANGED
    return _record(change, claim, before, after)


# --- what is told -------------------------------------------------------------------------------------


def exit_code(differences: Iterable[Difference], *, new_refuted: bool = False) -> int:
    """1 where a claim is worse or a new one refuted, else 6 where one is gone, else 3 where one is lost, else 0."""
    codes = {difference.exit_code for difference in differences}
    return 1 if new_refuted else next((code for code in (1, GONE_CODE, 3) if code in codes), 0)


def is_new_and_refuted(differences: Iterable[Difference], verdicts: Iterable[Verdict]) -> bool:
    """True where a claim that the stored state does not know is refuted."""
    new = {difference.key for difference in differences if difference.change is Change.NEW}
    return any(v.status is Status.REFUTED and (v.checkpoint, v.metric, v.date) in new for v in verdicts)


def differences_text(differences: Sequence[Difference]) -> str:
    """Every change in a line, and how many there are of each kind."""
    counts = Counter(difference.change for difference in differences)
    told = ", ".join(f"{counts[change]} {change.value}" for change in Change if counts[change])
    changed = [one.text() for one in differences if one.change is not Change.UNCHANGED]
    return "\n".join([*changed, f"against the stored state: {told or 'nothing to compare'}"])
