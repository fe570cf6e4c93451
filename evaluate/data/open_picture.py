"""Pillow's `open` for pictures that are the user's own, of any size."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, BinaryIO

from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path

_LOCK = threading.Lock()


def open_picture(source: Path | BinaryIO) -> Image.Image:
    """Open a picture without Pillow's limit of pixels, which is against strangers' uploads.

    The limit is a variable of Pillow's, looked at while a header is read. It is lifted for no longer than that, so
    that a program that uses this package keeps the one it chose.
    """
    with _LOCK:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(source)
        finally:
            Image.MAX_IMAGE_PIXELS = limit
