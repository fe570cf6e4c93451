"""What a forward pass costs, without running it: operations and live activations, traced on fake tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
import torch.nn.functional as F
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from ..build import build_model
from ..segmentor import Segmentor
from .storage import Freed, StorageTrace, TraceError, said

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from torch import nn

    from .storage import Made

ACTIVATIONS = "activations"


class ForwardCost(NamedTuple):
    """Of one forward pass in evaluation mode, one image, float32; what is done once for all images is not in it."""

    gflops: float
    """10^9 floating point operations of convolutions and matrix products: a multiply-add counts as two."""
    peak_activations_mib: float
    """Largest sum of live intermediate tensors, MiB; weights and the input are not in it."""


def forward_cost(architecture: Mapping[str, Any], size: tuple[int, int]) -> ForwardCost:
    """Trace `build_model(**architecture)` on one image of `size` (height, width); takes seconds and no memory.

    mmsegmentation's `tools/get_flops.py` counts multiply-adds and calls them FLOPs: half of this figure.

    Raises:
        ArchitectureError: nothing can be built from `architecture`.
        TraceError: the network cannot be traced at this size.
    """
    return network_cost(lambda: build_model(**architecture), size)


def network_cost(make_model: Callable[[], nn.Module], size: tuple[int, int]) -> ForwardCost:
    """The same of any network.

    Args:
        make_model: Makes it, in evaluation mode, from images (N, 3, H, W) to scores.
        size: Height and width of the image.

    Raises:
        TraceError: the network cannot be traced at this size.
    """
    trace, counter, attention = StorageTrace(), FlopCounterMode(display=False), _Attention()
    with FakeTensorMode(), torch.no_grad():
        with trace:
            # torch's counter follows gradients of what modules are given, and a view of a weight has none here.
            model, images = make_model().requires_grad_(False), torch.empty(1, 3, *size)
            if isinstance(model, Segmentor):
                model.prepare()
        trace.part = ACTIVATIONS
        try:
            with counter, trace, attention:
                model(images)
        except Exception as error:  # a network of others may raise anything
            raise TraceError(f"no forward pass on {size[0]}x{size[1]}: {said(error)}") from error
    return ForwardCost((counter.get_total_flops() + attention.flops) / 1e9, _peak_bytes(trace.events) / 2**20)


def _peak_bytes(events: Iterable[Made | Freed]) -> int:
    """Largest sum of storages that were made as activations."""
    live: dict[int, int] = {}
    total = peak = 0
    for event in events:
        if isinstance(event, Freed):
            total -= live.pop(event.number, 0)
        elif event.part == ACTIVATIONS:
            live[event.number] = event.nbytes
            total += event.nbytes
            peak = max(peak, total)
    return peak


class _Attention(TorchFunctionMode):
    """Attention as real devices run it: a result and no score map; its operations by formula.

    Which kernel torch takes on fake tensors depends on its version. Some keep every score (4 GiB a map for ISNet
    on 1024 x 2048), and `FlopCounterMode` knows only some of the others (not 2.14's for CPUs), so torch is not asked.

    Attributes:
        flops: Of the two matrix products, a multiply-add as two; the softmax does not count, as in torch's counter.
    """

    def __init__(self) -> None:
        super().__init__()
        self.flops = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is not F.scaled_dot_product_attention:
            return func(*args, **(kwargs or {}))
        query, key, value = args[:3]  # (..., L, K), (..., S, K), (..., S, C)
        scores = query.shape[:-1].numel() * key.shape[-2]
        self.flops += 2 * scores * (query.shape[-1] + value.shape[-1])
        return query.new_empty(*query.shape[:-1], value.shape[-1])
