"""Architectures of the published checkpoints, and the only way their weights are read.

Nothing of ours is imported here but this folder: a model file can be lifted out and used alone. The names
below are resolved on first use, so that `import segbench.models` does not pay for torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .build import build_model
    from .builders import ArchitectureError, BuilderError
    from .builders import use as use_builders
    from .load.checkpoint_file import read_checkpoint
    from .load.weights import WeightsError, load_weights
    from .rooms import known_types, unbuilt_parts

__all__ = [
    "ArchitectureError",
    "BuilderError",
    "WeightsError",
    "build_model",
    "known_types",
    "load_weights",
    "read_checkpoint",
    "unbuilt_parts",
    "use_builders",
]

_HOME = {
    "ArchitectureError": "builders",
    "BuilderError": "builders",
    "use_builders": "builders",
    "build_model": "build",
    "known_types": "rooms",
    "unbuilt_parts": "rooms",
    "WeightsError": "load.weights",
    "load_weights": "load.weights",
    "read_checkpoint": "load.checkpoint_file",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    inside = "use" if name == "use_builders" else name
    return getattr(import_module(f".{_HOME[name]}", __name__), inside)
