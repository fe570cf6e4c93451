"""Images in, label maps and counts out: protocols, data sets, inference, metric, evidence.

Knows neither models nor manifests nor the network: a model is any callable from an image batch
(N, 3, H, W) to scores (N, C, h, w).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .data.datasets import DatasetSpec, LabelFiles
from .protocol import EvalProtocol, SlidingWindow, Void

if TYPE_CHECKING:
    from .inference.plain import predict
    from .scoring import score

__all__ = ["DatasetSpec", "EvalProtocol", "LabelFiles", "SlidingWindow", "Void", "predict", "score"]


def __getattr__(name: str) -> Any:
    """Import `predict` and `score`, and with them torch, only when somebody asks: `zoo list` never does."""
    if name == "predict":
        from .inference.plain import predict  # noqa: PLC0415

        return predict
    if name == "score":
        from .scoring import score  # noqa: PLC0415

        return score
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
