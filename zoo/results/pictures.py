"""A few images of each measured row for the HTML report: input, truth, prediction, errors side by side.

The pictures need weights and data at hand; a row that lacks them is told and left out, and nothing is downloaded.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from PIL import Image

from ...evaluate.data.datasets import DatasetError, locate
from ...evaluate.data.subsets import spread
from ...evaluate.inference.tiles import predict_labels
from ...evaluate.picture import class_shares, colour_map, coloured
from ...evaluate.pixels import read_image, read_label
from ...models.load.weights import WeightsError
from ...reports.background import Scene
from ..fetch import FetchError, IntegrityError, fetch_wanted, wanted_action, wanted_weights
from ..measuring.network_form import form_of, ready

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    import torch
    from numpy.typing import NDArray

    from ...evaluate.data.datasets import Dataset, DatasetSpec, Sample
    from ..manifest import Checkpoint

TOTAL_BYTES = 1_500_000
"""Of all JPEGs together: base64 makes 2 MB of them, and the page stays below 3 MB."""
WIDTH = 400
"""Of a picture in pixels where it fits; smaller ones are made until a scene keeps to its share."""
_STEPS = ((1.0, 80), (0.8, 75), (0.6, 70), (0.45, 60), (0.3, 50), (0.2, 40))
"""Share of the width, and JPEG quality, from the best to the smallest."""
_RIGHT, _WRONG, _IGNORED = (238, 238, 238), (200, 30, 30), (120, 120, 120)
"""RGB of pixels in the picture of errors."""


def scenes(
    checkpoints: Sequence[Checkpoint], count: int, data_root: Path | None, device: torch.device
) -> Iterator[Scene | str]:
    """`count` images of each row, spread over its data set; a sentence for every row that has none."""
    share = TOTAL_BYTES // max(1, count * len(checkpoints))
    for checkpoint in checkpoints:
        yield from _scenes_or_reason(checkpoint, count, data_root, device, share)


def _scenes_or_reason(
    checkpoint: Checkpoint, count: int, data_root: Path | None, device: torch.device, share: int
) -> Iterator[Scene | str]:
    try:
        dataset = locate(checkpoint.dataset_spec, data_root)
        model = ready(checkpoint, cached_weights(checkpoint), device, form_of(checkpoint, device.type))
        for sample in spread(dataset.samples, count):
            yield _scene(checkpoint, dataset, model, sample, share)
    except (DatasetError, FetchError, IntegrityError, WeightsError) as absence:
        yield f"{checkpoint.id}: no pictures: {absence}"
    except Exception as error:  # noqa: BLE001  (a row's files may be anything; the other rows have theirs)
        yield f"{checkpoint.id}: no pictures: {type(error).__name__}: {error}"


def cached_weights(checkpoint: Checkpoint) -> Path:
    """The cached file, verified; a report only reads, so nothing is recorded in the lock."""
    wanted = wanted_weights(checkpoint)
    if not wanted_action(wanted).is_here:
        raise FetchError(f"its weights are not in the cache; zoo fetch {checkpoint.id} brings them")
    return fetch_wanted(msgspec.structs.replace(wanted, lock=None), offline=True).path


def _scene(checkpoint: Checkpoint, dataset: Dataset, model: Any, sample: Sample, share: int) -> Scene:
    spec = dataset.spec
    image = read_image(sample.image)
    truth = read_label(sample.label, dataset.label_files, spec.ignore_index, len(spec.classes))
    if truth.shape != image.shape[:2]:
        raise DatasetError(
            f"{sample.label}: its size is not that of {sample.image.name}; they are not a pair"
        )
    labels = (
        predict_labels(model, image, checkpoint.first_protocol(), classes=len(spec.classes))
        .labels.cpu()
        .numpy()
    )
    counted = truth < len(spec.classes)
    wrong = counted & (truth != labels)
    pictures = [
        Image.fromarray(np.ascontiguousarray(image[:, :, ::-1])),
        coloured_labels(truth, spec),
        coloured_labels(labels, spec),
        _errors(counted, wrong),
    ]
    made = jpegs(pictures, share)
    return Scene(
        checkpoint=checkpoint.id,
        image=sample.id,
        input=made[0],
        truth=made[1],
        prediction=made[2],
        errors=made[3],
        wrong_percent=100 * float(wrong.sum()) / max(1, int(counted.sum())),
        classes=_colours(class_shares(labels, spec.classes), spec),
    )


def coloured_labels(labels: NDArray[Any], spec: DatasetSpec) -> Image.Image:
    """Labels (H, W) in their classes' colours; what is no class is black."""
    return coloured(labels, spec.palette or colour_map(len(spec.classes)))


def _colours(names: Iterable[str], spec: DatasetSpec) -> dict[str, str]:
    palette = dict(zip(spec.classes, spec.palette or colour_map(len(spec.classes)), strict=True))
    return {name: "#" + bytes(palette[name]).hex() for name in names}


def _errors(counted: NDArray[np.bool_], wrong: NDArray[np.bool_]) -> Image.Image:
    pixels = np.full((*wrong.shape, 3), _RIGHT, dtype=np.uint8)
    pixels[~counted] = _IGNORED
    pixels[wrong] = _WRONG
    return Image.fromarray(pixels)


def jpegs(pictures: Iterable[Image.Image], share: int) -> list[bytes]:
    """The pictures as JPEGs that together take `share` bytes at most, or are as small as they are made."""
    pictures = list(pictures)
    made: list[bytes] = []
    for scale, quality in _STEPS:
        made = [_jpeg(picture, round(WIDTH * scale), quality) for picture in pictures]
        if sum(map(len, made)) <= share:
            break
    return made


def _jpeg(picture: Image.Image, width: int, quality: int) -> bytes:
    width = min(width, picture.width)
    small = picture.resize((width, max(1, round(picture.height * width / picture.width))))
    file = io.BytesIO()
    small.save(file, format="JPEG", quality=quality, optimize=True)
    return file.getvalue()
