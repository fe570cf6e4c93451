"""Training memory of a network without a GPU: two steps traced on fake tensors, replayed through an allocator.

What is foretold is the published figure: `torch.cuda.max_memory_allocated` of one process of mmsegmentation's
distributed training in the summer of 2021; `training` says what such a step does. `run_training` does the same on a
real device.

torch ships a tracker, `torch.distributed._tools.mem_tracker.MemTracker`. It adds up live storage, which is what
`MemoryPrediction.requested_bytes` is, and a test holds the two against each other. It does not tell in which
order storage came and went, so the blocks that a caching allocator makes of it (up to 0.4 % of the peak) cannot
be had from it, nor a part for each stage of a backbone.
"""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from ..build import build_model
from .caching_allocator import ROUNDING, CachingAllocator
from .storage import WORKSPACE, Freed, Made, StorageTrace, TraceError, follow_parts, said
from .training import BUCKET, INPUT, LOSS, TEMPORARY, TrainingRun, TrainingStep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from torch import nn

WEIGHTS, GRADIENTS, MOMENTA = "weights", "gradients", "momentum"
BEFORE = (WEIGHTS, GRADIENTS, MOMENTA, BUCKET, INPUT)
AFTER = (LOSS, TEMPORARY, WORKSPACE)
"""Parts of every breakdown, before and behind the network's own, in the order of printing."""

CPU = torch.device("cpu")
_LOSS_GRADIENTS = ("nll_loss2d_backward", "_log_softmax_backward_data")
SCORES_ALONE = "The network does not say what its training looks at: the loss is that of its scores alone."


class MemoryPrediction(NamedTuple):
    """The most that a training run holds at once."""

    peak_bytes: int
    """As `torch.cuda.max_memory_allocated` counts: blocks."""
    requested_bytes: int
    """Largest sum of live storage, each rounded up to 512 bytes; less than the blocks by what those leave unused."""
    reserved_bytes: int
    """As `torch.cuda.max_memory_reserved` counts; a card needs this much and its CUDA context."""
    breakdown: dict[str, int]
    """Part -> bytes of blocks at the peak, of every part that made a block until then; the sum is `peak_bytes`."""
    peak_at: str
    """Part and operator that made the block on top."""
    workspace_margin_bytes: int
    """How far below the peak the fullest moment with a convolution's workspace stays; 0 where it is the peak.

    All of the peak where no convolution needs one.
    """
    without_workspace_bytes: int
    """The peak if no convolution took a workspace; `peak_bytes` supposes the largest."""
    note: str = ""
    """What is supposed of the network, where it does not say."""


class MeasuredMemory(NamedTuple):
    """The same of a run on a CUDA device, with the device's word on it."""

    allocated_bytes: int
    reserved_bytes: int
    seconds: float
    """Wall time of both steps, building the model included."""
    device_bytes: int
    """By how much the device's free memory shrank: reserved segments, and what libraries took beside them."""


def training_memory(architecture: Mapping[str, Any], step: TrainingStep) -> MemoryPrediction:
    """Foretell the peak of training `build_model(**architecture)`; takes seconds and no memory to speak of.

    Raises:
        ArchitectureError: nothing can be built from `architecture`.
        TraceError: the network or the step cannot be traced.
    """
    return predicted(lambda: build_model(**architecture), step)


def predicted(make_model: Callable[[], nn.Module], step: TrainingStep) -> MemoryPrediction:
    """Foretell the peak of training any network.

    Args:
        make_model: Makes it, from images (N, 3, H, W) to scores (N, C, h, w).
        step: What to train on.

    Raises:
        TraceError: the network or the step cannot be traced.
    """
    note = ""

    def noted() -> nn.Module:
        nonlocal note
        model = make_model()
        says = hasattr(model, "training_loss")
        note = getattr(model, "training_note", "") if says else SCORES_ALONE
        return model

    return replay(_events(noted, step))._replace(note=note)


def _events(make_model: Callable[[], nn.Module], step: TrainingStep) -> list[Made | Freed]:
    """On torch's meta device, the fastest; a network that makes tensors on the CPU by name on fake ones."""
    device = torch.device("meta")
    try:
        with device:
            return trace_training(make_model, step, device)
    except TraceError:
        with FakeTensorMode():
            return trace_training(make_model, step)


def trace_training(
    make_model: Callable[[], nn.Module], step: TrainingStep, device: torch.device = CPU
) -> list[Made | Freed]:
    """Every storage of a training run in order, with convolution workspaces in between.

    Under `FakeTensorMode` and on the meta device nothing is computed; else the run is real, and the events are the same.

    Args:
        make_model: Makes a network.
        step: What to train on.
        device: Where the network is made.

    Raises:
        TraceError: the network or the step cannot be traced.
    """
    with StorageTrace(dict.fromkeys(_LOSS_GRADIENTS, LOSS)) as trace:

        def enter(part: str) -> None:
            trace.part = part

        enter(WEIGHTS)
        model = make_model().train()
        follow_parts(model, enter)
        run = TrainingRun(model, step, device)
        try:
            run.run(enter)
        except Exception as error:  # a network of others may raise anything
            raise TraceError(
                f"no training step with {step.batch} image(s) of {step.crop[0]}x{step.crop[1]}: {said(error)}"
            ) from error
        kept = {GRADIENTS: run.gradients(), MOMENTA: run.momenta()}
        names = {trace.number(tensor): part for part, tensors in kept.items() for tensor in tensors}
    return [
        event._replace(part=names.get(event.number, event.part)) if isinstance(event, Made) else event
        for event in trace.events
    ]


def replay(events: Sequence[Made | Freed]) -> MemoryPrediction:
    """What a caching allocator makes of a trace."""
    allocator, requested, live = CachingAllocator(), _Requested(), _Peak()
    with_workspace = 0
    for index, event in enumerate(events):
        if isinstance(event, Freed):
            allocator.release(event.number)
            requested.release(event.number)
            continue
        allocator.allocate(event.number, event.nbytes)
        requested.allocate(event.number, event.nbytes)
        live.see(allocator.allocated, index)
        if event.part == WORKSPACE:
            with_workspace = max(with_workspace, allocator.allocated)
    top = events[live.index]
    assert isinstance(top, Made)
    return MemoryPrediction(
        peak_bytes=live.nbytes,
        requested_bytes=requested.peak,
        reserved_bytes=allocator.reserved,
        breakdown=_breakdown(events[: live.index + 1]),
        peak_at=f"{top.part}: {top.operator}",
        workspace_margin_bytes=live.nbytes - with_workspace,
        without_workspace_bytes=_without_workspaces(events) if top.part == WORKSPACE else live.nbytes,
    )


def _without_workspaces(events: Iterable[Made | Freed]) -> int:
    """The peak of the blocks of all else."""
    events = list(events)
    workspaces = {one.number for one in events if isinstance(one, Made) and one.part == WORKSPACE}
    allocator, peak = CachingAllocator(), 0
    for event in events:
        if event.number in workspaces:
            continue
        if isinstance(event, Freed):
            allocator.release(event.number)
        else:
            allocator.allocate(event.number, event.nbytes)
            peak = max(peak, allocator.allocated)
    return peak


class _Peak:
    """The largest figure seen and where."""

    def __init__(self) -> None:
        self.nbytes, self.index = 0, 0

    def see(self, nbytes: int, index: int) -> None:
        if nbytes > self.nbytes:
            self.nbytes, self.index = nbytes, index


class _Requested:
    """Live storage without an allocator's leftovers."""

    def __init__(self) -> None:
        self.peak = self._sum = 0
        self._live: dict[int, int] = {}

    def allocate(self, number: int, nbytes: int) -> None:
        self._live[number] = -(-nbytes // ROUNDING) * ROUNDING
        self._sum += self._live[number]
        self.peak = max(self.peak, self._sum)

    def release(self, number: int) -> None:
        self._sum -= self._live.pop(number)


def _breakdown(events: Sequence[Made | Freed]) -> dict[str, int]:
    """Bytes of blocks by part after the last of `events`."""
    allocator, origin = CachingAllocator(), dict[int, str]()
    for event in events:
        if isinstance(event, Made):
            allocator.allocate(event.number, event.nbytes)
            origin[event.number] = event.part
        else:
            allocator.release(event.number)
    in_order = {**dict.fromkeys(BEFORE), **dict.fromkeys(origin.values())}
    parts = dict.fromkeys([part for part in in_order if part not in AFTER] + list(AFTER), 0)
    for number, size in allocator.sizes().items():
        parts[origin[number]] += size
    return parts


def run_training(architecture: Mapping[str, Any], step: TrainingStep, device: torch.device) -> MeasuredMemory:
    """Take the traced steps for real on a CUDA device and read its counters; other users of it must be quiet.

    Raises:
        ArchitectureError: nothing can be built from `architecture`.
        torch.cuda.OutOfMemoryError: the device is too small.
    """
    started = time.monotonic()
    gc.collect()  # an earlier run's model must not count as this one's
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    held, (free, _) = torch.cuda.memory_allocated(device), torch.cuda.mem_get_info(device)
    reserved = torch.cuda.memory_reserved(device)
    with torch.device(device):
        model = build_model(**architecture).train()
    run = TrainingRun(model, step, device)
    run.run()
    torch.cuda.synchronize(device)
    return MeasuredMemory(
        allocated_bytes=torch.cuda.max_memory_allocated(device) - held,
        reserved_bytes=torch.cuda.max_memory_reserved(device) - reserved,
        seconds=time.monotonic() - started,
        device_bytes=free - torch.cuda.mem_get_info(device)[0],
    )
