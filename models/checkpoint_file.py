"""Checkpoint files as they come: which container, what lies in it, and the state dict out of it.

Nothing here runs code out of a file unless its caller says `unsafe=True`.
"""

from __future__ import annotations

import os
import pickle
import re
import zipfile
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from .weights import WeightsError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

Container = Literal["zip", "legacy pickle", "safetensors"]
"""`torch.save` since torch 1.6, `torch.save` before, and Hugging Face's format without any code."""

SAFETENSORS_HEADER_BYTES = 100_000_000
"""The longest header that format allows."""


class CheckpointFile(NamedTuple):
    """What a checkpoint file holds."""

    state: dict[str, Tensor]
    """The state dict, on the CPU, under the publisher's names without a `module.` prefix."""
    beside: tuple[str, ...]
    """The other top-level keys, in the file's order: `meta`, `optimizer`, `model_ema`."""
    container: Container


def open_checkpoint(path: str | os.PathLike[str], *, unsafe: bool = False) -> CheckpointFile:
    """Reads a checkpoint file.

    Accepted are mmsegmentation's form (`{'meta', 'state_dict', ...}`), sssegmentation's (`{'model', ...}`,
    with or without the optimizer beside it), a bare state dict, and safetensors. Pickles are read with
    `weights_only=True`: no code in them can run. Numbers and arrays of numpy and mmengine's HistoryBuffer,
    which training left in `meta`, are passed over.

    Args:
        path: The file; its bytes tell the container, not its name.
        unsafe: Unpickle without restriction. The file can then do whatever the user can: read, send and
            delete files, install programs. Only for files whose origin is beyond doubt; it is the caller
            that warns the user.

    Raises:
        WeightsError: No such file; not a checkpoint; cut short; wants to run code; holds no state dict.
    """
    path = Path(path)
    container = _container(path)
    if container == "safetensors":
        content: object = _load_safetensors(path)
        return CheckpointFile(_state_dict(content, path), (), container)
    content = _load_unsafely(path) if unsafe else _load(path)
    return CheckpointFile(_state_dict(content, path), _beside(content), container)


def read_checkpoint(path: str | os.PathLike[str], *, unsafe: bool = False) -> dict[str, Tensor]:
    """The state dict of a checkpoint file: `open_checkpoint(...).state`, with its arguments and errors."""
    return open_checkpoint(path, unsafe=unsafe).state


def write_safetensors(
    state: Mapping[str, Tensor],
    path: str | os.PathLike[str],
    metadata: Mapping[str, str] | None = None,
    *,
    overwrite: bool = False,
) -> None:
    """Writes a state dict as a safetensors file: whole under its name, or not at all.

    Args:
        state: The tensors; each is written with its own bytes, even where two share memory.
        path: The file to write.
        metadata: Texts for the file's header.
        overwrite: Replace a file of this name.

    Raises:
        WeightsError: The file exists already, or cannot be written.
    """
    path = Path(path)
    if path.exists() and not overwrite:
        raise WeightsError(
            f"{path}: exists already and was left as it is; choose another name or overwrite it"
        )
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    separate = {
        key: value.detach().clone(memory_format=torch.contiguous_format) for key, value in state.items()
    }
    try:
        partial.touch()
        mode = partial.stat().st_mode  # the user's own; safetensors gives 0600, which nobody else could read
        save_file(separate, partial, {"format": "pt", **(metadata or {})})
        partial.chmod(mode)
        partial.replace(path)
    except (OSError, SafetensorError) as error:
        raise WeightsError(
            f"{path}: cannot be written: {getattr(error, 'strerror', None) or error}"
        ) from error
    finally:
        with suppress(OSError):  # moved, or never made
            partial.unlink()


# Containers -------------------------------------------------------------------------------------------------

_NOT_WEIGHTS = {
    b"<": "a web page or an XML message (a login page, or a server's error)",
    b"{": "a JSON message (a server's error)",
    b"version https://git-lfs": "a Git LFS pointer (the file itself was never fetched)",
}


def _container(path: Path) -> Container:
    """Refuses by the first bytes what `torch.load` would refuse in riddles, and archives that explode."""
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror}") from error
    if _is_safetensors(head):
        return "safetensors"
    if not head.strip():
        raise WeightsError(
            f"{path}: expected a checkpoint; found an empty file. Delete it and fetch it again."
        )
    for start, meaning in _NOT_WEIGHTS.items():
        if head.lstrip().startswith(start):
            raise WeightsError(
                f"{path}: expected a checkpoint; found {meaning}. Delete it and fetch it again."
            )
    if head.startswith(b"PK"):
        _check_archive(path)
        return "zip"
    return "legacy pickle"


def _is_safetensors(head: bytes) -> bool:
    """True for the header's length as a little-endian 64-bit number, followed by the JSON header."""
    return head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= SAFETENSORS_HEADER_BYTES


def _check_archive(path: Path) -> None:
    """A `torch.save` archive stores its records as they are, so it never unpacks to more than its size."""
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(record.file_size for record in archive.infolist())
    except Exception as error:  # a damaged directory raises whatever it happens to decode to
        raise _cut_short(path, error) from error
    if unpacked > path.stat().st_size:
        raise WeightsError(
            f"{path}: expected an archive of {path.stat().st_size} bytes at most, as torch.save writes them; "
            f"found records of {unpacked} bytes packed into it. Do not use this file."
        )


def _cut_short(path: Path, error: Exception) -> WeightsError:
    # What torch says of a bad pickle is advice to switch its safety off: not for our readers.
    vague = isinstance(error, pickle.UnpicklingError) or not str(error)
    reason = type(error).__name__ if vague else str(error).splitlines()[0].rstrip(".")
    return WeightsError(
        f"{path}: expected a whole checkpoint; found {path.stat().st_size} bytes that end too early or are "
        f"no checkpoint ({reason}). Delete the file and fetch it again."
    )


# Reading ----------------------------------------------------------------------------------------------------


def _load(path: Path) -> object:
    try:
        with _training_remains_allowed():
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged bytes raise whatever they happen to decode to
        if wanted := re.search(r"GLOBAL (\S+)|unrecognized function", str(error)):
            what = wanted[1] or "a function that it makes by itself"
            raise WeightsError(
                f"{path}: expected nothing but tensors and plain values; found a reference to {what}, "
                "which reading the file would run. It was not run. Do not use this file unless you trust its "
                "source; then save its state dict alone with torch.save and use that."
            ) from error
        raise _cut_short(path, error) from error


def _load_unsafely(path: Path) -> object:
    try:
        return torch.load(path, map_location="cpu", weights_only=False)
    except (ImportError, AttributeError) as error:
        raise WeightsError(
            f"{path}: its pickle needs something that is not installed here ({error}). "
            "Install it, or read the file without unsafe loading."
        ) from error
    except Exception as error:  # code in the file raises what it likes
        raise _cut_short(path, error) from error


def _load_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path, device="cpu")
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise _cut_short(path, error) from error


class _Remains:
    """Stands for whatever training left in `meta`: takes any arguments and any state, keeps and does nothing."""

    def __init__(self, *_arguments: object) -> None:
        pass

    def __setstate__(self, _state: object) -> None:
        pass


_REMAINS = (
    "mmengine.logging.history_buffer.HistoryBuffer",
    # A HistoryBuffer names its statistics as `getattr(HistoryBuffer, "mean")`.
    "builtins.getattr",
    "__builtin__.getattr",
    # Its histories are arrays, and mmcv's best score a number, of numpy 1 or 2.
    *(f"numpy.{core}.multiarray.{make}" for core in ("core", "_core") for make in ("_reconstruct", "scalar")),
    "numpy.ndarray",
    "numpy.dtype",
)
"""What the publishers' trainers are known to leave in `meta` (mmengine issues 1650 and 1655)."""


def _training_remains_allowed() -> AbstractContextManager[object]:
    """Lets `meta` hold `_REMAINS`, each as an inert `_Remains`; no code of numpy or mmengine sees the file.

    torch can be told names of things that are not the things themselves only since 2.7; before that, a
    file with such remains is refused.
    """
    if torch.__version__ < "2.7":
        return nullcontext()
    allowed: list[Any] = [(_Remains, name) for name in _REMAINS]
    return torch.serialization.safe_globals(allowed)


def _state_dict(content: object, path: Path) -> dict[str, Tensor]:
    state = content[_place(content)] if isinstance(content, Mapping) and _place(content) else content
    if not isinstance(state, Mapping) or not state or not all(map(_is_entry, state.items())):
        found = type(content).__name__
        if isinstance(content, Mapping):
            found = f"a dictionary of {', '.join(map(repr, islice(content, 6))) or 'nothing'}"
        raise WeightsError(
            f"{path}: expected a state dict, bare or under 'state_dict' or 'model'; found {found}. "
            "Use the file the publisher offers for testing."
        )
    _check_sizes(state, path)
    return {key.removeprefix("module."): value for key, value in state.items()}


def _place(content: Mapping[object, object]) -> str:
    """The key that the state dict stands under; empty for a bare one."""
    return next((key for key in ("state_dict", "model") if key in content), "")


def _beside(content: object) -> tuple[str, ...]:
    if not isinstance(content, Mapping) or not _place(content):
        return ()
    return tuple(str(key) for key in content if key != _place(content))


def _is_entry(item: tuple[object, object]) -> bool:
    key, value = item
    return (
        isinstance(key, str)
        and isinstance(value, Tensor)
        and value.layout is torch.strided
        and value.device.type == "cpu"
        and not value.is_quantized
    )


def _check_sizes(state: Mapping[str, Tensor], path: Path) -> None:
    """A tensor may view its few stored bytes as gigabytes (stride 0); whoever copies it runs out of memory."""
    size = path.stat().st_size
    for key, value in state.items():
        if value.nbytes > size:
            raise WeightsError(
                f"{path}: expected tensors within the file's {size} bytes; found {key} of {value.nbytes} bytes. "
                "Do not use this file."
            )
