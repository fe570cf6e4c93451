"""A program of `torch.export` (.pt2) as a network."""

from __future__ import annotations

import io
import logging
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from . import ExportError, failure_named, fitted

if TYPE_CHECKING:
    from typing_extensions import Self


class ExportedProgram(nn.Module):
    """Images (N, 3, H, W) to whatever the program gives; the sizes that it was exported for."""

    def __init__(self, program: torch.export.ExportedProgram, source: str) -> None:
        super().__init__()
        self.program = program.module()
        self.takes = _takes(program, source)
        self.source = source

    def train(self, mode: bool = True) -> Self:  # noqa: FBT001, FBT002  (as torch has it)
        """Whatever was exported: a program has no mode that could be changed."""
        self.training = mode
        return self

    def forward(self, images: Tensor) -> Tensor:
        """Scores (N, C, h, w)."""
        return fitted(self._run, images, self.takes, self.source)

    def _run(self, images: Tensor) -> Tensor:
        with failure_named(self.source, images):
            return self.program(images)


def load(data: bytes, source: str) -> ExportedProgram:
    """The network that a file's bytes are; reading them can run code.

    Raises:
        ExportError: torch cannot read it, or it takes something else than images.
    """
    log = logging.getLogger("torch.export")
    was, log.disabled = log.disabled, True  # it would print its traceback beside our message
    try:
        program = torch.export.load(io.BytesIO(data))
    except Exception as error:  # whatever the bytes happen to be
        reason = str(error).strip().splitlines()
        raise ExportError(
            f"{source}: torch {torch.__version__} cannot read it as a program of torch.export: "
            f"{reason[0] if reason else type(error).__name__}; save it with torch.export.save of the same version"
        ) from error
    finally:
        log.disabled = was
    return ExportedProgram(program, source)


def _takes(program: torch.export.ExportedProgram, source: str) -> tuple[int | None, ...]:
    names = program.graph_signature.user_inputs
    values: list[Any] = [
        node.meta.get("val")
        for node in program.graph.nodes
        if node.op == "placeholder" and node.name in names
    ]
    if len(values) != 1 or not isinstance(values[0], Tensor) or values[0].dim() != 4:
        raise ExportError(
            f"{source}: expected a program of one tensor (N, 3, H, W); found one of {len(values)} inputs"
        )
    return tuple(length if isinstance(length, int) else None for length in values[0].shape)
