"""sssegmentation's log: text.

Progress stands as `[EPOCH]: 1/110, ...` in 2021 and as the repr of a dict since, an evaluation as the repr of
`{'iou': ..., 'miou': ...}` in both (sssegmentation, `ssseg/train.py`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .numbers_in_text import float_after, int_after, percent, text_after
from .records import Evaluation, Fault, Schedule, TrainingLog

if TYPE_CHECKING:
    from collections.abc import Iterable


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
                miou_percent=percent(miou),
                iteration=self.counts.get("cur_iter"),
                epoch=epoch,
                line=number,
                averaged_weights=averaged,
            )
        )


def parse_text(lines: Iterable[tuple[int, str]]) -> TrainingLog:
    """The log of numbered lines, counted from 1."""
    state = _TextState()
    for number, line in lines:
        try:
            state.read(number, line)
        except (ValueError, OverflowError) as error:  # noqa: PERF203  (a torn number)
            state.faults.append(Fault(line=number, message=f"not to be read: {error}"))
    config = state.config
    policy = text_after(r"'scheduler': \{[^{}]*?'type': ", config)
    return TrainingLog(
        evaluations=tuple(state.evaluations),
        last_iteration=state.counts.get("cur_iter"),
        last_epoch=state.counts.get("cur_epoch"),
        schedule=Schedule(
            iterations=state.counts.get("max_iters"),
            epochs=state.counts.get("max_epochs"),
            learning_rate=float_after(r"'optimizer': \{[^{}]*?'lr': ", config)
            or max(state.rates, default=None),
            policy=policy.removesuffix("Scheduler").lower() if policy else None,
            batch=int_after(r"'expected_total_train_bs_for_assert': ", config),
        ),
        faults=tuple(state.faults),
    )
