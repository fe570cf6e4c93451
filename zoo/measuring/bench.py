"""How to measure, as a user says it; what a row is measured with; and the bench that offers both to a quantity."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec

from ...evaluate.data.datasets import Dataset
from ...evaluate.inference.choices import Loading, Precision
from ...evaluate.protocol import EvalProtocol
from ...reports.tolerance import Tolerance
from ..manifest import Checkpoint
from .terms import Terms, Unfinished

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..manifest import Claim
    from .measurement import Measurement
    from .speed import SpeedRun


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How to measure; nothing in here may change a number but the protocols and the precision."""

    device: str = "cpu"
    precision: Precision = "fp32"
    loading: Loading = Loading()
    data_root: Path | None = None
    metrics: tuple[str, ...] = ()
    """Claims to judge; empty for all."""
    protocol: EvalProtocol | None = None
    home: Path | None = None
    """Weights cache; None for `ZOO_HOME`."""
    weights_file: Path | None = None
    """The one row's weights, wherever they lie; None for the cache's, fetched where missing."""
    offline: bool | None = None
    evidence: Path
    ledger: Path
    tolerance: Tolerance | None = None
    """Of accuracies, in points; None for the publishers' own (`reports.verdict.tolerance_of`)."""
    not_comparable: str = ""
    """Why the published figures are not about this data; empty where they are."""
    limit: int | None = None
    """Measure the pinned subset of so many images only; never compared with a claim."""
    shard: tuple[int, int] | None = None
    """(I, N), from 1: predict only every N-th image; whoever finds all images counted computes the score."""
    until_sure: bool = False
    """Stop a claim's measurement once its verdict is certain, whatever the remaining images bring."""
    engine: Literal["local", "ray"] = "local"
    address: str = ""
    """Of a Ray cluster; empty to start one of this machine."""

    def terms(self) -> Terms:
        """What of it decides how figures are compared."""
        return Terms(
            tolerance=self.tolerance,
            precision=self.precision,
            protocol=self.protocol,
            not_comparable=self.not_comparable,
        )


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a row's accuracy claims are measured with."""

    checkpoint: Checkpoint
    dataset: Dataset
    contents: dict[str, str]
    load: Callable[[], Any]
    """Gives the network, which is made at the first call."""
    weights_sha256: str
    file: Path
    """The weights, or the export that is the network by itself."""
    code: str = ""
    """Digest of the network's code and numbers where it is not ours."""

    @property
    def model(self) -> Any:
        """The network with its weights, as the engine prepared it.

        Raises:
            ArchitectureError: it cannot be built, or an export cannot be run.
            WeightsError: the file cannot be read, or does not fit.
        """
        return self.load()


class Bench(Protocol):
    """One row on its bench: what a quantity may use to measure it."""

    @property
    def checkpoint(self) -> Checkpoint: ...  # noqa: D102

    @property
    def options(self) -> Options: ...  # noqa: D102

    def count(self, claim: Claim) -> Measurement | Unfinished:
        """The score that a claim is about, from counts that are taken now or stored.

        Raises:
            NotMeasured: weights, data or images are missing.
        """
        ...

    def timed(self, steps: Iterator[tuple[int, int, SpeedRun | None]]) -> SpeedRun:
        """Exhaust the steps of a timed run, showing how far it is, and give its end."""
        ...
