"""Which mistake turns our number into the other one: suspects measured on a sample, compared by pairs.

A subset's mIoU is far from the data set's, but the *difference* that a mistake makes on the same images is
not: added to our number for the whole data set it predicts what the mistake would have given there. Suspects
that cannot reach the number in question are dropped after a few images.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import torch

from .confusion import Matrix, accuracy_scores, confusion_matrix
from .inference import model_device, predict_scores
from .pixels import read_image, read_label

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from .datasets import Sample
    from .evidence import EvidenceKey, EvidenceStore
    from .suspects import Suspect

FIRST_ROUND = 4
"""Images after which suspects are dropped for the first time; then after twice as many, and so on."""
_STANDARD_ERRORS = 6
_LEAST_MARGIN_POINTS = 1.5
"""A suspect is dropped only when it is farther off than both: a few images estimate their own error badly."""


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """The number to be explained and ours."""

    value_percent: float
    """Published, or another tool's."""
    measured_percent: float
    """Ours by the published protocol, on the whole data set."""
    band_points: float
    """Up to here a prediction fits: half a unit of the last digit and what repeated runs differ by."""
    image_count: int
    """Of the whole data set."""


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What one suspect makes of our number."""

    suspect: str
    description: str
    effect_points: float
    """Its mIoU minus ours, on the same images."""
    error_points: float
    """Standard error of the effect, from leaving out one image at a time; 0 on the whole data set."""
    predicted_percent: float
    """Our number plus the effect."""
    off_points: float
    """Predicted minus the number to be explained."""
    images: int
    """Sample it was measured on; fewer than asked for where it was dropped."""
    fits: bool


class Counter:
    """Counts images under many suspects: files are read once an image, the network runs once a distinct input.

    Args:
        model: images (N, 3, H, W) -> scores (N, C, h, w).
        store: holds every count, so that the next diagnosis of the row starts where this one ended.
        key_of: evidence key of a suspect's protocol and label form.
        num_classes: C.
        ignore_index: of the labels.
    """

    def __init__(
        self,
        model: Any,
        store: EvidenceStore,
        key_of: Callable[[Suspect], EvidenceKey],
        num_classes: int,
        ignore_index: int,
    ) -> None:
        self.model = model
        self.device = model_device(model)
        self.store = store
        self.key_of = key_of
        self.num_classes = num_classes
        self.ignore_index = ignore_index

    def count(self, sample: Sample, content: str, suspects: Sequence[Suspect]) -> None:
        """Store one image's counts under each suspect that lacks them.

        Raises:
            DatasetError: the image or its label cannot be read.
        """
        image = (sample.id, content)
        lacking = [one for one in suspects if image not in self.store.measured(self.key_of(one))]
        if not lacking:
            return
        pixels = read_image(sample.image)
        network = _Remembering(self.model)
        labels_of: dict[bytes, torch.Tensor] = {}
        for suspect in lacking:
            digest = suspect.protocol.digest().encode()
            if digest not in labels_of:
                with torch.inference_mode():
                    scores = predict_scores(network, pixels, suspect.protocol, self.device)
                    labels_of[digest] = scores.argmax(dim=0).cpu()
            label = read_label(sample.label, suspect.labels, self.ignore_index)
            matrix = confusion_matrix(labels_of[digest].numpy(), label, self.num_classes, self.ignore_index)
            self.store.add(self.key_of(suspect), image, matrix)

    def matrices(self, suspect: Suspect, images: Mapping[str, str]) -> list[Matrix]:
        """A suspect's counts of these images (id -> content), in their order."""
        counts = dict(self.store.counts(self.key_of(suspect)))
        return [counts[image] for image in images.items()]


class _Remembering:
    """A network that answers a repeated input from memory: most suspects differ after the network only."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.answers: dict[bytes, torch.Tensor] = {}

    def __call__(self, view: torch.Tensor) -> torch.Tensor:
        data = view.cpu().numpy()
        key = hashlib.blake2b(data.tobytes(), key=str(tuple(view.shape)).encode()).digest()
        if key not in self.answers:
            self.answers[key] = self.model(view)
        return self.answers[key].clone()


def diagnose(
    question: Question,
    published: Suspect,
    suspects: Sequence[Suspect],
    samples: Sequence[Sample],
    contents: Mapping[str, str],
    counter: Counter,
) -> Iterator[tuple[int, list[Reading]]]:
    """Measure the suspects image by image, yielding (images done, readings so far, nearest first).

    Args:
        question: what is to be explained.
        published: the row's own protocol and label form.
        suspects: the mistakes to be tried.
        samples: the images, in the order in which they are taken.
        contents: id -> content digest of every sample.
        counter: does the counting.

    Raises:
        DatasetError: an image or label cannot be read.
    """
    alive = list(suspects)
    readings: dict[str, Reading] = {}
    next_round = FIRST_ROUND
    for done, sample in enumerate(samples, start=1):
        counter.count(sample, contents[sample.id], [published, *alive])
        if done == next_round or done == len(samples):
            images = {one.id: contents[one.id] for one in samples[:done]}
            ours = counter.matrices(published, images)
            for suspect in alive:
                readings[suspect.name] = _read(question, suspect, ours, counter.matrices(suspect, images))
            alive = [suspect for suspect in alive if _may_fit(question, readings[suspect.name])]
            next_round *= 2
        yield done, sorted(readings.values(), key=lambda reading: abs(reading.off_points))


def _read(question: Question, suspect: Suspect, ours: list[Matrix], theirs: list[Matrix]) -> Reading:
    effect, error = paired_effect(ours, theirs, question.image_count)
    predicted = question.measured_percent + effect
    off = predicted - question.value_percent
    return Reading(
        suspect=suspect.name,
        description=suspect.description,
        effect_points=effect,
        error_points=error,
        predicted_percent=predicted,
        off_points=off,
        images=len(ours),
        fits=abs(off) <= question.band_points + 2 * error,
    )


def _may_fit(question: Question, reading: Reading) -> bool:
    margin = max(_LEAST_MARGIN_POINTS, _STANDARD_ERRORS * reading.error_points)
    return abs(reading.off_points) <= question.band_points + margin


def paired_effect(ours: Sequence[Matrix], theirs: Sequence[Matrix], image_count: int) -> tuple[float, float]:
    """What `theirs` has more in mIoU than `ours` on the same images, and its standard error, in points.

    The error is a jackknife over images with the finite population correction: nothing is uncertain once
    all `image_count` images are in. Infinite for a single image out of more.
    """
    count = len(ours)
    totals = sum(ours[1:], start=ours[0]), sum(theirs[1:], start=theirs[0])
    effect = _miou(totals[1]) - _miou(totals[0])
    if count >= image_count:
        return effect, 0.0
    if count == 1:
        return effect, float("inf")
    left_out = np.array(
        [_miou(totals[1] - b) - _miou(totals[0] - a) for a, b in zip(ours, theirs, strict=True)]
    )
    variance = (count - 1) / count * float(((left_out - left_out.mean()) ** 2).sum())
    return effect, float(np.sqrt(variance * (1 - count / image_count)))


def _miou(matrix: Matrix) -> float:
    """In percent; 0 where no labelled pixel is left."""
    labelled = matrix[: matrix.shape[1]].any()
    return accuracy_scores(matrix).miou_percent if labelled else 0.0
