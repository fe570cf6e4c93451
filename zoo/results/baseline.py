"""What changed since a stored state: new, gone, better, worse, restated, unchanged, lost; one answer a claim.

A state is a ledger, or what `zoo verify --save-baseline` wrote. Accuracy and memory are exact: the same weights,
protocol and images give the same counts, so any change beyond rounding is somebody's doing. Speed is noisy and
belongs to a device, so its column is compared by shape, and what looks worse is measured again before it counts.
"""

from __future__ import annotations

import enum
import hashlib
import json
import re
from collections import Counter
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from ...evaluate.regular_files import read_document
from ...reports import ledger
from ...reports.metrics import METRICS
from ...reports.speed_shape import ALLOWED_RATIO, fit_shape
from ...reports.verdict import Status
from ..console.exit_codes import ExitCode, gravest
from ..files.writing import write_whole
from ..measuring.measurement import Measurement
from .answers import Answers, judge_ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from ...reports.verdict import Verdict
    from ..manifest import Manifest

VERSION = 1
EXACT = 1e-6
"""Largest difference, in the metric's unit, of figures that are the same."""
SPEED = "fps"
Confirm: TypeAlias = "Callable[[Sequence[str]], Mapping[str, float]]"
"""Measures the speed of these checkpoints once more: id -> images a second."""
ANEW = "restore it, or delete it and write it again with zoo verify --save-baseline"
"""What to do about a file that cannot be used."""
_STATE_BEGINS = re.compile(rb'\s*\{(\s*\n|\s*\Z|\s*"(version|zoo|claims)")')
"""How a state begins, even a torn one; a line of a ledger has its first field beside the brace."""
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
    RESTATED = "restated"
    """The printed figure is another one, our own is what it was."""
    UNCHANGED = "unchanged"
    LOST = "could not measure"
    """Measured then, or asked for the first time, and there is no figure now."""


_CODES = {Change.WORSE: ExitCode.REFUTED, Change.LOST: ExitCode.CANNOT_MEASURE, Change.GONE: ExitCode.GONE}


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

    def __post_init__(self) -> None:
        if self.metric not in METRICS:
            raise ValueError(f"expected one of {', '.join(METRICS)} as metric, found {self.metric!r}")

    @property
    def key(self) -> Key:
        """What makes a claim the same one."""
        return self.checkpoint, self.metric, self.date


class Zoo(msgspec.Struct, frozen=True, kw_only=True):
    """Whose claims a state has, for people."""

    publishers: tuple[str, ...]
    checkpoints: int
    """How many its manifest had."""

    @classmethod
    def of(cls, manifest: Manifest) -> Zoo:
        """Of a manifest, publishers in its order."""
        publishers = dict.fromkeys(checkpoint.publisher for checkpoint in manifest)
        return cls(publishers=tuple(publishers), checkpoints=len(manifest))


class State(msgspec.Struct, frozen=True, kw_only=True):
    """Every claim at one time; the file of `--save-baseline`."""

    version: int = VERSION
    zoo: Zoo | None = None
    """None in files older than this field."""
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
    is_refuted: bool = False
    """True where the printed figure was not judged before, and ours contradicts it."""

    @property
    def key(self) -> Key:
        """What makes the claim the same one in two states."""
        return self.checkpoint, self.metric, self.date

    @property
    def exit_code(self) -> ExitCode:
        """What this difference alone ends the command with."""
        return ExitCode.REFUTED if self.is_refuted else _CODES.get(self.change, ExitCode.OK)

    def text(self) -> str:
        """`ID mIoU: worse, 76.63 → 76.43 (-0.20)`, with the reason."""
        figures = [_figure(self.before, self.metric), _figure(self.after, self.metric)]
        moved = f", {' → '.join(figures)}" if self.before is not None or self.after is not None else ""
        if self.before is not None and self.after is not None:
            moved += f" ({self.after - self.before:+.{METRICS[self.metric].decimals}f})"
        because = f": {' '.join(self.reason.split())}" if self.reason else ""
        return f"{claim_name(*self.key)}: {self.change.value}{moved}{because}"


def claim_name(checkpoint: str, metric: str, date: str) -> str:
    """`ID mIoU (2021-10-13)`."""
    return f"{checkpoint} {METRICS[metric].title}" + f" ({date})" * bool(date)


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


def write_state(path: Path, state: State) -> None:
    """Write the file of `--save-baseline`.

    Raises:
        BaselineError: it cannot be written.
    """
    text = msgspec.json.format(msgspec.json.encode(state), indent=1)
    try:
        write_whole(path, text + b"\n")
    except OSError as error:
        raise BaselineError(f"{path}: cannot write the state: {error.strerror or error}") from error


def read_state(path: Path, manifest: Manifest) -> State:
    """A stored state, or the one that a ledger amounts to; rows under the names that they have today.

    Raises:
        BaselineError: the file cannot be read, is neither, has nothing to compare, or is another zoo's.
    """
    data = _bytes(path)
    if not data.strip():
        raise BaselineError(f"{path}: expected a state or a ledger, found an empty file; {ANEW}")
    if _STATE_BEGINS.match(data):
        return _usable(_decoded(data, path), path, manifest)
    try:
        measurements = ledger.read(path, Measurement)
    except ledger.LedgerError as error:
        raise BaselineError(str(error)) from error
    if not measurements:
        raise BaselineError(f"{path}: expected a state or a ledger, found no whole measurement; {ANEW}")
    _require_rows_of(manifest, [record.checkpoint for record in measurements], f"{path}: a ledger")
    return _state_of(measurements, manifest)


def read_saved(path: Path, manifest: Manifest) -> State | None:
    """What `--save-baseline` is about to replace; None where there is nothing yet.

    Raises:
        BaselineError: the file is no state of this manifest, so that writing would destroy something else.
    """
    if not path.exists() or not (data := _bytes(path)).strip():
        return None
    if not _STATE_BEGINS.match(data):
        raise BaselineError(
            f"{path}: expected a state that zoo verify --save-baseline wrote, found something else, which would be "
            "overwritten; name another file"
        )
    return _usable(_decoded(data, path), path, manifest)


def _bytes(path: Path) -> bytes:
    try:
        return read_document(path)
    except OSError as error:
        raise BaselineError(f"{path}: cannot read the stored state: {error.strerror or error}") from error


def _decoded(data: bytes, path: Path) -> State:
    try:
        return msgspec.json.decode(data, type=State)
    except (ValueError, RecursionError) as error:
        raise BaselineError(
            f"{path}: not a whole state as zoo verify --save-baseline writes it: {error}; {ANEW}"
        ) from error


def _usable(state: State, path: Path, manifest: Manifest) -> State:
    """The state with each row's present name; refused where nothing or nothing sure can be compared with it."""
    if state.version != VERSION:
        raise BaselineError(f"{path}: state version {state.version}, this segbench reads {VERSION}; {ANEW}")
    if not state.claims:
        raise BaselineError(f"{path}: the state has no claims, so nothing can be compared with it; {ANEW}")
    whose = f" ({', '.join(state.zoo.publishers)}; {state.zoo.checkpoints} checkpoints)" if state.zoo else ""
    _require_rows_of(manifest, [claim.checkpoint for claim in state.claims], f"{path}: a state{whose}")
    claims = tuple(_named_as_today(claim, manifest) for claim in state.claims)
    for key, times in Counter(claim.key for claim in claims).items():
        if times > 1:
            raise BaselineError(f"{path}: {claim_name(*key)} stands there {times} times; {ANEW}")
    return msgspec.structs.replace(state, claims=claims)


def _require_rows_of(manifest: Manifest, rows: Sequence[str], what: str) -> None:
    """Refuse a state none of whose rows the manifest has: all of it would be gone, and all of the manifest new."""
    if not any(row in manifest for row in rows):
        raise BaselineError(
            f"{what} of another zoo: none of its rows, such as {rows[0]}, is in {manifest.path}; name its manifest with "
            "--manifest, or another file"
        )


def _named_as_today(claim: StoredClaim, manifest: Manifest) -> StoredClaim:
    """A row that was renamed keeps its claims where its old name is an alias."""
    if claim.checkpoint not in manifest:
        return claim
    return msgspec.structs.replace(claim, checkpoint=manifest[claim.checkpoint].id)


class Update(msgspec.Struct, frozen=True, kw_only=True):
    """A state to be written, and what in it is older than this run."""

    state: State
    not_asked: int
    """Claims of rows or metrics that were not chosen, as they stood."""
    not_measured: int
    """Claims without a figure today, as they stood."""
    without_figure: int
    """Published claims that have never been measured."""

    def text(self) -> str:
        """What a user should know of it in one line; empty where every claim is today's."""
        told = {
            "of rows or metrics that were not chosen kept as they were": self.not_asked,
            "that could not be measured now kept with the earlier figure": self.not_measured,
            "without a figure: they could not be measured, now or before": self.without_figure,
        }
        claims = len(self.state.claims)
        parts = [f"{number} {what}" for what, number in told.items() if number]
        return f"{claims} claim{'s' * (claims != 1)} written, {', '.join(parts)}" if parts else ""


def updated(
    earlier: State | None,
    now: Sequence[StoredClaim],
    manifest: Manifest,
    *,
    is_asked: Callable[[StoredClaim], bool],
) -> Update:
    """Today's claims over what was stored: nothing that was not asked for, or not measurable today, is lost.

    Args:
        earlier: the state to be replaced; None where there is none.
        now: every claim that was judged.
        manifest: whose claims these are; its order is the state's.
        is_asked: as for `compare`; stored claims for which it is true, and that are not judged, are gone and dropped.
    """
    stored = {claim.key: claim for claim in earlier.claims} if earlier else {}
    today = {claim.key: claim for claim in now}
    not_asked = [claim for key, claim in stored.items() if key not in today and not is_asked(claim)]
    lost = [
        stored[key]
        for key, claim in today.items()
        if _is_absent(claim) and key in stored and stored[key].measured is not None
    ]
    merged = today | {claim.key: claim for claim in [*not_asked, *lost]}
    order = {
        (row.id, claim.metric, claim.date or ""): place
        for place, (row, claim) in enumerate((row, claim) for row in manifest for claim in row.claims)
    }
    claims = sorted(merged.values(), key=lambda claim: order.get(claim.key, len(order)))
    return Update(
        state=State(zoo=Zoo.of(manifest), claims=tuple(claims)),
        not_asked=len(not_asked),
        not_measured=len(lost),
        without_figure=sum(_is_absent(claim) for claim in claims),
    )


def _is_absent(claim: StoredClaim) -> bool:
    return claim.published is not None and claim.measured is None


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
        StoredClaim(
            checkpoint=r.checkpoint,
            metric=r.metric,
            measured=r.value,
            digest=measurement_digest(r),
        )
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
        _with_print(
            speeds.get(claim.key)
            or _difference(stored.get(claim.key), claim, (reasons or {}).get(claim.key, "")),
            stored.get(claim.key),
            claim,
        )
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


def _with_print(difference: Difference, before: StoredClaim | None, now: StoredClaim) -> Difference:
    """The difference with what became of the printed figure, which a person changed and no measurement did."""
    restated = _restatement(before, now)
    unjudged = before is None or before.measured is None or restated
    refuted = Status.REFUTED.value
    is_refuted = bool(unjudged) and now.status == refuted and (before is None or before.status != refuted)
    told = [difference.reason, restated, f"{now.published} is refuted" if is_refuted else ""]
    is_all = restated and difference.change is Change.UNCHANGED
    return msgspec.structs.replace(
        difference,
        change=Change.RESTATED if is_all else difference.change,
        reason="; ".join(part for part in told if part),
        is_refuted=is_refuted,
    )


def _restatement(before: StoredClaim | None, now: StoredClaim) -> str:
    """How the printed figure changed, digits and all; empty where it did not."""
    if before is None or before.published is None or now.published in (None, before.published):
        return ""
    return f"the printed figure was {before.published} and is {now.published}"


def _without_figure(before: StoredClaim | None, now: StoredClaim, reason: str) -> Difference:
    had = before is not None and before.measured is not None
    is_first = before is None or before.published is None
    if had or (is_first and now.published is not None):
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


def exit_code(differences: Iterable[Difference]) -> ExitCode:
    """The gravest of what the differences end the command with."""
    return gravest(difference.exit_code for difference in differences)


def differences_text(differences: Sequence[Difference]) -> str:
    """Every change in a line, and how many there are of each kind."""
    counts = Counter(difference.change for difference in differences)
    told = ", ".join(f"{counts[change]} {change.value}" for change in Change if counts[change])
    changed = [one.text() for one in differences if one.change is not Change.UNCHANGED]
    return "\n".join([*changed, f"against the stored state: {told or 'nothing to compare'}"])
