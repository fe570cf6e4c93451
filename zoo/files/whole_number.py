"""Whole numbers in text of others."""

from __future__ import annotations

import re

DIGITS = "[0-9]{1,9}"
"""As a part of regular expressions: no count, side or iteration has more digits, and Python refuses 4,301 of them."""


def whole_number(text: str) -> int | None:
    """The number that a text is; None for any other text, longer numbers and digits of other scripts included."""
    return int(text) if re.fullmatch(DIGITS, text) else None
