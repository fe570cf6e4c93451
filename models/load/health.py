"""What can be told of weights without a data set: identity, sanity, and what they make of one image."""

from __future__ import annotations

import copy
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import torch

from .weights import SHOWN, shown, shown_all

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator, Mapping

    from torch import Tensor, nn

Gravity = Literal["error", "warning", "absent", "unexamined"]
"""Not to be used; worth knowing; not there to be looked at; there, and nothing could be told of it."""

LARGEST_VARIANCE = 1e8
"""Activations with a standard deviation of 10,000: beyond any network that was trained with normalisation."""

CANARY_SIZE = (64, 96)
"""Height and width of the canary's image in pixels, for every network that runs on it."""
CANARY_STEP = 1e-3
"""Scores are told apart to this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsFinding:
    """One thing to know about a weights file."""

    what: str
    """A short title, the same for all findings of a kind."""
    gravity: Gravity
    meaning: str
    """What was found, what it means, and what to do."""


def content_digest(state: Mapping[str, Tensor]) -> str:
    """SHA-256 (hex) of names, types, shapes and bytes, in the order of the names.

    Equal for equal tensors, whatever container they came in and whatever lay beside them.
    """
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


# Values -----------------------------------------------------------------------------------------------------


class _Fault(NamedTuple):
    """Values that no sound weights have."""

    what: str
    evidence: str
    """How many, and where."""
    advice: str
    """What that does, and what to do."""
    gravity: Gravity = "error"

    def finding(self) -> WeightsFinding:
        return WeightsFinding(what=self.what, gravity=self.gravity, meaning=f"{self.evidence}. {self.advice}")

    def idle(self) -> _Fault:
        """The same where evaluation does not come."""
        return self._replace(advice=_IDLE, gravity="warning")


_IDLE = "That is in the auxiliary head, which evaluation never runs: no score depends on it. Do not train from this file."
_COMPARE = "What made it so, the values do not tell: compare with another copy of the file"


def findings(state: Mapping[str, Tensor], idle: Container[str] = ()) -> list[WeightsFinding]:
    """What is wrong with the values of a state dict, whatever the architecture; empty where nothing is.

    Args:
        state: The tensors.
        idle: Keys of those that evaluation never runs, whose faults spoil no score.
    """
    checks = (_not_finite, _negative_variance, _zero_variance, _absurd_variance, _zero_weights)
    run = {key: value for key, value in state.items() if key not in idle}
    never_run = {key: value for key, value in state.items() if key in idle}
    faults = [fault for check in checks for fault in check(run)]
    faults += [fault.idle() for check in checks for fault in check(never_run)]
    return [*(fault.finding() for fault in faults), *_untouched_norms(state)]


def _not_finite(state: Mapping[str, Tensor]) -> Iterator[_Fault]:
    for what, is_bad in (("NaN", torch.isnan), ("infinity", torch.isinf)):
        yield from _values(
            _floats(state),
            is_bad,
            f"{what} in the weights",
            f"No score made with them means anything. {_COMPARE}.",
        )


def _negative_variance(state: Mapping[str, Tensor]) -> Iterator[_Fault]:
    return _values(
        _variances(state),
        lambda value: value < 0,
        "negative BatchNorm variance",
        f"No data have a variance below 0, but arithmetic on weights can give one. {_COMPARE}.",
    )


def _zero_variance(state: Mapping[str, Tensor]) -> Iterator[_Fault]:
    # A dead channel's running variance decays towards 5.6e-45, the float32 that times 0.9 rounds to itself,
    # and stays there; published files are full of those. Zero it never reaches, unless rounded to 16 bits.
    exact = {
        key: value for key, value in _variances(state).items() if value.element_size() > 2 or not value.any()
    }
    return _values(
        exact,
        lambda value: value == 0,
        "BatchNorm variance of zero",
        f"Training in float32 from 1 never reaches 0. {_COMPARE}.",
    )


def _absurd_variance(state: Mapping[str, Tensor]) -> Iterator[_Fault]:
    return _values(
        _variances(state),
        lambda value: (value > LARGEST_VARIANCE) & value.isfinite(),
        "absurd BatchNorm variance",
        f"Above {LARGEST_VARIANCE:g}, beyond what any trained network has. {_COMPARE}.",
    )


def _zero_weights(state: Mapping[str, Tensor]) -> Iterator[_Fault]:
    """Convolutions of zeros are lost data; a norm's scale of zeros is how residual branches begin training."""
    zero = [key for key, value in _floats(state).items() if key.endswith("weight") and not value.any()]
    filters = [key for key in zero if state[key].dim() > 1]
    if filters:
        yield _Fault("weights all zero", _named(filters), f"Such a layer lets nothing pass. {_COMPARE}.")
    if scales := [key for key in zero if key not in filters]:
        advice = "Residual branches begin training so: these were not trained since."
        yield _Fault("scales all zero", _named(scales), advice, "warning")


def _untouched_norms(state: Mapping[str, Tensor]) -> Iterator[WeightsFinding]:
    """A norm begins with a running mean of 0 and a variance of 1 in every channel; one step of training moves both."""
    norms = [key.removesuffix("running_var") for key in _variances(state)]
    untouched = [
        norm
        for norm in norms
        if bool((state[f"{norm}running_var"] == 1).all())
        and not state.get(f"{norm}running_mean", state[f"{norm}running_var"]).any()
    ]
    if untouched:
        yield WeightsFinding(
            what="norms untouched",
            gravity="warning",
            meaning=f"{len(untouched)} of {len(norms)} norms, {shown_all(norm.rstrip('.') for norm in untouched)}, have "
            "a running mean of 0 and a variance of 1 in every channel, as before training.",
        )


def _values(
    tensors: Mapping[str, Tensor], is_bad: Callable[[Tensor], Tensor], what: str, advice: str
) -> Iterator[_Fault]:
    counts = {key: int(is_bad(value).sum()) for key, value in tensors.items()}
    if bad := [key for key, count in counts.items() if count]:
        total = sum(counts.values())
        values = "1 value" if total == 1 else f"{total} values"
        yield _Fault(what, f"{values} in {_named(bad)}", advice)


def _floats(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key: value for key, value in state.items() if value.is_floating_point() and value.numel()}


def _variances(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key: value for key, value in _floats(state).items() if key.endswith("running_var")}


def _named(keys: list[str]) -> str:
    """`1 tensor: a`, or `5 tensors: a, b, c, ...`."""
    plural = "" if len(keys) == 1 else "s"
    return f"{len(keys)} tensor{plural}: {', '.join(map(shown, keys[:SHOWN]))}{', ...' * (len(keys) > SHOWN)}"


def rounded(state: Mapping[str, Tensor]) -> Iterator[WeightsFinding]:
    """Floats stored with fewer bits than networks run in; a publisher's own file may have them too."""
    floats = [value.dtype for value in state.values() if value.is_floating_point()]
    for few in (torch.float16, torch.bfloat16):
        if few in floats:
            yield WeightsFinding(
                what="rounded",
                gravity="warning",
                meaning=f"{floats.count(few)} of {len(floats)} tensors of floats are stored in {str(few).removeprefix('torch.')}; "
                "the network runs in float32, and where the publisher's file has float32 its scores are others.",
            )


# Canary -----------------------------------------------------------------------------------------------------


def canary(model: nn.Module, size: tuple[int, int] = CANARY_SIZE) -> str:
    """A short digest (16 hex digits) of a model's scores on one fixed image.

    The same weights give the same digest on any number of threads and out of any container. The
    scores are rounded to `CANARY_STEP` and hashed. In float32 that would not do: threads add in another order
    and move a deep network's scores by 1e-4, so of a thousand scores some always lie that close to a boundary
    of rounding, and a best class changes where two are that close. Hence float64, whose 1e-12 leaves a chance
    of one in a million.

    Args:
        model: Filled, in evaluation mode, on the CPU; Nx3xHxW images to NxCxhxw scores. It is not touched.
        size: Height and width of the image in pixels.

    Returns:
        The digest, or "not finite" where a score is NaN or infinite.

    Raises:
        InputSizeError: The network does not run on images of this size.
    """
    twin = copy.deepcopy(model).double()
    with torch.inference_mode():
        scores = twin(canary_image(size))
    if not scores.isfinite().all():
        return "not finite"
    steps = (scores / CANARY_STEP).round().to(torch.int64)
    digest = hashlib.sha256(str(tuple(scores.shape)).encode())
    digest.update(steps.numpy().astype("<i8").tobytes())
    return digest.hexdigest()[:16]


def canary_image(size: tuple[int, int] = CANARY_SIZE) -> Tensor:
    """The canary's image, 1x3xHxW float64 within [-2, 2]: slopes, bands and a fine texture.

    Made of whole numbers and one division by a power of two, so that it is exact everywhere.
    """
    height, width = size
    y = torch.arange(height).view(1, height, 1)
    x = torch.arange(width).view(1, 1, width)
    c = torch.arange(3).view(3, 1, 1)
    slope = (2 * x + (3 + c) * y + 40 * c) % 192
    texture = (7 * x + 13 * y + 29 * c + x * y // 5) % 64
    return ((slope + texture - 128).double() / 64).unsqueeze(0)
