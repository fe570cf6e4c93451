"""Training memory of a segmentor without a GPU: two steps traced on fake tensors, replayed through an allocator.

What is foretold is the published figure: `torch.cuda.max_memory_allocated` of one process of mmsegmentation's
distributed training in the summer of 2021. Three things of that time no longer happen by themselves and are done
here on purpose: attention keeps its scores, a softmax keeps its input (PyTorch issues 49600 and 64000; pull request
65242 ended it in September 2021), and gradients are copied into a bucket of their own for the all-reduce (no
`gradient_as_bucket_view`). `run_training` does the same on a real device.

torch ships a tracker, `torch.distributed._tools.mem_tracker.MemTracker`. It adds up live storage, which is what
`MemoryPrediction.requested_bytes` is, and a test holds the two against each other. It does not tell in which
order storage came and went, so the blocks that a caching allocator makes of it (up to 0.4 % of the peak) cannot
be had from it, nor a part for each stage of a backbone.
"""

from __future__ import annotations

import gc
import time
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
import torch.nn.functional as F
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ..build import build_model
from .caching_allocator import ROUNDING, CachingAllocator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from torch import Tensor, nn

IGNORED_LABEL = 255
AUXILIARY_WEIGHT = 0.4
LEARNING_RATE, MOMENTUM, WEIGHT_DECAY = 0.01, 0.9, 5e-4
"""mmsegmentation 0.18, configs/_base_/schedules: SGD with these in every published config."""

WEIGHTS, GRADIENTS, MOMENTA, BUCKET = "weights", "gradients", "momentum", "all-reduce bucket"
INPUT, LOSS = "images and labels", "logits and loss"
TEMPORARY, WORKSPACE = "temporaries", "convolution workspace"
STAGES = {
    "backbone.stem": "stem",
    "backbone.maxpool": "stem",
    "backbone.layer1": "layer1",
    "backbone.layer2": "layer2",
    "backbone.layer3": "layer3",
    "backbone.layer4": "layer4",
    "decode_head": "decode head",
    "auxiliary_head": "auxiliary head",
}
"""Submodule -> the part of the breakdown that what it makes in the forward pass belongs to."""
PARTS = (
    WEIGHTS,
    GRADIENTS,
    MOMENTA,
    BUCKET,
    INPUT,
    *dict.fromkeys(STAGES.values()),
    LOSS,
    TEMPORARY,
    WORKSPACE,
)
"""Every part of a breakdown, in the order of printing."""
_LOSS_GRADIENTS = ("nll_loss2d_backward", "_log_softmax_backward_data")


class TrainingStep(NamedTuple):
    """What one device does in one training step."""

    batch: int
    """Images a device."""
    crop: tuple[int, int]
    """Height and width of the images, in pixels."""


class MemoryPrediction(NamedTuple):
    """The most that a training run holds at once."""

    peak_bytes: int
    """As `torch.cuda.max_memory_allocated` counts: blocks."""
    requested_bytes: int
    """Largest sum of live storage, each rounded up to 512 bytes; less than the blocks by what those leave unused."""
    reserved_bytes: int
    """As `torch.cuda.max_memory_reserved` counts; a card needs this much and its CUDA context."""
    breakdown: dict[str, int]
    """`PARTS` -> bytes of blocks at the peak; the sum is `peak_bytes`."""
    peak_at: str
    """Part and operator that made the block on top."""
    workspace_margin_bytes: int
    """How far below the peak the fullest moment with a convolution's workspace stays; 0 where it is the peak.

    All of the peak where no convolution needs one.
    """


class MeasuredMemory(NamedTuple):
    """The same of a run on a CUDA device, with the device's word on it."""

    allocated_bytes: int
    reserved_bytes: int
    seconds: float
    """Wall time of both steps, building the model included."""
    device_bytes: int
    """By how much the device's free memory shrank: reserved segments, and what libraries took beside them."""


class Made(NamedTuple):
    """A storage came to be."""

    number: int
    nbytes: int
    part: str
    operator: str


class Freed(NamedTuple):
    """A storage went."""

    number: int


class TraceError(ValueError):
    """These numbers make no training step."""


def training_memory(architecture: Mapping[str, Any], step: TrainingStep) -> MemoryPrediction:
    """Foretell the peak of training `build_model(**architecture)`; takes seconds and no memory to speak of.

    Raises:
        ArchitectureError: nothing can be built from `architecture`.
        TraceError: the batch and the crop are too small to train on.
    """
    with FakeTensorMode():
        events = trace_training(lambda: build_model(**architecture), step)
    return replay(events)


def trace_training(make_model: Callable[[], nn.Module], step: TrainingStep) -> list[Made | Freed]:
    """Every storage of a training run in order, with convolution workspaces in between.

    Under `FakeTensorMode` nothing is computed; without it the run is real, and the events are the same.

    Args:
        make_model: Makes a model with the submodules of `STAGES`, such as `Segmentor`.
        step: What to train on.

    Raises:
        TraceError: the batch and the crop are too small to train on.
    """
    with StorageTrace() as trace:
        trace.part = WEIGHTS
        model = make_model().train()
        _follow_stages(model, trace)
        run = TrainingRun(model, step, torch.device("cpu"))
        try:
            for part in run.phases():
                trace.part = part
        except (RuntimeError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise TraceError(
                f"no training step with {step.batch} image(s) of {step.crop[0]}x{step.crop[1]}: {reason}"
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
    )


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
    allocator, parts = CachingAllocator(), dict.fromkeys(PARTS, 0)
    origin: dict[int, str] = {}
    for event in events:
        if isinstance(event, Made):
            allocator.allocate(event.number, event.nbytes)
            origin[event.number] = event.part
        else:
            allocator.release(event.number)
    for number, size in allocator.sizes().items():
        parts[origin[number]] += size
    return parts


# --- the training step ------------------------------------------------------------------------------


class TrainingRun:
    """Two training steps as mmsegmentation 0.17 takes them, on one device of a distributed run.

    The peak is in the second step: gradients and momentum exist by then. `align_corners` and the values of
    images and labels move no byte, so they are not asked for.
    """

    STEPS = 2

    def __init__(self, model: nn.Module, step: TrainingStep, device: torch.device) -> None:
        self.model = model
        self.step = step
        self.device = device
        self.optimizer = torch.optim.SGD(
            model.parameters(), LEARNING_RATE, MOMENTUM, weight_decay=WEIGHT_DECAY, foreach=False
        )

    def phases(self) -> Iterator[str]:
        """Runs; gives the part that what follows belongs to, each time before it happens."""
        yield BUCKET
        bucket = torch.zeros(
            sum(parameter.numel() for parameter in self.model.parameters()), device=self.device
        )
        with _AttentionWithScores():
            for _ in range(self.STEPS):
                yield from self._one_step()
        del bucket  # in use up to here, as it is for the whole run

    def _one_step(self) -> Iterator[str]:
        yield INPUT
        height, width = self.step.crop
        images = torch.zeros(self.step.batch, 3, height, width, device=self.device)
        labels = torch.zeros(self.step.batch, height, width, dtype=torch.int64, device=self.device)
        loss = self._loss(images, labels)
        yield TEMPORARY
        self.optimizer.zero_grad(set_to_none=False)  # the default of that time
        loss.backward()
        self.optimizer.step()

    def _loss(self, images: Tensor, labels: Tensor) -> Tensor:
        """Each head is followed by its own loss, as mmsegmentation's EncoderDecoder has it."""
        backbone, decode_head, auxiliary_head = (
            self.model.get_submodule(name) for name in ("backbone", "decode_head", "auxiliary_head")
        )
        features = backbone(images)
        loss = segmentation_loss(decode_head(features), labels)
        return loss + AUXILIARY_WEIGHT * segmentation_loss(auxiliary_head(features), labels)

    def gradients(self) -> list[Tensor]:
        """One of each weight that got one."""
        return [parameter.grad for parameter in self.model.parameters() if parameter.grad is not None]

    def momenta(self) -> list[Tensor]:
        """The optimizer's memory of earlier gradients."""
        return [state["momentum_buffer"] for state in self.optimizer.state.values()]


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
    deque(run.phases(), maxlen=0)
    torch.cuda.synchronize(device)
    return MeasuredMemory(
        allocated_bytes=torch.cuda.max_memory_allocated(device) - held,
        reserved_bytes=torch.cuda.max_memory_reserved(device) - reserved,
        seconds=time.monotonic() - started,
        device_bytes=free - torch.cuda.mem_get_info(device)[0],
    )


def segmentation_loss(scores: Tensor, labels: Tensor) -> Tensor:
    """Cross entropy at the size of the labels, with the step's accuracy counted beside it.

    mmsegmentation 0.18, models/decode_heads/decode_head.py `losses`, models/losses/cross_entropy_loss.py and
    accuracy.py: scores are upsampled, losses are kept a pixel each and then averaged, ignored pixels included.

    Args:
        scores: (N, C, h, w), a head's output.
        labels: (N, H, W) int64.
    """
    scores = F.interpolate(scores, labels.shape[1:], mode="bilinear", align_corners=False)  # (N, C, H, W)
    log_probabilities = SoftmaxKeepingItsInput.apply(scores, 1, True)
    losses = F.nll_loss(log_probabilities, labels, ignore_index=IGNORED_LABEL, reduction="none")
    _count_hits(scores, labels)
    return losses.mean()


def _count_hits(scores: Tensor, labels: Tensor) -> Tensor:
    """Logged every step; its maps are gone before the backward pass, yet take room beside the losses."""
    best = scores.topk(1, dim=1).indices[:, 0]  # (N, H, W)
    return best.eq(labels).float().sum()


class SoftmaxKeepingItsInput(torch.autograd.Function):
    """Softmax or its logarithm along an axis; keeps input and result for the backward pass."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, axis: int, logarithm: bool) -> Tensor:  # noqa: FBT001  (apply takes no keywords)
        """The result; x and it are kept."""
        result = torch.log_softmax(x, axis) if logarithm else torch.softmax(x, axis)
        ctx.save_for_backward(x, result)
        ctx.axis, ctx.logarithm = axis, logarithm
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        """The gradient of x, for which only the result is read."""
        x, result = ctx.saved_tensors
        aten = torch.ops.aten
        derivative = aten._log_softmax_backward_data if ctx.logarithm else aten._softmax_backward_data  # noqa: SLF001
        return derivative(*gradients, result, ctx.axis, x.dtype), None, None


class _AttentionWithScores(TorchFunctionMode):
    """Attention step by step, as mmsegmentation's SelfAttentionBlock has it: every score map is kept."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is F.scaled_dot_product_attention:
            query, key, value = args[:3]
            scores = (query @ key.transpose(-2, -1)) * query.shape[-1] ** -0.5
            return SoftmaxKeepingItsInput.apply(scores, -1, False) @ value
        return func(*args, **(kwargs or {}))


# --- the trace --------------------------------------------------------------------------------------


class StorageTrace(TorchDispatchMode):
    """Writes down every storage that operators make, when it comes and when it goes.

    Attributes:
        part: The part of the breakdown that new storage belongs to.
        events: What happened so far.
    """

    def __init__(self) -> None:
        super().__init__()
        self.part = TEMPORARY
        self.events: list[Made | Freed] = []
        self._count = 0
        self._live: dict[int, tuple[int, weakref.ref[Any]]] = {}

    def number(self, tensor: Tensor) -> int:
        """Of the live storage behind a tensor."""
        return self._live[_address(tensor)][0]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        operator = func.overloadpacket.__name__
        for leaf in tree_leaves(result):
            # A view or an in-place result shares a storage that is known already.
            if isinstance(leaf, torch.Tensor) and _address(leaf) not in self._live:
                self._enter(leaf, operator)
        self._add_workspace(operator, args, result)
        return result

    def _enter(self, tensor: Tensor, operator: str) -> None:
        storage, address, number = tensor.untyped_storage(), _address(tensor), self._next_number()
        if not storage.nbytes():
            return
        part = LOSS if operator in _LOSS_GRADIENTS else self.part

        def leave(_: object) -> None:
            del self._live[address]
            self.events.append(Freed(number))

        self._live[address] = number, weakref.ref(storage, leave)
        self.events.append(Made(number, storage.nbytes(), part, operator))

    def _add_workspace(self, operator: str, args: Sequence[Any], result: Any) -> None:
        if operator == "convolution":
            images, weight, maps, stride, dilation = args[0], args[1], result, args[3], args[5]
        elif operator == "convolution_backward":
            maps, images, weight, stride, dilation = *args[:3], args[4], args[6]
        else:
            return
        nbytes = winograd_bytes(images, weight, maps) if {*stride, *dilation} == {1} else 0
        if operator == "convolution":
            nbytes = max(nbytes, unfolded_bytes(images, weight, maps))
        if nbytes:
            number = self._next_number()
            self.events += [Made(number, nbytes, WORKSPACE, operator), Freed(number)]

    def _next_number(self) -> int:
        self._count += 1
        return self._count


# What cuDNN takes beside a convolution's tensors depends on the algorithm it chooses, which nobody wrote down.
# The two below take the most of those that need a workspace of any size, the FFTs apart; the trace supposes the
# greater one that can serve a convolution, so it is a bound.


def winograd_bytes(images: Tensor, weight: Tensor, maps: Tensor) -> int:
    """Non-fused Winograd F(4x4, 3x3), forward and backward: images, filters and maps as 6x6 tiles.

    Lavin and Gray 2016; cuDNN's `WINOGRAD_NONFUSED`, for 3x3 kernels of stride and dilation 1 only.

    Args:
        images: (N, C_in, H, W).
        weight: (C_out, C_in / groups, kernel height, kernel width).
        maps: (N, C_out, h, w), the output.
    """
    if tuple(weight.shape[2:]) != (3, 3):
        return 0
    tiles = maps.shape[0] * -(-maps.shape[2] // 4) * -(-maps.shape[3] // 4)
    elements = tiles * (images.shape[1] + maps.shape[1]) + weight.shape[:2].numel()
    return 36 * elements * images.element_size()


def unfolded_bytes(images: Tensor, weight: Tensor, maps: Tensor) -> int:
    """One image unfolded for a matrix product, C_in * kernel * output positions; cuDNN has it forward only (`GEMM`).

    Args:
        images: (N, C_in, H, W).
        weight: (C_out, C_in / groups, kernel height, kernel width).
        maps: (N, C_out, h, w), the output.
    """
    kernel = weight.shape[2:].numel()
    return 0 if kernel == 1 else images.shape[1] * kernel * maps.shape[2:].numel() * images.element_size()


def _follow_stages(model: nn.Module, trace: StorageTrace) -> None:
    """Have the trace's part say which stage runs, and the loss once a head is done."""

    def enter(part: str) -> Any:
        return lambda *_: setattr(trace, "part", part)

    for name, part in STAGES.items():
        stage = model.get_submodule(name)
        stage.register_forward_pre_hook(enter(part))
        if name.endswith("head"):
            stage.register_forward_hook(enter(LOSS))


def _address(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata  # noqa: SLF001  (fake storages have no data pointer)
