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

from ..build import build_model

if TYPE_CHECKING:
    from collections.abc import Mapping


class Cost(NamedTuple):
    """Of one forward pass in evaluation mode, one image, float32."""

    gflops: float
    """10^9 floating point operations of convolutions and matrix products: a multiply-add counts as two."""
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
        counter = FlopCounterMode(display=False)
        with counter, _LiveStorage() as live, _Attention() as attention:
            model(images)
    return Cost((counter.get_total_flops() + attention.flops) / 1e9, live.peak_bytes / 2**20)


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
