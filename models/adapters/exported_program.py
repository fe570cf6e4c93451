"""A program of `torch.export` (.pt2) as a network."""

from __future__ import annotations

import io
import logging
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from . import ExportError, failure_named, fitted, reason_of

if TYPE_CHECKING:
    from collections.abc import Iterator

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
        ExportError: torch cannot read it, it takes something else than images, or it is in training form.
    """
    log = logging.getLogger("torch.export")
    was, log.disabled = log.disabled, True  # it would print its traceback beside our message
    try:
        program = torch.export.load(io.BytesIO(data))
    except Exception as error:  # whatever the bytes happen to be
        raise ExportError(
            f"{source}: torch {torch.__version__} cannot read it as a program of torch.export: "
            f"{reason_of(error)}; save it with torch.export.save of the same version"
        ) from error
    finally:
        log.disabled = was
    if trained := sorted(set(_in_training(program))):
        raise ExportError(
            f"{source}: exported in training form: {', '.join(trained)}; such scores depend on the other images of a "
            "batch, or on chance: export it again after model.eval()"
        )
    return ExportedProgram(program, source)


def _in_training(program: torch.export.ExportedProgram) -> Iterator[str]:
    """Operators that run as in training: told so, and with statistics to leave aside or something to drop.

    A norm that keeps no statistics takes those of the images in evaluation too; torch 2.4 has operators of their own for such.
    """
    for module in program.graph_module.modules():
        for node in module.graph.nodes if isinstance(module, torch.fx.GraphModule) else ():
            if isinstance(node.target, torch._ops.OpOverload):  # noqa: SLF001  (the type of an operator)
                given = _arguments(node)
                is_on = any(given.get(name) is True for name in ("training", "train", "use_input_stats"))
                is_without = "momentum" in given and given.get("running_mean") is None
                is_idle = is_without or 0 in (given.get("p"), given.get("dropout"))
                if (is_on and not is_idle) or (given.get("dropout_p") or 0) > 0:
                    yield node.target.name()


def _arguments(node: torch.fx.Node) -> dict[str, Any]:
    """What an operator is given, by name, defaults too; what another node gives is that node."""
    schema = node.target._schema.arguments  # type: ignore[union-attr]  # noqa: SLF001
    given = {one.name: value for one, value in zip(schema, node.args, strict=False)}
    return {one.name: one.default_value for one in schema} | given | node.kwargs


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
