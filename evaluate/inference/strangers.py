"""Networks of whom nothing is known: what they run, and whether their calls may overlap.

A network may keep what it saw of an image until it answers (`self.features = ...`), give the same memory twice, or answer in
the order in which it is asked. Run from several threads it then mixes images, and the number is wrong without a word.
"""

from __future__ import annotations

import inspect
from functools import partial
from types import FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any

from torch import nn

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_OURS = __name__.replace("evaluate.inference.strangers", "models")
_KNOWN = (_OURS, "torchvision.models", "torchvision.ops", "torch.nn", "torch.ao.nn")
"""Packages whose networks keep nothing between calls."""
_DEEPEST = 4
"""Steps from a callable to a network that it runs: a method, of an object, that has a list, of networks."""
_MOST_MEMBERS = 1000
"""Of a list that is looked into for networks."""


def may_overlap(model: object) -> bool:
    """Whether several threads may run a network at once, each with its own images.

    It is so of networks that are made of known parts alone, without hooks, and of whatever says `may_overlap = True`.
    """
    if getattr(model, "may_overlap", False) is True:
        return True
    return isinstance(model, nn.Module) and all(map(_keeps_nothing, model.modules()))


def _keeps_nothing(module: nn.Module) -> bool:
    home = type(module).__module__
    is_known = any(home == package or home.startswith(f"{package}.") for package in _KNOWN)
    hooks = module._forward_hooks or module._forward_pre_hooks  # noqa: SLF001  (torch has no other way to ask)
    return is_known and not hooks and "forward" not in vars(module)


def networks_in(model: object) -> list[nn.Module]:
    """The networks that a callable is or runs, as far as its methods, arguments and names lead to them."""
    found: list[nn.Module] = []
    _look(model, found, set(), _DEEPEST)
    return found


def _look(thing: object, found: list[nn.Module], seen: set[int], depth: int) -> None:
    if id(thing) in seen:
        return
    seen.add(id(thing))
    if isinstance(thing, nn.Module):
        found.append(thing)
    elif depth:
        for part in _parts(thing):
            _look(part, found, seen, depth - 1)


def _parts(thing: object) -> Iterable[object]:
    if isinstance(thing, partial):
        return [thing.func, *thing.args, *thing.keywords.values()]
    if isinstance(thing, MethodType):
        return [thing.__self__, thing.__func__]
    if isinstance(thing, FunctionType):
        return _named(thing)
    if isinstance(thing, (list, tuple, dict)):
        members = list(thing.values()) if isinstance(thing, dict) else thing
        return members if len(members) <= _MOST_MEMBERS else []
    if isinstance(thing, (type, ModuleType)) or not callable(thing):
        return []
    return list(getattr(thing, "__dict__", {}).values())


def _named(function: FunctionType) -> Iterator[Any]:
    """What a function's body can name that is not its own: defaults, closure and globals."""
    yield from function.__defaults__ or ()
    yield from (function.__kwdefaults__ or {}).values()
    try:
        names = inspect.getclosurevars(function)
    except ValueError:  # a name without a value yet
        return
    yield from names.nonlocals.values()
    yield from names.globals.values()
