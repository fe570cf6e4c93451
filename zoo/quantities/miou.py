"""mIoU: the mean over classes of intersection over union, areas summed over the data set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .counted import VIEWS, Counted

if TYPE_CHECKING:
    from ...evaluate.count.confusion import Matrix
    from ...evaluate.protocol import Void


def _score(matrix: Matrix, void: Void | None) -> float:
    from ...evaluate.count.confusion import accuracy_scores  # noqa: PLC0415  (numpy, which `zoo list` need not pay)

    return accuracy_scores(matrix, void).miou_percent


_VIEWS = {**VIEWS, "segfix": " w/ SegFix"}
"""The last one is openseg.pytorch's heading: labels are refined after the network."""
QUANTITY = Counted("miou", title="mIoU", rank=10, score=_score, views=_VIEWS)
