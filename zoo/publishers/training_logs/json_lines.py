"""mmsegmentation's `.log.json`: a JSON object a line.

First the run's settings, then a record every 50 iterations and one an evaluation (mmcv, `runner/hooks/logger/text.py`).
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from .numbers_in_text import float_after, int_after, is_number, percent, text_after, whole
from .records import Evaluation, Fault, Schedule, TrainingLog

if TYPE_CHECKING:
    from collections.abc import Iterable


_ACCURACIES = ("mIoU", "mAcc", "aAcc")


def parse_json_lines(lines: Iterable[tuple[int, str]]) -> TrainingLog:
    """The log of numbered lines, counted from 1."""
    records, faults = _json_records(lines)
    settings = next((record for _, record in records if "config" in record or "env_info" in record), {})
    training = [record for _, record in records if _is_training(record)]
    evaluations, bad = _json_evaluations(records)
    device, count = _devices(str(settings.get("env_info", "")))
    return TrainingLog(
        evaluations=evaluations,
        memory_mib=max(
            (round(record["memory"]) for record in training if is_number(record.get("memory"))), default=None
        ),
        last_iteration=whole(_step(training[-1])) if training else None,
        last_epoch=whole(training[-1].get("epoch")) if training else None,
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
            iteration = whole(_step(record))
        elif is_number(value) and 0 <= value <= (1 if fractions else 100):
            evaluation = Evaluation(
                miou_percent=percent(value) if fractions else float(value),
                iteration=whole(record.get("step")) if iteration is None else iteration,
                epoch=whole(record.get("epoch")),
                line=number,
            )
            found.append(evaluation)
        elif "mIoU" in record:
            wrong = "not between 0 and 100 %" if is_number(value) else "no number"
            faults.append(Fault(line=number, message=f"mIoU is {wrong}: {value!r:.60}"))
    return tuple(found), faults


def _are_fractions(records: Iterable[dict[str, Any]]) -> bool:
    """True unless an accuracy above 1 gives away a log in percent (mmsegmentation 1.x)."""
    values = [record.get(name) for record in records for name in _ACCURACIES]
    return not any(is_number(value) and 1 < value <= 100 for value in values)


def _mmseg_schedule(config: str) -> Schedule:
    return Schedule(
        iterations=int_after(r"max_iters\s*=\s*", config) or int_after(r"total_iters\s*=\s*", config),
        epochs=int_after(r"max_epochs\s*=\s*", config),
        learning_rate=float_after(r"\blr\s*=\s*", _call(r"optimizer\s*=\s*dict\(", config)),
        policy=text_after(r"\bpolicy\s*=\s*", _call(r"lr_config\s*=\s*dict\(", config)),
        batch_per_gpu=int_after(r"samples_per_gpu\s*=\s*", config),
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
