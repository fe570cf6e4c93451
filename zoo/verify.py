"""Obtain, measure, judge: verdicts on published claims, yielded as they become known. Prints nothing.

What cannot be measured is an outcome with its reason, never a skipped row.
"""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from ..evaluate.data.datasets import Dataset, DatasetError, ImageFault, Sample
from ..evaluate.data.subsets import in_even_order, pinned_order, slice_of
from ..evaluate.evidence import EvidenceKey, EvidenceStore, Split, Use
from ..evaluate.evidence.label_areas import label_areas
from ..evaluate.evidence.scores import missing
from ..reports import ledger
from ..reports.verdict import Verdict
from .console.exit_codes import ExitCode, gravest, of_status, of_verdicts
from .engines import Engine, opened
from .manifest import Checkpoint, Claim
from .measuring.bench import Options, Subject
from .measuring.early import Foresight
from .measuring.measurement import SAMPLE, Measurement
from .measuring.network_form import on_record, tell_of_stored_form
from .measuring.own_code import code_facts, network_trouble_named
from .measuring.supplies import DatasetShelf, Supplies
from .measuring.terms import NotMeasured, Unfinished
from .quantities import quantity_of
from .results.judging import foreseen, verdict_on
from .results.recount import lacking, recount

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

    from ..evaluate.inference.choices import Precision
    from ..evaluate.protocol import EvalProtocol
    from .fetch import Progress
    from .measuring.speed import SpeedRun

__all__ = [
    "DatasetShelf", "NotMeasured", "Options", "Outcome", "RowVerifier", "Silent", "Subject", "Watcher", "exit_code", "verify",
]  # fmt: skip


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one claim."""

    checkpoint: Checkpoint
    claim: Claim
    verdict: Verdict
    measurement: Measurement | None = None
    exit_code: ExitCode = ExitCode.OK
    """What this outcome alone would end the command with."""
    is_share: bool = False
    """True where a shard did its part and the number waits for the others."""


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
        running: Foresight | None,
    ) -> Iterable[Sample | ImageFault]:
        """Pass `found` on; `stored` of `total` images need no work; `running` knows what the others, once passed on, will give; None where no work is left."""
        ...

    def timing(self, steps: Iterator[tuple[int, int, SpeedRun | None]], checkpoint: Checkpoint) -> SpeedRun:
        """Exhaust the steps of a timed run and give its end."""
        ...

    def labels(self, dataset: Dataset) -> Iterable[Sample]:
        """Pass on the samples of a data set whose labels are about to be read."""
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
        running: Foresight | None,
    ) -> Iterable[Sample | ImageFault]:
        """Pass on what was found."""
        del checkpoint, claim, total, stored, running
        return found

    def timing(self, steps: Iterator[tuple[int, int, SpeedRun | None]], checkpoint: Checkpoint) -> SpeedRun:
        """Exhaust the steps."""
        del checkpoint
        return next(run for _, _, run in steps if run is not None)

    def labels(self, dataset: Dataset) -> Iterable[Sample]:
        """Pass on the data set's samples."""
        return dataset.samples


def verify(
    checkpoints: Iterable[Checkpoint], options: Options, watcher: Watcher | None = None
) -> Iterator[Outcome]:
    """Judge every chosen claim of every checkpoint.

    Raises:
        DeviceError: the device does not exist.
        EngineError: the cluster cannot be used, or not any more.
        EvidenceError: the evidence file cannot be used.
        LedgerError: the ledger cannot be written.
    """
    shelf, watcher = DatasetShelf(options.data_root), watcher or Silent()
    with opened(options) as engine, EvidenceStore(options.evidence) as store:
        for checkpoint in checkpoints:
            yield from RowVerifier(checkpoint, options, store, shelf, engine, watcher).outcomes()


class RowVerifier:
    """The claims of one checkpoint."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        options: Options,
        store: EvidenceStore,
        shelf: DatasetShelf,
        engine: Engine,
        watcher: Watcher,
    ) -> None:
        self.checkpoint = checkpoint
        self.options = options
        self.store = store
        self.engine = engine
        self.watcher = watcher
        self.supplies = Supplies(checkpoint, options, shelf, engine.prepare, watcher.download)
        self._measured: dict[tuple[str, str], Measurement] = {}
        self._on_record: dict[int, Measurement] = {}
        """By identity: one measurement answers each of a figure's revisions."""

    def outcomes(self) -> Iterator[Outcome]:
        """One outcome a claim, in the manifest's order."""
        for claim in self.checkpoint.claims:
            if not self.options.metrics or claim.metric in self.options.metrics:
                yield self._outcome(claim)

    def _outcome(self, claim: Claim) -> Outcome:
        if claim.printed is None:
            return self._judged(claim, None)
        try:
            answer = self.measure(claim)
        except NotMeasured as absence:
            return self._judged(claim, None, reason=absence.reason, exit_code=absence.exit_code)
        if not isinstance(answer, Unfinished):
            return self._judged(claim, answer)
        if answer.verdict is None:
            share = self._judged(claim, None, reason=answer.reason)
            return msgspec.structs.replace(share, is_share=True)
        code = of_status(answer.verdict.status)
        return Outcome(checkpoint=self.checkpoint, claim=claim, verdict=answer.verdict, exit_code=code)

    def _judged(
        self,
        claim: Claim,
        measurement: Measurement | None,
        *,
        reason: str = "",
        exit_code: ExitCode = ExitCode.OK,
    ) -> Outcome:
        verdict = verdict_on(self.checkpoint, claim, measurement, self.options.terms(), absent=reason)
        return Outcome(
            checkpoint=self.checkpoint,
            claim=claim,
            verdict=verdict,
            measurement=measurement,
            exit_code=gravest((exit_code, of_status(verdict.status))),
        )

    def measure(self, claim: Claim) -> Measurement | Unfinished:
        """Our number for a claim, taken now, or from stored evidence as far as that goes.

        Raises:
            NotMeasured: weights, data or a way to measure this metric are missing.
        """
        _require_network(self.checkpoint, self.options)
        answer = quantity_of(claim.metric).measure(self, claim)
        if not isinstance(answer, Unfinished) and id(answer) not in self._on_record:
            self._on_record[id(answer)] = answer
            if answer.new_images or not _is_recorded(answer, self.options.ledger):
                ledger.append(self.options.ledger, answer)
        return answer

    def count(self, claim: Claim) -> Measurement | Unfinished:
        """The score that a claim is about, from counts that are taken now or stored.

        Raises:
            NotMeasured: weights, data or images are missing.
        """
        protocol = self.options.protocol or self.checkpoint.protocol(claim.metric)
        name = (claim.metric, protocol.digest())
        if name in self._measured:  # a figure its authors revised: both claims rest on one measurement
            return self._measured[name]
        answer = self._measure_accuracy(claim, protocol, self.subject())
        if not isinstance(answer, Unfinished):
            self._measured[name] = answer
        return answer

    def timed(self, steps: Iterator[tuple[int, int, SpeedRun | None]]) -> SpeedRun:
        """Exhaust the steps of a timed run before the watcher's eyes."""
        return self.watcher.timing(steps, self.checkpoint)

    def subject(self) -> Subject:
        """Data set and weights, obtained once.

        Raises:
            NotMeasured: they cannot be had; the same reason again for each claim of the row.
        """
        return self.supplies.subject()

    def _measure_accuracy(
        self, claim: Claim, protocol: EvalProtocol, subject: Subject
    ) -> Measurement | Unfinished:
        key, whole = self.key(protocol, subject), self._part(subject)
        mine = _share(whole, self.options.shard)
        lack = missing(mine, subject.contents, self.store, key)
        foresight = self._foresight(claim, protocol, key, subject) if lack else None
        figure = self._until_sure_of(claim, protocol)
        if foresight and figure and foresight.verdict(figure):
            lack = []
        use = _use(claim, protocol, subject, whole)
        environment = self._environment(key, use, subject, counts=bool(lack))
        use = msgspec.structs.replace(use, environment=environment)
        started = time.monotonic()  # torch is there by now, and the network
        self.store.describe(key, use)
        self._count(claim, protocol, subject, mine, len(lack), foresight)
        left = lacking(self.store, key, use.split)
        certain = foresight.verdict(figure) if foresight and figure and left else None
        if certain:
            return Unfinished(reason=certain.reason, verdict=certain)
        if left:
            return _share_done(self.options.shard, len(whole), left)
        seconds = round(time.monotonic() - started, 3)
        try:
            found = recount(self.store, key, use, seconds=seconds, new_images=len(lack))
        except ValueError as error:
            raise NotMeasured(f"{subject.dataset.root}: {error}") from error
        if not (found.subset and _is_miou(claim)):
            return found
        sample = self._foresight(claim, protocol, key, subject, use.split.images).sample()
        return msgspec.structs.replace(found, details=found.details | {SAMPLE: msgspec.to_builtins(sample)})

    def _environment(self, key: EvidenceKey, use: Use, subject: Subject, *, counts: bool) -> dict[str, Any]:
        """Where counts are made: here, with the network ready, if this run `counts`; else where the row's were."""
        stored = _stored_environments(self.store, key, use)
        if counts:
            self.supplies.make_ready(subject)
        elif stored:
            tell_of_stored_form(stored[0].get("network"), subject.checkpoint, subject.file, self.options)
            return stored[0]
        here = _environment_here(self.engine, self.options.precision, subject)
        return here | {"network": on_record(one.get("network") for one in [here, *stored])}

    def _count(
        self,
        claim: Claim,
        protocol: EvalProtocol,
        subject: Subject,
        samples: tuple[Sample, ...],
        new: int,
        foresight: Foresight | None = None,
    ) -> None:
        """Count those of `samples` that lack evidence, `new` of them, until foresight has seen enough."""
        key, contents = self.key(protocol, subject), subject.contents
        figure = self._until_sure_of(claim, protocol)
        if figure and new:
            place = {name: index for index, name in enumerate(self._order(subject))}
            samples = tuple(sorted(samples, key=lambda sample: place[sample.id]))
        else:  # the images so far lie evenly in the split, whenever one looks
            samples = tuple(in_even_order(samples))
        dataset = msgspec.structs.replace(subject.dataset, samples=samples)
        found = self.engine.count(subject, dataset, contents, protocol, self.store, key) if new else iter(())
        if foresight:
            found = foresight.watch(
                found, lambda name: self.store.get(key, (name, contents[name])), until_sure_of=figure
            )
        watched = self.watcher.images(
            found, self.checkpoint, claim, total=len(samples), stored=len(samples) - new, running=foresight
        )
        with _counting(self.checkpoint, self.options.precision) if new else nullcontext():
            faults = [result for result in watched if isinstance(result, ImageFault)]
        if faults:
            raise NotMeasured(_faults_reason(faults, len(samples)))

    def _foresight(
        self,
        claim: Claim,
        protocol: EvalProtocol,
        key: EvidenceKey,
        subject: Subject,
        part: Collection[tuple[str, str]] | None = None,
    ) -> Foresight:
        """What the stored counts of a `part`, by default of all images of the split, say of the whole split's mIoU."""
        contents = subject.contents
        part = contents.items() if part is None else set(part)
        claims = (
            [one for one in self.checkpoint.claims if one.metric == claim.metric] if _is_miou(claim) else []
        )
        return Foresight(
            ((image[0], matrix) for image, matrix in self.store.counts(key) if image in part),
            len(contents),
            {one.printed: partial(self._foreseen, one) for one in claims if one.printed},
            protocol.void,
            self._areas_for_bounds(subject) if _is_bounded(claim, protocol) else None,
        )

    def _areas_for_bounds(self, subject: Subject) -> dict[str, Any] | None:
        """Of every label; where they are not at hand, labels are read for `--until-sure` alone."""
        contents = subject.contents
        if self.options.until_sure:
            try:
                return self._label_areas(subject)
            except DatasetError as error:
                raise NotMeasured(f"bounds need every label, and one cannot be read: {error}") from error
        known = self.store.label_areas(subject.dataset.rules_digest())
        has_all = known.keys() >= set(contents.values())
        return {name: known[content] for name, content in contents.items()} if has_all else None

    def _foreseen(self, claim: Claim, miou: float) -> Verdict:
        return foreseen(self.checkpoint, claim, miou, self.options.terms())

    def _until_sure_of(self, claim: Claim, protocol: EvalProtocol) -> str | None:
        """The figure whose verdict ends the work once it is certain."""
        return claim.printed if self.options.until_sure and _is_bounded(claim, protocol) else None

    def _part(self, subject: Subject) -> tuple[Sample, ...]:
        """The images the number is about: the split, or its pinned subset, in the split's order."""
        samples, limit = subject.dataset.samples, self.options.limit
        if limit is None or limit >= len(samples):
            return samples
        chosen = set(self._order(subject)[:limit])
        return tuple(sample for sample in samples if sample.id in chosen)

    def _order(self, subject: Subject) -> list[str]:
        """The ids of the whole split in their pinned order."""
        try:
            return pinned_order(self._label_areas(subject))
        except DatasetError as error:
            raise NotMeasured(f"a subset is chosen by its labels, and one cannot be read: {error}") from error

    def _label_areas(self, subject: Subject) -> dict[str, Any]:
        samples = self.watcher.labels(subject.dataset)
        return label_areas(subject.dataset, subject.contents, self.store, samples)

    def key(self, protocol: EvalProtocol, subject: Subject) -> EvidenceKey:
        """What counts of this row under a protocol are stored by."""
        return EvidenceKey(
            weights_sha256=subject.weights_sha256,
            protocol_digest=protocol.counts_digest(),
            dataset_rules=subject.dataset.rules_digest(),
            precision=self.options.precision,
            device_kind=self.engine.device_kind(),
            code=subject.code,
            num_classes=len(subject.dataset.spec.classes),
        )


def _require_network(checkpoint: Checkpoint, options: Options) -> None:
    """Refuse a row whose network is not there; a file that the user names may be an export, a network by itself.

    Raises:
        NotMeasured: it is not built yet.
    """
    if checkpoint.not_built and not options.weights_file:
        raise NotMeasured(checkpoint.not_built)


@contextmanager
def _counting(checkpoint: Checkpoint, precision: Precision) -> Iterator[None]:
    """In the arithmetic asked for, and with the trouble of network and device as reasons.

    Raises:
        DeviceError: the device was lost.
        NotMeasured: the network fails, or memory does not suffice for one image.
    """
    from ..evaluate.inference.device import numerics  # noqa: PLC0415  (torch, which stored counts need not pay)
    from ..evaluate.inference.device_trouble import OutOfMemoryError, device_trouble_named  # noqa: PLC0415

    try:
        with numerics(precision), network_trouble_named(checkpoint), device_trouble_named():
            yield
    except OutOfMemoryError as error:
        raise NotMeasured(str(error)) from error


def _environment_here(engine: Engine, precision: Precision, subject: Subject) -> dict[str, Any]:
    from ..evaluate.inference.device import numerics  # noqa: PLC0415  (torch)

    with numerics(precision):
        return engine.environment() | code_facts(subject.checkpoint, subject.file)


def _stored_environments(store: EvidenceStore, key: EvidenceKey, use: Use) -> list[dict[str, Any]]:
    """Of the runs that counted the row's images, that for this very use first; none where none is described or counted."""
    if not store.measured(key):
        return []
    of_row = [one for one in store.uses(key) if one.checkpoint == use.checkpoint]
    of_row.sort(key=lambda one: (one.metric, one.split) != (use.metric, use.split))
    return [one.environment for one in of_row]


def _is_miou(claim: Claim) -> bool:
    return claim.metric in quantity_of("miou").metrics


def _is_bounded(claim: Claim, protocol: EvalProtocol) -> bool:
    """Of no other score are bounds known, and they rest on labels of their own size."""
    return _is_miou(claim) and protocol.compared_at == "label size"


def _share(samples: tuple[Sample, ...], shard: tuple[int, int] | None) -> tuple[Sample, ...]:
    """What of the images this process predicts."""
    return tuple(slice_of(samples, *shard)) if shard else samples


def _use(
    claim: Claim,
    protocol: EvalProtocol,
    subject: Subject,
    part: tuple[Sample, ...],
) -> Use:
    """What counts of these images are for, wherever they are made."""
    dataset, spec = subject.dataset, subject.dataset.spec
    contents = {sample.id: subject.contents[sample.id] for sample in part}
    subset = "" if len(part) == len(dataset.samples) else f"{len(part)} of {len(dataset.samples)} images"
    return Use(
        checkpoint=subject.checkpoint.id,
        metric=claim.metric,
        protocol=protocol.name,
        void=protocol.void,
        split=Split(
            fingerprint=dataset.fingerprint(contents),
            dataset=spec.name,
            subset=subset,
            classes=spec.classes,
            categories=spec.category_indices(),
            images=tuple(contents.items()),
        ),
    )


def _share_done(shard: tuple[int, int] | None, total: int, left: int) -> Unfinished:
    mine = f"shard {shard[0]}/{shard[1]} is done" if shard else "this run is done"
    return Unfinished(
        reason=f"{mine}; {left} of {total} images are still to be counted by other shards (zoo verify without --shard "
        "counts them and computes the score)"
    )


def _faults_reason(faults: list[ImageFault], total: int) -> str:
    """Name every unusable image; the others' counts are kept."""
    shown = "; ".join(fault.message for fault in faults[:3])
    more = f" (and {len(faults) - 3} more)" if len(faults) > 3 else ""
    return f"{len(faults)} of {total} images could not be used, the rest is kept: {shown}{more}"


_CODE = ("builder", "export")
"""What an environment says of a network that is not ours."""


def _is_recorded(measurement: Measurement, path: Path) -> bool:
    """True where the newest answer to this claim in the ledger is this number, of the same weights, data and code.

    An older one does not do: a report takes the newest, and what was measured between is not what is there now.
    """
    if not path.is_file():
        return False
    claim = _parts(measurement, ("checkpoint", "metric", "protocol_digest", "precision", "dataset", "subset"))
    newest = None
    for record in ledger.read(path, Measurement):
        newest = record if _parts(record, tuple(claim)) == claim else newest
    same = ("value", "weights_sha256", "dataset_fingerprint")
    return (
        newest is not None
        and _parts(newest, same) == _parts(measurement, same)
        and all(newest.environment.get(name) == measurement.environment.get(name) for name in _CODE)
    )


def _parts(record: Measurement, fields: Iterable[str]) -> dict[str, Any]:
    """These fields' values, by name."""
    return {field: getattr(record, field) for field in fields}


def exit_code(outcomes: Iterable[Outcome]) -> ExitCode:
    """The command's exit code: a file that is not what it claims to be comes before what the verdicts say."""
    known = list(outcomes)
    if any(outcome.exit_code is ExitCode.INTEGRITY for outcome in known):
        return ExitCode.INTEGRITY
    judged = [outcome.verdict for outcome in known if not outcome.is_share]
    return of_verdicts(judged) if judged or not known else ExitCode.OK
