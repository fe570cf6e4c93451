"""What was measured: one record a number, with everything the number depends on."""

from __future__ import annotations

from typing import Any

import msgspec


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
