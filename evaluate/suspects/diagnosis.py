"""Which mistake turns our number into the other one: suspects measured on a sample, compared by pairs.

A subset's mIoU is far from the data set's, but what a mistake does to the *same* images carries over, with an
error: a loss as a share of our number (a ruined measurement is ruined on any image), a gain in points. Suspects that
cannot reach the number in question are dropped once enough images say so. An error that is large beside the gap
to be explained decides nothing, and is told as that.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np
import torch
from scipy.stats import t as student_t

from ..count.confusion import Matrix, accuracy_scores, averaged, by_rule, confusion_matrix
from ..inference.plain import model_device, predict_scores
from ..pixels import read_image, read_label, resize_labels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from ..data.datasets import Sample
    from ..evidence import EvidenceKey, EvidenceStore
    from ..protocol import Void
    from .known import Suspect

FIRST_ROUND = 8
"""Images after which suspects are dropped for the first time; then after twice as many, and so on."""
_CONFIDENCE, _DROPPING_CONFIDENCE = 0.95, 0.999
"""Of the two-sided interval around a prediction, and of the one outside which a suspect is dropped."""
_LEAST_MARGIN_POINTS = 0.5
"""A suspect is never dropped for less: a few images estimate their own error badly."""
MOST = 0.9
"""Share of the gap that an explanation accounts for at least, where none accounts for all of it."""
RESOLVED = 0.25
"""Largest error of a prediction, as a share of the gap, with which it says anything."""


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
    """Predicted minus our number."""
    error_points: float | None
    """Half the 95 % interval of the prediction; 0 on the whole data set, None from a single image."""
    predicted_percent: float
    """What our number would have been with this mistake, on the whole data set."""
    off_points: float
    """Predicted minus the number to be explained."""
    images: int
    """Sample it was measured on; fewer than asked for where it was dropped."""
    fits: bool
    """The number to be explained lies within the band around the prediction, and the error is small enough."""
    explains_most: bool
    """The same for all but a tenth of the gap."""
    is_possible: bool
    """The number lies within the band, but the error is too large to say so."""


class Counter:
    """Counts images under many suspects: files are read once an image, the network runs once a distinct input.

    Args:
        model: images (N, 3, H, W) -> scores (N, C, h, w).
        store: holds every count, so that the next diagnosis of the row starts where this one ended.
        key_of: evidence key of a suspect's protocol and label form.
        num_classes: C.
        ignore_index: of the labels.
        contents: id -> content digest of every image that may be counted.
    """

    def __init__(
        self,
        model: Any,
        store: EvidenceStore,
        key_of: Callable[[Suspect], EvidenceKey],
        num_classes: int,
        ignore_index: int,
        contents: Mapping[str, str],
    ) -> None:
        self.model = model
        self.device = model_device(model)
        self.store = store
        self.key_of = key_of
        self.num_classes = num_classes
        self.ignore_index = ignore_index
        self.contents = contents
        self._counts: dict[str, dict[str, Matrix]] = {}

    def count(self, sample: Sample, suspects: Sequence[Suspect]) -> None:
        """Count one image under each suspect that lacks it.

        Raises:
            DatasetError: the image or its label cannot be read.
        """
        lacking = [one for one in suspects if sample.id not in self._counted(one)]
        if not lacking:
            return
        pixels = read_image(sample.image)
        network = _Remembering(self.model)
        predictions: dict[str, torch.Tensor] = {}
        for suspect in lacking:
            digest = suspect.protocol.counts_digest()
            if digest not in predictions:
                with torch.inference_mode():
                    scores = predict_scores(network, pixels, suspect.protocol, self.device)
                    predictions[digest] = scores.argmax(dim=0).cpu()
            predicted = predictions[digest].numpy()
            label = read_label(sample.label, suspect.labels, self.ignore_index, self.num_classes)
            label = resize_labels(label, predicted.shape, suspect.protocol.label_resize)
            matrix = confusion_matrix(predicted, label, self.num_classes, self.ignore_index)
            self.store.add(self.key_of(suspect), (sample.id, self.contents[sample.id]), matrix)
            self._counted(suspect)[sample.id] = matrix

    def _counted(self, suspect: Suspect) -> dict[str, Matrix]:
        """A suspect's counts by image id; those of earlier runs are read from the store once."""
        if suspect.name not in self._counts:
            wanted = set(self.contents.items())
            stored = self.store.counts(self.key_of(suspect))
            self._counts[suspect.name] = {image[0]: matrix for image, matrix in stored if image in wanted}
        return self._counts[suspect.name]

    def matrices(self, suspect: Suspect, samples: Sequence[Sample]) -> list[Matrix]:
        """A suspect's counts of images that were counted, in their order."""
        counted = self._counted(suspect)
        return [counted[sample.id] for sample in samples]


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
    counter: Counter,
) -> Iterator[tuple[int, list[Reading]]]:
    """Measure the suspects image by image, yielding (images done, readings so far, nearest first).

    Args:
        question: what is to be explained.
        published: the row's own protocol and label form.
        suspects: the mistakes to be tried.
        samples: the images, in the order in which they are taken.
        counter: does the counting.

    Raises:
        DatasetError: an image or label cannot be read.
    """
    alive = list(suspects)
    readings: dict[str, Reading] = {}
    next_round = FIRST_ROUND
    for done, sample in enumerate(samples, start=1):
        counter.count(sample, [published, *alive])
        if done == next_round or done == len(samples):
            taken = samples[:done]
            ours = counter.matrices(published, taken)
            predictions = {
                one.name: predict_measurement(
                    question, ours, counter.matrices(one, taken), (published.protocol.void, one.protocol.void)
                )
                for one in alive
            }
            readings |= {one.name: reading(question, one, predictions[one.name], done) for one in alive}
            alive = [one for one in alive if _may_fit(question, predictions[one.name], done)]
            next_round *= 2
        yield done, nearest_first(readings.values())


def nearest_first(readings: Iterable[Reading]) -> list[Reading]:
    """The readings by their distance from the number to be explained."""
    return sorted(readings, key=lambda one: abs(one.off_points))


class Prediction(NamedTuple):
    """What our number would be with a mistake, on the whole data set, in percent and points."""

    value: float
    standard_error: float
    """Infinite from one image out of more."""


def predict_measurement(
    question: Question,
    ours: Sequence[Matrix],
    theirs: Sequence[Matrix],
    voids: tuple[Void | None, Void | None] = (None, None),
) -> Prediction:
    """Carry what a mistake does on a sample over to the whole data set; `voids` are our rule of scoring and theirs.

    The error is a jackknife over images with the finite population correction: nothing is uncertain once all
    `question.image_count` images are in.
    """
    count = len(ours)
    totals = sum(ours[1:], start=ours[0]), sum(theirs[1:], start=theirs[0])
    if count >= question.image_count:
        return Prediction(_miou(totals[1], voids[1]), 0.0)
    value = _carried(question, totals, voids)
    if count == 1:
        return Prediction(value, float("inf"))
    pairs = zip(ours, theirs, strict=True)
    left_out = np.array([_carried(question, (totals[0] - a, totals[1] - b), voids) for a, b in pairs])
    variance = (count - 1) / count * float(((left_out - left_out.mean()) ** 2).sum())
    return Prediction(value, float(np.sqrt(variance * (1 - count / question.image_count))))


def _carried(
    question: Question, totals: tuple[Matrix, Matrix], voids: tuple[Void | None, Void | None]
) -> float:
    """A loss carries over as a share of our number, a gain in points."""
    before, after = map(_miou, totals, voids)
    if after < before:
        return question.measured_percent * after / before
    return question.measured_percent + after - before


def reading(question: Question, suspect: Suspect, prediction: Prediction, images: int) -> Reading:
    """A prediction held against the number to be explained."""
    off = prediction.value - question.value_percent
    gap = abs(question.measured_percent - question.value_percent)
    error = _half_interval(prediction, images, _CONFIDENCE)
    resolved = error <= RESOLVED * gap
    reached = abs(off) <= question.band_points + error
    return Reading(
        suspect=suspect.name,
        description=suspect.description,
        effect_points=prediction.value - question.measured_percent,
        error_points=error if np.isfinite(error) else None,
        predicted_percent=prediction.value,
        off_points=off,
        images=images,
        fits=reached and resolved,
        explains_most=abs(off) <= max(question.band_points, (1 - MOST) * gap) + error and resolved,
        is_possible=reached and not resolved,
    )


def _may_fit(question: Question, prediction: Prediction, images: int) -> bool:
    off = abs(prediction.value - question.value_percent)
    gap = abs(question.measured_percent - question.value_percent)
    margin = max(_LEAST_MARGIN_POINTS, (1 - MOST) * gap)
    return off <= question.band_points + margin + _half_interval(prediction, images, _DROPPING_CONFIDENCE)


def _half_interval(prediction: Prediction, images: int, confidence: float) -> float:
    """Student's, since the error itself is estimated from `images` images."""
    if not prediction.standard_error:
        return 0.0
    return prediction.standard_error * float(student_t.ppf((1 + confidence) / 2, max(images - 1, 1)))


def _miou(matrix: Matrix, void: Void | None) -> float:
    """In percent; 0 where no labelled pixel is left."""
    labelled = by_rule(matrix, void)[:-1][averaged(matrix.shape[1], void)].any()
    return accuracy_scores(matrix, void).miou_percent if labelled else 0.0
