"""How far a measurement may lie from a printed figure, and why so far."""

from __future__ import annotations

import math
from decimal import Decimal, InvalidOperation

import msgspec


class ToleranceError(ValueError):
    """A tolerance that is not a finite number from 0 on."""


class Tolerance(msgspec.Struct, frozen=True, kw_only=True):
    """How far a measurement may lie from the printed figure, in the metric's unit or as a share.

    Half a unit of the last printed digit comes on top of both limits: `45.4` stands for 45.35 to 45.45.
    """

    reproduced: float = 0.05
    """Up to here the claim is reproduced."""
    drift: float = 0.15
    """Up to here it has drifted; beyond, it is refuted."""
    relative: bool = False
    """True where both limits are shares of the printed figure instead: 0.02 of `5.869`."""
    reason: str = ""
    """Why the limits are where they are; empty where a user set them."""

    def __post_init__(self) -> None:
        if not 0 <= self.reproduced <= self.drift < math.inf:
            raise ToleranceError(
                f"tolerance: expected 0 <= reproduced <= drift, both finite, found {self.reproduced} and {self.drift}"
            )

    @classmethod
    def of(cls, points: float) -> Tolerance:
        """The user's own single limit: up to `points` is reproduced, beyond is refuted, nothing is drift.

        Raises:
            ToleranceError: `points` is negative or not finite.
        """
        if not 0 <= points < math.inf:
            raise ToleranceError(f"tolerance: expected a finite number of points from 0 on, found {points}")
        return cls(reproduced=points, drift=points)

    def band(self, printed: str) -> tuple[Decimal, Decimal]:
        """The largest differences that count as reproduced and as drift, for a figure as printed.

        Raises:
            ValueError: `printed` is not a plain decimal number.
        """
        half, whole = half_unit(printed), abs(parse_printed(printed)) if self.relative else Decimal(1)
        return _decimal(self.reproduced) * whole + half, _decimal(self.drift) * whole + half

    def limit_text(self, limit: float) -> str:
        """A limit as a person reads it: `0.05`, or `2 %` of the printed figure."""
        return f"{100 * limit:g} %" if self.relative else f"{limit:g}"

    def describe(self) -> str:
        """The limits and why they are where they are, as one sentence."""
        reproduced, drift = self.limit_text(self.reproduced), self.limit_text(self.drift)
        plus = "plus half a unit of the last printed digit"
        if self.reproduced == self.drift:
            return (
                f"A difference up to {reproduced} is reproduced, {plus}; beyond is refuted (limit set by the user "
                "with --tolerance)."
            )
        limits = f"A difference up to {reproduced} is reproduced, up to {drift} is drift, each {plus}"
        return f"{limits}; beyond is refuted{f': {self.reason}' if self.reason else ' (limits set by the user)'}."


DEFAULT = Tolerance(
    reason="mmsegmentation's maintainers met their own numbers again within 0.02 points and once within 0.11, "
    "and sssegmentation promises 0.1"
)
"""Of accuracies, where neither the user, the metric nor the publisher says otherwise."""


def half_unit(printed: str) -> Decimal:
    """Half a unit of a printed figure's last digit: 0.05 of `9.0`, 0.005 of `42.08`.

    Raises:
        ValueError: `printed` is not a plain decimal number.
    """
    return Decimal("0.5").scaleb(-_decimals(parse_printed(printed)))


def parse_printed(printed: str) -> Decimal:
    """The number that a printed figure says."""
    try:
        number = Decimal(printed)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise ValueError(
            f'printed figure: expected a plain decimal number such as "78.70", found {printed!r}'
        )
    return number


def _decimals(number: Decimal) -> int:
    exponent = number.as_tuple().exponent
    return -exponent if isinstance(exponent, int) else 0


def _decimal(value: float) -> Decimal:
    return Decimal(str(value))
