"""What a decoder says of sampled images, and no header gives away: damage in the middle."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..decoder_words import decoder_words
from .findings import Finding, some

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path


def decoder_complaints() -> AbstractContextManager[list[str]]:
    """Collect what libjpeg says while images are decoded: `Corrupt JPEG data: 45 extraneous bytes before marker 0xd9`.

    cv2 decodes a damaged JPEG and reports success; libjpeg's words on the process's stderr are the only sign.
    """
    return decoder_words("JPEG")


def damaged_images(complaints: dict[Path, str], examined: int) -> Iterator[Finding]:
    """Images that decode, though their decoder found bad data in them."""
    if complaints:
        path, said = next(iter(complaints.items()))
        yield Finding(
            kind="damaged image",
            gravity="warning",
            what=f"{len(complaints)} of {examined} sampled images hold bad data, first {path} ({said}); "
            f"{some([one.name for one in complaints])}",
            effect="they are decoded all the same, here and by the publishers' loaders, with wrong pixels from the damage on",
            remedy="copy these images again and compare their hashes with the archive's; a few archives have such images",
        )
