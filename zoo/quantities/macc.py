"""mAcc: the mean over classes of the share of labelled pixels that were found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .counted import Counted

if TYPE_CHECKING:
    from ...evaluate.count.confusion import Matrix
    from ...evaluate.protocol import Void


def _score(matrix: Matrix, void: Void | None) -> float:
    from ...evaluate.count.confusion import accuracy_scores  # noqa: PLC0415  (numpy, which `zoo list` need not pay)

    return accuracy_scores(matrix, void).macc_percent


QUANTITY = Counted("macc", title="mAcc", rank=20, score=_score)
