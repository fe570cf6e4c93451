"""`zoo diagnose ID`: a number is off, and this finds the mistake that explains it, or says that none does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from tabulate import tabulate

from ..evaluate.datasets import DatasetError
from ..evaluate.diagnosis import Counter, Question, Reading, diagnose
from ..evaluate.subsets import spread
from ..evaluate.suspects import Suspect, suspects
from ..reports.verdict import half_unit
from .verify import NotMeasured

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .manifest import Claim
    from .verify import RowVerifier, Subject

NUMERICS_POINTS = 0.01
"""What a repeated measurement on another processor may differ by without any mistake."""
SHOWN = 8
"""Readings in the text form; JSON has all."""


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
    """Nearest first."""
    band_points: float

    @property
    def is_reproduced(self) -> bool:
        """Our number rounds to the one to be explained, or lies within the band: no mistake is needed."""
        return abs(self.measured_percent - float(self.value)) <= self.band_points

    @property
    def explanations(self) -> tuple[Reading, ...]:
        """The suspects that fit better than no mistake at all."""
        plain = abs(self.measured_percent - float(self.value))
        return tuple(reading for reading in self.readings if reading.fits and abs(reading.off_points) < plain)


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
    subject = verifier.subject()
    dataset = subject.dataset
    protocol = verifier.checkpoint.protocol(claim.metric)
    band = float(half_unit(value)) + NUMERICS_POINTS
    question = Question(
        value_percent=float(value),
        measured_percent=measurement.value,
        band_points=band,
        image_count=len(dataset.samples),
    )
    published = Suspect(name="", description="", protocol=protocol, labels=dataset.label_files)
    tried = suspects(protocol, dataset.label_files, verifier.checkpoint.crop, len(dataset.spec.classes))
    samples = spread(dataset.samples, image_limit)
    try:
        steps = diagnose(question, published, tried, samples, subject.contents, _counter(verifier, subject))
        for done, readings in steps:
            yield (
                done,
                len(samples),
                Diagnosis(
                    checkpoint=verifier.checkpoint.id,
                    metric=claim.metric,
                    value=value,
                    measured_percent=measurement.value,
                    images=done,
                    image_count=len(dataset.samples),
                    readings=tuple(readings),
                    band_points=band,
                ),
            )
    except DatasetError as error:
        raise NotMeasured(str(error)) from error


def _counter(verifier: RowVerifier, subject: Subject) -> Counter:
    spec = subject.dataset.spec

    def key_of(suspect: Suspect) -> Any:
        dataset = msgspec.structs.replace(subject.dataset, label_files=suspect.labels)
        return verifier.key(suspect.protocol, msgspec.structs.replace(subject, dataset=dataset))

    return Counter(subject.model, verifier.store, key_of, len(spec.classes), spec.ignore_index)


def diagnosis_text(diagnosis: Diagnosis) -> str:
    """The answer in words, and the nearest readings as a table."""
    header = ["instead of the published protocol", "effect", "would give", "off by", "images", ""]
    rows = [
        [
            reading.description,
            f"{reading.effect_points:+.2f}"
            + (f" ± {reading.error_points:.2f}" if reading.error_points else ""),
            f"{reading.predicted_percent:.2f}",
            f"{reading.off_points:+.2f}",
            reading.images,
            "fits" if reading.fits else "",
        ]
        for reading in diagnosis.readings[:SHOWN]
    ]
    more = len(diagnosis.readings) - SHOWN
    table = tabulate(rows, header, disable_numparse=True, maxcolwidths=[60, None, None, None, None, None])
    rest = f"\n{more} more are farther off" if more > 0 else ""
    return f"{_answer(diagnosis)}\n\n{table}{rest}"


def _answer(diagnosis: Diagnosis) -> str:
    about = f"{diagnosis.checkpoint} {diagnosis.metric}: {diagnosis.value} against {diagnosis.measured_percent:.2f} by the published protocol"
    if diagnosis.is_reproduced and not diagnosis.explanations:
        return f"{about}: they agree, there is nothing to explain."
    if not diagnosis.explanations:
        return f"{about}: none of {len(diagnosis.readings)} known mistakes explains it."
    best, *others = diagnosis.explanations
    answer = f"{about}: explained if {best.description} (that gives {best.predicted_percent:.2f})."
    if diagnosis.is_reproduced:
        answer += " Without any mistake they differ by rounding only, so this is no more than a hint."
    if others:
        answer += f" Not told apart by this number: {'; '.join(other.description for other in others)}."
    return answer


def diagnosis_record(diagnosis: Diagnosis) -> dict[str, Any]:
    """The diagnosis as plain data, with the explanations' names."""
    return msgspec.to_builtins(diagnosis) | {
        "is_reproduced": diagnosis.is_reproduced,
        "explanations": [reading.suspect for reading in diagnosis.explanations],
    }
