"""Quantities that pixel counts give: every one of them comes out of the same predictions, at the cost of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...reports.metrics import Metric
from .quantity import Quantity

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ...evaluate.count.confusion import Matrix
    from ...evaluate.protocol import Void
    from ..manifest import Checkpoint, Claim
    from ..measuring.bench import Bench
    from ..measuring.measurement import Measurement
    from ..measuring.terms import Terms, Unfinished

VIEWS = {"": "", "ms_flip": "(ms+flip)", "flip": "(flip)"}
"""What a claim's name says of its protocol -> what the column's heading adds: mIoU(ms+flip) is a mIoU."""


class Counted(Quantity):
    """A score in percent, computed from the counts of all images."""

    needs = "weights and data set; any device (a CPU is slow but exact)"

    def __init__(
        self,
        name: str,
        *,
        title: str,
        rank: int,
        score: Callable[[Matrix, Void | None], float],
        decimals: int = 2,
        views: Mapping[str, str] = VIEWS,
    ) -> None:
        """`score`: percent from a (C + 1) x C matrix as of `evaluate.count.confusion`, whole, and a protocol's void classes; ValueError where it has none."""
        self.rank, self.score = rank, score
        self.metrics = {
            f"{name}_{view}" if view else name: Metric(
                title=title + told,
                base=title,
                unit="%",
                decimals=decimals,
                higher_is_better=True,
                claim_needs=("protocol",),
            )
            for view, told in views.items()
        }

    def measure(self, bench: Bench, claim: Claim) -> Measurement | Unfinished:
        """From counts, taken now or stored."""
        if not _has_protocol(bench.checkpoint, claim):
            from ..measuring.terms import NotMeasured  # noqa: PLC0415  (which `zoo list` need not pay)

            raise NotMeasured(f"no protocol is known for it: {claim.note}")
        return bench.count(claim)

    def digest(self, checkpoint: Checkpoint, claim: Claim, dataset: str) -> str:
        """Of the protocol that the claim names; of today's file's, where an earlier file's figure was by another one."""
        del dataset
        return checkpoint.protocol(claim.metric).digest() if _has_protocol(checkpoint, claim) else ""

    def why_not_comparable(
        self, checkpoint: Checkpoint, claim: Claim, measurement: Measurement | None, terms: Terms
    ) -> str:
        """Another file, other data than the claim's, a part of it, another precision or another protocol."""
        if why := _of_another_file(checkpoint, claim, measurement):
            return why
        if terms.precision != "fp32":
            return f"measured in {terms.precision}, the figure is fp32's"
        if measurement is not None and measurement.subset:
            told = measurement.sample_text(claim.printed)
            return f"a pinned subset, {measurement.subset}: no reproduction" + (told and f"; {told}")
        if terms.not_comparable or terms.protocol is None:
            return terms.not_comparable
        own = checkpoint.protocol(claim.metric)
        if terms.protocol.digest() == own.digest():
            return ""
        return f"measured by {terms.protocol.name}, the figure is by {own.name}"

    def caveat(self, measurement: Measurement) -> str:
        """What is wrong with the labels, and what of the number is chance."""
        return "; ".join(filter(None, (measurement.data_caveat(), measurement.chance_caveat())))


def _has_protocol(checkpoint: Checkpoint, claim: Claim) -> bool:
    return bool(claim.protocol or (claim.earlier_file and claim.metric in checkpoint.protocols))


def _of_another_file(checkpoint: Checkpoint, claim: Claim, measurement: Measurement | None) -> str:
    """Why a figure is of another file than was measured, where the row's was replaced; empty where it is not."""
    earlier = {one.earlier_file for one in checkpoint.claims} - {""}
    digits = measurement.weights_sha256[:8] if measurement else ""
    used = digits if digits in earlier else ""
    if claim.earlier_file == used:
        return ""
    done = "published for" if claim.earlier_file else "measured with"
    return f"{done} an earlier file, -{claim.earlier_file or used}.pth, which was replaced"
