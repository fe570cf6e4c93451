"""The images that two runs label most differently: both label maps, drawn again from the runs' own files.

Stored counts hold no pixels, so both networks are run once more on those images; only with the very weights, code and
protocol that were counted. What lacks them is told, and the comparison stands without pictures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image

from ...evaluate.data.datasets import DatasetError, locate
from ...evaluate.inference.tiles import predict_labels
from ...evaluate.pixels import read_image, read_label
from ...models.builders import ArchitectureError
from ...models.load.weights import WeightsError
from ...reports.background import ChangedScene
from ..fetch import FetchError, IntegrityError, file_sha256
from ..manifest import UnknownCheckpoint
from ..measuring.network_form import form_of, ready
from ..measuring.own_code import code_digest, network_trouble_named
from ..measuring.terms import NotMeasured
from .pictures import cached_weights, coloured_labels, jpegs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import torch
    from numpy.typing import NDArray

    from ...evaluate.data.datasets import Dataset
    from ...evaluate.protocol import EvalProtocol
    from ..manifest import Checkpoint, Manifest
    from .comparison import Pair, Side

TOTAL_BYTES = 1_500_000
"""Of all JPEGs of a page."""
CHANGES = {
    "same": (238, 238, 238),
    "ignored": (120, 120, 120),
    "gained": (20, 113, 58),
    "lost": (179, 38, 30),
    "moved": (230, 160, 30),
}
"""RGB of pixels that stayed, that count nowhere, that became right or wrong, and that are wrong in another way."""


class NoPictures(Exception):  # noqa: N818  (an answer)
    """Nothing can be drawn; the message says why."""


class _Run(NamedTuple):
    """One side, ready to label images."""

    checkpoint: Checkpoint
    model: Any
    protocol: EvalProtocol

    def labels(self, image: NDArray[np.uint8]) -> NDArray[Any]:
        """Labels (H, W) of an image (H, W, 3)."""
        classes = len(self.checkpoint.dataset_spec.classes)
        with network_trouble_named(self.checkpoint):
            return predict_labels(self.model, image, self.protocol, classes=classes).labels.cpu().numpy()


def changed_scenes(
    pair: Pair,
    count: int,
    manifest: Manifest,
    files: Sequence[Path | None],
    data_root: Path | None,
    device: torch.device,
) -> list[ChangedScene]:
    """The `count` images with the largest changes, or as many as changed.

    Args:
        pair: Two runs compared.
        count: Of images.
        manifest: Has the rows of both.
        files: Weights or export of either run; None for what the cache has.
        data_root: The data set's.
        device: Both run there, in float32.

    Raises:
        NoPictures: what was counted, or its data set, is not at hand.
    """
    sides = pair.first, pair.second
    try:
        runs = [_run(side, manifest, file, device) for side, file in zip(sides, files, strict=True)]
        dataset = locate(runs[0].checkpoint.dataset_spec, data_root)
        images = [one.image for one in pair.found.changed[:count]]
        share = TOTAL_BYTES // max(1, len(images))
        return [_scene(image, dataset, runs, share) for image in images]
    except (
        ArchitectureError, DatasetError, FetchError, IntegrityError, NotMeasured, UnknownCheckpoint, WeightsError,
    ) as absence:  # fmt: skip
        raise NoPictures(str(absence)) from absence


def _run(side: Side, manifest: Manifest, file: Path | None, device: torch.device) -> _Run:
    checkpoint = manifest[side.use.checkpoint]
    path = file or cached_weights(checkpoint)
    if (found := file_sha256(path)) != side.key.weights_sha256:
        raise NoPictures(
            f"{side.name} was counted with a file of SHA-256 {side.key.weights_sha256[:12]}..., {path} has {found[:12]}...; "
            "name the two runs' own with --files FIRST SECOND"
        )
    if code_digest(checkpoint, path) != side.key.code:
        raise NoPictures(
            f"{side.name} was counted with other code than is there now; the same file or package brings it back"
        )
    protocols = {one.counts_digest(): one for one in manifest.protocols.values()}
    if side.key.protocol_digest not in protocols:
        raise NoPictures(f"{side.name} was counted by a protocol that {manifest.path.name} does not have")
    model = ready(checkpoint, path, device, form_of(checkpoint, device.type, weights=path), found)
    return _Run(checkpoint, model, protocols[side.key.protocol_digest])


def _scene(name: str, dataset: Dataset, runs: Sequence[_Run], share: int) -> ChangedScene:
    spec = dataset.spec
    sample = next((one for one in dataset.samples if one.id == name), None)
    if sample is None:
        raise NoPictures(f"{name} is no image of {spec.title} in {dataset.root}")
    image = read_image(sample.image)
    truth = read_label(sample.label, dataset.label_files, spec.ignore_index, len(spec.classes))
    first, second = (run.labels(image) for run in runs)
    if not truth.shape == first.shape == second.shape:
        raise NoPictures(
            f"{name}: labels of {truth.shape} and label maps of {first.shape} and {second.shape} pixels"
        )
    counted = truth < len(spec.classes)
    pictures = [
        Image.fromarray(np.ascontiguousarray(image[:, :, ::-1])),
        *(coloured_labels(labels, spec) for labels in (truth, first, second)),
        changes(truth, first, second, counted),
    ]
    made = jpegs(pictures, share)
    return ChangedScene(
        image=name,
        input=made[0],
        truth=made[1],
        first=made[2],
        second=made[3],
        changes=made[4],
        changed_percent=100 * float((first != second).mean()),
    )


def changes(
    truth: NDArray[Any], first: NDArray[Any], second: NDArray[Any], counted: NDArray[np.bool_]
) -> Image.Image:
    """A picture of what became of each pixel, in the colours of `CHANGES`.

    Args:
        truth: Labels (H, W).
        first: Label map of the first run.
        second: Of the second one.
        counted: Where a label counts.
    """
    pixels = np.full((*truth.shape, 3), CHANGES["same"], dtype=np.uint8)
    pixels[~counted] = CHANGES["ignored"]
    changed = first != second
    pixels[changed] = CHANGES["moved"]
    pixels[changed & counted & (second == truth)] = CHANGES["gained"]
    pixels[changed & counted & (first == truth)] = CHANGES["lost"]
    return Image.fromarray(pixels)
