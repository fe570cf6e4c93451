"""Obtain, measure, judge: verdicts on published claims, yielded as they become known. Prints nothing.

What cannot be measured is an outcome with its reason, never a skipped row.
"""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from ..evaluate.accuracy import (
    Loading,
    Tally,
    count_missing,
    counts_from_evidence,
    matrix_from_evidence,
    missing,
)
from ..evaluate.confusion import accuracy_scores, areas
from ..evaluate.datasets import Dataset, DatasetError, DatasetSpec, ImageFault, Sample, locate
from ..evaluate.definitions import all_definitions
from ..evaluate.device import Precision, device_kind, environment, numerics, resolve_device
from ..evaluate.evidence import EvidenceKey, EvidenceStore
from ..evaluate.margins import explanation
from ..evaluate.protocol import EvalProtocol
from ..models.weights import WeightsError
from ..reports import ledger
from ..reports.verdict import Status, Tolerance, Verdict, judge, tolerance_of
from ..reports.verdict import exit_code as verdicts_exit_code
from .fetch import FetchError, IntegrityError, Progress, check_hash, fetch
from .manifest import Checkpoint, Claim
from .measurement import Measurement
from .memory import METRIC as TRAIN_MEMORY
from .memory import NotTrainable, measure_claim

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import torch

    from ..evaluate.confusion import Scores

ACCURACY_METRICS = ("miou", "miou_ms_flip", "miou_flip")
CANNOT_MEASURE, NOT_THE_FILE = 3, 4
"""Exit codes: something needed is missing; a file is not what it claims to be."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How to measure; nothing in here may change a number but the protocols and the precision."""

    device: str = "cpu"
    precision: Precision = "fp32"
    loading: Loading = Loading()
    data_root: Path | None = None
    metrics: tuple[str, ...] = ()
    """Claims to judge; empty for all."""
    protocol: EvalProtocol | None = None
    home: Path | None = None
    """Weights cache; None for `ZOO_HOME`."""
    offline: bool | None = None
    evidence: Path
    ledger: Path
    tolerance: Tolerance = Tolerance()
    """Of accuracies, in points; training memory has its own (`reports.verdict.tolerance_of`)."""
    not_comparable: str = ""
    """Why the published figures are not about this data; empty where they are."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one claim."""

    checkpoint: Checkpoint
    claim: Claim
    verdict: Verdict
    measurement: Measurement | None = None
    exit_code: int = 0
    """What this outcome alone would end the command with."""


class Watcher(Protocol):
    """Told of long work as it goes on; a progress bar is one."""

    def download(self, checkpoint: Checkpoint) -> AbstractContextManager[Progress | None]:
        """Weights of a checkpoint are about to be fetched."""
        ...

    def images(
        self,
        found: Iterator[Sample | ImageFault],
        checkpoint: Checkpoint,
        claim: Claim,
        *,
        total: int,
        stored: int,
        tally: Tally,
    ) -> Iterable[Sample | ImageFault]:
        """Pass `found` on; `stored` of `total` images need no work; `tally` is what is counted so far."""
        ...


class Silent:
    """A watcher that shows nothing."""

    def download(self, checkpoint: Checkpoint) -> AbstractContextManager[Progress | None]:
        """Nothing to show."""
        del checkpoint
        return nullcontext()

    def images(
        self,
        found: Iterator[Sample | ImageFault],
        checkpoint: Checkpoint,
        claim: Claim,
        *,
        total: int,
        stored: int,
        tally: Tally,
    ) -> Iterable[Sample | ImageFault]:
        """Pass on what was found."""
        del checkpoint, claim, total, stored, tally
        return found


class NotMeasured(Exception):  # noqa: N818  (an answer, not a fault of the program)
    """Why a claim has no measurement, and the exit code that stands for it."""

    def __init__(self, reason: str, exit_code: int = CANNOT_MEASURE) -> None:
        super().__init__(reason)
        self.reason = reason
        self.exit_code = exit_code


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a row's accuracy claims are measured with."""

    checkpoint: Checkpoint
    dataset: Dataset
    contents: dict[str, str]
    model: Any
    weights_sha256: str


def verify(
    checkpoints: Iterable[Checkpoint], options: Options, watcher: Watcher | None = None
) -> Iterator[Outcome]:
    """Judge every chosen claim of every checkpoint.

    Raises:
        DeviceError: the device does not exist.
        EvidenceError: the evidence file cannot be used.
        LedgerError: the ledger cannot be written.
    """
    device = resolve_device(options.device)
    shelf = DatasetShelf(options.data_root)
    with EvidenceStore(options.evidence) as store, numerics(options.precision):
        for checkpoint in checkpoints:
            yield from RowVerifier(checkpoint, options, store, shelf, device, watcher or Silent()).outcomes()


class DatasetShelf:
    """Data sets found once for all the rows that share them; hashing one means reading it."""

    def __init__(self, data_root: Path | None) -> None:
        self.data_root = data_root
        self._found: dict[str, tuple[Dataset, dict[str, str]]] = {}

    def get(self, spec: DatasetSpec) -> tuple[Dataset, dict[str, str]]:
        """A data set and its contents by id.

        Raises:
            DatasetError: it is not there, or not whole.
        """
        if spec.name not in self._found:
            dataset = locate(spec, self.data_root)
            self._found[spec.name] = dataset, dataset.contents()
        return self._found[spec.name]


class RowVerifier:
    """The claims of one checkpoint; weights and data are obtained once, at the first claim that needs them."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        options: Options,
        store: EvidenceStore,
        shelf: DatasetShelf,
        device: torch.device,
        watcher: Watcher,
    ) -> None:
        self.checkpoint = checkpoint
        self.options = options
        self.store = store
        self.shelf = shelf
        self.device = device
        self.watcher = watcher
        self._subject: Subject | NotMeasured | None = None
        self._measured: dict[tuple[str, str], Measurement] = {}

    def outcomes(self) -> Iterator[Outcome]:
        """One outcome a claim, in the manifest's order."""
        for claim in self.checkpoint.claims:
            if not self.options.metrics or claim.metric in self.options.metrics:
                yield self._outcome(claim)

    def _outcome(self, claim: Claim) -> Outcome:
        if claim.printed is None:
            return self._judged(claim, None, reason=claim.note or "the source prints no number")
        try:
            measurement = self.measure(claim)
        except NotMeasured as absence:
            return self._judged(claim, None, reason=absence.reason, exit_code=absence.exit_code)
        return self._judged(claim, measurement)

    def _judged(
        self, claim: Claim, measurement: Measurement | None, *, reason: str = "", exit_code: int = 0
    ) -> Outcome:
        verdict = judge(
            checkpoint=self.checkpoint.id,
            metric=claim.metric,
            printed=claim.printed,
            measured=None if measurement is None else measurement.value,
            tolerance=tolerance_of(claim.metric, self.options.tolerance),
            reason=reason or self._caveat(measurement),
            comparable=claim.metric not in ACCURACY_METRICS
            or (not self.options.not_comparable and self.options.precision == "fp32"),
            images=(measurement.image_count or None) if measurement else None,
            date=claim.date or "",
        )
        return Outcome(
            checkpoint=self.checkpoint,
            claim=claim,
            verdict=_with_rounding(verdict, measurement),
            measurement=measurement,
            exit_code=max(exit_code, verdict.status.exit_code),
        )

    def _caveat(self, measurement: Measurement | None) -> str:
        """What a reader of a measured number must know of the data it rests on."""
        if measurement is None or measurement.metric not in ACCURACY_METRICS:
            return ""
        stray = measurement.stray_pixels
        wrong = f"{stray} pixels have label values outside the classes; see zoo data --full" if stray else ""
        precision = self.options.precision
        other = f"measured in {precision}; the claim is fp32's" if precision != "fp32" else ""
        return "; ".join(part for part in (self.options.not_comparable, other, wrong) if part)

    def measure(self, claim: Claim) -> Measurement:
        """Our number for a claim, taken now, or from stored evidence as far as that goes.

        Raises:
            NotMeasured: weights, data or a way to measure this metric are missing.
        """
        if claim.metric == TRAIN_MEMORY:
            return self._measure_memory()
        if claim.metric not in ACCURACY_METRICS:
            raise NotMeasured(f"this version of segbench does not measure {claim.metric} yet")
        protocol = self.options.protocol or self.checkpoint.protocol(claim.metric)
        known = self._measured.get((claim.metric, protocol.digest()))
        if known is not None:
            return known  # a figure its authors revised: both claims rest on one measurement
        measurement = self._measure_accuracy(claim, protocol, self.subject())
        self._measured[claim.metric, protocol.digest()] = measurement
        if measurement.new_images or not _is_recorded(measurement, self.options.ledger):
            ledger.append(self.options.ledger, measurement)
        return measurement

    def _measure_memory(self) -> Measurement:
        """Foretold, so that it needs neither weights nor data nor the options' device."""
        try:
            measurement = measure_claim(self.checkpoint)
        except NotTrainable as error:
            raise NotMeasured(str(error)) from error
        if not _is_recorded(measurement, self.options.ledger):
            ledger.append(self.options.ledger, measurement)
        return measurement

    def subject(self) -> Subject:
        """Data set and weights, obtained once.

        Raises:
            NotMeasured: they cannot be had; the same reason again for each claim of the row.
        """
        if self._subject is None:
            self._subject = self._obtain()
        if isinstance(self._subject, NotMeasured):
            raise self._subject
        return self._subject

    def _obtain(self) -> Subject | NotMeasured:
        try:
            dataset, contents = self.shelf.get(self.checkpoint.dataset_spec)
            with self.watcher.download(self.checkpoint) as progress:
                path = fetch(
                    self.checkpoint, home=self.options.home, offline=self.options.offline, progress=progress
                )
            return Subject(
                checkpoint=self.checkpoint,
                dataset=dataset,
                contents=contents,
                model=self.checkpoint.load(path).to(self.device),
                weights_sha256=check_hash(path, self.checkpoint.weights),
            )
        except (IntegrityError, WeightsError) as error:
            return NotMeasured(str(error), NOT_THE_FILE)
        except (DatasetError, FetchError) as error:
            return NotMeasured(str(error))

    def _measure_accuracy(self, claim: Claim, protocol: EvalProtocol, subject: Subject) -> Measurement:
        started = time.monotonic()
        key = self.key(protocol, subject)
        dataset, samples, contents = subject.dataset, subject.dataset.samples, subject.contents
        lacking = len(missing(samples, contents, self.store, key))
        tally = self._tally(subject, key)
        found = count_missing(
            subject.model, dataset, contents, protocol, self.store, key,
            loading=self.options.loading, tally=tally,
        )  # fmt: skip
        stored = len(samples) - lacking
        watched = self.watcher.images(
            found, self.checkpoint, claim, total=len(samples), stored=stored, tally=tally
        )
        faults = [result for result in watched if isinstance(result, ImageFault)]
        if faults:
            raise NotMeasured(_faults_reason(faults, len(samples)))
        matrix = matrix_from_evidence(contents, self.store, key)
        scores = accuracy_scores(matrix)
        others = all_definitions(
            counts_from_evidence(contents, self.store, key), dataset.spec.category_indices()
        )
        return Measurement(
            checkpoint=self.checkpoint.id,
            metric=claim.metric,
            value=scores.miou_percent,
            details=_details(scores, dataset.spec.classes)
            | {"definitions": others}
            | _margins(tally, protocol, len(samples)),
            protocol=protocol.name,
            protocol_digest=key.protocol_digest,
            weights_sha256=key.weights_sha256,
            dataset=dataset.spec.name,
            dataset_fingerprint=dataset.fingerprint(contents),
            dataset_ids_sha256=dataset.ids_sha256(),
            stray_pixels=int(matrix[-1].sum()),
            label_pixels=dict(zip(dataset.spec.classes, areas(matrix)[3].tolist(), strict=True)),
            image_count=len(samples),
            seconds=round(time.monotonic() - started, 3),
            new_images=lacking,
            precision=key.precision,
            environment=environment(self.device),
            taken_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        )

    def _tally(self, subject: Subject, key: EvidenceKey) -> Tally:
        """A tally that begins with the counts that are stored."""
        tally = Tally(key.num_classes)
        wanted = set(subject.contents.items())
        for image, matrix in self.store.counts(key):
            if image in wanted:
                tally.matrix += matrix
        return tally

    def key(self, protocol: EvalProtocol, subject: Subject) -> EvidenceKey:
        """What counts of this row under a protocol are stored by."""
        return EvidenceKey(
            weights_sha256=subject.weights_sha256,
            protocol_digest=protocol.digest(),
            dataset_rules=subject.dataset.rules_digest(),
            precision=self.options.precision,
            device_kind=device_kind(self.device),
            num_classes=len(subject.dataset.spec.classes),
        )


def _faults_reason(faults: list[ImageFault], total: int) -> str:
    """Name every unusable image; the others' counts are kept."""
    shown = "; ".join(fault.message for fault in faults[:3])
    more = f" (and {len(faults) - 3} more)" if len(faults) > 3 else ""
    return f"{len(faults)} of {total} images could not be used, the rest is kept: {shown}{more}"


def _details(scores: Scores, classes: tuple[str, ...]) -> dict[str, Any]:
    return {
        "macc_percent": scores.macc_percent,
        "aacc_percent": scores.aacc_percent,
        "iou_percent": dict(zip(classes, scores.iou_percent, strict=True)),
    }


def _margins(tally: Tally, protocol: EvalProtocol, total: int) -> dict[str, Any]:
    """Close pixels of the images predicted in this run; a bound on mIoU only where that is all of them."""
    if not tally.margins.images:
        return {}
    unit = "of probability" if protocol.average == "probabilities" else "of raw score"
    whole = tally.matrix if tally.margins.images == total else None
    return {"rounding": tally.margins.summary(whole, unit)}


def _with_rounding(verdict: Verdict, measurement: Measurement | None) -> Verdict:
    """The verdict, whose reason says whether rounding can explain a difference beyond the limit."""
    beyond = verdict.status in (Status.DRIFT, Status.REFUTED)
    if not beyond or measurement is None or verdict.delta is None or "rounding" not in measurement.details:
        return verdict
    said = explanation(measurement.details["rounding"], verdict.delta)
    return msgspec.structs.replace(verdict, reason="; ".join(filter(None, (verdict.reason, said))))


def _is_recorded(measurement: Measurement, path: Path) -> bool:
    """True where the ledger already holds this number under the same conditions."""
    if not path.is_file():
        return False
    same = (
        "checkpoint",
        "metric",
        "value",
        "protocol_digest",
        "weights_sha256",
        "dataset_fingerprint",
        "precision",
    )
    return any(
        all(getattr(record, field) == getattr(measurement, field) for field in same)
        for record in ledger.read(path, Measurement)
    )


def exit_code(outcomes: Iterable[Outcome]) -> int:
    """The command's exit code: a file that is not what it claims to be comes before what the verdicts say."""
    known = list(outcomes)
    if any(outcome.exit_code == NOT_THE_FILE for outcome in known):
        return NOT_THE_FILE
    return verdicts_exit_code(outcome.verdict for outcome in known)
