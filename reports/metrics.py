"""The metrics that tables print: unit, decimals and better direction, known in this one place."""

from __future__ import annotations

from typing import Literal

import msgspec

MetricName = Literal["miou", "miou_ms_flip", "miou_flip", "train_memory", "fps"]


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """How one metric is written and compared."""

    title: str
    """Column heading."""
    unit: str
    """`%` (points of a percentage), `GB` (here MiB / 1000, see the note in docs), `img/s`."""
    decimals: int
    """Digits after the point that publishers print."""
    higher_is_better: bool


METRICS: dict[str, Metric] = {
    "miou": Metric(title="mIoU", unit="%", decimals=2, higher_is_better=True),
    "miou_ms_flip": Metric(title="mIoU(ms+flip)", unit="%", decimals=2, higher_is_better=True),
    "miou_flip": Metric(title="mIoU(flip)", unit="%", decimals=2, higher_is_better=True),
    "train_memory": Metric(title="Mem (GB)", unit="GB", decimals=3, higher_is_better=False),
    "fps": Metric(title="Inf time (fps)", unit="img/s", decimals=2, higher_is_better=True),
}
