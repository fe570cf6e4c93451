"""Published training logs as evidence: what mIoU the authors' own training saw, when, and under which schedule.

Two forms. mmsegmentation's `.log.json` has a JSON object a line: first the run's settings, then a record every 50
iterations and one an evaluation (mmcv, `runner/hooks/logger/text.py`). sssegmentation's log is text: progress as
`[EPOCH]: 1/110, ...` in 2021 and as the repr of a dict since, an evaluation as the repr of `{'iou': ..., 'miou': ...}`
in both (sssegmentation, `ssseg/train.py`). A training log knows single-scale evaluation only.
"""

from __future__ import annotations

import json
import math
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeGuard

import msgspec

from ....evaluate.regular_files import read_document

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class LogError(Exception):
    """A file cannot be read, or nothing in it is from a training log."""


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """One result line."""

    miou_percent: float
    """Within [0, 100], as precise as the log has it."""
    iteration: int | None = None
    """Training iterations done by then; None where the log does not tell, as in a separate test log."""
    epoch: int | None = None
    line: int
    """Counted from 1."""
    averaged_weights: bool = False
    """True for the exponential moving average of the weights."""


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """How the training was planned, as far as the log says."""

    iterations: int | None = None
    epochs: int | None = None
    learning_rate: float | None = None
    """At the beginning: as configured, else the largest one logged, which decay has lowered a little."""
    policy: str | None = None
    """`poly`."""
    batch: int | None = None
    """Images an iteration on all devices, where the log tells."""
    batch_per_gpu: int | None = None


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """A line that could not be used."""

    line: int
    message: str


class TrainingLog(msgspec.Struct, frozen=True, kw_only=True):
    """What a training log says."""

    evaluations: tuple[Evaluation, ...]
    """In the file's order."""
    memory_mib: int | None = None
    """The largest one logged, of the fullest device; evaluation passes count."""
    last_iteration: int | None = None
    """Of the last training line."""
    last_epoch: int | None = None
    schedule: Schedule = Schedule()
    device: str | None = None
    """The devices as the log names them: `Tesla V100-SXM2-32GB`."""
    device_count: int | None = None
    faults: tuple[Fault, ...] = ()

    @property
    def last(self) -> Evaluation | None:
        """The final evaluation of the trained weights: of the file that is published, so its mIoU should be the table's."""
        return next((one for one in reversed(self.evaluations) if not one.averaged_weights), None)

    @property
    def best(self) -> Evaluation | None:
        """The first of the evaluations with the highest mIoU."""
        return max(self.evaluations, key=lambda one: one.miou_percent, default=None)


def read_log(path: Path) -> TrainingLog:
    """Parse a log file of either form.

    Raises:
        LogError: it cannot be read, or is no training log.
    """
    try:
        text = read_document(path).decode("utf-8", "replace")
    except OSError as error:
        raise LogError(f"{path}: cannot read the log: {error.strerror or error}") from error
    return parse_log(text, str(path))


def parse_log(text: str, source: str = "log") -> TrainingLog:
    """Parse the text of a log of either form; lines that cannot be used are told in `faults`.

    Args:
        text: The whole log.
        source: What messages call it.

    Raises:
        LogError: nothing in it is from a training log.
    """
    lines = list(enumerate(text.removeprefix("\ufeff").split("\n"), start=1))
    first = next(((number, line) for number, line in lines if line.strip()), None)
    if first is None:
        raise LogError(f"{source}: expected a training log, found an empty file")
    log = _parse_json_lines(lines) if first[1].lstrip().startswith("{") else _parse_text(lines)
    if not log.evaluations and log.last_iteration is None and log.last_epoch is None:
        raise LogError(
            f"{source}:{first[0]}: expected a training log of mmsegmentation (JSON lines) or sssegmentation (text), "
            f"found no line of either; it begins with {first[1][:60]!r}"
        )
    return log


# --- mmsegmentation -----------------------------------------------------------------------------------------

_ACCURACIES = ("mIoU", "mAcc", "aAcc")


def _parse_json_lines(lines: Iterable[tuple[int, str]]) -> TrainingLog:
    records, faults = _json_records(lines)
    settings = next((record for _, record in records if "config" in record or "env_info" in record), {})
    training = [record for _, record in records if _is_training(record)]
    evaluations, bad = _json_evaluations(records)
    device, count = _devices(str(settings.get("env_info", "")))
    return TrainingLog(
        evaluations=evaluations,
        memory_mib=max(
            (round(record["memory"]) for record in training if _is_number(record.get("memory"))), default=None
        ),
        last_iteration=_whole(_step(training[-1])) if training else None,
        last_epoch=_whole(training[-1].get("epoch")) if training else None,
        schedule=_mmseg_schedule(str(settings.get("config", ""))),
        device=device,
        device_count=count,
        faults=tuple(sorted([*faults, *bad], key=lambda fault: fault.line)),
    )


def _json_records(lines: Iterable[tuple[int, str]]) -> tuple[list[tuple[int, dict[str, Any]]], list[Fault]]:
    records, faults = [], []
    for number, line in lines:
        if not line.strip():
            continue
        record, message = _json_object(line)
        if record is None:
            faults.append(Fault(line=number, message=message))
        else:
            records.append((number, record))
    return records, faults


def _json_object(line: str) -> tuple[dict[str, Any] | None, str]:
    """The object of a line, or None and why not."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        return None, f"not JSON: {error}"
    return (
        (found, "")
        if isinstance(found, dict)
        else (None, f"expected a JSON object, found {line.strip()[:40]!r}")
    )


def _is_training(record: dict[str, Any]) -> bool:
    return "loss" in record and record.get("mode", "train") == "train" and _step(record) is not None


def _step(record: dict[str, Any]) -> Any:
    """Iterations done: `iter`, or `step` in mmsegmentation 1.x."""
    return record.get("iter", record.get("step"))


def _json_evaluations(
    records: list[tuple[int, dict[str, Any]]],
) -> tuple[tuple[Evaluation, ...], list[Fault]]:
    """The evaluations and the lines whose mIoU is no number.

    A val line's own `iter` counts the batches of the validation set since 2021 and training iterations before; the
    last training line above it has the iteration in both.
    """
    fractions = _are_fractions(record for _, record in records)
    found, faults, iteration = [], [], None
    for number, record in records:
        value = record.get("mIoU")
        if _is_training(record):
            iteration = _whole(_step(record))
        elif _is_number(value) and 0 <= value <= (1 if fractions else 100):
            evaluation = Evaluation(
                miou_percent=_percent(value) if fractions else float(value),
                iteration=_whole(record.get("step")) if iteration is None else iteration,
                epoch=_whole(record.get("epoch")),
                line=number,
            )
            found.append(evaluation)
        elif "mIoU" in record:
            wrong = "not between 0 and 100 %" if _is_number(value) else "no number"
            faults.append(Fault(line=number, message=f"mIoU is {wrong}: {value!r:.60}"))
    return tuple(found), faults


def _are_fractions(records: Iterable[dict[str, Any]]) -> bool:
    """True unless an accuracy above 1 gives away a log in percent (mmsegmentation 1.x)."""
    values = [record.get(name) for record in records for name in _ACCURACIES]
    return not any(_is_number(value) and 1 < value <= 100 for value in values)


def _mmseg_schedule(config: str) -> Schedule:
    return Schedule(
        iterations=_int_after(r"max_iters\s*=\s*", config) or _int_after(r"total_iters\s*=\s*", config),
        epochs=_int_after(r"max_epochs\s*=\s*", config),
        learning_rate=_float_after(r"\blr\s*=\s*", _call(r"optimizer\s*=\s*dict\(", config)),
        policy=_text_after(r"\bpolicy\s*=\s*", _call(r"lr_config\s*=\s*dict\(", config)),
        batch_per_gpu=_int_after(r"samples_per_gpu\s*=\s*", config),
    )


def _call(beginning: str, config: str) -> str:
    """What follows the first occurrence of a call's beginning, up to the next parenthesis that closes."""
    found = re.search(beginning, config)
    return config[found.end() :].partition(")")[0] if found else ""


def _devices(environment: str) -> tuple[str | None, int | None]:
    """Name and number from lines such as `GPU 0,1,2,3: Tesla V100-SXM2-32GB`."""
    found = re.findall(r"^GPU ([\d,]+): (.*\S)", environment, re.MULTILINE)
    names = dict.fromkeys(name for _, name in found)
    return (", ".join(names) or None, sum(len(indices.split(",")) for indices, _ in found) or None)


# --- sssegmentation -----------------------------------------------------------------------------------------

_NUMBER = r"(?:[\w.]*\()?([-+]?(?:nan|inf|[0-9.]+(?:e[-+]?[0-9]+)?))"
"""A float, alone or as numpy's repr: `np.float64(0.79)`."""
_RESULT = re.compile(rf"'miou': {_NUMBER}(?=\)?\s*[,}}])", re.IGNORECASE)
_BEGIN = re.compile(r"Evaluate (EMA of )?\S+ at epoch (\d{1,18})")
_PROGRESS_2021 = re.compile(
    r"\[EPOCH\]: (?P<cur_epoch>\d{1,18})/(?P<max_epochs>\d{1,18}), \[BATCH\]: (?P<batch>\d{1,18})/(?P<batches>\d{1,18}), "
    r"\[LEARNING_RATE\]: (?P<learning_rate>[0-9.e+-]+)"
)
_COUNT = re.compile(r"'(cur_epoch|max_epochs|cur_iter|max_iters)': (\d{1,18})")
_RATE = re.compile(rf"'learning_rate': {_NUMBER}", re.IGNORECASE)


class _TextState:
    """What has been read of a text log so far."""

    def __init__(self) -> None:
        self.evaluations: list[Evaluation] = []
        self.faults: list[Fault] = []
        self.counts: dict[str, int] = {}
        self.rates: list[float] = []
        self.evaluated: tuple[int, bool] | None = None
        """Epoch and whether averaged weights, of an evaluation whose result is still to come."""
        self.config = ""

    def read(self, number: int, line: str) -> None:
        """Take in one line."""
        if begin := _BEGIN.search(line):
            self.evaluated = int(begin[2]), bool(begin[1])
        elif progress := _PROGRESS_2021.search(line):
            self._progress_2021(progress)
        elif "'cur_epoch':" in line:
            self.counts |= {name: int(value) for name, value in _COUNT.findall(line)}
            self.rates += [float(rate) for rate in _RATE.findall(line)]
        elif result := _RESULT.search(line):
            self._result(number, float(result[1]))
        elif "'miou':" in line:
            self.faults.append(Fault(line=number, message="a result that is torn or no number"))
        elif "'scheduler':" in line:
            self.config = line

    def _progress_2021(self, found: re.Match[str]) -> None:
        epoch, epochs, batches = (int(found[name]) for name in ("cur_epoch", "max_epochs", "batches"))
        done = (epoch - 1) * batches + int(found["batch"])
        self.counts |= {
            "cur_epoch": epoch,
            "max_epochs": epochs,
            "cur_iter": done,
            "max_iters": epochs * batches,
        }
        self.rates.append(float(found["learning_rate"]))

    def _result(self, number: int, miou: float) -> None:
        if not 0 <= miou <= 1:
            self.faults.append(Fault(line=number, message=f"miou is no fraction: {miou}"))
            return
        epoch, averaged = self.evaluated or (self.counts.get("cur_epoch"), False)
        self.evaluations.append(
            Evaluation(
                miou_percent=_percent(miou),
                iteration=self.counts.get("cur_iter"),
                epoch=epoch,
                line=number,
                averaged_weights=averaged,
            )
        )


def _parse_text(lines: Iterable[tuple[int, str]]) -> TrainingLog:
    state = _TextState()
    for number, line in lines:
        try:
            state.read(number, line)
        except (ValueError, OverflowError) as error:  # noqa: PERF203  (a torn number)
            state.faults.append(Fault(line=number, message=f"not to be read: {error}"))
    config = state.config
    policy = _text_after(r"'scheduler': \{[^{}]*?'type': ", config)
    return TrainingLog(
        evaluations=tuple(state.evaluations),
        last_iteration=state.counts.get("cur_iter"),
        last_epoch=state.counts.get("cur_epoch"),
        schedule=Schedule(
            iterations=state.counts.get("max_iters"),
            epochs=state.counts.get("max_epochs"),
            learning_rate=_float_after(r"'optimizer': \{[^{}]*?'lr': ", config)
            or max(state.rates, default=None),
            policy=policy.removesuffix("Scheduler").lower() if policy else None,
            batch=_int_after(r"'expected_total_train_bs_for_assert': ", config),
        ),
        faults=tuple(state.faults),
    )


# --- numbers in text ----------------------------------------------------------------------------------------


def _is_number(value: Any) -> TypeGuard[float]:
    try:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # a whole number of hundreds of digits
        return False


def _percent(fraction: float) -> float:
    """A hundred times the decimal number that was written, so that 0.7849 is 78.49 and not a little more."""
    return float(Decimal(repr(fraction)).scaleb(2))


def _whole(value: Any) -> int | None:
    """A count; None for what no training counts up to."""
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**18
    return value if is_count else None


def _int_after(before: str, text: str) -> int | None:
    found = re.search(rf"{before}(\d{{1,18}})(?!\d)", text)
    return int(found[1]) if found else None


def _float_after(before: str, text: str) -> float | None:
    found = re.search(rf"{before}(\d+(?:\.\d*)?|\.\d+)(e[-+]?\d+)?(?![\w.])", text)
    return float(found[1] + (found[2] or "")) if found else None


def _text_after(before: str, text: str) -> str | None:
    found = re.search(rf"{before}['\"]([^'\"]+)['\"]", text)
    return found[1] if found else None
