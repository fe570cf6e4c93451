"""Numbers and words of a log, where it has them, in the form that the records want."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Any, TypeGuard


def is_number(value: Any) -> TypeGuard[float]:
    """Whether it is a finite number and no truth value."""
    try:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # a whole number of hundreds of digits
        return False


def percent(fraction: float) -> float:
    """A hundred times the decimal number that was written, so that 0.7849 is 78.49 and not a little more."""
    return float(Decimal(repr(fraction)).scaleb(2))


def whole(value: Any) -> int | None:
    """A count; None for what no training counts up to."""
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**18
    return value if is_count else None


def int_after(before: str, text: str) -> int | None:
    """The count behind the first match of the pattern `before`."""
    found = re.search(rf"{before}(\d{{1,18}})(?!\d)", text)
    return int(found[1]) if found else None


def float_after(before: str, text: str) -> float | None:
    """The positive number behind the first match of the pattern `before`."""
    found = re.search(rf"{before}(\d+(?:\.\d*)?|\.\d+)(e[-+]?\d+)?(?![\w.])", text)
    return float(found[1] + (found[2] or "")) if found else None


def text_after(before: str, text: str) -> str | None:
    """The quoted text behind the first match of the pattern `before`."""
    found = re.search(rf"{before}['\"]([^'\"]+)['\"]", text)
    return found[1] if found else None
