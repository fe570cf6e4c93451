"""RMSE of depth in metres: listed as printed, for two rows of mmsegmentation; nothing here scores depth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...reports.metrics import Metric
from ..measuring.terms import NotMeasured
from .quantity import Quantity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..manifest import Checkpoint, Claim
    from ..measuring.bench import Bench
    from ..measuring.measurement import Measurement


class Rmse(Quantity):
    """The root of the mean squared error of an estimated depth."""

    rank = 60
    needs = "what this suite has not: a score of depth"
    metrics: Mapping[str, Metric] = {
        "rmse": Metric(title="RMSE", unit="m", decimals=3, higher_is_better=False)
    }

    def measure(self, bench: Bench, claim: Claim) -> Measurement:
        """Never.

        Raises:
            NotMeasured: always.
        """
        del bench, claim
        raise NotMeasured("depth is not scored here")

    def digest(self, checkpoint: Checkpoint, claim: Claim, dataset: str) -> str:
        """Nothing answers it."""
        del checkpoint, claim, dataset
        return ""


QUANTITY = Rmse()
