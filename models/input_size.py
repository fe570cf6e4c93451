"""What a network says of images that it cannot run on; torch is not needed to know it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class InputSizeError(ValueError):
    """A network cannot run on images of this size; the message says what it expects and how it gets that."""


def require_sides(size: Sequence[int], least: int, reason: str) -> None:
    """Refuses images that are smaller than a network's layers can be run on.

    Args:
        size: Height and width in pixels.
        least: Pixels that each side must have.
        reason: What needs them, such as `a patch of CLIP's`.

    Raises:
        InputSizeError: A side is shorter.
    """
    height, width = size
    if min(height, width) < least:
        raise InputSizeError(
            f"expected images of {least} pixels a side or more, {reason}; found {height}x{width} (height x width). "
            "Enlarge them: base_scale in the protocol, or a larger window."
        )
