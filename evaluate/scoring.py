"""The front door for a notebook: any callable, any folder or data set, every score.

from segbench.evaluate import EvalProtocol, score
print(score(model, "data/streets", EvalProtocol(base_scale=None)))
"""

from __future__ import annotations

import hashlib
import tempfile
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from tqdm import tqdm

from .accuracy import Loading, count_missing
from .count.confusion import Matrix, accuracy_scores, areas, dice_percent, mdice_percent
from .data.datasets import Dataset, DatasetError, ImageFault, locate
from .data.folder import folder_spec
from .evidence import EvidenceKey, EvidenceStore
from .evidence.scores import matrix_from_evidence, missing
from .inference.device import device_kind, numerics
from .inference.plain import model_device
from .limits import protocol_breach

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from .inference.choices import Precision
    from .protocol import EvalProtocol, Void


class ClassScores(NamedTuple):
    """One class, in percent and pixels; None where it is in neither label nor prediction."""

    iou_percent: float | None
    accuracy_percent: float | None
    """Recall: the share of its labelled pixels that were found."""
    dice_percent: float | None
    pixels: int
    """How many pixels are labelled with the class."""


class Scored(NamedTuple):
    """Every score of one model on one data set under one protocol."""

    miou_percent: float
    macc_percent: float
    aacc_percent: float
    mdice_percent: float
    """Means over classes that are in label or prediction; `aacc` is of all labelled pixels. The protocol's void classes
    are left out of all four."""
    classes: dict[str, ClassScores]
    counts: Matrix
    """(C + 1, C) pixels: label by prediction; the last row holds labels that are no class."""
    images: int

    def __str__(self) -> str:
        """A table for the eye."""
        width = max(map(len, self.classes))
        lines = [f"{'':{width}}     IoU     Acc    Dice      pixels"]
        for name, one in self.classes.items():
            shares = "".join(f"{'–' if value is None else f'{value:.2f}':>8}" for value in one[:3])
            lines.append(f"{name:{width}}{shares}{one.pixels:>12,}")
        means = f"mIoU {self.miou_percent:.2f}, mAcc {self.macc_percent:.2f}, mDice {self.mdice_percent:.2f}"
        return "\n".join([*lines, f"{means}, aAcc {self.aacc_percent:.2f} over {self.images} images"])


def score(
    model: Any,
    dataset: Dataset | str | os.PathLike[str],
    protocol: EvalProtocol,
    *,
    store: str | os.PathLike[str] | None = None,
    name: str = "",
    progress: bool = False,
    precision: Precision = "fp32",
    loading: Loading | None = None,
) -> Scored:
    """Predict every image, count, and give all scores.

    Args:
        model: Images (N, 3, H, W), prepared as the protocol says, to scores (N, C, h, w) of the data set's classes; a
            module runs where its parameters are, in evaluation mode.
        dataset: Found by `locate`, or a folder with `images/`, `labels/` and `classes.txt`.
        protocol: How an image becomes a label map.
        store: An evidence file: counts are kept image by image, and what it holds already is not predicted again.
        name: What the model is called there; with `store` it is needed, and a change of code asks for another one.
        progress: Show a bar on stderr.
        precision: Arithmetic of the network.
        loading: Threads and batch.

    Raises:
        DatasetError: The data set is not there or not whole, or images cannot be used: all that can be are counted first.
        EvidenceError: `store` cannot be used.
        NetworkError: The model gives no such scores.
        TypeError: The model is a class, not a network made of it.
        ValueError: The model is in training mode, the protocol names classes that there are not, `store` without `name`, or not one labelled pixel.
    """
    if isinstance(model, type):
        raise TypeError(
            f"expected a network, found the class {model.__name__}; build one: {model.__name__}(...)"
        )
    if isinstance(model, torch.nn.Module) and model.training:
        raise ValueError(
            "the model is in training mode, whose norms and dropout give other scores; call model.eval()"
        )
    if store is not None and not name:
        raise ValueError(
            "store keeps counts by the model's name: give one with name=, another whenever its code changes"
        )
    found = dataset if isinstance(dataset, Dataset) else _folder(Path(dataset))
    _require_suitable(protocol, len(found.spec.classes))
    contents = found.contents()
    key = EvidenceKey(
        weights_sha256=_identity(model, name),
        protocol_digest=protocol.counts_digest(),
        dataset_rules=found.rules_digest(),
        precision=precision,
        device_kind=device_kind(model_device(model)),
        num_classes=len(found.spec.classes),
    )
    with _opened(store) as evidence, numerics(precision):
        new = count_missing(model, found, contents, protocol, evidence, key, loading=loading)
        done = len(contents) - len(missing(found.samples, contents, evidence, key))
        bar = tqdm(new, total=len(contents), initial=done, unit="image", disable=not progress)
        faults = [one for one in bar if isinstance(one, ImageFault)]
        if faults:
            raise DatasetError(_faults(faults, len(contents)))
        matrix = matrix_from_evidence(contents, evidence, key)
        return scored(matrix, found.spec.classes, len(contents), protocol.void)


def scored(matrix: Matrix, classes: tuple[str, ...], images: int, void: Void | None = None) -> Scored:
    """All scores of summed counts.

    Args:
        matrix: (C + 1, C) as of `count.confusion`.
        classes: Their names, in order.
        images: How many were counted.
        void: The protocol's classes that no mean is over.

    Raises:
        ValueError: Not one labelled pixel was counted.
    """
    means, dice, labelled = accuracy_scores(matrix, void), dice_percent(matrix, void), areas(matrix)[3]
    rows = zip(means.iou_percent, means.accuracy_percent, dice, labelled, strict=True)
    each = [
        ClassScores(iou, accuracy, None if np.isnan(one) else float(one), int(pixels))
        for iou, accuracy, one, pixels in rows
    ]
    return Scored(
        means.miou_percent,
        means.macc_percent,
        means.aacc_percent,
        mdice_percent(matrix, void),
        dict(zip(classes, each, strict=True)),
        matrix,
        images,
    )


def _folder(folder: Path) -> Dataset:
    return locate(folder_spec(folder), folder)


def _require_suitable(protocol: EvalProtocol, classes: int) -> None:
    """Refuse a protocol that names classes which the data set has not.

    Raises:
        ValueError: it does.
    """
    void = protocol.void.classes if protocol.void else ()
    if breach := protocol_breach(protocol.flip_pairs, void, classes):
        raise ValueError(f"protocol: {breach}; the data set has {classes} classes")


def _identity(model: Any, name: str) -> str:
    """The model's name with everything that can be told of a module: its structure and its tensors."""
    digest = hashlib.sha256(name.encode())
    if isinstance(model, torch.nn.Module):
        digest.update(repr(model).encode())
        for key, value in model.state_dict().items():
            digest.update(f"{key} {value.dtype} {tuple(value.shape)}".encode())
            digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


@contextmanager
def _opened(store: str | os.PathLike[str] | None) -> Iterator[EvidenceStore]:
    """The evidence file, or one for this call alone."""
    with tempfile.TemporaryDirectory() if store is None else nullcontext() as folder:
        path = Path(folder) / "counts.sqlite" if folder else Path(store or "")
        with EvidenceStore(path) as evidence:
            yield evidence


def _faults(faults: list[ImageFault], total: int) -> str:
    more = f" (and {len(faults) - 3} more)" if len(faults) > 3 else ""
    return f"{len(faults)} of {total} images could not be used: {'; '.join(one.message for one in faults[:3])}{more}"
