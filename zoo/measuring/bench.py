"""What a quantity is measured and judged with, and why there may be no number. Knows no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

from ...evaluate.protocol import EvalProtocol
from ...reports.tolerance import Tolerance
from ..console.exit_codes import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..manifest import Checkpoint, Claim
    from .measurement import Measurement
    from .options import Options
    from .speed import SpeedRun


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """On which terms figures are compared: what a user asked for that the claims do not say."""

    tolerance: Tolerance | None = None
    """Of accuracies, in points; None for the publishers' own (`reports.verdict.tolerance_of`)."""
    precision: str = "fp32"
    protocol: EvalProtocol | None = None
    """In place of the claims' own."""
    not_comparable: str = ""
    """Why the published figures are not about this data; empty where they are."""


class NotMeasured(Exception):  # noqa: N818  (an answer, not a fault of the program)
    """Why a claim has no measurement, and the exit code that stands for it."""

    def __init__(self, reason: str, exit_code: ExitCode = ExitCode.CANNOT_MEASURE) -> None:
        super().__init__(reason)
        self.reason = reason
        self.exit_code = exit_code


class Bench(Protocol):
    """One row on its bench: what a quantity may use to measure it."""

    @property
    def checkpoint(self) -> Checkpoint: ...  # noqa: D102

    @property
    def options(self) -> Options: ...  # noqa: D102

    def count(self, claim: Claim) -> Measurement:
        """The score that a claim is about, from counts that are taken now or stored.

        Raises:
            NotMeasured: weights, data or images are missing.
        """
        ...

    def timed(self, steps: Iterator[tuple[int, int, SpeedRun | None]]) -> SpeedRun:
        """Exhaust the steps of a timed run, showing how far it is, and give its end."""
        ...
