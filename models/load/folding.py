"""The form in which a network predicts fastest on a CPU; its scores are the published form's but for rounding.

In evaluation a batch norm multiplies and adds a constant to every channel of the convolution before it, so both are one
convolution; and with channels last torch's CPU library, oneDNN, need not reorder a map before and after each of them.
`benchmarks/networks.py` holds both forms beside each other.
"""

from __future__ import annotations

import re
from copy import deepcopy
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

if TYPE_CHECKING:
    from collections.abc import Iterator

_NUMBERED = re.compile(r"conv(\d+)")
"""Of a block whose `bn` of the same number takes what this convolution gives, as in every ResNet since the first."""


def folded(model: nn.Module) -> nn.Module:
    """The network with batch norms made part of convolutions, and channels last; it is changed in place.

    Which norm takes what which convolution gives, and nothing else looks at that, a module says in `folds` (pairs of its
    children's names); a `Sequential` and numbered names (`conv1`, `bn1`) say it by themselves. Other norms stay as they are.

    Args:
        model: One of our networks, in evaluation mode, with its weights. Others may number their parts otherwise.
    """
    with torch.no_grad():
        for parent in list(model.modules()):
            for before, after in list(_pairs(parent)):
                conv, norm = parent.get_submodule(before), parent.get_submodule(after)
                if type(conv) is nn.Conv2d and type(norm) is nn.BatchNorm2d:
                    setattr(parent, before, _fused(conv, norm))
                    setattr(parent, after, nn.Identity())
        return model.to(memory_format=torch.channels_last)


def _fused(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    """Both as one convolution, of numbers that are rounded once; neither is changed, for other parents may share them."""
    return fuse_conv_bn_eval(deepcopy(conv).double(), deepcopy(norm).double()).to(conv.weight.dtype)


def _pairs(parent: nn.Module) -> Iterator[tuple[str, str]]:
    """Names of children that run one right after the other, and nothing else looks between them."""
    names = [name for name, _ in parent.named_children()]
    if (said := getattr(parent, "folds", None)) is not None:
        yield from said
    elif type(parent).forward is nn.Sequential.forward:
        yield from pairwise(names)
    else:
        numbered = ((name, _NUMBERED.fullmatch(name)) for name in names)
        yield from ((name, f"bn{found[1]}") for name, found in numbered if found and f"bn{found[1]}" in names)
