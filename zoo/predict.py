"""`zoo predict`: a published checkpoint's label maps for one's own pictures, by a published protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from ..evaluate.datasets import DatasetError
from ..evaluate.inference import predict
from ..evaluate.picture import class_shares, colour_map, overlay, palette_image
from ..evaluate.pixels import read_image

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from PIL import Image

    from ..evaluate.datasets import DatasetSpec
    from ..evaluate.protocol import EvalProtocol

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
"""What counts as a picture in a folder; a file named outright is tried whatever its name."""
_FORMATS = {".png": "PNG", ".jpg": "JPEG"}


class PredictError(Exception):
    """The pictures asked for cannot be predicted as asked; the message says why and what to do."""


class Picture(NamedTuple):
    """An input and the name, without suffix, that its outputs get."""

    path: Path
    name: str


class Prediction(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one picture; exactly one of `labels` and `fault` is set."""

    image: str
    labels: str | None = None
    """Palette PNG: pixels are class indices."""
    overlay: str | None = None
    """The picture under its class colours, with a legend."""
    classes: dict[str, float] = {}
    """Share of the pixels (0 to 1) by class name, largest first."""
    fault: str | None = None


def find_pictures(inputs: Iterable[Path]) -> list[Picture]:
    """Files as given and all pictures below folders, sorted; names keep a folder's own tree.

    Raises:
        PredictError: a path that does not exist, a folder without pictures, two inputs of one name.
    """
    pictures = [picture for path in inputs for picture in _pictures_of(path)]
    first: dict[str, Path] = {}
    for path, name in pictures:
        if first.setdefault(name, path) != path:
            raise PredictError(
                f"{first[name]} and {path} would both be written as {name!r}; predict them with two commands"
            )
    return [Picture(path, name) for name, path in first.items()]


def _pictures_of(path: Path) -> list[Picture]:
    if path.is_file():
        return [Picture(path, path.stem)]
    if not path.is_dir():
        raise PredictError(f"{path}: no such file or folder")
    found = sorted(one for one in path.rglob("*") if one.suffix.lower() in IMAGE_SUFFIXES and one.is_file())
    if not found:
        raise PredictError(f"{path}: no pictures below this folder (looked for {', '.join(IMAGE_SUFFIXES)})")
    return [Picture(one, one.relative_to(path).with_suffix("").as_posix()) for one in found]


def predict_pictures(
    model: Any, pictures: Sequence[Picture], spec: DatasetSpec, protocol: EvalProtocol, out: Path
) -> Iterator[Prediction]:
    """Write `out/labels/NAME.png` and `out/overlays/NAME.jpg` for each picture, yielding as each is done.

    A picture that cannot be read is a prediction with a fault; the others go on.

    Raises:
        PredictError: an output cannot be written.
    """
    palette = spec.palette or colour_map(len(spec.classes))
    for path, name in pictures:
        try:
            image = read_image(path)
        except DatasetError as error:
            yield Prediction(image=str(path), fault=str(error))
            continue
        labels, _ = predict(model, image, protocol)
        yield Prediction(
            image=str(path),
            labels=_save(palette_image(labels, palette), out / "labels" / f"{name}.png"),
            overlay=_save(overlay(image, labels, spec.classes, palette), out / "overlays" / f"{name}.jpg"),
            classes=class_shares(labels, spec.classes),
        )


def _save(picture: Image.Image, path: Path) -> str:
    """Write whole or not at all: an interrupted run leaves no half picture under the final name."""
    temporary = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(temporary, format=_FORMATS[path.suffix], quality=92)
        temporary.replace(path)
    except OSError as error:
        raise PredictError(
            f"{path}: cannot write: {error.strerror or error}; choose another folder with --out"
        ) from error
    return str(path)
