"""What a quantity is: how its figures are named, what it needs, how it is measured, and what answers its claims."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from ...reports.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ...reports.metrics import Metric
    from ..manifest import Checkpoint, Claim
    from ..measuring.bench import Bench
    from ..measuring.measurement import Measurement
    from ..measuring.terms import Terms, Unfinished

Judged = tuple["Checkpoint", "Claim", "Measurement | None", Verdict]
"""A claim, what was measured for it, and what follows."""


class Quantity(ABC):
    """One thing that publishers print of a checkpoint; a file of this folder holds one as `QUANTITY`.

    Nothing heavy is imported with such a file: `zoo list` reads all of them.
    """

    rank: int
    """Place among the columns of a table, the lowest first."""
    needs: str
    """What must be there to measure it, for `zoo doctor`."""

    metrics: Mapping[str, Metric]
    """The names that its claims have in a manifest, with how each is written."""

    @abstractmethod
    def measure(self, bench: Bench, claim: Claim) -> Measurement | Unfinished:
        """Our number for a claim.

        Raises:
            NotMeasured: something that it needs is missing.
        """

    @abstractmethod
    def digest(self, checkpoint: Checkpoint, claim: Claim, dataset: str) -> str:
        """Of the protocol that answers a claim on a data set, or on none (`""`); empty where nothing does."""

    def choose(
        self, checkpoint: Checkpoint, claim: Claim, records: Sequence[Measurement]
    ) -> Measurement | None:
        """Which of the records by the claim's protocol, oldest first, answers it: the newest of float32."""
        del claim
        in_fp32 = [record for record in records if record.precision == "fp32"]
        on_its_data = [record for record in in_fp32 if record.dataset == checkpoint.dataset]
        return next(iter((on_its_data or in_fp32)[-1:]), None)

    def why_not_comparable(
        self, checkpoint: Checkpoint, claim: Claim, measurement: Measurement | None, terms: Terms
    ) -> str:
        """Why a figure measured on these terms cannot be held against the claim; empty where it can."""
        del checkpoint, claim, measurement, terms
        return ""

    def caveat(self, measurement: Measurement) -> str:
        """What a reader of the number must know of what it rests on; empty where nothing is."""
        del measurement
        return ""

    def across(self, judged: Sequence[Judged]) -> list[Verdict]:
        """The verdicts once those of all rows are known: what the column as a whole says is told of each."""
        return [verdict for _, _, _, verdict in judged]
