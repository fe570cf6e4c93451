"""Where the state dict is in what a checkpoint holds, and its names without what training wrapped around them.

Whatever is not the network's own is either passed over and told, or named in the refusal: nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from .weights import WeightsError, averaged_name, renamed, shown, shown_all

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_NESTING = 3
"""Dictionaries around a state dict: `{"model": {"state_dict": ...}}` has two."""

_USUAL = ("state_dict", "model")
"""Where the publishers keep it; the first that is a dictionary."""

_WRAPPERS = {
    "module": "DataParallel and its like",
    "_orig_mod": "torch.compile",
    "_fsdp_wrapped_module": "FSDP",
    "_checkpoint_wrapped_module": "activation checkpointing",
    "_forward_module": "Lightning's strategies",
}
"""Parts of a name that stand for a wrapper wherever they stand; no network's layer is called so."""

_ATTRIBUTES = ("model", "net", "network", "segmentor", "student", "teacher", "ema", "ema_model", "model_ema")
"""What training programs call the whole network within themselves: the first part of every name, if of any."""

_COUNTERS = {
    "total_ops": "a profiler's counts",
    "total_params": "a profiler's counts",
    "n_averaged": "an average's count",
}

_DTYPES = frozenset(
    {torch.float64, torch.float32, torch.float16, torch.bfloat16}
    | {torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.bool}
)


class Found(NamedTuple):
    """A state dict with what is to be known of how it came to be."""

    state: dict[str, Tensor]
    notes: tuple[str, ...]
    """Sentences: what was passed over, and under which names the rest stood."""


# Its place --------------------------------------------------------------------------------------------------


def locate(content: object) -> tuple[Mapping[str, Tensor], str, tuple[str, ...]]:
    """The state dict within a checkpoint's content, the top-level key it is under (empty for none), and notes.

    Raises:
        WeightsError: There is none, or more than one; the message begins with "expected".
    """
    place, inner, notes = _step(content)
    for _ in range(MAX_NESTING - 1):
        deeper, inner_most, more = _step(inner)
        if not deeper:
            break
        inner, notes = (
            inner_most,
            (*notes, *more, f"It lies under {shown(deeper)!r} within {shown(place)!r}."),
        )
    if not isinstance(inner, Mapping) or not inner:
        raise WeightsError(_no_state_dict(content))
    if odd := next((f"{_name(key)}, {meaning}" for key, meaning in _odd_entries(inner)), ""):
        has_tensors = any(isinstance(value, Tensor) for value in inner.values())
        raise WeightsError(_odd_entry(odd) if has_tensors else _no_state_dict(content))
    return inner, place, notes


def _step(content: object) -> tuple[str, object, tuple[str, ...]]:
    """One key deeper towards the state dict: the key, what lies there, and notes; no key where it is reached."""
    if not isinstance(content, Mapping) or any(isinstance(value, Tensor) for value in content.values()):
        return "", content, ()
    sets = {
        key: len(value) for key, value in content.items() if isinstance(key, str) and _is_state_dict(value)
    }
    usual = next((key for key in _USUAL if isinstance(content.get(key), Mapping) and content[key]), "")
    if usual:
        rivals = [
            key
            for key in sets
            if key != usual and "ema" not in key.lower() and 2 * sets[key] >= len(content[usual])
        ]
        return (
            usual,
            content[usual],
            tuple(
                f"Under {shown(key)!r} lies a second set of {sets[key]} tensors; it is not looked at."
                for key in rivals
            ),
        )
    if len(sets) > 1:
        raise WeightsError(
            f"expected one state dict; found {len(sets)} of equal right, under {shown_all(sets)}. Nothing tells which "
            "of them the publisher evaluated: save that one alone with torch.save and use that."
        )
    if not sets:
        return "", content, ()
    [key] = sets
    return key, content[key], (f"The state dict was found under {shown(key)!r}.",)


def _is_state_dict(value: object) -> bool:
    return isinstance(value, Mapping) and bool(value) and not any(_odd_entries(value))


def _odd_entries(state: Mapping[object, object]) -> Iterator[tuple[object, str]]:
    """Each entry that is no plain tensor under a name, with what it is instead."""
    for key, value in state.items():
        meaning = f"a key of type {type(key).__name__}" if not isinstance(key, str) else _oddity(value)
        if meaning:
            yield key, meaning


def _oddity(value: object) -> str:
    """What keeps a value from being a network's tensor; empty for nothing."""
    if not isinstance(value, Tensor):
        return f"a {type(value).__name__}"
    oddities = (
        (type(value) not in (Tensor, nn.Parameter), f"a tensor of the class {type(value).__name__}"),
        (value.is_nested, "a nested tensor"),
        (value.layout is not torch.strided, f"a tensor of layout {str(value.layout).removeprefix('torch.')}"),
        (value.device.type != "cpu", f"a tensor on the device {value.device.type!r}, without values"),
        (value.dtype not in _DTYPES, f"a tensor of type {str(value.dtype).removeprefix('torch.')}"),
    )
    return next((meaning for is_odd, meaning in oddities if is_odd), "")


def _name(key: object) -> str:
    return repr(shown(key)) if isinstance(key, str) else type(key).__name__


def _odd_entry(odd: str) -> str:
    return (
        f"expected a state dict of plain tensors of whole numbers, or of floats of 16 bits or more; found {odd}. "
        "Use the file that the publisher offers for testing."
    )


def _no_state_dict(content: object) -> str:
    found = type(content).__name__
    if isinstance(content, Mapping):
        found = f"a dictionary of {', '.join(map(_name, islice(content, 6))) or 'nothing'}"
    return (
        f"expected a state dict, bare or under 'state_dict' or 'model'; found {found}. "
        "Use the file the publisher offers for testing."
    )


# Its names --------------------------------------------------------------------------------------------------


def unwrapped(state: Mapping[str, Tensor]) -> Found:
    """A state dict under the network's own names, without what training kept between its tensors.

    Args:
        state: As it lay in the file.

    Raises:
        WeightsError: Two keys mean one tensor; or two networks lie side by side.
    """
    kept, notes = _without(state, _counters(state))
    own = renamed(kept, {key: _without_wrappers(key) for key in kept}, "without the names of wrappers")
    notes += _wrapper_notes(kept)
    while attribute := _shared_attribute(own):
        own = {key.removeprefix(f"{attribute}."): value for key, value in own.items()}
        notes.append(f"Every key begins with '{attribute}.'; the tensors are read without it.")
    own, more = _without(own, _averages(own))
    return Found({key: value.detach().resolve_neg() for key, value in own.items()}, (*notes, *more))


def _without_wrappers(key: str) -> str:
    return ".".join(part for part in key.split(".") if part not in _WRAPPERS) or key


def _wrapper_notes(keys: Iterable[str]) -> list[str]:
    """Which wrappers stand in the names."""
    parts = {part for key in keys for part in key.split(".")}
    return [
        f"Keys contain '{part}.', a name of {by}; the tensors are read without it."
        for part, by in _WRAPPERS.items()
        if part in parts
    ]


def _shared_attribute(keys: Iterable[str]) -> str:
    """The first part of all keys where it is a training program's name for the network; else empty."""
    firsts = {key.partition(".")[0] for key in keys}
    if not firsts or not firsts <= set(_ATTRIBUTES) or not all("." in key for key in keys):
        return ""
    if len(firsts) > 1:
        raise WeightsError(
            f"expected one network; found {len(firsts)} side by side, their keys beginning with "
            f"{' and '.join(f'{first}.' for first in sorted(firsts))} Nothing tells which of them the publisher "
            "evaluated: save that one's state dict alone with torch.save and use that."
        )
    return firsts.pop()


def _counters(state: Mapping[str, Tensor]) -> dict[str, str]:
    """Keys of numbers that tools leave in a state dict -> what they are."""
    return {
        key: _COUNTERS[last]
        for key, last in ((key, key.rpartition(".")[2]) for key in state)
        if last in _COUNTERS and state[key].numel() == 1
    }


def _averages(state: Mapping[str, Tensor]) -> dict[str, str]:
    """Mmcv's EMAHook keeps a second set of tensors in buffers: `ema_` and the name with underscores for dots."""
    flat = {averaged_name(key) for key in state}
    meaning = (
        "a second set of the network's own tensors, as mmcv's EMAHook keeps them; make sure which of the two the "
        "claims are about"
    )
    return {key: meaning for key in state if key in flat}


def _without(state: Mapping[str, Tensor], extra: Mapping[str, str]) -> tuple[dict[str, Tensor], list[str]]:
    """A state dict without its `extra` keys, and a note for each kind of them."""
    kinds: dict[str, list[str]] = {}
    for key, meaning in extra.items():
        kinds.setdefault(meaning, []).append(key)
    notes = [f"Passed over: {shown_all(keys)}: {meaning}." for meaning, keys in kinds.items()]
    return {key: value for key, value in state.items() if key not in extra}, notes
