"""What the `zoo` process ends with, and which of several codes does."""

from __future__ import annotations

import signal
from enum import IntEnum
from typing import TYPE_CHECKING

from ...reports.verdict import Status

if TYPE_CHECKING:
    from collections.abc import Iterable

    from typing_extensions import Self

    from ...reports.verdict import Verdict


class ExitCode(IntEnum):
    """A code of the process; `meaning` says it as the README does."""

    meaning: str

    OK = 0, "all fine"
    REFUTED = (
        1,
        "a claim was refuted, or is worse than the baseline; a number was not explained; a written report is out of date",
    )
    USAGE = 2, "usage: bad flag, unknown id, bad manifest"
    CANNOT_MEASURE = 3, "could not measure: weights, data set or device missing"
    INTEGRITY = 4, "integrity: a file is not what it claims to be"
    NOTHING_SELECTED = 5, "nothing selected"
    GONE = 6, "a claim of the baseline is gone from the manifest"
    INTERNAL = 70, "a fault of segbench itself, told with what a report of it needs; never a verdict"
    """EX_SOFTWARE of sysexits.h."""
    INTERRUPTED = 130, "interrupted by Ctrl-C, or by SIGTERM; a second one ends at once"
    ENDED = 143, "interrupted by Ctrl-C, or by SIGTERM; a second one ends at once"

    def __new__(cls, value: int, meaning: str) -> Self:
        """A number that carries its meaning."""
        code = int.__new__(cls, value)
        code._value_ = value
        code.meaning = meaning
        return code


_GRAVEST_FIRST = (ExitCode.INTEGRITY, ExitCode.REFUTED, ExitCode.GONE, ExitCode.CANNOT_MEASURE)
_OF_STATUS = {Status.REFUTED: ExitCode.REFUTED, Status.NOT_MEASURED: ExitCode.CANNOT_MEASURE}


def gravest(codes: Iterable[int]) -> ExitCode:
    """Of several things that happened, what the process ends with: 4 before 1 before 6 before 3, else 0."""
    found = set(codes)
    return next((code for code in _GRAVEST_FIRST if code in found), ExitCode.OK)


def of_status(status: Status) -> ExitCode:
    """What a verdict of this status alone ends a command with."""
    return _OF_STATUS.get(status, ExitCode.OK)


def of_verdicts(verdicts: Iterable[Verdict]) -> ExitCode:
    """1 where a claim is refuted, else 3 where a published one is not measured, else 0; 5 without verdicts."""
    codes = [of_status(verdict.status) for verdict in verdicts]
    return gravest(codes) if codes else ExitCode.NOTHING_SELECTED


def of_signal(number: int) -> int:
    """As a shell reports a process that the signal ended: 130 for Ctrl-C, 143 for SIGTERM."""
    return 128 + signal.Signals(number)
