"""Networks of other libraries, by name or as files: torchvision's, an ONNX file, a program of `torch.export`.

What is imported to run one is imported when one is loaded; neither torch nor an optional library is needed here.
"""

from __future__ import annotations

import hashlib
import re
import sys
from contextlib import contextmanager
from importlib import import_module, metadata
from typing import TYPE_CHECKING

from ..builders import ArchitectureError, Builder, Code
from ..load.containers import opened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from torch import Tensor, nn

EXPORTS = {".onnx": "onnx_file", ".pt2": "exported_program"}
"""How an export's file is called -> the module here whose `load` makes a network of its bytes."""
LIBRARIES = {
    "torchvision": "torchvision_models",
    "transformers": "transformers_models",
    "segmentation_models_pytorch": "smp_models",
}
"""Library whose networks are built by its name -> the module here whose `build` does it."""
_NAMING_FILES = {"transformers"}
"""Libraries whose numbers name files, which tell with them what the network is: the module here has `files`."""
_EXTRAS = {"segmentation_models_pytorch": "smp"}
"""Library -> the extra of segbench that brings it, where that is called otherwise."""
PROGRAM = ".pt2"
"""Reading one can run code: pickles lie in it, and expressions that torch evaluates."""
MAX_EXPORT_BYTES = 4 * 2**30
"""Of an export, which is read whole; protobuf ends at half of it."""


SAID_CHARACTERS = 200
"""Characters of a runtime's message: a guard of torch.export fills pages."""
_RUNTIME_MARK = re.compile(r"^\[ONNXRuntimeError\] : \d+ : [A-Z_]+ : ")
_CPP_FILES = (".cc", ".cpp", ".cxx", ".cu", ".cuh", ".h", ".hpp")
_CPP_WORDS = frozenset({"auto", "bool", "const", "int", "static", "virtual", "void"})
"""That stand in a signature without `::` or brackets of their own."""


class AdapterError(ArchitectureError):
    """A library's network cannot be had here; the message says what is missing and what to do."""


class ExportError(ArchitectureError):
    """An export cannot be run here, or not by this protocol; the message says why and what to do."""


def missing_library(builder: str) -> AdapterError:
    """What to say where a library of `LIBRARIES` is not installed."""
    return AdapterError(
        f"{builder}: the library is not installed here; pip install 'segbench[{_EXTRAS.get(builder, builder)}]'"
    )


def library_builder(name: str) -> Builder | None:
    """The builder of a library's networks; None for any other name.

    Raises:
        AdapterError: The library is not installed.
    """
    if name not in LIBRARIES:
        return None
    code = library_code(name, {})
    assert code is not None
    build = import_module(f".{LIBRARIES[name]}", __name__).build
    return Builder(name, build, f"{name} {code.version}", sys.modules.get(name), name, code.version)


def library_code(builder: str, numbers: Mapping[str, object]) -> Code | None:
    """What a library's network is, for evidence: the library in its version, and files that its numbers name.

    None for any other builder.

    Raises:
        AdapterError: The library is not installed.
    """
    if builder not in LIBRARIES:
        return None
    try:
        version = metadata.version(builder)
    except metadata.PackageNotFoundError:
        raise missing_library(builder) from None
    sha256 = _files_digest(builder, numbers) if builder in _NAMING_FILES else ""
    return Code(builder, "segbench", builder, version, sha256, {builder: f"{builder} {version}"})


def _files_digest(builder: str, numbers: Mapping[str, object]) -> str:
    digest = hashlib.sha256()
    for path in import_module(f".{LIBRARIES[builder]}", __name__).files(numbers):
        content = path.read_bytes()
        digest.update(path.name.encode() + len(content).to_bytes(8, "little") + content)
    return digest.hexdigest()


def is_export(path: Path) -> bool:
    """Whether a file is a network by itself and no weights for one; its name says so."""
    return path.suffix.lower() in EXPORTS


def is_program(path: Path) -> bool:
    """Whether reading the file can run code."""
    return path.suffix.lower() == PROGRAM


def runtime(path: Path) -> str:
    """What runs an export beside torch, with its version; empty for a program of torch's own."""
    if path.suffix.lower() != ".onnx":
        return ""
    try:
        return f"onnxruntime {metadata.version('onnxruntime')}"
    except metadata.PackageNotFoundError:
        return "onnxruntime"


def require_sound(path: Path) -> None:
    """Refuse an ONNX file whose bytes tell that no number can be its own; any other file passes unread.

    Raises:
        ExportError: It cannot be read, is none, has weights elsewhere or several outputs, or is in training form.
    """
    if path.suffix.lower() == ".onnx":
        _require_sound_bytes(path, _read(path))


def _require_sound_bytes(path: Path, data: bytes) -> None:
    import_module(".onnx_graph", __name__).require_sound(data, str(path))


def _read(path: Path) -> bytes:
    try:
        with opened(path) as file:
            data = file.read(MAX_EXPORT_BYTES + 1)
    except OSError as error:
        raise ExportError(f"{path}: cannot be read: {error.strerror or error}") from error
    if len(data) > MAX_EXPORT_BYTES:
        raise ExportError(f"{path}: expected at most {MAX_EXPORT_BYTES} bytes; use a smaller export")
    return data


def load_export(path: Path, *, sha256: str = "") -> nn.Module:
    """The network that an export is, in evaluation mode.

    Args:
        path: Its file, read once and whole. A program is run: only for files you trust.
        sha256: What the file was when it was checked, held against the bytes loaded; empty for nothing.

    Raises:
        AdapterError: It needs a library that is not installed.
        ExportError: It cannot be read, has changed, or is no one network in evaluation mode (`require_sound`).
    """
    data = _read(path)
    if sha256 and hashlib.sha256(data).hexdigest() != sha256:
        raise ExportError(
            f"{path}: changed while it was in use: its bytes are not those that were checked before"
        )
    if path.suffix.lower() == ".onnx":
        _require_sound_bytes(path, data)
    return import_module(f".{EXPORTS[path.suffix.lower()]}", __name__).load(data, str(path)).eval()


def reason_of(error: Exception) -> str:
    """What a runtime says, in a line: without its number of the error, and without places in its C++ and their signatures."""
    text = _RUNTIME_MARK.sub("", str(error).strip())
    said = _without_places((text.splitlines() or [""])[0]) or type(error).__name__
    return said[:SAID_CHARACTERS].rstrip(".") + "..." * (len(said) > SAID_CHARACTERS)


def _without_places(text: str) -> str:
    """A line without `file.cc:256` and the signature behind it: words with `::`, or within its brackets."""
    kept, depth, in_signature = [], 0, False
    for word in text.split():
        place, _, line = word.rpartition(":")
        if place.endswith(_CPP_FILES) and line.isdecimal():
            depth, in_signature = 0, True
            continue
        if in_signature:
            depth += sum(word.count(one) for one in "([") - sum(word.count(one) for one in ")]")
            in_signature = depth > 0 or "::" in word or word.endswith((")", "]")) or word in _CPP_WORDS
        if not in_signature:
            kept.append(word)
    return " ".join(kept)


@contextmanager
def failure_named(source: str, images: Tensor) -> Iterator[None]:
    """Turn what an export raises while it runs into a sentence.

    Raises:
        ExportError: It raised something, such as that it holds for other sizes only.
    """
    try:
        yield
    except Exception as error:
        raise ExportError(
            f"{source} fails on images {tuple(images.shape)}: {reason_of(error)}; an export "
            "may hold only for sizes like that of its example: compare it with the model it was made of"
        ) from error


def fitted(
    run: Callable[[Tensor], Tensor], images: Tensor, takes: Sequence[int | None], source: str
) -> Tensor:
    """Scores of images by an export that may take one size or one image alone.

    Args:
        run: The export.
        images: (N, 3, H, W).
        takes: Its N, 3, H, W; None for a length that is open.
        source: Names the export.

    Raises:
        ExportError: It takes another size.
    """
    given = tuple(images.shape)
    if any(length not in (None, found) for length, found in zip(takes[1:], given[1:], strict=True)):
        wanted = ", ".join("any" if length is None else str(length) for length in takes)
        raise ExportError(
            f"{source} takes images ({wanted}), the protocol gives {given}: its number is not comparable; export it with "
            "height and width left open, or measure by a protocol that gives this size"
        )
    if takes[0] in (None, given[0]):
        return run(images)
    if takes[0] != 1:
        raise ExportError(f"{source} takes {takes[0]} images at once; export it for one, or for any number")
    from torch import cat  # noqa: PLC0415

    return cat([run(image) for image in images.split(1)])
