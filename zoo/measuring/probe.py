"""The speed of a network on this machine, from one picture: what a plan rests on where nothing was measured."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from ...evaluate.geometry import view_size
from ...evaluate.inference.device import numerics
from ...evaluate.inference.tiles import predict_labels
from .network_form import form_of, in_form

if TYPE_CHECKING:
    import torch

    from ...evaluate.geometry import Size
    from ...evaluate.protocol import EvalProtocol
    from ..manifest import Checkpoint

RUNS = 2
"""Timed after one that is not; the faster one counts, since what disturbs a run makes it slower."""
MOST_PIXELS = 1024 * 512
"""Of the picture: a large network on a few cores takes seconds for it."""
_SEED = 0


def probed_picture(size: Size, protocol: EvalProtocol) -> tuple[Size, EvalProtocol]:
    """(height, width) of the picture that is timed, and the protocol: one view, and of windows one.

    Args:
        size: of a typical image.
        protocol: by which a row is measured.
    """
    one_view = msgspec.structs.replace(protocol, scales=(1.0,), flip=False, flip_pairs=(), base_scale=None)
    if protocol.window is not None:
        return protocol.window.crop, one_view
    height, width = view_size(size, msgspec.structs.replace(protocol, scales=(1.0,)), 1.0)
    shrink = min(1.0, (MOST_PIXELS / (height * width)) ** 0.5)
    return (max(64, int(height * shrink)), max(64, int(width * shrink))), one_view


def probe_seconds(row: Checkpoint, size: Size, protocol: EvalProtocol, device: torch.device) -> float:
    """Wall seconds from a picture of noise to its label map, by the row's network with random weights.

    Raises:
        ArchitectureError: the network cannot be built.
    """
    model = in_form(row.build(), form_of(row, device.type)).to(device)
    picture = np.random.default_rng(_SEED).integers(0, 256, (*size, 3), dtype=np.uint8)
    taken = []
    with numerics():
        for _ in range(RUNS + 1):
            started = time.perf_counter()
            predict_labels(model, picture, protocol).labels.cpu()
            taken.append(time.perf_counter() - started)
    return min(taken[1:])
