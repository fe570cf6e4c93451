"""What was measured: one record a number, with everything the number depends on."""

from __future__ import annotations

from typing import Any

import msgspec

from ..reports.metrics import METRICS

_LARGEST = 1e9
"""Of any figure: what is beyond has a slipped exponent, whatever its unit."""
_Percentages = dict[str, float | None]


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """One measured number; a line of the ledger."""

    checkpoint: str
    metric: str
    value: float
    """In the metric's unit (`reports.metrics`), unrounded."""
    details: dict[str, Any] = {}
    """Further figures of the same run, in percent: mAcc, aAcc, per-class IoU, other definitions of mIoU."""
    protocol: str
    protocol_digest: str
    weights_sha256: str
    dataset: str
    subset: str = ""
    """Which part of the split was measured, in words; empty for all of it. A part never answers a claim."""
    dataset_fingerprint: str
    dataset_ids_sha256: str = ""
    """SHA-256 (hex) of the split's ids in order, one a line; empty in records older than this field."""
    label_pixels: dict[str, int] = {}
    """Class name -> labelled pixels of the whole split, as they were counted; empty in older records."""
    stray_pixels: int = 0
    """Pixels whose label is neither a class nor ignored: they enlarge unions and nothing else."""
    image_count: int
    seconds: float
    """Wall time of this run; images taken from stored evidence cost none."""
    new_images: int
    """Images predicted in this run; the others came from stored evidence."""
    precision: str
    environment: dict[str, Any]
    taken_at: str
    """UTC, ISO 8601."""

    def data_caveat(self) -> str:
        """What is wrong with the labels behind the number; empty where nothing is."""
        if not self.stray_pixels:
            return ""
        return f"{self.stray_pixels} pixels have label values outside the classes; see zoo data --full"

    def fault(self) -> str:
        """What is impossible about the recorded values; empty where nothing is."""
        metric = METRICS.get(self.metric)
        limit = 100 if metric is not None and metric.unit == "%" else _LARGEST
        if not 0 <= self.value <= limit:
            return f"expected a {self.metric} from 0 to {limit:g}, found {self.value:g}"
        try:
            for name in ("iou_percent", "definitions"):
                msgspec.convert(self.details.get(name, {}), _Percentages)
            msgspec.convert(self.environment.get("packages", {}), dict[str, str | None])
        except msgspec.ValidationError as error:
            return f"expected details and environment as zoo writes them: {error}"
        return ""
