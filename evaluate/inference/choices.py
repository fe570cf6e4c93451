"""What a user chooses of how images are predicted; named without torch, which only predicting needs."""

from __future__ import annotations

from typing import Literal

import msgspec

Precision = Literal["fp32", "tf32", "fp16", "bf16"]
"""Arithmetic of the network; fp32 is the claims' own."""
Kernel = Literal["tiles", "triton"]
"""What makes label maps: operations of torch tile by tile, or one kernel, which no GPU is on record to have run."""

NetworkForm = Literal["winograd", "folded", "published"]
"""How one of our networks runs: as published; with batch norms folded into the convolutions before them and channels last; or so
with 3x3 convolutions by Winograd's tiles too."""


class Conditions(msgspec.Struct, kw_only=True):
    """What images were counted with, as far as it is found out on the way."""

    kernels: set[Kernel] = msgspec.field(default_factory=set)
    """What made label maps."""
    images_at_once: int | None = None
    """How many were predicted at once, each by itself; None before the first."""


class Loading(msgspec.Struct, frozen=True, kw_only=True):
    """How images reach the network; changes speed, and with `batch` last bits."""

    workers: int | None = None
    """Threads. On the CPU so many images are predicted at once, each on its share of the cores (None: up to 4, as memory has room), where
    the network bears it; for others and a GPU so many make images ready (None: 2). 0 for one thing after the other."""
    batch: int = 1
    """Network inputs of one size that run at once: windows, mirrored views and, on a GPU, images. 1 is the
    publishers' own: other batches may take other kernels."""
    kernel: Kernel = "tiles"
    """What makes label maps."""
    form: NetworkForm | None = None
    """Of our networks; None for what suits the device. Last bits differ, as between two processors."""
