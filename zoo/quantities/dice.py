"""Dice: that of the one foreground class of a data set of two, the vessel in mmsegmentation's tables of retinas."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .counted import Counted

if TYPE_CHECKING:
    from ...evaluate.count.confusion import Matrix
    from ...evaluate.protocol import Void


def _score(matrix: Matrix, void: Void | None) -> float:
    from ...evaluate.count.confusion import dice_percent  # noqa: PLC0415  (numpy, which `zoo list` need not pay)

    values = dice_percent(matrix, void)
    if len(values) != 2:
        raise ValueError(
            f"Dice is of the foreground of two classes, the data set has {len(values)}; claim mdice"
        )
    return float(values[1])


QUANTITY = Counted("dice", title="Dice", rank=50, score=_score)
