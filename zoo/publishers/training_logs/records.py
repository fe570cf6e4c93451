"""What a training log says, whatever its form."""

from __future__ import annotations

import msgspec


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a log that says how an evaluation ended."""

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
    """A line of a log that could not be used, and why."""

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
