"""Reading checkpoint files safely, renaming their keys, loading them strictly.

Nothing here ever runs code out of a file, and a model is either filled completely or not at all.
"""

from __future__ import annotations

import pickle
import re
import zipfile
from collections.abc import Mapping
from contextlib import nullcontext
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

    from torch import nn

KeyTable = tuple[tuple[str, str], ...]

SHOWN = 3
"""Keys an error message shows of each kind; their number it always tells."""


class WeightsError(Exception):
    """A checkpoint file cannot be read or does not fit: what, where, expected, found, what to do."""


# Key tables -------------------------------------------------------------------------------------------------

# Rows of (publisher's name, our name); the first row that fits applies, and a name that fits none stays.
# {block} is any dotted path, {tensor} its last part. Each table reads both ways: down a file's keys when
# loading, up the model's keys when an error has to speak the publisher's language.
_SSSEG: KeyTable = (
    ("backbone_net.{block}", "backbone.{block}"),
    ("auxiliary_decoder.0.{tensor}", "auxiliary_head.convs.0.conv.{tensor}"),
    ("auxiliary_decoder.1.{tensor}", "auxiliary_head.convs.0.bn.{tensor}"),
    ("auxiliary_decoder.4.{tensor}", "auxiliary_head.conv_seg.{tensor}"),
    ("decoder_stage1.4.{tensor}", "decode_head.decoder_stage1.conv_seg.{tensor}"),
    ("{block}.value_project.{tensor}", "decode_head.{block}.value_project.{tensor}"),  # ISANet: no norm
    ("{block}.0.{tensor}", "decode_head.{block}.conv.{tensor}"),
    ("{block}.1.{tensor}", "decode_head.{block}.bn.{tensor}"),
)

KEY_TABLES: dict[str, KeyTable] = {
    "mmseg": (),  # our names are mmsegmentation's
    "ssseg_isanet": (("decoder.1.{tensor}", "decode_head.conv_seg.{tensor}"), *_SSSEG),
    # decoder_stage2 is [dropout, classifier] without the shortcut and [conv, bn, act, dropout, classifier] with it.
    "ssseg_isnet": (("decoder_stage2.1.{tensor}", "decode_head.conv_seg.{tensor}"), *_SSSEG),
    "ssseg_isnet_shortcut": (("decoder_stage2.4.{tensor}", "decode_head.conv_seg.{tensor}"), *_SSSEG),
}

LAYOUTS = ("mmseg", "ssseg")
"""The publishers' naming schemes; "ssseg" picks the table of the architecture by itself."""


def key_table(layout: str, keys: Iterable[str]) -> KeyTable:
    """The table for a set of keys, in either side's names.

    Args:
        layout: One of `LAYOUTS`, or a key of `KEY_TABLES`.
        keys: All keys of a file or of a model.

    Raises:
        WeightsError: No such layout.
    """
    if layout == "ssseg":
        layout = _ssseg_architecture("\n".join(keys))
    if layout not in KEY_TABLES:
        raise WeightsError(f"layout of the keys: expected one of {', '.join(LAYOUTS)}; found {layout!r}")
    return KEY_TABLES[layout]


def _ssseg_architecture(keys: str) -> str:
    if "shortcut." in keys:
        return "ssseg_isnet_shortcut"
    return "ssseg_isnet" if "decoder_stage1." in keys else "ssseg_isanet"


def convert_keys(state: Mapping[str, Tensor], layout: str) -> dict[str, Tensor]:
    """A state dict under our names; the tensors are shared, not copied.

    Raises:
        WeightsError: No such layout, or two keys with the same meaning.
    """
    table = key_table(layout, state)
    renamed = {_rename(key, table): value for key, value in state.items()}
    if len(renamed) < len(state):
        raise WeightsError(
            f"{len(state) - len(renamed)} keys mean the same tensor as another in layout {layout!r}"
        )
    return renamed


def _rename(key: str, table: KeyTable, *, to_publisher: bool = False) -> str:
    for theirs, ours in table:
        source, target = (ours, theirs) if to_publisher else (theirs, ours)
        if match := _pattern(source).fullmatch(key):
            return target.format(**match.groupdict())
    return key


@cache
def _pattern(template: str) -> re.Pattern[str]:
    parts = {"{block}": r"(?P<block>.+)", "{tensor}": r"(?P<tensor>\w+)"}
    return re.compile(re.sub(r"\\{\w+\\}", lambda m: parts[m[0].replace("\\", "")], re.escape(template)))


# Reading ----------------------------------------------------------------------------------------------------

_NOT_WEIGHTS = {
    b"<": "a web page or an XML message (a login page, or a server's error)",
    b"{": "a JSON message (a server's error)",
    b"version https://git-lfs": "a Git LFS pointer (the file itself was never fetched)",
}


def read_checkpoint(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """The state dict of a checkpoint file, on the CPU, under the publisher's names.

    Accepted are mmsegmentation's form (`{'meta', 'state_dict', ...}`), sssegmentation's (`{'model', ...}`,
    with or without the optimizer beside it) and a bare state dict; a `module.` prefix is taken off. Files
    are unpickled with `weights_only=True`, always: no code in them can run.

    Raises:
        WeightsError: No such file; not a checkpoint; cut short; wants to run code; holds no state dict.
    """
    path = Path(path)
    _check_looks_like_weights(path)
    return _state_dict(_load(path), path)


def _check_looks_like_weights(path: Path) -> None:
    """Refuses by the first bytes what `torch.load` would refuse in riddles, and archives that explode."""
    try:
        with path.open("rb") as file:
            head = file.read(64).lstrip()
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror}") from error
    if not head:
        raise WeightsError(
            f"{path}: expected a checkpoint; found an empty file. Delete it and fetch it again."
        )
    for start, meaning in _NOT_WEIGHTS.items():
        if head.startswith(start):
            raise WeightsError(
                f"{path}: expected a checkpoint; found {meaning}. Delete it and fetch it again."
            )
    if head.startswith(b"PK"):
        _check_archive(path)


def _check_archive(path: Path) -> None:
    """A `torch.save` archive stores its records as they are, so it never unpacks to more than its size."""
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(record.file_size for record in archive.infolist())
    except zipfile.BadZipFile as error:
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


def _load(path: Path) -> object:
    try:
        with _numpy_scalars_allowed():
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged bytes raise whatever they happen to decode to
        if wanted := re.search(r"GLOBAL (\S+)", str(error)):
            raise WeightsError(
                f"{path}: expected nothing but tensors and plain values; found a reference to {wanted[1]}, "
                "which reading the file would run. It was not run. Do not use this file unless you trust its "
                "source; then save its state dict alone with torch.save and use that."
            ) from error
        raise _cut_short(path, error) from error


def _numpy_scalars_allowed() -> AbstractContextManager[object]:
    """Lets `meta` hold numpy numbers, as mmcv's does when it saved the best score (mmengine #1655).

    The three parts make a number out of a few bytes and can do nothing else. Files written under numpy 1
    and 2 call the first one by different names, which torch can be told only since 2.7.
    """
    if torch.__version__ < "2.7":
        return nullcontext()
    make_scalar = cast("Callable[..., Any]", np.float64(0).__reduce__()[0])
    kinds = (np.float64, np.float32, np.int64)
    return torch.serialization.safe_globals(
        [
            (make_scalar, "numpy.core.multiarray.scalar"),
            (make_scalar, "numpy._core.multiarray.scalar"),
            np.dtype,
            *(type(np.dtype(kind)) for kind in kinds),
        ]
    )


def _state_dict(content: object, path: Path) -> dict[str, Tensor]:
    state = content
    if isinstance(content, Mapping):
        state = content.get("state_dict", content.get("model", content))
    if not isinstance(state, Mapping) or not state or not all(map(_is_entry, state.items())):
        found = type(content).__name__
        if isinstance(content, Mapping):
            found = f"a dictionary of {', '.join(map(repr, islice(content, 6))) or 'nothing'}"
        raise WeightsError(
            f"{path}: expected a state dict, bare or under 'state_dict' or 'model'; found {found}. "
            "Use the file the publisher offers for testing."
        )
    return {key.removeprefix("module."): value for key, value in state.items()}


def _is_entry(item: tuple[object, object]) -> bool:
    return isinstance(item[0], str) and isinstance(item[1], Tensor)


# Loading ----------------------------------------------------------------------------------------------------


def load_weights(
    model: nn.Module, state: Mapping[str, Tensor], *, layout: str = "mmseg", source: str = "the weights"
) -> None:
    """Fills a model with exactly the tensors it has; floats are cast to its precision.

    A model built under `torch.device("meta")` takes over the tensors and ends up where they lie.

    Args:
        model: As `build_model` made it.
        state: As `read_checkpoint` returned it, under the publisher's names.
        layout: One of `LAYOUTS`.
        source: Name of the file or address, for the error message.

    Raises:
        WeightsError: Missing, unexpected or differently shaped keys. The model is then as it was before.
    """
    expected = model.state_dict()
    found = convert_keys(state, layout)
    table = key_table(layout, expected)
    names = {key: _rename(key, table, to_publisher=True) for key in expected}
    names |= dict(zip(found, state, strict=True))  # where the file names a tensor, its own word counts
    if problems := list(_problems(expected, found, names)):
        problems.append(_hint(expected, found, state))
        raise WeightsError("\n  ".join([f"{source}: does not fit the model (layout {layout!r})", *problems]))
    fitted = {key: value.to(expected[key].dtype) for key, value in found.items()}
    on_meta = any(value.is_meta for value in expected.values())
    model.load_state_dict(fitted, strict=True, assign=on_meta)


def _problems(
    expected: Mapping[str, Tensor], found: Mapping[str, Tensor], names: Mapping[str, str]
) -> Iterator[str]:
    """One line each for missing, unknown and misshapen keys, under the publisher's `names`."""
    missing = [key for key in expected if key not in found]
    unknown = [key for key in found if key not in expected]
    for what, lines, total in (
        ("missing in the file", [f"{names[key]} {_form(expected[key])}" for key in missing], expected),
        ("unknown to the model", [f"{names[key]} {_form(found[key])}" for key in unknown], found),
        (
            "of another shape",
            [
                f"{names[key]} expected {_form(expected[key])}, found {_form(found[key])}"
                for key in _misshapen(expected, found)
            ],
            expected,
        ),
    ):
        if lines:
            more = "; ..." if len(lines) > SHOWN else ""
            yield f"{what}: {len(lines)} of {len(total)} keys: {'; '.join(lines[:SHOWN])}{more}"


def _misshapen(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> list[str]:
    return [
        key
        for key in expected
        if key in found
        and (expected[key].shape, expected[key].is_floating_point())
        != (found[key].shape, found[key].is_floating_point())
    ]


def _form(tensor: Tensor) -> str:
    """Shape, and the type where it is not a float: `(512, 256, 1, 1)`, `() int64`."""
    kind = "" if tensor.is_floating_point() else f" {str(tensor.dtype).removeprefix('torch.')}"
    return f"{tuple(tensor.shape)}{kind}"


def _hint(expected: Mapping[str, Tensor], found: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> str:
    misshapen = _misshapen(expected, found)
    if expected.keys() == found.keys() and all(".conv_seg." in key for key in misshapen):
        classes = {len(found[key]) for key in misshapen}
        return f"The classifiers alone differ: build the model with num_classes={classes.pop()}."
    for layout in LAYOUTS:
        if convert_keys(state, layout).keys() == expected.keys() != found.keys():
            return f"The keys are named as in layout {layout!r}: load with that one."
    return (
        "The file holds another architecture: compare builder, depth and widths with the publisher's config."
    )
