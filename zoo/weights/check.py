"""Is this the checkpoint's file, and is it sound? No data set, no download, seconds a row.

Nothing a file does to its reader gets out of here but as a finding of a report.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast
from zipfile import is_zipfile

import msgspec
import torch

from ...evaluate.inference.plain import NetworkError, checked
from ...models.adapters import AdapterError, is_export, is_program, library_builder, load_export
from ...models.build import ArchitectureError
from ...models.builders import fault_of, find
from ...models.input_size import InputSizeError
from ...models.load.checkpoint_file import TWO_SETS, CheckpointFile, open_checkpoint
from ...models.load.health import WeightsFinding, canary, canary_image, content_digest, findings, rounded
from ...models.load.weights import WeightsError, class_counts, convert_keys, idle_keys, load_weights, shown
from ..console.exit_codes import ExitCode, gravest
from ..fetch import Action, fetch_action, file_sha256, weights_path
from ..fetch.lock import lock_for
from ..files import places

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from torch import nn

    from ..manifest import Checkpoint

HashState = Literal["verified", "none published", "differs", "not comparable", "not read"]
"""What the publisher's hash says of a file; "not comparable" in another container than the publisher's."""

_CODES = {
    "error": ExitCode.INTEGRITY,
    "absent": ExitCode.CANNOT_MEASURE,
    "unexamined": ExitCode.CANNOT_MEASURE,
    "warning": ExitCode.OK,
}
"""Gravity of a finding -> what it ends the command with."""
_REMAINS = {
    "optim": "The optimizer's state is of no use here and makes the file up to three times as large",
    "sched": "The schedule's state is of no use here",
    "ema": TWO_SETS,
}


class WeightsReport(msgspec.Struct, frozen=True, kw_only=True):
    """What became known of one checkpoint's weights file; None where it could not be told."""

    checkpoint: str
    path: str | None = None
    container: str | None = None
    """zip, legacy pickle, or safetensors; onnx or pt2 for an export."""
    sha256: str | None = None
    """Of the whole file, hex."""
    hash_state: HashState = "not read"
    content_digest: str | None = None
    """Of the tensors alone, hex: equal in every container."""
    parameters: int | None = None
    """Trainable parameters of the filled model."""
    canary: str | None = None
    """Digest of the scores on a fixed synthetic image."""
    findings: tuple[WeightsFinding, ...] = ()

    @property
    def ok(self) -> bool:
        """True where nothing but warnings was found."""
        return all(finding.gravity == "warning" for finding in self.findings)

    def having(self, *more: WeightsFinding) -> WeightsReport:
        """This report with further findings."""
        return msgspec.structs.replace(self, findings=(*self.findings, *more))


def check(
    checkpoint: Checkpoint,
    path: Path | None = None,
    *,
    home: Path | None = None,
    among: Iterable[Checkpoint] = (),
    unsafe: bool = False,
) -> WeightsReport:
    """Everything that can be told of a checkpoint's file from the file. Raises nothing for a bad one.

    Args:
        checkpoint: The row the file should belong to.
        path: The file; None for the one in the cache. Nothing is ever downloaded.
        home: The weights cache; None for `ZOO_HOME`.
        among: Rows that a file which does not fit is compared with.
        unsafe: Unpickle without restriction, see `open_checkpoint`.
    """
    report = WeightsReport(checkpoint=checkpoint.id)
    path = path or _cached(checkpoint, home)
    if path is None:
        where = weights_path(checkpoint, home)
        return report.having(_absent(f"Not in the cache ({where}): run zoo fetch {checkpoint.id} first."))
    try:
        sha256 = file_sha256(path)
    except OSError as error:
        return report.having(_absent(f"{path} cannot be read: {error.strerror or error}."))
    report = msgspec.structs.replace(report, path=str(path), sha256=sha256)
    others = [row for row in among if row.id != checkpoint.id]
    if is_export(path):
        return _with_export(report, checkpoint, path, sha256, unsafe=unsafe)
    report = _with_weights(report, checkpoint, path, others, unsafe=unsafe)
    return report.having(*_against_lock(report, checkpoint, home)) if report.content_digest else report


def check_all(
    checkpoints: Iterable[Checkpoint],
    *,
    home: Path | None = None,
    among: Iterable[Checkpoint] = (),
    unsafe: bool = False,
    tell: Callable[[WeightsReport], object] = lambda _: None,
) -> list[WeightsReport]:
    """`check` for every row, and then whether two rows share one content, which only all together can tell.

    Args:
        checkpoints: The rows, whose files lie in the cache.
        home: The weights cache; None for `ZOO_HOME`.
        among: Further rows that a file which does not fit is compared with.
        unsafe: Unpickle without restriction, see `open_checkpoint`.
        tell: Called with each report as soon as it is known, for a display of progress.
    """
    rows = list(checkpoints)
    known = list({row.id: row for row in (*among, *rows)}.values())
    reports = []
    for row in rows:
        reports.append(check(row, home=home, among=known, unsafe=unsafe))
        tell(reports[-1])
    return _with_shared_contents(rows, reports)


def complete_lock(checkpoints: Iterable[Checkpoint], reports: Iterable[WeightsReport]) -> None:
    """Add to `zoo.lock` the digests of the tensors, which `zoo fetch` cannot compute without torch.

    Raises:
        LockError: the lock cannot be read or written.
    """
    for row, report in zip(checkpoints, reports, strict=True):
        if report.sha256 and report.content_digest and not _published_hash(row):
            lock_for(row).complete(row.id, report.sha256, report.content_digest)


def exit_code(reports: Iterable[WeightsReport]) -> ExitCode:
    """INTEGRITY where a file is not to be used, else CANNOT_MEASURE where one could not be had, else OK."""
    return gravest(_CODES[finding.gravity] for report in reports for finding in report.findings)


# Steps of a check -------------------------------------------------------------------------------------------


def _error(what: str, meaning: str) -> WeightsFinding:
    return WeightsFinding(what=what, gravity="error", meaning=meaning)


def _warning(what: str, meaning: str) -> WeightsFinding:
    return WeightsFinding(what=what, gravity="warning", meaning=meaning)


def _unexamined(what: str, meaning: str) -> WeightsFinding:
    return WeightsFinding(what=what, gravity="unexamined", meaning=meaning)


def _unforeseen(error: Exception) -> WeightsFinding:
    reason = " ".join(str(error).split())[:200]
    return _error(
        "cannot be examined",
        f"The check itself failed with {type(error).__name__} ({reason}): nothing is known of this file. Please report "
        "it with the file's address.",
    )


def _absent(meaning: str) -> WeightsFinding:
    return WeightsFinding(what="no file", gravity="absent", meaning=meaning)


def _cached(checkpoint: Checkpoint, home: Path | None) -> Path | None:
    """The file that `fetch` would use without a download, unverified."""
    target = weights_path(checkpoint, home)
    places_of = {Action.USE: target, Action.REUSE: places.torch_checkpoints() / target.name}
    return places_of.get(fetch_action(checkpoint, home))


def _with_hash_state(
    report: WeightsReport, checkpoint: Checkpoint, sha256: str, others: Sequence[Checkpoint]
) -> WeightsReport:
    """The report with what the published hashes, the row's own and others', say of the file."""
    expected = _published_hash(checkpoint)
    state = _hash_state(expected, sha256, converted=_is_converted(report, checkpoint))
    if state == "differs":
        ellipsis = "…" * (len(expected) < 64)
        meaning = (
            f"Published is sha256 {expected}{ellipsis}, found {sha256}: the file is damaged, incomplete or "
            "another one; delete it and fetch it again."
        )
        report = report.having(_error("another hash", meaning))
    owners = [row.id for row in others if _published_hash(row) and sha256.startswith(_published_hash(row))]
    if owners and state != "verified":
        meaning = f"By its hash this is the file of {' and '.join(owners)}; fetch this row's own."
        report = report.having(_error("another row's file", meaning))
    return msgspec.structs.replace(report, hash_state=state)


def _hash_state(expected: str, found: str, *, converted: bool) -> HashState:
    if converted:
        return "not comparable"
    if not expected:
        return "none published"
    return "verified" if found.startswith(expected) else "differs"


def _is_converted(report: WeightsReport, checkpoint: Checkpoint) -> bool:
    """True for a safetensors file where the publisher offers a pickle."""
    published = any(".safetensors" in url for url in checkpoint.weights.urls)
    return report.container == "safetensors" and not published


def _published_hash(checkpoint: Checkpoint) -> str:
    weights = checkpoint.weights
    return (weights.sha256 or weights.sha256_prefix or "").lower()


def _with_content(
    report: WeightsReport, checkpoint: Checkpoint, content: CheckpointFile, others: Sequence[Checkpoint]
) -> WeightsReport:
    """The report with what can be told of the tensors."""
    report = msgspec.structs.replace(report, content_digest=content_digest(content.state))
    report = report.having(
        *(_warning("read otherwise", note) for note in content.notes),
        *_left_inside(content),
        *_class_count(checkpoint, content),
        *value_findings(checkpoint, content.state),
        *(rounded(content.state) if report.hash_state == "not comparable" else ()),
    )
    try:
        model, notes = filled(checkpoint, content.state, "the file")
    except ArchitectureError as error:
        return report.having(_unexamined("network cannot be built", str(error)))
    except WeightsError as error:
        fitting = _fitting(others, content)
        return report.having(_error("does not fit", f"{error}{fitting}"))
    report = report.having(*(_warning("not in the file", note) for note in notes))
    parameters = sum(value.numel() for value in model.parameters())
    report = msgspec.structs.replace(report, parameters=parameters)
    if checkpoint.parameters not in (None, parameters):
        meaning = f"The manifest states {checkpoint.parameters:,}, the model has {parameters:,}."
        report = report.having(_warning("number of parameters", meaning))
    return _with_canary(report, model, checkpoint) if report.ok or _only_hash(report) else report


def _against_lock(
    report: WeightsReport, checkpoint: Checkpoint, home: Path | None
) -> Iterator[WeightsFinding]:
    """Whether a file that no publisher vouches for is the one that first came."""
    entry = None if _published_hash(checkpoint) else lock_for(checkpoint, home).get(checkpoint.id)
    if entry is None or entry.sha256 == report.sha256:
        return
    differs = f"zoo.lock has sha256 {entry.sha256} of {entry.recorded}, found {report.sha256}"
    if entry.content_digest is None:
        meaning = f"{differs}; of its tensors nothing was recorded, so they cannot be compared."
        yield _warning("another file than recorded", meaning)
    elif entry.content_digest == report.content_digest:
        yield _warning(
            "another file than recorded", f"{differs}; the tensors are the same, packed otherwise."
        )
    else:
        meaning = f"{differs}, and other tensors: delete it and fetch it again, with --update-lock if its publisher has changed it."
        yield _error("another file than recorded", meaning)


def _with_weights(
    report: WeightsReport, checkpoint: Checkpoint, path: Path, others: Sequence[Checkpoint], *, unsafe: bool
) -> WeightsReport:
    """The report with all that a weights file tells."""
    sha256 = report.sha256 or ""
    try:
        content = open_checkpoint(path, unsafe=unsafe, sha256=sha256)
    except WeightsError as error:
        report = _with_hash_state(report, checkpoint, sha256, others)
        return report.having(_error("cannot be read", str(error).removeprefix(f"{path}: ")))
    except Exception as error:  # noqa: BLE001  (whatever one file throws is that file's finding)
        return report.having(_unforeseen(error))
    report = msgspec.structs.replace(report, container=content.container)
    report = _with_hash_state(report, checkpoint, sha256, others)
    try:
        return _with_content(report, checkpoint, content, others)
    except Exception as error:  # noqa: BLE001
        return report.having(_unforeseen(error))


def _with_export(
    report: WeightsReport, checkpoint: Checkpoint, path: Path, sha256: str, *, unsafe: bool
) -> WeightsReport:
    """What can be told of a network that is a file by itself: whether it runs and scores the row's classes, and nothing of its weights."""
    report = msgspec.structs.replace(
        report, container=path.suffix.removeprefix(".").lower(), hash_state="not comparable"
    )
    if is_program(path) and not unsafe:
        if not is_zipfile(path):
            return report.having(
                _error("cannot be read", "It is no program of torch.export, which is a zip archive.")
            )
        meaning = "Reading a program of torch.export can run code: it was not read, neither its weights nor what it scores; --unsafe-load reads one that you trust."
        return report.having(_unexamined("not examined", meaning))
    try:
        _try_export(load_export(path, sha256=sha256), checkpoint)
    except AdapterError as error:  # a library is missing here, which is not the file's fault
        return report.having(_unexamined("not examined", str(error).removeprefix(f"{path}: ")))
    except (ArchitectureError, NetworkError) as error:
        return report.having(_error("cannot be run", str(error).removeprefix(f"{path}: ")))
    meaning = "It is the network by itself: whether its weights are the row's, only a measurement or zoo compare tells."
    return report.having(_warning("an export", meaning))


def _try_export(network: nn.Module, checkpoint: Checkpoint) -> None:
    """Run it once on the canary's image, or one of the size that it takes.

    Raises:
        ExportError: it fails.
        NetworkError: it gives no scores, or of another number of classes than the row's data set has.
    """
    image = canary_image().float()
    takes = cast("tuple[int | None, ...]", network.takes)
    height, width = (fixed or own for fixed, own in zip(takes[2:], image.shape[2:], strict=True))
    repeated = image.repeat(1, 1, -(-height // image.shape[2]), -(-width // image.shape[3]))
    protocol = next(iter(checkpoint.protocols.values()), None)
    with torch.inference_mode():
        checked(network, len(checkpoint.dataset_spec.classes), protocol)(repeated[:, :, :height, :width])


def _only_hash(report: WeightsReport) -> bool:
    """True where the file is another one but sound, so that its canary is worth telling."""
    titles = {finding.what for finding in report.findings if finding.gravity == "error"}
    return titles <= {"another hash", "another row's file"}


def _with_canary(report: WeightsReport, model: nn.Module, checkpoint: Checkpoint) -> WeightsReport:
    try:
        report = msgspec.structs.replace(report, canary=_canary(model, checkpoint))
    except (InputSizeError, NetworkError) as error:
        return report.having(_unexamined("network fails", str(error)))
    except (Exception, SystemExit) as error:
        name = str(checkpoint.architecture.get("builder", ""))
        if reason := fault_of(library_builder(name) or find(name), error):
            return report.having(_unexamined("network fails", reason))
        raise
    if report.canary == "not finite":
        meaning = "A synthetic image gives scores that are NaN or infinite: no number made with them means anything."
        return report.having(_error("canary", meaning))
    return report


def _canary(model: nn.Module, checkpoint: Checkpoint) -> str:
    """The canary of the usual image, or of one of the training's size for a network that does not run on it."""
    try:
        return canary(model)
    except InputSizeError:
        return canary(model, checkpoint.crop)


def _empty(checkpoint: Checkpoint) -> nn.Module:
    with torch.device("meta"):
        return checkpoint.build()


def filled(
    checkpoint: Checkpoint, state: dict[str, torch.Tensor], source: str
) -> tuple[nn.Module, tuple[str, ...]]:
    """The architecture around a file's tensors, without memory of its own, so that 34 rows go quickly; and notes."""
    model = _empty(checkpoint)
    notes = load_weights(model, state, layout=checkpoint.weights.layout, source=source)
    return model, notes


def _fitting(rows: Iterable[Checkpoint], content: CheckpointFile) -> str:
    """Which rows the tensors would fit, as a further line for an error; empty for none."""
    names = [row.id for row in rows if _fits(row, content)]
    if not names:
        return ""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"\n  It would fit {', '.join(names[:3])}{more}: were two files swapped?"


def _fits(row: Checkpoint, content: CheckpointFile) -> bool:
    try:
        filled(row, content.state, "")
    except (WeightsError, ArchitectureError):
        return False
    return True


def value_findings(checkpoint: Checkpoint, state: dict[str, torch.Tensor]) -> list[WeightsFinding]:
    """What the tensors' values say, apart from those that the network never reads."""
    try:
        idle = idle_keys(state, checkpoint.weights.layout, _empty(checkpoint))
    except ArchitectureError:  # building it tells it better
        idle = frozenset()
    return findings(state, idle)


def _left_inside(content: CheckpointFile) -> Iterator[WeightsFinding]:
    for key in content.beside:
        for part, meaning in _REMAINS.items():
            if part in key.lower():
                advice = "zoo convert writes a file without it."
                yield _warning("left inside", f"{shown(key)!r} lies beside the weights. {meaning}; {advice}")
                break


def _class_count(checkpoint: Checkpoint, content: CheckpointFile) -> Iterator[WeightsFinding]:
    """The classifiers' channels against the data set's classes."""
    expected = len(checkpoint.dataset_spec.classes)
    try:
        model = _empty(checkpoint)
        state = convert_keys(content.state, checkpoint.weights.layout, model)
    except (WeightsError, ArchitectureError):  # strict loading tells it better
        return
    if wrong := sorted(class_counts(state, model) - {expected}):
        classes = " and ".join(map(str, wrong))
        yield _error(
            "number of classes",
            f"Data set {checkpoint.dataset_spec.title} has {expected} classes, the file's classifier {classes}: "
            "its scores are for another list of classes.",
        )


def _with_shared_contents(
    rows: Sequence[Checkpoint], reports: Sequence[WeightsReport]
) -> list[WeightsReport]:
    owners: dict[str, list[Checkpoint]] = {}
    for row, report in zip(rows, reports, strict=True):
        if report.content_digest:
            owners.setdefault(report.content_digest, []).append(row)
    return [
        report.having(
            *_shared(row, [one for one in owners.get(report.content_digest or "", ()) if one is not row])
        )
        for row, report in zip(rows, reports, strict=True)
    ]


def _shared(row: Checkpoint, twins: Sequence[Checkpoint]) -> Iterator[WeightsFinding]:
    """Two rows with one content: an error, unless the manifest itself gives them one file."""
    for twin in twins:
        meaning = f"{twin.id} has the very same tensors"
        if set(row.weights.urls) & set(twin.weights.urls):
            yield _warning("two rows share one content", f"{meaning}, and the same URL in the manifest.")
        else:
            advice = "one of the two files is not what its name says; fetch both again."
            yield _error("two rows share one content", f"{meaning}: {advice}")
