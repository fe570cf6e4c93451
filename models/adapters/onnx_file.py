"""An ONNX file as a network, run by onnxruntime on the CPU (the extra `segbench[onnx]`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from . import AdapterError, ExportError, failure_named, fitted, reason_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Self


class OnnxNetwork(nn.Module):
    """Images (N, 3, H, W) to the file's output."""

    def __init__(self, session: Any, source: str) -> None:
        super().__init__()
        inputs = session.get_inputs()
        if len(inputs) != 1 or inputs[0].type != "tensor(float)" or len(inputs[0].shape) != 4:
            found = ", ".join(f"{one.name} {one.type} {one.shape}" for one in inputs)
            raise ExportError(f"{source}: expected one input, float32 images (N, 3, H, W); found {found}")
        self.session = session
        self.takes = tuple(length if isinstance(length, int) else None for length in inputs[0].shape)
        self.source = source

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:  # noqa: FBT001, FBT002
        if (there := fn(torch.empty(0)).device.type) != "cpu":
            raise ExportError(
                f"{self.source}: onnxruntime runs on the CPU here, not on {there}; take --device cpu"
            )
        return super()._apply(fn, recurse)

    def forward(self, images: Tensor) -> Tensor:
        """Scores (N, C, h, w)."""
        return fitted(self._run, images, self.takes, self.source)

    def _run(self, images: Tensor) -> Tensor:
        name = self.session.get_inputs()[0].name
        with failure_named(self.source, images):
            return torch.from_numpy(self.session.run(None, {name: images.contiguous().numpy()})[0])


def load(data: bytes, source: str) -> OnnxNetwork:
    """The network that a file's bytes are.

    Raises:
        AdapterError: onnxruntime is not installed.
        ExportError: It cannot run the file.
    """
    try:
        import onnxruntime  # pyright: ignore[reportMissingImports]  # noqa: PLC0415  (an extra)
    except ModuleNotFoundError as error:
        if error.name != "onnxruntime":
            raise
        raise AdapterError(
            f"{source}: an ONNX file is run by onnxruntime, which is not installed here; pip install 'segbench[onnx]'"
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # its warnings are about its own optimiser
    try:
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # an own tree of errors, without a base of its own
        raise ExportError(
            f"{source}: onnxruntime {onnxruntime.__version__} cannot run it: {reason_of(error)}"
        ) from error
    return OnnxNetwork(session, source)
