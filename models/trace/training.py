"""A training step as mmsegmentation took it in the summer of 2021, on one device of a distributed run, for any network.

What of that time no longer happens by itself is done here on purpose: attention keeps its scores, a softmax keeps its
input (PyTorch issues 49600 and 64000; pull request 65242 ended it in September 2021), gradients are copied into a bucket
of their own for the all-reduce (no `gradient_as_bucket_view`), ReLU6 in place keeps its result alone (PyTorch's
tools/autograd/derivatives.yaml had a formula of its own for `hardtanh_`; today the input is copied), and a hard swish is a
product of maps (mmcv's cnn/bricks/hswish.py below PyTorch 1.7).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from .storage import TraceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from torch import nn

IGNORED_LABEL = 255
LEARNING_RATE, MOMENTUM, WEIGHT_DECAY = 0.01, 0.9, 5e-4
"""mmsegmentation 0.18, configs/_base_/schedules: SGD with these; their values move no byte, of Adam's neither."""
OPTIMIZERS: Mapping[str, Callable[[Iterable[Tensor]], torch.optim.Optimizer]] = {
    "SGD": partial(
        torch.optim.SGD, lr=LEARNING_RATE, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY, foreach=False
    ),
    "Adam": partial(torch.optim.Adam, lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, foreach=False),
    "AdamW": partial(torch.optim.AdamW, lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, foreach=False),
}
"""Name in a configuration -> the optimizer of the weights: SGD remembers a map a weight, Adam two."""

BUCKET, INPUT, LOSS, TEMPORARY = "all-reduce bucket", "images and labels", "logits and loss", "temporaries"
"""Parts of a step beside the network's own."""


class TrainingStep(NamedTuple):
    """What one device does in one training step."""

    batch: int
    """Images that a device takes at once."""
    crop: tuple[int, int]
    """Height and width of the images, in pixels."""
    optimizer: str = "SGD"
    """A key of `OPTIMIZERS`."""


class TrainingRun:
    """Two training steps as mmsegmentation 0.17 takes them.

    The peak is in the second step: gradients and momentum exist by then. `align_corners` and the values of
    images and labels move no byte, so they are not asked for.

    A network whose training looks at more than its scores offers `training_loss(images, loss_of)`, as `Segmentor` does:
    images and a function from scores to their loss, to the loss of all heads. The loss of another network is that of
    its scores alone.
    """

    STEPS = 2

    def __init__(self, model: nn.Module, step: TrainingStep, device: torch.device) -> None:
        self.model = model
        self.step = step
        self.device = device
        if step.optimizer not in OPTIMIZERS:
            raise TraceError(f"optimizer {step.optimizer!r}: expected one of {', '.join(OPTIMIZERS)}")
        self.optimizer = OPTIMIZERS[step.optimizer](model.parameters())

    def run(self, enter: Callable[[str], None] = lambda _: None) -> None:
        """Takes both steps.

        Args:
            enter: Told the part that what follows belongs to, each time before it happens.
        """
        enter(BUCKET)
        numbers = sum(one.numel() for one in self.model.parameters() if one.requires_grad)
        bucket = torch.zeros(numbers, device=self.device)
        with OperatorsOfThen():
            for _ in range(self.STEPS):
                self._one_step(enter)
        del bucket  # in use up to here, as it is for the whole run

    def _one_step(self, enter: Callable[[str], None]) -> None:
        enter(INPUT)
        height, width = self.step.crop
        images = torch.zeros(self.step.batch, 3, height, width, device=self.device)
        labels = torch.zeros(self.step.batch, height, width, dtype=torch.int64, device=self.device)
        loss = self._loss(images, segmentation_loss(labels, enter))
        enter(TEMPORARY)
        self.optimizer.zero_grad(set_to_none=False)  # the default of that time
        loss.backward()
        self.optimizer.step()

    def _loss(self, images: Tensor, loss_of: Callable[[Tensor], Tensor]) -> Tensor:
        training_loss: Any = getattr(self.model, "training_loss", None)
        return loss_of(self.model(images)) if training_loss is None else training_loss(images, loss_of)

    def gradients(self) -> list[Tensor]:
        """One of each weight that got one."""
        return [parameter.grad for parameter in self.model.parameters() if parameter.grad is not None]

    def momenta(self) -> list[Tensor]:
        """The optimizer's memory of earlier gradients."""
        maps = ("momentum_buffer", "exp_avg", "exp_avg_sq")
        return [state[name] for state in self.optimizer.state.values() for name in maps if name in state]


def segmentation_loss(labels: Tensor, enter: Callable[[str], None]) -> Callable[[Tensor], Tensor]:
    """From a head's scores (N, C, h, w) to their cross entropy at the size of the labels, with the step's accuracy.

    mmsegmentation 0.18, models/decode_heads/decode_head.py `losses`, models/losses/cross_entropy_loss.py and
    accuracy.py: scores are upsampled, losses are kept a pixel each and then averaged, ignored pixels included.

    Args:
        labels: (N, H, W) int64.
        enter: As of `TrainingRun.run`.
    """

    def loss_of(scores: Tensor) -> Tensor:
        enter(LOSS)
        scores = F.interpolate(scores, labels.shape[1:], mode="bilinear", align_corners=False)  # (N, C, H, W)
        log_probabilities = SoftmaxKeepingItsInput.apply(scores, 1, True)
        losses = F.nll_loss(log_probabilities, labels, ignore_index=IGNORED_LABEL, reduction="none")
        _count_hits(scores, labels)
        return losses.mean()

    return loss_of


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
        """The gradient of x, for which only the result is read.

        Of a softmax itself CUDA multiplies both first, into a map that lives meanwhile (PyTorch 1.8,
        aten/src/ATen/native/cuda/SoftMax.cu).
        """
        x, result = ctx.saved_tensors
        aten = torch.ops.aten
        product = None if ctx.logarithm else gradients[0] * result  # noqa: F841
        derivative = aten._log_softmax_backward_data if ctx.logarithm else aten._softmax_backward_data  # noqa: SLF001
        return derivative(*gradients, result, ctx.axis, x.dtype), None, None


class _ClippedInPlace(torch.autograd.Function):
    """Values cut off at both ends; keeps the result alone, for the derivative is 0 where it is either end."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, low: float, high: float) -> Tensor:
        """X itself."""
        ctx.mark_dirty(x)
        x.clamp_(low, high)
        ctx.save_for_backward(x)
        ctx.ends = low, high
        return x

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        """The gradient of x."""
        return torch.ops.aten.hardtanh_backward(*gradients, *ctx.saved_tensors, *ctx.ends), None, None


class _ReLUKeepingItsInput(torch.autograd.Function):
    """ReLU that is not in place; keeps its input for the backward pass, where torch now keeps the result.

    PyTorch 1.8, tools/autograd/derivatives.yaml. What follows mostly keeps the result besides.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """The result; x is kept."""
        ctx.save_for_backward(x)
        return x.clamp_min(0)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        """The gradient of x."""
        return torch.ops.aten.threshold_backward(*gradients, *ctx.saved_tensors, 0)


class OperatorsOfThen(TorchFunctionMode):
    """Operators as the publisher's program had them.

    Attention goes step by step, as in mmsegmentation's SelfAttentionBlock: every score map is kept, by any softmax.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is Tensor.softmax:
            return SoftmaxKeepingItsInput.apply(*args, False)
        if func is F.scaled_dot_product_attention:
            query, key, value = args[:3]
            scores = (query @ key.transpose(-2, -1)) * query.shape[-1] ** -0.5
            bias = (kwargs or {}).get("attn_mask")
            if bias is not None:
                scores = scores.masked_fill(~bias, -torch.inf) if bias.dtype == torch.bool else scores + bias
            return SoftmaxKeepingItsInput.apply(scores, -1, False) @ value
        if func is F.relu and not (kwargs or {}).get("inplace", any(args[1:])):
            return _ReLUKeepingItsInput.apply(args[0])
        if func is F.hardtanh:  # torch.nn.ReLU6 is one
            return _ClippedInPlace.apply(args[0], kwargs["min_val"], kwargs["max_val"])
        if func is F.hardswish:
            return args[0] * _ClippedInPlace.apply(args[0] + 3, 0.0, 6.0) / 6
        return func(*args, **(kwargs or {}))
