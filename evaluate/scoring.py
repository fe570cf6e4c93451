"""The front door for a notebook: any callable, any folder or data set, every score.

from segbench.evaluate import EvalProtocol, score
print(score(model, "data/streets", EvalProtocol(base_scale=None)))
"""

from __future__ import annotations

import hashlib
import logging
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
from .inference.strangers import networks_in
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
        ValueError: The model or a part of it is in training mode, autocast is on, the protocol names classes that there are not, `store` without `name`, or not one labelled pixel.
    """
    if isinstance(model, type):
        raise TypeError(
            f"expected a network, found the class {model.__name__}; build one: {model.__name__}(...)"
        )
    networks = networks_in(model)
    _require_evaluation(model, networks)
    if store is not None and not name:
        raise ValueError(
            "store keeps counts by the model's name: give one with name=, another whenever its code changes"
        )
    found = dataset if isinstance(dataset, Dataset) else _folder(Path(dataset))
    _require_suitable(protocol, len(found.spec.classes))
    contents = found.contents()
    key = EvidenceKey(
        weights_sha256=_identity(networks, name),
        protocol_digest=protocol.counts_digest(),
        dataset_rules=found.rules_digest(),
        precision=precision,
        device_kind=device_kind(model_device(model)),
        num_classes=len(found.spec.classes),
    )
    with _opened(store) as evidence, numerics(precision), _draws_told():
        new = count_missing(model, found, contents, protocol, evidence, key, loading=loading)
        done = len(contents) - len(missing(found.samples, contents, evidence, key))
        bar = tqdm(new, total=len(contents), initial=done, unit="image", disable=not progress)
        faults = [one for one in bar if isinstance(one, ImageFault)]
        if faults:
            raise DatasetError(_faults(faults, len(contents)))
        matrix = matrix_from_evidence(contents, evidence, key)
        _tell_of_strays(matrix, found)
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


@contextmanager
def _draws_told() -> Iterator[None]:
    """Warn where torch's generator of the CPU went on meanwhile."""
    before = torch.get_rng_state()
    yield
    if not torch.equal(before, torch.get_rng_state()):
        logging.getLogger("segbench").warning(
            "random numbers were drawn while the model ran; where it was the model, another run gives another number"
        )


def _tell_of_strays(matrix: Matrix, dataset: Dataset) -> None:
    """Warn of labels that are neither a class nor ignored: whatever is predicted there is a mistake of its class."""
    if strays := int(matrix[-1].sum()):
        logging.getLogger("segbench").warning(
            "%s: %d of %d counted pixels have label values outside the %d classes; see zoo data",
            dataset.root, strays, matrix.sum(), matrix.shape[1],
        )  # fmt: skip


def _require_evaluation(model: Any, networks: list[torch.nn.Module]) -> None:
    """Refuse what gives other scores than the network's own.

    Raises:
        ValueError: some of it is in training mode, or torch's autocast is on.
    """
    for network in networks:
        for name, part in network.named_modules():
            if getattr(part, "training", False) and (part is model or _heeds_its_mode(part)):
                whose = "the model" if network is model else f"a {type(network).__name__} that the model runs"
                which = f"{name} of {whose}, a {type(part).__name__}," if name else whose
                raise ValueError(
                    f"{which} is in training mode, whose norms and dropout give other scores; call model.eval()"
                )
    if torch.is_autocast_enabled(model_device(model).type):
        raise ValueError(
            "torch.autocast is on here, and precision says what the network runs in; leave autocast and give precision='bf16' or 'fp16'"
        )


def _heeds_its_mode(part: torch.nn.Module) -> bool:
    """Whether a part may do otherwise in training: of torch's own, random and counting ones alone."""
    kinds = (torch.nn.modules.dropout._DropoutNd, torch.nn.modules.batchnorm._NormBase, torch.nn.RReLU)  # noqa: SLF001
    return isinstance(part, kinds) or not type(part).__module__.startswith("torch.")


def _identity(networks: list[torch.nn.Module], name: str) -> str:
    """The model's name with everything that can be told of the networks it runs: their structure and their tensors."""
    digest = hashlib.sha256(name.encode())
    for network in networks:
        digest.update(repr(network).encode())
        kept = network.state_dict()
        more = {key: value for key, value in network.named_buffers() if key not in kept}
        for key, value in {**kept, **more}.items():
            _take_in(digest, key, value)
    return digest.hexdigest()


def _take_in(digest: hashlib._Hash, key: str, value: Any) -> None:
    """A tensor, or what else a network keeps: the packed weights of quantised layers, a state of its own."""
    if isinstance(value, (list, tuple, dict)):
        parts = value.items() if isinstance(value, dict) else enumerate(value)
        for place, part in parts:
            _take_in(digest, f"{key}[{place}]", part)
    elif isinstance(value, torch.Tensor):
        digest.update(f"{key} {value.dtype} {tuple(value.shape)}".encode())
        plain = value.detach().cpu()
        plain = plain.dequantize() if plain.is_quantized else plain.to_dense()
        digest.update(plain.contiguous().flatten().view(torch.uint8).numpy().tobytes())
    else:
        digest.update(f"{key} {value!r}".encode())


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
