"""A publisher's weights written as safetensors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...models.adapters import is_export
from ...models.load.checkpoint_file import open_checkpoint, write_safetensors
from ...models.load.health import content_digest
from ...models.load.weights import WeightsError
from ..fetch import file_sha256
from .check import filled, value_findings

if TYPE_CHECKING:
    from pathlib import Path

    from ..manifest import Checkpoint


def convert(
    checkpoint: Checkpoint, source: Path, target: Path, *, force: bool = False, unsafe: bool = False
) -> Path:
    """Write a checkpoint's weights as safetensors, under the publisher's own key names.

    Only a file that fits the architecture strictly and whose values are sound is converted.

    Args:
        checkpoint: The row the file belongs to.
        source: The publisher's file.
        target: The file to write; its name ends in `.safetensors`.
        force: Replace a file of that name.
        unsafe: Unpickle without restriction, see `open_checkpoint`.

    Returns:
        The target.

    Raises:
        WeightsError: The source cannot be read, does not fit or is damaged; the target cannot be written.
    """
    if target.suffix != ".safetensors":
        raise WeightsError(f"{target}: expected a name that ends in .safetensors; found {target.suffix!r}")
    if is_export(source):
        raise WeightsError(
            f"{source}: an export is the network by itself and no weights of it; convert the checkpoint that it was made of"
        )
    try:
        source_sha256 = file_sha256(source)
    except OSError as error:
        raise WeightsError(f"{source}: cannot be read: {error.strerror or error}") from error
    state = open_checkpoint(source, unsafe=unsafe, sha256=source_sha256).state
    filled(checkpoint, state, str(source))
    if bad := [finding for finding in value_findings(checkpoint, state) if finding.gravity == "error"]:
        raise WeightsError(f"{source}: {bad[0].what}: {bad[0].meaning}")
    metadata = {
        "checkpoint": checkpoint.id,
        "publisher": checkpoint.publisher,
        "layout": checkpoint.weights.layout,
        "source": source.name,
        "source_sha256": source_sha256,
        "content_digest": content_digest(state),
    }
    write_safetensors(state, target, metadata, overwrite=force)
    return target
