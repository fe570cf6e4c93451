"""A number is off, and this finds the mistake that explains it, or says that none does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from ...evaluate.count.confusion import accuracy_scores
from ...evaluate.count.definitions import DEFINITIONS
from ...evaluate.data.datasets import DatasetError
from ...evaluate.data.subsets import in_even_order, spread
from ...evaluate.evidence.scores import matrix_from_evidence
from ...evaluate.suspects.diagnosis import (
    Counter,
    Prediction,
    Question,
    Reading,
    diagnose,
    nearest_first,
    reading,
)
from ...evaluate.suspects.known import Suspect, suspects
from ...reports.tolerance import half_unit
from ..measuring.terms import NotMeasured, Unfinished

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..manifest import Claim
    from ..measuring.measurement import Measurement
    from ..verify import RowVerifier, Subject

NUMERICS_POINTS = 0.01
"""What a repeated measurement on another processor may differ by without any mistake."""


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """What explains a number, as far as is known."""

    checkpoint: str
    metric: str
    value: str
    """The number to be explained, as printed."""
    measured_percent: float
    images: int
    image_count: int
    readings: tuple[Reading, ...]
    """What each known mistake would give, the nearest to the number first."""
    band_points: float

    stray_pixels: int
    """Label pixels of the data set here that are no class."""

    @property
    def is_reproduced(self) -> bool:
        """Our number lies within the band around the one to be explained: no mistake is needed."""
        return abs(self.measured_percent - float(self.value)) <= self.band_points

    @property
    def explanations(self) -> tuple[Reading, ...]:
        """What accounts for all of the gap; else, where nothing is undecided, the one that does for most of it."""
        if self.is_reproduced:
            return ()
        fitting = tuple(reading for reading in self.readings if reading.fits)
        if fitting or self.possible:
            return fitting
        return tuple(reading for reading in self.readings if reading.explains_most)[:1]

    @property
    def possible(self) -> tuple[Reading, ...]:
        """What could explain the gap, had it been tried on more images."""
        return tuple(reading for reading in self.readings if reading.is_possible)


def diagnose_claim(
    verifier: RowVerifier, claim: Claim, value: str, image_limit: int
) -> Iterator[tuple[int, int, Diagnosis]]:
    """Yield (images done, of, the diagnosis so far); the last one is the answer.

    Args:
        verifier: of the row; measures the claim by its own protocol where the evidence lacks it.
        claim: an accuracy claim of the row.
        value: the number to be explained, as printed.
        image_limit: images to try the suspects on.

    Raises:
        NotMeasured: weights or data cannot be had, or an image cannot be read.
    """
    measurement = verifier.measure(claim)
    if isinstance(measurement, Unfinished):
        raise NotMeasured(measurement.reason)
    subject = verifier.subject()
    dataset = subject.dataset
    question = Question(
        value_percent=float(value),
        measured_percent=measurement.value,
        band_points=float(half_unit(value)) + NUMERICS_POINTS,
        image_count=len(dataset.samples),
    )
    protocol = verifier.checkpoint.protocol(claim.metric)
    published = Suspect(name="", description="", protocol=protocol, labels=dataset.label_files)
    tried = suspects(protocol, dataset.label_files, verifier.checkpoint.crop, len(dataset.spec.classes))
    # The first images decide which mistakes are tried no further: they must not be all of one drive.
    samples = in_even_order(spread(dataset.samples, image_limit))
    counter = _counter(verifier, subject)
    rescored = [one for one in tried if counter.key_of(one) == counter.key_of(published)]
    others = [one for one in tried if one not in rescored]
    known = [
        *_definition_readings(question, published, measurement),
        *_rule_readings(question, rescored, counter),
    ]
    try:
        for done, readings in diagnose(question, published, others, samples, counter):
            found = nearest_first([*readings, *known])
            yield done, len(samples), _diagnosis(measurement, value, question, done, found)
    except DatasetError as error:
        raise NotMeasured(str(error)) from error


def _diagnosis(
    measurement: Measurement, value: str, question: Question, images: int, readings: list[Reading]
) -> Diagnosis:
    return Diagnosis(
        checkpoint=measurement.checkpoint,
        metric=measurement.metric,
        value=value,
        measured_percent=measurement.value,
        images=images,
        image_count=question.image_count,
        readings=tuple(readings),
        band_points=question.band_points,
        stray_pixels=measurement.stray_pixels,
    )


def _definition_readings(question: Question, published: Suspect, measurement: Measurement) -> list[Reading]:
    """Other libraries' definitions of mIoU: exact, since the counts of all images are there."""
    return [
        reading(
            question,
            msgspec.structs.replace(
                published,
                name=f"defined as {name}",
                description=f"mIoU is defined as by {name}: {DEFINITIONS[name]}",
            ),
            Prediction(number, 0.0),
            question.image_count,
        )
        for name, number in measurement.details.get("definitions", {}).items()
        if number is not None and abs(number - measurement.value) > NUMERICS_POINTS
    ]


def _rule_readings(question: Question, rescored: list[Suspect], counter: Counter) -> list[Reading]:
    """Other rules of scoring the published protocol's own counts: exact likewise, and no image is predicted again."""
    if not rescored:
        return []
    total = matrix_from_evidence(counter.contents, counter.store, counter.key_of(rescored[0]))
    found = []
    for one in rescored:
        try:
            score = accuracy_scores(total, one.protocol.void).miou_percent
        except ValueError:  # the rule leaves no labelled pixel
            continue
        found.append(reading(question, one, Prediction(score, 0.0), question.image_count))
    return found


def _counter(verifier: RowVerifier, subject: Subject) -> Counter:
    spec = subject.dataset.spec

    def key_of(suspect: Suspect) -> Any:
        dataset = msgspec.structs.replace(subject.dataset, label_files=suspect.labels)
        return verifier.key(suspect.protocol, msgspec.structs.replace(subject, dataset=dataset))

    return Counter(
        subject.model, verifier.store, key_of, len(spec.classes), spec.ignore_index, subject.contents
    )
