"""What can be told of weights without a data set: identity, sanity, and what they make of one image."""

from __future__ import annotations

import copy
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch

from .weights import SHOWN, shown, shown_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from torch import Tensor, nn

Gravity = Literal["error", "warning", "absent"]
"""Not to be used; worth knowing; not there to be looked at."""

LARGEST_VARIANCE = 1e8
"""Activations with a standard deviation of 10,000: beyond any network that was trained with normalisation."""

CANARY_SIZE = (64, 96)
"""Height and width of the canary's image in pixels."""
CANARY_STEP = 1e-3
"""Scores are told apart to this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
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


def findings(state: Mapping[str, Tensor]) -> list[Finding]:
    """What is wrong with the values of a state dict, whatever the architecture; empty where nothing is."""
    checks = (
        _not_finite,
        _negative_variance,
        _zero_variance,
        _absurd_variance,
        _zero_weights,
        _untouched_norms,
    )
    return [finding for check in checks for finding in check(state)]


def _not_finite(state: Mapping[str, Tensor]) -> Iterator[Finding]:
    for what, is_bad in (("NaN", torch.isnan), ("infinity", torch.isinf)):
        yield from _values(
            _floats(state),
            is_bad,
            f"{what} in the weights",
            "Every score would be spoilt: the file is damaged or training diverged; fetch it again.",
        )


def _negative_variance(state: Mapping[str, Tensor]) -> Iterator[Finding]:
    return _values(
        _variances(state),
        lambda value: value < 0,
        "negative BatchNorm variance",
        "No training gives that: the file is damaged; fetch it again.",
    )


def _zero_variance(state: Mapping[str, Tensor]) -> Iterator[Finding]:
    # A dead channel's running variance decays towards 5.6e-45, the float32 that times 0.9 rounds to itself,
    # and stays there; published files are full of those. Zero it never reaches.
    return _values(
        _variances(state),
        lambda value: value == 0,
        "BatchNorm variance of zero",
        "Training from 1 never reaches 0: these values were lost or never written; fetch the file again.",
    )


def _absurd_variance(state: Mapping[str, Tensor]) -> Iterator[Finding]:
    return _values(
        _variances(state),
        lambda value: (value > LARGEST_VARIANCE) & value.isfinite(),
        "absurd BatchNorm variance",
        f"Above {LARGEST_VARIANCE:g}, as bytes that are no variances give: compare with another copy of the file.",
    )


def _zero_weights(state: Mapping[str, Tensor]) -> Iterator[Finding]:
    """Convolutions of zeros are lost data; a norm's scale of zeros is how residual branches begin training."""
    zero = [key for key, value in _floats(state).items() if key.endswith("weight") and not value.any()]
    filters = [key for key in zero if state[key].dim() > 1]
    if filters:
        yield Finding(
            what="weights all zero",
            gravity="error",
            meaning=f"{_named(filters)}. A layer that lets nothing pass, as a download with holes leaves it; "
            "fetch the file again.",
        )
    if scales := [key for key in zero if key not in filters]:
        yield Finding(
            what="scales all zero",
            gravity="warning",
            meaning=f"{_named(scales)}. Residual branches begin training so: these were not trained since.",
        )


def _untouched_norms(state: Mapping[str, Tensor]) -> Iterator[Finding]:
    """A norm begins with a running mean of 0 and a variance of 1 in every channel; one step of training moves both."""
    norms = [key.removesuffix("running_var") for key in _variances(state)]
    untouched = [
        norm
        for norm in norms
        if bool((state[f"{norm}running_var"] == 1).all())
        and not state.get(f"{norm}running_mean", state[f"{norm}running_var"]).any()
    ]
    if untouched:
        yield Finding(
            what="norms untouched",
            gravity="warning",
            meaning=f"{len(untouched)} of {len(norms)} norms, {shown_all(norm.rstrip('.') for norm in untouched)}, have "
            "a running mean of 0 and a variance of 1 in every channel, as before training.",
        )


def _values(
    tensors: Mapping[str, Tensor], is_bad: Callable[[Tensor], Tensor], what: str, advice: str
) -> Iterator[Finding]:
    counts = {key: int(is_bad(value).sum()) for key, value in tensors.items()}
    if bad := [key for key, count in counts.items() if count]:
        total = sum(counts.values())
        values = "1 value" if total == 1 else f"{total} values"
        yield Finding(what=what, gravity="error", meaning=f"{values} in {_named(bad)}. {advice}")


def _floats(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key: value for key, value in state.items() if value.is_floating_point() and value.numel()}


def _variances(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key: value for key, value in _floats(state).items() if key.endswith("running_var")}


def _named(keys: list[str]) -> str:
    """`1 tensor: a`, or `5 tensors: a, b, c, ...`."""
    plural = "" if len(keys) == 1 else "s"
    return f"{len(keys)} tensor{plural}: {', '.join(map(shown, keys[:SHOWN]))}{', ...' * (len(keys) > SHOWN)}"


# Canary -----------------------------------------------------------------------------------------------------


def canary(model: nn.Module) -> str:
    """A short digest (16 hex digits) of a model's scores on one fixed image.

    The same weights give the same digest on any number of threads and out of any container. The
    scores are rounded to `CANARY_STEP` and hashed. In float32 that would not do: threads add in another order
    and move a deep network's scores by 1e-4, so of a thousand scores some always lie that close to a boundary
    of rounding, and a best class changes where two are that close. Hence float64, whose 1e-12 leaves a chance
    of one in a million.

    Args:
        model: Filled, in evaluation mode, on the CPU; Nx3xHxW images to NxCxhxw scores. It is not touched.

    Returns:
        The digest, or "not finite" where a score is NaN or infinite.
    """
    twin = copy.deepcopy(model).double()
    with torch.inference_mode():
        scores = twin(canary_image())
    if not scores.isfinite().all():
        return "not finite"
    steps = (scores / CANARY_STEP).round().to(torch.int64)
    digest = hashlib.sha256(str(tuple(scores.shape)).encode())
    digest.update(steps.numpy().astype("<i8").tobytes())
    return digest.hexdigest()[:16]


def canary_image() -> Tensor:
    """The canary's image, 1x3xHxW float64 within [-2, 2]: slopes, bands and a fine texture.

    Made of whole numbers and one division by a power of two, so that it is exact everywhere.
    """
    height, width = CANARY_SIZE
    y = torch.arange(height).view(1, height, 1)
    x = torch.arange(width).view(1, 1, width)
    c = torch.arange(3).view(3, 1, 1)
    slope = (2 * x + (3 + c) * y + 40 * c) % 192
    texture = (7 * x + 13 * y + 29 * c + x * y // 5) % 64
    return ((slope + texture - 128).double() / 64).unsqueeze(0)
