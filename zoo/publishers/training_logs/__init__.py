"""Published training logs as evidence: what mIoU the authors' own training saw, when, and under which schedule.

A form of log is a file of this folder: `json_lines` is mmsegmentation's, `text` sssegmentation's. A training log knows
single-scale evaluation only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ....evaluate.regular_files import read_document
from .json_lines import parse_json_lines
from .records import Evaluation, Fault, Schedule, TrainingLog
from .text import parse_text

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Evaluation", "Fault", "LogError", "Schedule", "TrainingLog", "parse_log", "read_log"]


class LogError(Exception):
    """A file cannot be read, or nothing in it is from a training log."""


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
    log = parse_json_lines(lines) if first[1].lstrip().startswith("{") else parse_text(lines)
    if not log.evaluations and log.last_iteration is None and log.last_epoch is None:
        raise LogError(
            f"{source}:{first[0]}: expected a training log of mmsegmentation (JSON lines) or sssegmentation (text), "
            f"found no line of either; it begins with {first[1][:60]!r}"
        )
    return log
