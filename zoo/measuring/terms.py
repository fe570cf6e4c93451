"""On which terms figures are compared, and why there may be no number. Knows no torch."""

from __future__ import annotations

import msgspec

from ...evaluate.protocol import EvalProtocol
from ...reports.tolerance import Tolerance
from ...reports.verdict import Verdict
from ..console.exit_codes import ExitCode


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """On which terms figures are compared: what a user asked for that the claims do not say."""

    tolerance: Tolerance | None = None
    """Of accuracies, in points; None for the publishers' own (`reports.verdict.tolerance_of`)."""
    precision: str = "fp32"
    protocol: EvalProtocol | None = None
    """In place of the claims' own."""
    not_comparable: str = ""
    """Why the published figures are not about this data; empty where they are."""


class Unfinished(msgspec.Struct, frozen=True, kw_only=True):
    """No number, though nothing is missing: others have images left to count, or the verdict is certain without one."""

    reason: str
    verdict: Verdict | None = None
    """Where it is certain."""


class NotMeasured(Exception):  # noqa: N818  (an answer, not a fault of the program)
    """Why a claim has no measurement, and the exit code that stands for it."""

    def __init__(self, reason: str, exit_code: ExitCode = ExitCode.CANNOT_MEASURE) -> None:
        super().__init__(reason)
        self.reason = reason
        self.exit_code = exit_code
