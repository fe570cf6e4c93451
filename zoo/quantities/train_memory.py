"""Training memory: foretold from the architecture, so that any machine measures it.

The published column is headed GB and holds MiB / 1000.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...reports.metrics import Metric
from ...reports.tolerance import Tolerance
from ..measuring.terms import NotMeasured
from .quantity import Quantity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..manifest import Checkpoint, Claim
    from ..measuring.bench import Bench
    from ..measuring.measurement import Measurement
    from ..measuring.terms import Terms


class TrainMemory(Quantity):
    """The peak of what a training step takes of one device."""

    rank = 80
    needs = "nothing: foretold by tracing a training step, seconds a row (zoo memory)"
    metrics: Mapping[str, Metric] = {
        "train_memory": Metric(
            title="Mem (GB)",
            unit="GB",
            decimals=3,
            higher_is_better=False,
            tolerance=Tolerance(
                reproduced=0.02,
                drift=0.05,
                relative=True,
                reason="a column taken for GiB would be 2.3 % off and one for GB 4.9 %, and neither may count as "
                "reproduced",
            ),
            claim_needs=("batch", "crop"),
        )
    }

    def measure(self, bench: Bench, claim: Claim) -> Measurement:
        """Foretold: needs neither weights nor data nor the options' device."""
        del claim
        from ..measuring.foretold import foretold  # noqa: PLC0415
        from ..measuring.training_memory import NotTrainable  # noqa: PLC0415

        try:
            return foretold(bench.checkpoint, bench.options.home)
        except NotTrainable as error:
            raise NotMeasured(str(error)) from error

    def digest(self, checkpoint: Checkpoint, claim: Claim, dataset: str) -> str:
        """Of the step that the claim's batch and crop make."""
        del dataset
        from ..measuring.training_memory import claim_protocol  # noqa: PLC0415

        return claim_protocol(checkpoint).digest() if claim.printed else ""

    def why_not_comparable(
        self, checkpoint: Checkpoint, claim: Claim, measurement: Measurement | None, terms: Terms
    ) -> str:
        """Another step than the published one, or one of a training whose file was replaced and whose figure was too."""
        del terms
        if claim.earlier_file and any(
            one.supersedes == claim.printed for one in checkpoint.claims if one.metric == claim.metric
        ):
            return f"published for the training of an earlier file, -{claim.earlier_file}.pth, which was replaced"
        if checkpoint.training and checkpoint.training.mixed_precision:
            return "published for mixed precision, and the step is float32's"
        if measurement is None or measurement.protocol_digest == self.digest(checkpoint, claim, ""):
            return ""
        return "published for another batch, crop or number of classes"


QUANTITY = TrainMemory()
