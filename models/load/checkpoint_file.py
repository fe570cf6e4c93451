"""Checkpoint files as they come: which container, what lies in it, and the state dict out of it.

Nothing here runs code out of a file unless its caller says `unsafe=True`.
"""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import re
import tarfile
import warnings
import zipfile
from collections.abc import Mapping
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import Tensor

from . import containers
from .containers import Container, ContainerError
from .plain_pickle import REMAINS, CodeError, CutError, PickleError, walk
from .state_dict import locate, unwrapped
from .weights import WeightsError, shown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

TWO_SETS = (
    "Where it is a second set of weights, one of the two is an average over the training of the other (mmengine's EMAHook "
    "saves the average as the weights themselves): make sure which of them the claims are about"
)
"""What a key that names an average means beside the weights."""
MAX_FILE_BYTES = 16 * 2**30
"""A file is read whole; the largest published ones, with their optimizer's state, have 5 GiB."""


class CheckpointFile(NamedTuple):
    """What a checkpoint file holds."""

    state: dict[str, Tensor]
    """The state dict, on the CPU, under the publisher's names without those of wrappers."""
    beside: tuple[str, ...]
    """The other top-level keys, in the file's order: `meta`, `optimizer`, `model_ema`."""
    container: Container
    notes: tuple[str, ...] = ()
    """Sentences on what the state dict was found under and what of the file was passed over."""

    @property
    def second_set(self) -> str:
        """The first key beside the weights that names an average, of them or by them; empty for none."""
        return next((key for key in self.beside if "ema" in key.lower().split("_")), "")


def open_checkpoint(
    path: str | os.PathLike[str], *, unsafe: bool = False, sha256: str = ""
) -> CheckpointFile:
    """Reads a checkpoint file.

    Accepted are mmsegmentation's form (`{'meta', 'state_dict', ...}`), sssegmentation's (`{'model', ...}`,
    with or without the optimizer beside it), a state dict alone or under any one key, and safetensors. Pickles are
    walked by `plain_pickle` and then read with `weights_only=True`: no code in them can run. What training is known
    to leave beside the weights (`plain_pickle.REMAINS`) is passed over.

    Args:
        path: The file; its bytes tell the container, not its name. It is read once and whole, into memory.
        unsafe: Unpickle without restriction. The file can then do whatever the user can: read, send and
            delete files, install programs. Only for files whose origin is beyond doubt; it is the caller
            that warns the user.
        sha256: What somebody found the file to be before (hex); empty for nothing. Held against the bytes loaded.

    Raises:
        WeightsError: No such file; not a checkpoint; cut short; wants to run code; beyond a limit; holds no state
            dict, or two keys for one tensor; has changed since it was hashed.
    """
    path = Path(path)
    container = _container(path)
    data = _whole(path)
    if sha256 and hashlib.sha256(data).hexdigest() != sha256:
        raise WeightsError(
            f"{path}: changed while it was in use: its bytes are not those that were checked before"
        )
    if container == "safetensors":
        content: object = _load_safetensors(path, data)
    else:
        content = _load_unsafely(path, data) if unsafe else _load(path, container, data)
    try:
        state, place, place_notes = locate(content)
        _check_sizes(state, len(data))
        own, notes = unwrapped(state)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error
    return CheckpointFile(own, _beside(content, place), container, (*place_notes, *notes))


def read_checkpoint(
    path: str | os.PathLike[str], *, unsafe: bool = False, sha256: str = ""
) -> dict[str, Tensor]:
    """The state dict of a checkpoint file: `open_checkpoint(...).state`, with its arguments and errors."""
    return open_checkpoint(path, unsafe=unsafe, sha256=sha256).state


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
    """Refuses by the first bytes what `torch.load` would refuse in riddles, and what is too large to be read."""
    try:
        with containers.opened(path) as file:
            head, size = file.read(64), os.fstat(file.fileno()).st_size
            container = containers.container(head)
            file.seek(0)
            end = containers.safetensors_end(file) if container == "safetensors" else size
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror}") from error
    except ContainerError as error:
        raise _damaged(path, str(error)) from error
    if container is None:
        raise WeightsError(
            f"{path}: expected a checkpoint; found {_other(head)}. Delete it and fetch it again."
        )
    if size > MAX_FILE_BYTES:
        raise WeightsError(
            f"{path}: expected at most {MAX_FILE_BYTES} bytes; found {size}. Do not use this file."
        )
    if end != size:
        raise _damaged(path, f"{size} bytes whose header promises {end}")
    return container


def _other(head: bytes) -> str:
    if not head.strip():
        return "an empty file"
    for start, meaning in _NOT_WEIGHTS.items():
        if head.lstrip().startswith(start):
            return meaning
    return f"a file that begins with {head[:8].hex(' ')}"


def _whole(path: Path) -> bytes:
    try:
        with containers.opened(path) as file:
            return file.read(MAX_FILE_BYTES)
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror}") from error


def _damaged(path: Path, found: str) -> WeightsError:
    return WeightsError(
        f"{path}: expected a whole checkpoint; found {found}. Delete the file and fetch it again."
    )


def _unreadable(path: Path, data: bytes, error: Exception) -> WeightsError:
    # What torch says of a bad pickle is advice to switch its safety off: not for our readers.
    vague = isinstance(error, pickle.UnpicklingError) or not str(error)
    reason = type(error).__name__ if vague else str(error).splitlines()[0].rstrip(".")
    return _damaged(path, f"{len(data)} bytes that end too early or are no checkpoint ({reason[:300]})")


# Reading ----------------------------------------------------------------------------------------------------


def _load(path: Path, container: Container, data: bytes) -> object:
    try:
        _require_plain(container, data)
        with _training_remains_allowed(), _quiet():
            return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except CodeError as error:
        raise _code(path, str(error)) from error
    except CutError as error:
        raise _damaged(path, str(error)) from error
    except (ContainerError, PickleError) as error:
        raise WeightsError(
            f"{path}: expected a checkpoint as torch.save writes it; found {error}. Do not use this file."
        ) from error
    except Exception as error:  # damaged bytes raise whatever they happen to decode to
        if wanted := re.search(r"GLOBAL (\S+)|unrecognized function", str(error)):
            raise _code(path, wanted[1] or "a function that it makes by itself") from error
        raise _unreadable(path, data, error) from error


def _code(path: Path, what: str) -> WeightsError:
    return WeightsError(
        f"{path}: expected nothing but tensors and plain values; found a reference to {what[:200]}, "
        "which reading the file would run. It was not run. Do not use this file unless you trust its "
        "source; then save its state dict alone with torch.save and use that."
    )


def _require_plain(container: Container, data: bytes) -> None:
    """Walk what torch is about to execute: nothing in it may take more time or memory than its bytes warrant.

    Raises:
        ContainerError: The archive unpacks to more than its size, or is none of torch's.
        PickleError: See `plain_pickle.walk`.
    """
    if container == "zip":
        _require_plain_archive(data)
        return
    file = io.BytesIO(data)
    if tarfile.is_tarfile(file):
        raise ContainerError("a tar archive of before torch 0.1.10")
    file.seek(0)
    parts = [walk(file) for _ in range(_LEGACY_PICKLES)]
    stored = sum(size for part in parts for size in part.storages.values())
    if file.tell() + stored > len(data):
        raise EOFError(f"its storages need {stored} bytes")


_LEGACY_PICKLES = 5
"""Magic number, protocol version, the writer's system, the object, the keys of its storages (pytorch,
`torch/serialization.py`, `_legacy_save`)."""


def _require_plain_archive(data: bytes) -> None:
    file = io.BytesIO(data)
    with zipfile.ZipFile(file) as archive:
        containers.require_stored(archive, len(data))
        sizes = {record.filename.partition("/")[2]: record.file_size for record in archive.infolist()}
    if "constants.pkl" in sizes:
        raise ContainerError("a TorchScript program")
    if "data.pkl" not in sizes:
        raise ContainerError("a zip archive without data.pkl")
    file.seek(0)
    # torch's own reader of archives: what is walked is what will be executed.
    pickled = torch._C.PyTorchFileReader(file).get_record("data.pkl")  # noqa: SLF001
    for key, size in walk(io.BytesIO(pickled)).storages.items():
        if sizes.get(f"data/{key}") != size:
            raise ContainerError(
                f"storage {key[:100]!r} of {size} bytes in {sizes.get(f'data/{key}', 'no')} bytes"
            )


def _load_unsafely(path: Path, data: bytes) -> object:
    try:
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=False)
    except (ImportError, AttributeError) as error:
        raise WeightsError(
            f"{path}: its pickle needs something that is not installed here ({error}). "
            "Install it, or read the file without unsafe loading."
        ) from error
    except Exception as error:  # code in the file raises what it likes
        raise _unreadable(path, data, error) from error


def _load_safetensors(path: Path, data: bytes) -> dict[str, Tensor]:
    try:
        return load(data)
    except Exception as error:  # the reader of another language: panics included
        raise _unreadable(path, data, error) from error


class _Remains:
    """Stands for whatever training left in `meta`: takes any arguments and any state, keeps and does nothing."""

    def __init__(self, *_arguments: object) -> None:
        pass

    def __setstate__(self, _state: object) -> None:
        pass


def _training_remains_allowed() -> AbstractContextManager[object]:
    """Lets `meta` hold `REMAINS`, each as an inert `_Remains`; no code of numpy or mmengine sees the file.

    torch can be told names of things that are not the things themselves only since 2.7; before that, a
    file with such remains is refused.
    """
    if torch.__version__ < "2.7":
        return nullcontext()
    allowed: list[Any] = [(_Remains, name) for name in REMAINS]
    return torch.serialization.safe_globals(allowed)


@contextmanager
def _quiet() -> Iterator[None]:
    """Torch's remarks on a file's age and protocol are for its developers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _beside(content: object, place: str) -> tuple[str, ...]:
    if not isinstance(content, Mapping) or not place:
        return ()
    return tuple(
        str(key) if isinstance(key, (str, int)) else type(key).__name__ for key in content if key != place
    )


def _check_sizes(state: Mapping[str, Tensor], size: int) -> None:
    """A tensor may view its few stored bytes as gigabytes (stride 0); whoever copies it runs out of memory."""
    for key, value in state.items():
        if value.nbytes > size:
            raise WeightsError(
                f"expected tensors within the file's {size} bytes; found {shown(key)} of {value.nbytes} bytes. "
                "Do not use this file."
            )
