"""Predicting on a Ray cluster: a task is (row, protocol, slice of images); the driver alone writes evidence.

Workers keep the model of the row they had last, and rows come one after the other, so each loads a model once a
row. A task whose node is lost runs again elsewhere; its counts were not stored yet, so each image counts once.
Every node needs segbench, and the data set under the same path; weights it fetches itself, or finds in a shared
`ZOO_HOME`. Ray's own API is used as its documentation (docs.ray.io, core) describes it.
"""

from __future__ import annotations

import socket
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import ray  # pyright: ignore[reportMissingImports]  (an extra)
from ray.exceptions import RayError, RayTaskError  # pyright: ignore[reportMissingImports]

from ...evaluate.accuracy import count_missing
from ...evaluate.data.datasets import Dataset, DatasetError, ImageFault, Sample
from ...evaluate.evidence import Encoded, EvidenceError, EvidenceKey, EvidenceStore
from ...evaluate.inference.choices import Conditions, Kernel, Loading, NetworkForm, Precision
from ...evaluate.inference.device import (
    DeviceError,
    device_kind,
    environment,
    numerics,
    resolve_device,
)
from ...evaluate.inference.device_trouble import OutOfMemoryError, device_trouble_named
from ...evaluate.protocol import EvalProtocol
from ...models.builders import Source, sources, use
from ...models.load.weights import WeightsError
from ..fetch import FetchError, IntegrityError, check_hash, fetch
from ..manifest import Checkpoint
from ..measuring.network_form import form_of, ready
from ..measuring.own_code import code_digest, network_trouble_named
from ..measuring.terms import NotMeasured
from .local import EngineError, kernels_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ..measuring.bench import Options
    from .local import Job

RETRIES = 5
"""How often a task runs again after its worker or node was lost."""
LARGEST_SLICE = 32
"""Images; what a lost node can cost at most."""
_TASKS_A_SLOT = 2
_CONNECT_SECONDS = 10


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker is sent."""

    checkpoint: Checkpoint
    protocol: EvalProtocol
    dataset: Dataset
    """With the slice's samples only."""
    contents: dict[str, str]
    key: EvidenceKey
    precision: Precision
    loading: Loading
    form: NetworkForm
    """Of the row's network."""
    device: str
    home: Path | None
    offline: bool | None
    builders: tuple[Source, ...] = ()
    """Code of the user's that builds networks, files with their bytes."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What it sends back."""

    counts: list[Encoded]
    faults: list[ImageFault]
    kernels: list[Kernel] = []
    """What made the label maps."""
    failure: str = ""
    """Why nothing could be counted there."""
    absence: str = ""
    """Why this row cannot be counted anywhere; others can."""


# --- on a worker -----------------------------------------------------------------------------------------

_loaded: tuple[tuple[str, str, str, NetworkForm], Any] | None = None
"""The row's model that this worker process had last."""


def count_slice(task: Task) -> Answer:
    """Count a slice with this process's model; an answer in any case."""
    try:
        with network_trouble_named(task.checkpoint):
            return _counted(task)
    except NotMeasured as absence:
        return Answer(counts=[], faults=[], absence=f"node {socket.gethostname()}: {absence.reason}")
    except (DatasetError, DeviceError, EvidenceError, FetchError, OutOfMemoryError, WeightsError) as error:
        return Answer(counts=[], faults=[], failure=f"node {socket.gethostname()}: {error}")


def _counted(task: Task) -> Answer:
    device = resolve_device(task.device)
    if device_kind(device) != task.key.device_kind:
        raise DeviceError(
            f"its device is {device_kind(device)}, the row's counts are of {task.key.device_kind}; a row is measured "
            "on one kind of GPU: take a cluster, or a part of it, that has one kind only"
        )
    model = _model(task, device)
    dataset, strangers = _same_files(task)
    # A store of its own: the same loop as in one process, and nothing on a shared disk.
    with tempfile.TemporaryDirectory() as folder, EvidenceStore(Path(folder) / "slice.sqlite") as store:
        conditions = Conditions()
        with numerics(task.precision), device_trouble_named():
            found = list(
                count_missing(
                    model,
                    dataset,
                    task.contents,
                    task.protocol,
                    store,
                    task.key,
                    loading=task.loading,
                    conditions=conditions,
                )
            )
        faults = [result for result in found if isinstance(result, ImageFault)]
        counts = list(store.encoded(task.key))
        return Answer(counts=counts, faults=strangers + faults, kernels=sorted(conditions.kernels))


def _model(task: Task, device: Any) -> Any:
    global _loaded  # noqa: PLW0603  (a worker process lives from task to task, its arguments do not)
    name = (task.key.weights_sha256, task.key.code, str(device), task.form)
    if _loaded is None or _loaded[0] != name:
        _loaded = None
        use(task.builders)
        if code_digest(task.checkpoint) != task.key.code:
            raise NotMeasured(
                "its network's code here is not the driver's; bring the same package to every node"
            )
        path = fetch(task.checkpoint, home=task.home, offline=task.offline)
        if check_hash(path, task.checkpoint.weights) != task.key.weights_sha256:
            raise IntegrityError(f"{path}: other weights than the driver's")
        _loaded = name, ready(task.checkpoint, path, device, task.form, task.key.weights_sha256)
    return _loaded[1]


def _same_files(task: Task) -> tuple[Dataset, list[ImageFault]]:
    """The data set with the samples whose files are the driver's, and a fault for each other one."""
    try:
        here = task.dataset.contents()
    except OSError as error:
        raise DatasetError(f"{error.filename}: cannot be read: {error.strerror or error}") from error
    faults = [
        ImageFault(
            image_id=sample.id,
            message=f"{sample.image}: on node {socket.gethostname()} it or its label is missing or another file",
        )
        for sample in task.dataset.samples
        if here[sample.id] != task.contents[sample.id]
    ]
    strange = {fault.image_id for fault in faults}
    same = tuple(sample for sample in task.dataset.samples if sample.id not in strange)
    return msgspec.structs.replace(task.dataset, samples=same), faults


def look(device: str) -> tuple[str, dict[str, Any]] | str:
    """A worker's kind of device and its environment, or why it has none."""
    try:
        found = resolve_device(device)
    except DeviceError as error:
        return f"node {socket.gethostname()}: {error}"
    return device_kind(found), environment(found)


# --- on the driver ---------------------------------------------------------------------------------------


@contextmanager
def cluster(options: Options) -> Iterator[RayEngine]:
    """Join the cluster at `options.address`, or start one of this machine's cores and GPUs.

    Raises:
        EngineError: nobody answers at the address, or there is no such device.
    """
    plain = {"log_to_driver": False, "logging_level": "error"}
    _require_listener(options.address)
    try:
        if options.address:
            ray.init(address=options.address, **plain)
        else:
            ray.init(include_dashboard=False, **plain)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise EngineError(
            f"--address {options.address}: no Ray cluster answers: {_first_line(error)}"
        ) from error
    try:
        yield RayEngine(options)
    finally:
        ray.shutdown()


def _require_listener(address: str) -> None:
    """Find out within seconds that nobody listens at host:port; Ray itself tries for minutes."""
    host, colon, port = address.rpartition(":")
    if "//" in address or not (colon and port.isdecimal()):
        return  # `auto`, or a form that only Ray understands
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_SECONDS).close()
    except (OSError, OverflowError, ValueError) as error:
        raise EngineError(
            f"--address {address}: nobody listens there: {error}; ray start prints the head node's address, and ray "
            "status tells whether it runs"
        ) from error


class RayEngine:
    """A joined cluster."""

    def __init__(self, options: Options) -> None:
        self.options = options
        resource = "GPU" if options.device.startswith("cuda") else "CPU"
        self.slots = int(ray.cluster_resources().get(resource, 0))
        if not self.slots:
            raise EngineError(f"--device {options.device}: the Ray cluster has no {resource}")
        # A worker sees the one GPU it was given, as cuda:0.
        self.device = "cuda" if resource == "GPU" else "cpu"
        self._needs = {
            "num_cpus": 1,
            "num_gpus": int(resource == "GPU"),
            "max_retries": RETRIES,
            "scheduling_strategy": "SPREAD",
        }
        found = _ready(self._remote(look).remote(self.device))
        if isinstance(found, str):
            raise EngineError(found)
        self._kind, self._environment = found
        self._kernels: set[Kernel] = set()
        """What made the label maps of the present row."""
        self._form: NetworkForm = "published"
        """Of the present row's network."""

    def _remote(self, function: Any) -> Any:
        return ray.remote(**self._needs)(function)

    def device_kind(self) -> str:
        """Of the first worker asked; a task on another kind refuses."""
        return self._kind

    def environment(self) -> dict[str, Any]:
        """Of the first worker asked, and how many there were."""
        kernel = kernels_text(self._kernels, self.options.loading)
        return self._environment | {
            "engine": f"ray {ray.__version__}",
            "slots": self.slots,
            "kernel": kernel,
            "network": self._form,
        }

    def prepare(self, checkpoint: Checkpoint, weights: Path, sha256: str) -> None:
        """Workers load their own."""
        self._kernels.clear()
        asked, precision = self.options.loading.form, self.options.precision
        self._form = form_of(checkpoint, self.device, weights=weights, asked=asked, precision=precision)
        del sha256

    def count(
        self,
        job: Job,
        dataset: Dataset,
        contents: Mapping[str, str],
        protocol: EvalProtocol,
        store: EvidenceStore,
        key: EvidenceKey,
    ) -> Iterator[Sample | ImageFault]:
        """Count what `store` lacks, slice by slice, in whatever order they come back.

        Raises:
            NotMeasured: the row's network cannot be built, or fails.
            EngineError: a node cannot do its part, or tasks were lost too often; what came back is stored.
        """
        measured = store.measured(key)
        samples = [sample for sample in dataset.samples if (sample.id, contents[sample.id]) not in measured]
        tasks = [
            Task(
                checkpoint=job.checkpoint,
                protocol=protocol,
                dataset=msgspec.structs.replace(dataset, samples=part),
                contents={sample.id: contents[sample.id] for sample in part},
                key=key,
                precision=self.options.precision,
                loading=self.options.loading,
                form=self._form,
                device=self.device,
                home=self.options.home,
                offline=self.options.offline,
                builders=sources(),
            )
            for part in slices(samples, self.slots)
        ]
        by_id = {sample.id: sample for sample in samples}
        for answer in self._answers(tasks):
            self._kernels.update(answer.kernels)
            for found in answer.counts:
                store.add_encoded(key, found)
                yield by_id[found.image[0]]
            yield from answer.faults

    def _answers(self, tasks: Sequence[Task]) -> Iterator[Answer]:
        """Answers as they come; at most a few tasks a slot are under way, so that stopping wastes little."""
        counting, waiting = self._remote(count_slice), list(reversed(tasks))
        under_way: list[Any] = []
        try:
            while waiting or under_way:
                while waiting and len(under_way) < _TASKS_A_SLOT * self.slots:
                    under_way.append(counting.remote(waiting.pop()))
                done, under_way = ray.wait(under_way)
                for reference in done:
                    answer = _ready(reference)
                    if answer.failure:
                        raise EngineError(answer.failure)
                    if answer.absence:
                        raise NotMeasured(answer.absence)
                    yield answer
        finally:
            for reference in under_way:
                with suppress(RayError):
                    ray.cancel(reference)


def _ready(reference: Any) -> Any:
    try:
        return ray.get(reference)
    except RayError as error:
        raise EngineError(
            f"the Ray cluster lost a task {RETRIES + 1} times, or broke it: {_first_line(error)}; what came back is "
            "kept, run the same command to go on"
        ) from error


def _first_line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1].strip() if isinstance(error, RayTaskError) and lines else "".join(lines[:1])


def slices(samples: Sequence[Sample], slots: int) -> list[tuple[Sample, ...]]:
    """Neighbours together, at most `LARGEST_SLICE`, and about four slices a slot where there are fewer."""
    size = max(1, min(LARGEST_SLICE, len(samples) // (4 * slots)))
    return [tuple(samples[start : start + size]) for start in range(0, len(samples), size)]
