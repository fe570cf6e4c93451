"""What a report says beyond its rows: bands, environments, places of claims, further figures.

Everything is optional: a formatter shows what it is given.
"""

from __future__ import annotations

from typing import Literal

import msgspec


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a claim stands in the manifest."""

    file: str
    """Relative to the project's folder where it lies inside, whole elsewhere; with forward slashes."""
    line: int
    """From 1."""


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """How a claim's figure was measured."""

    protocol: str
    device: str
    """`cpu`, or the GPU's name."""
    precision: str
    taken_at: str
    """UTC, ISO 8601."""
    environment: str
    """Versions, in one line."""


class ClassFigures(msgspec.Struct, frozen=True, kw_only=True):
    """IoU of every class of one measured row."""

    checkpoint: str
    dataset: str
    """The data set's title."""
    iou_percent: dict[str, float | None]
    """Class -> IoU in percent; None where neither labels nor predictions have the class."""


class ChangedScene(msgspec.Struct, frozen=True, kw_only=True):
    """One image as two runs label it, as five small JPEGs of the same size."""

    image: str
    """Its id within the data set."""
    input: bytes
    truth: bytes
    first: bytes
    second: bytes
    changes: bytes
    """Green became right, red became wrong, yellow is wrong in another way."""
    changed_percent: float
    """Share of all pixels that have another class."""


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """One image of a measured row, as four small JPEGs of the same size."""

    checkpoint: str
    image: str
    """Its id within the data set."""
    input: bytes
    truth: bytes
    prediction: bytes
    errors: bytes
    wrong_percent: float
    """Share of the labelled pixels that are predicted wrong."""
    classes: dict[str, str] = {}
    """Class that is predicted -> its colour as `#rrggbb`, most pixels first."""


class ClaimChange(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one claim since a stored state."""

    checkpoint: str
    metric: str
    date: str = ""
    word: str
    """`worse`, `gone`, `unchanged`."""
    text: str
    """The whole of it in one line, with the figures then and now."""
    outcome: Literal["passed", "failure", "error"]
    """What it counts as: `error` where the claim could not be judged."""

    @property
    def key(self) -> tuple[str, str, str]:
        """What makes the claim the same one in two states."""
        return self.checkpoint, self.metric, self.date


class Background(msgspec.Struct, frozen=True, kw_only=True):
    """What a report says beside its rows' verdicts: headings, bands, pictures, classes, what changed since."""

    title: str = ""
    """Heading of the whole document, in formats that have one."""
    note: str = ""
    """One sentence below the title."""
    bands: tuple[str, ...] = ()
    """Which differences count as what, and why."""
    own_limit: str = ""
    """The limit that the user set in place of the derived ones, in words; empty where none is set."""
    environments: tuple[str, ...] = ()
    """What measured the figures, one line an environment."""
    places: dict[tuple[str, str, str], Place] = {}
    """(checkpoint, metric, date) -> place of the claim."""
    limits: dict[tuple[str, str, str], tuple[float, float]] = {}
    """(checkpoint, metric, date) -> largest difference that is reproduced, and that is drift."""
    origins: dict[tuple[str, str, str], Origin] = {}
    """(checkpoint, metric, date) -> how its figure was measured; absent where none was."""
    classes: tuple[ClassFigures, ...] = ()
    scenes: tuple[Scene, ...] = ()
    changes: tuple[ClaimChange, ...] | None = None
    """Since a stored state, which then decides in place of the verdicts; None where there is no such state."""


NO_BACKGROUND = Background()
