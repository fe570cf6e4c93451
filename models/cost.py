"""What a forward pass costs, without running it: operations and live activations, traced on fake tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
import torch.nn.functional as F
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from .builders import build_model

if TYPE_CHECKING:
    from collections.abc import Mapping


class Cost(NamedTuple):
    """Of one forward pass in evaluation mode, one image, float32."""

    gflops: float
    """10^9 floating point operations by torch's counter: a multiply-add counts as two, attention is in."""
    peak_activations_mib: float
    """Largest sum of live intermediate tensors, MiB; weights and the input are not in it."""


def forward_cost(architecture: Mapping[str, Any], size: tuple[int, int]) -> Cost:
    """Trace `build_model(**architecture)` on one image of `size` (height, width); takes seconds and no memory.

    mmsegmentation's `tools/get_flops.py` counts multiply-adds and calls them FLOPs: half of this figure.

    Raises:
        ArchitectureError: nothing can be built from `architecture`.
    """
    with FakeTensorMode(), torch.no_grad():
        model = build_model(**architecture)
        images = torch.empty(1, 3, *size)
        with FlopCounterMode(display=False) as counter:
            model(images)
        with _LiveStorage() as live, _FusedAttention():
            model(images)
    return Cost(counter.get_total_flops() / 1e9, live.peak_bytes / 2**20)


class _FusedAttention(TorchFunctionMode):
    """Attention as real devices run it: a result and no score map.

    On fake tensors torch falls back to the form that stores every score (4 GiB a map for ISNet on
    1024 x 2048): right for counting operations, wrong for memory.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is F.scaled_dot_product_attention:
            query, _, value = args[:3]
            return query.new_empty(*query.shape[:-1], value.shape[-1])
        return func(*args, **(kwargs or {}))


class _LiveStorage(TorchDispatchMode):
    """Adds up the storages that operations made and that something still refers to."""

    def __init__(self) -> None:
        super().__init__()
        self.peak_bytes = 0
        self._made: dict[int, tuple[StorageWeakRef, int]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        before = {_address(leaf) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)}
        result = func(*args, **(kwargs or {}))
        self._made = {key: entry for key, entry in self._made.items() if not entry[0].expired()}
        for leaf in tree_leaves(result):
            # A view or an in-place result shares its argument's storage, which is counted already or is a weight.
            if isinstance(leaf, torch.Tensor) and _address(leaf) not in before:
                storage = leaf.untyped_storage()
                self._made[_address(leaf)] = (StorageWeakRef(storage), storage.nbytes())
        self.peak_bytes = max(self.peak_bytes, sum(size for _, size in self._made.values()))
        return result


def _address(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage()._cdata  # noqa: SLF001  (fake storages have no data pointer)
