"""A row's network as images are predicted with it: its weights loaded, on the device, in the fastest form that is proven."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import torch
    from torch import nn

    from ...evaluate.inference.choices import NetworkForm, Precision
    from ..manifest import Checkpoint
    from .bench import Options


_AND = " and "
"""Between the forms on record."""


def form_of(
    row: Checkpoint,
    device_type: str,
    *,
    weights: Path | None = None,
    asked: NetworkForm | None = None,
    precision: Precision = "fp32",
) -> NetworkForm:
    """The form that a row's network runs in.

    The fastest on a CPU, where recorded networks keep their scores by it but for a few that amplify rounding; no GPU has run
    that, so there it has to be asked for. What is not ours, and what is not in fp32, runs as published whatever is asked.

    Args:
        row: Of the manifest.
        device_type: `cpu` or `cuda`.
        weights: What is loaded; an export is a network by itself.
        asked: By the user.
        precision: Of the measurement.

    Raises:
        ArchitectureError: Its builder, which is not ours, cannot be had.
    """
    from ...models.adapters import is_export  # noqa: PLC0415
    from ...models.rooms import amplifies_rounding  # noqa: PLC0415

    is_ours = (weights is None or not is_export(weights)) and row.code() is None
    if not is_ours or precision != "fp32":
        return "published"
    is_proven = device_type == "cpu" and not amplifies_rounding(row.architecture)
    return asked or ("winograd" if is_proven else "published")


def on_record(forms: Iterable[str | None]) -> str:
    """What a measurement says of the form: all that its counts were made in, each of which may be several already."""
    return _AND.join(sorted({one for form in forms if form for one in form.split(_AND)}))


def tell_of_stored_form(stored: str | None, row: Checkpoint, weights: Path, options: Options) -> None:
    """Warns where a form was asked for and the answer comes from counts that were stored in another, which nothing undoes.

    Args:
        stored: What `on_record` said of the counts; None where nobody noted it.
        row: Of the manifest.
        weights: What they were made with.
        options: Of the run that they answer.
    """
    asked = options.loading.form
    if asked is None or stored in {None, asked}:
        return
    device = options.device.partition(":")[0]
    if form_of(row, device, weights=weights, asked=asked, precision=options.precision) == asked:
        logging.getLogger("segbench").warning(
            "%s: the answer is of stored counts, made in form %s and not made again in form %s: that needs an evidence file "
            "of its own (--evidence FILE)",
            row.id,
            stored,
            asked,
        )


def ready(
    row: Checkpoint,
    weights: Path,
    device: torch.device,
    form: NetworkForm,
    sha256: str = "",
) -> nn.Module:
    """The row's network with its weights, on the device.

    Args:
        row: Of the manifest.
        weights: Its file.
        device: To run on.
        form: What `form_of` says.
        sha256: What the file was when it was checked; empty for nothing.

    Raises:
        ArchitectureError, WeightsError: As `Checkpoint.load`.
    """
    return in_form(row.load(weights, sha256=sha256), form).to(device)


def in_form(model: nn.Module, form: NetworkForm) -> nn.Module:
    """The network itself, changed in place unless its form is the published one."""
    from ...models.load.folding import folded  # noqa: PLC0415  (torch)
    from ...models.load.winograd import with_winograd  # noqa: PLC0415  (torch)

    if form == "published":
        return model
    return folded(model) if form == "folded" else with_winograd(folded(model))
