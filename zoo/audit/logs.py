"""Audit checks of training logs: what `zoo fetch --with-logs` put in the cache against the claims of its rows.

A training log knows single-scale evaluation only, so multi-view claims are not compared. Its memory is that of a
training with cudnn.benchmark on, which the published column is not (mmsegmentation, `configs/_base_/
default_runtime.py` and issue 1215): another figure there is told as a note, never as a contradiction.
"""

from __future__ import annotations

import re
from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING

from ...reports.tolerance import half_unit
from ..files.whole_number import DIGITS, whole_number
from ..publishers.training_logs import Schedule, TrainingLog
from .findings import Place, number_of
from .sources import finding, latest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..manifest import Checkpoint, Claim
    from ..publishers.training_logs import Evaluation
    from .findings import AuditFinding, Place
    from .row_logs import RowLog
    from .sources import AuditSources

FINISHED = 0.99
"""Part of the planned training after which a log counts as whole: a logger's last line may lie before its last step."""
DECAY = 0.02
"""How far below the configured learning rate the largest logged one may lie: the first line comes after some steps."""


def _logged(sources: AuditSources) -> Iterator[tuple[Checkpoint, RowLog, TrainingLog]]:
    for row in sources.logs:
        if row.log is not None:
            yield sources.manifest[row.checkpoint], row, row.log


def unreadable_logs(sources: AuditSources) -> Iterator[AuditFinding]:
    """Files in a log's place that hold no log."""
    for row in sources.logs:
        if row.fault:
            yield finding("log-unreadable", row.checkpoint, row.fault, row.place())


def logged_accuracies(sources: AuditSources) -> Iterator[AuditFinding]:
    """A printed single-scale mIoU that is not the last evaluation's: an earlier one's, or none of the log's."""
    for one, row, log in _logged(sources):
        claim, last, best = latest(one, "miou"), log.last, log.best
        if claim is None or last is None or best is None or _agrees(last, claim):
            continue
        earlier = next((found for found in log.evaluations if _agrees(found, claim)), None)
        places = [sources.claim_place(one, claim), row.place(last.line)]
        ending = f"the log ends with {_evaluation(last)}"
        if earlier:
            what = f"mIoU {claim.printed} is {_evaluation(earlier)}; {ending}"
            yield finding("log-earlier", one.id, what, *places, row.place(earlier.line))
        else:
            what = f"mIoU {claim.printed}, but {ending}, and its best is {_evaluation(best)}"
            yield finding("log-accuracy", one.id, what, *places, row.place(best.line))


def _agrees(evaluation: Evaluation, claim: Claim) -> bool:
    printed = claim.printed or "0"
    return abs(Decimal(repr(evaluation.miou_percent)) - Decimal(printed)) <= half_unit(printed)


def _evaluation(found: Evaluation) -> str:
    when = f"iteration {found.iteration}" if found.iteration is not None else f"epoch {found.epoch}"
    unknown = found.iteration is None and found.epoch is None
    averaged = " of averaged weights" if found.averaged_weights else ""
    return f"{found.miou_percent:.2f}{averaged}" + ("" if unknown else f" at {when}")


def logged_memories(sources: AuditSources) -> Iterator[AuditFinding]:
    """Logged memory that is not the printed figure in MiB / 1000 nor in GiB; one finding a table."""
    other: dict[str, list[tuple[str, Place, Place]]] = defaultdict(list)
    for one, row, log in _logged(sources):
        claim = latest(one, "train_memory")
        if claim is None or log.memory_mib is None:
            continue
        printed, half = Decimal(claim.printed or 0), half_unit(claim.printed or "0")
        if all(abs(Decimal(log.memory_mib) / unit - printed) > half for unit in (1000, 1024)):
            text = f"{log.memory_mib} MiB for {claim.printed}"
            other[f"{one.method} ({one.publisher})"].append(
                (text, sources.claim_place(one, claim), row.place())
            )
    for subject, cells in other.items():
        what = f"{number_of(len(cells), 'log')} with other memory than printed: {', '.join(text for text, *_ in cells)}"
        yield finding("log-memory", subject, what, *(place for _, *places in cells for place in places))


def logged_trainings(sources: AuditSources) -> Iterator[AuditFinding]:
    """A log whose schedule, batch or devices are not the row's, or that ends before its training does."""
    for one, row, log in _logged(sources):
        texts = [*_schedule_faults(one, log.schedule), *_machine_faults(one, log), *_end_faults(log)]
        if texts:
            yield finding("log-training", one.id, "; ".join(texts), row.place(), sources.entry_place(one))


def _schedule_faults(one: Checkpoint, logged: Schedule) -> Iterator[str]:
    expected = _schedule(one.schedule)
    for name, said, known in (
        ("iterations", logged.iterations, expected.iterations),
        ("epochs", logged.epochs, expected.epochs),
        ("policy", logged.policy, expected.policy),
        ("images a step", logged.batch, expected.batch),
    ):
        if said is not None and known is not None and said != known:
            yield f"{name} {said}, {known} in the row"
    rate, known = logged.learning_rate, expected.learning_rate
    if rate and known and not 1 - DECAY <= rate / known <= 1:
        yield f"learning rate {rate:g}, {known:g} in the row"


def _schedule(text: str) -> Schedule:
    """A printed schedule: `40000`, or `LR/POLICY/BS/EPOCH: 0.01/poly/16/110`."""
    if (iterations := whole_number(text)) is not None:
        return Schedule(iterations=iterations)
    found = re.search(rf"([0-9]{{0,9}}\.?{DIGITS})/(\w+)/({DIGITS})/({DIGITS})\s*$", text)
    if not found:
        return Schedule()
    return Schedule(learning_rate=float(found[1]), policy=found[2], batch=int(found[3]), epochs=int(found[4]))


def _machine_faults(one: Checkpoint, log: TrainingLog) -> Iterator[str]:
    training, images = one.training, log.schedule.batch_per_gpu
    if training and images and images != training.batch_per_gpu:
        yield f"{number_of(images, 'image')} a GPU, {training.batch_per_gpu} in the row"
    if training and log.device_count and log.device_count != training.gpus:
        yield f"{number_of(log.device_count, 'GPU')}, {training.gpus} in the row"


def _end_faults(log: TrainingLog) -> Iterator[str]:
    planned = log.schedule
    for name, done, wanted in (
        ("iteration", log.last_iteration, planned.iterations),
        ("epoch", log.last_epoch, planned.epochs),
    ):
        if done is not None and wanted and done < FINISHED * wanted:
            yield f"ends at {name} {done} of {wanted}"
            return


LOG_CHECKS: tuple[Callable[[AuditSources], Iterator[AuditFinding]], ...] = (
    unreadable_logs,
    logged_accuracies,
    logged_memories,
    logged_trainings,
)
