"""What a network says of images that it cannot run on; torch is not needed to know it."""

from __future__ import annotations


class InputSizeError(ValueError):
    """A network cannot run on images of this size; the message says what it expects and how it gets that."""
