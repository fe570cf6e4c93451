"""The one tracer: every storage that a network's operators make, when it comes and when it goes.

On fake tensors (`torch._subclasses.fake_tensor`) nothing is computed and no memory is taken; on real ones the events are
the same. What they add up to is `cost`'s and `memory`'s matter.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from torch import Tensor

WORKSPACE = "convolution workspace"
OTHER = "temporaries"


class TraceError(ValueError):
    """A network, or these numbers, cannot be traced; the message says what came of it."""


class Made(NamedTuple):
    """A storage came to be."""

    number: int
    nbytes: int
    part: str
    operator: str


class Freed(NamedTuple):
    """A storage went."""

    number: int


class StorageTrace(TorchDispatchMode):
    """Writes down every storage that operators make, when it comes and when it goes.

    Args:
        apart: Operator -> the part that what it makes belongs to, whatever runs.

    Attributes:
        part: The part of the breakdown that new storage belongs to.
        events: What happened so far.
    """

    def __init__(self, apart: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self.part = OTHER
        self._apart = apart or {}
        self.events: list[Made | Freed] = []
        self._count = 0
        self._live: dict[int, tuple[int, weakref.ref[Any]]] = {}

    def number(self, tensor: Tensor) -> int:
        """Of the live storage behind a tensor."""
        return self._live[address(tensor)][0]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        operator = func.overloadpacket.__name__
        for leaf in tree_leaves(result):
            # A view or an in-place result shares a storage that is known already.
            if isinstance(leaf, torch.Tensor) and address(leaf) not in self._live:
                self._enter(leaf, operator)
        self._add_workspace(operator, args, result)
        return result

    def _enter(self, tensor: Tensor, operator: str) -> None:
        storage, place, number = tensor.untyped_storage(), address(tensor), self._next_number()
        if not storage.nbytes():
            return
        part = self._apart.get(operator, self.part)

        def leave(_: object) -> None:
            del self._live[place]
            self.events.append(Freed(number))

        self._live[place] = number, weakref.ref(storage, leave)
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


def said(error: Exception) -> str:
    """The first line of what came of it, after its kind where that is not torch's usual one."""
    line = str(error).partition("\n")[0]
    return (
        line if isinstance(error, RuntimeError | ValueError) and line else f"{type(error).__name__}: {line}"
    )


def address(tensor: Tensor) -> int:
    """Tells storages apart; fake ones have no data pointer."""
    return tensor.untyped_storage()._cdata  # noqa: SLF001


def follow_parts(model: nn.Module, enter: Callable[[str], None]) -> None:
    """Have a network say which of its parts runs, each time before it does."""
    for name, module in parts(model):
        module.register_forward_pre_hook(lambda *_, name=name: enter(name))


def parts(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """A network's parts as its own names tell them: its submodules, those of a `backbone` one by one.

    What has no weights belongs to what ran before it; of a list of modules each item is that part.
    """
    for name, module in model.named_children():
        inner = list(module.named_children()) if name == "backbone" else []
        for part, item in inner or [(name, module)]:
            items = item.children() if isinstance(item, nn.ModuleList) else (item,)
            yield from ((part.replace("_", " "), one) for one in items if any(True for _ in one.parameters()))
