"""A published checkpoint's label maps for one's own pictures, by a published protocol."""

from __future__ import annotations

import io
import unicodedata
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from ...evaluate.data.datasets import DatasetError
from ...evaluate.data.file_listing import is_data
from ...evaluate.data.folder import IMAGE_SUFFIXES
from ...evaluate.inference.counting import NoNumbersError, require_numbers
from ...evaluate.inference.tiles import predict_labels
from ...evaluate.picture import class_shares, colour_map, overlay, palette_image
from ...evaluate.pixels import read_image
from ...models.input_size import InputSizeError
from ..files.writing import write_whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from PIL import Image

    from ...evaluate.data.datasets import DatasetSpec
    from ...evaluate.protocol import EvalProtocol

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
    """PNG whose pixels are class indices: with a palette, or of 16 bits for more than 256 classes."""
    overlay: str | None = None
    """The picture under its class colours, with a legend."""
    classes: dict[str, float] = {}
    """Share of the pixels (0 to 1) by class name, largest first."""
    fault: str | None = None


def find_pictures(inputs: Iterable[Path], out: Path) -> list[Picture]:
    """Files as given and all pictures below folders, sorted; names keep a folder's own tree.

    Hidden files are left out, and so is what lies below `out`: a second run does not predict the first one's
    pictures. Pictures that differ in their suffix only keep it in their names.

    Raises:
        PredictError: a path that does not exist, a folder without pictures, two inputs of one name.
    """
    pictures = [picture for path in inputs for picture in _pictures_of(path, out.absolute())]
    shared = Counter(picture.name for picture in set(pictures))
    named = [
        picture._replace(name=f"{picture.name}{picture.path.suffix}") if shared[picture.name] > 1 else picture
        for picture in dict.fromkeys(pictures)
    ]
    first: dict[str, Path] = {}
    for path, name in named:
        if first.setdefault(name, path) != path:
            raise PredictError(
                f"{first[name]} and {path} would both be written as {name!r}; predict them with two commands, "
                "each with an --out of its own"
            )
    return named


def _pictures_of(path: Path, out: Path) -> list[Picture]:
    if path.is_file():
        return [Picture(path, path.stem)]
    if not path.is_dir():
        raise PredictError(f"{path}: no such file or folder")
    found = sorted(
        one for one in path.rglob("*") if _is_picture(one, path) and out not in one.absolute().parents
    )
    if not found:
        raise PredictError(f"{path}: no pictures below this folder (looked for {', '.join(IMAGE_SUFFIXES)})")
    return [Picture(one, one.relative_to(path).with_suffix("").as_posix()) for one in found]


def _is_picture(path: Path, folder: Path) -> bool:
    is_picture = path.suffix.lower() in IMAGE_SUFFIXES and all(map(is_data, path.relative_to(folder).parts))
    return is_picture and path.is_file()


def predict_pictures(
    model: Any, pictures: Sequence[Picture], spec: DatasetSpec, protocol: EvalProtocol, out: Path
) -> Iterator[Prediction]:
    """Write `out/labels/NAME.png` and `out/overlays/NAME.jpg` for each picture, yielding as each is done.

    Label maps have the picture's own size, also where a protocol compares scores and labels at the network's.
    A picture that cannot be read, that the network does not run on, or whose scores are no numbers is a prediction with
    a fault; the others go on.

    Raises:
        PredictError: an output cannot be written.
    """
    palette = spec.palette or colour_map(len(spec.classes))
    protocol = msgspec.structs.replace(protocol, compared_at="label size", label_resize="pillow nearest")
    written: dict[str, str] = {}
    for path, name in pictures:
        try:
            _require_own_place(out / "labels", name, written)
            image = read_image(path)
            decided = predict_labels(model, image, protocol, classes=len(spec.classes))
            require_numbers(decided)
            labels = decided.labels.cpu().numpy()
        except (DatasetError, InputSizeError, NoNumbersError, _NamesakeError) as error:
            told = str(error) if str(path) in str(error) else f"{path}: {error}"
            yield Prediction(image=str(path), fault=told)
            continue
        overlaid = overlay(image, labels, spec.classes, palette)
        yield Prediction(
            image=str(path),
            labels=_save(palette_image(labels, palette), out / "labels" / f"{name}.png"),
            overlay=_save(overlaid, out / "overlays" / f"{name}.jpg"),
            classes=class_shares(labels, spec.classes),
        )


class _NamesakeError(Exception):
    """The disk takes a name for one that was written already."""


def _require_own_place(folder: Path, name: str, written: dict[str, str]) -> None:
    """Note in `written`, folded name -> name, that a picture is written; names may differ in case alone.

    Raises:
        _NamesakeError: on this disk its file would take the place of another picture's.
    """
    other = written.setdefault(unicodedata.normalize("NFC", name).casefold(), name)
    first, second = (folder / f"{one}.png" for one in (other, name))
    if name != other and second.exists() and second.samefile(first):
        raise _NamesakeError(
            f"this disk takes {name!r} for {other!r}, which is written already; predict it with a command of its own "
            "and another --out"
        )


def _save(picture: Image.Image, path: Path) -> str:
    """Write whole or not at all: an interrupted run leaves no half picture under the final name."""
    encoded = io.BytesIO()  # Pillow takes a file that a full disk cut short for a whole one
    picture.save(encoded, format=_FORMATS[path.suffix], quality=92)
    try:
        write_whole(path, encoded.getbuffer())
    except OSError as error:
        raise PredictError(
            f"{path}: cannot write: {error.strerror or error}; choose another folder with --out"
        ) from error
    return str(path)
