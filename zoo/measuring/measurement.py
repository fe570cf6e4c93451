"""What was measured: one record a number, with everything the number depends on."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec

from ...reports.metrics import METRICS
from .sample import Sample

_LARGEST = 1e9
"""Of any figure: what is beyond has a slipped exponent, whatever its unit."""
_UNLIKE = "expected details and environment as zoo writes them: {}"
_Percentages = dict[str, float | None]
SAMPLE = "sample"
"""Of a measurement's details: what a subset's images say of the whole split (`sample.Sample`)."""
NotNegative = Annotated[int, msgspec.Meta(ge=0)]


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
    label_pixels: dict[str, NotNegative] = {}
    """Class name -> labelled pixels of the whole split, as they were counted; empty in older records."""
    stray_pixels: NotNegative = 0
    """Pixels whose label is neither a class nor ignored: they enlarge unions and nothing else."""
    image_count: NotNegative
    seconds: Annotated[float, msgspec.Meta(ge=0)]
    """Wall time of this run; images taken from stored evidence cost none."""
    new_images: NotNegative
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

    def sample_text(self, printed: str | None) -> str:
        """What a subset's images say of the whole split and of this figure; empty where nothing is."""
        sample = msgspec.convert(self.details, _Details).sample
        return sample.text(printed or "") if sample else ""

    def chance_caveat(self) -> str:
        """What of the number is chance; empty where nothing is."""
        random = self.environment.get("random", "")
        return f"one draw of many: {random}; its spread is that over seeds" if random else ""

    def fault(self) -> str:
        """What is impossible about the recorded values; empty where nothing is."""
        metric = METRICS.get(self.metric)
        limit = 100 if metric is not None and metric.unit == "%" else _LARGEST
        if not 0 <= self.value <= limit:
            return f"expected a {self.metric} from 0 to {limit:g}, found {self.value:g}"
        try:
            msgspec.convert(self.details, _Details)
            datetime.fromisoformat(self.taken_at.replace("Z", "+00:00"))
        except msgspec.ValidationError as error:
            return _UNLIKE.format(error)
        except ValueError:
            return f"expected a date and time as taken_at, found {self.taken_at!r}"
        return environment_fault(self.environment)


class _Closeness(msgspec.Struct):
    """A limit of `evaluate.count.margins.Closeness.summary`."""

    below: float
    miou_may_fall_points: float
    miou_may_rise_points: float


class _Details(msgspec.Struct):
    """What reports take from a measurement's details."""

    iou_percent: _Percentages = {}
    definitions: _Percentages = {}
    sample: Sample | None = None
    rounding: Annotated[list[_Closeness], msgspec.Meta(min_length=1)] | msgspec.UnsetType = msgspec.UNSET


class _Builder(msgspec.Struct):
    """Of `models.builders.Code`."""

    builder: str
    origin: str
    sha256: str


class _Export(msgspec.Struct):
    """Of a network that is a file by itself."""

    file: str
    runtime: str


class _Environment(msgspec.Struct):
    """What reports take from a measurement's environment."""

    packages: dict[str, str | None] = {}
    device: str | None = None
    platform: str | None = None
    python: str | None = None
    cuda: str | None = None
    cudnn: str | int | None = None
    random: str = ""
    builder: _Builder | None = None
    export: _Export | None = None


def environment_fault(environment: dict[str, Any]) -> str:
    """What is not as `evaluate.inference.device.environment` writes it; empty where all is."""
    try:
        msgspec.convert(environment, _Environment)
    except msgspec.ValidationError as error:
        return _UNLIKE.format(error)
    return ""
