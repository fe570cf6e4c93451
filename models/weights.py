"""Renaming a checkpoint's keys and loading them strictly: a model is filled completely or not at all.

How the tensors come out of a file is `checkpoint_file`'s matter.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from torch import Tensor, nn

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


# Loading ----------------------------------------------------------------------------------------------------


def load_weights(
    model: nn.Module, state: Mapping[str, Tensor], *, layout: str = "mmseg", source: str = "the weights"
) -> None:
    """Fills a model with exactly the tensors it has; floats are cast to its precision.

    A model built under `torch.device("meta")` takes over the tensors and ends up where they lie.

    Args:
        model: As `build_model` made it.
        state: As `checkpoint_file.read_checkpoint` returned it, under the publisher's names.
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
