"""mDice: the mean over classes of twice the intersection over the sum of predicted and labelled area."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .counted import Counted

if TYPE_CHECKING:
    from ...evaluate.count.confusion import Matrix
    from ...evaluate.protocol import Void


def _score(matrix: Matrix, void: Void | None) -> float:
    from ...evaluate.count.confusion import mdice_percent  # noqa: PLC0415  (numpy, which `zoo list` need not pay)

    return mdice_percent(matrix, void)


QUANTITY = Counted("mdice", title="mDice", rank=40, score=_score)
